/* SPDX-License-Identifier: ISC */
/* What a backend says, on its way to the client: each reply is paired with the command that it
 * answers, and what no server may say here ends the session. */
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

static struct verdict violation(const struct smtp_server *s, struct span window)
{
    struct verdict v = smtp_lost(s, window.len);

    v.note = NOTE_BACKEND_REPLY;
    return v;
}

/* Greetings end at us: the client had ours before TLS. */
static struct verdict greeting(struct smtp_server *s, struct span window)
{
    struct verdict v;
    size_t take;

    switch (smtp_client_greet(&s->backend, window, &take)) {
    case SMTP_CLIENT_BAD: return verdict_next_backend(take);
    case SMTP_CLIENT_PARTIAL:
    case SMTP_CLIENT_LINE: return verdict_more(take);
    case SMTP_CLIENT_LAST: break;
    }
    s->phase = SMTP_GATE;
    v = verdict_more(take);
    v.note = NOTE_GREETED;
    return v;
}

/* May a reply with this code come now? 421 may at any time (RFC 5321, section 3.8). */
static bool is_in_order(const struct smtp_server *s, unsigned code)
{
    if (code == 421)
        return true;
    if (s->pending_count == 0)
        return false;
    if (s->pending[s->first] == PENDING_DATA)
        return code == 354 || code >= 400; /* after 2xx nobody would know what comes next */
    /* Accepted before it was said: the client would forget a message that nobody has. */
    if (s->pending[s->first] == PENDING_CONTENT && s->input == INPUT_CONTENT)
        return code >= 400;
    return code / 100 != 3;
}

static void begin_content(struct smtp_server *s)
{
    smtp_content_init(&s->content);
    s->input = INPUT_CONTENT;
    s->pending[s->first] = PENDING_CONTENT; /* the same command has a second answer */
    s->pending_count++;
}

/* The reply has passed: what does it change? */
static enum note conclude(struct smtp_server *s)
{
    unsigned code = s->backend.code;
    bool is_good = code / 100 == 2;
    enum smtp_pending answered = (enum smtp_pending)s->pending[s->first];

    smtp_client_next(&s->backend);
    s->output = OUTPUT_NOTHING;
    s->reply_lines = 0;
    if (s->pending_count > 0) {
        s->pending_count--;
        if (code != 354)
            s->first = (s->first + 1) % SMTP_OUTSTANDING_MAX;
    }
    if (code == 421) {
        bool was_last = s->pending_count == 0 && s->input != INPUT_CONTENT;

        s->farewell.end = was_last ? END_BACKEND_CLOSED : END_BACKEND_LOST;
        return NOTE_NONE;
    }
    switch (answered) {
    case PENDING_PLAIN: break;
    case PENDING_MAIL: s->in_transaction = s->in_transaction || is_good; break;
    case PENDING_EHLO:
    case PENDING_RESET: s->in_transaction = s->in_transaction && !is_good; break;
    case PENDING_DATA:
        if (code == 354)
            begin_content(s);
        break;
    case PENDING_CONTENT:
        s->in_transaction = false;
        /* What still comes of the message could be taken for commands now (DESIGN, section 5). */
        if (s->input == INPUT_CONTENT)
            s->farewell.end = END_BACKEND_LOST;
        return is_good ? NOTE_MESSAGE : NOTE_NONE;
    case PENDING_QUIT:
        if (is_good)
            s->farewell.end = END_CLIENT_QUIT;
        break;
    }
    return NOTE_NONE;
}

static struct verdict rewrite(struct smtp_server *s, struct span window)
{
    bool is_done;
    struct verdict v = smtp_capabilities_step(&s->capabilities, s->policy, window, &is_done);

    if (is_done)
        v.note = conclude(s);
    return v;
}

/* What an extension needs is only known when all of them are: EHLO's reply waits until it is whole.
 */
static struct verdict begin_rewrite(struct smtp_server *s, struct span window)
{
    size_t len;

    switch (smtp_client_whole(&s->backend, window, &len)) {
    case SMTP_CLIENT_PARTIAL:
    case SMTP_CLIENT_LINE: return window.len < WINDOW_MAX ? verdict_more(0) : violation(s, window);
    case SMTP_CLIENT_BAD: return violation(s, window);
    case SMTP_CLIENT_LAST: break;
    }
    if (len > WINDOW_MAX)
        return violation(s, window);
    smtp_capabilities_init(&s->capabilities);
    s->output = OUTPUT_REWRITE;
    return rewrite(s, window);
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
    case SMTP_CLIENT_BAD: return violation(s, window);
    case SMTP_CLIENT_LAST: is_last = true; break;
    case SMTP_CLIENT_LINE: break;
    }
    if (s->reply_lines >= SMTP_REPLY_LINES_MAX)
        return violation(s, window);
    if (s->output == OUTPUT_NOTHING) {
        if (!is_in_order(s, s->backend.code))
            return violation(s, window);
        if (s->pending_count > 0 && s->pending[s->first] == PENDING_EHLO && s->backend.code < 300)
            return begin_rewrite(s, window);
    }
    return forward_line(s, &line, is_last);
}

struct verdict smtp_answer_step(struct smtp_server *s, struct span window)
{
    if (s->phase != SMTP_GATE)
        return greeting(s, window);
    switch (s->output) {
    case OUTPUT_LINE_END: return line_end(s);
    case OUTPUT_REWRITE: return rewrite(s, window);
    case OUTPUT_NOTHING:
    case OUTPUT_LINES: break;
    }
    return reply(s, window);
}
