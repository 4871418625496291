/* SPDX-License-Identifier: ISC */
/* SMTP's client role, played toward a backend: where its replies begin and end. */
#include "protocols/smtp_client.h"

#include "protocols/reply.h"

enum smtp_client_result smtp_client_line(struct smtp_client *c, struct span window,
                                         struct line *line)
{
    struct reply_line reply;

    switch (line_find(window, SMTP_REPLY_LINE_MAX, line)) {
    case LINE_PARTIAL: return SMTP_CLIENT_PARTIAL;
    case LINE_TOO_LONG: return SMTP_CLIENT_BAD;
    case LINE_FOUND: break;
    }
    if (line->is_dirty || !reply_line_parse(line->text, &reply))
        return SMTP_CLIENT_BAD;
    if (c->code != 0 && c->code != reply.code)
        return SMTP_CLIENT_BAD; /* RFC 5321, section 4.2.1: all lines bear the same code */
    c->code = reply.code;
    return reply.is_last ? SMTP_CLIENT_LAST : SMTP_CLIENT_LINE;
}

enum smtp_client_result smtp_client_whole(struct smtp_client *c, struct span window, size_t *len)
{
    enum smtp_client_result result;
    struct line line;
    size_t seen = 0;

    do {
        result = smtp_client_line(c, span_skip(window, seen), &line);
        if (result == SMTP_CLIENT_LINE || result == SMTP_CLIENT_LAST)
            seen += line.take;
    } while (result == SMTP_CLIENT_LINE);
    *len = seen;
    return result;
}

void smtp_client_next(struct smtp_client *c)
{
    c->code = 0;
}
