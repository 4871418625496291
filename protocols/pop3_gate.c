/* SPDX-License-Identifier: ISC */
/* What a client says up to its login. An allow-list: what we do not understand the backend does not
 * get, so both always agree on what is a command; and it gets that in our words, so they agree on
 * where it ends. A command that we refuse waits in the window until all earlier ones are answered; so
 * replies keep their order without a store. */
#include "protocols/capability.h"
#include "protocols/foreign.h"
#include "protocols/pop3_machine.h"
#include "protocols/reply.h"
#include "protocols/sasl.h"
#include "protocols/verdict.h"

static const struct pop3_refusal must_start_tls = {
    SPAN("-ERR [SYS/PERM] Must issue STLS first\r\n"), NOTE_TLS_NEEDED};
static const struct pop3_refusal not_available = {SPAN("-ERR Command not available\r\n"),
                                                  NOTE_NONE};
static const struct pop3_refusal tls_is_up = {SPAN("-ERR TLS is already active\r\n"), NOTE_NONE};
static const struct pop3_refusal login_first = {SPAN("-ERR Log in first\r\n"), NOTE_NONE};

/* Without TLS, whose policy wants it for this. */
static bool needs_tls(const struct pop3_server *p, enum pop3_verb verb)
{
    bool is_guarded = p->phase == POP3_PREAMBLE && p->base.policy->is_enforced;

    switch (verb) {
    case VERB_AUTH:
    case VERB_USER:
    case VERB_PASS:
    case VERB_APOP: return !server_may_log_in(p->base.policy, p->base.is_secure);
    case VERB_UTF8:
    case VERB_LANG:
    case VERB_ALLOWED:
    case VERB_MAILBOX: return is_guarded;
    case VERB_CAPA:
    case VERB_QUIT:
    case VERB_STLS:
    case VERB_NOOP:
    case VERB_SPOOF:
    case VERB_UNKNOWN: break;
    }
    return false;
}

static const struct pop3_refusal *judge_stls(const struct pop3_server *p)
{
    if (p->base.is_secure)
        return &tls_is_up; /* RFC 2595, section 4 */
    return p->base.policy->tls == FRONT_STARTTLS ? NULL : &not_available;
}

/* Why this command must not pass; NULL: it may. */
static const struct pop3_refusal *judge(const struct pop3_server *p,
                                        const struct pop3_command *command)
{
    if (needs_tls(p, command->verb))
        return &must_start_tls;
    if (command->capability.len > 0 && capability_is_hidden(p->base.policy, command->capability))
        return &not_available;
    switch (command->verb) {
    case VERB_MAILBOX: return &login_first;
    case VERB_SPOOF: return &pop3_spoof;
    case VERB_UNKNOWN: return &pop3_unknown;
    case VERB_CAPA:
    case VERB_AUTH:
    case VERB_USER:
    case VERB_PASS:
    case VERB_APOP:
    case VERB_QUIT:
    case VERB_STLS:
    case VERB_UTF8:
    case VERB_LANG:
    case VERB_NOOP:
    case VERB_ALLOWED: break;
    }
    if (!command->is_well_formed || pop3_hides_command(command->argument, p->base.policy))
        return &pop3_syntax;
    if (command->verb == VERB_STLS)
        return judge_stls(p);
    if (command->verb == VERB_APOP && !p->has_timestamp)
        return &not_available;
    return command->verb == VERB_AUTH ? pop3_auth_judge(command->argument) : NULL;
}

static enum pop3_pending pending_of(const struct pop3_command *command)
{
    switch (command->verb) {
    case VERB_CAPA: return PENDING_CAPA;
    case VERB_LANG: return command->argument.len == 0 ? PENDING_LIST : PENDING_LINE;
    case VERB_AUTH: return PENDING_MECHANISMS; /* with an argument it goes another way */
    case VERB_PASS:
    case VERB_APOP: return PENDING_LOGIN;
    case VERB_QUIT: return PENDING_QUIT;
    case VERB_USER:
    case VERB_UTF8:
    case VERB_NOOP:
    case VERB_ALLOWED:
    case VERB_STLS: /* what follows does not pass */
    case VERB_MAILBOX:
    case VERB_SPOOF:
    case VERB_UNKNOWN: break;
    }
    return PENDING_LINE;
}

