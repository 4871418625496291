/* SPDX-License-Identifier: ISC */
/* What a client says before its login. A command is read whole, with its literals, before anything
 * of it passes; then it is said to the backend in our own words, and until that has answered, what
 * stands behind waits unread. So both always agree on what is a command. */
#include "protocols/capability.h"
#include "protocols/foreign.h"
#include "protocols/imap_id.h"
#include "protocols/imap_machine.h"
#include "protocols/reply.h"
#include "protocols/verdict.h"

static const struct imap_refusal unknown = {SPAN(" BAD Command not recognized\r\n"), NOTE_NONE};
static const struct imap_refusal dirty = {SPAN(" BAD Control character inside a command\r\n"),
                                          NOTE_NONE};
static const struct imap_refusal too_large = {SPAN(" BAD Literal too large\r\n"), NOTE_NONE};
static const struct imap_refusal tls_is_up = {SPAN(" BAD TLS is already active\r\n"), NOTE_NONE};
static const struct imap_refusal not_available = {SPAN(" BAD Command not available\r\n"),
                                                  NOTE_NONE};
static const struct imap_refusal must_start_tls = {
    SPAN(" NO [PRIVACYREQUIRED] Start TLS first\r\n"), NOTE_TLS_NEEDED};

static const struct span lost_literal = SPAN("* BYE Literal too large\r\n");

/* ---- lines beyond the limit ---- */

/* A client that sends a literal unasked behind this line: nobody knows how much of what follows
 * belongs to it. */
static bool ends_with_literal(struct span line)
{
    static const struct span ends[] = {SPAN("+}"), SPAN("-}")};

    for (size_t i = 0; i < 2; i++)
        if (line.len >= 2 && span_equals(span_skip(line, line.len - 2), ends[i]))
            return true;
    return false;
}

/* Such an end, and the line end behind it, must be seen together. */
#define END_MAX ((size_t)4)

static struct verdict skip_line(struct imap_server *s, struct span window)
{
    struct line line;

    switch (line_find(window, window.len + 1, &line)) {
    case LINE_TOO_LONG: /* not with this limit */
    case LINE_PARTIAL: return verdict_more(window.len > END_MAX ? window.len - END_MAX : 0);
    case LINE_FOUND: break;
    }
    if (ends_with_literal(line.text))
        return imap_end(s, END_VIOLATION, lost_literal, window.len);
    s->turn = IMAP_TURN_COMMAND;
    return imap_refuse(s, line.take, (struct span){s->tag, s->tag_len}, &imap_too_long);
}

/* before: octets of the command in front of that line */
static struct verdict long_line(struct imap_server *s, struct span window,
                                const struct imap_command *command, size_t before)
{
    struct verdict v;

    imap_expect(s, command);
    s->turn = IMAP_TURN_LONG_LINE;
    v = skip_line(s, span_skip(window, before));
    v.take += before;
    return v;
}

/* ---- judging ---- */

static const struct imap_refusal *judge_arguments(enum imap_arguments arguments)
{
    switch (arguments) {
    case IMAP_ARGUMENTS_GOOD:
    case IMAP_ARGUMENTS_PENDING: return NULL;
    case IMAP_ARGUMENTS_BAD: break;
    }
    return &imap_syntax;
}

static const struct imap_refusal *judge_starttls(const struct imap_server *s, struct span rest)
{
    if (s->base.is_secure) /* RFC 9051, section 6.2.1 */
        return &tls_is_up;
    if (s->base.policy->tls != FRONT_STARTTLS)
        return &unknown;
    return rest.len == 0 ? NULL : &imap_syntax;
}

/* Some commands have the names of their capabilities. */
static bool is_hidden(const struct imap_server *s, const struct imap_command *command)
{
    return capability_is_hidden(s->base.policy, command->word);
}

/* Why this command must not pass, as far as it can be seen; NULL: it may. */
static const struct imap_refusal *judge(const struct imap_server *s,
                                        const struct imap_command *command)
{
    switch (command->verb) {
    case IMAP_CAPABILITY:
    case IMAP_NOOP:
    case IMAP_LOGOUT: return command->rest.len == 0 ? NULL : &imap_syntax;
    case IMAP_ID:
        return is_hidden(s, command) ? &not_available
                                     : judge_arguments(imap_id_parse(command->rest));
    case IMAP_LOGIN:
    case IMAP_AUTHENTICATE:
        return server_may_log_in(s->base.policy, s->base.is_secure) ? imap_auth_judge(s, command)
                                                                    : &must_start_tls;
    case IMAP_STARTTLS: return judge_starttls(s, command->rest);
    case IMAP_LANGUAGE:
    case IMAP_ALLOWED:
        if (s->phase == IMAP_PREAMBLE && s->base.policy->is_enforced)
            return &must_start_tls;
        return is_hidden(s, command) ? &not_available
                                     : judge_arguments(imap_plain_parse(command->rest));
    case IMAP_UNKNOWN: break;
    }
    return &unknown;
}

