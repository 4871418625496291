/* SPDX-License-Identifier: ISC */
/* What a backend says: each reply is paired with its command, and what no server may say here ends
 * the session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {.is_enforced = true, .hostname = "mail.example"};
static const struct policy implicit = {.tls = FRONT_IMPLICIT, .hostname = "mail.example"};
static const struct policy none = {.tls = FRONT_NONE, .hostname = "mail.example"};

#define LOST "-ERR [SYS/TEMP] Mail server lost, try again later\r\n"
#define MAD  TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)

/* ---- the greeting ---- */

static void behind_stls_the_greeting_was_ours(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},
        {BACKEND("+OK <1.2@b> x\r\n"), NOTES(GREETED), WAITS_FOR(CLIENT)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void else_it_is_passed_on(void **state)
{
    static const struct policy own = {
        .tls = FRONT_NONE, .hostname = "mail.example", .greeting = "hello"};
    static const struct turn passed[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1.2@b> x\n"), TO_CLIENT("+OK <1.2@b> x\r\n"), NOTES(GREETED)},
    };
    static const struct turn to_trusted[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK [XCLIENT] Dovecot <1.2@b>\r\n"), TO_CLIENT("+OK Dovecot <1.2@b>\r\n"),
         NOTES(GREETED)},
    };
    static const struct turn replaced[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1.2@b> x\r\n"), TO_CLIENT("+OK hello\r\n"), NOTES(GREETED)},
    };
    PLAY(&implicit, PLAY_FROM_SECURED, passed);
    PLAY(&none, PLAY_FROM_SECURED, passed);
    PLAY(&none, PLAY_FROM_SECURED, to_trusted);
    PLAY(&own, PLAY_FROM_SECURED, replaced);
}

static void a_bad_greeting_means_the_next_one(void **state)
{
    static const struct turn row[] = {
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("-ERR busy\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("+ \r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("220 x\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("+OK x\r\n+OK y\r\n"), TRIES_NEXT, AT_ONCE},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("+OK x\ry\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {EVENT(EOF, BACKEND), TRIES_NEXT},
    };
    static const struct turn then[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("-ERR busy\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    static const struct turn last[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("-ERR busy\r\n"), TRIES_NEXT},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_REFUSED,
         TO_CLIENT("-ERR [SYS/TEMP] No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_REFUSED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_SECURED, row, 2);
    PLAY(&policy, PLAY_FROM_SECURED, then);
    PLAY(&policy, PLAY_FROM_SECURED, last);
}

/* ---- replies ---- */

static void what_nobody_asked_for_ends_it(void **state)
{
    static const struct turn row[] = {
        {BACKEND("+OK\r\n"), MAD}, {BACKEND("+ \r\n"), MAD},    {BACKEND("foo\r\n"), MAD},
        {BACKEND("\n"), MAD},      {BACKEND("* BYE\r\n"), MAD}, {BACKEND("+OK a\0\r\n"), MAD},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void a_goodbye_may_come_unasked(void **state)
{
    static const struct turn dialogue[] = {
        {BACKEND("-ERR Disconnected for inactivity\n"),
         TO_CLIENT("-ERR Disconnected for inactivity\r\n"), CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void what_is_no_answer_ends_it(void **state)
{
    static const struct turn line[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    static const struct turn list[] = {
        {CLIENT("LANG\r\n"), TO_BACKEND("LANG\r\n")},
    };
    static const struct turn login[] = {
        {CLIENT("PASS a\r\n"), TO_BACKEND("PASS a\r\n")},
    };
    static const struct turn no_line[] = {
        {BACKEND("+ \r\n"), MAD},    {BACKEND("+\r\n"), MAD},      {BACKEND("+OKAY\r\n"), MAD},
        {BACKEND("220 x\r\n"), MAD}, {BACKEND("+OK\rx\r\n"), MAD}, {BACKEND(".\r\n"), MAD},
    };
    static const struct turn no_list[] = {
        {BACKEND("+OK\r\nx\r\n.y\r\n.\r\n"), MAD, AT_ONCE},
        {BACKEND("+OK\r\nx\r\n+OK\r\n"), MAD},
        {BACKEND("+OK\r\n-ERR\r\n"), MAD},
        {BACKEND("+OK\r\na\0b\r\n"), MAD},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, line, no_line);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, list, no_list);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, list, no_line);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, login, no_line);
}

static void lists_pass_whole(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("LANG\r\nNOOP\r\n"), TO_BACKEND("LANG\r\nNOOP\r\n")},
        {BACKEND("+OK languages\r\nen English\n..dots\r\n.\n"),
         TO_CLIENT("+OK languages\r\nen English\r\n..dots\r\n.\r\n")},
        {BACKEND("-ERR x\r\n"), TO_CLIENT("-ERR x\r\n")},
        {CLIENT("LANG\r\nLANG de\r\nCAPA\r\nAUTH\r\n"),
         TO_BACKEND("LANG\r\nLANG de\r\nCAPA\r\nAUTH\r\n")},
        {BACKEND("-ERR x\r\n+OK de\r\n-ERR y\r\n-ERR z\r\n"),
         TO_CLIENT("-ERR x\r\n+OK de\r\n-ERR y\r\n-ERR z\r\n"), WAITS_FOR(CLIENT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void nothing_flows_behind_the_question_for_mechanisms(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH\r\nNOOP\r\n"), TO_BACKEND("AUTH\r\n")},
        {BACKEND("+OK\r\nPLAIN\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND(".\r\n"), TO_CLIENT("+OK\r\nPLAIN\r\n.\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_line_has_a_limit(void **state)
{
    static char text[4098];

    for (size_t len = 4096; len < 4098; len++) {
        struct player p;

        memset(text, 'x', sizeof text);
        memcpy(text, "+OK ", 4);
        memcpy(text + len - 2, "\r\n", 2);
        player_init(&p, &pop3_protocol, &policy, false);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "+OK\r\n", 5);
        player_feed(&p, SIDE_CLIENT, "NOOP\r\n", 6);
        player_feed(&p, SIDE_BACKEND, text, len);
        assert_int_equal(p.received[SIDE_CLIENT].len, len == 4096 ? len : sizeof LOST - 1);
        player_clear(&p);
    }
}

static void so_has_a_list(void **state)
{
    for (size_t lines = 4093; lines < 4096; lines++) {
        bool passes = lines == 4093; /* 4 + 2 * 4093 + 2 octets of 8192 */
        struct player p;

        player_init(&p, &pop3_protocol, &policy, false);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "+OK\r\n", 5);
        player_feed(&p, SIDE_CLIENT, "LANG\r\n", 6);
        player_feed(&p, SIDE_BACKEND, "+OK\n", 4);
        for (size_t i = 0; i < lines; i++)
            player_feed(&p, SIDE_BACKEND, "x\n", 2);
        player_feed(&p, SIDE_BACKEND, ".\n", 2);
        assert_int_equal(p.received[SIDE_CLIENT].len, passes ? 5 + 3 * lines + 3 : sizeof LOST - 1);
        player_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_stls_the_greeting_was_ours),
        cmocka_unit_test(else_it_is_passed_on),
        cmocka_unit_test(a_bad_greeting_means_the_next_one),
        cmocka_unit_test(what_nobody_asked_for_ends_it),
        cmocka_unit_test(a_goodbye_may_come_unasked),
        cmocka_unit_test(what_is_no_answer_ends_it),
        cmocka_unit_test(lists_pass_whole),
        cmocka_unit_test(nothing_flows_behind_the_question_for_mechanisms),
        cmocka_unit_test(a_line_has_a_limit),
        cmocka_unit_test(so_has_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
