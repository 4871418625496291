/* SPDX-License-Identifier: ISC */
/* What a backend says, on its way to the client: each reply is paired with the command that it
 * answers, and what no server may say here ends the session. */
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

/* May a reply with this code come now? 421 may at any time (RFC 5321, section 3.8). */
static bool is_in_order(const struct smtp_server *s, unsigned code)
{
    if (code == 421)
        return true;
    if (s->pending_count == 0 || s->input == INPUT_RESPONSE || s->input == INPUT_LONG_RESPONSE)
        return false;
    switch ((enum smtp_pending)s->pending[s->first]) {
    case PENDING_DATA:
        return code == 354 || code >= 400; /* after 2xx nobody knows what comes next */
    case PENDING_AUTH:                     /* no exchange lets nobody in */
        return code == 334 || code >= 400 ||
               (code == 235 && s->has_credentials && !s->is_cancelled);
    /* Accepted before it was said: the client would forget a message that nobody has. */
    case PENDING_CONTENT: return s->input == INPUT_CONTENT ? code >= 400 : code / 100 != 3;
    case PENDING_CHUNK:
    case PENDING_LAST_CHUNK: return s->input == INPUT_CHUNK ? code >= 400 : code / 100 != 3;
    case PENDING_PLAIN:
    case PENDING_EHLO:
    case PENDING_HELO:
    case PENDING_RSET:
    case PENDING_MAIL:
    case PENDING_MAIL_8BIT:
    case PENDING_RCPT:
    case PENDING_GREETING:
    case PENDING_QUIT: break;
    }
    return code / 100 != 3;
}

/* The same command will have a second answer: its place in the ring is kept. */
static bool is_intermediate(unsigned code)
{
    return code == 354 || code == 334;
}

static void begin_content(struct smtp_server *s)
{
    smtp_content_init(&s->content, s->base.policy->bare_newline, !s->is_eight_bit);
    s->input = INPUT_CONTENT;
    s->pending[s->first] = PENDING_CONTENT;
}

static void end_transaction(struct smtp_server *s)
{
    s->in_transaction = s->has_recipient = s->is_spoilt = s->in_chunks = false;
    s->is_eight_bit = false;
    s->chunked = 0;
}

/* The backend has judged a message, or a chunk of one. What still comes of it could be taken for
 * commands now (DESIGN, section 5). */
static void conclude_content(struct smtp_server *s)
{
    if (s->input == INPUT_CONTENT || s->input == INPUT_CHUNK)
        s->base.farewell.end = END_BACKEND_LOST;
}

/* It has closed, or will (RFC 5321, section 3.8). */
static void conclude_421(struct smtp_server *s)
{
    bool was_last = s->pending_count == 0 && s->input != INPUT_CONTENT && s->input != INPUT_CHUNK;

    s->base.farewell.end = was_last ? END_BACKEND_CLOSED : END_BACKEND_LOST;
}

/* A reply to this command has passed. */
static enum note conclude_command(struct smtp_server *s, enum smtp_pending answered, unsigned code)
{
    bool is_good = code / 100 == 2;

    if (code >= 400 && answered != PENDING_RCPT)
        s->is_spoilt = true;
    switch (answered) {
    case PENDING_PLAIN:
    case PENDING_GREETING: break;
    case PENDING_EHLO:
    case PENDING_HELO:
    case PENDING_RSET:
        if (is_good)
            end_transaction(s);
        if (answered == PENDING_RSET)
            break;
        s->offers = (struct smtp_offers){0}; /* a refused hello may have ended them too */
        s->is_eight_bit = false;
        break;
    case PENDING_MAIL:
    case PENDING_MAIL_8BIT:
        s->is_eight_bit = false; /* even a refused one may have been read so far */
        if (!is_good)
            break;
        end_transaction(s); /* some backends need no RSET before it */
        s->in_transaction = true;
        s->is_eight_bit = s->offers.eight_bit && answered == PENDING_MAIL_8BIT;
        return NOTE_ADMITTED;
    case PENDING_RCPT: s->has_recipient = s->has_recipient || is_good; break;
    case PENDING_DATA:
        if (code == 354)
            begin_content(s);
        break;
    case PENDING_AUTH:
        if (code != 334)
            return smtp_auth_conclude(s, code);
        s->input = INPUT_RESPONSE;
        break;
    case PENDING_CHUNK:
        conclude_content(s);
        if (is_good && s->in_transaction) /* a BURL begins them only now */
            s->in_chunks = true;
        break;
    case PENDING_CONTENT:
    case PENDING_LAST_CHUNK:
        conclude_content(s);
        end_transaction(s);
        return is_good ? NOTE_MESSAGE : NOTE_NONE;
    case PENDING_QUIT:
        if (is_good)
            s->base.farewell.end = END_CLIENT_QUIT;
        break;
    }
    return NOTE_NONE;
}

