/* SPDX-License-Identifier: ISC */
/* How a session ends: the line in the log, the farewell, a bounded wait until the client has read
 * it, and the burial, when no callback of this loop turn is left. */
#include "proxy/session.h"
#include "proxy/session_log.h"

/* A close() with unread octets makes the kernel send a reset, which may overtake our last words. */
#define LINGER_OCTETS_MAX 65536

static void bury(struct task *task)
{
    struct session *s = (struct session *)task;
    struct engine *e = s->engine;

    if (s->previous != NULL)
        s->previous->next = s->next;
    else
        e->all = s->next;
    if (s->next != NULL)
        s->next->previous = s->previous;
    if (s->busy != END_NONE)
        e->turned_away--;
    if (s->snapshot != NULL)
        snapshot_put(s->snapshot);
    quota_put(s->quota);
    pool_put(&e->sessions, s);
    if (engine_sessions(e) == 0 && e->on_empty != NULL)
        e->on_empty(e->context);
}

static void end_now(struct session *s)
{
    ev_io_stop(s->engine->loop, &s->client_io);
    deadline_stop(&s->deadline, s->engine->loop);
    stream_close(&s->client);
    s->task.run = bury; /* also where the task waits in a queue already */
    engine_soon(s->engine, &s->task);
}

static void close_backend(struct session *s, bool is_reset)
{
    ev_io_stop(s->engine->loop, &s->backend_io);
    if (!is_reset)
        stream_part(&s->backend);
    /* What it did not take is lost: no half line or message may end in good order. */
    if (is_reset || stream_has_out(&s->backend) || s->backend.failed != STREAM_WELL)
        stream_reset(&s->backend);
    else
        stream_close(&s->backend);
}

/* Closed first, counted after that: the backend never has more than is counted. */
static void let_backend_go(struct session *s, bool is_reset)
{
    s->backend_state = BACKEND_STATE_NONE;
    if (s->backend.fd >= 0)
        close_backend(s, is_reset);
    session_stop_dialling(s);
    backend_let_go(&s->try);
    quota_leave(s->quota, &s->place);
}

/* All but the client's side of it. */
static void conclude(struct session *s, enum end end, bool is_reset)
{
    s->end = end;
    if (end == END_CLIENT_CLOSED && s->client.is_eof && !s->client.is_closed_in_order)
        s->end = END_CLIENT_LOST;
    session_log_end(s);
    if (s->busy == END_NONE)
        quota_drop_session(s->quota);
    let_backend_go(s, is_reset);
    session_set_phase(s, PHASE_CLOSING);
}

void session_refuse(struct session *s, enum log_level level, const char *why)
{
    session_log_refused(s->service, &s->identity.client, level, why);
    if (s->busy == END_NONE)
        quota_drop_session(s->quota);
    session_set_phase(s, PHASE_CLOSING);
    end_now(s);
}

void session_close(struct session *s, enum end end, bool is_reset)
{
    bool is_gone = s->client.failed != STREAM_WELL || s->client.is_wire_eof;

    if (s->phase == PHASE_CLOSING)
        return;
    conclude(s, end, is_reset);
    stream_finish(&s->client);
    if (s->client.failed != STREAM_WELL || (is_gone && !stream_has_out(&s->client)))
        end_now(s);
}

void session_break(struct session *s, enum end end)
{
    conclude(s, end, true);
    ev_io_stop(s->engine->loop, &s->client_io);
    stream_reset(&s->client);
    end_now(s);
}

void session_linger(struct session *s, bool is_over)
{
    if (stream_has_out(&s->client) && stream_flush(&s->client) && !stream_has_out(&s->client))
        stream_finish(&s->client);
    if (s->is_ready[SIDE_CLIENT]) {
        s->is_ready[SIDE_CLIENT] = false;
        if (!stream_discard(&s->client, &s->discarded) && !stream_has_out(&s->client))
            is_over = true;
    }
    if (is_over || s->client.failed != STREAM_WELL || s->discarded > LINGER_OCTETS_MAX)
        end_now(s);
}
