/* SPDX-License-Identifier: ISC */
/* The ways in which the POP3 module speaks for itself: refusals, strikes, the end. */
#include "protocols/pop3_machine.h"

#include <assert.h>

#include "protocols/foreign.h"
#include "protocols/reply.h"
#include "protocols/verdict.h"

const struct pop3_refusal pop3_unknown = {SPAN("-ERR Command not recognized\r\n"), NOTE_NONE};
const struct pop3_refusal pop3_spoof = {SPAN("-ERR Not allowed\r\n"), NOTE_SPOOF};
const struct pop3_refusal pop3_too_long = {SPAN("-ERR Line too long\r\n"), NOTE_NONE};
const struct pop3_refusal pop3_syntax = {SPAN("-ERR Syntax error in the command\r\n"), NOTE_NONE};
static const struct pop3_refusal dirty = {SPAN("-ERR Control character inside a command\r\n"),
                                          NOTE_NONE};

bool pop3_is_quiet(const struct pop3_server *p)
{
    return p->pending_count == 0;
}

bool pop3_is_clients_turn(const struct pop3_server *p)
{
    return p->input == INPUT_RESPONSE || p->input == INPUT_LONG_RESPONSE;
}

void pop3_expect(struct pop3_server *p, enum pop3_pending what)
{
    assert(p->pending_count < POP3_OUTSTANDING_MAX);
    p->pending[(p->first + p->pending_count) % POP3_OUTSTANDING_MAX] = (unsigned char)what;
    p->pending_count++;
}

static const struct span lost = SPAN("-ERR [SYS/TEMP] Mail server lost, try again later\r\n");

struct verdict pop3_lost(size_t take)
{
    return verdict_close(take, END_BACKEND_LOST, lost);
}

struct verdict pop3_violation(struct span window)
{
    return verdict_close_noted(window.len, END_BACKEND_LOST, lost, NOTE_BACKEND_REPLY);
}

struct verdict pop3_http(struct span window)
{
    return verdict_close_noted(window.len, END_VIOLATION, (struct span){0}, NOTE_HTTP);
}

void pop3_strike(struct pop3_server *p)
{
    server_strike(&p->base, (struct span)SPAN("-ERR Too many errors\r\n"));
}

struct verdict pop3_refuse(struct pop3_server *p, size_t take, const struct pop3_refusal *r)
{
    struct verdict v = verdict_send(SIDE_CLIENT, take, r->text);

    if (!pop3_is_quiet(p))
        return verdict_hold();
    v.note = r->note;
    if (r->note == NOTE_TLS_NEEDED)
        p->base.is_told = true;
    pop3_strike(p);
    return v;
}

struct verdict pop3_skip_line(struct pop3_server *p, struct span window)
{
    const char *lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);
    struct verdict v;

    if (lf == NULL)
        return verdict_more(window.len);
    v = pop3_refuse(p, (size_t)(lf - window.data) + 1, p->refusal);
    if (v.kind == VERDICT_SEND)
        p->input = INPUT_COMMAND;
    return v;
}

/* What a line is that is refused unread: up to where some reader sees its end. */
static struct span apparent(struct span text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '\r' && text.data[len] != '\0')
        len++;
    return span_first(text, len);
}

/* A claim to another's identity is one in whatever line it stands. */
static const struct pop3_refusal *unless_spoof(struct span text, const struct pop3_refusal *r)
{
    return pop3_command_parse(text).verb == VERB_SPOOF ? &pop3_spoof : r;
}

struct verdict pop3_long_line(struct pop3_server *p, struct span window)
{
    const struct span text = apparent(span_first(window, POP3_COMMAND_LINE_MAX));

    if (foreign_is_http(text))
        return pop3_http(window);
    p->input = INPUT_LONG_LINE;
    p->refusal = unless_spoof(text, &pop3_too_long);
    return pop3_skip_line(p, window);
}

struct verdict pop3_dirty_line(struct pop3_server *p, struct span window, const struct line *line)
{
    const struct span text = apparent(line->text);

    if (foreign_is_http(text))
        return pop3_http(window);
    return pop3_refuse(p, line->take, unless_spoof(text, &dirty));
}

struct span pop3_greeting(const struct pop3_server *p)
{
    const struct policy *policy = p->base.policy;
    const char *words = policy->greeting == NULL ? policy->hostname : policy->greeting;
    const struct span part[] = {
        SPAN("+OK "),
        span_first(span_of(words), SERVER_GREETING_MAX),
        span_of(policy->greeting == NULL ? " ready\r\n" : "\r\n"),
    };
    struct span text = reply_join(p->base.space, EVENT_SPACE, part, 3);

    for (size_t i = 0; i < text.len; i++)
        if (p->base.space[i] == '<' || p->base.space[i] == '>')
            p->base.space[i] = p->base.space[i] == '<' ? '(' : ')';
    return text;
}
