/* SPDX-License-Identifier: ISC */
/* From a backend's first octet to the gate: its approach, and what the client had said to us before a
 * backend was there. With a good greeting a backend has proved itself, and what it then thinks of the
 * client's name is between the two. */
#include <assert.h>

#include "protocols/reply.h"
#include "protocols/smtp_approach.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

static_assert(EVENT_SPACE >= SMTP_APPROACH_SPACE, "what an approach composes fits");

static struct verdict greeted(struct smtp_server *s, enum smtp_phase phase, struct verdict v)
{
    s->phase = phase;
    v.note = NOTE_GREETED;
    return v;
}

static struct verdict say_hello(struct smtp_server *s, size_t take, enum smtp_verb verb)
{
    const struct span part[] = {
        verb == VERB_EHLO ? (struct span)SPAN("EHLO ") : (struct span)SPAN("HELO "),
        {s->name, s->name_len},
        LINE_END,
    };

    s->replayed = verb;
    return verdict_send(SIDE_BACKEND, take, reply_join(s->base.space, EVENT_SPACE, part, 3));
}

/* To a client that has had no greeting of ours. The backend's is of use only if nothing has come
 * between the two: what it said in the clear is not for those inside TLS. */
static struct verdict pass_greeting(struct smtp_server *s, struct span window, size_t take)
{
    if (s->base.policy->greeting != NULL || !approach_is_greeting_alone(&s->approach))
        return smtp_greet(s, take);
    smtp_expect(s, PENDING_GREETING);
    return smtp_answer_step(s, window);
}

static struct verdict ready(struct smtp_server *s, struct span window, size_t take)
{
    if (s->base.policy->tls != FRONT_STARTTLS)
        return greeted(s, SMTP_GATE, pass_greeting(s, window, take));
    if (s->hello == VERB_UNKNOWN)
        return greeted(s, SMTP_GATE, verdict_more(take));
    return greeted(s, SMTP_REPLAY, say_hello(s, take, s->hello));
}

static struct verdict approach(struct smtp_server *s, struct span window)
{
    const struct approach_step step = smtp_approach_step(&s->approach, window, s->base.space);

    return step.state == APPROACH_READY ? ready(s, window, step.take) : approach_verdict(&step);
}

/* The client has had its reply from us. A backend without EHLO gets HELO; if it does not like the
 * client's name even then, it will say so when it is asked for more. */
static struct verdict replay(struct smtp_server *s, struct span window)
{
    static const struct span text = SPAN("421 4.4.1 Mail server refuses this session\r\n");
    enum smtp_client_result result;
    unsigned code;
    size_t len;

    result = smtp_client_whole(&s->backend, window, &len);
    code = s->backend.code;
    if (result == SMTP_CLIENT_PARTIAL && window.len < WINDOW_MAX)
        return verdict_more(0);
    if (result != SMTP_CLIENT_LAST || len < window.len || code / 100 == 3)
        return smtp_violation(s, window);
    if (code == 421)
        return smtp_end(s, END_BACKEND_REFUSED, text, window.len);
    smtp_client_next(&s->backend);
    if (s->replayed == VERB_EHLO && code >= 400)
        return say_hello(s, window.len, VERB_HELO);
    if (s->replayed == VERB_EHLO)
        s->offers = smtp_capabilities_offers(window, s->base.policy);
    s->phase = SMTP_GATE;
    return verdict_more(window.len);
}

struct verdict smtp_connect_step(struct smtp_server *s, struct span window)
{
    return s->phase == SMTP_REPLAY ? replay(s, window) : approach(s, window);
}

struct verdict smtp_connect_secured(struct smtp_server *s)
{
    s->approach.is_secure = true;
    return approach(s, (struct span){"", 0});
}
