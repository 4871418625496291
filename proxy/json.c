/* SPDX-License-Identifier: ISC */
/* In front of each value a comma, if one is due, and its key. */
#include "proxy/json.h"

#include <inttypes.h>

#include "proxy/escape.h"

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
    char unit[ESCAPE_UNIT];
    size_t taken;

    begin_value(j, key);
    fputc('"', j->to);
    for (; text.len > 0; text = span_skip(text, taken)) {
        const size_t len = escape_next(text, true, unit, &taken);

        fwrite(unit, 1, len, j->to);
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