/* Until these are answered nobody knows whether the client's next octets are commands. */
static bool is_blocked(const struct pop3_server *p)
{
    unsigned last;

    if (p->pending_count == 0)
        return false;
    last = (p->first + p->pending_count - 1) % POP3_OUTSTANDING_MAX;
    return p->pending[last] >= PENDING_MECHANISMS;
}

/* Backends with a fixed buffer for a line take the rest of a longer one for the next command, which
 * nobody has judged. */
static bool is_too_long(const struct pop3_command *command)
{
    return command->verb != VERB_AUTH &&
           command->word.len + 1 + command->argument.len + LINE_END.len > POP3_COMMAND_PASS_MAX;
}

static struct verdict pass(struct pop3_server *p, const struct line *line,
                           const struct pop3_command *command)
{
    const struct span part[] = {
        command->word,
        span_first((struct span)SPAN(" "), command->argument.len),
        command->argument,
        LINE_END,
    };

    if (p->pending_count == POP3_OUTSTANDING_MAX)
        return verdict_hold();
    if (command->verb == VERB_AUTH && command->argument.len > 0)
        return pop3_auth_pass(p, line, command->argument);
    p->base.is_doubtful = p->base.is_doubtful || pop3_may_be_split(command->argument);
    pop3_expect(p, pending_of(command));
    return verdict_send(SIDE_BACKEND, line->take, reply_join(p->base.space, EVENT_SPACE, part, 4));
}

/* A line that is a command, whatever it says. */
static struct verdict run(struct pop3_server *p, struct span window, const struct line *line)
{
    struct pop3_command command = pop3_command_parse(line->text);
    const struct pop3_refusal *refusal;

    if (command.verb == VERB_UNKNOWN && server_allows(p->base.policy, command.word))
        command.verb = VERB_ALLOWED;
    if (command.verb == VERB_UNKNOWN && foreign_is_http(line->text))
        return pop3_http(window);
    refusal = judge(p, &command);
    if (refusal == NULL && is_too_long(&command))
        refusal = &pop3_too_long;
    if (refusal != NULL)
        return pop3_refuse(p, line->take, refusal);
    if (command.verb == VERB_STLS)
        return pop3_stls(p, window, line);
    if (p->phase == POP3_PREAMBLE)
        return pop3_preamble_run(p, window, line, &command);
    return pass(p, line, &command);
}

/* AUTH may hold a whole response (RFC 5034, section 4). */
static size_t line_limit(struct span window)
{
    return span_starts(window, (struct span)SPAN("AUTH ")) ? SASL_LINE_MAX : POP3_COMMAND_LINE_MAX;
}

static struct verdict command_step(struct pop3_server *p, struct span window)
{
    struct line line;

    if (!p->base.is_secure && foreign_is_client_hello(window))
        return verdict_close_noted(window.len, END_VIOLATION, (struct span){0},
                                   NOTE_TLS_ON_PLAINTEXT_PORT);
    switch (line_find(window, line_limit(window), &line)) {
    case LINE_PARTIAL: return verdict_more(0);
    case LINE_TOO_LONG: return pop3_long_line(p, window);
    case LINE_FOUND: break;
    }
    if (!pop3_is_clean(line.text))
        return pop3_dirty_line(p, window, &line);
    return run(p, window, &line);
}

struct verdict pop3_gate_step(struct pop3_server *p, struct span window)
{
    switch (p->input) {
    case INPUT_LONG_LINE: return pop3_skip_line(p, window);
    case INPUT_RESPONSE: return pop3_auth_response(p, window);
    case INPUT_LONG_RESPONSE: return pop3_auth_skip(p, window);
    case INPUT_COMMAND: break;
    }
    return is_blocked(p) ? verdict_hold() : command_step(p, window);
}
