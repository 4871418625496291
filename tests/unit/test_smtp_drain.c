/* SPDX-License-Identifier: ISC */
/* How SMTP sessions end when we must go: at rest by a drain, at once by a stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};

#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"

static void drain_while_connecting(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void stop_in_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), RESETS(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void stop_in_a_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n"), TO_CLIENT("250-a\r\n")},
        {EVENT(STOP, CLIENT), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void stop_with_a_command_unanswered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_the_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("250-a\r\n"), TO_CLIENT("250-a\r\n")},
        {BACKEND("250 b\n"), TO_CLIENT("250 b\r\n" DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_the_transaction(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("RCPT TO:<a>\r\n"), TO_BACKEND("RCPT TO:<a>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("x\r\n.\r\n"), TO_BACKEND("x\r\n.\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n" DRAINED), NOTES(MESSAGE), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_rset(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_ehlo(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_helo(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_a_refused_mail(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("550 a\r\n"), TO_CLIENT("550 a\r\n" DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void drain_after_an_own_refusal(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_refused_reset_keeps_the_transaction(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("RSET x\r\n"), TO_BACKEND("RSET x\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drain_while_connecting),
        cmocka_unit_test(stop_in_content),
        cmocka_unit_test(stop_in_a_reply),
        cmocka_unit_test(stop_with_a_command_unanswered),
        cmocka_unit_test(drain_when_idle),
        cmocka_unit_test(drain_after_the_reply),
        cmocka_unit_test(drain_after_the_transaction),
        cmocka_unit_test(drain_after_rset),
        cmocka_unit_test(drain_after_ehlo),
        cmocka_unit_test(drain_after_helo),
        cmocka_unit_test(drain_after_a_refused_mail),
        cmocka_unit_test(drain_after_an_own_refusal),
        cmocka_unit_test(a_refused_reset_keeps_the_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
