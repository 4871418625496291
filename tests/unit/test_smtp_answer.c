/* SPDX-License-Identifier: ISC */
/* SMTP inside TLS: what a backend may say, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};

#define LOST "421 4.4.2 Mail server lost, try again later\r\n"

static void replies_pass(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n250-\r\n250\r\n"), TO_CLIENT("250-a\r\n250-\r\n250\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("571 \xff\xfe\r\n"), TO_CLIENT("571 \xff\xfe\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void lone_lf_becomes_crlf(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-x\n250-y\r\n250 z\n"), TO_CLIENT("250-x\r\n250-y\r\n250 z\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250\n"), TO_CLIENT("250\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void unfinished_lines_wait(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-x\r\n25"), TO_CLIENT("250-x\r\n")},
        {BACKEND("0 y\r")},
        {BACKEND("\n"), TO_CLIENT("250 y\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none(void **state)
{
    static const struct turn row[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("garbage\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("25 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250\tx\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("2a0 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("150 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("650 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("350 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("300 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\rb\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\0b\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\r\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 2);
}

static void a_code_that_changes(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n251 b\r\n"), TO_CLIENT("250-a\r\n"), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void garbage_in_the_middle_of_a_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\nfoo\r\n"), TO_CLIENT("250-a\r\n"), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void even_421_must_not_change_the_code(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n421 b\r\n"), TO_CLIENT("250-a\r\n"), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_to_nothing(void **state)
{
    static const struct turn dialogue[] = {
        {BACKEND("250 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_second_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n250 y\r\n"), TO_CLIENT("250 x\r\n" LOST), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void answer_421_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {BACKEND("421 bye\r\n"), TO_CLIENT("421 bye\r\n"), CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void answer_421_of_several_lines(void **state)
{
    static const struct turn dialogue[] = {
        {BACKEND("421-bye\n421 bye\n"), TO_CLIENT("421-bye\r\n421 bye\r\n"),
         CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void answer_421_as_an_answer(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("421 bye\r\n"), TO_CLIENT("421 bye\r\n"), CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void answer_421_leaves_commands_unanswered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("421 bye\r\n"), TO_CLIENT("421 bye\r\n"), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void data_is_answered_by_354_alone(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void another_3xx_to_data(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("350 ok\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void data_is_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("554 no\r\n"), TO_CLIENT("554 no\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void answer_354_of_several_lines(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354-go\r\n354 go\n"), TO_CLIENT("354-go\r\n354 go\r\n")},
        {CLIENT(".\r\n"), TO_BACKEND(".\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n"), NOTES(MESSAGE)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_refused_message_is_no_message(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n.\r\n"), TO_BACKEND("a\r\n.\r\n")},
        {BACKEND("550 spam\r\n"), TO_CLIENT("550 spam\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_second(void **state)
{
    static const struct turn row[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n.\r\n"), TO_BACKEND("a\r\n.\r\n")},
        {BACKEND("354 more\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 4);
}

static void a_final_reply_before_the_end_of_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n"), TO_BACKEND("a\r\n")},
        {BACKEND("552 too much\r\n"), TO_CLIENT("552 too much\r\n"), RESETS(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* The client would forget a message that nobody has. */
