/* SPDX-License-Identifier: ISC */
/* A backend's replies, in pieces of every size. */
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
    unsigned code;
    size_t rest; /* octets behind the reply */
} row[] = {
    {"", SMTP_CLIENT_PARTIAL},
    {"220 x", SMTP_CLIENT_PARTIAL},
    {"220 x\r\n", SMTP_CLIENT_LAST, 220},
    {"250\n", SMTP_CLIENT_LAST, 250},
    {"250-a\r\n250-b\n250 c\r\n", SMTP_CLIENT_LAST, 250},
    {"250-a\r\n", SMTP_CLIENT_PARTIAL, 250},
    {"250-a\r\n250", SMTP_CLIENT_PARTIAL, 250},
    {"250-a\r\n251 b\r\n", SMTP_CLIENT_BAD, 250},
    {"599 x\r\n250 y\r\n", SMTP_CLIENT_LAST, 599, 7},
    {"* OK IMAP\r\n", SMTP_CLIENT_BAD},
    {"220 a\rb\r\n", SMTP_CLIENT_BAD},
    {"\r\n", SMTP_CLIENT_BAD},
};

static void a_reply_ends_with_its_last_line(void **state)
{
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        for (size_t piece = 1; piece <= 32; piece++) {
            struct smtp_client c = {0};
            enum smtp_client_result result = SMTP_CLIENT_PARTIAL;
            size_t given = 0, reply = 0, len = strlen(row[i].input);

            while (given < len && result == SMTP_CLIENT_PARTIAL) {
                char *exact;

                given = piece < len - given ? given + piece : len;
                exact = malloc(given);
                assert_non_null(exact);
                memcpy(exact, row[i].input, given);
                result = smtp_client_whole(&c, (struct span){exact, given}, &reply);
                free(exact);
                assert_true(reply <= given);
            }
            assert_int_equal(result, row[i].result);
            assert_int_equal(c.code, row[i].code);
            if (result == SMTP_CLIENT_LAST)
                assert_int_equal(reply, len - row[i].rest);
            smtp_client_next(&c);
            assert_int_equal(c.code, 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_ends_with_its_last_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
