/* SPDX-License-Identifier: ISC */
/* What a client says inside TLS, on its way to the backend. An allow-list: what we do not
 * understand the backend does not get, so both always agree on what is a command. A command that we
 * refuse waits in the window until all earlier ones are answered; so replies keep their order
 * without a store. */
#include "protocols/smtp_envelope.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"

static const struct smtp_refusal not_offered = {SPAN("502 5.5.1 Command not implemented\r\n"),
                                                NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal tls_is_up = {SPAN("503 5.5.1 TLS is already active\r\n"),
                                              NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal bad_mail = {SPAN("501 5.5.4 Syntax error in MAIL\r\n"), NOTE_NONE,
                                             STRIKE_ALWAYS};
static const struct smtp_refusal no_mail = {SPAN("503 5.5.1 MAIL was refused\r\n"), NOTE_NONE,
                                            STRIKE_NEVER};
static const struct smtp_refusal no_relay = {SPAN("554 5.7.1 Relay access denied\r\n"), NOTE_NONE,
                                             STRIKE_ONCE_A_TRANSACTION};

static bool may_relay(const struct policy *policy, struct span text)
{
    switch (policy->relay) {
    case RELAY_BACKEND: return true;
    case RELAY_DOMAINS: return smtp_rcpt_is_ours(text, &policy->relay_domains);
    case RELAY_LOGIN: /* nobody is logged in */
    case RELAY_UNSET: break;
    }
    return false;
}

/* Why this command must not pass; NULL: it may. auth_at: set where MAIL holds an AUTH parameter. */
static const struct smtp_refusal *judge(const struct smtp_server *s, enum smtp_verb verb,
                                        struct span text, size_t *auth_at)
{
    *auth_at = 0;
    switch (verb) {
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_RSET:
    case VERB_NOOP:
    case VERB_QUIT:
    case VERB_HELP:
    case VERB_VRFY:
    case VERB_EXPN: return NULL;
    case VERB_MAIL:
        switch (smtp_mail_check(text, auth_at)) {
        case SMTP_MAIL_CLEAN: *auth_at = 0; return NULL;
        case SMTP_MAIL_AUTH: return NULL;
        case SMTP_MAIL_BAD: break;
        }
        return &bad_mail;
    case VERB_RCPT:
        if (s->is_mail_refused)
            return &no_mail;
        return may_relay(s->policy, text) ? NULL : &no_relay;
    case VERB_DATA: return s->is_mail_refused ? &no_mail : NULL;
    case VERB_BDAT:
    case VERB_AUTH:
    case VERB_BURL:
    case VERB_ETRN: return &not_offered;
    case VERB_STARTTLS: return &tls_is_up;
    case VERB_SPOOF: return &smtp_spoof;
    case VERB_HTTP:
    case VERB_UNKNOWN: break;
    }
    return &smtp_unknown;
}

/* Backends with a fixed buffer for a line take the rest of a longer one for the next command, which
 * nobody has judged. */
static bool is_too_long(enum smtp_verb verb, struct span text)
{
    size_t len = text.len + LINE_END.len;

    if (len <= SMTP_COMMAND_PASS_MAX)
        return false;
    if (verb != VERB_MAIL && verb != VERB_RCPT)
        return true;
    return len > SMTP_COMMAND_PASS_MAX + SMTP_EXTENSIONS_MAX || !smtp_envelope_is_exact(text);
}

static enum smtp_pending pending_of(enum smtp_verb verb)
{
    switch (verb) {
    case VERB_EHLO: return PENDING_EHLO;
    case VERB_HELO:
    case VERB_RSET: return PENDING_RESET;
    case VERB_MAIL: return PENDING_MAIL;
    case VERB_DATA: return PENDING_DATA;
    case VERB_QUIT: return PENDING_QUIT;
    case VERB_RCPT:
    case VERB_NOOP:
    case VERB_HELP:
    case VERB_VRFY:
    case VERB_EXPN:
    case VERB_BDAT:
    case VERB_AUTH:
    case VERB_BURL:
    case VERB_ETRN:
    case VERB_STARTTLS:
    case VERB_SPOOF:
    case VERB_HTTP:
    case VERB_UNKNOWN: break;
    }
    return PENDING_PLAIN;
}

/* Until DATA is answered nobody knows whether content or a command comes next (RFC 5321,
 * section 4.1.1.4); behind QUIT nothing does. */
static bool is_blocked(const struct smtp_server *s)
{
    unsigned last;

    if (s->pending_count == 0)
        return false;
    last = (s->first + s->pending_count - 1) % SMTP_OUTSTANDING_MAX;
    return s->pending[last] == PENDING_DATA || s->pending[last] == PENDING_QUIT;
}

static struct verdict pass(struct smtp_server *s, enum smtp_verb verb, const struct line *line,
                           size_t auth_at)
{
    if (s->pending_count == SMTP_OUTSTANDING_MAX)
        return verdict_hold();
    s->pending[(s->first + s->pending_count) % SMTP_OUTSTANDING_MAX] =
        (unsigned char)pending_of(verb);
    s->pending_count++;
    if (verb == VERB_MAIL) {
        s->is_mail_refused = false;
        s->is_relay_struck = false;
    }
    if (auth_at > 0) {
        s->input = INPUT_PARAMETERS;
        return verdict_forward(SIDE_BACKEND, auth_at);
    }
    if (line->is_crlf)
        return verdict_forward(SIDE_BACKEND, line->take);
    s->input = INPUT_LINE_END;
    return verdict_forward(SIDE_BACKEND, line->text.len);
}

static struct verdict command(struct smtp_server *s, struct span window)
{
    struct smtp_command command;
    const struct smtp_refusal *refusal;
    struct verdict v;
    struct line line;
    size_t auth_at;

    switch (line_find(window, SMTP_COMMAND_LINE_MAX, &line)) {
    case LINE_PARTIAL: return verdict_more(0);
    case LINE_TOO_LONG: return smtp_long_line(s, window);
    case LINE_FOUND: break;
    }
    if (line.is_dirty)
        return smtp_dirty_line(s, window, &line);
    command = smtp_command_parse(line.text);
    refusal = judge(s, command.verb, line.text, &auth_at);
    if (refusal == NULL && is_too_long(command.verb, line.text))
        refusal = &smtp_too_long;
    if (refusal == NULL)
        return pass(s, command.verb, &line, auth_at);
    if (command.verb == VERB_BDAT)
        return smtp_bdat(s, window, &line, command.argument, refusal);
    v = smtp_refuse(s, line.take, refusal);
    if (command.verb == VERB_MAIL && v.kind == VERDICT_SEND)
        s->is_mail_refused = true;
    return v;
}

/* A MAIL whose line is whole in the window: AUTH parameters are dropped, the others pass. */
static struct verdict parameters(struct smtp_server *s, struct span window)
{
    struct span rest;
    struct line line;
    size_t drop, keep;

    if (line_find(window, SMTP_COMMAND_LINE_MAX, &line) != LINE_FOUND)
        return verdict_more(0); /* never: it was found when the command was judged */
    drop = smtp_mail_drop(line.text);
    rest = span_skip(line.text, drop);
    while (rest.len > 0 && smtp_is_blank(rest.data[0])) {
        rest = span_skip(rest, 1);
        drop++;
    }
    if (rest.len == 0) {
        s->input = INPUT_COMMAND;
        return verdict_send(SIDE_BACKEND, line.take, LINE_END);
    }
    if (drop > 0)
        return verdict_send(SIDE_BACKEND, drop, (struct span)SPAN(" "));
    keep = smtp_mail_keep(line.text);
    if (keep < line.text.len)
        return verdict_forward(SIDE_BACKEND, keep);
    s->input = line.is_crlf ? INPUT_COMMAND : INPUT_LINE_END;
    return verdict_forward(SIDE_BACKEND, line.is_crlf ? line.take : line.text.len);
}

static struct verdict content(struct smtp_server *s, struct span window)
{
    const struct smtp_content_piece piece =
        smtp_content_next(&s->content, window, s->space, EVENT_SPACE);

    switch (piece.kind) {
    case CONTENT_MORE: return verdict_more(piece.take);
    case CONTENT_EDIT: return verdict_send(SIDE_BACKEND, piece.take, piece.text);
    case CONTENT_END: s->input = INPUT_COMMAND; break;
    case CONTENT_PASS: break;
    }
    return verdict_forward(SIDE_BACKEND, piece.take);
}

struct verdict smtp_gate_step(struct smtp_server *s, struct span window)
{
    switch (s->input) {
    case INPUT_LINE_END: s->input = INPUT_COMMAND; return verdict_send(SIDE_BACKEND, 1, LINE_END);
    case INPUT_PARAMETERS: return parameters(s, window);
    case INPUT_CONTENT: return content(s, window);
    case INPUT_LONG_LINE:
    case INPUT_CHUNK: return smtp_discard(s, window);
    case INPUT_COMMAND: break;
    }
    return is_blocked(s) ? verdict_hold() : command(s, window);
}
