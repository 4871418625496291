/* SPDX-License-Identifier: ISC */
/* The ways in which the SMTP module speaks for itself: refusals, strikes, the end. */
#include "protocols/smtp_machine.h"

#include <assert.h>

#include "protocols/reply.h"
#include "protocols/verdict.h"

const struct smtp_refusal smtp_unknown = {SPAN("500 5.5.2 Command not recognized\r\n"), NOTE_NONE,
                                          STRIKE_ALWAYS};
static const struct smtp_refusal dirty = {SPAN("500 5.5.2 Control character inside a command\r\n"),
                                          NOTE_NONE, STRIKE_ALWAYS};
const struct smtp_refusal smtp_spoof = {SPAN("550 5.7.1 Not allowed\r\n"), NOTE_SPOOF,
                                        STRIKE_ALWAYS};

const struct smtp_refusal smtp_too_long = {SPAN("500 5.5.2 Line too long\r\n"), NOTE_NONE,
                                           STRIKE_ALWAYS};

bool smtp_is_quiet(const struct smtp_server *s)
{
    return s->pending_count == 0 && s->output == OUTPUT_NOTHING;
}

bool smtp_is_clients_turn(const struct smtp_server *s)
{
    switch (s->input) {
    case INPUT_CONTENT:
    case INPUT_CHUNK:
    case INPUT_RESPONSE:
    case INPUT_LONG_RESPONSE: return true;
    case INPUT_COMMAND:
    case INPUT_LINE_END:
    case INPUT_PARAMETERS:
    case INPUT_LONG_LINE:
    case INPUT_REFUSED_CHUNK: break;
    }
    return false;
}

void smtp_expect(struct smtp_server *s, enum smtp_pending what)
{
    assert(s->pending_count < SMTP_OUTSTANDING_MAX);
    s->pending[(s->first + s->pending_count) % SMTP_OUTSTANDING_MAX] = (unsigned char)what;
    s->pending_count++;
}

bool smtp_is_at_rest(const struct smtp_server *s)
{
    return smtp_is_quiet(s) && !s->in_transaction && !smtp_is_clients_turn(s);
}

struct verdict smtp_end(const struct smtp_server *s, enum end end, struct span text, size_t take)
{
    struct verdict v = verdict_close(take, end, text);

    if (s->output != OUTPUT_NOTHING)
        v.text = (struct span){0}; /* it would be read as part of the reply that was begun */
    if (s->input == INPUT_CONTENT || s->input == INPUT_CHUNK)
        v.kind = VERDICT_RESET;
    return v;
}

struct verdict smtp_lost(const struct smtp_server *s, size_t take)
{
    static const struct span text = SPAN("421 4.4.2 Mail server lost, try again later\r\n");

    return smtp_end(s, END_BACKEND_LOST, text, take);
}

struct verdict smtp_violation(const struct smtp_server *s, struct span window)
{
    struct verdict v = smtp_lost(s, window.len);

    v.note = NOTE_BACKEND_REPLY;
    return v;
}

struct verdict smtp_greet(const struct smtp_server *s, size_t take)
{
    const struct policy *policy = s->base.policy;
    const char *words = policy->greeting == NULL ? policy->hostname : policy->greeting;
    const struct span part[] = {
        SPAN("220 "),
        span_first(span_of(words), SERVER_GREETING_MAX),
        span_of(policy->greeting == NULL ? " ESMTP\r\n" : "\r\n"),
    };

    return verdict_send(SIDE_CLIENT, take, reply_join(s->base.space, EVENT_SPACE, part, 3));
}

void smtp_strike(struct smtp_server *s)
{
    server_strike(&s->base, (struct span)SPAN("421 4.7.0 Too many errors\r\n"));
}

static bool is_strike(struct smtp_server *s, enum smtp_strike kind)
{
    bool was_struck = s->is_relay_struck;

    switch (kind) {
    case STRIKE_NEVER: return false;
    case STRIKE_ONCE_A_TRANSACTION: s->is_relay_struck = true; return !was_struck;
    case STRIKE_ALWAYS: break;
    }
    return true;
}

