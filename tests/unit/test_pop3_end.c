/* SPDX-License-Identifier: ISC */
/* How POP3 sessions end, with what last words, and for whom they wait until then. */
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

#define LOST   "-ERR [SYS/TEMP] Mail server lost, try again later\r\n"
#define DRAIN  "-ERR [SYS/TEMP] Shutting down, try again later\r\n"
#define BUSY   "-ERR [SYS/TEMP] Too busy, try again later\r\n"
#define MEMORY "-ERR [SYS/TEMP] Out of memory, try again later\r\n"
#define NOBODY "-ERR [SYS/TEMP] No mail server answers, try again later\r\n"
#define OK     "+OK x\r\n"

static void before_a_backend_is_there(void **state)
{
    static const struct turn row[] = {
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_UNREACHABLE, TO_CLIENT(NOBODY),
         CLOSES(BACKEND_UNREACHABLE)},
        {EVENT(BUSY, BACKEND), .reason = END_LIMIT, TO_CLIENT(BUSY), CLOSES(LIMIT)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT(MEMORY), CLOSES(ERROR)},
    };
    static const struct turn busy[] = {
        {EVENT(BUSY, CLIENT), .reason = END_LIMIT, TO_CLIENT(BUSY), CLOSES(LIMIT)},
    };
    PLAY_EACH(&policy, PLAY_FROM_SECURED, row, 1);
    PLAY_EACH(&implicit, PLAY_FROM_SECURED, row, 1);
    PLAY_EACH(&none, PLAY_FROM_SECURED, row, 1);
    PLAY(&none, PLAY_FROM_ACCEPT, busy);
    PLAY(&implicit, PLAY_FROM_ACCEPT, busy);
}

static void when_idle(void **state)
{
    static const struct turn row[] = {
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT(MEMORY), CLOSES(ERROR)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void with_a_command_unanswered(void **state)
{
    static const struct turn beginning[] = {
        {CLIENT("NOOP\r\nUSER a\r\nPA"), TO_BACKEND("NOOP\r\nUSER a\r\n")},
        {BACKEND("+OK 1\r\n+O"), TO_CLIENT("+OK 1\r\n"), WAITS_FOR(BACKEND)},
    };
    static const struct turn row[] = {
        {EVENT(EOF, CLIENT)},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
        {EVENT(DRAIN, CLIENT)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT(MEMORY), CLOSES(ERROR)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, row);
}

static void in_an_exchange(void **state)
{
    static const struct turn beginning[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("YQ="), WAITS_FOR(CLIENT)},
    };
    static const struct turn row[] = {
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
        {EVENT(DRAIN, CLIENT)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, row);
}

static void in_a_list(void **state)
{
    static const struct turn beginning[] = {
        {CLIENT("CAPA\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nTOP\r\n"), WAITS_FOR(BACKEND)},
    };
    static const struct turn row[] = {
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAIN), CLOSES(DRAINED)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, row);
}

static void client_eof_waits_for_replies(void **state)
{
    static const struct turn idle[] = {
        {CLIENT("NOOP\r\nUSER a\r\nPA"), TO_BACKEND("NOOP\r\nUSER a\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("+OK 1\r\n"), TO_CLIENT("+OK 1\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("+OK 2\r\n"), TO_CLIENT("+OK 2\r\n"), TO_BACKEND("QUIT\r\n"),
         CLOSES(CLIENT_CLOSED)},
    };
    static const struct turn quit[] = {
        {CLIENT("NOOP\r\nQUIT\r\n"), TO_BACKEND("NOOP\r\nQUIT\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("+OK 1\r\n+OK 2\r\n"), TO_CLIENT("+OK 1\r\n+OK 2\r\n"), CLOSES(CLIENT_QUIT)},
    };
    static const struct turn login[] = {
        {CLIENT("PASS a\r\nQUIT\r\n"), TO_BACKEND("PASS a\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND(OK), TO_CLIENT(OK), TO_BACKEND("QUIT\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn failed[] = {
        {CLIENT("PASS a\r\n"), TO_BACKEND("PASS a\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n"), TO_BACKEND("QUIT\r\n"), NOTES(AUTH_FAILED),
         CLOSES(CLIENT_CLOSED)},
    };
    static const struct turn exchange[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n"), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, idle);
    PLAY(&policy, PLAY_FROM_GATE, quit);
    PLAY(&policy, PLAY_FROM_GATE, login);
    PLAY(&policy, PLAY_FROM_GATE, failed);
    PLAY(&policy, PLAY_FROM_GATE, exchange);
}

static void a_drain_waits_for_replies(void **state)
{
    static const struct turn idle[] = {
        {CLIENT("NOOP\r\nUSER a\r\n"), TO_BACKEND("NOOP\r\nUSER a\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("+OK 1\r\n"), TO_CLIENT("+OK 1\r\n")},
        {BACKEND("+OK 2\r\n"), TO_CLIENT("+OK 2\r\n" DRAIN), CLOSES(DRAINED)},
    };
    static const struct turn login[] = {
        {CLIENT("PASS a\r\n"), TO_BACKEND("PASS a\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND(OK), TO_CLIENT(OK), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn exchange[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("+ \r\n"), TO_CLIENT("+ \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT("-ERR\r\n" DRAIN), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, idle);
    PLAY(&policy, PLAY_FROM_GATE, login);
    PLAY(&policy, PLAY_FROM_GATE, exchange);
}

static void backend_eof_behind_all_replies(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND(OK), TO_CLIENT(OK)},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_long_line_is_content(void **state)
{
    static char text[5000];
    struct player p;

    memset(text, 'x', sizeof text);
    player_init(&p, &pop3_protocol, &policy, false);
    player_feed(&p, SIDE_CLIENT, text, sizeof text);
    assert_int_equal(pop3_protocol.waiting(p.machine), WAITING_CONTENT);
    player_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_backend_is_there),
        cmocka_unit_test(when_idle),
        cmocka_unit_test(with_a_command_unanswered),
        cmocka_unit_test(in_an_exchange),
        cmocka_unit_test(in_a_list),
        cmocka_unit_test(client_eof_waits_for_replies),
        cmocka_unit_test(a_drain_waits_for_replies),
        cmocka_unit_test(backend_eof_behind_all_replies),
        cmocka_unit_test(a_long_line_is_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
