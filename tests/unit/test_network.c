/* SPDX-License-Identifier: ISC */
/* Networks: what is read, what is refused and how, and whom they contain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/network.h"

/* The text in a block of its exact size, so that ASan sees a read beyond. */
static const char *parse(struct network *n, const char *text, char remedy[NETWORK_REMEDY_MAX])
{
    size_t len = strlen(text);
    char *exact = malloc(len == 0 ? 1 : len);
    const char *wrong;

    assert_non_null(exact);
    memcpy(exact, text, len);
    wrong = network_parse(n, (struct span){exact, len}, remedy);
    free(exact);
    return wrong;
}

static struct network network(const char *text)
{
    struct network n;
    char remedy[NETWORK_REMEDY_MAX];

    assert_null(parse(&n, text, remedy));
    return n;
}

static void networks_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *again;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1/32", "192.0.2.1"},
        {"192.0.2.0/24", "192.0.2.0/24"},
        {"192.0.2.128/25", "192.0.2.128/25"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"128.0.0.0/1", "128.0.0.0/1"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"2001:DB8:0::1", "2001:db8::1"},
        {"::1/128", "::1"},
        {"::/0", "::/0"},
        {"fe80::/10", "fe80::/10"},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct network n = network(rows[i].text);
        char space[NETWORK_TEXT_MAX];

        assert_string_equal(network_text(&n, space), rows[i].again);
    }
}

#define EXAMPLES "write addresses and networks, as in 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
#define NEITHER  "is neither an address nor a network"
#define PREFIX   "has no prefix length that fits its address"
#define BITS     "has bits set behind its prefix"

static void slips_are_refused_with_a_remedy(void **state)
{
    static const struct {
        const char *text, *wrong, *remedy;
    } rows[] = {
        {"", NEITHER, EXAMPLES},
        {"/24", NEITHER, EXAMPLES},
        {"mail.example.net", NEITHER, EXAMPLES},
        {"localhost", NEITHER, EXAMPLES},
        {"*", NEITHER, EXAMPLES},
        {"192.0.2/24", NEITHER, EXAMPLES},
        {"192.0.2.", NEITHER, EXAMPLES},
        {"192.0.2.256", NEITHER, EXAMPLES},
        {"192.0.2.010", NEITHER, EXAMPLES}, /* ten, or eight? */
        {"0x7f.0.0.1", NEITHER, EXAMPLES},
        {"2130706433", NEITHER, EXAMPLES},
        {"192.0.2.1:25", NEITHER, EXAMPLES},
        {"[2001:db8::1]", NEITHER, EXAMPLES},
        {"fe80::1%eth0", NEITHER, EXAMPLES},
        {"2001:db8::1::", NEITHER, EXAMPLES},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NEITHER, EXAMPLES},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555555", NEITHER, EXAMPLES},
        {"192.0.2.0/", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"192.0.2.0/33", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"192.0.2.0/024", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"192.0.2.0/-1", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"192.0.2.0/4294967320", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"192.0.2.0/255.255.255.0", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"192.0.2.0/24/24", PREFIX, "write a number from 0 to 32 behind the slash"},
        {"2001:db8::/129", PREFIX, "write a number from 0 to 128 behind the slash"},
        {"192.0.2.1/24", BITS,
         "write 192.0.2.0/24 for the whole network, or the address without "
         "`/`"},
        {"192.0.2.1/31", BITS,
         "write 192.0.2.0/31 for the whole network, or the address without "
         "`/`"},
        {"192.0.2.1/0", BITS, "write 0.0.0.0/0 for the whole network, or the address without `/`"},
        {"2001:db8::1/32", BITS,
         "write 2001:db8::/32 for the whole network, or the address "
         "without `/`"},
        {"2001:db8:8000::/32", BITS,
         "write 2001:db8::/32 for the whole network, or the address "
         "without `/`"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char remedy[NETWORK_REMEDY_MAX];
        struct network n;
        const char *wrong = parse(&n, rows[i].text, remedy);

        assert_non_null(wrong);
        assert_string_equal(wrong, rows[i].wrong);
        assert_string_equal(remedy, rows[i].remedy);
    }
}

static void networks_contain_their_own(void **state)
{
    static const struct {
        const char *network, *address;
        bool contains;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"192.0.2.1", "192.0.2.3", false},
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "192.0.1.255", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.0/31", "192.0.2.1", true},
        {"192.0.2.0/31", "192.0.2.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::ffff:192.0.2.0/120", "192.0.2.7", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1", "::", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "::fffe:1.2.3.4", true},
        /* Who writes them thinks of IPv6, and must not let in, or shut out, IPv4. */
        {"::/0", "192.0.2.1", false},
        {"::/8", "192.0.2.1", false},
        {"::/80", "192.0.2.1", false},
        {"::192.0.2.1", "192.0.2.1", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct network n = network(rows[i].network), address = network(rows[i].address);

        if (network_contains(&n, address.address) != rows[i].contains)
            fail_msg("%s in %s", rows[i].address, rows[i].network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_are_read_and_written),
        cmocka_unit_test(slips_are_refused_with_a_remedy),
        cmocka_unit_test(networks_contain_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
