/* SPDX-License-Identifier: ISC */
/* Who is served: `allow` and `deny`, and addresses in both of their forms; who must bring a header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/network.h"
#include "proxy/admission.h"

#define NETWORKS_MAX 4

/* Those of `text`, blanks between them. */
static size_t read_networks(const char *text, struct network list[NETWORKS_MAX])
{
    char copy[256], *rest = copy, *word, remedy[NETWORK_REMEDY_MAX];
    size_t count = 0;

    strcpy(copy, text);
    while ((word = strtok_r(rest, " ", &rest)) != NULL)
        assert_null(network_parse(&list[count++], (struct span){word, strlen(word)}, remedy));
    return count;
}

static struct address read_address(const char *text)
{
    struct address a = {0};

    if (!address_read(span_of(text), ADDRESS_V4, &a))
        assert_true(address_read(span_of(text), ADDRESS_V6, &a));
    return a;
}

static void deny_wins_over_allow(void **state)
{
    static const struct {
        const char *allow, *deny, *address;
        bool is_allowed;
    } rows[] = {
        {"", "", "192.0.2.1", true},
        {"", "", "2001:db8::1", true},
        {"", "192.0.2.0/24", "192.0.2.1", false},
        {"", "192.0.2.0/24", "::ffff:192.0.2.1", false},
        {"", "192.0.2.0/24", "192.0.3.1", true},
        {"", "198.51.100.1 192.0.2.0/24", "192.0.2.255", false},
        {"192.0.2.0/24", "", "192.0.2.1", true},
        {"192.0.2.0/24", "", "::ffff:192.0.2.1", true},
        {"192.0.2.0/24", "", "192.0.3.1", false},
        {"192.0.2.0/24", "", "2001:db8::1", false},
        {"198.51.100.1 192.0.2.0/24", "", "192.0.2.9", true},
        {"192.0.2.0/24", "192.0.2.7", "192.0.2.7", false},
        {"192.0.2.0/24", "192.0.2.7", "::ffff:192.0.2.7", false},
        {"192.0.2.0/24", "192.0.2.7", "192.0.2.8", true},
        {"192.0.2.7", "192.0.2.0/24", "192.0.2.7", false},
        {"2001:db8::/32", "2001:db8:1::/48", "2001:db8::1", true},
        {"2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1", false},
        {"", "::/0", "192.0.2.1", true},
        {"", "::/0", "::ffff:192.0.2.1", true},
        {"", "::/0", "2001:db8::1", false},
        {"", "0.0.0.0/0", "192.0.2.1", false},
        {"", "0.0.0.0/0", "::ffff:192.0.2.1", false},
        {"", "0.0.0.0/0", "2001:db8::1", true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct network allow[NETWORKS_MAX], deny[NETWORKS_MAX];
        const struct service service = {.allow = allow,
                                        .allow_count = read_networks(rows[i].allow, allow),
                                        .deny = deny,
                                        .deny_count = read_networks(rows[i].deny, deny)};
        const struct address address = read_address(rows[i].address);

        if (admission_allows(&service, &address) != rows[i].is_allowed)
            fail_msg("allow = %s, deny = %s: %s", rows[i].allow, rows[i].deny, rows[i].address);
    }
}

static void who_has_no_address_is_in_no_network(void **state)
{
    const struct address nobody = {0};
    struct network all[NETWORKS_MAX];
    struct service service = {.deny = all, .deny_count = read_networks("::/0 0.0.0.0/0", all)};

    assert_true(admission_allows(&service, &nobody));
    service = (struct service){.allow = all, .allow_count = 2};
    assert_false(admission_allows(&service, &nobody));
}

static void balancers_are_known_by_their_address(void **state)
{
    static const struct {
        const char *address;
        bool needs_header;
    } rows[] = {
        {"192.0.2.1", true},   {"::ffff:192.0.2.1", true}, {"192.0.3.1", false},
        {"2001:db8::1", true}, {"2001:db9::1", false},     {"::192.0.2.1", false},
        {"127.0.0.1", false},
    };
    const struct address nobody = {0};
    struct network list[NETWORKS_MAX];
    struct service service = {.accept_proxy = list,
                              .accept_proxy_count =
                                  read_networks("192.0.2.0/24 2001:db8::/32", list)};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct address peer = read_address(rows[i].address);

        assert_int_equal(admission_needs_header(&service, &peer), rows[i].needs_header);
    }
    assert_false(admission_needs_header(&service, &nobody));
    service.accept_proxy_unix = true;
    assert_true(admission_needs_header(&service, &nobody));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(deny_wins_over_allow),
        cmocka_unit_test(who_has_no_address_is_in_no_network),
        cmocka_unit_test(balancers_are_known_by_their_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
