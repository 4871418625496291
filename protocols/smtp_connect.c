/* SPDX-License-Identifier: ISC */
/* From a backend's first octet to the gate: its greeting, and what the client had said to us before
 * a backend was there. A backend that greets badly is left for the next one; with its greeting it
 * has proved itself, and what it then thinks of the client's name is between the two. */
#include "protocols/reply.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

enum whole { WHOLE_NOT_YET, WHOLE_NEVER, WHOLE_HERE };

/* Is all of the window one reply? Nothing may stand behind it: a backend cannot know yet what we
 * will ask. */
static enum whole whole_reply(struct smtp_server *s, struct span window)
{
    size_t len;

    switch (smtp_client_whole(&s->backend, window, &len)) {
    case SMTP_CLIENT_PARTIAL:
    case SMTP_CLIENT_LINE: return window.len < WINDOW_MAX ? WHOLE_NOT_YET : WHOLE_NEVER;
    case SMTP_CLIENT_BAD: return WHOLE_NEVER;
    case SMTP_CLIENT_LAST: break;
    }
    return len < window.len ? WHOLE_NEVER : WHOLE_HERE;
}

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

/* Where the client had no greeting of ours, the backend's is passed on, or what the administrator
 * wrote in its place. */
static struct verdict pass_greeting(struct smtp_server *s, struct span window)
{
    const struct span part[] = {
        SPAN("220 "),
        span_first(span_of(s->base.policy->greeting), SERVER_GREETING_MAX),
        LINE_END,
    };

    if (s->base.policy->greeting != NULL) {
        smtp_client_next(&s->backend);
        return greeted(
            s, SMTP_GATE,
            verdict_send(SIDE_CLIENT, window.len, reply_join(s->base.space, EVENT_SPACE, part, 3)));
    }
    smtp_expect(s, PENDING_GREETING);
    return greeted(s, SMTP_GATE, smtp_answer_step(s, window));
}

static struct verdict greeting(struct smtp_server *s, struct span window)
{
    switch (whole_reply(s, window)) {
    case WHOLE_NOT_YET: return verdict_more(0);
    case WHOLE_NEVER:
        return verdict_next_backend(window.len, END_BACKEND_REFUSED, "its greeting will not do");
    case WHOLE_HERE: break;
    }
    if (s->backend.code != 220)
        return verdict_next_backend(window.len, END_BACKEND_REFUSED, "its greeting will not do");
    if (s->base.policy->tls != FRONT_STARTTLS)
        return pass_greeting(s, window);
    smtp_client_next(&s->backend);
    if (s->hello == VERB_UNKNOWN)
        return greeted(s, SMTP_GATE, verdict_more(window.len));
    return greeted(s, SMTP_REPLAY, say_hello(s, window.len, s->hello));
}

/* The client has had its reply from us. A backend without EHLO gets HELO; if it does not like the
 * client's name even then, it will say so when it is asked for more. */
static struct verdict replay(struct smtp_server *s, struct span window)
{
    static const struct span text = SPAN("421 4.4.1 Mail server refuses this session\r\n");
    unsigned code;

    switch (whole_reply(s, window)) {
    case WHOLE_NOT_YET: return verdict_more(0);
    case WHOLE_NEVER: return smtp_violation(s, window);
    case WHOLE_HERE: break;
    }
    code = s->backend.code;
    if (code / 100 == 3)
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
    return s->phase == SMTP_REPLAY ? replay(s, window) : greeting(s, window);
}
