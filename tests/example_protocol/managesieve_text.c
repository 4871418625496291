/* SPDX-License-Identifier: ISC */
/* ManageSieve's grammar (RFC 5804, section 4), as far as it says where something ends. */
#include "protocols/line.h"
#include "protocols/word.h"
#include "tests/example_protocol/managesieve.h"

#define DIGITS_MAX 6

/* The length of the announcement of a literal at the end of a line, `{n+}` or `{n}`, and its
 * octets; 0: none. */
static size_t announcement(struct span text, enum side from, size_t *octets)
{
    const size_t mark = from == SIDE_CLIENT ? 2 : 1;
    size_t at = text.len - mark, digits = 0;

    if (text.len <= mark || memcmp(text.data + at, &"+}"[2 - mark], mark) != 0)
        return 0;
    while (at > 0 && digits < DIGITS_MAX && text.data[at - 1] >= '0' && text.data[at - 1] <= '9')
        at--, digits++;
    if (digits == 0 || at == 0 || text.data[at - 1] != '{')
        return 0;
    *octets = 0;
    for (size_t i = 0; i < digits; i++)
        *octets = *octets * 10 + (size_t)(text.data[at + i] - '0');
    return 1 + digits + mark;
}

enum sieve_found sieve_sentence_find(struct span window, enum side from, struct sieve_sentence *s)
{
    size_t octets;
    struct line line;

    for (s->take = 0;; s->take += octets) {
        if (s->take > SIEVE_MAX)
            return SIEVE_BAD;
        if (s->take > window.len)
            return SIEVE_PARTIAL;
        switch (line_find(span_skip(window, s->take), SIEVE_MAX - s->take, &line)) {
        case LINE_PARTIAL: return SIEVE_PARTIAL;
        case LINE_TOO_LONG: return SIEVE_BAD;
        case LINE_FOUND: break;
        }
        if (!line.is_crlf || line.is_dirty)
            return SIEVE_BAD;
        s->take += line.take;
        if (announcement(line.text, from, &octets) == 0)
            break;
    }
    s->text = span_first(window, s->take - LINE_END.len);
    return SIEVE_FOUND;
}

static bool quoted_next(struct span *rest, struct span *string)
{
    size_t len = 1;

    while (len < rest->len && rest->data[len] != '"' && rest->data[len] != '\r')
        len += rest->data[len] == '\\' ? 2 : 1;
    if (len >= rest->len || rest->data[len] != '"')
        return false;
    *string = span_first(span_skip(*rest, 1), len - 1);
    *rest = span_skip(*rest, len + 1);
    return true;
}

static bool literal_next(struct span *rest, struct span *string)
{
    struct line line;
    size_t octets;

    if (line_find(*rest, rest->len + 1, &line) != LINE_FOUND ||
        announcement(line.text, SIDE_CLIENT, &octets) != line.text.len ||
        octets > rest->len - line.take)
        return false;
    *string = span_first(span_skip(*rest, line.take), octets);
    *rest = span_skip(*rest, line.take + octets);
    return true;
}

bool sieve_string_next(struct span *rest, struct span *string)
{
    return rest->len > 0 && rest->data[0] == '"' ? quoted_next(rest, string)
                                                 : literal_next(rest, string);
}

enum sieve_reply sieve_reply_find(struct span window, size_t *take)
{
    struct sieve_sentence s;
    struct span rest, word;

    switch (sieve_sentence_find(window, SIDE_BACKEND, &s)) {
    case SIEVE_PARTIAL: return SIEVE_REPLY_PARTIAL;
    case SIEVE_BAD: return SIEVE_REPLY_BAD;
    case SIEVE_FOUND: break;
    }
    *take = s.take;
    rest = s.text;
    word = word_next(&rest);
    if (span_equals(word, (struct span)SPAN("OK")))
        return SIEVE_REPLY_OK;
    if (span_equals(word, (struct span)SPAN("NO")))
        return SIEVE_REPLY_NO;
    if (span_equals(word, (struct span)SPAN("BYE")))
        return SIEVE_REPLY_BYE;
    return s.text.len > 0 && (s.text.data[0] == '"' || s.text.data[0] == '{') ? SIEVE_REPLY_STRING
                                                                              : SIEVE_REPLY_BAD;
}

enum sieve_reply sieve_list_find(struct span window, size_t *take)
{
    const struct span list = span_first(window, SIEVE_MAX);
    enum sieve_reply reply;
    size_t len = 0;

    *take = 0;
    do {
        *take += len;
        reply = sieve_reply_find(span_skip(list, *take), &len);
    } while (reply == SIEVE_REPLY_STRING);
    if (reply == SIEVE_REPLY_PARTIAL && list.len == SIEVE_MAX)
        return SIEVE_REPLY_BAD;
    *take += len;
    return reply;
}
