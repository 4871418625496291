/* SPDX-License-Identifier: ISC */
/* PROXY headers: each is read whole and octet by octet, and whatever follows it changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/proxy_header.h"

#define V2     "\r\n\r\n\0\r\nQUIT\n"
#define V4     "\xc6\x33\x64\x07\xc0\x00\x02\x01\x30\x39\x00\x19"
#define V6     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6_TO  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define PATH27 "/run/proxy.sock\0\0\0\0\0\0\0\0\0\0\0\0"
#define PATH   PATH27 PATH27 PATH27 PATH27

/* A copy of its exact size, so that ASan sees the first octet read beyond. */
static enum proxy_result parse(struct span s, size_t len, struct proxy_header *header)
{
    char *exact = malloc(len == 0 ? 1 : len);
    enum proxy_result result;

    assert_non_null(exact);
    memcpy(exact, s.data, len);
    result = proxy_header_parse((struct span){exact, len}, header);
    free(exact);
    return result;
}

static void assert_address(const struct address *a, const char *text, uint16_t port)
{
    char space[ADDRESS_TEXT_MAX + 1];

    space[address_write(a, space)] = '\0';
    assert_string_equal(space, text);
    assert_int_equal(a->port, port);
}

static void assert_header(const struct proxy_header *header, enum proxy_subject subject,
                          const char *client, const char *server)
{
    assert_int_equal(header->subject, subject);
    assert_null(header->why);
    assert_address(&header->client, client == NULL ? "" : client, client == NULL ? 0 : 12345);
    assert_address(&header->server, server == NULL ? "" : server, server == NULL ? 0 : 25);
}

static const struct {
    struct span octets;
    enum proxy_subject subject;
    const char *client, *server; /* ports 12345 and 25 */
} good[] = {
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 12345 25\r\n"), PROXY_CLIENT, "198.51.100.7",
     "192.0.2.1"},
    {SPAN("PROXY TCP6 2001:db8::7 2001:db8::1 12345 25\r\n"), PROXY_CLIENT, "2001:db8::7",
     "2001:db8::1"},
    {SPAN("PROXY TCP6 2001:0DB8:0:0:0:0:0:7 ::ffff:192.0.2.1 12345 25\r\n"), PROXY_CLIENT,
     "2001:db8::7", "::ffff:192.0.2.1"},
    {SPAN("PROXY UNKNOWN\r\n"), PROXY_PEER},
    {SPAN("PROXY UNKNOWN \r\n"), PROXY_PEER},
    {SPAN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     PROXY_PEER},
    {SPAN(V2 "\x20\x00\0\0"), PROXY_PEER},
    {SPAN(V2 "\x20\xff\0\3abc"), PROXY_PEER}, /* skipped unread */
    {SPAN(V2 "\x21\x00\0\0"), PROXY_PEER},
    {SPAN(V2 "\x21\x00\0\1a"), PROXY_PEER},
    {SPAN(V2 "\x21\x11\0\x0c" V4), PROXY_CLIENT, "198.51.100.7", "192.0.2.1"},
    {SPAN(V2 "\x21\x21\0\x24" V6 V6_TO "\x30\x39\x00\x19"), PROXY_CLIENT, "2001:db8::7",
     "2001:db8::1"},
    {SPAN(V2 "\x21\x31\0\xd8" PATH PATH), PROXY_UNNAMED},
    {SPAN(V2 "\x21\x31\0\xdb" PATH PATH "\x04\0\0"), PROXY_UNNAMED},
    /* NOOP, unknown, UNIQUE_ID, SSL with what nobody looks into; empty and not. */
    {SPAN(V2 "\x21\x11\0\x0f" V4 "\x04\0\0"), PROXY_CLIENT, "198.51.100.7", "192.0.2.1"},
    {SPAN(V2 "\x21\x11\0\x1f" V4 "\x04\0\2aa"
             "\xee\0\1b"
             "\x05\0\1c"
             "\x20\0\3\1\2\3"),
     PROXY_CLIENT, "198.51.100.7", "192.0.2.1"},
    /* The checksum was reckoned by another program, bit by bit. */
    {SPAN(V2 "\x21\x11\0\x13" V4 "\x03\0\4\x24\x8a\xe2\xbe"), PROXY_CLIENT, "198.51.100.7",
     "192.0.2.1"},
};