/* The reply has passed: what does it change? */
static enum note conclude(struct smtp_server *s)
{
    unsigned code = s->backend.code;
    enum smtp_pending answered = (enum smtp_pending)s->pending[s->first];

    smtp_client_next(&s->backend);
    s->output = OUTPUT_NOTHING;
    s->reply_lines = 0;
    if (s->pending_count > 0 && !is_intermediate(code)) {
        s->pending_count--;
        s->first = (s->first + 1) % SMTP_OUTSTANDING_MAX;
    }
    if (code != 421)
        return conclude_command(s, answered, code);
    conclude_421(s);
    return NOTE_NONE;
}

/* What an extension needs is only known when all of them are: EHLO's reply waits until it is whole.
 */
static struct verdict rewrite(struct smtp_server *s, struct span window)
{
    struct smtp_offers offers;
    struct verdict v;
    struct span whole;
    size_t len;

    switch (smtp_client_whole(&s->backend, window, &len)) {
    case SMTP_CLIENT_PARTIAL:
    case SMTP_CLIENT_LINE:
        return window.len < WINDOW_MAX ? verdict_more(0) : smtp_violation(s, window);
    case SMTP_CLIENT_BAD: return smtp_violation(s, window);
    case SMTP_CLIENT_LAST: break;
    }
    if (len > WINDOW_MAX)
        return smtp_violation(s, window);
    whole = span_first(window, len);
    offers = smtp_capabilities_offers(whole, s->base.policy);
    v = verdict_send(SIDE_CLIENT, len,
                     smtp_capabilities_rewrite(whole, s->base.policy, s->base.is_secure,
                                               s->base.space, EVENT_SPACE));
    v.note = conclude(s);
    s->offers = offers;
    return v;
}

static struct verdict forward_line(struct smtp_server *s, const struct line *line, bool is_last)
{
    struct verdict v = verdict_forward(SIDE_CLIENT, line->is_crlf ? line->take : line->text.len);

    s->reply_lines++;
    s->output = line->is_crlf ? OUTPUT_LINES : OUTPUT_LINE_END;
    s->ends_reply = is_last;
    if (line->is_crlf && is_last)
        v.note = conclude(s);
    return v;
}

static struct verdict line_end(struct smtp_server *s)
{
    struct verdict v = verdict_send(SIDE_CLIENT, 1, LINE_END);

    s->output = OUTPUT_LINES;
    if (s->ends_reply)
        v.note = conclude(s);
    return v;
}

static struct verdict reply(struct smtp_server *s, struct span window)
{
    struct line line;
    bool is_last = false;

    switch (smtp_client_line(&s->backend, window, &line)) {
    case SMTP_CLIENT_PARTIAL: return verdict_more(0);
    case SMTP_CLIENT_BAD: return smtp_violation(s, window);
    case SMTP_CLIENT_LAST: is_last = true; break;
    case SMTP_CLIENT_LINE: break;
    }
    if (s->reply_lines >= SMTP_REPLY_LINES_MAX)
        return smtp_violation(s, window);
    if (s->output == OUTPUT_NOTHING) {
        if (!is_in_order(s, s->backend.code))
            return smtp_violation(s, window);
        if (s->pending_count > 0 && s->pending[s->first] == PENDING_EHLO && s->backend.code < 300)
            return rewrite(s, window);
    }
    return forward_line(s, &line, is_last);
}

struct verdict smtp_answer_step(struct smtp_server *s, struct span window)
{
    return s->output == OUTPUT_LINE_END ? line_end(s) : reply(s, window);
}
