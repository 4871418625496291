/* SPDX-License-Identifier: ISC */
/* AUTHENTICATE: with and without an initial response, a line each way in turn, cancelled by either
 * side; and that nothing of it is ever a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &imap_protocol
#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const char *const hide[] = {"AUTH=CRAM-MD5", "SASL-IR"};
static const struct policy policy = {.is_enforced = true, .hostname = "x", .max_errors = 50};
static const struct policy strict = {
    .is_enforced = true, .hostname = "x", .max_errors = 2, .max_auth_failures = 2};
static const struct policy hiding = {
    .is_enforced = true, .hostname = "x", .hide_capabilities = {hide, 2}};

#define SYNTAX "BAD Syntax error in arguments\r\n"
#define NONE   "NO Authentication mechanism not available\r\n"
#define LOST   "* BYE [UNAVAILABLE] Mail server lost, try again later\r\n"

static void an_exchange_passes_line_by_line(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a AUTHENTICATE LOGIN\r\n"), TO_BACKEND("a AUTHENTICATE LOGIN\r\n"),
         WAITS_FOR(BACKEND)},
        {BACKEND("+ VXNlcg==\r\n"), TO_CLIENT("+ VXNlcg==\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("dXNlcg==\r\n"), TO_BACKEND("dXNlcg==\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("* OK still here\r\n+ \r\n"), TO_CLIENT("* OK still here\r\n+ \r\n")},
        {CLIENT("cGFzcw==\nb SELECT x\r\n"), TO_BACKEND("cGFzcw==\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), TO_BACKEND("b SELECT x\r\n"),
         NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn empty[] = {
        {CLIENT("a authenticate XOAUTH2\r\n"), TO_BACKEND("a authenticate XOAUTH2\r\n")},
        {BACKEND("+\r\n"), TO_CLIENT("+\r\n")},
        {CLIENT("YQ==\r\n"), TO_BACKEND("YQ==\r\n")},
        {BACKEND("+ ZXJyb3I=\r\n"), TO_CLIENT("+ ZXJyb3I=\r\n")},
        {CLIENT("\r\n"), TO_BACKEND("\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, empty);
}

static void an_initial_response_waits_where_it_is_not_known(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\nb SELECT x\r\n"),
         TO_BACKEND("a AUTHENTICATE PLAIN\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("+ \r\n"), TO_BACKEND("AGEAYg==\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), TO_BACKEND("b SELECT x\r\n"),
         NOTES(AUTH_OK), TUNNELS},
    };
    /* It is learned too late. */
    static const struct turn announced[] = {
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("* CAPABILITY SASL-IR\r\n"), TO_CLIENT("* CAPABILITY SASL-IR\r\n")},
        {BACKEND("+ \r\n"), TO_BACKEND("AGEAYg==\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"),
         TO_BACKEND("a AUTHENTICATE PLAIN AGEAYg==\r\n")},
    };
    static const struct turn refused[] = {
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\nb NOOP\r\n"),
         TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("a NO not that\r\n"), TO_CLIENT("a NO not that\r\n"), TO_BACKEND("b NOOP\r\n")},
        {BACKEND("b OK\r\n"), TO_CLIENT("b OK\r\n")},
        {CLIENT("a AUTHENTICATE GSSAPI =\r\n"), TO_BACKEND("a AUTHENTICATE GSSAPI\r\n")},
        {BACKEND("+\r\n"), TO_BACKEND("\r\n")},
        {BACKEND("+ YQ==\r\n"), TO_CLIENT("+ YQ==\r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("a BAD cancelled\r\n"), TO_CLIENT("a BAD cancelled\r\n"), NOTES(AUTH_FAILED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, announced);
    PLAY(&policy, PLAY_FROM_GATE, refused);
}

static void an_initial_response_passes_where_it_is_known(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x\r\n"), NOTES(GREETED)},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"),
         TO_BACKEND("a AUTHENTICATE PLAIN AGEAYg==\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a AUTHENTICATE PLAIN =\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN =\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a CAPABILITY\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY IMAP4rev1\r\na OK\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1\r\na OK\r\n")},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
    };
    static const struct turn hidden[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x\r\n"), NOTES(GREETED)},
        {CLIENT("a AUTHENTICATE CRAM-MD5\r\n"), TO_CLIENT("a " NONE)},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
    PLAY(&hiding, PLAY_FROM_SECURED, hidden);
}

