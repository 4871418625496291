/* SPDX-License-Identifier: ISC */
/* BDAT (RFC 3030): a chunk is counted, never read, and passes unaltered. A backend that refuses the
 * command may not skip its chunk, but read it for commands (Exim 4.96 does, once it is out of
 * humour). So a chunk is passed on only where nothing could be refused: everything before it has
 * been answered, a message is under way, nothing of it has failed, and between two chunks comes
 * nothing else. It passes in our own words, so that its size reads the same to everybody. A chunk
 * that we refuse goes nowhere. */
#include "protocols/reply.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"
#include "protocols/word.h"

static const struct smtp_refusal not_offered = {SPAN("502 5.5.1 BDAT is not available\r\n"),
                                                NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal bad_argument = {SPAN("501 5.5.4 Syntax error in BDAT\r\n"),
                                                 NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal no_message = {SPAN("503 5.5.1 MAIL and RCPT first\r\n"), NOTE_NONE,
                                               STRIKE_ALWAYS};
static const struct smtp_refusal no_recipient = {SPAN("554 5.5.1 No valid recipients\r\n"),
                                                 NOTE_NONE, STRIKE_NEVER};
static const struct smtp_refusal too_big = {SPAN("552 5.3.4 Message too big\r\n"), NOTE_NONE,
                                            STRIKE_NEVER};
const struct smtp_refusal smtp_spoilt = {SPAN("503 5.5.1 A command has failed, RSET first\r\n"),
                                         NOTE_NONE, STRIKE_NEVER};

struct verdict smtp_unknown_chunk(const struct smtp_server *s, struct span window)
{
    struct verdict v;

    if (!smtp_is_quiet(s))
        return verdict_hold();
    v = smtp_end(s, server_without_tls(&s->base, END_VIOLATION),
                 (struct span)SPAN("554 5.7.0 Chunk size not understood\r\n"), window.len);
    v.note = NOTE_SMUGGLING;
    return v;
}

bool smtp_is_last(struct span argument)
{
    static const struct span last = SPAN("LAST");

    return argument.len > last.len &&
           span_equals(span_skip(argument, argument.len - last.len), last) &&
           word_is_blank(argument.data[argument.len - last.len - 1]);
}

/* Why no chunk can come now; NULL: one may. */
static const struct smtp_refusal *judge(const struct smtp_server *s, const struct smtp_chunk *chunk)
{
    if (!s->offers.chunking)
        return &not_offered;
    if (!chunk->is_exact)
        return &bad_argument;
    if (!s->in_transaction)
        return &no_message;
    if (s->is_spoilt)
        return &smtp_spoilt;
    if (!s->has_recipient)
        return &no_recipient;
    /* It would be refused for its size: the backend might not read it. */
    if (s->offers.size > 0 && chunk->size > s->offers.size - s->chunked)
        return &too_big;
    /* Nothing, and no end either: of no use to anybody, and some servers stumble over it. */
    return chunk->size == 0 && !chunk->is_last ? &bad_argument : NULL;
}

/* Refuse when all of it has been read, so that what is dropped goes with the reply. */
static struct verdict discard(struct smtp_server *s, size_t take)
{
    struct verdict v = smtp_refuse(s, take, s->refusal);

    if (v.kind == VERDICT_SEND)
        s->input = INPUT_COMMAND;
    return v;
}

static struct verdict refuse(struct smtp_server *s, struct span window, const struct line *line,
                             size_t size, const struct smtp_refusal *refusal)
{
    size_t rest = window.len - line->take;

    s->is_spoilt = s->in_transaction; /* what follows would be a message with a hole */
    s->refusal = refusal;
    if (rest >= size)
        return discard(s, line->take + size);
    s->input = INPUT_REFUSED_CHUNK;
    s->chunk_left = size - rest;
    return verdict_more(window.len);
}

#define DIGITS_MAX 20

/* Decimal, at the end of `digits`. */
static struct span decimal(size_t number, char digits[DIGITS_MAX])
{
    size_t at = DIGITS_MAX;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct span){digits + at, DIGITS_MAX - at};
}

static struct verdict pass(struct smtp_server *s, const struct line *line,
                           const struct smtp_chunk *chunk)
{
    char digits[DIGITS_MAX];
    const struct span part[] = {
        SPAN("BDAT "),
        decimal(chunk->size, digits),
        chunk->is_last ? (struct span)SPAN(" LAST") : (struct span){0},
        LINE_END,
    };

    s->in_chunks = true;
    s->chunked += chunk->size;
    smtp_expect(s, chunk->is_last ? PENDING_LAST_CHUNK : PENDING_CHUNK);
    s->chunk_left = chunk->size;
    s->input = chunk->size > 0 ? INPUT_CHUNK : INPUT_COMMAND;
    return verdict_send(SIDE_BACKEND, line->take, reply_join(s->base.space, EVENT_SPACE, part, 4));
}

struct verdict smtp_bdat(struct smtp_server *s, struct span window, const struct line *line,
                         struct span argument, const struct smtp_refusal *refusal)
{
    struct smtp_chunk chunk;

    if (!smtp_chunk_parse(argument, &chunk))
        return smtp_unknown_chunk(s, window);
    if (!smtp_is_quiet(s))
        return verdict_hold(); /* whether a message is under way is not known before */
    if (refusal == NULL)
        refusal = judge(s, &chunk);
    return refusal == NULL ? pass(s, line, &chunk) : refuse(s, window, line, chunk.size, refusal);
}

struct verdict smtp_refused_chunk(struct smtp_server *s, struct span window)
{
    if (window.len >= s->chunk_left)
        return discard(s, s->chunk_left);
    s->chunk_left -= window.len;
    return verdict_more(window.len);
}

struct verdict smtp_chunk(struct smtp_server *s, struct span window)
{
    size_t take = window.len < s->chunk_left ? window.len : s->chunk_left;

    if (take == 0)
        return verdict_more(0);
    s->chunk_left -= take;
    if (s->chunk_left == 0)
        s->input = INPUT_COMMAND;
    return verdict_forward(SIDE_BACKEND, take);
}
