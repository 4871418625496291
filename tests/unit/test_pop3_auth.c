/* SPDX-License-Identifier: ISC */
/* AUTH: an exchange passes line by line, and no line of it is a command to anybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mail.example", .max_errors = 20};
static const struct policy strict = {
    .is_enforced = true, .hostname = "mail.example", .max_errors = 20, .max_auth_failures = 1};

#define SYNTAX "-ERR Syntax error in the command\r\n"
#define NO     "-ERR Authentication mechanism not available\r\n"
#define OK     "+OK x\r\n"

static void the_first_line_passes_in_our_words(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {CLIENT("auth  login\t\n"), TO_BACKEND("AUTH login\r\n")},
        {CLIENT("AUTH PLAIN AGEAYg==\r\n"), TO_BACKEND("AUTH PLAIN AGEAYg==\r\n")},
        {CLIENT("AUTH\tPLAIN \t=\r\n"), TO_BACKEND("AUTH PLAIN =\r\n")},
        {CLIENT("AUTH CRAM-MD5\r\n"), TO_BACKEND("AUTH CRAM-MD5\r\n")},
        {CLIENT("AUTH GSSAPI\r\n"), TO_BACKEND("AUTH GSSAPI\r\n")},
        {CLIENT("AUTH NTLM TlRM\r\n"), TO_BACKEND("AUTH NTLM TlRM\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void what_is_no_auth_does_not_pass(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN a b\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTH PLAIN *\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTH PLAIN a_b\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTH PL.AIN\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTH A23456789012345678901\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTH PLAIN \xe4\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTH EXTERNAL =\r\n"), TO_CLIENT(NO)},
        {CLIENT("AUTH ANONYMOUS YQ==\r\n"), TO_CLIENT(NO)},
        {CLIENT("AUTH SCRAM-SHA-256-PLUS\r\n"), TO_CLIENT(NO)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void an_exchange_passes_line_by_line(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("+ VXNlcg==\n"), TO_CLIENT("+ VXNlcg==\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("YQ==\n"), TO_BACKEND("YQ==\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("+\r\n"), TO_CLIENT("+\r\n")},
        {CLIENT("\r\n"), TO_BACKEND("\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("Yg==\r\n"), TO_BACKEND("Yg==\r\n")},
        {BACKEND("+OK in\r\n"), TO_CLIENT("+OK in\r\n"), NOTES(AUTH_OK), TUNNELS},
        {CLIENT("STAT\n"), TO_BACKEND("STAT\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void all_behind_auth_waits_until_it_is_over(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN\r\nQUIT\r\nUSER a\r\nNOOP\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n"), TO_BACKEND("QUIT\r\n")},
        {BACKEND("-ERR no\r\n"), TO_CLIENT("-ERR no\r\n"), TO_BACKEND("USER a\r\nNOOP\r\n"),
         NOTES(AUTH_FAILED)},
    };
    static const struct turn success[] = {
        {CLIENT("NOOP\r\nAUTH PLAIN YQ==\r\nxoip 1\nSTA"),
         TO_BACKEND("NOOP\r\nAUTH PLAIN YQ==\r\n")},
        {BACKEND("+OK\r\n"), TO_CLIENT("+OK\r\n")},
        {BACKEND(OK), TO_CLIENT(OK), TO_BACKEND("xoip 1\nSTA"), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, success);
}

static void what_cannot_be_a_response_cancels(void **state)
{
    static const struct turn beginning[] = {
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
    };
    static const struct turn row[] = {
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {CLIENT("USER a\r\n"), TO_BACKEND("*\r\n")},
        {CLIENT("YQ==\rQUIT\r\n"), TO_BACKEND("*\r\n")},
        {CLIENT("YQ\0==\n"), TO_BACKEND("*\r\n")},
        {CLIENT(" YQ==\r\n"), TO_BACKEND("*\r\n")},
        {CLIENT("**\r\n"), TO_BACKEND("*\r\n")},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, row);
}

static void who_cancels_at_once_has_not_failed(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n")},
        {CLIENT("AUTH XYZ\r\n"), TO_BACKEND("AUTH XYZ\r\n")},
        {BACKEND("-ERR what?\r\n"), TO_CLIENT("-ERR what?\r\n")},
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("YQ==\r\n"), TO_BACKEND("YQ==\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n-ERR Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

static void a_refusal_for_another_reason_is_no_failure(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN YQ==\r\n"), TO_BACKEND("AUTH PLAIN YQ==\r\n")},
        {BACKEND("-ERR [SYS/TEMP] later\r\n"), TO_CLIENT("-ERR [SYS/TEMP] later\r\n")},
        {CLIENT("AUTH PLAIN YQ==\r\n"), TO_BACKEND("AUTH PLAIN YQ==\r\n")},
        {BACKEND("-ERR [AUTH]\r\n"), TO_CLIENT("-ERR [AUTH]\r\n-ERR Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

#define LOST "-ERR [SYS/TEMP] Mail server lost, try again later\r\n"

#define MAD TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)

static void nobody_is_not_logged_in(void **state)
{
    static const struct turn unasked[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("+OK\r\n"), MAD},
    };
    static const struct turn cancelled[] = {
        {CLIENT("AUTH LOGIN YQ==\r\n"), TO_BACKEND("AUTH LOGIN YQ==\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\nNOOP\r\n"), TO_BACKEND("*\r\n")},
    };
    static const struct turn replaced[] = {
        {CLIENT("AUTH LOGIN YQ==\r\n"), TO_BACKEND("AUTH LOGIN YQ==\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("USER a\r\n"), TO_BACKEND("*\r\n")},
    };
    static const struct turn row[] = {{BACKEND("+OK\r\n"), MAD}, {BACKEND("+ \r\n"), MAD}};

    PLAY(&policy, PLAY_FROM_GATE, unasked);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, cancelled, row);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, replaced, row);
}

static void only_one_side_speaks_at_a_time(void **state)
{
    static const struct turn beginning[] = {
        {CLIENT("AUTH LOGIN\r\nYQ="), TO_BACKEND("AUTH LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
    };
    static const struct turn row[] = {
        {BACKEND("+ \r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("+OK\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("-ERR timeout\r\n"), TO_CLIENT("-ERR timeout\r\n"), CLOSES(BACKEND_LOST)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, row);
}

static void a_cancelled_exchange_is_a_strike(void **state)
{
    static const struct policy once = {
        .is_enforced = true, .hostname = "mail.example", .max_errors = 1};
    static const struct turn dialogue[] = {
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("no base64\r\n"), TO_BACKEND("*\r\n"), TO_CLIENT("-ERR Too many errors\r\n"),
         CLOSES(ERRORS)},
    };
    static const struct turn own[] = {
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n"), WAITS_FOR(BACKEND)},
    };
    PLAY(&once, PLAY_FROM_GATE, dialogue);
    PLAY(&once, PLAY_FROM_GATE, own);
}

/* A line of `len` octets, its end included, that begins and ends so. */
static char *line_of(size_t len, const char *begin, const char *end)
{
    char *text = malloc(len);

    assert_non_null(text);
    memset(text, 'A', len);
    memcpy(text, begin, strlen(begin));
    memcpy(text + len - 2 - strlen(end), end, strlen(end));
    memcpy(text + len - 2, "\r\n", 2);
    return text;
}

