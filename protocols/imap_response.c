/* SPDX-License-Identifier: ISC */
/* IMAP's client role, played toward a backend: what a line of its is. */
#include "protocols/imap_response.h"

#include "protocols/word.h"

static const struct {
    struct span word;
    enum imap_status status;
    bool is_tagged; /* may be the answer to a command */
} statuses[] = {
    {SPAN("OK"), IMAP_STATUS_OK, true},
    {SPAN("NO"), IMAP_STATUS_NO, true},
    {SPAN("BAD"), IMAP_STATUS_BAD, true},
    {SPAN("BYE"), IMAP_STATUS_BYE, false},
    {SPAN("PREAUTH"), IMAP_STATUS_PREAUTH, false},
};

static const struct span capability = SPAN("CAPABILITY");

/* Up to SP, or all. */
static struct span first_word(struct span s)
{
    const char *blank = s.len == 0 ? NULL : memchr(s.data, ' ', s.len);

    return blank == NULL ? s : span_first(s, (size_t)(blank - s.data));
}

/* Is an announcement of a literal in order behind this? Inside an open quote it is text to one
 * reader, and to another it is not. */
static bool may_precede_literal(struct span s)
{
    bool is_quoted = false;
    char last;

    if (s.len > 0 && s.data[s.len - 1] == '~') /* RFC 3516 */
        s.len--;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && s.data[i] == '\\')
            i++;
    }
    last = s.len == 0 ? ' ' : s.data[s.len - 1];
    return !is_quoted && (last == ' ' || last == '(');
}

bool imap_response_continue(struct span line, struct imap_response *response)
{
    response->has_literal = imap_literal_find(line, &response->literal);
    return !response->has_literal ||
           (response->literal.is_waiting && /* `{n+}` is for clients (RFC 7888, section 3) */
            !response->literal.is_huge &&
            may_precede_literal(span_first(line, line.len - response->literal.header)));
}

/* A list inside brackets must end there. */
static bool parse_code(struct imap_response *r, struct span text)
{
    const char *end;
    struct span inside;

    text = word_skip_blanks(text); /* who is lenient finds a code behind two blanks, too */
    r->text = text;
    if (text.len == 0 || text.data[0] != '[')
        return true;
    end = memchr(text.data, ']', text.len);
    inside = span_skip(span_first(text, end == NULL ? text.len : (size_t)(end - text.data)), 1);
    r->code = word_next(&inside);
    if (span_equals(r->code, capability)) {
        r->capabilities = inside;
        return end != NULL;
    }
    if (end != NULL)
        r->text = span_skip(text, (size_t)(end - text.data) + 1);
    return true;
}

/* `rest` begins with a status that is in order there. */
static bool parse_status(struct imap_response *r, struct span rest)
{
    struct span word = first_word(rest);

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (!span_equals(word, statuses[i].word) || (r->tag.len > 0 && !statuses[i].is_tagged))
            continue;
        r->kind = IMAP_RESPONSE_STATUS;
        r->status = statuses[i].status;
        return parse_code(r, span_skip(rest, word.len));
    }
    return false;
}

static bool is_data(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!imap_is_atom_char(word.data[i]))
            return false;
    return word.len > 0;
}

static bool parse_untagged(struct imap_response *r, struct span rest)
{
    struct span word = first_word(rest);

    if (parse_status(r, rest))
        return true;
    if (r->kind == IMAP_RESPONSE_STATUS || !is_data(word))
        return false;
    r->kind = IMAP_RESPONSE_DATA;
    if (!span_equals(word, capability))
        return imap_response_continue(rest, r);
    r->kind = IMAP_RESPONSE_CAPABILITY;
    r->capabilities = span_skip(rest, word.len);
    if (r->capabilities.len == 0)
        r->capabilities.data = rest.data + rest.len;
    return true;
}

static bool parse(struct imap_response *r, struct span line)
{
    struct span word = first_word(line);

    if (word.len == 1 && word.data[0] == '+') {
        r->kind = IMAP_RESPONSE_CONTINUATION;
        return true;
    }
    if (word.len == line.len)
        return false;
    if (word.len == 1 && word.data[0] == '*')
        return parse_untagged(r, span_skip(line, 2));
    r->tag = word;
    return imap_is_tag(word) && parse_status(r, span_skip(line, word.len + 1));
}

struct imap_response imap_response_parse(struct span line)
{
    struct imap_response r = {.kind = IMAP_RESPONSE_BAD};

    if (!parse(&r, line) || (r.kind != IMAP_RESPONSE_DATA && imap_literal_find(line, &r.literal)))
        r = (struct imap_response){.kind = IMAP_RESPONSE_BAD};
    return r;
}
