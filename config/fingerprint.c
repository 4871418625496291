/* SPDX-License-Identifier: ISC */
/* Fingerprints. Strict: one that is cut short or mistyped would be believed to protect. */
#include "config/fingerprint.h"

#include <stdio.h>

static const char *const of_certificate = "cert-sha256:", *const of_key = "key-sha256:";

/* The value of a hexadecimal digit; 16: it is none. */
static unsigned digit(char c)
{
    char low = ascii_lower(c);

    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return low >= 'a' && low <= 'f' ? (unsigned)(low - 'a') + 10 : 16;
}

static bool parse_octets(unsigned char *octets, size_t count, struct span hex)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && hex.len > 0 && hex.data[0] == ':')
            hex = span_skip(hex, 1);
        if (hex.len < 2 || digit(hex.data[0]) > 15 || digit(hex.data[1]) > 15)
            return false;
        octets[i] = (unsigned char)(digit(hex.data[0]) << 4 | digit(hex.data[1]));
        hex = span_skip(hex, 2);
    }
    return hex.len == 0;
}

const char *fingerprint_parse(struct fingerprint *f, struct span text)
{
    f->is_key = span_starts(text, span_of(of_key));
    if (!f->is_key && !span_starts(text, span_of(of_certificate)))
        return "does not say what it is of";
    if (!parse_octets(f->sha256, sizeof(f->sha256),
                      span_skip(text, strlen(f->is_key ? of_key : of_certificate))))
        return "is not 32 octets in hexadecimal digits";
    return NULL;
}

const char *fingerprint_text(const struct fingerprint *f, char space[FINGERPRINT_TEXT_MAX])
{
    int len = snprintf(space, FINGERPRINT_TEXT_MAX, "%s", f->is_key ? of_key : of_certificate);

    for (size_t i = 0; i < sizeof(f->sha256); i++)
        len += snprintf(space + len, FINGERPRINT_TEXT_MAX - (size_t)len, "%02x", f->sha256[i]);
    return space;
}
