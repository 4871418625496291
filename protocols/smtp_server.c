/* SPDX-License-Identifier: ISC */
/* SMTP (RFC 5321, 3207, 2920): the server role, played toward the client. Here an event finds its
 * way: before TLS to smtp_preamble.c; after it, what the client says to smtp_gate.c, and what the
 * backend says to smtp_answer.c. */
#include <assert.h>

#include "protocols/smtp_machine.h"
#include "protocols/smtp_probe.h"
#include "protocols/smtp_verb.h"
#include "protocols/verdict.h"

static_assert(EVENT_SPACE > WINDOW_MAX + 1024, "an EHLO reply fits, and what is added to it");

static void init(void *machine, const struct policy *policy, const struct facts *facts)
{
    struct smtp_server *s = machine;

    *s = (struct smtp_server){
        .base = server_blank(policy, facts),
        .phase = server_is_alone(policy, facts->is_secure) ? SMTP_PREAMBLE : SMTP_CONNECTING,
    };
}

static struct verdict on_client(struct smtp_server *s)
{
    return s->phase == SMTP_PREAMBLE ? smtp_greet(s, 0) : verdict_connect();
}

/* One, or another one: nothing is known of it. */
static struct verdict on_backend(struct smtp_server *s, const struct event *connected)
{
    s->phase = SMTP_CONNECTING;
    return approach_begin(&s->approach, s->base.policy, s->base.identity, connected);
}

static struct verdict drain(struct smtp_server *s, size_t take)
{
    static const struct span text = SPAN("421 4.3.2 Shutting down, try again later\r\n");

    return smtp_end(s, END_DRAINED, text, take);
}

/* The client has said all it will: replies that are owed are still delivered, then it is over. A
 * backend that waits for a command gets the last one (RFC 5321, section 4.1.1.10). */
static struct verdict after_eof(const struct smtp_server *s, size_t take)
{
    struct verdict v;

    /* Half a message must not be taken for a whole one. */
    if (s->input == INPUT_CONTENT || s->input == INPUT_CHUNK)
        return smtp_end(s, END_CLIENT_LOST, (struct span){0}, take);
    if (!smtp_is_quiet(s) && !smtp_is_clients_turn(s))
        return verdict_more(0);
    v = smtp_end(s, server_without_tls(&s->base, END_CLIENT_CLOSED), (struct span){0}, take);
    if (s->phase == SMTP_GATE && smtp_is_quiet(s)) {
        v.to = SIDE_BACKEND;
        v.text = (struct span)SPAN("QUIT\r\n");
    }
    return v;
}

static struct verdict on_client_bytes(struct smtp_server *s, struct span window)
{
    switch (s->phase) {
    case SMTP_PREAMBLE: return smtp_preamble_step(s, window);
    case SMTP_CONNECTING:
    case SMTP_REPLAY: break;
    case SMTP_GATE: return smtp_gate_step(s, window);
    }
    return verdict_hold();
}

static struct verdict on_bytes(struct smtp_server *s, enum side side, struct span window)
{
    if (s->phase == SMTP_GATE && s->base.is_draining && smtp_is_at_rest(s))
        return drain(s, window.len);
    if (side == SIDE_CLIENT)
        return on_client_bytes(s, window);
    if (s->phase != SMTP_GATE)
        return smtp_connect_step(s, window);
    if (s->base.is_eof && (smtp_is_quiet(s) || smtp_is_clients_turn(s)))
        return after_eof(s, window.len);
    return smtp_answer_step(s, window);
}

static struct verdict step(void *machine, const struct event *event, struct span window)
{
    struct smtp_server *s = machine;

    s->base.space = event->space;
    if (s->base.farewell.end != END_NONE)
        return smtp_end(s, s->base.farewell.end, s->base.farewell.text, window.len);
    switch (event->kind) {
    case EVENT_BYTES: return on_bytes(s, event->side, window);
    case EVENT_CONNECTED: return event->side == SIDE_CLIENT ? on_client(s) : on_backend(s, event);
    case EVENT_SECURED:
        return event->side == SIDE_CLIENT ? verdict_connect() : smtp_connect_secured(s);
    case EVENT_BACKEND_FAILED:
        return smtp_end(s, event->reason,
                        (struct span)SPAN("421 4.4.1 No mail server answers, try again later\r\n"),
                        0);
    case EVENT_EOF:
        if (event->side == SIDE_BACKEND)
            return s->phase == SMTP_GATE && smtp_is_quiet(s)
                       ? smtp_end(s, END_BACKEND_CLOSED, (struct span){0}, 0)
                       : smtp_lost(s, 0);
        s->base.is_eof = true;
        return after_eof(s, 0);
    case EVENT_LOST: return smtp_lost(s, 0);
    case EVENT_DEADLINE:
        return smtp_end(s, server_without_tls(&s->base, END_TIMEOUT),
                        (struct span)SPAN("421 4.4.2 Timeout, closing connection\r\n"), 0);
    case EVENT_BUSY:
        return smtp_end(s, event->reason,
                        (struct span)SPAN("421 4.3.2 Too busy, try again later\r\n"), 0);
    case EVENT_DRAIN:
        s->base.is_draining = true;
        if (s->phase == SMTP_GATE && !smtp_is_at_rest(s))
            return verdict_more(0);
        return drain(s, 0);
    case EVENT_ERROR:
        return smtp_end(s, END_ERROR,
                        (struct span)SPAN("421 4.3.0 Out of memory, try again later\r\n"), 0);
    case EVENT_STOP: break;
    }
    return drain(s, 0); /* EVENT_STOP */
}

static enum waiting waiting(const void *machine)
{
    const struct smtp_server *s = machine;

    switch (s->input) {
    case INPUT_CONTENT:
    case INPUT_CHUNK:
    case INPUT_REFUSED_CHUNK:
    case INPUT_LONG_LINE: return WAITING_CONTENT;
    case INPUT_RESPONSE:
    case INPUT_LONG_RESPONSE: return WAITING_CLIENT;
    case INPUT_COMMAND:
    case INPUT_LINE_END:
    case INPUT_PARAMETERS: break;
    }
    return s->phase == SMTP_CONNECTING || s->phase == SMTP_REPLAY || !smtp_is_quiet(s)
               ? WAITING_BACKEND
               : WAITING_CLIENT;
}

/* Both names are in use (RFC 7301 registers none). Other protocols' names are refused: ALPACA ends
 * there. */
static const char *const alpn[] = {"smtp", "esmtp", NULL};

const struct protocol smtp_protocol = {
    .name = "smtp",
    .veto = smtp_verb_veto,
    .clear_port = 25,
    .implicit_port = 465,
    .own_identity = "xclient",
    .alpn = alpn,
    .size = sizeof(struct smtp_server),
    .init = init,
    .step = step,
    .waiting = waiting,
    .probe_init = smtp_probe_init,
    .probe_step = smtp_probe_step,
    .announced = smtp_capabilities_announced,
    .takes_logins = smtp_capabilities_takes_logins,
    .has_relay = true,
    .login_timeout = "5m",
};
