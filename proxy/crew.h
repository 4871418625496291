/* SPDX-License-Identifier: ISC */
/* All children of this instance: started, given generations and ticket keys, replaced when they
 * die, stopped. What a reload decides is reload.c's affair. */
#ifndef STARTTLSD_CREW_H
#define STARTTLSD_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "proxy/child.h"
#include "proxy/generation.h"
#include "proxy/privsep.h"
#include "proxy/tls_tickets.h"

/* A child over all its lives:
 *
 *   GONE ──started──▶ STARTING ──BUILT, committed──▶ WORKING ──TAKEN (scout: SETTLED)──▶ READY
 *     ▲                  │                              │                                │
 *     └────── back-off ──┴────────── it died ───────────┴────────────────────────────────┘
 *
 * The resolver is given no generation: it is READY at once. */
enum member_state { MEMBER_GONE, MEMBER_STARTING, MEMBER_WORKING, MEMBER_READY };

struct crew;

struct member {
    struct child child; /* first: a child is a member */
    struct crew *crew;
    enum member_state state;
    struct generation_board tally; /* worker: of this life (tally.h); .reader -1: dead */
    uint32_t offered;              /* the generation that it has been asked to build; 0: none */
    bool is_asked;                 /* and it has not answered */
    uint32_t taking;               /* the one that it was told to take, and has not yet; 0: none */
    uint32_t deaths;               /* since it last lived long */
    double started;                /* loop time */
    ev_timer retry;
    struct member *guardian; /* who watches its queues meanwhile */
};

struct crew {
    struct ev_loop *loop;
    struct privileges privileges;
    int root; /* directory, or -1 */
    uint32_t workers;
    uint32_t max_sessions; /* of one worker */
    struct generation *current;
    struct generation *coming; /* a reload's, in phase one */
    struct tls_ticket_keys tickets;
    struct member *worker; /* `workers` of them */
    struct member scout, resolver;
    bool is_stopping;

    /* A child has answered an offer of `coming`; refusal is NULL, or says why not. */
    void (*on_vote)(void *context, struct member *m, const char *refusal);
    /* Something has changed: a child has taken a generation, or is ready; or it died (status as of
     * waitpid; it may have been asked to vote, or have failed to start). */
    void (*on_step)(void *context, struct member *m);
    void (*on_death)(void *context, struct member *m, int status);
    void *context;
};

/* Everything but crew->worker is set by the caller. False: no memory. */
MUST_CHECK bool crew_init(struct crew *c);
void crew_clear(struct crew *c);

/* Start all of them with the current generation. */
void crew_start(struct crew *c);

bool crew_is_ready(const struct crew *c);    /* everybody is at work */
bool crew_is_starting(const struct crew *c); /* somebody still builds its first generation */
bool crew_is_gone(const struct crew *c);     /* nobody runs */

/* Phase one of `coming` for all who work; the number of those who will vote. */
uint32_t crew_offer(struct crew *c);
/* Phase two, for those who were asked. */
void crew_commit(struct crew *c);
void crew_rollback(struct crew *c);
bool crew_is_taking(const struct crew *c); /* somebody has not taken what was committed */
/* Those who owe an answer, in either phase, are no use. */
void crew_kill_silent(struct crew *c);

/* The keys have changed. */
void crew_tell_tickets(struct crew *c);

void crew_drain(struct crew *c); /* workers end when their last session has; the others now */
void crew_stop(struct crew *c);
void crew_kill(struct crew *c);

#endif
