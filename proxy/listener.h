/* SPDX-License-Identifier: ISC */
/* The master's listening sockets: one a worker for every address. What workers do with them:
 * accept.c. */
#ifndef STARTTLSD_LISTENER_H
#define STARTTLSD_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* An address that is listened on, for as long as some generation wants it. */
struct place {
    struct place *next;
    uint32_t number;
    uint32_t uses; /* services of the current and of a coming generation */
    char *host;
    uint16_t port;
    uint32_t count; /* workers */
    int fd[];       /* one a worker */
};

struct places {
    struct place *first;
    uint32_t next_number;
    uint32_t workers;
};

/*
 * The place for `endpoint`: the one that there is, or a new one, bound and listening. `uses` is
 * counted up.
 *
 * NULL: it can't be had; why is in `d`, at the endpoint's line.
 */
MUST_CHECK struct place *place_get(struct places *places, const struct endpoint *endpoint,
                                   const char *section, struct diagnosis *d);

/* One use less; with the last one it is closed here. Workers hold descriptors of their own. */
void place_put(struct places *places, struct place *place);

#endif
