/* SPDX-License-Identifier: ISC */
/* The backend's greeting, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/smtp_client.h"

static const struct {
    const char *input;
    enum smtp_client_result result; /* in the end */
} row[] = {
    {"220 x", SMTP_CLIENT_PARTIAL},     {"220 x\r\n", SMTP_CLIENT_LAST},
    {"220\n", SMTP_CLIENT_LAST},        {"220-a\r\n220-b\r\n220 c\r\n", SMTP_CLIENT_LAST},
    {"220-a\r\n", SMTP_CLIENT_PARTIAL}, {"220-a\r\n221 b\r\n", SMTP_CLIENT_BAD},
    {"250 x\r\n", SMTP_CLIENT_BAD},     {"421 x\r\n", SMTP_CLIENT_BAD},
    {"554-x\r\n", SMTP_CLIENT_BAD},     {"* OK IMAP\r\n", SMTP_CLIENT_BAD},
    {"+OK\r\n", SMTP_CLIENT_BAD},       {"220 a\rb\r\n", SMTP_CLIENT_BAD},
    {"\r\n", SMTP_CLIENT_BAD},
};

static void a_greeting_of_220_is_one(void **state)
{
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        for (size_t piece = 1; piece <= 32; piece++) {
            struct smtp_client c;
            enum smtp_client_result result = SMTP_CLIENT_PARTIAL;
            size_t taken = 0, given = 0, len = strlen(row[i].input);

            smtp_client_init(&c);
            while (given < len && result == SMTP_CLIENT_PARTIAL) {
                char *exact;
                size_t take;

                given = piece < len - given ? given + piece : len;
                exact = malloc(given - taken);
                assert_non_null(exact);
                memcpy(exact, row[i].input + taken, given - taken);
                result = smtp_client_greet(&c, (struct span){exact, given - taken}, &take);
                free(exact);
                assert_true(take <= given - taken);
                taken += take;
            }
            assert_int_equal(result, row[i].result);
            assert_int_equal(c.state, result == SMTP_CLIENT_LAST ? SMTP_CLIENT_TALKING
                                                                 : SMTP_CLIENT_GREETING);
        }
}

static void who_talks_before_it_is_asked_gives_no_greeting(void **state)
{
    struct smtp_client c;
    size_t take;

    smtp_client_init(&c);
    assert_int_equal(smtp_client_greet(&c, (struct span)SPAN("220 x\r\n250 y\r\n"), &take),
                     SMTP_CLIENT_BAD);
    assert_int_equal(take, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_of_220_is_one),
        cmocka_unit_test(who_talks_before_it_is_asked_gives_no_greeting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
