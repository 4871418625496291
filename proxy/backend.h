/* SPDX-License-Identifier: ISC */
/* Which backend is next, and what became of it: those that the board does not call down, in the
 * order that the service's balance wants, each once in a session. */
#ifndef STARTTLSD_BACKEND_H
#define STARTTLSD_BACKEND_H

#include <stdint.h>

#include "protocols/address.h"
#include "proxy/dial.h"
#include "proxy/snapshot.h"
#include "proxy/spread.h"

/* How a worker spreads the sessions of a service, and where it comes from. */
struct backend_pool {
    struct spread spread;
    struct dial_from from;
    size_t backends;
    struct quota *load[]; /* leastconn: by backend, of all workers; counted. Else NULL */
};

/* quotas: outlive it. NULL: no memory, or more backends than a worker can count. */
MUST_CHECK struct backend_pool *backend_pool_new(const struct service *service,
                                                 struct quotas *quotas);
void backend_pool_free(struct backend_pool *p);

/* How far a session has got in trying. All zero: at the beginning. */
struct backend_try {
    uint64_t tried;       /* a bit for each backend of the service */
    uint32_t backend;     /* the last of them: in hand */
    bool has_failed;      /* it has, or an address of it */
    bool is_tls_hopeless; /* the handshake has failed at the address in hand, and we may do without
                           */
    bool is_left_out;     /* one of them can't be reached from the client's address */
    enum end failure;     /* the last one, for the client; END_NONE: none was met */
    struct quota *load;   /* that of the one in hand: the session counts there; NULL: nowhere */
};

enum backend_next {
    BACKEND_NEXT_FOUND, /* it is in hand */
    BACKEND_NEXT_LATER, /* the resolver has not answered yet: ask again shortly */
    BACKEND_NEXT_NONE,  /* all have been tried, or are down */
};

/* Leave the backend in hand, of whose failure the scout hears, for another.
 *
 * client  whose session it is: balance = source goes by it */
MUST_CHECK enum backend_next backend_next(struct backend_try *t, const struct snapshot *snapshot,
                                          const struct snapshot_service *service,
                                          const struct address *client);

/* The one in hand as the board has it; borrowed from the snapshot. */
const struct board_backend *backend_in_hand(const struct backend_try *t,
                                            const struct snapshot *snapshot,
                                            const struct snapshot_service *service);

/* The session is there no more. Whatever `t` is, and however old; more than once, too. */
void backend_let_go(struct backend_try *t);

/* The board says of every backend that it is down. Unknown is not down. */
bool backend_all_down(const struct snapshot *snapshot, const struct snapshot_service *service);

/* For the scout: a session was greeted in good order. */
void backend_note_success(struct backend_try *t, const struct snapshot *snapshot,
                          const struct snapshot_service *service);

#endif
