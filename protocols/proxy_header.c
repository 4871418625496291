/* SPDX-License-Identifier: ISC */
/* The PROXY protocol, versions 1 and 2: how a load balancer says who its client is. Section numbers
 * are those of HAProxy's proxy-protocol.txt. Building: proxy_header_build.c. */
#include "protocols/proxy_header.h"

#include "protocols/crc32c.h"

#define V1_MAX     107 /* octets of the longest line, its end included (section 2.1) */
#define V2_HEAD    16  /* octets before addresses and TLVs (section 2.2) */
#define TLV_HEAD   3
#define TLV_CRC32C 0x03

static enum proxy_result bad(struct proxy_header *header, const char *why)
{
    *header = (struct proxy_header){.why = why};
    return PROXY_BAD;
}

/* Octet for octet, case included. */
static bool starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && memcmp(s.data, prefix.data, prefix.len) == 0;
}

static bool take(struct span *rest, struct span word)
{
    if (!starts(*rest, word))
        return false;
    *rest = span_skip(*rest, word.len);
    return true;
}

/* ---- version 1: a line ---- */

/* What stands before the next blank, or the end; that blank is taken too. */
static struct span take_word(struct span *rest)
{
    const char *blank = rest->len == 0 ? NULL : memchr(rest->data, ' ', rest->len);
    struct span word = blank == NULL ? *rest : span_first(*rest, (size_t)(blank - rest->data));

    *rest = span_skip(*rest, word.len + (blank != NULL));
    return word;
}

/* ADDRESS ADDRESS PORT PORT. */
static bool parse_line(struct span rest, enum address_family family, struct proxy_header *header)
{
    struct span client = take_word(&rest), server = take_word(&rest);
    struct span client_port = take_word(&rest);

    return address_read(client, family, &header->client) &&
           address_read(server, family, &header->server) &&
           address_read_port(client_port, &header->client.port) &&
           address_read_port(rest, &header->server.port);
}

/* The length of the line without its CRLF, which alone is an end. */
static enum proxy_result find_end(struct span window, size_t *len)
{
    struct span scope = span_first(window, V1_MAX);
    const char *lf = memchr(scope.data, '\n', scope.len);
    size_t before = lf == NULL ? scope.len : (size_t)(lf - scope.data);
    const char *cr = memchr(scope.data, '\r', before);
    bool is_last = cr != NULL && (size_t)(cr - scope.data) + 1 == before; /* LF may follow */

    if (cr != NULL ? !is_last : lf != NULL)
        return PROXY_BAD;
    if (lf == NULL)
        return window.len < V1_MAX ? PROXY_MORE : PROXY_BAD;
    *len = before - 1;
    return PROXY_GOOD;
}

static enum proxy_result parse_v1(struct span window, struct proxy_header *header)
{
    static const struct span v4 = SPAN("TCP4 "), v6 = SPAN("TCP6 "), unknown = SPAN("UNKNOWN");
    struct span rest;
    size_t len;
    bool is_good = false;

    switch (find_end(window, &len)) {
    case PROXY_MORE: return PROXY_MORE;
    case PROXY_BAD: return bad(header, "the line of the PROXY header has no end, or a wrong one");
    case PROXY_GOOD: break;
    }
    *header = (struct proxy_header){.subject = PROXY_CLIENT, .take = len + 2};
    rest = span_skip(span_first(window, len), sizeof "PROXY " - 1);
    if (take(&rest, v4)) {
        is_good = parse_line(rest, ADDRESS_V4, header);
    } else if (take(&rest, v6)) {
        is_good = parse_line(rest, ADDRESS_V6, header);
    } else if (take(&rest, unknown)) {
        header->subject = PROXY_PEER; /* and what follows is to be ignored */
        is_good = rest.len == 0 || rest.data[0] == ' ';
    }
    return is_good ? PROXY_GOOD : bad(header, "the line of the PROXY header is malformed");
}

/* ---- version 2: octets ---- */

static unsigned octet(struct span s, size_t i)
{
    return (unsigned char)s.data[i];
}

static unsigned number16(struct span s, size_t i)
{
    return octet(s, i) << 8 | octet(s, i + 1);
}

