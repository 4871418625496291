/* SPDX-License-Identifier: ISC */
/* What a client sees of the extensions that a backend announces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_DOMAINS, .max_errors = 20};

#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
static const char *const hidden[] = {"DSN", "X-LEGACY"};
static const struct policy hiding = {.is_enforced = true,
                                     .hostname = "mx.example",
                                     .relay = RELAY_DOMAINS,
                                     .hide_capabilities = {hidden, 2}};

static void ehlo_nothing_removed_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 DSN\r\n"),
         TO_CLIENT("250-x\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_all_removed_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250-XCLIENT\r\n250-XFORWARD\r\n250-XEXCH50\r\n250-X-"
                 "ANONYMOUSTLS\r\n250-X-EXPS\r\n250-X-LINK2STATE\r\n250-TURN\r\n250-ATRN\r\n250-"
                 "REQUIRETLS\r\n250-AUTH\r\n250 "
                 "ETRN\r\n"),
         TO_CLIENT("250 x\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_first_and_last_removed_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 AUTH GSSAPI\r\n"),
         TO_CLIENT("250-x\r\n250 PIPELINING\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_runs_removed_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-SIZE 5\r\n250-TURN\r\n250-ETRN\r\n250-DSN\r\n250-AUTH "
                 "NTLM\r\n250-AUTH=GSSAPI\r\n250 ATRN\r\n"),
         TO_CLIENT("250-x\r\n250-SIZE 5\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_middle_removed_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-SIZE 5\r\n250-STARTTLS\r\n250 DSN\r\n"),
         TO_CLIENT("250-x\r\n250-SIZE 5\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_single_line_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_empty_keywords_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-\r\n250-STARTTLS\r\n250 \r\n"),
         TO_CLIENT("250-x\r\n250-\r\n250 \r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_empty_keyword_before_removed_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-DSN\r\n250-\r\n250 STARTTLS\r\n"),
         TO_CLIENT("250-x\r\n250-DSN\r\n250 \r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_nothing_removed_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-PIPELINING\n250-SIZE 1000\n250-8BITMIME\n250 DSN\n"),
         TO_CLIENT("250-x\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_all_removed_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-STARTTLS\n250-XCLIENT\n250-XFORWARD\n250-XEXCH50\n250-X-"
                 "ANONYMOUSTLS\n250-X-EXPS\n250-X-LINK2STATE\n250-TURN\n250-ATRN\n250-"
                 "REQUIRETLS\n250-AUTH\n250 ETRN\n"),
         TO_CLIENT("250 x\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_first_and_last_removed_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-STARTTLS\n250-PIPELINING\n250 AUTH GSSAPI\n"),
         TO_CLIENT("250-x\r\n250 PIPELINING\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_runs_removed_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-SIZE 5\n250-TURN\n250-ETRN\n250-DSN\n250-AUTH "
                 "NTLM\n250-AUTH=GSSAPI\n250 ATRN\n"),
         TO_CLIENT("250-x\r\n250-SIZE 5\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_middle_removed_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-SIZE 5\n250-STARTTLS\n250 DSN\n"),
         TO_CLIENT("250-x\r\n250-SIZE 5\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_single_line_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250 x\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_empty_keywords_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-\n250-STARTTLS\n250 \n"), TO_CLIENT("250-x\r\n250-\r\n250 \r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_empty_keyword_before_removed_lf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-DSN\n250-\n250 STARTTLS\n"),
         TO_CLIENT("250-x\r\n250-DSN\r\n250 \r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_case_and_forms(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-starttls\r\n250-Auth=PLAIN\r\n250-AUTH\r\n250-XCLIENT "
                 "ADDR\r\n250-xforward\tNAME\r\n250- "
                 "STARTTLS\r\n250-STARTTLS\x01\r\n250-STARTTLSX\r\n250-X-AUTH\r\n250 SMTPUTF8\r\n"),
         TO_CLIENT("250-x\r\n250-AUTH=PLAIN\r\n250-STARTTLSX\r\n250-X-AUTH\r\n250 SMTPUTF8\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_hides_what_the_administrator_says(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-DSN\r\n250-x-legacy foo\r\n250 SIZE\r\n"),
         TO_CLIENT("250-x\r\n250 SIZE\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&hiding, PLAY_FROM_GATE, dialogue);
}

static void ehlo_first_line_is_a_name(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-STARTTLS\r\n250 DSN\r\n"), TO_CLIENT("250-STARTTLS\r\n250 DSN\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_other_success_codes_too(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("251-x\r\n251-AUTH X-PLUS ANONYMOUS\r\n251-SIZE\r\n251 STARTTLS\r\n"),
         TO_CLIENT("251-x\r\n251 SIZE\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_without_text(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-\r\n250-STARTTLS\r\n250\r\n"), TO_CLIENT("250-\r\n250 \r\n")},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250\r\n"), TO_CLIENT("250 \r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("502-STARTTLS\r\n502 AUTH\r\n"), TO_CLIENT("502-STARTTLS\r\n502 AUTH\r\n")},
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("250 STARTTLS\r\n"), TO_CLIENT("250 STARTTLS\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_waits_until_whole(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-SIZE\r\n")},
        {BACKEND("250 DSN\r\n"), TO_CLIENT("250-x\r\n250-SIZE\r\n250 DSN\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_garbage(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-SIZE\r\n25\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_3xx(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("334 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void ehlo_own_replies_wait_for_its_end(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\nFOO\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\n250-AUTH NTLM\n")},
        {BACKEND("250 DSN\n"), TO_CLIENT("250-x\r\n250 DSN\r\n" UNKNOWN)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ehlo_nothing_removed_crlf),
        cmocka_unit_test(ehlo_all_removed_crlf),
        cmocka_unit_test(ehlo_first_and_last_removed_crlf),
        cmocka_unit_test(ehlo_runs_removed_crlf),
        cmocka_unit_test(ehlo_middle_removed_crlf),
        cmocka_unit_test(ehlo_single_line_crlf),
        cmocka_unit_test(ehlo_empty_keywords_crlf),
        cmocka_unit_test(ehlo_empty_keyword_before_removed_crlf),
        cmocka_unit_test(ehlo_nothing_removed_lf),
        cmocka_unit_test(ehlo_all_removed_lf),
        cmocka_unit_test(ehlo_first_and_last_removed_lf),
        cmocka_unit_test(ehlo_runs_removed_lf),
        cmocka_unit_test(ehlo_middle_removed_lf),
        cmocka_unit_test(ehlo_single_line_lf),
        cmocka_unit_test(ehlo_empty_keywords_lf),
        cmocka_unit_test(ehlo_empty_keyword_before_removed_lf),
        cmocka_unit_test(ehlo_case_and_forms),
        cmocka_unit_test(ehlo_hides_what_the_administrator_says),
        cmocka_unit_test(ehlo_first_line_is_a_name),
        cmocka_unit_test(ehlo_other_success_codes_too),
        cmocka_unit_test(ehlo_without_text),
        cmocka_unit_test(ehlo_refused),
        cmocka_unit_test(ehlo_waits_until_whole),
        cmocka_unit_test(ehlo_garbage),
        cmocka_unit_test(ehlo_3xx),
        cmocka_unit_test(ehlo_own_replies_wait_for_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
