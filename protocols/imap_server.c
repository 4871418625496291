/* SPDX-License-Identifier: ISC */
/* IMAP (RFC 9051, 3501): the server role, played toward the client up to its login. Here an event
 * finds its way: what the client says to imap_gate.c, and what the backend says to imap_answer.c. */
#include "protocols/imap_capabilities.h"
#include "protocols/imap_machine.h"
#include "protocols/imap_probe.h"
#include "protocols/verdict.h"

static void init(void *machine, const struct policy *policy, const struct facts *facts)
{
    struct imap_server *s = machine;

    *s = (struct imap_server){
        .base = server_blank(policy, facts),
        .phase = server_is_alone(policy, facts->is_secure) ? IMAP_PREAMBLE : IMAP_CONNECTING,
    };
}

static struct verdict on_client(struct imap_server *s)
{
    return s->phase == IMAP_PREAMBLE ? imap_preamble_greet(s) : verdict_connect();
}

/* One, or another one: nothing is known of it. */
static struct verdict on_backend(struct imap_server *s, const struct event *event)
{
    s->phase = IMAP_CONNECTING;
    s->knows_initial = false;
    return approach_begin(&s->approach, s->base.policy, s->base.identity, event);
}

static struct verdict drain(const struct imap_server *s, size_t take)
{
    static const struct span text = SPAN("* BYE [UNAVAILABLE] Shutting down, try again later\r\n");

    return imap_end(s, END_DRAINED, text, take);
}

/* The client has said all it will: an answer that is owed is still delivered, then it is over. A
 * backend that waits for a command gets the last one. */
static struct verdict after_eof(const struct imap_server *s, size_t take)
{
    struct verdict v;

    if (!imap_is_quiet(s) && !imap_is_clients_turn(s))
        return verdict_more(0);
    v = imap_end(s, server_without_tls(&s->base, END_CLIENT_CLOSED), (struct span){0}, take);
    if (s->phase == IMAP_GATE && imap_is_quiet(s)) {
        v.to = SIDE_BACKEND;
        v.text = (struct span)SPAN("starttlsd LOGOUT\r\n");
    }
    return v;
}

static struct verdict on_client_eof(struct imap_server *s)
{
    s->base.is_eof = true;
    return after_eof(s, 0);
}

static struct verdict on_backend_eof(const struct imap_server *s)
{
    if (s->is_bye && s->verb == IMAP_LOGOUT) /* some close before they answer */
        return imap_end(s, END_CLIENT_QUIT, (struct span){0}, 0);
    return s->phase == IMAP_GATE && imap_is_quiet(s)
               ? imap_end(s, END_BACKEND_CLOSED, (struct span){0}, 0)
               : imap_lost(s, 0);
}

static struct verdict on_client_bytes(struct imap_server *s, struct span window)
{
    return s->phase == IMAP_CONNECTING ? verdict_hold() : imap_client_step(s, window);
}

static struct verdict on_bytes(struct imap_server *s, enum side side, struct span window)
{
    if (s->phase == IMAP_GATE && s->base.is_draining && imap_is_at_rest(s))
        return drain(s, window.len);
    if (side == SIDE_CLIENT)
        return on_client_bytes(s, window);
    if (s->phase != IMAP_GATE)
        return imap_connect_step(s, window);
    if (s->base.is_eof && (imap_is_quiet(s) || imap_is_clients_turn(s)))
        return after_eof(s, window.len);
    return imap_answer_step(s, window);
}

/* TLS with the backend. */
static struct verdict secured(struct imap_server *s, struct span window)
{
    s->approach.is_secure = true;
    return imap_connect_step(s, window);
}

static struct verdict step(void *machine, const struct event *event, struct span window)
{
    static const struct span unreachable =
        SPAN("* BYE [UNAVAILABLE] No mail server answers, try again later\r\n");
    static const struct span timeout = SPAN("* BYE Timeout, closing connection\r\n");
    static const struct span busy = SPAN("* BYE [UNAVAILABLE] Too busy, try again later\r\n");
    static const struct span no_memory =
        SPAN("* BYE [UNAVAILABLE] Out of memory, try again later\r\n");
    struct imap_server *s = machine;
    const struct server *base = &s->base;

    s->base.space = event->space;
    if (base->farewell.end != END_NONE)
        return imap_end(s, base->farewell.end, base->farewell.text, window.len);
    switch (event->kind) {
    case EVENT_BYTES: return on_bytes(s, event->side, window);
    case EVENT_CONNECTED: return event->side == SIDE_CLIENT ? on_client(s) : on_backend(s, event);
    case EVENT_SECURED: return event->side == SIDE_CLIENT ? verdict_connect() : secured(s, window);
    case EVENT_BACKEND_FAILED: return imap_end(s, event->reason, unreachable, 0);
    case EVENT_EOF: return event->side == SIDE_BACKEND ? on_backend_eof(s) : on_client_eof(s);
    case EVENT_LOST: return imap_lost(s, 0);
    case EVENT_DEADLINE: return imap_end(s, server_without_tls(base, END_TIMEOUT), timeout, 0);
    case EVENT_BUSY: return imap_end(s, event->reason, busy, 0);
    case EVENT_DRAIN:
        s->base.is_draining = true;
        if (s->phase == IMAP_GATE && !imap_is_at_rest(s))
            return verdict_more(0);
        return drain(s, 0);
    case EVENT_ERROR: return imap_end(s, END_ERROR, no_memory, 0);
    case EVENT_STOP: break;
    }
    return drain(s, 0); /* EVENT_STOP */
}

static enum waiting waiting(const void *machine)
{
    const struct imap_server *s = machine;

    if (s->phase == IMAP_CONNECTING)
        return WAITING_BACKEND;
    return imap_is_quiet(s) || imap_is_clients_turn(s) ? WAITING_CLIENT : WAITING_BACKEND;
}

static const char *const alpn[] = {"imap", NULL}; /* RFC 7301's registry */

const struct protocol imap_protocol = {
    .name = "imap",
    .veto = imap_command_veto,
    .clear_port = 143,
    .implicit_port = 993,
    .own_identity = "id",
    .idle_timeout = "31m", /* RFC 9051, section 5.4: half an hour at least */
    .alpn = alpn,
    .size = sizeof(struct imap_server),
    .init = init,
    .step = step,
    .waiting = waiting,
    .probe_init = imap_probe_init,
    .probe_step = imap_probe_step,
    .announced = imap_capabilities_announced,
    .takes_logins = imap_capabilities_takes_logins,
};
