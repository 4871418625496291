/* SPDX-License-Identifier: ISC */
/* JSON (RFC 8259) as it is written, from the outside in; one line, and no more memory than a flag. */
#ifndef STARTTLSD_JSON_H
#define STARTTLSD_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "protocols/span.h"

struct json {
    FILE *to;
    bool has_sibling; /* a comma goes in front of the next value */
};

/* key: of the value, inside an object; NULL: in a list, or the whole. Constants, not escaped. */
void json_begin(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_end(struct json *j, char bracket);                    /* '}' or ']' */

/* UTF-8; what is none becomes \ufffd. NULL: null. */
void json_text(struct json *j, const char *key, const char *text);
void json_span(struct json *j, const char *key, struct span text);
void json_integer(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/* With three digits behind the point; `value` is finite. */
void json_number(struct json *j, const char *key, double value);

#endif
