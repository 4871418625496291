/* SPDX-License-Identifier: ISC */
/* SMTP before TLS: we speak alone. Where TLS is enforced nothing of what is said here survives; where
 * it is not, a command that needs a backend goes the way of the gate. */
#include "protocols/reply.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

static const struct smtp_refusal no_name = {SPAN("501 5.5.4 Domain name required\r\n"), NOTE_NONE,
                                            STRIKE_ALWAYS};

static struct verdict hello(struct smtp_server *s, const struct line *line,
                            const struct smtp_command *command)
{
    const struct span helo[] = {
        SPAN("250 "), span_first(span_of(s->base.policy->hostname), SERVER_GREETING_MAX), LINE_END};

    /* It may be said to a backend later, and nothing is known of that yet. */
    if (command->argument.len == 0 || command->argument.len > SMTP_NAME_MAX ||
        !smtp_is_clean(command->argument, false))
        return smtp_refuse(s, line->take, &no_name);
    s->hello = command->verb;
    s->name_len = command->argument.len;
    memcpy(s->name, command->argument.data, s->name_len);
    return verdict_send(
        SIDE_CLIENT, line->take,
        command->verb == VERB_EHLO
            ? smtp_capabilities_reply(s->base.policy, s->base.learned, s->base.space, EVENT_SPACE)
            : reply_join(s->base.space, EVENT_SPACE, helo, 3));
}

static struct verdict quit(const struct smtp_server *s, struct span window)
{
    return smtp_end(s, server_without_tls(&s->base, END_CLIENT_QUIT),
                    (struct span)SPAN("221 2.0.0 Bye\r\n"), window.len);
}

static struct verdict run(struct smtp_server *s, struct span window, const struct line *line)
{
    const struct smtp_command command = smtp_command_parse(line->text);

    switch (command.verb) {
    case VERB_EHLO:
    case VERB_HELO: return hello(s, line, &command);
    case VERB_STARTTLS: return smtp_starttls(s, window, line, &command);
    case VERB_QUIT: return quit(s, window);
    case VERB_NOOP:
    case VERB_RSET:
        return verdict_send(SIDE_CLIENT, line->take, (struct span)SPAN("250 2.0.0 OK\r\n"));
    case VERB_HELP:
        return verdict_send(SIDE_CLIENT, line->take,
                            (struct span)SPAN("214 2.0.0 Start TLS, then ask again\r\n"));
    case VERB_VRFY: /* RFC 5321, section 3.5.3 */
        return verdict_send(SIDE_CLIENT, line->take,
                            (struct span)SPAN("252 2.5.0 Cannot tell, try to send\r\n"));
    case VERB_MAIL:
    case VERB_RCPT:
    case VERB_DATA:
    case VERB_BDAT:
    case VERB_EXPN:
    case VERB_AUTH:
    case VERB_BURL:
    case VERB_ETRN:
    case VERB_ALLOWED:
    case VERB_SPOOF:
    case VERB_HTTP:
    case VERB_UNKNOWN: break;
    }
    return smtp_gate_command(s, window);
}

struct verdict smtp_preamble_step(struct smtp_server *s, struct span window)
{
    struct line line;

    switch (s->input) {
    case INPUT_LONG_LINE: return smtp_skip_line(s, window);
    case INPUT_REFUSED_CHUNK: return smtp_refused_chunk(s, window);
    case INPUT_COMMAND:
    case INPUT_LINE_END:
    case INPUT_PARAMETERS:
    case INPUT_CHUNK:
    case INPUT_CONTENT:
    case INPUT_RESPONSE:
    case INPUT_LONG_RESPONSE: break;
    }
    if (line_find(window, SMTP_COMMAND_LINE_MAX, &line) == LINE_FOUND && !line.is_dirty &&
        smtp_is_clean(line.text, true))
        return run(s, window, &line);
    return smtp_gate_command(s, window);
}