static void headers_are_read(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct span s = good[i].octets;
        struct proxy_header header;
        char longer[512];

        assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);
        assert_int_equal(header.take, s.len);
        assert_header(&header, good[i].subject, good[i].client, good[i].server);
        memcpy(longer, s.data, s.len);
        memcpy(longer + s.len, "\r\nEHLO\r\n", 8);
        assert_int_equal(parse((struct span){longer, s.len + 8}, s.len + 8, &header), PROXY_GOOD);
        assert_int_equal(header.take, s.len);
    }
}

static void less_than_a_header_asks_for_more(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t len = 0; len < good[i].octets.len; len++) {
            struct proxy_header header;

            assert_int_equal(parse(good[i].octets, len, &header), PROXY_MORE);
        }
}

/* `enough`: the octets that are enough to see it; nothing behind them mends it. */
static const struct {
    struct span octets;
    size_t enough;
} bad[] = {
    {SPAN("EHLO a\r\n"), 1},
    {SPAN("\x16\x03\x01"), 1},
    {SPAN("proxy TCP4 198.51.100.7 192.0.2.1 12345 25\r\n"), 1},
    {SPAN("PrOXY "), 2},
    {SPAN("PROXY\tTCP4 "), 6},
    {SPAN("PROXY\r\n"), 6},
    {SPAN(" PROXY UNKNOWN\r\n"), 1},
    {SPAN("PROXY \r\n"), 8},
    {SPAN("PROXY  TCP4 198.51.100.7 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY tcp4 198.51.100.7 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY Unknown\r\n"), 0},
    {SPAN("PROXY UNKNOWNX\r\n"), 0},
    {SPAN("PROXY UDP4 198.51.100.7 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP5 198.51.100.7 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP4\r\n"), 0},
    {SPAN("PROXY TCP4 \r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 12345\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 12345 \r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 12345 25 \r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 12345 25 x\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7  192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1\t12345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.07 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.256 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 012345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 12345 65536\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 -1 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 +1 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7 192.0.2.1 0x1 25\r\n"), 0},
    {SPAN("PROXY TCP4 2001:db8::7 2001:db8::1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP6 198.51.100.7 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP6 2001:db8::7 192.0.2.1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP6 2001:db8::7%eth0 2001:db8::1 12345 25\r\n"), 0},
    {SPAN("PROXY TCP4 198.51.100.7\0 192.0.2.1 12345 25\r\n"), 0},
    /* CRLF alone ends the line (section 2.1). */
    {SPAN("PROXY UNKNOWN\n"), 0},
    {SPAN("PROXY UNKNOWN\rX"), 0},
    {SPAN("PROXY UNKNOWN\r\r\n"), 15},
    {SPAN("PROXY UNKNOWN a\nb\r\n"), 16},
    {SPAN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r\n"),
     107},
    {SPAN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 6553500\r\n"),
     107},

    {SPAN("\r\n\r\n\r"), 5},
    {SPAN("\r\n\r\n\0\r\nQuit\n"), 9},
    {SPAN(V2 "\x11\x11\0\x0c" V4), 16}, /* version */
    {SPAN(V2 "\x31\x11\0\x0c" V4), 16},
    {SPAN(V2 "\x22\x11\0\x0c" V4), 16}, /* command */
    {SPAN(V2 "\x21\x12\0\x0c" V4), 16}, /* UDP */
    {SPAN(V2 "\x21\x22\0\x24" V6 V6_TO "\x30\x39\x00\x19"), 16},
    {SPAN(V2 "\x21\x32\0\xd8" PATH PATH), 16},
    {SPAN(V2 "\x21\x10\0\x0c" V4), 16},
    {SPAN(V2 "\x21\x01\0\x0c" V4), 16},
    {SPAN(V2 "\x21\x41\0\x0c" V4), 16},
    {SPAN(V2 "\x21\x11\0\x0b" V4), 16}, /* no room */
    {SPAN(V2 "\x21\x21\0\x23" V6 V6_TO "\x30\x39\x00"), 16},
    {SPAN(V2 "\x21\x31\0\xd7" PATH PATH), 16},
    {SPAN(V2 "\x21\x11\x10\x01" V4), 16}, /* too long */
    {SPAN(V2 "\x20\x00\x10\x01" V4), 16},
    {SPAN(V2 "\x20\x00\xff\xff"), 16},
    {SPAN(V2 "\x21\x11\0\x0d" V4 "\4"), 0}, /* TLVs */
    {SPAN(V2 "\x21\x11\0\x0e" V4 "\4\0"), 0},
    {SPAN(V2 "\x21\x11\0\x0f" V4 "\4\0\1"), 0},
    {SPAN(V2 "\x21\x11\0\x10" V4 "\4\0\2a"), 0},
    {SPAN(V2 "\x21\x11\0\x10" V4 "\4\xff\xff"
             "a"),
     0},
    {SPAN(V2 "\x21\x11\0\x10" V4 "\4\0\0\4"), 0},
    {SPAN(V2 "\x21\x31\0\xd9" PATH PATH "\x04"), 0},
    {SPAN(V2 "\x21\x11\0\x13" V4 "\3\0\4\x24\x8a\xe2\xbf"), 0}, /* checksum */
    {SPAN(V2 "\x21\x11\0\x13" V4 "\3\0\4\0\0\0\0"), 0},
    {SPAN(V2 "\x21\x11\0\x12" V4 "\3\0\3\0\0\0"), 0},
    {SPAN(V2 "\x21\x11\0\x0f" V4 "\3\0\0"), 0},
    {SPAN(V2 "\x21\x11\0\x1a" V4 "\3\0\4\0\0\0\0\3\0\4\0\0\0\0"), 0},
};

