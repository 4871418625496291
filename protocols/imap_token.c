/* SPDX-License-Identifier: ISC */
/* IMAP's words (RFC 9051, section 9). Where a command ends is decided by its line ends and literals
 * alone, and what it says only then: so client and we agree on the first even where the second is
 * nonsense. */
#include "protocols/imap_token.h"

#include "protocols/line.h"

/* ---- characters ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool imap_is_atom_char(char c)
{
    static const char specials[] = {'(', ')', '{', '%', '*', '"', '\\', ']'};

    return c > ' ' && c <= '~' && memchr(specials, c, sizeof specials) == NULL;
}

bool imap_is_tag(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] == '+' || (!imap_is_atom_char(word.data[i]) && word.data[i] != ']'))
            return false;
    return word.len > 0 && word.len <= IMAP_TAG_MAX;
}

bool imap_is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* ---- literals ---- */

static void count_digit(struct imap_literal *l, char c)
{
    uint32_t digit = (uint32_t)(c - '0');

    if (l->size > (UINT32_MAX - digit) / 10)
        l->is_huge = true;
    else
        l->size = l->size * 10 + digit;
}

bool imap_literal_find(struct span line, struct imap_literal *literal)
{
    struct imap_literal l = {.is_waiting = true};
    size_t end = line.len, at;

    if (end == 0 || line.data[--end] != '}')
        return false;
    if (end > 0 && (line.data[end - 1] == '+' || line.data[end - 1] == '-')) {
        l.is_waiting = false;
        end--;
    }
    for (at = end; at > 0 && is_digit(line.data[at - 1]);)
        at--;
    if (at == end || at == 0 || line.data[at - 1] != '{')
        return false;
    l.header = line.len - (at - 1);
    for (; at < end; at++)
        count_digit(&l, line.data[at]);
    *literal = l;
    return true;
}

/* ---- a command out of a window ---- */

enum imap_frame_result imap_frame_find(struct span window, unsigned invited,
                                       struct imap_frame *frame)
{
    struct imap_literal literal;
    struct line line;
    size_t used = 0;

    *frame = (struct imap_frame){0};
    for (;;) {
        if (used > window.len)
            return IMAP_FRAME_PARTIAL;
        switch (line_find(span_skip(window, used), IMAP_COMMAND_MAX - used, &line)) {
        case LINE_PARTIAL: return IMAP_FRAME_PARTIAL;
        case LINE_TOO_LONG:
            frame->text = span_first(window, IMAP_COMMAND_MAX);
            frame->take = used;
            return IMAP_FRAME_TOO_LONG;
        case LINE_FOUND: break;
        }
        frame->text = span_first(window, used + line.text.len);
        frame->take = used + line.take;
        frame->is_dirty = frame->is_dirty || line.is_dirty;
        if (!imap_literal_find(line.text, &literal))
            return IMAP_FRAME_WHOLE;
        if (literal.is_huge || literal.size > IMAP_COMMAND_MAX - frame->take)
            return literal.is_waiting ? IMAP_FRAME_TOO_LARGE : IMAP_FRAME_LOST;
        if (literal.is_waiting && invited-- == 0)
            return IMAP_FRAME_INVITE;
        used = frame->take + literal.size;
    }
}

/* ---- words of a command ---- */

/* Beyond ATOM-CHAR: list wildcards, `]`, and letters of eight bits. */
static bool is_word_char(char c)
{
    return imap_is_atom_char(c) || c == '%' || c == '*' || c == ']' || (unsigned char)c >= 0x80;
}

static struct imap_token take(struct span *rest, enum imap_token_kind kind, size_t before,
                              size_t len, size_t after)
{
    struct imap_token token = {kind, span_first(span_skip(*rest, before), len)};

    *rest = span_skip(*rest, before + len + after);
    return token;
}

static struct imap_token quoted(struct span *rest)
{
    for (size_t i = 1; i < rest->len; i++) {
        char c = rest->data[i];

        if (c == '"')
            return take(rest, IMAP_TOKEN_QUOTED, 1, i - 1, 1);
        if (c == '\r' || c == '\n' || c == '\0')
            break;
        if (c != '\\')
            continue;
        i++;
        if (i == rest->len || (rest->data[i] != '"' && rest->data[i] != '\\'))
            break;
    }
    return (struct imap_token){.kind = IMAP_TOKEN_BAD};
}

/* In a frame a line ends only behind the announcement of a literal, and the frame is whole. */
static struct imap_token literal(struct span *rest)
{
    const char *lf = memchr(rest->data, '\n', rest->len);
    struct imap_literal l;
    struct line line;
    size_t limit = rest->len + 1;

    if (lf == NULL) {
        if (imap_literal_find(*rest, &l) && l.is_waiting && l.header == rest->len)
            return take(rest, IMAP_TOKEN_PENDING, rest->len, 0, 0);
        return (struct imap_token){.kind = IMAP_TOKEN_BAD};
    }
    if (line_find(*rest, limit, &line) != LINE_FOUND || !imap_literal_find(line.text, &l) ||
        l.header != line.text.len || l.is_huge || l.size > rest->len - line.take)
        return (struct imap_token){.kind = IMAP_TOKEN_BAD};
    return take(rest, IMAP_TOKEN_LITERAL, line.take, l.size, 0);
}

struct imap_token imap_token_next(struct span *rest)
{
    size_t len = 0;

    if (rest->len == 0)
        return (struct imap_token){.kind = IMAP_TOKEN_BAD};
    switch (rest->data[0]) {
    case '"': return quoted(rest);
    case '{': return literal(rest);
    case '(': return take(rest, IMAP_TOKEN_OPEN, 0, 1, 0);
    case ')': return take(rest, IMAP_TOKEN_CLOSE, 0, 1, 0);
    default: break;
    }
    while (len < rest->len && is_word_char(rest->data[len]))
        len++;
    return take(rest, len == 0 ? IMAP_TOKEN_BAD : IMAP_TOKEN_ATOM, 0, len, 0);
}

bool imap_space_next(struct span *rest)
{
    if (rest->len == 0 || rest->data[0] != ' ')
        return false;
    *rest = span_skip(*rest, 1);
    return true;
}

size_t imap_token_octets(const struct imap_token *token, char *to)
{
    const struct span text = token->text;
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (token->kind == IMAP_TOKEN_QUOTED && text.data[i] == '\\')
            i++;
        if (to != NULL)
            to[len] = text.data[i];
        len++;
    }
    return len;
}
