/* SPDX-License-Identifier: ISC */
/* Addresses to the kernel's form and back. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/inet.h"

static void addresses_go_there_and_back(void **state)
{
    static const struct {
        enum address_family family;
        const char *text;
        sa_family_t kernels;
    } rows[] = {
        {ADDRESS_V4, "192.0.2.1", AF_INET},
        {ADDRESS_V6, "2001:db8::1", AF_INET6},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address a = {.port = 25}, back;
        union board_address there;

        assert_true(address_read(span_of(rows[i].text), rows[i].family, &a));
        there = inet_write(&a);
        assert_int_equal(there.any.sa_family, rows[i].kernels);
        back = inet_read(&there);
        assert_memory_equal(&back, &a, sizeof a);
    }
}

static void mapped_addresses_are_unmapped(void **state)
{
    union board_address mapped = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(25)}};
    struct address a;

    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.v6.sin6_addr), 1);
    a = inet_read(&mapped);
    assert_int_equal(a.family, ADDRESS_V4);
    assert_int_equal(a.port, 25);
    assert_memory_equal(a.octets, "\xc0\0\2\1", 4);
}

static void nobody_stays_nobody(void **state)
{
    const struct address nobody = {0};
    union board_address a = inet_write(&nobody);

    assert_int_equal(a.any.sa_family, AF_UNSPEC);
    assert_int_equal(inet_read(&a).family, ADDRESS_NONE);
    a.any.sa_family = AF_UNIX;
    assert_int_equal(inet_read(&a).family, ADDRESS_NONE);
}

static void our_end_is_asked_of_the_kernel(void **state)
{
    const union board_address any = {
        .v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct address a;

    assert_int_equal(bind(fd, &any.any, sizeof any.v4), 0);
    a = inet_local(fd);
    close(fd);
    assert_int_equal(a.family, ADDRESS_V4);
    assert_int_not_equal(a.port, 0);
    assert_int_equal(inet_local(-1).family, ADDRESS_NONE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_go_there_and_back),
        cmocka_unit_test(mapped_addresses_are_unmapped),
        cmocka_unit_test(nobody_stays_nobody),
        cmocka_unit_test(our_end_is_asked_of_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
