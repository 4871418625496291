/* SPDX-License-Identifier: ISC */
/* POP3's client role, played toward a backend: where its replies begin and end. */
#include "protocols/pop3_client.h"

#include <assert.h>

static bool is_alnum(char c)
{
    char l = ascii_lower(c);

    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

/* RFC 1939, section 3, wants a blank or the end behind it; what servers put there instead is no
 * letter. */
static bool is_status(struct span text, struct span status)
{
    return span_starts(text, status) &&
           (text.len == status.len || !is_alnum(text.data[status.len]));
}

static enum pop3_reply reply_of(struct span text)
{
    if (is_status(text, (struct span)SPAN("+OK")))
        return POP3_REPLY_OK;
    if (is_status(text, (struct span)SPAN("-ERR")))
        return POP3_REPLY_ERR;
    if (text.len > 0 && text.data[0] == '+' && (text.len == 1 || text.data[1] == ' '))
        return POP3_REPLY_CHALLENGE;
    return POP3_REPLY_BAD;
}

enum pop3_reply pop3_reply_find(struct span window, size_t limit, struct line *line)
{
    switch (line_find(window, limit, line)) {
    case LINE_PARTIAL: return POP3_REPLY_PARTIAL;
    case LINE_TOO_LONG: return POP3_REPLY_BAD;
    case LINE_FOUND: break;
    }
    return line->is_dirty ? POP3_REPLY_BAD : reply_of(line->text);
}

enum pop3_reply pop3_greeting_find(struct span window, struct line *line)
{
    enum pop3_reply reply = pop3_reply_find(window, POP3_REPLY_LINE_MAX, line);

    if (reply == POP3_REPLY_CHALLENGE)
        return POP3_REPLY_BAD;
    return reply == POP3_REPLY_OK && line->take < window.len ? POP3_REPLY_BAD : reply;
}

static bool is_dot(struct span text)
{
    return text.len == 1 && text.data[0] == '.';
}

/* A dot in front of something is doubled (RFC 1939, section 3); if it is not, or what looks like the
 * next reply comes before the dot, somebody sees the end of the list here. */
static bool is_entry(const struct line *line)
{
    const struct span text = line->text;

    if (line->is_dirty ||
        (text.len > 0 && text.data[0] == '.' && (text.len == 1 || text.data[1] != '.')))
        return false;
    return !is_status(text, (struct span)SPAN("+OK")) &&
           !is_status(text, (struct span)SPAN("-ERR"));
}

enum pop3_list pop3_list_find(struct span window, size_t *len)
{
    struct span rest = span_first(window, POP3_LIST_MAX);
    bool is_first = true;
    struct line line;

    while (line_find(rest, rest.len + 1, &line) == LINE_FOUND) {
        rest = span_skip(rest, line.take);
        *len = span_first(window, POP3_LIST_MAX).len - rest.len;
        if (!is_first && is_dot(line.text))
            return POP3_LIST_WHOLE;
        if (!is_first && !is_entry(&line))
            return POP3_LIST_BAD;
        is_first = false;
    }
    return window.len < POP3_LIST_MAX ? POP3_LIST_PARTIAL : POP3_LIST_BAD;
}

bool pop3_list_next(struct span *list, struct span *text)
{
    struct line line = {0};
    enum line_result found = line_find(*list, list->len, &line);

    assert(found == LINE_FOUND);
    *list = span_skip(*list, line.take);
    *text = line.text;
    return !is_dot(line.text);
}

/* len: octets of the reply to CAPA at the front of the window, if it is OK or ERR */
static enum pop3_reply find_capa(struct span window, size_t *len, const char **why)
{
    struct line line;
    enum pop3_reply reply = pop3_reply_find(window, POP3_REPLY_LINE_MAX, &line);

    *len = window.len;
    *why = "what it says is no reply";
    if (reply == POP3_REPLY_ERR)
        *len = line.take;
    if (reply != POP3_REPLY_OK)
        return reply;
    *why = "its list of capabilities is none";
    switch (pop3_list_find(window, len)) {
    case POP3_LIST_PARTIAL: return POP3_REPLY_PARTIAL;
    case POP3_LIST_WHOLE: return reply;
    case POP3_LIST_BAD: break;
    }
    return POP3_REPLY_BAD;
}

enum pop3_reply pop3_capa_find(struct span window, const char **why)
{
    size_t len;
    enum pop3_reply reply = find_capa(window, &len, why);

    if ((reply != POP3_REPLY_OK && reply != POP3_REPLY_ERR) || len == window.len)
        return reply;
    *why = "it talks before it is asked";
    return POP3_REPLY_BAD;
}
