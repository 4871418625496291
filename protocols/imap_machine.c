/* SPDX-License-Identifier: ISC */
/* The ways in which the IMAP module speaks for itself: refusals, strikes, the end. */
#include "protocols/imap_machine.h"

#include "protocols/reply.h"
#include "protocols/verdict.h"

const struct imap_refusal imap_syntax = {SPAN(" BAD Syntax error in arguments\r\n"), NOTE_NONE};
const struct imap_refusal imap_too_long = {SPAN(" BAD Command too long\r\n"), NOTE_NONE};

const struct span imap_many_errors = SPAN("* BYE Too many errors\r\n");

static bool is_outstanding(const struct imap_server *s)
{
    switch (s->turn) {
    case IMAP_TURN_COMMAND:
    case IMAP_TURN_LONG_LINE: return false;
    case IMAP_TURN_ANSWER:
    case IMAP_TURN_GO_AHEAD:
    case IMAP_TURN_PART:
    case IMAP_TURN_RESPONSE:
    case IMAP_TURN_LONG_RESPONSE: break;
    }
    return true;
}

bool imap_is_quiet(const struct imap_server *s)
{
    return !is_outstanding(s) && s->output == IMAP_OUTPUT_LINES;
}

bool imap_is_clients_turn(const struct imap_server *s)
{
    return s->turn == IMAP_TURN_RESPONSE || s->turn == IMAP_TURN_LONG_RESPONSE;
}

bool imap_is_at_rest(const struct imap_server *s)
{
    return imap_is_quiet(s) && s->invited == 0;
}

struct verdict imap_end(const struct imap_server *s, enum end end, struct span text, size_t take)
{
    struct verdict v = verdict_close(take, end, text);

    /* It would be read as part of a line that was begun, or has been said already. */
    if (s->output != IMAP_OUTPUT_LINES || s->is_bye)
        v.text = (struct span){0};
    return v;
}

struct verdict imap_attack(const struct imap_server *s, struct span window, enum note note,
                           struct span text)
{
    struct verdict v = imap_end(s, END_VIOLATION, text, window.len);

    v.note = note;
    return v;
}

struct verdict imap_lost(const struct imap_server *s, size_t take)
{
    static const struct span text =
        SPAN("* BYE [UNAVAILABLE] Mail server lost, try again later\r\n");

    return imap_end(s, END_BACKEND_LOST, text, take);
}

struct verdict imap_violation(const struct imap_server *s, struct span window)
{
    struct verdict v = imap_lost(s, window.len);

    v.note = NOTE_BACKEND_REPLY;
    return v;
}

struct verdict imap_refuse(struct imap_server *s, size_t take, struct span tag,
                           const struct imap_refusal *r)
{
    const struct span part[] = {tag.len > 0 ? tag : (struct span)SPAN("*"), r->text};
    struct verdict v =
        verdict_send(SIDE_CLIENT, take, reply_join(s->base.space, EVENT_SPACE, part, 2));

    v.note = r->note;
    if (r->note == NOTE_TLS_NEEDED)
        s->base.is_told = true;
    s->invited = 0;
    server_strike(&s->base, imap_many_errors);
    return v;
}

void imap_expect(struct imap_server *s, const struct imap_command *command)
{
    s->verb = command->verb;
    s->tag_len = command->tag.len;
    if (s->tag_len > 0)
        memcpy(s->tag, command->tag.data, s->tag_len);
    s->part = 0;
    s->has_credentials = s->is_cancelled = false;
    s->has_initial = s->knows_initial;
}
