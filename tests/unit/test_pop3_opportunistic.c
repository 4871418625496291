/* SPDX-License-Identifier: ISC */
/* policy = opportunistic: a client that goes on in plaintext, with a backend or without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "tests/unit/play.h"
#include "tests/unit/player.h"

#define OPEN .tls = FRONT_STARTTLS, .hostname = "mail.example", .max_errors = 20

static const char *const own_verb[] = {"XSTATS"};

static const struct policy policy = {OPEN, .allow_commands = {own_verb, 1}};
static const struct policy allowing = {OPEN, .may_auth_in_clear = true};

#define TEXT "TOP\nUSER\nSASL PLAIN EXTERNAL\nSTLS\n"

static const struct learned learned = {true, sizeof TEXT - 1, TEXT};

#define MUST    "-ERR [SYS/PERM] Must issue STLS first\r\n"
#define UNKNOWN "-ERR Command not recognized\r\n"
#define BEGIN   "+OK Begin TLS negotiation\r\n"
#define LIST    "+OK Capability list follows\r\n"
#define OK      "+OK x\r\n"

static void what_was_learned_is_announced(void **state)
{
    static const struct turn refused[] = {
        {CLIENT("CAPA\r\n"), TO_CLIENT(LIST "STLS\r\nTOP\r\n.\r\n")},
    };
    static const struct turn allowed[] = {
        {CLIENT("CAPA\r\n"), TO_CLIENT(LIST "STLS\r\nTOP\r\nUSER\r\nSASL PLAIN\r\n.\r\n")},
    };
    static const struct turn unlearned[] = {
        {CLIENT("CAPA\r\n"), TO_CLIENT(LIST "STLS\r\nRESP-CODES\r\n.\r\n")},
    };
    PLAY_KNOWING(&learned, &policy, PLAY_FROM_GREETING, refused);
    PLAY_KNOWING(&learned, &allowing, PLAY_FROM_GREETING, allowed);
    PLAY(&policy, PLAY_FROM_GREETING, unlearned);
}

static void logins_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("PASS a\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("APOP a b\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("AUTH\r\nAUTH PLAIN\r\n"), TO_CLIENT(MUST MUST), NOTES(TLS_NEEDED)},
        {CLIENT("STAT\r\n"), TO_CLIENT("-ERR Log in first\r\n")},
        {CLIENT("XOIP a\r\n"), TO_CLIENT("-ERR Not allowed\r\n"), NOTES(SPOOF)},
        {CLIENT("NOOP\r\nFOO\r\n"), TO_CLIENT("+OK\r\n" UNKNOWN)},
        {EVENT(EOF, CLIENT), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void some_commands_need_a_backend(void **state)
{
    static const struct turn row[] = {
        {CLIENT("UTF8\r\n"), CONNECTS, WAITS_FOR(BACKEND)},
        {CLIENT("LANG\r\n"), CONNECTS},
        {CLIENT("xstats\n"), CONNECTS},
    };
    static const struct turn login[] = {
        {CLIENT("USER a\r\n"), CONNECTS},
        {CLIENT("PASS b\r\n"), CONNECTS},
        {CLIENT("AUTH\r\n"), CONNECTS},
        {CLIENT("AUTH PLAIN YQ==\r\n"), CONNECTS},
    };
    static const struct turn none[] = {
        {CLIENT("APOP a b\r\n"), TO_CLIENT("-ERR Command not available\r\n")},
        {CLIENT("AUTH EXTERNAL =\r\n"),
         TO_CLIENT("-ERR Authentication mechanism not available\r\n")},
        {CLIENT("QUIT\r\n"), TO_CLIENT("+OK Bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
    PLAY_EACH(&allowing, PLAY_FROM_GREETING, login, 1);
    PLAY(&allowing, PLAY_FROM_GREETING, none);
}

static void its_greeting_is_swallowed(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\nPASS b\r\nSTAT\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},
        {BACKEND("+OK <1@b>\r\n"), TO_BACKEND("USER a\r\nPASS b\r\n"), NOTES(GREETED)},
        {BACKEND("+OK 1\r\n+OK 2\r\n"), TO_CLIENT("+OK 1\r\n+OK 2\r\n"), TO_BACKEND("STAT\r\n"),
         NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
}

#define ENTERS_GATE                                                                                \
    {CLIENT("UTF8\r\n"), CONNECTS}, {EVENT(CONNECTED, BACKEND)},                                   \
        {BACKEND("+OK\r\n"), TO_BACKEND("UTF8\r\n"), NOTES(GREETED)},                              \
    {                                                                                              \
        BACKEND(OK), TO_CLIENT(OK)                                                                 \
    }

static void the_gate_knows_that_there_is_no_tls(void **state)
{
    static const struct turn dialogue[] = {
        ENTERS_GATE,
        {CLIENT("CAPA\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nTOP\r\nUSER\r\nSASL PLAIN\r\nSTLS\r\n.\r\n"),
         TO_CLIENT("+OK\r\nSTLS\r\nTOP\r\n.\r\n")},
        {CLIENT("USER a\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("STLS x\r\n"), TO_CLIENT("-ERR Syntax error in the command\r\n")},
        {CLIENT("\x16\x03"), NOTES(TLS_ON_PLAINTEXT_PORT), CLOSES(VIOLATION)},
    };
    static const struct turn without_capa[] = {
        ENTERS_GATE,
        {CLIENT("CAPA\r\nNOOP\r\n"), TO_BACKEND("CAPA\r\nNOOP\r\n")},
        {BACKEND("-ERR what?\r\n-ERR\r\n"), TO_CLIENT(LIST "STLS\r\nRESP-CODES\r\n.\r\n-ERR\r\n")},
    };
    static const struct turn quits[] = {
        ENTERS_GATE,
        {CLIENT("USER a\r\nQUIT\r\n"), TO_CLIENT(MUST), TO_BACKEND("QUIT\r\n"), NOTES(TLS_NEEDED)},
        {BACKEND(OK), TO_CLIENT(OK), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    PLAY(&policy, PLAY_FROM_GREETING, without_capa);
    PLAY(&policy, PLAY_FROM_GREETING, quits);
}

static void the_gate_lets_logins_pass_where_it_may(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("USER a\r\n"), NOTES(GREETED)},
        {BACKEND(OK), TO_CLIENT(OK)},
        {CLIENT("CAPA\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n"),
         TO_CLIENT("+OK\r\nSTLS\r\nUSER\r\nSASL PLAIN\r\n.\r\n")},
        {CLIENT("APOP a b\r\n"), TO_CLIENT("-ERR Command not available\r\n")},
        {CLIENT("AUTH PLAIN YQ==\r\n"), TO_BACKEND("AUTH PLAIN YQ==\r\n")},
        {BACKEND(OK), TO_CLIENT(OK), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
}

static void stls_leaves_the_backend_for_another(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("USER a\r\n"), NOTES(GREETED)},
        {BACKEND(OK), TO_CLIENT(OK)},
        {CLIENT("STLS\r\n"), TO_BACKEND("QUIT\r\n"), TO_CLIENT(BEGIN), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), NOTES(GREETED)},
        {CLIENT("PASS b\r\n"), TO_BACKEND("PASS b\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), NOTES(AUTH_FAILED)},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
}

static void stls_waits_until_all_is_answered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\nSTLS\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("USER a\r\n"), NOTES(GREETED)},
        {BACKEND(OK), TO_CLIENT(OK BEGIN), TO_BACKEND("QUIT\r\n"), STARTS_TLS},
    };
    static const struct turn behind_login[] = {
        {CLIENT("PASS a\r\nSTLS\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("PASS a\r\n"), NOTES(GREETED)},
        {BACKEND(OK), TO_CLIENT(OK), TO_BACKEND("STLS\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
    PLAY(&allowing, PLAY_FROM_GREETING, behind_login);
}

static void stls_does_not_forget_failed_logins(void **state)
{
    static const struct policy limited = {OPEN, .may_auth_in_clear = true, .max_auth_failures = 2};
    static const struct turn dialogue[] = {
        {CLIENT("PASS a\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("PASS a\r\n"), NOTES(GREETED)},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("STLS\r\n"), TO_BACKEND("QUIT\r\n"), TO_CLIENT(BEGIN), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), NOTES(GREETED)},
        {CLIENT("PASS a\r\n"), TO_BACKEND("PASS a\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n-ERR Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&limited, PLAY_FROM_GREETING, dialogue);
}

static void octets_behind_stls_are_an_injection_here_too(void **state)
{
    static const struct turn dialogue[] = {
        ENTERS_GATE,
        {CLIENT("STLS\r\nUSER eve\r\n"), TO_CLIENT("-ERR Octets behind STLS\r\n"), NOTES(INJECTION),
         CLOSES(VIOLATION), AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_learned_is_announced),
        cmocka_unit_test(logins_are_refused),
        cmocka_unit_test(some_commands_need_a_backend),
        cmocka_unit_test(its_greeting_is_swallowed),
        cmocka_unit_test(the_gate_knows_that_there_is_no_tls),
        cmocka_unit_test(the_gate_lets_logins_pass_where_it_may),
        cmocka_unit_test(stls_leaves_the_backend_for_another),
        cmocka_unit_test(stls_waits_until_all_is_answered),
        cmocka_unit_test(stls_does_not_forget_failed_logins),
        cmocka_unit_test(octets_behind_stls_are_an_injection_here_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
