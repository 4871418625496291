/* SPDX-License-Identifier: ISC */
/* What a backend says, on its way to the client: from its greeting to the answer that opens the
 * tunnel. What no server may say here ends the session. */
#include <assert.h>

#include "protocols/capability.h"
#include "protocols/imap_approach.h"
#include "protocols/imap_capabilities.h"
#include "protocols/imap_machine.h"
#include "protocols/reply.h"
#include "protocols/verdict.h"

static_assert(EVENT_SPACE > WINDOW_MAX + 1024, "a line fits, and what is added to it");

/* ---- lines ---- */

/* The line as it is. */
static struct verdict forward(const struct imap_server *s, const struct line *line)
{
    if (line->is_crlf)
        return verdict_forward(SIDE_CLIENT, line->take);
    return verdict_send(
        SIDE_CLIENT, line->take,
        reply_join(s->base.space, EVENT_SPACE, (const struct span[]){line->text, LINE_END}, 2));
}

/* The line with its list of capabilities rewritten. end: what follows the list */
static struct verdict rewrite(struct imap_server *s, const struct line *line,
                              const struct imap_response *r, bool is_logged_in, struct span end)
{
    const struct imap_listener to = {s->base.policy, s->base.is_secure, is_logged_in};
    const struct span head =
        span_first(line->text, (size_t)(r->capabilities.data - line->text.data));
    const struct span tail[] = {end, LINE_END};
    char *space = s->base.space;
    size_t len = reply_join(space, EVENT_SPACE, &head, 1).len;

    s->knows_initial = imap_capabilities_has_initial(r->capabilities) &&
                       !capability_is_hidden(s->base.policy, (struct span)SPAN("SASL-IR"));
    len += imap_capabilities_rewrite(&to, r->capabilities, space + len,
                                     EVENT_SPACE - len - end.len - LINE_END.len)
               .len;
    len += reply_join(space + len, EVENT_SPACE - len, tail, 2).len;
    return verdict_send(SIDE_CLIENT, line->take, (struct span){space, len});
}

static struct verdict pass(struct imap_server *s, const struct line *line,
                           const struct imap_response *r, bool is_logged_in)
{
    size_t seen;

    if (r->capabilities.data == NULL)
        return forward(s, line);
    seen = (size_t)(r->capabilities.data - line->text.data) + r->capabilities.len;
    return rewrite(s, line, r, is_logged_in, span_skip(line->text, seen));
}

/* ---- the greeting ---- */

/* The backend's, with the administrator's words in it if he wrote any. window: begins with it */
static struct verdict pass_greeting(struct imap_server *s, struct span window)
{
    const struct span words = span_first(span_of(s->base.policy->greeting), SERVER_GREETING_MAX);
    char end[SERVER_GREETING_MAX + 2];
    struct imap_response r;
    struct line line = {0};
    enum line_result found = line_find(window, window.len, &line);

    assert(found == LINE_FOUND);
    r = imap_response_parse(line.text);
    if (s->base.policy->greeting == NULL)
        return pass(s, &line, &r, false);
    if (r.capabilities.data == NULL)
        return imap_greet(s, line.take);
    return rewrite(s, &line, &r, false,
                   reply_join(end, sizeof end, (const struct span[]){SPAN("] "), words}, 2));
}

/* Where the client had none of ours, it gets the backend's; but not one from before the backend's
 * TLS, nor from before it knew who the client is. */
struct verdict imap_connect_step(struct imap_server *s, struct span window)
{
    const struct approach_step step = imap_approach_step(&s->approach, window, s->base.space);
    struct verdict v;

    if (step.state != APPROACH_READY)
        return approach_verdict(&step);
    v = approach_is_greeting_alone(&s->approach) ? pass_greeting(s, window)
                                                 : imap_greet(s, step.take);
    if (s->base.policy->tls == FRONT_STARTTLS)
        v = verdict_more(step.take);
    s->phase = IMAP_GATE;
    v.note = NOTE_GREETED;
    return v;
}

/* ---- answers ---- */

/* Its answer is due. Servers announce what they can behind the login before they accept it, too. */
static bool may_be_logged_in(const struct imap_server *s)
{
    return s->turn == IMAP_TURN_ANSWER && s->has_credentials &&
           !server_is_alone(s->base.policy, s->base.is_secure);
}

/* The answer has passed: what does it change? */
static enum note conclude(struct imap_server *s, const struct imap_response *r)
{
    enum note note = imap_is_login(s->verb) ? imap_auth_refused(s, r) : NOTE_NONE;

    if (imap_is_login(s->verb))
        server_refused(&s->base);
    if (s->turn == IMAP_TURN_GO_AHEAD) { /* the rest of it is still in the window */
        s->answered = s->frame_len;
        s->invited = 0;
    }
    s->turn = IMAP_TURN_COMMAND;
    s->lines = 0;
    if (s->verb == IMAP_LOGOUT && r->status == IMAP_STATUS_OK)
        s->base.farewell.end = END_CLIENT_QUIT;
    else if (s->is_bye && s->base.farewell.end == END_NONE)
        s->base.farewell.end = END_BACKEND_CLOSED;
    return note;
}

/* May this be the answer to what is outstanding? One that comes before the backend has all of the
 * command can only refuse it. */
