/* SPDX-License-Identifier: ISC */
/* SMTP inside TLS: what of a client may reach the backend, and when. */
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
#define DIRTY   "500 5.5.2 Control character inside a command\r\n"
#define SPOOF   "550 5.7.1 Not allowed\r\n"
#define NO_BDAT "502 5.5.1 BDAT is not available\r\n"
#define ERRORS  "421 4.7.0 Too many errors\r\n"
static const struct policy strict = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 3};
static const struct policy patient = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND};

static void passes(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {CLIENT("NOOP x y\r\n"), TO_BACKEND("NOOP x y\r\n")},
        {CLIENT("HELP\r\n"), TO_BACKEND("HELP\r\n")},
        {CLIENT("HELP MAIL\r\n"), TO_BACKEND("HELP MAIL\r\n")},
        {CLIENT("VRFY a\r\n"), TO_BACKEND("VRFY a\r\n")},
        {CLIENT("EXPN list\r\n"), TO_BACKEND("EXPN list\r\n")},
        {CLIENT("MAIL FROM:<a@b>\r\n"), TO_BACKEND("MAIL FROM:<a@b>\r\n")},
        {CLIENT("mail from:<a@b> SIZE=5 BODY=8BITMIME SMTPUTF8\r\n"),
         TO_BACKEND("mail from:<a@b> SIZE=5 BODY=8BITMIME SMTPUTF8\r\n")},
        {CLIENT("MAIL FROM:<\xc3\xa4@b>\r\n"), TO_BACKEND("MAIL FROM:<\xc3\xa4@b>\r\n")},
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_BACKEND("RCPT TO:<a@b>\r\n")},
        {CLIENT("rcpt to:<a@b> NOTIFY=NEVER\r\n"), TO_BACKEND("rcpt to:<a@b> NOTIFY=NEVER\r\n")},
        {CLIENT("RCPT TO:<@x,@y:a@b>\r\n"), TO_BACKEND("RCPT TO:<@x,@y:a@b>\r\n")},
        {CLIENT("QUIT\r\n"), TO_BACKEND("QUIT\r\n")},
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {CLIENT("DATA\tx\r\n"), TO_BACKEND("DATA\tx\r\n")},
        {CLIENT("NOOP\t\r\n"), TO_BACKEND("NOOP\t\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void passes_with_lone_lf(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\n"), TO_BACKEND("EHLO a\r\n")},
        {CLIENT("HELO a\n"), TO_BACKEND("HELO a\r\n")},
        {CLIENT("RSET\n"), TO_BACKEND("RSET\r\n")},
        {CLIENT("NOOP\n"), TO_BACKEND("NOOP\r\n")},
        {CLIENT("NOOP x y\n"), TO_BACKEND("NOOP x y\r\n")},
        {CLIENT("HELP\n"), TO_BACKEND("HELP\r\n")},
        {CLIENT("HELP MAIL\n"), TO_BACKEND("HELP MAIL\r\n")},
        {CLIENT("VRFY a\n"), TO_BACKEND("VRFY a\r\n")},
        {CLIENT("EXPN list\n"), TO_BACKEND("EXPN list\r\n")},
        {CLIENT("MAIL FROM:<a@b>\n"), TO_BACKEND("MAIL FROM:<a@b>\r\n")},
        {CLIENT("mail from:<a@b> SIZE=5 BODY=8BITMIME SMTPUTF8\n"),
         TO_BACKEND("mail from:<a@b> SIZE=5 BODY=8BITMIME SMTPUTF8\r\n")},
        {CLIENT("MAIL FROM:<\xc3\xa4@b>\n"), TO_BACKEND("MAIL FROM:<\xc3\xa4@b>\r\n")},
        {CLIENT("RCPT TO:<a@b>\n"), TO_BACKEND("RCPT TO:<a@b>\r\n")},
        {CLIENT("rcpt to:<a@b> NOTIFY=NEVER\n"), TO_BACKEND("rcpt to:<a@b> NOTIFY=NEVER\r\n")},
        {CLIENT("RCPT TO:<@x,@y:a@b>\n"), TO_BACKEND("RCPT TO:<@x,@y:a@b>\r\n")},
        {CLIENT("QUIT\n"), TO_BACKEND("QUIT\r\n")},
        {CLIENT("DATA\n"), TO_BACKEND("DATA\r\n")},
        {CLIENT("DATA\tx\n"), TO_BACKEND("DATA\tx\r\n")},
        {CLIENT("NOOP\t\n"), TO_BACKEND("NOOP\t\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void unknown_verbs_never_reach_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT(" NOOP\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("NOOPX\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("FOO\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("XEXCH50 5 2\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("X-ANONYMOUSTLS\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("TURN\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("ATRN\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("X-EXPS GSSAPI\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("SEND FROM:<a>\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("SAML FROM:<a>\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("GET\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("POST x\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("CONNECT\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT(" XCLIENT ADDR=1\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("EHLO-x y\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("BDA\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("\xff\xfb\x01\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("GET / HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
    };
    PLAY(&patient, PLAY_FROM_GATE, dialogue);
}

static void spoofs_never_reach_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("xforward NAME=x\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void dirty_lines_never_reach_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NO\0OP\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP\rXCLIENT ADDR=1\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP\r\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP \vXCLIENT ADDR=1\r\n"), TO_CLIENT(DIRTY)}, /* these end a line to somebody */
        {CLIENT("NOOP \fXCLIENT ADDR=1\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP \x1eXCLIENT ADDR=1\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP \x85XCLIENT ADDR=1\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP \x8d\x8aXCLIENT ADDR=1\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP \x7f\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("RCPT TO:<a@b>\0\n"), TO_CLIENT(DIRTY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void bdat_swallows_and_waits_its_turn(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n" NO_BDAT), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void bdat_size_that_does_not_parse(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("BDAT 5x\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void bdat_size_that_does_not_parse_waits_its_turn(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nBDAT 5x\r\nMAIL"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void own_replies_wait_for_earlier_ones(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\nRSET\r\nBAR\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250-a\r\n250 b\r\n"), TO_CLIENT("250-a\r\n250 b\r\n" UNKNOWN),
         TO_BACKEND("RSET\r\n")},
        {BACKEND("250 c\r\n"), TO_CLIENT("250 c\r\n" UNKNOWN)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void pipelined_commands_flow(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"),
         TO_BACKEND("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n")},
        {BACKEND("250 1\r\n250 2\r\n550 3\r\n354 4\r\n"),
         TO_CLIENT("250 1\r\n250 2\r\n550 3\r\n354 4\r\n"), NOTES(ADMITTED)},
        {CLIENT("hi\r\n.\r\nQUIT\r\n"), TO_BACKEND("hi\r\n.\r\nQUIT\r\n")},
        {BACKEND("250 5\r\n"), TO_CLIENT("250 5\r\n"), NOTES(MESSAGE)},
        {BACKEND("221 6\r\n"), TO_CLIENT("221 6\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void nothing_flows_behind_data(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\nRSET\r\n.\r\nNOOP\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n"), TO_BACKEND("RSET\r\n.\r\nNOOP\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n"), NOTES(MESSAGE)},
        {BACKEND("250 n\r\n"), TO_CLIENT("250 n\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void refused_data_leaves_commands(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\nRSET\r\n.\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("503 no\r\n"), TO_CLIENT("503 no\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 n\r\n"), TO_CLIENT("250 n\r\n" UNKNOWN)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void nothing_flows_behind_quit(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("QUIT\r\nMAIL FROM:<a>\r\n"), TO_BACKEND("QUIT\r\n")},
        {BACKEND("221 bye\r\n"), TO_CLIENT("221 bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void refused_quit_goes_on(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("QUIT x\r\nNOOP\r\n"), TO_BACKEND("QUIT x\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void client_waits_for_the_greeting(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-hi\r\n220-there\n220 you\r\n"), TO_BACKEND("NOOP\r\n"), NOTES(GREETED)},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n" UNKNOWN)},
    };
    PLAY(&policy, PLAY_FROM_SECURED, dialogue);
}

static void errors_end_the_session(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("A\r\nB\r\nNOOP\r\nC\r\nD\r\n"), TO_CLIENT(UNKNOWN UNKNOWN),
         TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n" UNKNOWN ERRORS), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

static void tls_client_hello_inside_tls_is_a_line(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("\x16\x03\x01\n"), TO_CLIENT(DIRTY)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void the_101st_command_waits(void **state)
{
    struct player p;

    player_init(&p, &smtp_protocol, &policy, false);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, "220 x\r\n", 7);
    for (size_t round = 0; round < 3; round++) {
        octets_clear(&p.received[SIDE_BACKEND]);
        for (size_t i = 0; i < 105; i++)
            player_feed(&p, SIDE_CLIENT, "NOOP\r\n", 6);
        assert_int_equal(p.received[SIDE_BACKEND].len, 100 * 6);
        assert_true(p.is_held[SIDE_CLIENT]);
        assert_int_equal(smtp_protocol.waiting(p.machine), WAITING_BACKEND);
        for (size_t i = 0; i < 4; i++)
            player_feed(&p, SIDE_BACKEND, "250 x\r\n", 7);
        assert_int_equal(p.received[SIDE_BACKEND].len, 104 * 6);
        for (size_t i = 0; i < 101; i++)
            player_feed(&p, SIDE_BACKEND, "250 x\r\n", 7);
        assert_int_equal(p.received[SIDE_BACKEND].len, 105 * 6);
        assert_int_equal(smtp_protocol.waiting(p.machine), WAITING_CLIENT);
    }
    player_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes),
        cmocka_unit_test(passes_with_lone_lf),
        cmocka_unit_test(unknown_verbs_never_reach_the_backend),
        cmocka_unit_test(spoofs_never_reach_the_backend),
        cmocka_unit_test(dirty_lines_never_reach_the_backend),
        cmocka_unit_test(bdat_swallows_and_waits_its_turn),
        cmocka_unit_test(bdat_size_that_does_not_parse),
        cmocka_unit_test(bdat_size_that_does_not_parse_waits_its_turn),
        cmocka_unit_test(own_replies_wait_for_earlier_ones),
        cmocka_unit_test(pipelined_commands_flow),
        cmocka_unit_test(nothing_flows_behind_data),
        cmocka_unit_test(refused_data_leaves_commands),
        cmocka_unit_test(nothing_flows_behind_quit),
        cmocka_unit_test(refused_quit_goes_on),
        cmocka_unit_test(client_waits_for_the_greeting),
        cmocka_unit_test(errors_end_the_session),
        cmocka_unit_test(tls_client_hello_inside_tls_is_a_line),
        cmocka_unit_test(the_101st_command_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
