/* SPDX-License-Identifier: ISC */
/* What a client says inside TLS, on its way to the backend. An allow-list: what we do not
 * understand the backend does not get, so both always agree on what is a command. A command that we
 * refuse waits in the window until all earlier ones are answered; so replies keep their order
 * without a store. */
#include "protocols/foreign.h"
#include "protocols/sasl.h"
#include "protocols/smtp_envelope.h"
#include "protocols/smtp_machine.h"
#include "protocols/verdict.h"
#include "protocols/word.h"

static const struct smtp_refusal must_start_tls = {
    SPAN("530 5.7.0 Must issue a STARTTLS command first\r\n"), NOTE_TLS_NEEDED, STRIKE_ALWAYS};
static const struct smtp_refusal not_offered = {SPAN("502 5.5.1 Command not implemented\r\n"),
                                                NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal tls_is_up = {SPAN("503 5.5.1 TLS is already active\r\n"),
                                              NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal bad_mail = {SPAN("501 5.5.4 Syntax error in MAIL\r\n"), NOTE_NONE,
                                             STRIKE_ALWAYS};
static const struct smtp_refusal no_extension = {SPAN("555 5.5.4 Parameter not available\r\n"),
                                                 NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal in_transaction = {
    SPAN("503 5.5.1 Not inside a transaction or a login\r\n"), NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal in_chunks = {SPAN("503 5.5.1 Only BDAT may follow BDAT\r\n"),
                                              NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal login_first = {SPAN("530 5.7.0 Authentication required\r\n"),
                                                NOTE_NONE, STRIKE_ALWAYS};
static const struct smtp_refusal login_first_again = {SPAN("530 5.7.0 Authentication required\r\n"),
                                                      NOTE_NONE, STRIKE_NEVER};
static const struct smtp_refusal no_mail = {SPAN("503 5.5.1 MAIL was refused\r\n"), NOTE_NONE,
                                            STRIKE_NEVER};
static const struct smtp_refusal no_relay = {SPAN("554 5.7.1 Relay access denied\r\n"), NOTE_NONE,
                                             STRIKE_ONCE_A_TRANSACTION};

static bool may_relay(const struct smtp_server *s, struct span text)
{
    switch (s->base.policy->relay) {
    case RELAY_BACKEND: return true;
    case RELAY_DOMAINS:
        return s->is_logged_in ||
               smtp_rcpt_is_ours(text, &s->base.policy->relay_domains, s->offers.utf8);
    case RELAY_LOGIN: return s->is_logged_in;
    case RELAY_UNSET: break;
    }
    return false;
}

/* TLS is enforced, and this would need a backend. */
static bool needs_tls(const struct smtp_server *s, enum smtp_verb verb)
{
    return s->phase == SMTP_PREAMBLE && s->base.policy->is_enforced && verb != VERB_SPOOF &&
           verb != VERB_UNKNOWN;
}

/* What a client may say before it has logged in, where nothing is relayed for others. */
static bool is_for_everybody(enum smtp_verb verb)
{
    switch (verb) {
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_RSET:
    case VERB_NOOP:
    case VERB_QUIT:
    case VERB_HELP:
    case VERB_AUTH:
    case VERB_STARTTLS:
    case VERB_SPOOF:
    case VERB_HTTP:
    case VERB_UNKNOWN: return true;
    case VERB_MAIL:
    case VERB_RCPT:
    case VERB_DATA:
    case VERB_BDAT:
    case VERB_VRFY:
    case VERB_EXPN:
    case VERB_BURL:
    case VERB_ETRN:
    case VERB_ALLOWED: break;
    }
    return false;
}

/* What may stand between two chunks of a message (RFC 3030, section 2): to a backend all else would
 * be out of sequence. */
static bool may_follow_chunk(enum smtp_verb verb)
{
    switch (verb) {
    case VERB_BDAT:
    case VERB_BURL:
    case VERB_RSET:
    case VERB_NOOP:
    case VERB_QUIT:
    case VERB_SPOOF:
    case VERB_HTTP:
    case VERB_UNKNOWN: return true; /* the last three do not pass anyhow */
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_MAIL:
    case VERB_RCPT:
    case VERB_DATA:
    case VERB_HELP:
    case VERB_VRFY:
    case VERB_EXPN:
    case VERB_AUTH:
    case VERB_ETRN:
    case VERB_STARTTLS:
    case VERB_ALLOWED: break;
    }
    return false;
}

static const struct smtp_refusal *judge_mail(const struct smtp_server *s, struct span text,
                                             size_t *auth_at)
{
    if (smtp_mail_changes_replies(text))
        return &no_extension;
    if (s->is_logged_in)
        return NULL;
    switch (smtp_mail_check(text, auth_at)) {
    case SMTP_MAIL_CLEAN: *auth_at = 0; return NULL;
    case SMTP_MAIL_AUTH: return NULL;
    case SMTP_MAIL_BAD: break;
    }
    return &bad_mail;
}

/* Why this command must not pass; NULL: it may. auth_at: set where MAIL holds an AUTH parameter
 * that must not. */
static const struct smtp_refusal *judge(const struct smtp_server *s,
                                        const struct smtp_command *command, struct span text,
                                        size_t *auth_at)
{
    *auth_at = 0;
    if (needs_tls(s, command->verb))
        return &must_start_tls;
    if (s->base.policy->relay == RELAY_LOGIN && !s->is_logged_in &&
        !is_for_everybody(command->verb))
        return s->is_mail_refused && command->verb != VERB_MAIL ? &login_first_again : &login_first;
    if (s->in_chunks && !may_follow_chunk(command->verb))
        return &in_chunks;
    switch (command->verb) {
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_RSET:
    case VERB_NOOP:
    case VERB_QUIT:
    case VERB_HELP:
    case VERB_VRFY:
    case VERB_EXPN:
    case VERB_ALLOWED: return NULL;
    case VERB_MAIL: return judge_mail(s, text, auth_at);
    case VERB_RCPT:
        if (s->is_mail_refused)
            return &no_mail;
        return may_relay(s, text) ? NULL : &no_relay;
    case VERB_DATA:
    case VERB_BDAT: return s->is_mail_refused ? &no_mail : NULL;
    case VERB_BURL:
        if (s->is_mail_refused)
            return &no_mail;
        return s->in_transaction && s->is_spoilt ? &smtp_spoilt : NULL; /* a chunk may be missing */
    case VERB_AUTH:
        return s->in_transaction || s->is_logged_in ? &in_transaction : smtp_auth_judge(s, command);
    case VERB_ETRN: return s->base.policy->relay == RELAY_BACKEND ? NULL : &not_offered;
    case VERB_STARTTLS:
        if (s->base.is_secure)
            return &tls_is_up;
        if (s->base.policy->tls != FRONT_STARTTLS)
            return &not_offered;
        return s->in_transaction || s->is_logged_in ? &in_transaction : NULL;
    case VERB_SPOOF: return &smtp_spoof;
    case VERB_HTTP:
    case VERB_UNKNOWN: break;
    }
    return &smtp_unknown;
}

/* Backends with a fixed buffer for a line take the rest of a longer one for the next command, which
 * nobody has judged. What they hold, only they can say: before one is there the line waits. */
static bool is_too_long(const struct smtp_server *s, enum smtp_verb verb, struct span text)
{
    size_t len = text.len + LINE_END.len;
    bool is_unknown = s->phase == SMTP_PREAMBLE;

    if (len <= SMTP_COMMAND_PASS_MAX || verb == VERB_AUTH)
        return false;
    if (verb != VERB_MAIL && verb != VERB_RCPT)
        return true;
    return !(s->offers.dsn || is_unknown) || len > SMTP_COMMAND_PASS_MAX + SMTP_EXTENSIONS_MAX ||
           !smtp_envelope_is_exact(text, s->offers.utf8 || is_unknown);
}

static enum smtp_pending pending_of(const struct smtp_server *s, const struct smtp_command *command,
                                    struct span text)
{
    switch (command->verb) {
    case VERB_EHLO: return PENDING_EHLO;
    case VERB_HELO: return PENDING_HELO;
    case VERB_RSET: return PENDING_RSET;
    case VERB_MAIL:
        return smtp_mail_is_eight_bit(text, s->offers.utf8) ? PENDING_MAIL_8BIT : PENDING_MAIL;
    case VERB_RCPT: return PENDING_RCPT;
    case VERB_DATA: return PENDING_DATA;
    case VERB_BURL: return smtp_is_last(command->argument) ? PENDING_LAST_CHUNK : PENDING_CHUNK;
    case VERB_QUIT: return PENDING_QUIT;
    case VERB_NOOP:
    case VERB_HELP:
    case VERB_VRFY:
    case VERB_EXPN:
    case VERB_ALLOWED:
    case VERB_ETRN:
    case VERB_AUTH: /* these two go other ways */
    case VERB_BDAT:
    case VERB_STARTTLS:
    case VERB_SPOOF:
    case VERB_HTTP:
    case VERB_UNKNOWN: break;
    }
    return PENDING_PLAIN;
}

/* Until these are answered nobody knows what the client's next octets are (RFC 5321, section
 * 4.1.1.4), or the backend is not to have them yet. */
static bool is_blocked(const struct smtp_server *s)
{
    unsigned last;

    if (s->pending_count == 0)
        return false;
    last = (s->first + s->pending_count - 1) % SMTP_OUTSTANDING_MAX;
    return s->pending[last] >= PENDING_GREETING;
}

static struct verdict pass(struct smtp_server *s, const struct smtp_command *command,
                           const struct line *line, size_t auth_at)
{
    if (s->pending_count == SMTP_OUTSTANDING_MAX)
        return verdict_hold();
    if (command->verb == VERB_AUTH)
        return smtp_auth_pass(s, line, command->argument);
    smtp_expect(s, pending_of(s, command, line->text));
    if (command->verb == VERB_MAIL) {
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

/* What the gate does with a line that is a command, whatever it says. */
static struct verdict run(struct smtp_server *s, struct span window, const struct line *line,
                          struct smtp_command *command)
{
    const struct smtp_refusal *refusal;
    struct verdict v;
    size_t auth_at;

    if (command->verb == VERB_UNKNOWN && server_allows(s->base.policy, command->word))
        command->verb = VERB_ALLOWED;
    if (command->verb == VERB_HTTP)
        return smtp_foreign(s, window, NOTE_HTTP);
    /* Whether a transaction is under way, and so whether it may come, must be known (RFC 4954,
     * section 4). */
    if (command->verb == VERB_AUTH && !smtp_is_quiet(s))
        return verdict_hold();
    refusal = judge(s, command, line->text, &auth_at);
    if (command->verb == VERB_BDAT)
        return smtp_bdat(s, window, line, command->argument, refusal);
    if (refusal == NULL && is_too_long(s, command->verb, line->text))
        refusal = &smtp_too_long;
    if (refusal == NULL && command->verb == VERB_STARTTLS)
        return smtp_starttls(s, window, line, command);
    if (refusal == NULL && s->phase == SMTP_PREAMBLE) {
        s->phase = SMTP_CONNECTING; /* the line stays where it is until a backend is there */
        return verdict_connect();
    }
    if (refusal == NULL)
        return pass(s, command, line, auth_at);
    v = smtp_refuse(s, line->take, refusal);
    if (command->verb == VERB_MAIL && v.kind == VERDICT_SEND)
        s->is_mail_refused = true;
    return v;
}

/* AUTH may hold a whole response (RFC 4954, section 4). */
static size_t line_limit(struct span window)
{
    return span_starts(window, (struct span)SPAN("AUTH ")) ? SASL_LINE_MAX : SMTP_COMMAND_LINE_MAX;
}

struct verdict smtp_gate_command(struct smtp_server *s, struct span window)
{
    struct smtp_command command;
    struct line line;

    if (!s->base.is_secure && foreign_is_client_hello(window))
        return smtp_foreign(s, window, NOTE_TLS_ON_PLAINTEXT_PORT);
    switch (line_find(window, line_limit(window), &line)) {
    case LINE_PARTIAL: return verdict_more(0);
    case LINE_TOO_LONG: return smtp_long_line(s, window);
    case LINE_FOUND: break;
    }
    /* Without a backend nobody knows what it speaks; the line is looked at again when there is. */
    if (line.is_dirty || !smtp_is_clean(line.text, s->offers.utf8 || s->phase == SMTP_PREAMBLE))
        return smtp_dirty_line(s, window, &line);
    command = smtp_command_parse(line.text);
    return run(s, window, &line, &command);
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
    while (rest.len > 0 && word_is_blank(rest.data[0])) {
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

/* bare_newline = reject. The backend has part of the message, and forgets it with the connection. */
static struct verdict refuse_content(const struct smtp_server *s, struct span window)
{
    static const struct span text = SPAN("521 5.5.2 Bare CR, bare LF or NUL in a message\r\n");
    struct verdict v = smtp_end(s, END_VIOLATION, text, window.len);

    v.note = NOTE_SMUGGLING;
    return v;
}

static struct verdict content(struct smtp_server *s, struct span window)
{
    const struct smtp_content_piece piece =
        smtp_content_next(&s->content, window, s->base.space, EVENT_SPACE);

    switch (piece.kind) {
    case CONTENT_MORE: return verdict_more(piece.take);
    case CONTENT_EDIT: return verdict_send(SIDE_BACKEND, piece.take, piece.text);
    case CONTENT_REFUSE: return refuse_content(s, window);
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
    case INPUT_LONG_LINE: return smtp_skip_line(s, window);
    case INPUT_REFUSED_CHUNK: return smtp_refused_chunk(s, window);
    case INPUT_CHUNK: return smtp_chunk(s, window);
    case INPUT_RESPONSE: return smtp_auth_response(s, window);
    case INPUT_LONG_RESPONSE: return smtp_auth_skip(s, window);
    case INPUT_COMMAND: break;
    }
    return is_blocked(s) ? verdict_hold() : smtp_gate_command(s, window);
}
