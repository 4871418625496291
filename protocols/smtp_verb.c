/* SPDX-License-Identifier: ISC */
/* SMTP command lines: the verb, by a table of all that we know, and what stands behind it. */
#include "protocols/smtp_verb.h"

#include "protocols/foreign.h"
#include "protocols/word.h"

static const struct {
    struct span word;
    enum smtp_verb verb;
} verbs[] = {
    {SPAN("EHLO"), VERB_EHLO},     {SPAN("HELO"), VERB_HELO},
    {SPAN("MAIL"), VERB_MAIL},     {SPAN("RCPT"), VERB_RCPT},
    {SPAN("DATA"), VERB_DATA},     {SPAN("BDAT"), VERB_BDAT},
    {SPAN("RSET"), VERB_RSET},     {SPAN("NOOP"), VERB_NOOP},
    {SPAN("QUIT"), VERB_QUIT},     {SPAN("HELP"), VERB_HELP},
    {SPAN("VRFY"), VERB_VRFY},     {SPAN("EXPN"), VERB_EXPN},
    {SPAN("AUTH"), VERB_AUTH},     {SPAN("BURL"), VERB_BURL},
    {SPAN("ETRN"), VERB_ETRN},     {SPAN("STARTTLS"), VERB_STARTTLS},
    {SPAN("XCLIENT"), VERB_SPOOF}, {SPAN("XFORWARD"), VERB_SPOOF},
    {SPAN("PROXY"), VERB_SPOOF},
};

/* What some backends understand, and we don't; and why it cannot pass. */
static const struct {
    struct span word;
    const char *why;
} others[] = {
    {SPAN("SEND"), "begins a mail that starttlsd does not follow (RFC 821, section 3.4)"},
    {SPAN("SOML"), "begins a mail that starttlsd does not follow (RFC 821, section 3.4)"},
    {SPAN("SAML"), "begins a mail that starttlsd does not follow (RFC 821, section 3.4)"},
    {SPAN("LHLO"), "begins LMTP, where one message has many replies"},
    {SPAN("TURN"), "makes the client the server (RFC 5321, appendix F.1)"},
    {SPAN("ATRN"), "makes the client the server (RFC 2645)"},
    {SPAN("XEXCH50"), "is followed by octets that are no commands"},
    {SPAN("X-EXPS"), "begins a login in a form that starttlsd does not follow"},
    {SPAN("X-ANONYMOUSTLS"), "begins a TLS of its own inside the session"},
    {SPAN("X-LINK2STATE"), "changes the routing of an Exchange server (CVE-2005-0560)"},
    {SPAN("XPROXY"), "claims to come from another client"},
    {SPAN("XPROXYFROM"), "claims to come from another client"},
    {SPAN("XPROXYTO"), "hands the session on to another server"},
    {SPAN("VERB"), "makes the server say more than one reply to a command"},
};

struct smtp_command smtp_command_parse(struct span text)
{
    struct smtp_command command = {.verb = VERB_UNKNOWN};
    size_t len = 0;

    while (len < text.len && !word_is_blank(text.data[len]))
        len++;
    command.word = span_first(text, len);
    command.argument = word_trim(span_skip(text, len));
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (span_equals(command.word, verbs[i].word))
            command.verb = verbs[i].verb;
    if (command.verb == VERB_UNKNOWN && foreign_is_http(text))
        command.verb = VERB_HTTP;
    return command;
}

const char *smtp_verb_veto(struct span word)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!span_equals(word, verbs[i].word))
            continue;
        return verbs[i].verb == VERB_SPOOF ? "claims to come from another client"
                                           : "is a command that starttlsd itself deals with";
    }
    if (foreign_is_http_verb(word))
        return "is the word of a browser (HTTP)";
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (span_equals(word, others[i].word))
            return others[i].why;
    return NULL;
}

bool smtp_is_clean(struct span text, bool is_utf8)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
        if (!is_utf8 && c >= 0x80 && c < 0xa0 && c != 0x89)
            return false; /* NUL, CR, LF and others in seven bits; NEL in ISO 8859 */
    }
    return true;
}

static bool ends_with(struct span s, struct span end)
{
    return s.len >= end.len && span_equals(span_skip(s, s.len - end.len), end);
}

bool smtp_ends_with_verb(struct span word)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (ends_with(word, verbs[i].word))
            return true;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (ends_with(word, others[i].word))
            return true;
    return false;
}

bool smtp_chunk_parse(struct span argument, struct smtp_chunk *chunk)
{
    struct span rest;
    size_t i = 0;

    *chunk = (struct smtp_chunk){0};
    for (; i < argument.len && argument.data[i] >= '0' && argument.data[i] <= '9'; i++) {
        size_t digit = (size_t)(argument.data[i] - '0');

        if (chunk->size > (SMTP_CHUNK_MAX - digit) / 10) /* a size_t may have 32 bits */
            return false;
        chunk->size = chunk->size * 10 + digit;
    }
    rest = word_trim(span_skip(argument, i));
    chunk->is_last = span_equals(rest, (struct span)SPAN("LAST"));
    chunk->is_exact = chunk->is_last || rest.len == 0;
    return i > 0 && (i == argument.len || word_is_blank(argument.data[i]));
}
