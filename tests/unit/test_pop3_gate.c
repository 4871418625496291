/* SPDX-License-Identifier: ISC */
/* POP3 inside TLS: what a backend gets of what a client says, in whose words, and in which order
 * the client gets its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mail.example", .max_errors = 20};
static const struct policy strict = {
    .is_enforced = true, .hostname = "mail.example", .max_errors = 2};
static const struct policy patient = {.is_enforced = true, .hostname = "mail.example"};

#define UNKNOWN "-ERR Command not recognized\r\n"
#define SYNTAX  "-ERR Syntax error in the command\r\n"
#define DIRTY   "-ERR Control character inside a command\r\n"
#define LONG    "-ERR Line too long\r\n"
#define SPOOF   "-ERR Not allowed\r\n"
#define NOT     "-ERR Command not available\r\n"
#define LOGIN   "-ERR Log in first\r\n"
#define OK      "+OK x\r\n"

static void passes_in_our_words(void **state)
{
    static const struct turn row[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n"), WAITS_FOR(BACKEND)},
        {CLIENT("noop\n"), TO_BACKEND("NOOP\r\n")},
        {CLIENT("capa \t\r\n"), TO_BACKEND("CAPA\r\n")},
        {CLIENT("utf8\r\n"), TO_BACKEND("UTF8\r\n")},
        {CLIENT("lang\r\n"), TO_BACKEND("LANG\r\n")},
        {CLIENT("LANG   de  \r\n"), TO_BACKEND("LANG de\r\n")},
        {CLIENT("Auth \n"), TO_BACKEND("AUTH\r\n")},
        {CLIENT("quit\r\n"), TO_BACKEND("QUIT\r\n")},
        {CLIENT("user joe\n"), TO_BACKEND("USER joe\r\n")},
        {CLIENT("uSER\tjoe\r\n"), TO_BACKEND("USER joe\r\n")},
        {CLIENT("USER J\xf6rg @ \xc3\x8a \r\n"), TO_BACKEND("USER J\xf6rg @ \xc3\x8a \r\n")},
        {CLIENT("pass  two words\t \r\n"), TO_BACKEND("PASS  two words\t \r\n")},
        {CLIENT("pass \n"), TO_CLIENT(SYNTAX)},
        {CLIENT("PASS \xe9\x85\xa0\xff\r\n"), TO_BACKEND("PASS \xe9\x85\xa0\xff\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void what_is_no_command_never_reaches_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT(" USER a\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("USERa\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("XTND XMIT\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("RPOP a\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("HELP\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("GET\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("STAT\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("list 1\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("RETR 1\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("TOP 1 0\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("CAPA x\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("QUIT x\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("UTF8 USER\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("LANG d\xe9\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("USER\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("APOP a b\r\n"), TO_CLIENT(NOT)},
        {CLIENT("STLS\r\n"), TO_CLIENT("-ERR TLS is already active\r\n")},
        {CLIENT("STLS x\r\n"), TO_CLIENT(SYNTAX)},
    };
    PLAY(&patient, PLAY_FROM_GATE, dialogue);
}

static void spoofs_never_reach_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("XOIP 192.0.2.1\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("forward a\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("PROXY UNKNOWN\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("xoip\r a\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void dirty_lines_never_reach_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER a\rXOIP b\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("PASS a\0XOIP b\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("PASS a\x1a\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP\r\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("\x16\x03\x01\n"), TO_CLIENT(DIRTY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* Into a buffer of 254 octets, its NUL counted. */
static void lines_pass_up_to_their_limit(void **state)
{
    for (size_t len = 250; len < 260; len++) {
        char text[260];
        bool passes = len <= 253;
        struct player p;

        memset(text, 'a', sizeof text);
        memcpy(text, "PASS ", 5);
        memcpy(text + len - 2, "\r\n", 2);
        player_init(&p, &pop3_protocol, &policy, false);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "+OK\r\n", 5);
        player_feed(&p, SIDE_CLIENT, text, len);
        assert_int_equal(p.received[SIDE_BACKEND].len, passes ? len : 0);
        assert_int_equal(p.received[SIDE_CLIENT].len, passes ? 0 : sizeof LONG - 1);
        player_clear(&p);
    }
}

