/* SPDX-License-Identifier: ISC */
/* Words: what blanks separate on a line. */
#ifndef STARTTLSD_WORD_H
#define STARTTLSD_WORD_H

#include "protocols/span.h"

/* Some readers take more than SP and HTAB for blank; what is blank to any must be blank to us. */
static inline bool word_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* Without the blanks in front of it. */
static inline struct span word_skip_blanks(struct span s)
{
    while (s.len > 0 && word_is_blank(s.data[0]))
        s = span_skip(s, 1);
    return s;
}

/* Without the blanks around it. */
static inline struct span word_trim(struct span s)
{
    s = word_skip_blanks(s);
    while (s.len > 0 && word_is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* The word at the front of *rest, which moves behind it. Empty: there is none. */
static inline struct span word_next(struct span *rest)
{
    struct span word;
    size_t len = 0;

    *rest = word_skip_blanks(*rest);
    while (len < rest->len && !word_is_blank(rest->data[len]))
        len++;
    word = span_first(*rest, len);
    *rest = span_skip(*rest, len);
    return word;
}

#endif
