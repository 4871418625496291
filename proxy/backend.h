/* SPDX-License-Identifier: ISC */
/* Which address to connect to next, and what became of it. Backends in the order of the
 * configuration, those that the board says are down left out; every address of a name in its order.
 */
#ifndef STARTTLSD_BACKEND_H
#define STARTTLSD_BACKEND_H

#include <stdint.h>

#include "proxy/snapshot.h"

/* How far a session has got in trying. All zero: at the beginning. */
struct backend_try {
    uint32_t backend;     /* of the service; the one in hand */
    uint32_t address;     /* the next of its addresses */
    uint32_t tries;       /* addresses given out so far */
    bool has_failed;      /* some address of the backend in hand has */
    bool is_tls_hopeless; /* the handshake has failed at the address in hand, and we may do without
                           */
    enum end failure;     /* the last one, for the client; END_NONE: none was met */
};

enum backend_next {
    BACKEND_NEXT_ADDRESS, /* here is one */
    BACKEND_NEXT_LATER,   /* the resolver has not answered yet: ask again shortly */
    BACKEND_NEXT_NONE,    /* all have been tried, or are down */
};

MUST_CHECK enum backend_next backend_next(struct backend_try *t, const struct snapshot *snapshot,
                                          const struct snapshot_service *service,
                                          union board_address *address);

/* The board says of every backend that it is down. Unknown is not down. */
bool backend_all_down(const struct snapshot *snapshot, const struct snapshot_service *service);

/* Begin to connect. A non-blocking descriptor, the caller's; -1: errno. */
MUST_CHECK int backend_connect(const union board_address *address);

/* The socket is writable: 0 if it is connected, else an errno. */
MUST_CHECK int backend_connect_error(int fd);

/* The address in hand is no good. The board hears of it when the backend's last one was not either. */
void backend_note_failure(struct backend_try *t);

/* For the scout: a session was greeted in good order. */
void backend_note_success(const struct backend_try *t, const struct snapshot *snapshot,
                          const struct snapshot_service *service);

#endif
