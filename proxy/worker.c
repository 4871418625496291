/* SPDX-License-Identifier: ISC */
/* One event loop: from the snapshot that the master describes to the last session. Here the
 * channel's messages become deeds; sessions know nothing of them. */
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/accept.h"
#include "proxy/bundle.h"
#include "proxy/engine.h"
#include "proxy/log.h"
#include "proxy/quota.h"
#include "proxy/session.h"
#include "proxy/snapshot.h"
#include "proxy/tally.h"
#include "proxy/tls_tickets.h"

/* What PREPARE brought; -1: taken, or not here. */
enum part { PART_BUNDLE, PART_SCOUT, PART_OWN };
#define PART_COUNT 3

struct worker {
    struct channel *channel;
    struct ev_loop *loop;
    struct engine *engine;
    struct acceptor acceptor;
    struct tls_tickets *tickets;
    struct tally *tally;
    struct quotas *quotas;
    struct snapshot *current; /* NULL until the first commit */

    struct message_prepare coming;
    int part[PART_COUNT];
    bool is_spoilt;         /* a place could not be prepared */
    struct snapshot *built; /* the coming one, between BUILT and the verdict */

    bool is_ending;
    ev_timer deadline; /* of a drain that nobody watches over */
    int status;
};

static void tell(struct worker *w, enum message_kind kind, const void *data)
{
    if (!channel_send(w->channel, kind, data, NULL, 0)) {
        w->status = 3;
        ev_break(w->loop, EVBREAK_ALL);
    }
}

/* ---- a generation, in two phases ---- */

static void forget_coming(struct worker *w)
{
    for (int i = 0; i < PART_COUNT; i++) {
        if (w->part[i] >= 0)
            close(w->part[i]);
        w->part[i] = -1;
    }
    if (w->built != NULL)
        snapshot_put(w->built);
    w->built = NULL;
    w->is_spoilt = false;
}

static void prepare(struct worker *w, struct message *m)
{
    w->coming = m->data.prepare;
    for (int i = 0; i < PART_COUNT; i++) {
        w->part[i] = fd_take(&m->fd[i]);
    }
}

/* The snapshot in w->built; false: `error`, the caller's, says why, or is NULL. */
static bool build(struct worker *w, char **error)
{
    uint32_t backends = w->coming.backends;
    struct bundle *bundle = bundle_open(fd_take(&w->part[PART_BUNDLE]));
    struct board *scout = board_open_reader(fd_take(&w->part[PART_SCOUT]), 0, backends);
    struct board *own = board_open_writer(fd_take(&w->part[PART_OWN]), 0, backends);

    *error = NULL;
    if (bundle == NULL || scout == NULL || own == NULL || !tally_is_told(w->tally)) {
        board_close(scout);
        board_close(own);
        bundle_close(bundle);
        return false;
    }
    w->built = snapshot_new(bundle, w->tickets, w->quotas, scout, own, error);
    bundle_close(bundle);
    return w->built != NULL && w->built->config->service_count == w->coming.services &&
           !w->is_spoilt && accept_is_complete(&w->acceptor);
}

static void answer_build(struct worker *w)
{
    struct message_generation built = {w->coming.generation};
    struct message_refused refused = {.generation = w->coming.generation};
    char *error;

    if (build(w, &error)) {
        tell(w, MESSAGE_BUILT, &built);
    } else {
        snprintf(refused.text, sizeof refused.text, "%s",
                 error == NULL ? "a worker could not build the configuration" : error);
        tell(w, MESSAGE_REFUSED, &refused);
    }
    free(error);
}

/* What all sessions of a service share is as the newest configuration wants it. */
static void set_limits(const struct snapshot *s)
{
    for (size_t i = 0; i < s->config->service_count; i++)
        quota_set_connections(s->service[i].quota, s->service[i].config->backend_max_connections);
}

static void commit(struct worker *w)
{
    struct message_generation taken = {w->coming.generation};
    struct snapshot *old = w->current;

    w->current = w->built;
    w->built = NULL;
    set_limits(w->current);
    accept_commit(&w->acceptor, w->current);
    if (old != NULL)
        snapshot_put(old);
    log_configure(w->current->config->log_format, w->current->config->log_level);
    tell(w, MESSAGE_TAKEN, &taken);
}

static void rollback(struct worker *w)
{
    forget_coming(w);
    accept_rollback(&w->acceptor);
}

static void take_tally(struct worker *w, struct message *m)
{
    tally_set(w->tally, m->data.slot.slot, m->fd_count > 0 ? fd_take(&m->fd[0]) : -1);
}