/* ---- running ---- */

/* RFC 9051, section 6.2.1. What came in the same breath was sent in the clear by whoever
 * (CVE-2011-0411). Behind it a blank machine begins; a backend that was there is left. */
static struct verdict starttls(struct imap_server *s, struct span window, struct span tag,
                               size_t take)
{
    const struct span part[] = {tag, SPAN(" OK Begin TLS negotiation now\r\n")};
    struct verdict v;

    if (window.len > take)
        return imap_attack(s, window, NOTE_INJECTION,
                           (struct span)SPAN("* BYE Octets behind STARTTLS\r\n"));
    if (s->phase == IMAP_GATE && !s->is_backend_left) {
        s->is_backend_left = true;
        return verdict_send(SIDE_BACKEND, 0, (struct span)SPAN("starttlsd LOGOUT\r\n"));
    }
    v = verdict_send(SIDE_CLIENT, take, reply_join(s->base.space, EVENT_SPACE, part, 2));
    v.kind = VERDICT_START_TLS;
    return v;
}

/* Ask for the literal that comes next: by our own word, since no backend hears of it. */
static struct verdict invite(struct imap_server *s)
{
    s->invited++;
    return verdict_send(SIDE_CLIENT, 0, (struct span)SPAN("+ OK\r\n"));
}

static struct verdict run(struct imap_server *s, struct span window,
                          const struct imap_command *command, size_t take)
{
    struct verdict v;

    if (command->verb == IMAP_STARTTLS)
        return starttls(s, window, command->tag, take);
    if (s->phase == IMAP_GATE)
        return imap_pass(s, command, take);
    v = imap_preamble_run(s, command, take);
    if (v.kind != VERDICT_CONNECT) /* else it will be read again */
        s->invited = 0;
    return v;
}

static bool is_http(const struct imap_command *command, struct span text)
{
    struct line line;

    if (command->verb != IMAP_UNKNOWN)
        return false;
    return foreign_is_http(line_find(text, text.len, &line) == LINE_FOUND ? line.text : text);
}

static struct verdict command_step(struct imap_server *s, struct span window)
{
    const struct imap_refusal *refusal;
    struct imap_command command;
    struct imap_frame frame;
    enum imap_frame_result found;

    if (!s->base.is_secure && foreign_is_client_hello(window))
        return imap_attack(s, window, NOTE_TLS_ON_PLAINTEXT_PORT, (struct span){0});
    found = imap_frame_find(window, s->invited, &frame);
    if (found == IMAP_FRAME_PARTIAL)
        return verdict_more(0);
    command = imap_command_parse(frame.text, s->base.policy);
    if (is_http(&command, frame.text))
        return imap_attack(s, window, NOTE_HTTP, (struct span){0});
    if (found == IMAP_FRAME_LOST)
        return imap_end(s, END_VIOLATION, lost_literal, window.len);
    if (found == IMAP_FRAME_TOO_LONG)
        return long_line(s, window, &command, frame.take);
    refusal = frame.is_dirty ? &dirty : judge(s, &command);
    if (refusal == NULL && found == IMAP_FRAME_TOO_LARGE)
        refusal = &too_large;
    if (refusal != NULL)
        return imap_refuse(s, frame.take, command.tag, refusal);
    return found == IMAP_FRAME_INVITE ? invite(s) : run(s, window, &command, frame.take);
}

static struct verdict by_turn(struct imap_server *s, struct span window)
{
    switch (s->turn) {
    case IMAP_TURN_COMMAND: return command_step(s, window);
    case IMAP_TURN_LONG_LINE: return skip_line(s, window);
    case IMAP_TURN_PART: return imap_pass_on(s, window);
    case IMAP_TURN_RESPONSE: return imap_auth_response(s, window);
    case IMAP_TURN_LONG_RESPONSE: return imap_auth_skip(s, window);
    case IMAP_TURN_ANSWER:
    case IMAP_TURN_GO_AHEAD: break;
    }
    return verdict_hold();
}

/* A command that was answered before all of it had passed is dropped with what follows it: a
 * verdict that only drops would leave the rest unread. */
struct verdict imap_client_step(struct imap_server *s, struct span window)
{
    size_t answered = s->answered;
    struct verdict v = by_turn(s, span_skip(window, answered));

    if (v.kind == VERDICT_HOLD)
        return v;
    s->answered = 0;
    v.take += answered;
    return v;
}