static bool is_in_order(const struct imap_server *s, const struct imap_response *r)
{
    if (s->tag_len != r->tag.len)
        return false;
    for (size_t i = 0; i < s->tag_len; i++) /* a tag's letters count in their case */
        if (s->tag[i] != r->tag.data[i])
            return false;
    return s->turn == IMAP_TURN_ANSWER ||
           (s->turn == IMAP_TURN_GO_AHEAD && r->status != IMAP_STATUS_OK);
}

static struct verdict answer(struct imap_server *s, struct span window, const struct line *line,
                             const struct imap_response *r)
{
    struct verdict v;

    if (!is_in_order(s, r))
        return imap_violation(s, window);
    if (imap_is_login(s->verb) && r->status == IMAP_STATUS_OK) {
        if (!s->has_credentials || s->is_cancelled) /* who would be logged in? */
            return imap_violation(s, window);
        v = pass(s, line, r, true);
        v.kind = VERDICT_TUNNEL;
        v.note = NOTE_AUTH_OK;
        return v;
    }
    v = pass(s, line, r, false);
    v.note = conclude(s, r);
    return v;
}

/* Goodbye may be said at any time (RFC 9051, section 7.1.5); what is outstanding may still be
 * answered. */
static struct verdict bye(struct imap_server *s, const struct line *line,
                          const struct imap_response *r)
{
    s->is_bye = true;
    if (s->turn == IMAP_TURN_COMMAND || s->turn == IMAP_TURN_LONG_LINE)
        s->base.farewell.end = END_BACKEND_CLOSED;
    else if (imap_is_clients_turn(s) || s->turn == IMAP_TURN_PART)
        s->base.farewell.end = END_BACKEND_LOST;
    return pass(s, line, r, false);
}

static struct verdict status(struct imap_server *s, struct span window, const struct line *line,
                             const struct imap_response *r)
{
    if (r->tag.len > 0)
        return answer(s, window, line, r);
    switch (r->status) {
    case IMAP_STATUS_OK:
    case IMAP_STATUS_NO:
    case IMAP_STATUS_BAD: return pass(s, line, r, false);
    case IMAP_STATUS_BYE: return bye(s, line, r);
    case IMAP_STATUS_PREAUTH: break;
    }
    return imap_violation(s, window);
}

/* `+`: to the client, in an exchange; to us, where we have something to send. */
static struct verdict go_ahead(struct imap_server *s, struct span window, const struct line *line)
{
    if (s->turn == IMAP_TURN_ANSWER && s->verb == IMAP_AUTHENTICATE) {
        s->turn = IMAP_TURN_RESPONSE;
        return forward(s, line);
    }
    if (s->turn != IMAP_TURN_GO_AHEAD || line->take < window.len)
        return imap_violation(s, window);
    s->turn = IMAP_TURN_PART;
    return verdict_more(line->take);
}

/* ---- data ---- */

static struct verdict data(struct imap_server *s, struct span window, const struct line *line,
                           const struct imap_response *r)
{
    s->output = IMAP_OUTPUT_LINES;
    if (!r->has_literal)
        return forward(s, line);
    if (r->literal.size > IMAP_ANSWER_LITERAL_MAX)
        return imap_violation(s, window);
    s->literal_left = r->literal.size;
    s->output = s->literal_left > 0 ? IMAP_OUTPUT_LITERAL : IMAP_OUTPUT_REST;
    return forward(s, line);
}

static struct verdict literal(struct imap_server *s, struct span window)
{
    size_t take = window.len < s->literal_left ? window.len : s->literal_left;

    if (take == 0)
        return verdict_more(0);
    s->literal_left -= (uint32_t)take;
    if (s->literal_left == 0)
        s->output = IMAP_OUTPUT_REST;
    return verdict_forward(SIDE_CLIENT, take);
}

static struct verdict rest(struct imap_server *s, struct span window, const struct line *line)
{
    struct imap_response r = {.kind = IMAP_RESPONSE_DATA};

    return imap_response_continue(line->text, &r) ? data(s, window, line, &r)
                                                  : imap_violation(s, window);
}

struct verdict imap_answer_step(struct imap_server *s, struct span window)
{
    struct imap_response r;
    struct line line;

    if (s->output == IMAP_OUTPUT_LITERAL)
        return literal(s, window);
    switch (line_find(window, WINDOW_MAX, &line)) {
    case LINE_PARTIAL: return verdict_more(0);
    case LINE_TOO_LONG: return imap_violation(s, window);
    case LINE_FOUND: break;
    }
    s->lines++;
    if (line.is_dirty || s->lines > IMAP_LINES_MAX)
        return imap_violation(s, window);
    if (s->output == IMAP_OUTPUT_REST)
        return rest(s, window, &line);
    r = imap_response_parse(line.text);
    switch (r.kind) {
    case IMAP_RESPONSE_BAD: break;
    case IMAP_RESPONSE_CONTINUATION: return go_ahead(s, window, &line);
    case IMAP_RESPONSE_STATUS: return status(s, window, &line, &r);
    case IMAP_RESPONSE_CAPABILITY: return pass(s, &line, &r, may_be_logged_in(s));
    case IMAP_RESPONSE_DATA: return data(s, window, &line, &r);
    }
    return imap_violation(s, window);
}
