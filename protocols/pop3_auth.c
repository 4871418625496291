/* SPDX-License-Identifier: ISC */
/* AUTH (RFC 5034). The exchange passes line by line, each way in turn, and nothing flows behind AUTH
 * until it is over; so none of its lines is ever a command to anybody. What cannot be a line of an
 * exchange is replaced by `*`, which cancels: the backend answers, and both agree again. */
#include "protocols/pop3_machine.h"
#include "protocols/reply.h"
#include "protocols/sasl.h"
#include "protocols/verdict.h"
#include "protocols/word.h"

static const struct pop3_refusal no_mechanism = {
    SPAN("-ERR Authentication mechanism not available\r\n"), NOTE_NONE};

static const struct span auth = SPAN("AUTH ");

/* A backend with a fixed buffer takes the end of a longer line for a command, if it is one.
 * before: octets of the line in front of the response */
static bool may_be_cut(size_t before, struct span response)
{
    return before + response.len + LINE_END.len <= POP3_COMMAND_PASS_MAX ||
           !pop3_ends_with_verb(response);
}

/* Behind a success nothing is read any more, so a security layer of the mechanism's does no harm. */
const struct pop3_refusal *pop3_auth_judge(struct span argument)
{
    struct span response, mechanism = sasl_mechanism(argument, &response);

    if (argument.len == 0)
        return NULL;
    if (!sasl_is_mechanism(mechanism) || !sasl_is_initial(response) ||
        !may_be_cut(auth.len + mechanism.len + 1, response))
        return &pop3_syntax;
    return sasl_may_pass(mechanism, true) ? NULL : &no_mechanism;
}

/* With one blank between its words, whatever the client wrote: its length is what was judged. */
struct verdict pop3_auth_pass(struct pop3_server *p, const struct line *line, struct span argument)
{
    struct span response, mechanism = sasl_mechanism(argument, &response);
    const struct span part[] = {
        auth, mechanism, span_first((struct span)SPAN(" "), response.len), response, LINE_END,
    };
    const struct span text = reply_join(p->base.space, EVENT_SPACE, part, 5);

    pop3_expect(p, PENDING_AUTH);
    p->has_credentials = response.len > 0;
    server_exchange_line(&p->base, text.len, POP3_COMMAND_PASS_MAX);
    return verdict_send(SIDE_BACKEND, line->take, text);
}

static struct verdict cancel(struct pop3_server *p, size_t take)
{
    p->input = INPUT_COMMAND;
    p->pending[p->first] = PENDING_CANCELLED;
    return verdict_send(SIDE_BACKEND, take, SASL_CANCEL);
}

static struct verdict not_a_response(struct pop3_server *p, size_t take)
{
    pop3_strike(p);
    return cancel(p, take);
}

struct verdict pop3_auth_response(struct pop3_server *p, struct span window)
{
    struct span part[] = {{0}, LINE_END};
    struct line line;

    switch (sasl_line_find(window, &line)) {
    case SASL_PARTIAL: return verdict_more(0);
    case SASL_TOO_LONG: p->input = INPUT_LONG_RESPONSE; return pop3_auth_skip(p, window);
    case SASL_BAD: return not_a_response(p, line.take);
    case SASL_RESPONSE: break;
    }
    if (!may_be_cut(0, line.text))
        return not_a_response(p, line.take);
    /* Who cancels behind a response has seen what it was good for (RFC 5802, section 7). */
    if (span_equals(line.text, (struct span)SPAN("*")))
        return cancel(p, line.take);
    p->has_credentials = true;
    p->input = INPUT_COMMAND;
    server_exchange_line(&p->base, line.text.len + LINE_END.len, POP3_COMMAND_PASS_MAX);
    part[0] = line.text;
    return verdict_send(SIDE_BACKEND, line.take, reply_join(p->base.space, EVENT_SPACE, part, 2));
}

struct verdict pop3_auth_skip(struct pop3_server *p, struct span window)
{
    const char *lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);

    return lf == NULL ? verdict_more(window.len)
                      : not_a_response(p, (size_t)(lf - window.data) + 1);
}

/* With these codes (RFC 2449, section 8.1; RFC 3206) the backend says that it did not get as far as
 * the password, or that it was right: no guess. */
static bool is_about_credentials(struct span text)
{
    static const struct span others[] = {SPAN("[SYS/"), SPAN("[IN-USE]"), SPAN("[LOGIN-DELAY]")};
    const struct span words = word_skip_blanks(span_skip(text, 4)); /* -ERR */

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (span_starts(words, others[i]))
            return false;
    return true;
}

enum note pop3_login_refused(struct pop3_server *p, struct span text)
{
    if (!is_about_credentials(text))
        return NOTE_NONE;
    server_login_failed(&p->base, (struct span)SPAN("-ERR Too many failed logins\r\n"));
    return NOTE_AUTH_FAILED;
}
