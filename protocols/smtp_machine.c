/* SPDX-License-Identifier: ISC */
/* The ways in which the SMTP module speaks for itself: refusals, strikes, the end. */
#include "protocols/smtp_machine.h"

#include "protocols/verdict.h"

const struct smtp_refusal smtp_unknown = {SPAN("500 5.5.2 Command not recognized\r\n"), NOTE_NONE,
                                          STRIKE_ALWAYS};
const struct smtp_refusal smtp_dirty = {SPAN("500 5.5.2 CR or NUL inside a command\r\n"), NOTE_NONE,
                                        STRIKE_ALWAYS};
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
    s->farewell = (struct smtp_farewell){.end = s->is_told ? END_TLS_REQUIRED : END_ERRORS,
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
static struct verdict refuse_at_end(struct smtp_server *s, size_t take,
                                    const struct smtp_refusal *r)
{
    struct verdict v = smtp_refuse(s, take, r);

    if (v.kind == VERDICT_SEND)
        s->input = INPUT_COMMAND;
    return v;
}

struct verdict smtp_discard(struct smtp_server *s, struct span window,
                            const struct smtp_refusal *chunk)
{
    const char *lf;

    if (s->input == INPUT_LONG_LINE) {
        lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);
        if (lf == NULL)
            return verdict_more(window.len);
        return refuse_at_end(s, (size_t)(lf - window.data) + 1, &smtp_too_long);
    }
    if (window.len >= s->chunk_left)
        return refuse_at_end(s, (size_t)s->chunk_left, chunk);
    s->chunk_left -= window.len;
    return verdict_more(window.len);
}

struct verdict smtp_bdat(struct smtp_server *s, struct span window, const struct line *line,
                         struct span argument, const struct smtp_refusal *refusal)
{
    unsigned long long size;
    size_t rest = window.len - line->take;

    if (!smtp_chunk_size(argument, &size)) {
        /* Whatever follows may be meant as content: nothing of it may be read as a command. */
        if (!smtp_is_quiet(s))
            return verdict_hold();
        return smtp_end(s, s->is_told ? END_TLS_REQUIRED : END_VIOLATION,
                        (struct span)SPAN("554 5.7.0 Chunk size not understood\r\n"), window.len);
    }
    if (rest >= size)
        return smtp_refuse(s, line->take + (size_t)size, refusal);
    s->input = INPUT_CHUNK;
    s->chunk_left = size - rest;
    return verdict_more(window.len);
}
