/* SPDX-License-Identifier: ISC */
/* SMTP inside TLS: what a backend may say, what becomes of it, and how sessions end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};

#define MUST    "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define DIRTY   "500 5.5.2 CR or NUL inside a command\r\n"
#define LONG    "500 5.5.2 Line too long\r\n"
#define SPOOF   "550 5.7.1 Not allowed\r\n"
#define NOT_NOW "502 5.5.1 Command not implemented\r\n"
#define ERRORS  "421 4.7.0 Too many errors\r\n"
#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"
#define TIMEOUT "421 4.4.2 Timeout, closing connection\r\n"
static const char *const hidden[] = {"DSN", "X-LEGACY"};
static const struct policy hiding = {.is_enforced = true,
                                     .hostname = "mx.example",
                                     .relay = RELAY_BACKEND,
                                     .hide_capabilities = {hidden, 2}};
#define REFUSED "421 4.4.1 No mail server answers, try again later\r\n"

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

static void a_reply_that_is_none_0(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("garbage\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_1(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("25 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_2(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_3(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250\tx\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_4(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_5(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("2a0 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_6(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("150 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_7(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("650 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_8(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_9(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("350 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_10(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("300 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_11(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\rb\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_12(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\0b\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_reply_that_is_none_13(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\r\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
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

static void a_second_354(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n.\r\n"), TO_BACKEND("a\r\n.\r\n")},
        {BACKEND("354 more\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
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

static void an_early_250_too(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n"), TO_BACKEND("a\r\n")},
        {BACKEND("250-a\n250 b\n"), TO_CLIENT("250-a\r\n250 b\r\n"), RESETS(BACKEND_LOST),
         NOTES(MESSAGE)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
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

static void a_good_greeting_0(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_good_greeting_1(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_good_greeting_2(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-a\r\n220-b\n220 c\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_0(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("421 x\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_1(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("554 x\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_2(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("250 x\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_3(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("HELLO\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_4(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("354 x\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_6(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_7(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("2200 x\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_8(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 a\0\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_bad_greeting_asks_for_the_next_backend_9(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220\tx\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_greeting_that_changes_its_mind(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-x\r\n554 y\r\n"), CONNECTS},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void octets_behind_the_greeting(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n250 y\r\n"), CONNECTS, AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void a_backend_that_closes_before_it_greets(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-x\r\n")},
        {EVENT(EOF, BACKEND), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {EVENT(LOST, BACKEND), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void no_backend_is_left(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_REFUSED, TO_CLIENT(REFUSED),
         CLOSES(BACKEND_REFUSED)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void no_backend_is_reached(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_UNREACHABLE, TO_CLIENT(REFUSED),
         CLOSES(BACKEND_UNREACHABLE)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void the_client_leaves_while_connecting(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void the_client_says_all_while_connecting(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nQUIT\r\n")},
        {EVENT(EOF, CLIENT)},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED), TO_BACKEND("NOOP\r\nQUIT\r\n")},
        {BACKEND("250 x\r\n221 y\r\n"), TO_CLIENT("250 x\r\n221 y\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void drain_while_connecting(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

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
                 "REQUIRETLS\r\n250-AUTH\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-BURL\r\n250 "
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
        {BACKEND("250-x\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n"),
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
                 "LOGIN\r\n250-AUTH=LOGIN\r\n250 CHUNKING\r\n"),
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
                 "REQUIRETLS\n250-AUTH\n250-CHUNKING\n250-BINARYMIME\n250-BURL\n250 ETRN\n"),
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
        {BACKEND("250-x\n250-STARTTLS\n250-PIPELINING\n250 AUTH PLAIN\n"),
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
                 "LOGIN\n250-AUTH=LOGIN\n250 CHUNKING\n"),
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
         TO_CLIENT("250-x\r\n250-STARTTLSX\r\n250-X-AUTH\r\n250 SMTPUTF8\r\n")},
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
        {BACKEND("251-x\r\n251-AUTH PLAIN\r\n251-SIZE\r\n251 STARTTLS\r\n"),
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
        {BACKEND("250-\r\n250-STARTTLS\r\n250\r\n"), TO_CLIENT("250-\r\n250\r\n")},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250\r\n"), TO_CLIENT("250\r\n")},
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
        {BACKEND("250-x\n250-AUTH A\n")},
        {BACKEND("250 DSN\n"), TO_CLIENT("250-x\r\n250 DSN\r\n" UNKNOWN)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOO")},
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_waits_for_replies(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {CLIENT("RSET\r\nNOO"), TO_BACKEND("RSET\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {BACKEND("250-b\r\n250 c\n"), TO_CLIENT("250-b\r\n250 c\r\n"), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_after_quit(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("QUIT\r\n"), TO_BACKEND("QUIT\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("221 a\r\n"), TO_CLIENT("221 a\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_in_content_resets(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n."), TO_BACKEND("a\r\n")},
        {EVENT(EOF, CLIENT), RESETS(CLIENT_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_before_354_resets(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n"), RESETS(CLIENT_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_behind_a_whole_session(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\na\r\n.\r\nQUIT\r\n"), TO_BACKEND("DATA\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n"), TO_BACKEND("a\r\n.\r\nQUIT\r\n")},
        {BACKEND("250 m\r\n221 q\r\n"), TO_CLIENT("250 m\r\n221 q\r\n"), NOTES(MESSAGE),
         CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_behind_half_a_message(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\na\r\n"), TO_BACKEND("DATA\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n"), TO_BACKEND("a\r\n"), RESETS(CLIENT_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_behind_a_refused_command(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n" UNKNOWN), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_eof_with_a_command_unanswered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("25")},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_eof_in_the_middle_of_a_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n"), TO_CLIENT("250-a\r\n")},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_eof_in_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a"), TO_BACKEND("a")},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), RESETS(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_eof_before_ehlo_is_whole(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-a\r\n")},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_lost_with_a_command_unanswered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("25")},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_lost_in_the_middle_of_a_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n"), TO_CLIENT("250-a\r\n")},
        {EVENT(LOST, BACKEND), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_lost_in_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a"), TO_BACKEND("a")},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), RESETS(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_lost_before_ehlo_is_whole(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-a\r\n")},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_eof_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void backend_lost_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void deadline_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), CLOSES(TIMEOUT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void deadline_in_a_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n"), TO_CLIENT("250-a\r\n")},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void deadline_in_content(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a"), TO_BACKEND("a")},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), RESETS(TIMEOUT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
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
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
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
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
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
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
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
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
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
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("RSET x\r\n"), TO_BACKEND("RSET x\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
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

static void waiting_says_for_whom(void **state)
{
    static const struct {
        enum side side;
        const char *input;
        enum waiting waiting;
    } row[] = {
        {SIDE_BACKEND, "220 x\r\n", WAITING_CLIENT},  {SIDE_CLIENT, "NO", WAITING_CLIENT},
        {SIDE_CLIENT, "OP\r\n", WAITING_BACKEND},     {SIDE_BACKEND, "250-x\r\n", WAITING_BACKEND},
        {SIDE_BACKEND, "250 x\r\n", WAITING_CLIENT},  {SIDE_CLIENT, "BDAT 2\r\n", WAITING_CONTENT},
        {SIDE_CLIENT, "xy", WAITING_CLIENT},          {SIDE_CLIENT, "DATA\r\n", WAITING_BACKEND},
        {SIDE_BACKEND, "354 x\r\n", WAITING_CONTENT}, {SIDE_CLIENT, "x\r\n", WAITING_CONTENT},
        {SIDE_CLIENT, ".\r\n", WAITING_BACKEND},      {SIDE_BACKEND, "250 x\r\n", WAITING_CLIENT},
    };
    struct player p;

    player_init(&p, &smtp_protocol, &policy, false);
    assert_int_equal(smtp_protocol.waiting(p.machine), WAITING_CLIENT);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    assert_int_equal(smtp_protocol.waiting(p.machine), WAITING_BACKEND);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        player_feed(&p, row[i].side, row[i].input, strlen(row[i].input));
        assert_int_equal(smtp_protocol.waiting(p.machine), row[i].waiting);
    }
    player_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_pass),
        cmocka_unit_test(lone_lf_becomes_crlf),
        cmocka_unit_test(unfinished_lines_wait),
        cmocka_unit_test(a_reply_that_is_none_0),
        cmocka_unit_test(a_reply_that_is_none_1),
        cmocka_unit_test(a_reply_that_is_none_2),
        cmocka_unit_test(a_reply_that_is_none_3),
        cmocka_unit_test(a_reply_that_is_none_4),
        cmocka_unit_test(a_reply_that_is_none_5),
        cmocka_unit_test(a_reply_that_is_none_6),
        cmocka_unit_test(a_reply_that_is_none_7),
        cmocka_unit_test(a_reply_that_is_none_8),
        cmocka_unit_test(a_reply_that_is_none_9),
        cmocka_unit_test(a_reply_that_is_none_10),
        cmocka_unit_test(a_reply_that_is_none_11),
        cmocka_unit_test(a_reply_that_is_none_12),
        cmocka_unit_test(a_reply_that_is_none_13),
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
        cmocka_unit_test(a_second_354),
        cmocka_unit_test(a_final_reply_before_the_end_of_content),
        cmocka_unit_test(an_early_250_too),
        cmocka_unit_test(a_421_during_content),
        cmocka_unit_test(content_is_normalised),
        cmocka_unit_test(smuggled_envelopes_stay_content),
        cmocka_unit_test(a_good_greeting_0),
        cmocka_unit_test(a_good_greeting_1),
        cmocka_unit_test(a_good_greeting_2),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_0),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_1),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_2),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_3),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_4),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_6),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_7),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_8),
        cmocka_unit_test(a_bad_greeting_asks_for_the_next_backend_9),
        cmocka_unit_test(a_greeting_that_changes_its_mind),
        cmocka_unit_test(octets_behind_the_greeting),
        cmocka_unit_test(a_backend_that_closes_before_it_greets),
        cmocka_unit_test(no_backend_is_left),
        cmocka_unit_test(no_backend_is_reached),
        cmocka_unit_test(the_client_leaves_while_connecting),
        cmocka_unit_test(the_client_says_all_while_connecting),
        cmocka_unit_test(drain_while_connecting),
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
        cmocka_unit_test(client_eof_when_idle),
        cmocka_unit_test(client_eof_waits_for_replies),
        cmocka_unit_test(client_eof_after_quit),
        cmocka_unit_test(client_eof_in_content_resets),
        cmocka_unit_test(client_eof_before_354_resets),
        cmocka_unit_test(client_eof_behind_a_whole_session),
        cmocka_unit_test(client_eof_behind_half_a_message),
        cmocka_unit_test(client_eof_behind_a_refused_command),
        cmocka_unit_test(backend_eof_with_a_command_unanswered),
        cmocka_unit_test(backend_eof_in_the_middle_of_a_reply),
        cmocka_unit_test(backend_eof_in_content),
        cmocka_unit_test(backend_eof_before_ehlo_is_whole),
        cmocka_unit_test(backend_lost_with_a_command_unanswered),
        cmocka_unit_test(backend_lost_in_the_middle_of_a_reply),
        cmocka_unit_test(backend_lost_in_content),
        cmocka_unit_test(backend_lost_before_ehlo_is_whole),
        cmocka_unit_test(backend_eof_when_idle),
        cmocka_unit_test(backend_lost_when_idle),
        cmocka_unit_test(deadline_when_idle),
        cmocka_unit_test(deadline_in_a_reply),
        cmocka_unit_test(deadline_in_content),
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
        cmocka_unit_test(long_replies_are_violations),
        cmocka_unit_test(waiting_says_for_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
