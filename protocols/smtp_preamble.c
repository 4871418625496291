/* SPDX-License-Identifier: ISC */
/* SMTP before TLS, where TLS is enforced: we speak alone, and nothing of what is said here
 * survives. */
#include "protocols/reply.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

static const struct smtp_refusal must_start_tls = {
    SPAN("530 5.7.0 Must issue a STARTTLS command first\r\n"), NOTE_TLS_NEEDED, STRIKE_ALWAYS};
static const struct smtp_refusal no_name = {SPAN("501 5.5.4 Domain name required\r\n"), NOTE_NONE,
                                            STRIKE_ALWAYS};
static const struct smtp_refusal no_argument = {SPAN("501 5.5.4 STARTTLS takes no argument\r\n"),
                                                NOTE_NONE, STRIKE_ALWAYS};

/* DESIGN, section 9: such a peer understands no reply. */
static struct verdict foreign_protocol(const struct smtp_server *s, struct span window,
                                       enum note note)
{
    struct verdict v = smtp_end(s, END_VIOLATION, (struct span){0}, window.len);

    v.note = note;
    return v;
}

/* A TLS record of a handshake (RFC 8446, section 5.1); no command begins like this. */
static bool is_client_hello(struct span window)
{
    return window.len >= 2 && window.data[0] == 0x16 && window.data[1] == 0x03;
}

static struct verdict hello(struct smtp_server *s, const struct line *line,
                            const struct smtp_command *command)
{
    struct span hostname = span_first(span_of(s->policy->hostname), SMTP_GREETING_MAX);
    const struct span ehlo[] = {SPAN("250-"), hostname,
                                SPAN("\r\n"
                                     "250-PIPELINING\r\n"
                                     "250-8BITMIME\r\n"
                                     "250-ENHANCEDSTATUSCODES\r\n"
                                     "250 STARTTLS\r\n")};
    const struct span helo[] = {SPAN("250 "), hostname, SPAN("\r\n")};

    if (command->argument.len == 0)
        return smtp_refuse(s, line->take, &no_name);
    return verdict_send(
        SIDE_CLIENT, line->take,
        reply_join(s->space, EVENT_SPACE, command->verb == VERB_EHLO ? ehlo : helo, 3));
}

/* RFC 3207, section 4. What came in the same breath was sent in the clear by whoever
 * (CVE-2011-0411). */
static struct verdict starttls(struct smtp_server *s, struct span window, const struct line *line,
                               const struct smtp_command *command)
{
    struct verdict v;

    if (command->argument.len > 0)
        return smtp_refuse(s, line->take, &no_argument);
    if (window.len > line->take) {
        v = smtp_end(s, END_VIOLATION, (struct span)SPAN("554 5.7.0 Octets behind STARTTLS\r\n"),
                     window.len);
        v.note = NOTE_INJECTION;
        return v;
    }
    v = verdict_send(SIDE_CLIENT, line->take,
                     (struct span)SPAN("220 2.0.0 Ready to start TLS\r\n"));
    v.kind = VERDICT_START_TLS;
    return v;
}

static struct verdict quit(const struct smtp_server *s, struct span window)
{
    return smtp_end(s, smtp_without_tls(s, END_CLIENT_QUIT), (struct span)SPAN("221 2.0.0 Bye\r\n"),
                    window.len);
}

static struct verdict run(struct smtp_server *s, struct span window, const struct line *line)
{
    const struct smtp_command command = smtp_command_parse(line->text);

    switch (command.verb) {
    case VERB_EHLO:
    case VERB_HELO: return hello(s, line, &command);
    case VERB_STARTTLS: return starttls(s, window, line, &command);
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
    case VERB_EXPN:
    case VERB_AUTH:
    case VERB_BURL:
    case VERB_ETRN: return smtp_refuse(s, line->take, &must_start_tls);
    case VERB_BDAT: return smtp_bdat(s, window, line, command.argument, &must_start_tls);
    case VERB_SPOOF: return smtp_refuse(s, line->take, &smtp_spoof);
    case VERB_HTTP: return foreign_protocol(s, window, NOTE_HTTP);
    case VERB_UNKNOWN: break;
    }
    return smtp_refuse(s, line->take, &smtp_unknown);
}

struct verdict smtp_preamble_step(struct smtp_server *s, struct span window)
{
    struct line line;

    if (s->input != INPUT_COMMAND)
        return smtp_discard(s, window);
    if (is_client_hello(window))
        return foreign_protocol(s, window, NOTE_TLS_ON_PLAINTEXT_PORT);
    switch (line_find(window, SMTP_COMMAND_LINE_MAX, &line)) {
    case LINE_PARTIAL: return verdict_more(0);
    case LINE_TOO_LONG: return smtp_long_line(s, window);
    case LINE_FOUND: break;
    }
    if (line.is_dirty)
        return smtp_dirty_line(s, window, &line);
    return run(s, window, &line);
}
