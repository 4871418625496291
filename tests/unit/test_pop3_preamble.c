/* SPDX-License-Identifier: ISC */
/* POP3 before TLS: what each line is answered with, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "tests/unit/play.h"
#include "tests/unit/player.h"

#define ENFORCED .is_enforced = true, .hostname = "mail.example"

static const struct policy policy = {ENFORCED, .max_errors = 20};
static const struct policy strict = {ENFORCED, .max_errors = 3};
static const struct policy patient = {ENFORCED};

#define MUST    "-ERR [SYS/PERM] Must issue STLS first\r\n"
#define UNKNOWN "-ERR Command not recognized\r\n"
#define SYNTAX  "-ERR Syntax error in the command\r\n"
#define DIRTY   "-ERR Control character inside a command\r\n"
#define LONG    "-ERR Line too long\r\n"
#define SPOOF   "-ERR Not allowed\r\n"
#define ERRORS  "-ERR Too many errors\r\n"
#define BEGIN   "+OK Begin TLS negotiation\r\n"
#define CAPA    "+OK Capability list follows\r\nSTLS\r\nPIPELINING\r\nRESP-CODES\r\n.\r\n"

static void the_greeting_is_ours(void **state)
{
    static const struct policy own = {ENFORCED, .greeting = "a <1@b> c"};
    static const struct turn ready[] = {
        {EVENT(CONNECTED, CLIENT), TO_CLIENT("+OK mail.example ready\r\n"), WAITS_FOR(CLIENT)},
    };
    static const struct turn without_timestamp[] = {
        {EVENT(CONNECTED, CLIENT), TO_CLIENT("+OK a (1@b) c\r\n")},
    };
    static const struct turn busy[] = {
        {EVENT(BUSY, CLIENT), .reason = END_LIMIT,
         TO_CLIENT("-ERR [SYS/TEMP] Too busy, try again later\r\n"), CLOSES(LIMIT)},
    };
    PLAY(&policy, PLAY_FROM_ACCEPT, ready);
    PLAY(&own, PLAY_FROM_ACCEPT, without_timestamp);
    PLAY(&policy, PLAY_FROM_ACCEPT, busy);
}

static void harmless_commands_are_answered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("CAPA\r\n"), TO_CLIENT(CAPA)},
        {CLIENT("capa \n"), TO_CLIENT(CAPA)},
        {CLIENT("NooP\r\n"), TO_CLIENT("+OK\r\n")},
        {CLIENT("CAPA x\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("NOOP x\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("QUIT x\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("QUIT\r\n"), TO_CLIENT("+OK Bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static const char *const own_verb[] = {"XSTATS"};

static void all_else_needs_tls(void **state)
{
    static const struct policy allowing = {ENFORCED, .allow_commands = {own_verb, 1}};
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("PASS b\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("pass\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("APOP a b\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("AUTH\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("AUTH PLAIN AGEAYg==\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("UTF8\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("LANG\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("STAT\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("RETR 1\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("xstats\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("QUIT\r\n"), TO_CLIENT("+OK Bye\r\n"), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
}

static void unknown_verbs_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT(" NOOP\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("NOOPX\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("XTND XMIT\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("RPOP a\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("EHLO a\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("a LOGIN b c\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("GET\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT(" XOIP 192.0.2.1\r\n"), TO_CLIENT(UNKNOWN)},
    };
    PLAY(&patient, PLAY_FROM_GREETING, dialogue);
}

static void identity_claims_are_spoofs(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("xoip 192.0.2.1\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("FORWARD a\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("XFORWARD NAME=x\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("PROXY TCP4 192.0.2.1 192.0.2.2 1 110\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("XOIP 192.0.2.1\0\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void dirty_lines_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NO\0OP\r\n"), TO_CLIENT(DIRTY)},     {CLIENT("NOOP\rSTLS\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP\r\r\n"), TO_CLIENT(DIRTY)},     {CLIENT("NOOP\x7f\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("CAPA\x1b[A\r\n"), TO_CLIENT(DIRTY)}, {CLIENT("STLS\v\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("USER a\0\r\n"), TO_CLIENT(DIRTY)},
    };
    PLAY(&patient, PLAY_FROM_GREETING, dialogue);
}

static void long_lines_are_skipped(void **state)
{
    static const struct {
        const char *verb;
        size_t len; /* line end included */
        const char *answer;
    } row[] = {
        {"NOOP", 4096, SYNTAX}, {"NOOP", 4097, LONG},  {"NOOP", 20000, LONG},
        {"XOIP", 5000, SPOOF},  {"AUTH ", 4096, MUST}, {"AUTH ", 12286, MUST},
        {"AUTH ", 12287, LONG},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char *text = malloc(row[i].len);
        struct player p;

        assert_non_null(text);
        memset(text, ' ', row[i].len);
        memcpy(text, row[i].verb, strlen(row[i].verb));
        memcpy(text + row[i].len - 3, "x\r\n", 3);
        player_init(&p, &pop3_protocol, &patient, false);
        for (size_t at = 0; at < row[i].len; at += 1500)
            player_feed(&p, SIDE_CLIENT, text + at,
                        row[i].len - at < 1500 ? row[i].len - at : 1500);
        player_feed(&p, SIDE_CLIENT, "NOOP\r\n", 6);
        assert_int_equal(p.received[SIDE_CLIENT].len, strlen(row[i].answer) + 5);
        assert_memory_equal(p.received[SIDE_CLIENT].data, row[i].answer, strlen(row[i].answer));
        player_clear(&p);
        free(text);
    }
}

