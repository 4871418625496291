/* SPDX-License-Identifier: ISC */
/* Logins by USER and PASS, and by APOP: what opens the tunnel, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mail.example", .max_errors = 20, .max_auth_failures = 2};
static const struct policy patient = {.is_enforced = true, .hostname = "mail.example"};
static const struct policy implicit = {.tls = FRONT_IMPLICIT, .hostname = "mail.example"};

#define OK  "+OK x\r\n"
#define NOT "-ERR Command not available\r\n"

static void pass_opens_the_tunnel(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\n"), TO_BACKEND("USER a\r\n")},
        {BACKEND("+OK go on\r\n"), TO_CLIENT("+OK go on\r\n")},
        {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},
        {BACKEND("+OK maildrop has 2\n"), TO_CLIENT("+OK maildrop has 2\r\n"), NOTES(AUTH_OK),
         TUNNELS},
        {CLIENT("RETR 1\n\0\r\xff"), TO_BACKEND("RETR 1\n\0\r\xff")},
        {BACKEND("+OK\n\0\r.\n"), TO_CLIENT("+OK\n\0\r.\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void what_waits_behind_a_login_goes_as_it_is(void **state)
{
    static const struct turn client[] = {
        {CLIENT("USER a\r\nPASS b\r\nSTAT\nxoip  1\r\nRETR"), TO_BACKEND("USER a\r\nPASS b\r\n")},
        {BACKEND("+OK 1\r\n"), TO_CLIENT("+OK 1\r\n")},
        {BACKEND("+OK 2\r\n"), TO_CLIENT("+OK 2\r\n"), TO_BACKEND("STAT\nxoip  1\r\nRETR"),
         NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn backend[] = {
        {CLIENT("USER a\r\nPASS b\r\n"), TO_BACKEND("USER a\r\nPASS b\r\n")},
        {BACKEND("+OK 1\r\n+OK 2\r\nfoo\n"), TO_CLIENT("+OK 1\r\n+OK 2\r\nfoo\n"), NOTES(AUTH_OK),
         TUNNELS, AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_GATE, client);
    PLAY(&policy, PLAY_FROM_GATE, backend);
}

static void no_other_success_does(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\nNOOP\r\nUTF8\r\nLANG x\r\nCAPA\r\nAUTH\r\n"),
         TO_BACKEND("USER a\r\nNOOP\r\nUTF8\r\nLANG x\r\nCAPA\r\nAUTH\r\n")},
        {BACKEND("+OK welcome\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n.\r\n+OK\r\nPLAIN\r\n.\r\n"),
         TO_CLIENT("+OK welcome\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n.\r\n+OK\r\nPLAIN\r\n.\r\n")},
        {CLIENT("RETR 1\r\n"), TO_CLIENT("-ERR Log in first\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void failed_logins_are_counted(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\nPASS b\r\n"), TO_BACKEND("USER a\r\nPASS b\r\n")},
        {BACKEND("+OK\r\n-ERR [AUTH] no\r\n"), TO_CLIENT("+OK\r\n-ERR [AUTH] no\r\n"),
         NOTES(AUTH_FAILED)},
        {CLIENT("USER a\r\n"), TO_BACKEND("USER a\r\n")},
        {BACKEND("-ERR no such user\r\n"), TO_CLIENT("-ERR no such user\r\n")},
        {CLIENT("PASS c\r\nQUIT\r\n"), TO_BACKEND("PASS c\r\n")},
        {BACKEND("-ERR no\n"), TO_CLIENT("-ERR no\r\n-ERR Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_login_may_follow_failures(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},
        {BACKEND("-ERR no\r\n"), TO_CLIENT("-ERR no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},
        {BACKEND(OK), TO_CLIENT(OK), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&patient, PLAY_FROM_GATE, dialogue);
}

#define REFUSED_AS(code)                                                                           \
    {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},                                              \
    {                                                                                              \
        BACKEND("-ERR " code " x\r\n"), TO_CLIENT("-ERR " code " x\r\n")                           \
    }

static void not_every_refusal_is_for_the_password(void **state)
{
    static const struct turn dialogue[] = {
        REFUSED_AS("[SYS/TEMP]"),
        REFUSED_AS("[SYS/PERM]"),
        REFUSED_AS("[sys/temp]"),
        REFUSED_AS("[IN-USE]"),
        REFUSED_AS("[LOGIN-DELAY]"),
        REFUSED_AS("  [IN-USE]"),
        {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},
        {BACKEND("-ERR [SYS] x\r\n"), TO_CLIENT("-ERR [SYS] x\r\n"), NOTES(AUTH_FAILED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void apop_needs_the_backends_greeting(void **state)
{
    static const struct policy own = {
        .tls = FRONT_IMPLICIT, .hostname = "mail.example", .greeting = "hello <1@b>"};
    static const struct turn passed[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1.2@b>\n"), TO_CLIENT("+OK <1.2@b>\r\n"), NOTES(GREETED)},
        {CLIENT("apop a 0f\nSTAT\r\n"), TO_BACKEND("APOP a 0f\r\n")},
        {BACKEND(OK), TO_CLIENT(OK), TO_BACKEND("STAT\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn failed[] = {
        {CLIENT("APOP a\tb 0f\r\n"), TO_CLIENT("-ERR Syntax error in the command\r\n")},
        {CLIENT("APOP a 0f\r\n"), TO_BACKEND("APOP a 0f\r\n")},
        {BACKEND("-ERR no\r\n"), TO_CLIENT("-ERR no\r\n"), NOTES(AUTH_FAILED)},
    };
    static const struct turn ours[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1.2@b>\r\n"), TO_CLIENT("+OK hello (1@b)\r\n"), NOTES(GREETED)},
        {CLIENT("APOP a 0f\r\n"), TO_CLIENT(NOT)},
    };
    static const struct turn behind_stls[] = {
        {CLIENT("APOP a 0f\r\n"), TO_CLIENT(NOT)},
    };
    PLAY(&implicit, PLAY_FROM_SECURED, passed);
    PLAY(&implicit, PLAY_FROM_GATE, failed);
    PLAY(&own, PLAY_FROM_SECURED, ours);
    PLAY(&policy, PLAY_FROM_GATE, behind_stls);
}

static void nothing_flows_behind_a_login(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("PASS a\r\nFOO\r\nUSER b\r\nPASS c\r\nNOOP\r\n"), TO_BACKEND("PASS a\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n-ERR Command not recognized\r\n"),
         TO_BACKEND("USER b\r\nPASS c\r\n"), NOTES(AUTH_FAILED)},
        {BACKEND("+OK\r\n-ERR [IN-USE]\r\n"), TO_CLIENT("+OK\r\n-ERR [IN-USE]\r\n"),
         TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pass_opens_the_tunnel),
        cmocka_unit_test(what_waits_behind_a_login_goes_as_it_is),
        cmocka_unit_test(no_other_success_does),
        cmocka_unit_test(failed_logins_are_counted),
        cmocka_unit_test(a_login_may_follow_failures),
        cmocka_unit_test(not_every_refusal_is_for_the_password),
        cmocka_unit_test(apop_needs_the_backends_greeting),
        cmocka_unit_test(nothing_flows_behind_a_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
