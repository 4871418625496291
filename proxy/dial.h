/* SPDX-License-Identifier: ISC */
/* One connection to a backend that may have many addresses. Happy Eyeballs (RFC 8305), at most one
 * attempt of each family at a time: the resolver's first address at once, the other family 250 ms
 * after it or as soon as it has failed, and behind a failure the next of the same family. The first
 * that connects is it, the other is closed. */
#ifndef STARTTLSD_DIAL_H
#define STARTTLSD_DIAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "protocols/address.h"
#include "proxy/board.h"
#include "proxy/deadline.h"

/* Where connections come from, by the family of the backend's address. All zero: the kernel decides.
 * Ports are not looked at. */
struct dial_from {
    union board_address v4, v6; /* AF_UNSPEC: any */
    /* They are clients' (CAP_NET_RAW). What can't be reached from them is left out without a word. */
    bool is_transparent;
};

/* Numeric addresses as the configuration has them; NULL: any. */
struct dial_from dial_from_texts(const char *v4, const char *v6);

/* As if we were that client; ADDRESS_NONE reaches nobody. */
struct dial_from dial_from_client(const struct address *client);

/* One family. */
struct dial_lane {
    ev_io io;                    /* active: it is under way */
    ev_tstamp due;               /* by deadline_now: then it has taken too long */
    union board_address address; /* what is under way, or was */
    uint32_t tried, next;        /* indices: of `address`, and of what comes after it */
    sa_family_t family;
};

/* Embedded, and small. All zero: nothing is under way, and it may be stopped. */
struct dial {
    struct ev_loop *loop;
    /* It is connected: `fd` is the caller's, non-blocking. The dial is at rest. */
    void (*on_done)(void *context, int fd, const union board_address *address);
    /* An address is no good; `error`: errno. For the log: it may come out of dial_start. NULL: who
     * does not care. */
    void (*on_failed)(void *context, const union board_address *address, int error);
    /* None is left, and the dial is at rest; `error`: as below. */
    void (*on_over)(void *context, int error);
    void *context;

    const struct board_backend *to;
    struct dial_from from;
    uint32_t timeout_ms;
    struct dial_lane lane[2], *won;
    ev_tstamp joins; /* when the other family joins in */
    struct deadline timer;
    int error; /* errno of the last failure; 0: none. Our own shortage outlives all others */
};

/*
 * Begin. on_done or on_over comes from the loop, once.
 *
 * to          borrowed as long as it is dialled; may change meanwhile, as names do
 * from        copied
 * timeout_ms  for each address; UINT32_MAX: as long as the kernel tries
 *
 * False: there is no address that could be tried, and the dial is at rest; d->error: 0: there is none
 * at all.
 */
MUST_CHECK bool dial_start(struct dial *d, const struct board_backend *to,
                           const struct dial_from *from, uint32_t timeout_ms);

/* What on_done gave was no good after all: on with the addresses that have not been tried. */
MUST_CHECK bool dial_go_on(struct dial *d);

/* The same address once more, and then on. */
MUST_CHECK bool dial_again(struct dial *d);

void dial_stop(struct dial *d);

/* This error says nothing of the backend: we lack descriptors, memory or ports, or the address that
 * we were told to come from. */
bool dial_is_our_shortage(int error);

/* is_transparent: the error where nothing else was met than addresses that nobody reaches from there. */
#define DIAL_LEFT_OUT EAFNOSUPPORT

/* In words; constant, or the C library's. */
const char *dial_words(int error);

#endif