struct verdict smtp_refuse(struct smtp_server *s, size_t take, const struct smtp_refusal *r)
{
    struct verdict v = verdict_send(SIDE_CLIENT, take, r->text);

    if (!smtp_is_quiet(s))
        return verdict_hold();
    v.note = r->note;
    if (r->note == NOTE_TLS_NEEDED)
        s->base.is_told = true;
    if (is_strike(s, r->strike))
        smtp_strike(s);
    return v;
}

struct verdict smtp_skip_line(struct smtp_server *s, struct span window)
{
    const char *lf = window.len == 0 ? NULL : memchr(window.data, '\n', window.len);
    struct verdict v;

    if (lf == NULL)
        return verdict_more(window.len);
    v = smtp_refuse(s, (size_t)(lf - window.data) + 1, s->refusal);
    if (v.kind == VERDICT_SEND)
        s->input = INPUT_COMMAND;
    return v;
}

/* What a line that is refused unread begins with: whoever sent it goes on as if it had been read.
 */
static enum smtp_verb apparent_verb(struct span text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '\r' && text.data[len] != '\0')
        len++;
    return smtp_command_parse(span_first(text, len)).verb;
}

struct verdict smtp_dirty_line(struct smtp_server *s, struct span window, const struct line *line)
{
    enum smtp_verb verb = apparent_verb(line->text);
    struct verdict v;

    if (verb == VERB_HTTP)
        return smtp_foreign(s, window, NOTE_HTTP);
    if (verb == VERB_BDAT)
        return smtp_unknown_chunk(s, window);
    v = smtp_refuse(s, line->take, verb == VERB_SPOOF ? &smtp_spoof : &dirty);
    if (verb == VERB_MAIL && v.kind == VERDICT_SEND)
        s->is_mail_refused = true;
    return v;
}

struct verdict smtp_long_line(struct smtp_server *s, struct span window)
{
    enum smtp_verb verb = apparent_verb(span_first(window, SMTP_COMMAND_LINE_MAX));

    if (verb == VERB_HTTP)
        return smtp_foreign(s, window, NOTE_HTTP);
    if (verb == VERB_BDAT)
        return smtp_unknown_chunk(s, window);
    if (verb == VERB_MAIL)
        s->is_mail_refused = true;
    s->input = INPUT_LONG_LINE;
    s->refusal = verb == VERB_SPOOF ? &smtp_spoof : &smtp_too_long;
    return smtp_skip_line(s, window);
}

struct verdict smtp_foreign(const struct smtp_server *s, struct span window, enum note note)
{
    struct verdict v = smtp_end(s, END_VIOLATION, (struct span){0}, window.len);

    v.note = note;
    return v;
}

/* RFC 3207, section 4. What came in the same breath was sent in the clear by whoever
 * (CVE-2011-0411). Behind it a blank machine begins; a backend that was there is left. */
struct verdict smtp_starttls(struct smtp_server *s, struct span window, const struct line *line,
                             const struct smtp_command *command)
{
    static const struct smtp_refusal no_argument = {
        SPAN("501 5.5.4 STARTTLS takes no argument\r\n"), NOTE_NONE, STRIKE_ALWAYS};
    struct verdict v;

    if (command->argument.len > 0)
        return smtp_refuse(s, line->take, &no_argument);
    if (!smtp_is_quiet(s))
        return verdict_hold();
    if (window.len > line->take) {
        v = smtp_end(s, END_VIOLATION, (struct span)SPAN("554 5.7.0 Octets behind STARTTLS\r\n"),
                     window.len);
        v.note = NOTE_INJECTION;
        return v;
    }
    if (s->phase == SMTP_GATE && !s->is_backend_left) {
        s->is_backend_left = true;
        return verdict_send(SIDE_BACKEND, 0, (struct span)SPAN("QUIT\r\n"));
    }
    v = verdict_send(SIDE_CLIENT, line->take,
                     (struct span)SPAN("220 2.0.0 Ready to start TLS\r\n"));
    v.kind = VERDICT_START_TLS;
    return v;
}