/* Command and family (section 2.2), and what follows of them. */
static const struct kind {
    unsigned char command, family;
    enum proxy_subject subject;
    size_t addresses; /* octets of both, with their ports */
} kinds[] = {
    {0x21, 0x00, PROXY_PEER, 0},
    {0x21, 0x11, PROXY_CLIENT, 12},
    {0x21, 0x21, PROXY_CLIENT, 36},
    {0x21, 0x31, PROXY_UNNAMED, 216},
};

/* Nothing is said of LOCAL but that it is, and all behind its length is to be skipped unread. */
static const struct kind local = {0x20, 0x00, PROXY_PEER, 0};

static const struct kind *find_kind(struct span head)
{
    if (octet(head, 12) == local.command)
        return &local;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (octet(head, 12) == kinds[i].command && octet(head, 13) == kinds[i].family)
            return &kinds[i];
    return NULL;
}

static struct address address_at(struct span block, size_t size, size_t which)
{
    struct address a = {.family = size == 4 ? ADDRESS_V4 : ADDRESS_V6};

    memcpy(a.octets, block.data + which * size, size);
    a.port = (uint16_t)number16(block, 2 * size + 2 * which);
    return a;
}

static bool crc_is_right(struct span header, size_t at)
{
    static const char zeros[4];
    const uint32_t said = (uint32_t)number16(header, at) << 16 | number16(header, at + 2);
    uint32_t crc = crc32c(0, span_first(header, at));

    crc = crc32c(crc, (struct span){zeros, sizeof zeros});
    return crc32c(crc, span_skip(header, at + sizeof zeros)) == said;
}

/* Types other than the checksum tell nothing that is used here. NULL, or what is wrong. */
static const char *check_tlvs(struct span header, size_t at)
{
    size_t crc_at = 0;

    while (at < header.len) {
        size_t value = at + TLV_HEAD, len;

        if (header.len - at < TLV_HEAD)
            return "a TLV of the PROXY header is cut short";
        len = number16(header, at + 1);
        if (len > header.len - value)
            return "a TLV of the PROXY header reaches beyond its end";
        if (octet(header, at) == TLV_CRC32C) {
            if (len != 4 || crc_at > 0)
                return "the checksum of the PROXY header is malformed";
            crc_at = value;
        }
        at = value + len;
    }
    return crc_at == 0 || crc_is_right(header, crc_at)
               ? NULL
               : "the checksum of the PROXY header is wrong";
}

static enum proxy_result parse_v2(struct span window, struct proxy_header *header)
{
    const struct kind *kind;
    const char *why;
    size_t len;

    if (window.len < V2_HEAD)
        return PROXY_MORE;
    kind = find_kind(window);
    if (kind == NULL)
        return bad(header, "the PROXY header is of an unknown kind");
    len = V2_HEAD + number16(window, 14);
    if (len > PROXY_HEADER_MAX)
        return bad(header, "the PROXY header is too long");
    if (len - V2_HEAD < kind->addresses)
        return bad(header, "the PROXY header has no room for its addresses");
    if (window.len < len)
        return PROXY_MORE;
    window = span_first(window, len);
    why = kind->subject == PROXY_PEER ? NULL : check_tlvs(window, V2_HEAD + kind->addresses);
    if (why != NULL)
        return bad(header, why);
    *header = (struct proxy_header){.subject = kind->subject, .take = len};
    if (kind->subject == PROXY_CLIENT) {
        size_t size = (kind->addresses - 4) / 2;

        header->client = address_at(span_skip(window, V2_HEAD), size, 0);
        header->server = address_at(span_skip(window, V2_HEAD), size, 1);
    }
    return PROXY_GOOD;
}

enum proxy_result proxy_header_parse(struct span window, struct proxy_header *header)
{
    static const struct span v1 = SPAN("PROXY "), v2 = SPAN("\r\n\r\n\0\r\nQUIT\n");

    *header = (struct proxy_header){0};
    if (starts(window, v1))
        return parse_v1(window, header);
    if (starts(window, v2))
        return parse_v2(window, header);
    if (starts(v1, window) || starts(v2, window))
        return PROXY_MORE;
    return bad(header, "there is no PROXY header");
}
