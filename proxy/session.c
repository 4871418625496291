/* SPDX-License-Identifier: ISC */
/* The life of a session: what its sockets and its timer say is turned into events for the module.
 * What it waits for behind each of them: session_wait.c; its beginning: session_open.c;
 * verdicts: session_verdict.c; the way to the backend: session_connect.c; behind the login:
 * session_tunnel.c; the end: session_end.c. */
#include "proxy/session.h"

#include "proxy/relay.h"
#include "proxy/session_log.h"
#include "proxy/snapshot_learned.h"

void session_set_phase(struct session *s, enum phase phase)
{
    s->phase = phase;
    s->phase_since = deadline_now();
}

static void note_waiting(struct session *s)
{
    enum waiting before = s->waiting;

    if (s->snapshot == NULL || s->phase == PHASE_HEADER)
        return; /* there is no module to be asked */
    s->waiting = s->protocol->waiting(s->machine);
    if (s->waiting == WAITING_BACKEND && before != WAITING_BACKEND)
        s->owed_since = deadline_now();
}

/* ---- octets ---- */

void session_fail(struct session *s, const char *why)
{
    session_log_failed(s, why);
    if (s->phase == PHASE_TUNNEL)
        session_break(s, END_ERROR);
    else if (s->client.failed == STREAM_WELL)
        session_tell(s, EVENT_ERROR, SIDE_CLIENT, END_NONE);
    else
        session_close(s, END_ERROR, true);
}

/* A client that was told all that its backend had to say may leave as it likes. */
static enum end lost_client_end(const struct session *s)
{
    bool is_told = s->end == END_BACKEND_CLOSED && !stream_has_out(&s->client);

    return is_told ? s->end : END_CLIENT_LOST;
}

void session_lose(struct session *s, enum side side)
{
    const struct stream *stream = session_stream(s, side);

    if (stream->failed == STREAM_BAD_TLS)
        session_log_tls_failed(s, side, stream->failure);
    if (stream->is_starved || stream->failed == STREAM_OUT_OF_MEMORY) {
        session_fail(s, stream->failure);
    } else if (side == SIDE_CLIENT) {
        session_close(s, lost_client_end(s), true);
    } else if (s->phase == PHASE_BACKEND) {
        session_next_backend(
            s, stream->failed == STREAM_BAD_TLS ? END_BACKEND_TLS_FAILED : END_BACKEND_UNREACHABLE,
            stream->failure);
    } else if (s->phase == PHASE_TUNNEL) {
        session_break(s, END_BACKEND_LOST);
    } else if (!s->has_ended[SIDE_BACKEND]) {
        s->has_ended[SIDE_BACKEND] = true;
        session_tell(s, EVENT_LOST, SIDE_BACKEND, END_NONE);
    }
}

/* False: it is broken. */
static bool push(struct session *s, enum side to)
{
    if (s->phase == PHASE_TUNNEL)
        return relay_push(session_stream(s, to), s->has_ended[side_other(to)]);
    return stream_flush(session_stream(s, to));
}

static void flush(struct session *s)
{
    if (s->phase == PHASE_CLOSING)
        return;
    if (s->backend.fd >= 0 && s->backend_state == BACKEND_STATE_CONNECTED && !push(s, SIDE_BACKEND))
        session_lose(s, SIDE_BACKEND);
    if (s->phase != PHASE_CLOSING && !push(s, SIDE_CLIENT))
        session_lose(s, SIDE_CLIENT);
    if (s->phase == PHASE_TUNNEL && session_tunnel_is_over(s))
        session_close(s, s->end, false);
}

void session_rearm(struct session *s)
{
    flush(s);
    if (s->client.fd < 0)
        return; /* on its way to burial */
    note_waiting(s);
    session_wait(s);
}

/* Octets count when they are dealt with: a line that never ends is silence. */
static void note_progress(struct session *s, enum side side)
{
    s->active = deadline_now();
    if (side == SIDE_BACKEND)
        s->owed_since = s->active;
}

static void tell_eof(struct session *s, enum side side)
{
    if (side == SIDE_BACKEND && s->phase == PHASE_BACKEND) {
        session_next_backend(s, END_BACKEND_UNREACHABLE, "closed without a greeting");
        return;
    }
    s->has_ended[side] = true;
    session_tell(s, EVENT_EOF, side, END_NONE);
}

/* Reads what one side has, shows it, and writes what comes of it. */
static void feed_module(struct session *s, enum side side)
{
    struct stream *stream = session_stream(s, side);
    size_t known = stream->window.len;
    enum stream_result result;
    struct span window, rest;
    bool is_new;

    result = stream_read(stream, s->is_ready[side],
                         side == SIDE_CLIENT && s->waiting == WAITING_CONTENT, &window);
    s->is_ready[side] = false;
    s->has_more[side] = result == STREAM_MORE;
    is_new = window.len > known;
    rest = window;
    if (result != STREAM_FAILED && (is_new || s->is_again[side]))
        rest = session_show(s, side, window);
    if (rest.len < window.len)
        note_progress(s, side);
    if (s->phase == PHASE_CLOSING || s->phase == PHASE_TUNNEL || stream->fd < 0)
        return;
    if (result == STREAM_FAILED || !stream_keep(stream, rest))
        session_lose(s, side);
    else if (result == STREAM_EOF && !s->is_again[side] && !s->has_ended[side])
        tell_eof(s, side);
}

static void feed(struct session *s, enum side side)
{
    if (!session_is_read(s, side) || !(s->is_ready[side] || session_has_unshown(s, side)))
        return;
    if (s->phase == PHASE_TUNNEL)
        session_relay(s, side);
    else
        feed_module(s, side);
    flush(s);
    note_waiting(s);
}

