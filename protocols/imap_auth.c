/* SPDX-License-Identifier: ISC */
/* Logins: LOGIN and AUTHENTICATE (RFC 9051, section 6.2). A SASL exchange goes a line each way in
 * turn. What cannot be a line of one is replaced by `*`, which cancels: the backend answers, and
 * both sides agree again. */
#include "protocols/capability.h"
#include "protocols/imap_capabilities.h"
#include "protocols/imap_machine.h"
#include "protocols/imap_writer.h"
#include "protocols/reply.h"
#include "protocols/sasl.h"
#include "protocols/verdict.h"

static const struct imap_refusal no_mechanism = {
    SPAN(" NO Authentication mechanism not available\r\n"), NOTE_NONE};

static const struct imap_refusal *judge_authenticate(const struct imap_server *s, struct span rest)
{
    struct imap_authenticate argument;

    if (imap_authenticate_parse(rest, &argument) != IMAP_ARGUMENTS_GOOD)
        return &imap_syntax;
    return sasl_may_pass(argument.mechanism, true) &&
                   !imap_capabilities_is_hidden(s->base.policy, argument.mechanism)
               ? NULL
               : &no_mechanism;
}

const struct imap_refusal *imap_auth_judge(const struct imap_server *s,
                                           const struct imap_command *command)
{
    struct imap_token argument[2];

    if (command->verb == IMAP_AUTHENTICATE)
        return judge_authenticate(s, command->rest);
    return imap_login_parse(command->rest, argument) == IMAP_ARGUMENTS_BAD ? &imap_syntax : NULL;
}

static struct verdict cancel(struct imap_server *s, size_t take)
{
    server_strike(&s->base, imap_many_errors);
    s->turn = IMAP_TURN_ANSWER;
    s->is_cancelled = true;
    return verdict_send(SIDE_BACKEND, take, SASL_CANCEL);
}

struct verdict imap_auth_response(struct imap_server *s, struct span window)
{
    struct line line;

    switch (sasl_line_find(window, &line)) {
    case SASL_PARTIAL: return verdict_more(0);
    case SASL_TOO_LONG: s->turn = IMAP_TURN_LONG_RESPONSE; return imap_auth_skip(s, window);
    case SASL_BAD: return cancel(s, line.take);
    case SASL_RESPONSE: break;
    }
    s->turn = IMAP_TURN_ANSWER;
    s->is_cancelled = span_equals(line.text, (struct span)SPAN("*"));
    s->has_credentials = s->has_credentials || !s->is_cancelled;
    server_exchange_line(&s->base, line.text.len + LINE_END.len, IMAP_LINE_PASS_MAX);
    return verdict_send(
        SIDE_BACKEND, line.take,
        reply_join(s->base.space, EVENT_SPACE, (const struct span[]){line.text, LINE_END}, 2));
}

struct verdict imap_auth_skip(struct imap_server *s, struct span window)
{
    const char *lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);

    return lf == NULL ? verdict_more(window.len) : cancel(s, (size_t)(lf - window.data) + 1);
}

/* Codes that say that it was not for what was in it (RFC 5530, section 3). */
static const struct span other_reasons[] = {
    SPAN("UNAVAILABLE"), SPAN("SERVERBUG"), SPAN("INUSE"), SPAN("LIMIT"), SPAN("PRIVACYREQUIRED"),
};

enum note imap_auth_refused(struct imap_server *s, const struct imap_response *answer)
{
    /* BAD: it was not understood; or it was cancelled, and who does that behind a response has seen
     * what it was good for (RFC 5802, section 7). */
    if ((answer->status != IMAP_STATUS_NO && !s->is_cancelled) || !s->has_credentials ||
        capability_is_among(answer->code, other_reasons,
                            sizeof other_reasons / sizeof *other_reasons))
        return NOTE_NONE;
    server_login_failed(&s->base, (struct span)SPAN("* BYE Too many failed logins\r\n"));
    return NOTE_AUTH_FAILED;
}
