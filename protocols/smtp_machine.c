/* SPDX-License-Identifier: ISC */
/* The ways in which the SMTP module speaks for itself: refusals, strikes, the end. */
#include "protocols/smtp_machine.h"

#include "protocols/verdict.h"

const struct smtp_refusal smtp_unknown = {SPAN("500 5.5.2 Command not recognized\r\n"), NOTE_NONE,
                                          STRIKE_ALWAYS};
static const struct smtp_refusal dirty = {SPAN("500 5.5.2 CR or NUL inside a command\r\n"),
                                          NOTE_NONE, STRIKE_ALWAYS};
const struct smtp_refusal smtp_spoof = {SPAN("550 5.7.1 Not allowed\r\n"), NOTE_SPOOF,
                                        STRIKE_ALWAYS};

const struct smtp_refusal smtp_too_long = {SPAN("500 5.5.2 Line too long\r\n"), NOTE_NONE,
                                           STRIKE_ALWAYS};

bool smtp_is_quiet(const struct smtp_server *s)
{
    return s->pending_count == 0 && s->output == OUTPUT_NOTHING;
}

bool smtp_is_at_rest(const struct smtp_server *s)
{
    return smtp_is_quiet(s) && !s->in_transaction && s->input != INPUT_CONTENT;
}

struct verdict smtp_end(const struct smtp_server *s, enum end end, struct span text, size_t take)
{
    struct verdict v = {
        .kind = VERDICT_CLOSE, .to = SIDE_CLIENT, .end = end, .take = take, .text = text};

    if (s->output != OUTPUT_NOTHING)
        v.text = (struct span){0}; /* it would be read as part of the reply that was begun */
    if (s->input == INPUT_CONTENT)
        v.kind = VERDICT_RESET;
    return v;
}

struct verdict smtp_lost(const struct smtp_server *s, size_t take)
{
    static const struct span text = SPAN("421 4.4.2 Mail server lost, try again later\r\n");

    return smtp_end(s, END_BACKEND_LOST, text, take);
}

enum end smtp_without_tls(const struct smtp_server *s, enum end end)
{
    return s->is_told ? END_TLS_REQUIRED : end;
}

static void strike(struct smtp_server *s, enum smtp_strike kind)
{
    switch (kind) {
    case STRIKE_NEVER: return;
    case STRIKE_ONCE_A_TRANSACTION:
        if (s->is_relay_struck)
            return;
        s->is_relay_struck = true;
        break;
    case STRIKE_ALWAYS: break;
    }
    s->errors++;
    if (s->policy->max_errors == 0 || s->errors < s->policy->max_errors)
        return;
    s->farewell = (struct smtp_farewell){.end = smtp_without_tls(s, END_ERRORS),
                                         .text = SPAN("421 4.7.0 Too many errors\r\n")};
}

struct verdict smtp_refuse(struct smtp_server *s, size_t take, const struct smtp_refusal *r)
{
    struct verdict v = verdict_send(SIDE_CLIENT, take, r->text);

    if (!smtp_is_quiet(s))
        return verdict_hold();
    v.note = r->note;
    if (r->note == NOTE_TLS_NEEDED)
        s->is_told = true;
    strike(s, r->strike);
    return v;
}

/* Refuse when all of it has been read, so that what is dropped goes with the reply. */
static struct verdict refuse_at_end(struct smtp_server *s, size_t take)
{
    struct verdict v = smtp_refuse(s, take, s->refusal);

    if (v.kind == VERDICT_SEND)
        s->input = INPUT_COMMAND;
    return v;
}

struct verdict smtp_discard(struct smtp_server *s, struct span window)
{
    const char *lf;

    if (s->input == INPUT_LONG_LINE) {
        lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);
        if (lf == NULL)
            return verdict_more(window.len);
        return refuse_at_end(s, (size_t)(lf - window.data) + 1);
    }
    if (window.len >= s->chunk_left)
        return refuse_at_end(s, (size_t)s->chunk_left);
    s->chunk_left -= window.len;
    return verdict_more(window.len);
}

/* A BDAT, and nobody knows how much belongs to it: nothing of that may be read as a command. */
static struct verdict unknown_chunk(const struct smtp_server *s, struct span window)
{
    struct verdict v;

    if (!smtp_is_quiet(s))
        return verdict_hold();
    v = smtp_end(s, smtp_without_tls(s, END_VIOLATION),
                 (struct span)SPAN("554 5.7.0 Chunk size not understood\r\n"), window.len);
    v.note = NOTE_SMUGGLING;
    return v;
}

/* What a line that is refused unread begins with: whoever sent it goes on as if it had been read.
 */
static enum smtp_verb apparent_verb(struct span text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '\r' && text.data[len] != '\0')
        len++;
    return smtp_command_parse(span_first(text, len)).verb;
}

struct verdict smtp_dirty_line(struct smtp_server *s, struct span window, const struct line *line)
{
    enum smtp_verb verb = apparent_verb(line->text);
    struct verdict v;

    if (verb == VERB_BDAT)
        return unknown_chunk(s, window);
    v = smtp_refuse(s, line->take, verb == VERB_SPOOF ? &smtp_spoof : &dirty);
    if (verb == VERB_MAIL && v.kind == VERDICT_SEND)
        s->is_mail_refused = true;
    return v;
}

struct verdict smtp_long_line(struct smtp_server *s, struct span window)
{
    enum smtp_verb verb = apparent_verb(span_first(window, SMTP_COMMAND_LINE_MAX));

    if (verb == VERB_BDAT)
        return unknown_chunk(s, window);
    if (verb == VERB_MAIL)
        s->is_mail_refused = true;
    s->input = INPUT_LONG_LINE;
    s->refusal = verb == VERB_SPOOF ? &smtp_spoof : &smtp_too_long;
    return smtp_discard(s, window);
}

struct verdict smtp_bdat(struct smtp_server *s, struct span window, const struct line *line,
                         struct span argument, const struct smtp_refusal *refusal)
{
    unsigned long long size;
    size_t rest = window.len - line->take;

    if (!smtp_chunk_size(argument, &size))
        return unknown_chunk(s, window);
    if (rest >= size)
        return smtp_refuse(s, line->take + (size_t)size, refusal);
    s->input = INPUT_CHUNK;
    s->chunk_left = size - rest;
    s->refusal = refusal;
    return verdict_more(window.len);
}
