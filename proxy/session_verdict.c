/* SPDX-License-Identifier: ISC */
/* Carries out what the module decided. Reads nothing and waits for nothing. */
#include <assert.h>

#include "proxy/session.h"
#include "proxy/session_log.h"
#include "proxy/tls_context.h"

static void put(struct session *s, enum side to, struct span octets, bool is_stable)
{
    struct stream *stream = session_stream(s, to);

    if (octets.len > 0 && stream->fd >= 0)
        stream_put(stream, octets, is_stable);
}

static void take_note(struct session *s, enum note note)
{
    switch (note) {
    case NOTE_NONE: return;
    case NOTE_GREETED:
        session_set_phase(s, PHASE_GATE);
        backend_note_success(&s->try, s->snapshot, s->service);
        session_stop_dialling(s);
        return;
    case NOTE_TLS_NEEDED: return;
    case NOTE_ADMITTED: s->is_admitted = true; return;
    case NOTE_AUTH_OK: s->is_logged_in = true; return;
    case NOTE_AUTH_FAILED:
        s->auth_failures++;
        session_log_auth_failed(s);
        return;
    case NOTE_MESSAGE: s->messages++; return;
    case NOTE_INJECTION:
    case NOTE_SPOOF:
    case NOTE_HTTP:
    case NOTE_TLS_ON_PLAINTEXT_PORT:
    case NOTE_BACKEND_REPLY:
    case NOTE_BACKEND_INJECTION:
    case NOTE_SMUGGLING: session_log_note(s, note); return;
    }
}

void session_start_tls(struct session *s)
{
    session_leave_backend(s);
    /* The go-ahead leaves before TLS has a word. What the socket does not take of it stays in front
     * of the handshake's first flight. */
    if (!stream_flush(&s->client))
        session_close(s, END_CLIENT_LOST, false);
    else if (!stream_start_tls(&s->client, tls_context_ssl(s->service->tls)))
        session_close(s, END_ERROR, false);
    else
        session_set_phase(s, PHASE_HANDSHAKE);
}

static void enter_tunnel(struct session *s, const struct verdict *v, enum side side,
                         struct span window)
{
    if (v->text.len > 0)
        put(s, v->to, v->text, false);
    else
        put(s, side_other(side), span_first(window, v->take), true);
    put(s, side_other(side), span_skip(window, v->take), true);
    session_enter_tunnel(s);
}

/* Everything of a verdict but MORE and HOLD, which say how to go on with the window. */
static void carry_out(struct session *s, const struct verdict *v, enum side side,
                      struct span window)
{
    take_note(s, v->note);
    switch (v->kind) {
    case VERDICT_MORE:
    case VERDICT_HOLD: return;
    case VERDICT_FORWARD: put(s, side_other(side), span_first(window, v->take), true); return;
    case VERDICT_SEND: put(s, v->to, v->text, false); return;
    case VERDICT_CONNECT: session_connect(s); return;
    case VERDICT_NEXT_BACKEND: session_next_backend(s, v->end, v->text.data); return;
    case VERDICT_START_TLS:
        put(s, v->to, v->text, false);
        if (v->to == SIDE_CLIENT)
            session_start_tls(s);
        else
            session_secure_backend(s);
        return;
    case VERDICT_TUNNEL: enter_tunnel(s, v, side, window); return;
    case VERDICT_CLOSE:
    case VERDICT_RESET:
        put(s, v->to, v->text, false);
        session_close(s, v->end, v->kind == VERDICT_RESET);
        return;
    }
}

void session_tell(struct session *s, enum event_kind kind, enum side side, enum end reason)
{
    static const struct span nothing = {"", 0};
    struct event event = {.kind = kind,
                          .side = side,
                          .reason = reason,
                          .is_tls_hopeless = s->try.is_tls_hopeless,
                          .space = s->engine->scratch->space};
    struct verdict v = s->protocol->step(s->machine, &event, nothing);

    assert(v.take == 0);
    carry_out(s, &v, side, nothing);
}

/* A verdict may have taken the session elsewhere: to a handshake, to another backend, into the
 * tunnel, to its end. */
static bool is_fed(const struct session *s, enum side side)
{
    switch (s->phase) {
    case PHASE_HEADER: return false;
    case PHASE_PREAMBLE: return side == SIDE_CLIENT;
    case PHASE_HANDSHAKE: return false;
    case PHASE_BACKEND: return side == SIDE_CLIENT || s->backend_state == BACKEND_STATE_CONNECTED;
    case PHASE_GATE: return true;
    case PHASE_TUNNEL: return false;
    case PHASE_CLOSING: return false;
    }
    return false;
}

struct span session_show(struct session *s, enum side side, struct span window)
{
    const struct event event = {
        .kind = EVENT_BYTES, .side = side, .space = s->engine->scratch->space};
    size_t answered = 0; /* octets for the side that asks */

    for (;;) {
        struct verdict v = s->protocol->step(s->machine, &event, window);

        assert(v.take <= window.len);
        if (v.take > 0)
            s->is_held[side_other(side)] = false;
        carry_out(s, &v, side, window);
        window = span_skip(window, v.take);
        if (!is_fed(s, side))
            return (struct span){NULL, 0};
        if (v.kind == VERDICT_SEND && v.to == side)
            answered += v.text.len;
        if (answered >
            SESSION_OWED_MAX) { /* short questions, long answers: on when it has read them */
            s->is_held[side] = false;
            s->is_again[side] = true;
            return window;
        }
        if (v.kind != VERDICT_MORE && v.kind != VERDICT_HOLD)
            continue;
        s->is_held[side] = s->is_again[side] = v.kind == VERDICT_HOLD;
        if (v.kind == VERDICT_MORE && window.len >= WINDOW_MAX) {
            session_close(s, END_ERROR, true); /* the module broke its contract */
            return (struct span){NULL, 0};
        }
        return window;
    }
}