static void slips_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span s = bad[i].octets;
        size_t enough = bad[i].enough == 0 ? s.len : bad[i].enough;

        for (size_t len = 0; len <= s.len; len++) {
            struct proxy_header header;
            enum proxy_result result = parse(s, len, &header);

            if (result != (len < enough ? PROXY_MORE : PROXY_BAD))
                fail_msg("row %zu, %zu octets: %d", i, len, (int)result);
            if (result == PROXY_BAD)
                assert_non_null(header.why);
        }
    }
}

static void the_longest_header_is_read(void **state)
{
    static char octets[PROXY_HEADER_MAX] = V2 "\x21\x11\x10\x00" V4 "\x04\x0f\xf1";
    struct proxy_header header;

    assert_int_equal(parse((struct span){octets, sizeof octets}, sizeof octets - 1, &header),
                     PROXY_MORE);
    assert_int_equal(parse((struct span){octets, sizeof octets}, sizeof octets, &header),
                     PROXY_GOOD);
    assert_int_equal(header.take, sizeof octets);
}

/* ---- written ---- */

static struct address address(const char *text, uint16_t port)
{
    struct address a = {.port = port};

    if (!address_read(span_of(text), ADDRESS_V4, &a))
        assert_true(address_read(span_of(text), ADDRESS_V6, &a));
    return a;
}

static const struct {
    const char *client, *server, *line;
    struct span octets; /* what version 2 begins with, behind its signature and command */
} written[] = {
    {"198.51.100.7", "192.0.2.1", "PROXY TCP4 198.51.100.7 192.0.2.1 12345 25\r\n",
     SPAN("\x11\0\x13" V4 "\3\0\4\x24\x8a\xe2\xbe")},
    {"2001:db8::7", "2001:db8::1", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 25\r\n",
     SPAN("\x21\0\x2b" V6 V6_TO "\x30\x39\x00\x19\3\0\4")},
    {"198.51.100.7", "2001:db8::1", "PROXY TCP6 ::ffff:198.51.100.7 2001:db8::1 12345 25\r\n",
     SPAN("\x21\0\x2b\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x07" V6_TO "\x30\x39\x00\x19")},
    {"2001:db8::7", "192.0.2.1", "PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 12345 25\r\n",
     SPAN("\x21\0\x2b" V6 "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\x30\x39\x00\x19")},
};

static void assert_begins(struct span s, struct span with)
{
    assert_true(s.len >= with.len);
    assert_memory_equal(s.data, with.data, with.len);
}

