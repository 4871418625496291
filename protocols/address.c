/* SPDX-License-Identifier: ISC */
/* An address of the Internet as octets and as text. */
#include "protocols/address.h"

static const unsigned char v4_in_v6[12] = {[10] = 0xff, [11] = 0xff};

/* ---- numbers ---- */

static size_t write_decimal(unsigned value, char *to)
{
    char digits[10];
    size_t count = 0, len = 0;

    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (count > 0)
        to[len++] = digits[--count];
    return len;
}

static size_t write_hex(unsigned value, char *to)
{
    size_t len = 0;

    for (int shift = 12; shift >= 0; shift -= 4)
        if (value >> shift != 0 || shift == 0)
            to[len++] = "0123456789abcdef"[value >> shift & 15];
    return len;
}

static bool read_decimal(struct span text, unsigned max, unsigned *value)
{
    *value = 0;
    if (text.len == 0 || text.len > 5 || (text.data[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *value = *value * 10 + (unsigned)(text.data[i] - '0');
    }
    return *value <= max;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex(struct span text, unsigned *value)
{
    *value = 0;
    if (text.len == 0 || text.len > 4)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.data[i]);

        if (digit < 0)
            return false;
        *value = *value << 4 | (unsigned)digit;
    }
    return true;
}

/* What stands in front of the first `c`; *rest begins behind it. Without one: all, and no rest. */
static struct span cut(struct span *rest, char c)
{
    const char *at = rest->len == 0 ? NULL : memchr(rest->data, c, rest->len);
    struct span first = at == NULL ? *rest : span_first(*rest, (size_t)(at - rest->data));

    *rest = span_skip(*rest, at == NULL ? rest->len : first.len + 1);
    return first;
}

/* ---- IPv4 ---- */

static size_t write_v4(const unsigned char octets[4], char *to)
{
    size_t len = 0;

    for (int i = 0; i < 4; i++) {
        if (i > 0)
            to[len++] = '.';
        len += write_decimal(octets[i], to + len);
    }
    return len;
}

static bool read_v4(struct span text, unsigned char octets[4])
{
    for (int i = 0; i < 4; i++) {
        const size_t before = text.len;
        struct span number = cut(&text, '.');
        unsigned value;

        if (!read_decimal(number, 255, &value) || (i == 3) != (number.len == before))
            return false;
        octets[i] = (unsigned char)value;
    }
    return true;
}

/* ---- IPv6 ---- */

static unsigned group(const unsigned char octets[16], size_t i)
{
    return (unsigned)octets[2 * i] << 8 | octets[2 * i + 1];
}

/* The longest run of at least two groups of zeros, the first of them (RFC 5952, section 4.2). */
static size_t longest_zeros(const unsigned char octets[16], size_t *count)
{
    size_t best = 0;

    *count = 1;
    for (size_t i = 0, run = 0; i < 8; i++) {
        run = group(octets, i) == 0 ? run + 1 : 0;
        if (run > *count) {
            *count = run;
            best = i + 1 - run;
        }
    }
    return best;
}

static size_t write_v6(const unsigned char octets[16], char *to)
{
    size_t zeros, first = longest_zeros(octets, &zeros), len = 0;

    if (memcmp(octets, v4_in_v6, sizeof v4_in_v6) == 0) {
        memcpy(to, "::ffff:", 7);
        return 7 + write_v4(octets + 12, to + 7);
    }
    for (size_t i = 0; i < 8; i++) {
        if (zeros > 1 && i == first) {
            to[len++] = ':';
            if (i + zeros == 8)
                to[len++] = ':';
            i += zeros - 1;
            continue;
        }
        if (i > 0)
            to[len++] = ':';
        len += write_hex(group(octets, i), to + len);
    }
    return len;
}

/* Groups, parted by single colons, up to the end; the last may be an IPv4 address. Returns their
 * octets, at most `room`; SIZE_MAX: they are none. */
static size_t read_groups(struct span text, unsigned char *to, size_t room)
{
    size_t len = 0;

    while (text.len > 0) {
        const size_t before = text.len;
        struct span one = cut(&text, ':');
        const bool is_last = one.len == before;
        unsigned value;

        if (is_last && len + 4 <= room && read_v4(one, to + len))
            return len + 4;
        if (len + 2 > room || !read_hex(one, &value) || (!is_last && text.len == 0))
            return SIZE_MAX;
        to[len++] = (unsigned char)(value >> 8);
        to[len++] = (unsigned char)value;
    }
    return len;
}

static size_t find_gap(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.data[i] == ':' && text.data[i + 1] == ':')
            return i;
    return SIZE_MAX;
}

static bool read_v6(struct span text, unsigned char octets[16])
{
    unsigned char head[16], tail[16];
    size_t gap = find_gap(text), head_len, tail_len;

    if (gap == SIZE_MAX)
        return read_groups(text, octets, 16) == 16;
    if (memchr(text.data, '.', gap) != NULL)
        return false; /* IPv4 stands at the end alone */
    head_len = read_groups(span_first(text, gap), head, 14);
    tail_len = read_groups(span_skip(text, gap + 2), tail, 14);
    if (head_len == SIZE_MAX || tail_len == SIZE_MAX || head_len + tail_len > 14)
        return false;
    memset(octets, 0, 16);
    memcpy(octets, head, head_len);
    memcpy(octets + 16 - tail_len, tail, tail_len);
    return true;
}

/* ---- both ---- */

size_t address_write(const struct address *a, char *space)
{
    switch (a->family) {
    case ADDRESS_V4: return write_v4(a->octets, space);
    case ADDRESS_V6: return write_v6(a->octets, space);
    case ADDRESS_NONE: break;
    }
    return 0;
}

bool address_read(struct span text, enum address_family family, struct address *a)
{
    struct address read = {.family = family, .port = a->port};
    bool is_one = family == ADDRESS_V4   ? read_v4(text, read.octets)
                  : family == ADDRESS_V6 ? text.len > 0 && read_v6(text, read.octets)
                                         : false;

    if (is_one)
        *a = read;
    return is_one;
}

struct address address_mapped(const struct address *a)
{
    struct address mapped = {.family = ADDRESS_V6, .port = a->port};

    if (a->family != ADDRESS_V4)
        return *a;
    memcpy(mapped.octets, v4_in_v6, sizeof v4_in_v6);
    memcpy(mapped.octets + sizeof v4_in_v6, a->octets, 4);
    return mapped;
}

struct address address_unmapped(const struct address *a)
{
    struct address v4 = {.family = ADDRESS_V4, .port = a->port};

    if (a->family != ADDRESS_V6 || memcmp(a->octets, v4_in_v6, sizeof v4_in_v6) != 0)
        return *a;
    memcpy(v4.octets, a->octets + sizeof v4_in_v6, 4);
    return v4;
}

bool address_read_port(struct span text, uint16_t *port)
{
    unsigned value;

    if (!read_decimal(text, UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    return true;
}

size_t address_write_port(uint16_t port, char *space)
{
    return write_decimal(port, space);
}