static void an_early_250_is_not_believed(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n"), TO_BACKEND("a\r\n")},
        {BACKEND("250-a\n250 b\n"), TO_CLIENT(LOST), RESETS(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_without_end_is_none(void **state)
{
    struct player p;

    player_init(&p, &smtp_protocol, &policy, true);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, "220 b\r\n", 7);
    player_feed(&p, SIDE_CLIENT, "HELP\r\n", 6);
    for (int i = 0; i < 1000; i++)
        player_feed(&p, SIDE_BACKEND, "214-x\r\n", 7);
    assert_int_equal(p.end, END_NONE);
    player_feed(&p, SIDE_BACKEND, "214-x\r\n", 7);
    assert_int_equal(p.end, END_BACKEND_LOST);
    player_clear(&p);
}

static void a_421_during_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a"), TO_BACKEND("a")},
        {BACKEND("421 bye\r\n"), TO_CLIENT("421 bye\r\n"), RESETS(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void content_is_normalised(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\nb\rc\0d\n.\n..\r\n.\r\n"), TO_BACKEND("a\r\nb\r\ncd\r\n..\r\n..\r\n.\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n"), NOTES(MESSAGE)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void smuggled_envelopes_stay_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\n.\r\nMAIL FROM:<eve>\r\nDATA\r\n.\r\nRSET\r\n"),
         TO_BACKEND("a\r\n..\r\nMAIL FROM:<eve>\r\nDATA\r\n.\r\nRSET\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_good_greeting(void **state)
{
    static const struct turn row[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-a\r\n220-b\n220 c\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_SECURED, row, 3);
}

static void a_bad_greeting_asks_for_the_next_backend(void **state)
{
    static const struct turn row[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("421 x\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("554 x\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("250 x\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("HELLO\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("354 x\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("2200 x\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 a\0\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220\tx\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_SECURED, row, 5);
}

static void a_greeting_that_changes_its_mind(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-x\r\n554 y\r\n"), TRIES_NEXT},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void octets_behind_the_greeting(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n250 y\r\n"), TRIES_NEXT, AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_backend_that_closes_before_it_greets(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-x\r\n")},
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

/* Limits that a table cannot spell out: a line of a reply, a whole reply to EHLO. */
static void long_replies_are_violations(void **state)
{
    static char input[WINDOW_MAX + 64];
    static const struct {
        bool is_ehlo;
        size_t line, total; /* octets, ends included */
        bool is_good;
    } row[] = {
        {false, 4096, 4096, true},          {false, 4097, 4097, false},
        {false, 4096, 8192, true},          {true, 64, WINDOW_MAX, true},
        {true, 64, WINDOW_MAX + 64, false}, {true, 4096, WINDOW_MAX, true},
        {true, 8192, 8192, false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct turn dialogue[] = {
            {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
            {BACKEND("")},
        };
        struct turn *reply = &dialogue[1];

        if (row[i].is_ehlo)
            dialogue[0] = (struct turn){CLIENT("EHLO a\n"), TO_BACKEND("EHLO a\r\n")};
        memset(input, 'x', sizeof(input));
        for (size_t at = 0; at < row[i].total; at += row[i].line) {
            memcpy(input + at, at + row[i].line < row[i].total ? "250-" : "250 ", 4);
            memcpy(input + at + row[i].line - 2, "\r\n", 2);
        }
        reply->input = reply->to[SIDE_CLIENT] = (struct span){input, row[i].total};
        if (!row[i].is_good) {
            reply->to[SIDE_CLIENT] = (struct span)SPAN(LOST);
            reply->outcome = VERDICT_CLOSE;
            reply->end = END_BACKEND_LOST;
            reply->notes = 1u << NOTE_BACKEND_REPLY;
        }
        PLAY(&policy, PLAY_FROM_GATE, dialogue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_pass),
        cmocka_unit_test(lone_lf_becomes_crlf),
        cmocka_unit_test(unfinished_lines_wait),
        cmocka_unit_test(a_reply_that_is_none),
        cmocka_unit_test(a_code_that_changes),
        cmocka_unit_test(garbage_in_the_middle_of_a_reply),
        cmocka_unit_test(even_421_must_not_change_the_code),
        cmocka_unit_test(a_reply_to_nothing),
        cmocka_unit_test(a_second_reply),
        cmocka_unit_test(answer_421_when_idle),
        cmocka_unit_test(answer_421_of_several_lines),
        cmocka_unit_test(answer_421_as_an_answer),
        cmocka_unit_test(answer_421_leaves_commands_unanswered),
        cmocka_unit_test(data_is_answered_by_354_alone),
        cmocka_unit_test(another_3xx_to_data),
        cmocka_unit_test(data_is_refused),
        cmocka_unit_test(answer_354_of_several_lines),
        cmocka_unit_test(a_refused_message_is_no_message),
        cmocka_unit_test(a_second),
        cmocka_unit_test(a_final_reply_before_the_end_of_content),
        cmocka_unit_test(an_early_250_is_not_believed),
        cmocka_unit_test(a_reply_without_end_is_none),
        cmocka_unit_test(a_421_during_content),
        cmocka_unit_test(content_is_normalised),
        cmocka_unit_test(smuggled_envelopes_stay_content),
        cmocka_unit_test(a_good_greeting),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend),
        cmocka_unit_test(a_greeting_that_changes_its_mind),
        cmocka_unit_test(octets_behind_the_greeting),
        cmocka_unit_test(a_backend_that_closes_before_it_greets),
        cmocka_unit_test(long_replies_are_violations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
