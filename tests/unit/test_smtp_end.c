/* SPDX-License-Identifier: ISC */
/* How SMTP sessions end, by whichever side and at whatever time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};

#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
#define TIMEOUT "421 4.4.2 Timeout, closing connection\r\n"
#define MEMORY  "421 4.3.0 Out of memory, try again later\r\n"
#define REFUSED "421 4.4.1 No mail server answers, try again later\r\n"

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
        {EVENT(EOF, CLIENT)},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), NOTES(GREETED), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
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

static void client_eof_when_idle(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOO")},
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_in_a_transaction(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_eof_in_a_chunk(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("BDAT 10\r\nabc")},
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
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
        {BACKEND("250-b\r\n250 c\n"), TO_CLIENT("250-b\r\n250 c\r\n"), TO_BACKEND("QUIT\r\n"),
         CLOSES(CLIENT_CLOSED)},
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
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n" UNKNOWN), TO_BACKEND("QUIT\r\n"),
         CLOSES(CLIENT_CLOSED)},
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

static void error_when_idle(void **state)
{
    static const struct turn row[] = {
        {EVENT(ERROR, CLIENT), TO_CLIENT(MEMORY), CLOSES(ERROR)},
        {EVENT(ERROR, BACKEND), TO_CLIENT(MEMORY), CLOSES(ERROR)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
    PLAY_EACH(&policy, PLAY_FROM_SECURED, row, 1);
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void error_in_a_reply(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n"), TO_CLIENT("250-a\r\n")},
        {EVENT(ERROR, CLIENT), CLOSES(ERROR)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void error_in_content_resets(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a"), TO_BACKEND("a")},
        {EVENT(ERROR, CLIENT), TO_CLIENT(MEMORY), RESETS(ERROR)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
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
        cmocka_unit_test(no_backend_is_left),
        cmocka_unit_test(no_backend_is_reached),
        cmocka_unit_test(the_client_leaves_while_connecting),
        cmocka_unit_test(the_client_says_all_while_connecting),
        cmocka_unit_test(client_eof_when_idle),
        cmocka_unit_test(client_eof_in_a_transaction),
        cmocka_unit_test(client_eof_in_a_chunk),
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
        cmocka_unit_test(error_when_idle),
        cmocka_unit_test(error_in_a_reply),
        cmocka_unit_test(error_in_content_resets),
        cmocka_unit_test(waiting_says_for_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
