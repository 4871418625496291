/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/address.h"

/* What is read is written in this form; NULL: as it was. */
static const struct {
    enum address_family family;
    const char *text, *written;
} good[] = {
    {ADDRESS_V4, "0.0.0.0"},
    {ADDRESS_V4, "192.0.2.1"},
    {ADDRESS_V4, "255.255.255.255"},
    {ADDRESS_V6, "::"},
    {ADDRESS_V6, "::1"},
    {ADDRESS_V6, "1::"},
    {ADDRESS_V6, "2001:db8::7"},
    {ADDRESS_V6, "2001:DB8:0:0:0:0:0:7", "2001:db8::7"},
    {ADDRESS_V6, "2001:0db8::0007", "2001:db8::7"},
    {ADDRESS_V6, "1:2:3:4:5:6:7:8"},
    {ADDRESS_V6, "1:0:3:4:5:6:7:8"},
    {ADDRESS_V6, "1::3:4:5:6:7:8", "1:0:3:4:5:6:7:8"},
    {ADDRESS_V6, "1:0:0:4:0:0:0:8", "1:0:0:4::8"},
    {ADDRESS_V6, "1:0:0:4:5:0:0:8", "1::4:5:0:0:8"},
    {ADDRESS_V6, "::ffff:192.0.2.1"},
    {ADDRESS_V6, "::FFFF:C000:0201", "::ffff:192.0.2.1"},
    {ADDRESS_V6, "64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
    {ADDRESS_V6, "1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"},
    {ADDRESS_V6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

static void addresses_are_read_and_written(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct address a = {.port = 7};
        char space[ADDRESS_TEXT_MAX + 1];

        assert_true(address_read(span_of(good[i].text), good[i].family, &a));
        assert_int_equal(a.family, good[i].family);
        assert_int_equal(a.port, 7);
        space[address_write(&a, space)] = '\0';
        assert_string_equal(space, good[i].written == NULL ? good[i].text : good[i].written);
    }
}

static void what_is_none_is_not_read(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        ".1.2.3.4",
        "1..2.3",
        "01.2.3.4",
        "1.2.3.256",
        "1.2.3.4 ",
        "+1.2.3.4",
        "0x1.2.3.4",
        "1.2.3.99999",
        ":",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7",
        "1::2::3",
        "12345::",
        "::g",
        "1:2:3:4:5:6:7::8",
        "1::2:3:4:5:6:7:8",
        "::1.2.3",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "fe80::1%eth0",
        "::1 ",
        "[::1]",
        ":::1",
        "1:::2",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct address a = {0};

        assert_false(address_read(span_of(bad[i]), ADDRESS_V4, &a));
        assert_false(address_read(span_of(bad[i]), ADDRESS_V6, &a));
        assert_int_equal(a.family, ADDRESS_NONE);
    }
}

static void a_family_reads_no_other(void **state)
{
    struct address a = {0};

    assert_false(address_read(span_of("192.0.2.1"), ADDRESS_V6, &a));
    assert_false(address_read(span_of("::1"), ADDRESS_V4, &a));
    assert_false(address_read(span_of("192.0.2.1"), ADDRESS_NONE, &a));
}

/* The C library is the reference, for addresses with many zeros too. */
static void the_library_agrees(void **state)
{
    srand(1);
    for (int i = 0; i < 20000; i++) {
        struct address a = {.family = ADDRESS_V6}, back = {0};
        unsigned char octets[16];
        char ours[ADDRESS_TEXT_MAX + 1], theirs[INET6_ADDRSTRLEN];

        for (size_t k = 0; k < 16; k++)
            a.octets[k] = (unsigned char)(rand() % 3 == 0 ? rand() : 0);
        ours[address_write(&a, ours)] = '\0';
        assert_int_equal(inet_pton(AF_INET6, ours, octets), 1);
        assert_memory_equal(octets, a.octets, 16);
        assert_non_null(inet_ntop(AF_INET6, a.octets, theirs, sizeof theirs));
        assert_true(address_read(span_of(theirs), ADDRESS_V6, &back));
        assert_memory_equal(back.octets, a.octets, 16);
    }
}

static void mapping_goes_both_ways(void **state)
{
    struct address v4 = {.port = 25}, v6 = {0}, other;

    assert_true(address_read(span_of("192.0.2.1"), ADDRESS_V4, &v4));
    assert_true(address_read(span_of("2001:db8::1"), ADDRESS_V6, &v6));
    other = address_mapped(&v4);
    assert_int_equal(other.family, ADDRESS_V6);
    assert_int_equal(other.port, 25);
    other = address_unmapped(&other);
    assert_memory_equal(&other, &v4, sizeof v4);
    other = address_mapped(&v6);
    assert_memory_equal(&other, &v6, sizeof v6);
    other = address_unmapped(&v6);
    assert_memory_equal(&other, &v6, sizeof v6);
    other = address_unmapped(&v4);
    assert_memory_equal(&other, &v4, sizeof v4);
}

static void nobody_has_no_text(void **state)
{
    const struct address nobody = {0};
    char space[ADDRESS_TEXT_MAX];

    assert_int_equal(address_write(&nobody, space), 0);
}

static void ports_are_plain_numbers(void **state)
{
    static const char *const bad[] = {"",   "65536", "99999", "100000", "-1",
                                      "+1", "01",    "1 ",    " 1",     "a"};
    uint16_t port = 9;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(address_read_port(span_of(bad[i]), &port));
    assert_int_equal(port, 9);
    assert_true(address_read_port(span_of("0"), &port));
    assert_int_equal(port, 0);
    assert_true(address_read_port(span_of("65535"), &port));
    assert_int_equal(port, 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(what_is_none_is_not_read),
        cmocka_unit_test(a_family_reads_no_other),
        cmocka_unit_test(the_library_agrees),
        cmocka_unit_test(mapping_goes_both_ways),
        cmocka_unit_test(nobody_has_no_text),
        cmocka_unit_test(ports_are_plain_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
