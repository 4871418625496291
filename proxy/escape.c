/* SPDX-License-Identifier: ISC */
/* Character by character: UTF-8 passes, unless it would act on a terminal. */
#include "proxy/escape.h"

#include <stdint.h>
#include <stdio.h>

/* What stands at the head of a text: one character, or one octet that is none. */
struct glyph {
    size_t len;
    uint32_t code;
    bool is_utf8;
};

/* RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
static struct glyph glyph_first(struct span s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *o = (const unsigned char *)s.data;
    struct glyph invalid = {1, o[0], false};
    struct glyph g = {1, o[0], true};

    if (o[0] < 0x80)
        return g;
    g.len = (o[0] & 0xe0) == 0xc0 ? 2 : (o[0] & 0xf0) == 0xe0 ? 3 : (o[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (g.len == 0 || g.len > s.len)
        return invalid;
    g.code = o[0] & (0x7fu >> g.len);
    for (size_t i = 1; i < g.len; i++) {
        if ((o[i] & 0xc0) != 0x80)
            return invalid;
        g.code = g.code << 6 | (o[i] & 0x3fu);
    }
    if (g.code < least[g.len] || g.code > 0x10ffff || (g.code >= 0xd800 && g.code <= 0xdfff))
        return invalid;
    return g;
}

/* Would act on a terminal, or make a line look like another one: controls, line ends, marks of
 * direction. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

/* How `g`, which stands at `octets`, is written inside quotes. The length. */
static size_t write_glyph(struct glyph g, const char *octets, bool is_json, char unit[ESCAPE_UNIT])
{
    size_t len = 0;

    if (g.is_utf8 && (g.code == '"' || g.code == '\\'))
        return (size_t)snprintf(unit, ESCAPE_UNIT, "\\%c", (int)g.code);
    if (g.is_utf8 && !is_hidden(g.code) && (is_json || g.code != '=')) {
        memcpy(unit, octets, g.len);
        return g.len;
    }
    if (is_json)
        return (size_t)snprintf(unit, ESCAPE_UNIT, "\\u%04x", g.is_utf8 ? g.code : 0xfffdu);
    for (size_t i = 0; i < g.len; i++)
        len += (size_t)snprintf(unit + len, ESCAPE_UNIT - len, "\\x%02x", (unsigned char)octets[i]);
    return len;
}

size_t escape_next(struct span text, bool is_json, char unit[ESCAPE_UNIT], size_t *taken)
{
    const struct glyph g = glyph_first(text);

    *taken = g.len;
    return write_glyph(g, text.data, is_json, unit);
}

bool escape_is_needed(struct span text)
{
    while (text.len > 0) {
        struct glyph g = glyph_first(text);

        if (!g.is_utf8 || is_hidden(g.code) || strchr(" \"\\=", (int)(g.code & 0x7f)) != NULL)
            return true;
        text = span_skip(text, g.len);
    }
    return false;
}

void escape_disarm(char *text, size_t len)
{
    struct span rest = {text, len};

    while (rest.len > 0) {
        struct glyph g = glyph_first(rest);

        if (!g.is_utf8 || is_hidden(g.code))
            memset(text, '?', g.len);
        text += g.len;
        rest = span_skip(rest, g.len);
    }
}
