/* SPDX-License-Identifier: ISC */
/* Peers that speak no mail protocol. */
#include "protocols/foreign.h"

#include "protocols/word.h"

static const struct span verbs[] = {
    SPAN("GET"),     SPAN("POST"),    SPAN("HEAD"),  SPAN("PUT"),   SPAN("DELETE"),
    SPAN("OPTIONS"), SPAN("CONNECT"), SPAN("TRACE"), SPAN("PATCH"), SPAN("PRI"),
};

bool foreign_is_http_verb(struct span word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (span_equals(word, verbs[i]))
            return true;
    return false;
}

static bool is_target(struct span argument)
{
    static const struct span version = SPAN(" HTTP/");

    if (argument.len > 0 && (argument.data[0] == '/' || argument.data[0] == '*'))
        return true;
    if (span_starts(argument, (struct span)SPAN("http://")) ||
        span_starts(argument, (struct span)SPAN("https://")))
        return true;
    for (size_t i = 0; i + version.len <= argument.len; i++)
        if (span_starts(span_skip(argument, i), version))
            return true;
    return false;
}

bool foreign_is_http(struct span line)
{
    struct span rest = line;
    struct span verb = word_next(&rest);

    return verb.data == line.data && foreign_is_http_verb(verb) && is_target(word_trim(rest));
}

bool foreign_is_client_hello(struct span window)
{
    return window.len >= 2 && window.data[0] == 0x16 && window.data[1] == 0x03;
}