static void a_long_line_waits_its_turn(void **state)
{
    static char text[6000];
    struct player p;

    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 2, "\r\n", 2);
    player_init(&p, &pop3_protocol, &policy, false);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, "+OK\r\n", 5);
    player_feed(&p, SIDE_CLIENT, "NOOP\r\n", 6);
    for (size_t at = 0; at < sizeof text; at += 1000)
        player_feed(&p, SIDE_CLIENT, text + at, 1000);
    player_feed(&p, SIDE_CLIENT, "UTF8\r\n", 6);
    assert_int_equal(p.received[SIDE_BACKEND].len, 6);
    assert_int_equal(p.received[SIDE_CLIENT].len, 0);
    player_feed(&p, SIDE_BACKEND, OK, 7);
    assert_int_equal(p.received[SIDE_CLIENT].len, 7 + sizeof LONG - 1);
    assert_memory_equal(p.received[SIDE_CLIENT].data, OK LONG, 7 + sizeof LONG - 1);
    assert_int_equal(p.received[SIDE_BACKEND].len, 12);
    assert_memory_equal(p.received[SIDE_BACKEND].data, "NOOP\r\nUTF8\r\n", 12);
    player_clear(&p);
}

static void pipelined_commands_flow(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("CAPA\r\nUTF8\r\nUSER a\r\nPASS b\r\n"),
         TO_BACKEND("CAPA\r\nUTF8\r\nUSER a\r\nPASS b\r\n")},
        {BACKEND("+OK\r\nTOP\r\n.\r\n-ERR 1\r\n+OK 2\n"),
         TO_CLIENT("+OK\r\nTOP\r\n.\r\n-ERR 1\r\n+OK 2\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("-ERR no\r\n"), TO_CLIENT("-ERR no\r\n"), NOTES(AUTH_FAILED), WAITS_FOR(CLIENT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void own_replies_wait_for_earlier_ones(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\nUSER a\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("+OK x\r"), WAITS_FOR(BACKEND)},
        {BACKEND("\n"), TO_CLIENT(OK UNKNOWN), TO_BACKEND("USER a\r\n")},
        {CLIENT("XOIP a\r\nSTLS\r\n")},
        {BACKEND(OK), TO_CLIENT(OK SPOOF "-ERR TLS is already active\r\n"), NOTES(SPOOF)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void nothing_flows_behind_quit(void **state)
{
    static const struct turn bye[] = {
        {CLIENT("QUIT\r\nUSER a\r\n"), TO_BACKEND("QUIT\r\n")},
        {BACKEND("+OK bye\n"), TO_CLIENT("+OK bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    static const struct turn refused[] = {
        {CLIENT("QUIT\r\nUSER a\r\n"), TO_BACKEND("QUIT\r\n")},
        {BACKEND("-ERR no\r\n"), TO_CLIENT("-ERR no\r\n"), TO_BACKEND("USER a\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, bye);
    PLAY(&policy, PLAY_FROM_GATE, refused);
}

static const char *const own_verb[] = {"XSTATS"};

static void the_administrator_lets_verbs_pass(void **state)
{
    static const struct policy allowing = {
        .is_enforced = true, .hostname = "mail.example", .allow_commands = {own_verb, 1}};
    static const struct turn dialogue[] = {
        {CLIENT("xStats\t all \r\n"), TO_BACKEND("xStats all\r\n")},
        {BACKEND(OK), TO_CLIENT(OK)},
        {CLIENT("xstatsx\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("xstats \xe4\r\n"), TO_CLIENT(SYNTAX)},
    };
    PLAY(&allowing, PLAY_FROM_GATE, dialogue);
}

/* To a reader that strips the eighth bit, or knows it as ISO 8859. */
static void passwords_hide_no_commands(void **state)
{
    static const struct policy allowing = {
        .is_enforced = true, .hostname = "mail.example", .allow_commands = {own_verb, 1}};
    static const struct turn row[] = {
        {CLIENT("USER a\x8aUSER b\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("USER a\x8d\x8aPASS guess\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("PASS a\x80NOOP\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("PASS a\x85"
                "apop x\r\n"),
         TO_CLIENT(SYNTAX)},
        {CLIENT("PASS a\x8a\xd5SER b\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("PASS a\x8a\xa0 \xf5\xf3"
                "er b\r\n"),
         TO_CLIENT(SYNTAX)},
        {CLIENT("PASS a\x8arpop\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("USER a\xe2\x80\xa8NOOP\r\n"), TO_CLIENT(SYNTAX)}, /* U+2028 */
        {CLIENT("PASS a\xe2\x80\xa9 user b\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("PASS \xe2\x80\xa8\xa8NOOP\r\n"), TO_BACKEND("PASS \xe2\x80\xa8\xa8NOOP\r\n")},
        {CLIENT("PASS a\x8axstats\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("PASS \xd1\x80\xd1\x8a\xd1\x8d\r\n"),
         TO_BACKEND("PASS \xd1\x80\xd1\x8a\xd1\x8d\r\n")},
        {CLIENT("PASS \xc3\x8a USE\r\n"), TO_BACKEND("PASS \xc3\x8a USE\r\n")},
    };
    PLAY_EACH(&allowing, PLAY_FROM_GATE, row, 1);
}

/* What is no verb has a reply too, and each later one would go to the next command: PASS would get
 * that of USER. */
static void what_may_be_two_lines_is_not_answered_twice(void **state)
{
    static const struct turn pipelined[] = {
        {CLIENT("USER a\x8dx\r\nUSER b\r\nPASS c\r\nRETR 1\r\n"),
         TO_BACKEND("USER a\x8dx\r\nUSER b\r\nPASS c\r\n")},
        {BACKEND("+OK\r\n-ERR x?\r\n+OK\r\n-ERR\r\n"), TO_CLIENT("+OK\r\n-ERR x?\r\n"),
         CLOSES(ERRORS)},
    };
    static const struct turn in_turn[] = {
        {CLIENT("USER a\xe2\x80\xa8x\r\n"), TO_BACKEND("USER a\xe2\x80\xa8x\r\n")},
        {BACKEND("+OK\r\n"), TO_CLIENT("+OK\r\n")},
        {CLIENT("PASS c\r\nUSER b\r\n"), TO_BACKEND("PASS c\r\n")},
        {BACKEND("-ERR x?\r\n-ERR\r\n"), TO_CLIENT("-ERR x?\r\n"), NOTES(AUTH_FAILED),
         CLOSES(ERRORS)},
    };
    static const struct turn good[] = {
        {CLIENT("USER \xc3\x8dvar\r\nPASS \xc3\x85\r\n"),
         TO_BACKEND("USER \xc3\x8dvar\r\nPASS \xc3\x85\r\n")},
        {BACKEND("+OK\r\n"), TO_CLIENT("+OK\r\n")},
        {BACKEND("+OK\r\n"), TO_CLIENT("+OK\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn harmless[] = {
        {CLIENT("USER J\xf6rg\r\nPASS \xc3\xbc\r\n"),
         TO_BACKEND("USER J\xf6rg\r\nPASS \xc3\xbc\r\n")},
        {BACKEND("+OK\r\n-ERR\r\n"), TO_CLIENT("+OK\r\n-ERR\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&patient, PLAY_FROM_GATE, pipelined);
    PLAY(&patient, PLAY_FROM_GATE, in_turn);
    PLAY(&patient, PLAY_FROM_GATE, good);
    PLAY(&patient, PLAY_FROM_GATE, harmless);
}

static void what_is_hidden_is_refused(void **state)
{
    static const char *const words[] = {"user", "SASL", "UTF8", "LANG"};
    static const struct policy hiding = {
        .is_enforced = true, .hostname = "mail.example", .hide_capabilities = {words, 4}};
    static const struct turn dialogue[] = {
        {CLIENT("USER a\r\n"), TO_CLIENT(NOT)},       {CLIENT("PASS a\r\n"), TO_CLIENT(NOT)},
        {CLIENT("AUTH\r\n"), TO_CLIENT(NOT)},         {CLIENT("AUTH PLAIN x\r\n"), TO_CLIENT(NOT)},
        {CLIENT("UTF8\r\n"), TO_CLIENT(NOT)},         {CLIENT("LANG\r\n"), TO_CLIENT(NOT)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&hiding, PLAY_FROM_GATE, dialogue);
}

static void errors_end_the_session(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("FOO\r\nNOOP\r\n"), TO_CLIENT(UNKNOWN), TO_BACKEND("NOOP\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n")},
        {CLIENT("RETR 1\r\nUSER a\r\n"), TO_CLIENT(LOGIN "-ERR Too many errors\r\n"),
         CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

static void http_ends_it_inside_tls_too(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("GET / HTTP/1.1\r\n"), NOTES(HTTP), CLOSES(VIOLATION)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* Who chooses the address chooses its length. */
static void http_in_a_line_of_any_length_ends_it(void **state)
{
    for (size_t len = 4000; len < 4200; len += 40) {
        char text[4200];
        struct player p;

        memset(text, 'a', sizeof text);
        memcpy(text, "POST /", 6);
        memcpy(text + len - 11, " HTTP/1.1\r\n", 11);
        player_init(&p, &pop3_protocol, &policy, true);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "+OK\r\n", 5);
        player_feed(&p, SIDE_CLIENT, text, len);
        assert_int_equal(p.end, END_VIOLATION);
        assert_int_equal(p.received[SIDE_CLIENT].len, 0);
        player_clear(&p);
    }
}

static void the_101st_command_waits(void **state)
{
    struct player p;

    player_init(&p, &pop3_protocol, &policy, false);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, OK, 7);
    for (size_t round = 0; round < 3; round++) {
        octets_clear(&p.received[SIDE_BACKEND]);
        for (size_t i = 0; i < 105; i++)
            player_feed(&p, SIDE_CLIENT, "NOOP\r\n", 6);
        assert_int_equal(p.received[SIDE_BACKEND].len, 100 * 6);
        assert_true(p.is_held[SIDE_CLIENT]);
        assert_int_equal(pop3_protocol.waiting(p.machine), WAITING_BACKEND);
        for (size_t i = 0; i < 4; i++)
            player_feed(&p, SIDE_BACKEND, OK, 7);
        assert_int_equal(p.received[SIDE_BACKEND].len, 104 * 6);
        for (size_t i = 0; i < 101; i++)
            player_feed(&p, SIDE_BACKEND, OK, 7);
        assert_int_equal(p.received[SIDE_BACKEND].len, 105 * 6);
        assert_int_equal(pop3_protocol.waiting(p.machine), WAITING_CLIENT);
    }
    player_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_in_our_words),
        cmocka_unit_test(what_is_no_command_never_reaches_the_backend),
        cmocka_unit_test(spoofs_never_reach_the_backend),
        cmocka_unit_test(dirty_lines_never_reach_the_backend),
        cmocka_unit_test(lines_pass_up_to_their_limit),
        cmocka_unit_test(a_long_line_waits_its_turn),
        cmocka_unit_test(pipelined_commands_flow),
        cmocka_unit_test(own_replies_wait_for_earlier_ones),
        cmocka_unit_test(nothing_flows_behind_quit),
        cmocka_unit_test(the_administrator_lets_verbs_pass),
        cmocka_unit_test(passwords_hide_no_commands),
        cmocka_unit_test(what_may_be_two_lines_is_not_answered_twice),
        cmocka_unit_test(what_is_hidden_is_refused),
        cmocka_unit_test(errors_end_the_session),
        cmocka_unit_test(http_ends_it_inside_tls_too),
        cmocka_unit_test(http_in_a_line_of_any_length_ends_it),
        cmocka_unit_test(the_101st_command_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
