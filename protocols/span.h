/* SPDX-License-Identifier: ISC */
/* Octets that somebody else owns: pointer and length. Peer input is never a C string. */
#ifndef STARTTLSD_SPAN_H
#define STARTTLSD_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))

struct span {
    const char *data; /* borrowed; may be NULL when len is 0 */
    size_t len;
};

/* A span over a string literal, usable in static tables. */
#define SPAN(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static inline struct span span_of(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline struct span span_first(struct span s, size_t n)
{
    return (struct span){s.data, n < s.len ? n : s.len};
}

static inline struct span span_skip(struct span s, size_t n)
{
    if (n > s.len)
        n = s.len;
    return n == 0 ? s : (struct span){s.data + n, s.len - n}; /* NULL + 0 is undefined */
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* ASCII case folded; octets above 127 match only themselves. */
static inline bool span_equals(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

static inline bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_equals(span_first(s, prefix.len), prefix);
}

/* The same to a reader that strips the eighth bit of s. */
static inline bool span_starts_stripped(struct span s, struct span prefix)
{
    for (size_t i = 0; i < prefix.len; i++)
        if (i >= s.len || ascii_lower((char)(s.data[i] & 0x7f)) != ascii_lower(prefix.data[i]))
            return false;
    return true;
}

#endif
