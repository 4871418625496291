/* SPDX-License-Identifier: ISC */
/* The client's role alone, as the scout plays it: greeting, QUIT, answer; in pieces of every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/smtp_client.h"

static const struct {
    const char *input;
    enum smtp_client_health health; /* in the end */
    bool said_quit;
} row[] = {
    {"", SMTP_CLIENT_UNDECIDED, false},
    {"220 x", SMTP_CLIENT_UNDECIDED, false},
    {"220 x\r\n", SMTP_CLIENT_HEALTHY, true},
    {"220\n", SMTP_CLIENT_HEALTHY, true},
    {"220-a\r\n220-b\r\n220 c\r\n", SMTP_CLIENT_HEALTHY, true},
    {"220-a\r\n", SMTP_CLIENT_UNDECIDED, false},
    {"220-a\r\n221 b\r\n", SMTP_CLIENT_SICK, false},
    {"250 x\r\n", SMTP_CLIENT_SICK, false},
    {"421 x\r\n", SMTP_CLIENT_SICK, false},
    {"554-x\r\n", SMTP_CLIENT_SICK, false},
    {"* OK IMAP\r\n", SMTP_CLIENT_SICK, false},
    {"+OK\r\n", SMTP_CLIENT_SICK, false},
    {"220 a\rb\r\n", SMTP_CLIENT_SICK, false},
    {"\r\n", SMTP_CLIENT_SICK, false},
};

static void a_greeting_of_220_is_health(void **state)
{
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        for (size_t piece = 1; piece <= 32; piece++) {
            struct smtp_client c;
            struct smtp_client_answer a = {.health = SMTP_CLIENT_UNDECIDED};
            size_t taken = 0, given = 0, len = strlen(row[i].input);
            bool said_quit = false;

            smtp_client_init(&c);
            while (given < len && a.health == SMTP_CLIENT_UNDECIDED) {
                char *exact;

                given = piece < len - given ? given + piece : len;
                exact = malloc(given - taken);
                assert_non_null(exact);
                memcpy(exact, row[i].input + taken, given - taken);
                a = smtp_client_step(&c, (struct span){exact, given - taken});
                free(exact);
                assert_true(a.take <= given - taken);
                taken += a.take;
                said_quit = said_quit || a.text.len > 0;
            }
            assert_int_equal(a.health, row[i].health);
            assert_int_equal(said_quit, row[i].said_quit);
        }
}

static void who_talks_before_it_is_asked_is_sick(void **state)
{
    struct smtp_client c;

    smtp_client_init(&c);
    assert_int_equal(smtp_client_step(&c, (struct span)SPAN("220 x\r\n250 y\r\n")).health,
                     SMTP_CLIENT_SICK);
}

static void the_goodbye_is_waited_for(void **state)
{
    struct smtp_client c;

    smtp_client_init(&c);
    assert_int_equal(smtp_client_step(&c, (struct span)SPAN("220 x\r\n")).health,
                     SMTP_CLIENT_HEALTHY);
    assert_int_equal(smtp_client_step(&c, (struct span)SPAN("221-by")).health,
                     SMTP_CLIENT_UNDECIDED);
    assert_int_equal(smtp_client_step(&c, (struct span)SPAN("221 bye\r\n")).health,
                     SMTP_CLIENT_OVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_of_220_is_health),
        cmocka_unit_test(who_talks_before_it_is_asked_is_sick),
        cmocka_unit_test(the_goodbye_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
