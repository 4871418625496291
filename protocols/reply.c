/* SPDX-License-Identifier: ISC */
/* SMTP replies: one line taken apart, and lines put together in the caller's space. */
#include "protocols/reply.h"

#include <assert.h>

static bool is_digit(char c, char from, char to)
{
    return c >= from && c <= to;
}

bool reply_line_parse(struct span text, struct reply_line *reply)
{
    const char *t = text.data;

    if (text.len < 3 || !is_digit(t[0], '2', '5') || !is_digit(t[1], '0', '9') ||
        !is_digit(t[2], '0', '9'))
        return false;
    if (text.len > 3 && t[3] != ' ' && t[3] != '-')
        return false;
    reply->code =
        (unsigned)(t[0] - '0') * 100 + (unsigned)(t[1] - '0') * 10 + (unsigned)(t[2] - '0');
    reply->is_last = text.len == 3 || t[3] == ' ';
    return true;
}

struct span reply_join(char *space, size_t size, const struct span *part, size_t count)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        assert(part[i].len <= size - used);
        if (part[i].len > 0)
            memcpy(space + used, part[i].data, part[i].len);
        used += part[i].len;
    }
    return (struct span){space, used};
}
