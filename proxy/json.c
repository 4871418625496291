/* SPDX-License-Identifier: ISC */
#include "proxy/json.h"

#include <inttypes.h>

static void begin_value(struct json *j, const char *key)
{
    if (j->has_sibling)
        fputc(',', j->to);
    j->has_sibling = true;
    if (key != NULL)
        fprintf(j->to, "\"%s\":", key);
}

void json_begin(struct json *j, const char *key, char bracket)
{
    begin_value(j, key);
    fputc(bracket, j->to);
    j->has_sibling = false;
}

void json_end(struct json *j, char bracket)
{
    fputc(bracket, j->to);
    j->has_sibling = true;
}

void json_span(struct json *j, const char *key, struct span text)
{
    begin_value(j, key);
    fputc('"', j->to);
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.data[i];

        if (c == '"' || c == '\\')
            fprintf(j->to, "\\%c", c);
        else if (c < ' ' || c > '~')
            fprintf(j->to, "\\u%04x", c);
        else
            fputc(c, j->to);
    }
    fputc('"', j->to);
}

void json_text(struct json *j, const char *key, const char *text)
{
    if (text == NULL)
        json_null(j, key);
    else
        json_span(j, key, span_of(text));
}

void json_integer(struct json *j, const char *key, int64_t value)
{
    begin_value(j, key);
    fprintf(j->to, "%" PRId64, value);
}

void json_number(struct json *j, const char *key, double value)
{
    begin_value(j, key);
    fprintf(j->to, "%.3f", value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin_value(j, key);
    fputs(value ? "true" : "false", j->to);
}

void json_null(struct json *j, const char *key)
{
    begin_value(j, key);
    fputs("null", j->to);
}