static void say(struct player *p, enum side side, const char *text)
{
    player_feed(p, side, text, strlen(text));
}

static void enter_gate(struct player *p)
{
    player_init(p, &pop3_protocol, &policy, false);
    player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    say(p, SIDE_BACKEND, "+OK\r\n");
}

static void feed_in_pieces(struct player *p, const char *text, size_t len)
{
    for (size_t at = 0; at < len; at += 900)
        player_feed(p, SIDE_CLIENT, text + at, len - at < 900 ? len - at : 900);
}

/* A line beyond its limit never ends; one that a buffer of 254 octets cuts must not end in a verb. */
static const struct {
    size_t len; /* line end included */
    const char *end;
    bool passes;
} long_line[] = {
    {252, "AQUIT", true},  {253, "AQUIT", true},  {254, "AQUIT", false},  {254, "AQUIT=", true},
    {1000, "xoip", false}, {12286, "AAAA", true}, {12287, "AAAA", false}, {30000, "AAAA", false},
};

#define LONG_LINES (sizeof long_line / sizeof *long_line)

static void long_responses(void **state)
{
    for (size_t i = 0; i < LONG_LINES; i++) {
        size_t len = long_line[i].len, wanted = long_line[i].passes ? len : 3;
        char *text = line_of(len, "", long_line[i].end);
        struct player p;

        enter_gate(&p);
        say(&p, SIDE_CLIENT, "AUTH PLAIN\r\n");
        say(&p, SIDE_BACKEND, "+\r\n");
        octets_clear(&p.received[SIDE_BACKEND]);
        feed_in_pieces(&p, text, len);
        assert_int_equal(p.received[SIDE_BACKEND].len, wanted);
        assert_memory_equal(p.received[SIDE_BACKEND].data, long_line[i].passes ? text : "*\r\n",
                            wanted);
        player_clear(&p);
        free(text);
    }
}

