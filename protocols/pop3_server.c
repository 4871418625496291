/* SPDX-License-Identifier: ISC */
/* POP3 (RFC 1939, 2449, 2595, 5034): the server role, played toward the client up to its login. Here
 * an event finds its way: what the client says to pop3_gate.c, and on to pop3_preamble.c while there
 * is no backend; what the backend says to pop3_answer.c. */
#include "protocols/pop3_capabilities.h"
#include "protocols/pop3_machine.h"
#include "protocols/pop3_probe.h"
#include "protocols/verdict.h"

static void init(void *machine, const struct policy *policy, const struct facts *facts)
{
    *(struct pop3_server *)machine = (struct pop3_server){
        .base = server_blank(policy, facts),
        .phase = server_is_alone(policy, facts->is_secure) ? POP3_PREAMBLE : POP3_CONNECTING,
    };
}

static struct verdict on_client(struct pop3_server *p)
{
    return p->phase == POP3_PREAMBLE ? verdict_send(SIDE_CLIENT, 0, pop3_greeting(p))
                                     : verdict_connect();
}

static struct verdict drain(size_t take)
{
    static const struct span text = SPAN("-ERR [SYS/TEMP] Shutting down, try again later\r\n");

    return verdict_close(take, END_DRAINED, text);
}

/* A goodbye loses nothing. */
static bool is_at_rest(const struct pop3_server *p)
{
    return pop3_is_quiet(p) || pop3_is_clients_turn(p);
}

/* The client has said all it will: replies that are owed are still delivered, then it is over. A
 * backend that waits for a command gets the last one. */
static struct verdict after_eof(const struct pop3_server *p, size_t take)
{
    struct verdict v =
        verdict_close(take, server_without_tls(&p->base, END_CLIENT_CLOSED), (struct span){0});

    if (!is_at_rest(p))
        return verdict_more(0);
    if (p->phase == POP3_GATE && pop3_is_quiet(p)) {
        v.to = SIDE_BACKEND;
        v.text = (struct span)SPAN("QUIT\r\n");
    }
    return v;
}

static struct verdict on_bytes(struct pop3_server *p, enum side side, struct span window)
{
    if (p->phase == POP3_GATE && p->base.is_draining && pop3_is_quiet(p))
        return drain(window.len);
    if (side == SIDE_CLIENT)
        return p->phase == POP3_CONNECTING ? verdict_hold() : pop3_gate_step(p, window);
    if (p->phase != POP3_GATE)
        return pop3_connect_step(p, window);
    if (p->base.is_eof && is_at_rest(p))
        return after_eof(p, window.len);
    return pop3_answer_step(p, window);
}

static struct verdict on_eof(struct pop3_server *p, enum side side)
{
    if (side == SIDE_CLIENT) {
        p->base.is_eof = true;
        return after_eof(p, 0);
    }
    return p->phase == POP3_GATE && pop3_is_quiet(p)
               ? verdict_close(0, END_BACKEND_CLOSED, (struct span){0})
               : pop3_lost(0);
}

/* TLS with the backend. */
static struct verdict secured(struct pop3_server *p, struct span window)
{
    p->approach.is_secure = true;
    return pop3_connect_step(p, window);
}

static struct verdict step(void *machine, const struct event *event, struct span window)
{
    struct pop3_server *p = machine;

    p->base.space = event->space;
    if (p->base.farewell.end != END_NONE)
        return verdict_close(window.len, p->base.farewell.end, p->base.farewell.text);
    switch (event->kind) {
    case EVENT_BYTES: return on_bytes(p, event->side, window);
    case EVENT_CONNECTED:
        return event->side == SIDE_CLIENT
                   ? on_client(p)
                   : approach_begin(&p->approach, p->base.policy, p->base.identity, event);
    case EVENT_SECURED: return event->side == SIDE_CLIENT ? verdict_connect() : secured(p, window);
    case EVENT_BACKEND_FAILED:
        return verdict_close(
            0, event->reason,
            (struct span)SPAN("-ERR [SYS/TEMP] No mail server answers, try again later\r\n"));
    case EVENT_EOF: return on_eof(p, event->side);
    case EVENT_LOST: return pop3_lost(0);
    case EVENT_DEADLINE: /* RFC 1939, section 3: without a word */
        return verdict_close(0, server_without_tls(&p->base, END_TIMEOUT), (struct span){0});
    case EVENT_BUSY:
        return verdict_close(0, event->reason,
                             (struct span)SPAN("-ERR [SYS/TEMP] Too busy, try again later\r\n"));
    case EVENT_DRAIN:
        p->base.is_draining = true;
        return p->phase == POP3_GATE && !pop3_is_quiet(p) ? verdict_more(0) : drain(0);
    case EVENT_ERROR:
        return verdict_close(
            0, END_ERROR, (struct span)SPAN("-ERR [SYS/TEMP] Out of memory, try again later\r\n"));
    case EVENT_STOP: break;
    }
    return drain(0); /* EVENT_STOP */
}

static enum waiting waiting(const void *machine)
{
    const struct pop3_server *p = machine;

    switch (p->input) {
    case INPUT_LONG_LINE: return WAITING_CONTENT;
    case INPUT_RESPONSE:
    case INPUT_LONG_RESPONSE: return WAITING_CLIENT;
    case INPUT_COMMAND: break;
    }
    return p->phase == POP3_CONNECTING || !pop3_is_quiet(p) ? WAITING_BACKEND : WAITING_CLIENT;
}

static const char *const alpn[] = {"pop3", NULL}; /* RFC 7301's registry */

const struct protocol pop3_protocol = {
    .name = "pop3",
    .veto = pop3_verb_veto,
    .idle_timeout = "11m",
    .clear_port = 110,
    .implicit_port = 995,
    .own_identity = "xclient",
    .alpn = alpn,
    .size = sizeof(struct pop3_server),
    .init = init,
    .step = step,
    .waiting = waiting,
    .probe_init = pop3_probe_init,
    .probe_step = pop3_probe_step,
    .announced = pop3_capabilities_announced,
    .takes_logins = pop3_capabilities_takes_logins,
};
