/* SPDX-License-Identifier: ISC */
/* POP3 command lines: the verb, by a table of all that we know, and what stands behind it. */
#include "protocols/pop3_verb.h"

#include "protocols/foreign.h"
#include "protocols/word.h"

enum argument {
    ARGUMENT_NONE,
    ARGUMENT_OPTIONAL,
    ARGUMENT_NEEDED,
    ARGUMENT_WORDS,    /* optional, and said again word by word: any blank between them will do */
    ARGUMENT_VERBATIM, /* needed; blanks and eight bits are part of it: passwords have them */
};

struct row {
    struct span word;
    enum pop3_verb verb;
    enum argument argument;
    struct span capability;
};

static const struct row rows[] = {
    {SPAN("CAPA"), VERB_CAPA, ARGUMENT_NONE, SPAN("")},
    {SPAN("AUTH"), VERB_AUTH, ARGUMENT_WORDS, SPAN("SASL")},
    {SPAN("USER"), VERB_USER, ARGUMENT_VERBATIM, SPAN("USER")},
    {SPAN("PASS"), VERB_PASS, ARGUMENT_VERBATIM, SPAN("USER")},
    {SPAN("APOP"), VERB_APOP, ARGUMENT_NEEDED, SPAN("APOP")},
    {SPAN("QUIT"), VERB_QUIT, ARGUMENT_NONE, SPAN("")},
    {SPAN("STLS"), VERB_STLS, ARGUMENT_NONE, SPAN("")},
    {SPAN("UTF8"), VERB_UTF8, ARGUMENT_NONE, SPAN("UTF8")},
    {SPAN("LANG"), VERB_LANG, ARGUMENT_OPTIONAL, SPAN("LANG")},
    {SPAN("NOOP"), VERB_NOOP, ARGUMENT_NONE, SPAN("")},
    {SPAN("STAT"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("LIST"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("RETR"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("DELE"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("RSET"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("TOP"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("UIDL"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("LAST"), VERB_MAILBOX, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("XCLIENT"), VERB_SPOOF, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("XFORWARD"), VERB_SPOOF, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("FORWARD"), VERB_SPOOF, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("XOIP"), VERB_SPOOF, ARGUMENT_OPTIONAL, SPAN("")},
    {SPAN("PROXY"), VERB_SPOOF, ARGUMENT_OPTIONAL, SPAN("")},
};

#define ROWS (sizeof rows / sizeof *rows)

/* What some backends understand, and we don't; and why it cannot pass. */
static const struct {
    struct span word;
    const char *why;
} others[] = {
    {SPAN("RPOP"), "is a login that starttlsd does not follow (RFC 1081)"},
    {SPAN("STARTTLS"), "begins a TLS of its own inside the session"},
    {SPAN("XTND"), "may be followed by octets that are no commands"},
    {SPAN("HELP"), "has a reply whose end starttlsd does not know"},
    {SPAN("XLST"), "comes behind the login, where everything passes"},
    {SPAN("XTLS"), "begins a TLS of its own inside the session"},
};

#define OTHERS (sizeof others / sizeof *others)

static bool is_seven_bit(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] >= 0x80)
            return false;
    return true;
}

/* HTAB separates arguments to one reader, and is part of one to another: by RFC 1939, section 3, only SP
 * separates them, and HTAB, which does not print, is in none. */
static bool is_plain(struct span s)
{
    return is_seven_bit(s) && (s.len == 0 || memchr(s.data, '\t', s.len) == NULL);
}

static bool is_well_formed(enum argument argument, struct span given)
{
    switch (argument) {
    case ARGUMENT_NONE: return given.len == 0;
    case ARGUMENT_NEEDED: return given.len > 0 && is_plain(given);
    case ARGUMENT_WORDS: return is_seven_bit(given);
    case ARGUMENT_VERBATIM: return given.len > 0;
    case ARGUMENT_OPTIONAL: break;
    }
    return is_plain(given);
}

static const struct row *find(struct span word)
{
    for (size_t i = 0; i < ROWS; i++)
        if (span_equals(word, rows[i].word))
            return &rows[i];
    return NULL;
}

struct pop3_command pop3_command_parse(struct span text)
{
    static const struct row unknown = {SPAN(""), VERB_UNKNOWN, ARGUMENT_OPTIONAL, SPAN("")};
    struct pop3_command command = {.word = text};
    const struct row *row;
    size_t len = 0;

    while (len < text.len && !word_is_blank(text.data[len]))
        len++;
    command.word = span_first(text, len);
    command.argument = span_skip(text, len + 1);
    row = find(command.word);
    if (row == NULL)
        row = &unknown;
    else
        command.word = row->word;
    if (row->argument != ARGUMENT_VERBATIM)
        command.argument = word_trim(command.argument);
    command.verb = row->verb;
    command.capability = row->capability;
    command.is_well_formed = is_well_formed(row->argument, command.argument);
    return command;
}

bool pop3_is_clean(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

const char *pop3_verb_veto(struct span word)
{
    const struct row *row = find(word);

    if (foreign_is_http_verb(word))
        return "is the word of a browser (HTTP)";
    for (size_t i = 0; i < OTHERS; i++)
        if (span_equals(word, others[i].word))
            return others[i].why;
    if (row == NULL)
        return NULL;
    if (row->verb == VERB_SPOOF)
        return "claims to come from another client";
    return row->verb == VERB_MAILBOX ? "comes behind the login, where everything passes"
                                     : "is a command that starttlsd itself deals with";
}

static bool ends_with(struct span s, struct span end)
{
    return s.len >= end.len && span_equals(span_skip(s, s.len - end.len), end);
}

bool pop3_ends_with_verb(struct span word)
{
    for (size_t i = 0; i < ROWS; i++)
        if (ends_with(word, rows[i].word))
            return true;
    for (size_t i = 0; i < OTHERS; i++)
        if (ends_with(word, others[i].word))
            return true;
    return false;
}

/* NUL, NEL, LF and CR, as they are with the eighth bit. */
static bool may_end_line(char c)
{
    static const unsigned char ends[] = {0x80, 0x85, 0x8a, 0x8d};

    return memchr(ends, (unsigned char)c, sizeof ends) != NULL;
}

bool pop3_may_be_split(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (may_end_line(text.data[i]))
            return true;
    return false;
}

/* What stands behind the octet `at`, which ends a line: to some readers U+2028 and U+2029 do, in UTF-8
 * three octets with NUL's in the middle. */
static struct span behind_end(struct span text, size_t at)
{
    static const struct span separators[] = {SPAN("\xe2\x80\xa8"), SPAN("\xe2\x80\xa9")};

    for (size_t i = 0; i < 2 && at > 0; i++)
        if (span_starts(span_skip(text, at - 1), separators[i]))
            return span_skip(text, at + 2);
    return span_skip(text, at + 1);
}

static bool shows_verb(struct span s, const struct policy *policy)
{
    while (s.len > 0 && word_is_blank((char)(s.data[0] & 0x7f)))
        s = span_skip(s, 1);
    for (size_t i = 0; i < ROWS; i++)
        if (span_starts_stripped(s, rows[i].word))
            return true;
    for (size_t i = 0; i < OTHERS; i++)
        if (span_starts_stripped(s, others[i].word))
            return true;
    for (size_t i = 0; i < policy->allow_commands.count; i++)
        if (span_starts_stripped(s, span_of(policy->allow_commands.word[i])))
            return true;
    return false;
}

bool pop3_hides_command(struct span text, const struct policy *policy)
{
    for (size_t i = 0; i < text.len; i++)
        if (may_end_line(text.data[i]) && shows_verb(behind_end(text, i), policy))
            return true;
    return false;
}
