/* SPDX-License-Identifier: ISC */
/* PROXY headers as we say them (section numbers: HAProxy's proxy-protocol.txt). */
#include <assert.h>

#include "protocols/crc32c.h"
#include "protocols/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define LENGTH_AT 14 /* of what follows, behind signature, command and family (section 2.2) */

/* Section 2.2; subtypes from 0x21 on. */
enum tlv {
    TLV_ALPN = 0x01,
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_UNIQUE_ID = 0x05,
    TLV_SSL = 0x20,
    TLV_SSL_VERSION = 0x21,
    TLV_SSL_CN = 0x22,
    TLV_SSL_CIPHER = 0x23
};

/* Section 2.2.6. */
enum { CLIENT_SSL = 0x01, CLIENT_CERT_CONN = 0x02, CLIENT_CERT_SESS = 0x04 };

struct writer {
    char *space; /* PROXY_SPACE octets: the sum of all that can come is less */
    size_t len;
};

static void put(struct writer *w, struct span octets)
{
    assert(octets.len <= PROXY_SPACE - w->len);
    if (octets.len > 0)
        memcpy(w->space + w->len, octets.data, octets.len);
    w->len += octets.len;
}

static void put_octet(struct writer *w, unsigned octet)
{
    char c = (char)(unsigned char)octet;

    put(w, (struct span){&c, 1});
}

static void put_number16(struct writer *w, unsigned number)
{
    put_octet(w, number >> 8);
    put_octet(w, number & 0xff);
}

/* Both of one family. */
static void meet(struct address *client, struct address *server)
{
    assert(client->family != ADDRESS_NONE && server->family != ADDRESS_NONE);
    if (client->family == server->family)
        return;
    *client = address_mapped(client);
    *server = address_mapped(server);
}

/* ---- version 1 ---- */

static void put_address(struct writer *w, const struct address *a)
{
    char text[ADDRESS_TEXT_MAX];

    put(w, (struct span)SPAN(" "));
    put(w, (struct span){text, address_write(a, text)});
}

static void put_port(struct writer *w, uint16_t port)
{
    char text[ADDRESS_PORT_TEXT_MAX];

    put(w, (struct span)SPAN(" "));
    put(w, (struct span){text, address_write_port(port, text)});
}

struct span proxy_header_v1(const struct address *client, const struct address *server,
                            char space[PROXY_SPACE])
{
    struct address from = *client, to = *server;
    struct writer w = {.space = space};

    meet(&from, &to);
    put(&w, from.family == ADDRESS_V4 ? (struct span)SPAN("PROXY TCP4")
                                      : (struct span)SPAN("PROXY TCP6"));
    put_address(&w, &from);
    put_address(&w, &to);
    put_port(&w, from.port);
    put_port(&w, to.port);
    put(&w, (struct span)SPAN("\r\n"));
    return (struct span){space, w.len};
}

/* ---- version 2 ---- */

static void put_tlv(struct writer *w, enum tlv type, struct span value)
{
    if (value.len == 0 || value.len > PROXY_VALUE_MAX)
        return;
    put_octet(w, type);
    put_number16(w, (unsigned)value.len);
    put(w, value);
}

/* What was put behind `from` is that long: said in the two octets at `at`. */
static void set_length(struct writer *w, size_t at, size_t from)
{
    w->space[at] = (char)(unsigned char)((w->len - from) >> 8);
    w->space[at + 1] = (char)(unsigned char)((w->len - from) & 0xff);
}

/* Section 2.2.6: zero if there was a certificate, and it was verified. */
static void put_verify(struct writer *w, bool is_verified)
{
    put_number16(w, 0);
    put_number16(w, !is_verified);
}

static void put_ssl(struct writer *w, const struct proxy_facts *facts)
{
    const size_t at = w->len;
    unsigned client = CLIENT_SSL;

    if (!facts->is_secure)
        return;
    if (facts->has_certificate)
        client |= facts->is_resumed ? CLIENT_CERT_SESS : CLIENT_CERT_CONN | CLIENT_CERT_SESS;
    put_octet(w, TLV_SSL);
    put_number16(w, 0);
    put_octet(w, client);
    put_verify(w, facts->has_certificate);
    put_tlv(w, TLV_SSL_VERSION, facts->version);
    put_tlv(w, TLV_SSL_CIPHER, facts->cipher);
    if (facts->has_certificate)
        put_tlv(w, TLV_SSL_CN, facts->common_name);
    set_length(w, at + 1, at + 3);
}

/* Over the whole header, with zeros in its own place (section 2.2.3). */
static void put_checksum(struct writer *w)
{
    uint32_t crc;

    put_tlv(w, TLV_CRC32C, (struct span)SPAN("\0\0\0\0"));
    set_length(w, LENGTH_AT, LENGTH_AT + 2);
    crc = crc32c(0, (struct span){w->space, w->len});
    w->len -= 4;
    put_number16(w, crc >> 16);
    put_number16(w, crc & 0xffff);
}

struct span proxy_header_v2(const struct address *client, const struct address *server,
                            const struct proxy_facts *facts, char space[PROXY_SPACE])
{
    struct address from = *client, to = *server;
    struct writer w = {.space = space};
    size_t size;

    meet(&from, &to);
    size = from.family == ADDRESS_V4 ? 4 : 16;
    put(&w, (struct span)SPAN(SIGNATURE "\x21"));
    put_octet(&w, from.family == ADDRESS_V4 ? 0x11 : 0x21);
    put_number16(&w, 0);
    put(&w, (struct span){(const char *)from.octets, size});
    put(&w, (struct span){(const char *)to.octets, size});
    put_number16(&w, from.port);
    put_number16(&w, to.port);
    put_tlv(&w, TLV_ALPN, facts->alpn);
    put_tlv(&w, TLV_AUTHORITY, facts->authority);
    put_tlv(&w, TLV_UNIQUE_ID, facts->unique_id);
    put_ssl(&w, facts);
    put_checksum(&w);
    return (struct span){space, w.len};
}

struct span proxy_header_local(void)
{
    return (struct span)SPAN(SIGNATURE "\x20\0\0\0");
}
