/* SPDX-License-Identifier: ISC */
/* IMAP commands before login (RFC 9051, sections 6.1 and 6.2; RFC 2971, 4959, 5255). */
#include "protocols/imap_command.h"

#include "protocols/foreign.h"
#include "protocols/sasl.h"
#include "protocols/server.h"

static const struct {
    struct span word;
    enum imap_verb verb;
} verbs[] = {
    {SPAN("CAPABILITY"), IMAP_CAPABILITY}, {SPAN("NOOP"), IMAP_NOOP},
    {SPAN("LOGOUT"), IMAP_LOGOUT},         {SPAN("ID"), IMAP_ID},
    {SPAN("LOGIN"), IMAP_LOGIN},           {SPAN("AUTHENTICATE"), IMAP_AUTHENTICATE},
    {SPAN("STARTTLS"), IMAP_STARTTLS},     {SPAN("LANGUAGE"), IMAP_LANGUAGE},
};

/* What some backends understand, and we don't; and why it cannot pass. */
static const struct {
    struct span word;
    const char *why;
} others[] = {
    {SPAN("APPEND"), "is followed by a message, which starttlsd does not follow before login"},
    {SPAN("REPLACE"), "is followed by a message, which starttlsd does not follow before login"},
    {SPAN("IDLE"), "is ended by a line without a tag (RFC 2177)"},
    {SPAN("COMPRESS"), "begins a compression that starttlsd does not follow before login"},
    {SPAN("XCLIENT"), "claims to come from another client"},
    {SPAN("XFORWARD"), "claims to come from another client"},
    {SPAN("PROXY"), "claims to come from another client"},
};

static enum imap_verb verb_of(struct span word, const struct policy *policy)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (span_equals(word, verbs[i].word))
            return verbs[i].verb;
    return server_allows(policy, word) ? IMAP_ALLOWED : IMAP_UNKNOWN;
}

struct imap_command imap_command_parse(struct span text, const struct policy *policy)
{
    struct imap_command command = {.verb = IMAP_UNKNOWN, .rest = text};
    size_t len = 0;

    while (len < text.len && text.data[len] != ' ')
        len++;
    if (!imap_is_tag(span_first(text, len)))
        return command;
    command.tag = span_first(text, len);
    command.rest = span_skip(text, len + 1);
    len = 0;
    while (len < command.rest.len && imap_is_atom_char(command.rest.data[len]))
        len++;
    command.word = span_first(command.rest, len);
    command.rest = span_skip(command.rest, len);
    if (command.rest.len == 0 || command.rest.data[0] == ' ')
        command.verb = verb_of(command.word, policy);
    return command;
}

const char *imap_command_veto(struct span word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (span_equals(word, verbs[i].word))
            return "is a command that starttlsd itself deals with";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (span_equals(word, others[i].word))
            return others[i].why;
    return foreign_is_http_verb(word) ? "is the word of a browser (HTTP)" : NULL;
}

/* ---- arguments ---- */

static bool is_one_line(struct span s)
{
    return s.len == 0 ||
           (memchr(s.data, '\r', s.len) == NULL && memchr(s.data, '\n', s.len) == NULL &&
            memchr(s.data, '\0', s.len) == NULL);
}

enum imap_arguments imap_login_parse(struct span rest, struct imap_token argument[2])
{
    for (size_t i = 0; i < 2; i++) {
        if (!imap_space_next(&rest))
            return IMAP_ARGUMENTS_BAD;
        argument[i] = imap_token_next(&rest);
        switch (argument[i].kind) {
        case IMAP_TOKEN_PENDING: return IMAP_ARGUMENTS_PENDING;
        case IMAP_TOKEN_OPEN:
        case IMAP_TOKEN_CLOSE:
        case IMAP_TOKEN_BAD: return IMAP_ARGUMENTS_BAD;
        case IMAP_TOKEN_ATOM:
        case IMAP_TOKEN_QUOTED:
        case IMAP_TOKEN_LITERAL: break;
        }
        if (!is_one_line(argument[i].text))
            return IMAP_ARGUMENTS_BAD;
    }
    return rest.len == 0 ? IMAP_ARGUMENTS_GOOD : IMAP_ARGUMENTS_BAD;
}

enum imap_arguments imap_authenticate_parse(struct span rest, struct imap_authenticate *argument)
{
    size_t len = 0;

    *argument = (struct imap_authenticate){0};
    if (!imap_space_next(&rest))
        return IMAP_ARGUMENTS_BAD;
    while (len < rest.len && rest.data[len] != ' ')
        len++;
    argument->mechanism = span_first(rest, len);
    rest = span_skip(rest, len);
    if (!sasl_is_mechanism(argument->mechanism))
        return IMAP_ARGUMENTS_BAD;
    if (rest.len == 0)
        return IMAP_ARGUMENTS_GOOD;
    argument->response = span_skip(rest, 1);
    return argument->response.len > 0 && argument->response.len <= SASL_LINE_MAX - 2 &&
                   sasl_is_initial(argument->response)
               ? IMAP_ARGUMENTS_GOOD
               : IMAP_ARGUMENTS_BAD;
}

enum imap_arguments imap_plain_parse(struct span rest)
{
    if (!imap_is_printable(rest))
        return IMAP_ARGUMENTS_BAD;
    while (rest.len > 0) {
        if (imap_space_next(&rest))
            continue;
        switch (imap_token_next(&rest).kind) {
        case IMAP_TOKEN_LITERAL:
        case IMAP_TOKEN_PENDING:
        case IMAP_TOKEN_BAD: return IMAP_ARGUMENTS_BAD;
        case IMAP_TOKEN_ATOM:
        case IMAP_TOKEN_QUOTED:
        case IMAP_TOKEN_OPEN:
        case IMAP_TOKEN_CLOSE: break;
        }
    }
    return IMAP_ARGUMENTS_GOOD;
}