static void pipelined_commands_are_answered_in_order(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\nUSER a\nCAPA\r\nQUIT\r\nNOOP\r\n"),
         TO_CLIENT("+OK\r\n" UNKNOWN MUST CAPA "+OK Bye\r\n"), NOTES(TLS_NEEDED),
         CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void stls_starts_tls(void **state)
{
    static const struct turn row[] = {
        {CLIENT("STLS\r\n"), TO_CLIENT(BEGIN), STARTS_TLS},
        {CLIENT("stls\n"), TO_CLIENT(BEGIN), STARTS_TLS},
        {CLIENT("STLS \t \r\n"), TO_CLIENT(BEGIN), STARTS_TLS},
        {CLIENT("NOOP\r\nSTLS\r\n"), TO_CLIENT("+OK\r\n" BEGIN), STARTS_TLS},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
}

static void stls_takes_no_argument(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("STLS x\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("STLS \xff\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("STLS\r\n"), TO_CLIENT(BEGIN), STARTS_TLS},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

#define INJECTED "-ERR Octets behind STLS\r\n"

static void octets_behind_stls_are_an_injection(void **state)
{
    static const struct turn row[] = {
        {CLIENT("STLS\r\nUSER eve\r\n"), TO_CLIENT(INJECTED), NOTES(INJECTION), CLOSES(VIOLATION),
         AT_ONCE},
        {CLIENT("STLS\r\n\n"), TO_CLIENT(INJECTED), NOTES(INJECTION), CLOSES(VIOLATION), AT_ONCE},
        {CLIENT("STLS\n\0"), TO_CLIENT(INJECTED), NOTES(INJECTION), CLOSES(VIOLATION), AT_ONCE},
        {CLIENT("STLS\r\n\x16\x03\x01"), TO_CLIENT(INJECTED), NOTES(INJECTION), CLOSES(VIOLATION),
         AT_ONCE},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
}

static void nothing_from_before_tls_is_left(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\nFOO\r\n"), TO_CLIENT(MUST UNKNOWN), NOTES(TLS_NEEDED)},
        {CLIENT("STLS\r\n"), TO_CLIENT(BEGIN), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS, WAITS_FOR(BACKEND)},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK x\r\n"), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("FOO\r\nFOO\r\n"), TO_CLIENT(UNKNOWN UNKNOWN)},
        {CLIENT("FOO\r\n"), TO_CLIENT(UNKNOWN ERRORS), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, dialogue);
}

static void errors_end_the_session(void **state)
{
    static const struct turn untold[] = {
        {CLIENT("FOO\r\nNOOP\r\nFOO\r\n"), TO_CLIENT(UNKNOWN "+OK\r\n" UNKNOWN)},
        {CLIENT("FOO\r\n"), TO_CLIENT(UNKNOWN ERRORS), CLOSES(ERRORS)},
    };
    static const struct turn told[] = {
        {CLIENT("USER a\r\nFOO\r\n"), TO_CLIENT(MUST UNKNOWN), NOTES(TLS_NEEDED)},
        {CLIENT("XOIP a\r\n"), TO_CLIENT(SPOOF ERRORS), NOTES(SPOOF), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, untold);
    PLAY(&strict, PLAY_FROM_GREETING, told);
}

static void who_speaks_no_pop3_gets_no_word(void **state)
{
    static const struct turn row[] = {
        {CLIENT("\x16\x03\x01"), NOTES(TLS_ON_PLAINTEXT_PORT), CLOSES(VIOLATION)},
        {CLIENT("GET / HTTP/1.1\r\n"), NOTES(HTTP), CLOSES(VIOLATION)},
        {CLIENT("post /x HTTP/1.0\n"), NOTES(HTTP), CLOSES(VIOLATION)},
        {CLIENT("CONNECT a:1 HTTP/1.1\r\n"), NOTES(HTTP), CLOSES(VIOLATION)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
}

static void events_end_it(void **state)
{
    static const struct turn row[] = {
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT("-ERR [SYS/TEMP] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT("-ERR [SYS/TEMP] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT("-ERR [SYS/TEMP] Out of memory, try again later\r\n"),
         CLOSES(ERROR)},
    };
    static const struct turn beginning[] = {
        {CLIENT("USER a\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
    };
    static const struct turn told[] = {
        {EVENT(EOF, CLIENT), CLOSES(TLS_REQUIRED)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TLS_REQUIRED)},
        {CLIENT("QUI"), WAITS_FOR(CLIENT)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, beginning, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_is_ours),
        cmocka_unit_test(harmless_commands_are_answered),
        cmocka_unit_test(all_else_needs_tls),
        cmocka_unit_test(unknown_verbs_are_refused),
        cmocka_unit_test(identity_claims_are_spoofs),
        cmocka_unit_test(dirty_lines_are_refused),
        cmocka_unit_test(long_lines_are_skipped),
        cmocka_unit_test(pipelined_commands_are_answered_in_order),
        cmocka_unit_test(stls_starts_tls),
        cmocka_unit_test(stls_takes_no_argument),
        cmocka_unit_test(octets_behind_stls_are_an_injection),
        cmocka_unit_test(nothing_from_before_tls_is_left),
        cmocka_unit_test(errors_end_the_session),
        cmocka_unit_test(who_speaks_no_pop3_gets_no_word),
        cmocka_unit_test(events_end_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
