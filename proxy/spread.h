/* SPDX-License-Identifier: ISC */
/* How sessions are spread over the backends of a service. Arithmetic alone: who may be chosen now,
 * and what is known of him, is the caller's to say. */
#ifndef STARTTLSD_SPREAD_H
#define STARTTLSD_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#include "protocols/span.h"

#define SPREAD_BACKENDS_MAX 64 /* of a service */

/* Who comes back from an outage gets a share that grows to this, over as many milliseconds. */
#define SPREAD_FULL_SHARE 30000

struct spread_choice {
    uint32_t backend;     /* index in the service, < SPREAD_BACKENDS_MAX */
    uint32_t share;       /* 1 to SPREAD_FULL_SHARE */
    uint64_t connections; /* as many as it has now */
    const char *text;     /* what it is called in the configuration */
};

/* What one worker remembers of one service. */
struct spread {
    uint32_t turn;                       /* who is looked at first */
    int64_t credit[SPREAD_BACKENDS_MAX]; /* what each has to get before it is even */
};

/* backends: of the service, 1 to SPREAD_BACKENDS_MAX. random: where to begin. */
void spread_init(struct spread *s, size_t backends, uint32_t random);

/* The share of a backend that is up since `up_since_ms` after an outage; 0: there was none. */
uint32_t spread_share(uint64_t up_since_ms, uint64_t now_ms);

/* 64 bits that depend on all of `text` and on `h`. */
uint64_t spread_hash(uint64_t h, const char *text);

/* Each of these chooses one of `choice`, `count` > 0 of them in the order of the configuration, and
 * returns its index there. */

/* Each in its turn, as often as its share wants it. */
size_t spread_in_turn(struct spread *s, const struct spread_choice *choice, size_t count);

/* The one with the fewest connections for its share; of equals, each in its turn. */
size_t spread_by_connections(struct spread *s, const struct spread_choice *choice, size_t count);

/*
 * Always the same for the same client. Whoever goes or comes takes along, or attracts, none but its
 * own clients. Every worker and every machine with the same configuration chooses alike.
 *
 * client  IPv4 in its mapped form; of IPv6 the first 64 bits count
 */
size_t spread_by_source(const unsigned char client[16], const struct spread_choice *choice,
                        size_t count);

#endif
