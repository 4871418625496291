/* SPDX-License-Identifier: ISC */
/* What the sessions of one worker share: loop, scratch, pools, and what is to be done when a loop
 * turn ends. */
#ifndef STARTTLSD_ENGINE_H
#define STARTTLSD_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "proxy/pool.h"
#include "proxy/scratch.h"

/* Something to be done once, after the callbacks of this loop turn. Embedded in its owner, who may
 * change `run` as long as it waits; it is in one queue at most. */
struct task {
    struct task *next;
    void (*run)(struct task *task);
    bool is_queued;
};

struct task_queue {
    struct task *first, **end;
};

struct session;

/* Sessions that there may be for a busy reply alone, beyond all limits. */
#define SESSIONS_SPARE 32

struct engine {
    struct ev_loop *loop;
    struct scratch *scratch;
    struct pool sessions; /* a session and its machine; some more than max_sessions, to say so */
    uint32_t max_sessions;
    struct pool dials;    /* of sessions that are on their way to a backend */
    struct pool blocks;   /* of all buffers */
    struct session *all;  /* every session that is not buried */
    uint32_t turned_away; /* of these, who are only told that we are busy */
    struct task_queue soon, patient;
    ev_prepare turn;               /* the loop is about to wait */
    ev_idle awake;                 /* tasks are left: it must not */
    bool is_draining, is_stopping; /* a stop is a drain too */
    bool is_transparent;           /* this process may connect from clients' addresses */
    uint64_t next_id;              /* of a session; begins at random */
    void (*on_empty)(void *context);
    void *context;
};

/*
 * loop          runs the sessions; outlives the engine
 * session_size  octets of one session
 * max_sessions  of this worker, > 0
 * on_empty      called from the loop when the last session has been buried; may be NULL
 *
 * NULL: no memory.
 */
MUST_CHECK struct engine *engine_new(struct ev_loop *loop, size_t session_size,
                                     uint32_t max_sessions, void (*on_empty)(void *context),
                                     void *context);

/* No session may be left. */
void engine_free(struct engine *e);

size_t engine_sessions(const struct engine *e);

/* Run the task before the loop waits again. Waits in a queue already: nothing changes. */
void engine_soon(struct engine *e, struct task *task);

/* The same, a few a turn: handshakes cost a thousand times what a line of mail costs. */
void engine_patiently(struct engine *e, struct task *task);

#endif
