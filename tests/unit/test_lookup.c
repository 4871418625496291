/* SPDX-License-Identifier: ISC */
/* Names to addresses in a child process. That it ends in time is for the tests with a name server
 * that never answers (tests/e2e/test_check_backends.py). */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "proxy/lookup.h"

static void addresses_are_themselves(void **state)
{
    static const struct {
        const char *text;
        int family;
    } rows[] = {{"192.0.2.1", AF_INET}, {"2001:db8::1", AF_INET6}};

    for (size_t i = 0; i < 2; i++) {
        struct resolver_answer answer;
        unsigned char octets[sizeof(struct in6_addr)];

        lookup_host(rows[i].text, &answer);
        assert_int_equal(answer.count, 1);
        assert_string_equal(answer.error, "");
        assert_int_equal(answer.address[0].any.sa_family, rows[i].family);
        assert_int_equal(inet_pton(rows[i].family, rows[i].text, octets), 1);
        if (rows[i].family == AF_INET)
            assert_memory_equal(octets, &answer.address[0].v4.sin_addr, 4);
        else
            assert_memory_equal(octets, &answer.address[0].v6.sin6_addr, 16);
        assert_int_equal(answer.address[0].v4.sin_port, 0);
    }
}

static void what_is_no_name_has_no_address(void **state)
{
    struct resolver_answer answer;

    lookup_host("no such name", &answer); /* nobody need be asked */
    assert_int_equal(answer.count, 0);
    assert_string_not_equal(answer.error, "");
}

/* The child is not left behind, and nothing else is waited for. */
static void nothing_is_left(void **state)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_themselves),
        cmocka_unit_test(what_is_no_name_has_no_address),
        cmocka_unit_test(nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