/* Each side once: what the backend said may release the client. Whatever then still waits to be
 * shown waits for the next turn of the loop, in which others are served too. */
static void run(struct session *s)
{
    feed(s, SIDE_BACKEND);
    feed(s, SIDE_CLIENT);
    session_rearm(s);
}

void session_init_machine(struct session *s, bool is_secure)
{
    const struct facts facts = {
        .is_secure = is_secure,
        .auth_failures = s->auth_failures,
        .learned = is_secure ? NULL : snapshot_learned(s->snapshot, s->service),
        .identity = &s->identity,
    };

    s->protocol->init(s->machine, &s->service->config->policy, &facts);
}

static void shake(struct session *s)
{
    switch (stream_handshake(&s->client, s->is_ready[SIDE_CLIENT])) {
    case HANDSHAKE_AGAIN: break;
    case HANDSHAKE_MORE: engine_patiently(s->engine, &s->task); break;
    case HANDSHAKE_DONE:
        session_set_phase(s, PHASE_BACKEND);
        session_init_machine(s, true);
        if (s->busy != END_NONE)
            session_tell(s, EVENT_BUSY, SIDE_CLIENT, s->busy);
        else
            session_tell(s, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        break;
    case HANDSHAKE_FAILED:
        session_log_tls_failed(s, SIDE_CLIENT, s->client.failure);
        session_close(s, END_HANDSHAKE_FAILED, false);
        break;
    }
    s->is_ready[SIDE_CLIENT] = false;
    s->has_more[SIDE_CLIENT] = s->phase != PHASE_HANDSHAKE && stream_has_sealed(&s->client);
    session_rearm(s);
}

/* Whoever has reset the connection waits for nothing; others wait for its place. A client that has
 * only closed its half may still want our replies. */
static bool is_gone(struct session *s)
{
    if (!session_is_unwatched(s) || !stream_is_reset(&s->client))
        return false;
    session_lose(s, SIDE_CLIENT);
    session_rearm(s);
    return true;
}

/* Whoever pins blocks that others need, and takes nothing. */
static bool is_cut_off(struct session *s)
{
    if (!session_is_hogging(s))
        return false;
    session_log_failed(s, "the client takes nothing, and buffers are scarce");
    session_break(s, END_TIMEOUT);
    session_rearm(s);
    return true;
}

/* ---- callbacks ---- */

static void on_task(struct task *task)
{
    struct session *s = (struct session *)task;

    if (s->phase == PHASE_HANDSHAKE) {
        shake(s);
        return;
    }
    if (s->backend_state == BACKEND_STATE_SHAKING)
        session_shake_backend(s);
    if (s->backend_state == BACKEND_STATE_QUEUED && s->place.state == QUOTA_IN)
        session_connect(s);
    run(s);
}

/* A peer that takes octets is alive. */
static void write_on(struct session *s, int revents)
{
    if ((revents & EV_WRITE) == 0)
        return;
    s->active = deadline_now();
    flush(s);
}

/* A handshake goes on when it is its turn. */
static void shake_on(struct session *s, enum side side, int revents)
{
    if ((revents & EV_WRITE) && !stream_flush(session_stream(s, side)))
        session_lose(s, side);
    else
        engine_patiently(s->engine, &s->task);
    session_rearm(s);
}

static void on_client(struct ev_loop *loop, ev_io *w, int revents)
{
    struct session *s = w->data;

    session_note_ready(s, SIDE_CLIENT, revents);
    switch (s->phase) {
    case PHASE_HEADER:
        session_read_header(s);
        session_rearm(s);
        break;
    case PHASE_HANDSHAKE: shake_on(s, SIDE_CLIENT, revents); break;
    case PHASE_CLOSING:
        session_linger(s, false);
        session_rearm(s);
        break;
    case PHASE_PREAMBLE:
    case PHASE_BACKEND:
    case PHASE_GATE:
    case PHASE_TUNNEL:
        if (is_gone(s))
            break;
        write_on(s, revents);
        run(s);
        break;
    }
}

static void on_backend(struct ev_loop *loop, ev_io *w, int revents)
{
    struct session *s = w->data;

    session_note_ready(s, SIDE_BACKEND, revents);
    if (s->backend_state == BACKEND_STATE_SHAKING) {
        shake_on(s, SIDE_BACKEND, revents);
        return;
    }
    write_on(s, revents);
    run(s);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct session *s = w->data;

    if (is_gone(s) || is_cut_off(s))
        return;
    if (session_due(s) > deadline_now() && s->backend_state != BACKEND_STATE_WAITING) {
        session_rearm(s);
        return;
    }
    switch (s->phase) {
    case PHASE_HEADER: session_refuse(s, LEVEL_WARNING, "no PROXY header in time"); break;
    case PHASE_PREAMBLE:
    case PHASE_GATE: session_tell(s, EVENT_DEADLINE, SIDE_CLIENT, END_NONE); break;
    case PHASE_HANDSHAKE:
        session_close(s, s->busy != END_NONE ? s->busy : END_TIMEOUT, false);
        break;
    case PHASE_BACKEND: session_connect_late(s); break;
    case PHASE_TUNNEL: session_tunnel_late(s); break;
    case PHASE_CLOSING: session_linger(s, true); break;
    }
    run(s);
}

void session_listen(struct session *s, int client)
{
    s->task.run = on_task;
    ev_io_init(&s->client_io, on_client, client, EV_READ);
    s->client_io.data = s;
    ev_io_start(s->engine->loop, &s->client_io); /* also where a backend has the first word */
    ev_io_init(&s->backend_io, on_backend, -1, 0);
    s->backend_io.data = s;
    deadline_init(&s->deadline, on_deadline, s);
}
