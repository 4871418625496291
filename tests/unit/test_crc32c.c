/* SPDX-License-Identifier: ISC */
/* CRC-32C against the values of RFC 7143, appendix A.4, however the octets are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/crc32c.h"

static void known_values(void **state)
{
    char octets[32];

    memset(octets, 0, sizeof octets);
    assert_int_equal(crc32c(0, (struct span){octets, sizeof octets}), 0x8a9136aa);
    memset(octets, 0xff, sizeof octets);
    assert_int_equal(crc32c(0, (struct span){octets, sizeof octets}), 0x62a8ab43);
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (char)i;
    assert_int_equal(crc32c(0, (struct span){octets, sizeof octets}), 0x46dd794e);
    assert_int_equal(crc32c(0, (struct span)SPAN("123456789")), 0xe3069283);
    assert_int_equal(crc32c(0, (struct span){0}), 0);
}

static void pieces_make_the_whole(void **state)
{
    static const struct span whole = SPAN("123456789");

    for (size_t i = 0; i <= whole.len; i++)
        assert_int_equal(crc32c(crc32c(0, span_first(whole, i)), span_skip(whole, i)), 0xe3069283);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(pieces_make_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