static void both_versions_are_written(void **state)
{
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        struct address client = address(written[i].client, 12345);
        struct address server = address(written[i].server, 25);
        char *space = malloc(PROXY_SPACE);
        struct proxy_header header;
        struct span s;

        s = proxy_header_v1(&client, &server, space);
        assert_int_equal(s.len, strlen(written[i].line));
        assert_memory_equal(s.data, written[i].line, s.len);
        assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);

        s = proxy_header_v2(&client, &server, &(struct proxy_facts){0}, space);
        assert_begins(s, (struct span)SPAN(V2 "\x21"));
        assert_begins(span_skip(s, 13), written[i].octets);
        assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);
        assert_int_equal(header.take, s.len);
        assert_int_equal(header.client.port, 12345);
        assert_int_equal(header.server.port, 25);
        free(space);
    }
}

static const struct {
    struct proxy_facts facts;
    struct span tlvs; /* without the checksum's */
} told[] = {
    {{.is_secure = false}, SPAN("")},
    {{.unique_id = SPAN("00c0ffee")},
     SPAN("\5\0\x8"
          "00c0ffee")},
    {{.alpn = SPAN("imap"), .authority = SPAN("mx.example")}, SPAN("\1\0\4imap\2\0\x0amx.example")},
    /* Without TLS nothing is told of it, */
    {{.version = SPAN("TLSv1.3"), .has_certificate = true, .common_name = SPAN("a")}, SPAN("")},
    {{.is_secure = true}, SPAN("\x20\0\5\1\0\0\0\1")},
    {{.is_secure = true, .version = SPAN("TLSv1.3"), .cipher = SPAN("X")},
     SPAN("\x20\0\x13\1\0\0\0\1\x21\0\7TLSv1.3\x23\0\1X")},
    /* and of no certificate that was not verified. */
    {{.is_secure = true, .common_name = SPAN("eve")}, SPAN("\x20\0\5\1\0\0\0\1")},
    {{.is_secure = true, .has_certificate = true, .common_name = SPAN("alice")},
     SPAN("\x20\0\x0d\7\0\0\0\0\x22\0\5alice")},
    {{.is_secure = true, .has_certificate = true, .is_resumed = true}, SPAN("\x20\0\5\5\0\0\0\0")},
};

static void facts_are_told(void **state)
{
    const struct address client = address("198.51.100.7", 12345), server = address("192.0.2.1", 25);

    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        char *space = malloc(PROXY_SPACE);
        struct span s = proxy_header_v2(&client, &server, &told[i].facts, space);
        struct proxy_header header;

        assert_int_equal(s.len, 28 + told[i].tlvs.len + 7);
        assert_begins(span_skip(s, 28), told[i].tlvs);
        assert_begins(span_skip(s, 28 + told[i].tlvs.len), (struct span)SPAN("\3\0\4"));
        assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);
        free(space);
    }
}

static void long_values_are_left_out_whole(void **state)
{
    static const char values[PROXY_VALUE_MAX + 1];
    const struct span fits = {values, PROXY_VALUE_MAX}, too_long = {values, PROXY_VALUE_MAX + 1};
    const struct address client = address("::1", 1), server = address("::2", 2);
    const struct proxy_facts all = {fits, fits, fits, true, fits, fits, true, false, fits};
    const struct proxy_facts none = {too_long, too_long, too_long, true,    too_long,
                                     too_long, true,     false,    too_long};
    char *space = malloc(PROXY_SPACE);
    struct proxy_header header;
    struct span s = proxy_header_v2(&client, &server, &all, space);

    assert_int_equal(s.len,
                     16 + 36 + 3 * (3 + PROXY_VALUE_MAX) + 8 + 3 * (3 + PROXY_VALUE_MAX) + 7);
    assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);
    s = proxy_header_v2(&client, &server, &none, space);
    assert_int_equal(s.len, 16 + 36 + 8 + 7);
    assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);
    free(space);
}

static void local_names_nobody(void **state)
{
    struct proxy_header header;
    struct span s = proxy_header_local();

    assert_int_equal(parse(s, s.len, &header), PROXY_GOOD);
    assert_header(&header, PROXY_PEER, NULL, NULL);
    assert_int_equal(header.take, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(less_than_a_header_asks_for_more),
        cmocka_unit_test(slips_are_refused),
        cmocka_unit_test(the_longest_header_is_read),
        cmocka_unit_test(both_versions_are_written),
        cmocka_unit_test(facts_are_told),
        cmocka_unit_test(long_values_are_left_out_whole),
        cmocka_unit_test(local_names_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
