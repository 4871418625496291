/* SPDX-License-Identifier: ISC */
/* AUTH (RFC 4954). The exchange passes as it is, a line each way in turn, and nothing flows behind
 * AUTH until it is over; so none of its lines is ever a command to anybody. What cannot be a line of
 * an exchange is replaced by `*`, which cancels: the backend answers, and both agree again. */
#include "protocols/capability.h"
#include "protocols/reply.h"
#include "protocols/sasl.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

static const struct smtp_refusal not_offered = {SPAN("502 5.5.1 AUTH is not available\r\n"),
                                                NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal bad_argument = {SPAN("501 5.5.4 Syntax error in AUTH\r\n"),
                                                 NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal no_mechanism = {
    SPAN("504 5.5.4 Authentication mechanism not available\r\n"), NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal need_tls = {
    SPAN("538 5.7.11 Encryption required for requested authentication mechanism\r\n"),
    NOTE_TLS_NEEDED, STRIKE_ALWAYS};

static const struct span auth = SPAN("AUTH ");

/* A backend with a fixed buffer takes the end of a longer line for a command, if it is one.
 * before: octets of the line in front of the response */
static bool may_be_cut(size_t before, struct span response)
{
    return before + response.len + LINE_END.len <= SMTP_COMMAND_PASS_MAX ||
           !smtp_ends_with_verb(response);
}

const struct smtp_refusal *smtp_auth_judge(const struct smtp_server *s,
                                           const struct smtp_command *command)
{
    struct span response, mechanism = sasl_mechanism(command->argument, &response);

    if (!server_may_log_in(s->base.policy, s->base.is_secure))
        return &need_tls;
    if (capability_is_hidden(s->base.policy, (struct span)SPAN("AUTH")))
        return &not_offered;
    if (!sasl_is_mechanism(mechanism) || !sasl_is_response(response) ||
        !may_be_cut(auth.len + mechanism.len + 1, response))
        return &bad_argument;
    return sasl_may_pass(mechanism, false) ? NULL : &no_mechanism;
}

/* With one blank between its words, whatever the client wrote: its length is what was judged. */
struct verdict smtp_auth_pass(struct smtp_server *s, const struct line *line, struct span argument)
{
    struct span response, mechanism = sasl_mechanism(argument, &response);
    const struct span part[] = {
        auth, mechanism, span_first((struct span)SPAN(" "), response.len), response, LINE_END,
    };
    const struct span text = reply_join(s->base.space, EVENT_SPACE, part, 5);

    smtp_expect(s, PENDING_AUTH);
    s->has_credentials = response.len > 0;
    s->is_cancelled = false;
    server_exchange_line(&s->base, text.len, SMTP_COMMAND_PASS_MAX);
    return verdict_send(SIDE_BACKEND, line->take, text);
}

static struct verdict cancelled(struct smtp_server *s, size_t take)
{
    s->input = INPUT_COMMAND;
    s->is_cancelled = true;
    return verdict_send(SIDE_BACKEND, take, SASL_CANCEL);
}

static struct verdict not_a_response(struct smtp_server *s, size_t take)
{
    smtp_strike(s);
    return cancelled(s, take);
}

struct verdict smtp_auth_response(struct smtp_server *s, struct span window)
{
    struct line line;

    switch (sasl_line_find(window, &line)) {
    case SASL_PARTIAL: return verdict_more(0);
    case SASL_TOO_LONG: s->input = INPUT_LONG_RESPONSE; return smtp_auth_skip(s, window);
    case SASL_BAD: return not_a_response(s, line.take);
    case SASL_RESPONSE: break;
    }
    if (!may_be_cut(0, line.text))
        return not_a_response(s, line.take);
    /* Who cancels behind a response has seen what it was good for (RFC 5802, section 7). */
    s->is_cancelled = span_equals(line.text, (struct span)SPAN("*"));
    s->has_credentials = s->has_credentials || !s->is_cancelled;
    server_exchange_line(&s->base, line.text.len + LINE_END.len, SMTP_COMMAND_PASS_MAX);
    if (line.is_crlf || line.text.len == 0) {
        s->input = INPUT_COMMAND;
        return line.is_crlf ? verdict_forward(SIDE_BACKEND, line.take)
                            : verdict_send(SIDE_BACKEND, line.take, LINE_END);
    }
    s->input = INPUT_LINE_END;
    return verdict_forward(SIDE_BACKEND, line.text.len);
}

struct verdict smtp_auth_skip(struct smtp_server *s, struct span window)
{
    const char *lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);

    if (lf == NULL)
        return verdict_more(window.len);
    return not_a_response(s, (size_t)(lf - window.data) + 1);
}

/* Only 235 is success (RFC 4954, section 4): a reply that is one off must not open a relay. Not every
 * failure is a guess at a password. */
enum note smtp_auth_conclude(struct smtp_server *s, unsigned code)
{
    static const struct span text = SPAN("421 4.7.0 Too many failed logins\r\n");

    if (code == 235) {
        s->is_logged_in = true;
        return NOTE_AUTH_OK;
    }
    server_refused(&s->base);
    if (code < 500 || code == 503 || code == 504 || !s->has_credentials)
        return NOTE_NONE;
    server_login_failed(&s->base, text);
    return NOTE_AUTH_FAILED;
}