static void long_initial_responses(void **state)
{
    for (size_t i = 0; i < LONG_LINES; i++) {
        char *text = line_of(long_line[i].len, "AUTH PLAIN ", long_line[i].end);
        struct player p;

        enter_gate(&p);
        feed_in_pieces(&p, text, long_line[i].len);
        assert_int_equal(p.received[SIDE_BACKEND].len, long_line[i].passes ? long_line[i].len : 0);
        assert_int_equal(p.received[SIDE_CLIENT].len > 0, !long_line[i].passes);
        player_clear(&p);
        free(text);
    }
}

static void a_long_challenge_passes(void **state)
{
    static char text[12287];

    for (size_t len = 12286; len < 12288; len++) {
        struct player p;

        memset(text, 'A', sizeof text);
        memcpy(text, "+ ", 2);
        memcpy(text + len - 2, "\r\n", 2);
        enter_gate(&p);
        say(&p, SIDE_CLIENT, "AUTH PLAIN\r\n");
        player_feed(&p, SIDE_BACKEND, text, len);
        assert_int_equal(p.received[SIDE_CLIENT].len, len == 12286 ? len : sizeof LOST - 1);
        player_clear(&p);
    }
}

#define A64  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define A256 A64 A64 A64 A64

/* A backend with a short buffer may have read two lines, and owe a reply too many. */
static void a_refusal_behind_a_long_line_is_the_last_word(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN " A64 "\r\n"), TO_BACKEND("AUTH PLAIN " A64 "\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("AUTH PLAIN\r\nNOOP\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
    };
    static const struct turn initial[] = {
        {CLIENT("AUTH PLAIN " A256 "\r\nNOOP\r\n"), TO_BACKEND("AUTH PLAIN " A256 "\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    static const struct turn response[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT(A256 "\r\nNOOP\r\n"), TO_BACKEND(A256 "\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, initial);
    PLAY(&policy, PLAY_FROM_GATE, response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_passes_in_our_words),
        cmocka_unit_test(what_is_no_auth_does_not_pass),
        cmocka_unit_test(an_exchange_passes_line_by_line),
        cmocka_unit_test(all_behind_auth_waits_until_it_is_over),
        cmocka_unit_test(what_cannot_be_a_response_cancels),
        cmocka_unit_test(who_cancels_at_once_has_not_failed),
        cmocka_unit_test(a_refusal_for_another_reason_is_no_failure),
        cmocka_unit_test(nobody_is_not_logged_in),
        cmocka_unit_test(only_one_side_speaks_at_a_time),
        cmocka_unit_test(a_cancelled_exchange_is_a_strike),
        cmocka_unit_test(long_responses),
        cmocka_unit_test(long_initial_responses),
        cmocka_unit_test(a_long_challenge_passes),
        cmocka_unit_test(a_refusal_behind_a_long_line_is_the_last_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