static void what_must_not_pass_is_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a AUTHENTICATE SCRAM-SHA-1-PLUS\r\n"), TO_CLIENT("a " NONE)},
        {CLIENT("a AUTHENTICATE external =\r\n"), TO_CLIENT("a " NONE)},
        {CLIENT("a AUTHENTICATE ANONYMOUS\r\n"), TO_CLIENT("a " NONE)},
        {CLIENT("a AUTHENTICATE\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE \"PLAIN\"\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE {5}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE {5+}\r\nPLAIN\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE PLAIN \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE PLAIN  AA==\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE PLAIN AA== BB\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE PLAIN *\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE PLAIN {4}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE PLAIN\tAA\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a AUTHENTICATE ABCDEFGHIJKLMNOPQRSTU\r\n"), TO_CLIENT("a " SYNTAX)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void what_is_no_response_cancels(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("b LOGOUT\r\n"), TO_BACKEND("*\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("a BAD what\r\n"), TO_CLIENT("a BAD what\r\n")},
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("AAA\0\r\n"), TO_BACKEND("*\r\n"), TO_CLIENT("* BYE Too many errors\r\n"),
         CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

static void a_response_without_end_cancels(void **state)
{
    struct player p;
    const struct facts facts = {.is_secure = true};
    static char line[13000];

    memset(line, 'A', sizeof line);
    player_begin(&p, &imap_protocol, &policy, &facts);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, "* OK x\r\n", 8);
    player_feed(&p, SIDE_CLIENT, "a AUTHENTICATE PLAIN\r\n", 22);
    player_feed(&p, SIDE_BACKEND, "+ \r\n", 4);
    octets_clear(&p.received[SIDE_BACKEND]);
    player_feed(&p, SIDE_CLIENT, line, sizeof line);
    assert_int_equal(p.received[SIDE_BACKEND].len, 0);
    player_feed(&p, SIDE_CLIENT, "A\r\nb NOOP\r\n", 11);
    assert_int_equal(p.received[SIDE_BACKEND].len, 3);
    assert_memory_equal(p.received[SIDE_BACKEND].data, "*\r\n", 3);
    player_clear(&p);
}

/* Long ones go as a line of their own, and none is longer than such a line. */
static void a_long_initial_response_waits(void **state)
{
    static const struct {
        size_t len;
        const char *backend, *client;
    } row[] = {
        {900, "a AUTHENTICATE PLAIN AAAA", NULL},
        {1000, "a AUTHENTICATE PLAIN\r\n", NULL},
        {8000, "a AUTHENTICATE PLAIN\r\n", NULL},
        {12284, "a AUTHENTICATE PLAIN\r\n", NULL},
        {12285, NULL, "a " SYNTAX},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        static const char head[] = "a AUTHENTICATE PLAIN ";
        static char line[13000];
        const struct facts facts = {.is_secure = true};
        const size_t before = sizeof head - 1, len = before + row[i].len;
        const char *wanted = row[i].backend == NULL ? row[i].client : row[i].backend;
        enum side side = row[i].backend == NULL ? SIDE_CLIENT : SIDE_BACKEND;
        struct player p;

        memset(line, 'A', sizeof line);
        memcpy(line, head, before);
        memcpy(line + len, "\r\n", 2);
        player_begin(&p, &imap_protocol, &policy, &facts);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "* OK [CAPABILITY SASL-IR] x\r\n", 29);
        player_feed(&p, SIDE_CLIENT, line, len + 2);
        assert_true(p.received[side].len >= strlen(wanted));
        assert_memory_equal(p.received[side].data, wanted, strlen(wanted));
        player_feed(&p, SIDE_BACKEND, "+ \r\n", row[i].len >= 1000 && side == SIDE_BACKEND ? 4 : 0);
        if (side == SIDE_BACKEND)
            assert_memory_equal(p.received[side].data + p.received[side].len - row[i].len - 2,
                                line + before, row[i].len + 2);
        player_clear(&p);
    }
}

static void an_answer_out_of_turn_is_a_violation(void **state)
{
    static const struct turn waiting[] = {
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
    };
    static const struct turn ends[] = {
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a NO too slow\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("+ \r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("* BYE too slow\r\n"), TO_CLIENT("* BYE too slow\r\n"), CLOSES(BACKEND_LOST)},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("* BYE Timeout, closing connection\r\n"),
         CLOSES(TIMEOUT)},
        {EVENT(DRAIN, CLIENT), WAITS_FOR(CLIENT)},
    };
    static const struct turn held[] = {
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, waiting, ends);
    PLAY(&policy, PLAY_FROM_GATE, held);
}

/* Client and backend would not agree on who is logged in. */
static void no_exchange_lets_nobody_in(void **state)
{
    static const struct turn row[] = {
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    static const struct turn cancelled[] = {
        {CLIENT("a AUTHENTICATE LOGIN\r\n"), TO_BACKEND("a AUTHENTICATE LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("YQ==\r\n"), TO_BACKEND("YQ==\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    static const struct turn for_the_client[] = {
        {CLIENT("a AUTHENTICATE LOGIN\r\n"), TO_BACKEND("a AUTHENTICATE LOGIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("YQ==\r\n"), TO_BACKEND("YQ==\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("a b\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, row);
    PLAY(&policy, PLAY_FROM_GATE, cancelled);
    PLAY(&policy, PLAY_FROM_GATE, for_the_client);
}

#define A64   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define A256  A64 A64 A64 A64
#define A1024 A256 A256 A256 A256

/* A backend with a short buffer may have read two lines, and owe an answer too many. */
static void a_refusal_behind_a_long_line_is_the_last_word(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT(A256 "\r\n"), TO_BACKEND(A256 "\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a AUTHENTICATE PLAIN " A1024 "\r\na NOOP\r\n"),
         TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_BACKEND(A1024 "\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    static const struct turn literal[] = {
        {CLIENT("a LOGIN u {1024+}\r\n" A1024 "\r\n"), TO_BACKEND("a LOGIN u {1024}\r\n")},
        {BACKEND("a NO too long\r\n"), TO_CLIENT("a NO too long\r\n")},
        {CLIENT("a LOGIN u {1024+}\r\n" A1024 "\r\na LOGIN b c\r\n"),
         TO_BACKEND("a LOGIN u {1024}\r\n")},
        {BACKEND("+ \r\n"), TO_BACKEND(A1024 "\r\n")},
        {BACKEND("a NO no\r\na OK done\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED),
         CLOSES(ERRORS)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, literal);
}

static void failures_are_counted_where_something_was_sent(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n")},
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("a NO cancelled\r\n"), TO_CLIENT("a NO cancelled\r\n")},
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("AGEAYg==\r\n"), TO_BACKEND("AGEAYg==\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n* BYE Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_passes_line_by_line),
        cmocka_unit_test(an_initial_response_waits_where_it_is_not_known),
        cmocka_unit_test(an_initial_response_passes_where_it_is_known),
        cmocka_unit_test(what_must_not_pass_is_refused),
        cmocka_unit_test(what_is_no_response_cancels),
        cmocka_unit_test(a_response_without_end_cancels),
        cmocka_unit_test(a_long_initial_response_waits),
        cmocka_unit_test(an_answer_out_of_turn_is_a_violation),
        cmocka_unit_test(no_exchange_lets_nobody_in),
        cmocka_unit_test(a_refusal_behind_a_long_line_is_the_last_word),
        cmocka_unit_test(failures_are_counted_where_something_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