static void prepare_place(struct worker *w, struct message *m)
{
    const struct message_place *place = &m->data.place;

    if (place->service >= w->coming.services ||
        !accept_prepare(&w->acceptor, place->place, place->service, place->first, m->fd,
                        m->fd_count))
        w->is_spoilt = true;
}

/* ---- the end ---- */

static void end_if_empty(struct worker *w)
{
    if (w->is_ending && engine_sessions(w->engine) == 0)
        ev_break(w->loop, EVBREAK_ALL);
}

static void on_empty(void *context)
{
    end_if_empty(context);
}

/* Sessions first: what is still accepted then is told that we are busy. */
static void end(struct worker *w, void (*end_sessions)(struct engine *))
{
    w->is_ending = true;
    end_sessions(w->engine);
    accept_finish(&w->acceptor);
    end_if_empty(w);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    end(watcher->data, session_stop_all);
}

/* The master is gone: nobody will tell us when the time of a drain is over. */
static void on_alone(void *context, enum channel_result why)
{
    struct worker *w = context;
    uint32_t timeout = w->current == NULL ? 0 : w->current->config->drain_timeout_ms;

    if (why == CHANNEL_BROKEN) {
        w->status = 3;
        ev_break(w->loop, EVBREAK_ALL);
        return;
    }
    rollback(w);
    end(w, session_drain_all);
    if (timeout == CONFIG_OFF)
        return;
    ev_timer_set(&w->deadline, timeout / 1000.0, 0.0);
    ev_timer_start(w->loop, &w->deadline);
}

static void on_message(void *context, struct message *m)
{
    struct worker *w = context;

    switch (m->kind) {
    case MESSAGE_TICKETS: tls_tickets_set(w->tickets, &m->data.tickets); break;
    case MESSAGE_TALLY: take_tally(w, m); break;
    case MESSAGE_PREPARE: prepare(w, m); break;
    case MESSAGE_PLACE: prepare_place(w, m); break;
    case MESSAGE_BUILD: answer_build(w); break;
    case MESSAGE_COMMIT: commit(w); break;
    case MESSAGE_ROLLBACK: rollback(w); break;
    case MESSAGE_ADOPT: accept_watch(&w->acceptor, m->data.slot.slot, true); break;
    case MESSAGE_GIVE_BACK: accept_watch(&w->acceptor, m->data.slot.slot, false); break;
    case MESSAGE_DRAIN: end(w, session_drain_all); break;
    case MESSAGE_STOP: end(w, session_stop_all); break;
    case MESSAGE_START:
    case MESSAGE_EXPERIENCE:
    case MESSAGE_PEER:
    case MESSAGE_BUILT:
    case MESSAGE_REFUSED:
    case MESSAGE_TAKEN:
    case MESSAGE_SETTLED: break; /* the channel's table lets no master say these to a worker */
    }
}

/* On a stop by force sessions may be left: the process ends with them. */
static void clear(struct worker *w)
{
    ev_timer_stop(w->loop, &w->deadline);
    forget_coming(w);
    acceptor_clear(&w->acceptor);
    if (w->engine != NULL && engine_sessions(w->engine) > 0)
        return;
    if (w->current != NULL)
        snapshot_put(w->current);
    if (w->engine != NULL)
        engine_free(w->engine);
    quotas_free(w->quotas);
    tally_free(w->tally);
    tls_tickets_free(w->tickets);
}

int worker_run(struct channel *channel, const struct message_start *start)
{
    struct worker w = {.channel = channel, .part = {-1, -1, -1}, .loop = ev_loop_new(EVFLAG_AUTO)};

    if (w.loop == NULL)
        return 3;
    ev_timer_init(&w.deadline, on_deadline, 0.0, 0.0);
    w.deadline.data = &w;
    w.tickets = tls_tickets_new();
    w.engine = engine_new(w.loop, session_size(), start->max_sessions, on_empty, &w);
    w.tally = tally_new(start->slot, start->workers);
    w.quotas = w.tally == NULL ? NULL : quotas_new(w.loop, w.tally);
    if (w.tickets == NULL || w.engine == NULL || w.quotas == NULL ||
        !acceptor_init(&w.acceptor, w.loop, w.engine, start->slot, start->workers)) {
        log_event(LEVEL_ERROR, "server.failed", "step", "memory", NULL);
        w.status = 3;
    } else {
        w.engine->is_transparent = start->privileges.is_transparent;
        channel_watch(channel, w.loop, on_message, on_alone, &w);
        ev_run(w.loop, 0);
    }
    channel_unwatch(channel);
    clear(&w);
    ev_loop_destroy(w.loop);
    return w.status;
}
