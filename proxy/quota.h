/* SPDX-License-Identifier: ISC */
/* What a service may have, over all workers: sessions, and connections to its backends. The latter
 * in turn: who finds none free waits, first come first served, wherever he waits.
 *
 * Each worker counts its own and reads the others' tallies; there is no lock. So the sum is exact
 * but for what others do in the same instant: each of them may take one too many. */
#ifndef STARTTLSD_QUOTA_H
#define STARTTLSD_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "proxy/tally.h"

/* Who has waited so long for a connection waits no more. */
#define QUOTA_WAIT_MS 5000

struct quotas; /* of one worker */
struct quota;  /* of one service, by its name: one for all snapshots that have it */

/* NULL: no memory. tally: outlives them. */
MUST_CHECK struct quotas *quotas_new(struct ev_loop *loop, struct tally *tally);

/* Nobody has any left. */
void quotas_free(struct quotas *all);

/* One of the service, counted. NULL: no memory, or there are too many. */
MUST_CHECK struct quota *quota_get(struct quotas *all, const char *service);
struct quota *quota_share(struct quota *q); /* the same, once more: q */
void quota_put(struct quota *q);

/* Its name; as long as q is. */
const char *quota_service(const struct quota *q);

/* How many connections there may be from now on, for sessions of older snapshots too; CONFIG_OFF:
 * any number. */
void quota_set_connections(struct quota *q, uint32_t max);

/* One session more, or one less. */
void quota_add_session(struct quota *q);
void quota_drop_session(struct quota *q);

/* Of all workers. */
uint64_t quota_sessions(struct quota *q);

/*   OUT ──enter──▶ WAITING ──on_turn──▶ IN ──leave──▶ OUT      A way round WAITING where one is free,
 *                     └──────leave──────▶ OUT                  and OUT again where too many wait. */
enum quota_state { QUOTA_OUT, QUOTA_WAITING, QUOTA_IN };

/* A session's place among the connections; all zero: OUT. Embedded in the session. */
struct quota_place {
    struct quota_place *next, *previous;
    enum quota_state state;
    uint64_t since_ns; /* WAITING: CLOCK_MONOTONIC */
    /* It is IN now. Called from the loop, or while somebody else leaves: only to be noted down. */
    void (*on_turn)(void *context);
    void *context;
};

/* OUT: as many wait as there may be connections. */
MUST_CHECK enum quota_state quota_enter(struct quota *q, struct quota_place *place);

/* Whatever it is, it is OUT then; the next one's turn has come. */
void quota_leave(struct quota *q, struct quota_place *place);

#endif
