/* SPDX-License-Identifier: ISC */
/* IMAP before TLS: what each command is answered with, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &imap_protocol
#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "imap.example", .max_errors = 50};
static const struct policy strict = {
    .is_enforced = true, .hostname = "imap.example", .max_errors = 3};

/* `enforced` has the last word. */
static const struct policy contradictory = {
    .is_enforced = true, .may_auth_in_clear = true, .hostname = "imap.example"};

#define MUST     "NO [PRIVACYREQUIRED] Start TLS first\r\n"
#define UNKNOWN  "BAD Command not recognized\r\n"
#define SYNTAX   "BAD Syntax error in arguments\r\n"
#define DIRTY    "BAD Control character inside a command\r\n"
#define LONG     "BAD Command too long\r\n"
#define LARGE    "BAD Literal too large\r\n"
#define GO       "+ OK\r\n"
#define BYE_LOST "* BYE Literal too large\r\n"
#define DONE     "OK Done\r\n"
#define BEGIN    "OK Begin TLS negotiation now\r\n"

static void greets_with_what_it_can(void **state)
{
    static const struct policy named = {
        .is_enforced = true, .hostname = "imap.example", .greeting = "be welcome"};
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, CLIENT),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] imap.example ready\r\n"),
         WAITS_FOR(CLIENT)},
    };
    static const struct turn own_words[] = {
        {EVENT(CONNECTED, CLIENT),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] be welcome\r\n")},
    };
    PLAY(&policy, PLAY_FROM_ACCEPT, dialogue);
    PLAY(&named, PLAY_FROM_ACCEPT, own_words);
}

static void harmless_commands_are_answered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a CAPABILITY\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED\r\na OK Done\r\n")},
        {CLIENT("A.1 capability\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED\r\nA.1 OK Done\r\n")},
        {CLIENT("a NOOP\r\n"), TO_CLIENT("a OK Done\r\n")},
        {CLIENT("a NoOp\r\n"), TO_CLIENT("a OK Done\r\n")},
        {CLIENT("a ID NIL\r\n"), TO_CLIENT("* ID NIL\r\na OK Done\r\n")},
        {CLIENT("a ID (\"name\" \"x\")\r\n"), TO_CLIENT("* ID NIL\r\na OK Done\r\n")},
        {CLIENT("a ID ({4}\r\n"), TO_CLIENT(GO)},
        {CLIENT("name {1}\r\n"), TO_CLIENT(GO)},
        {CLIENT("x)\r\n"), TO_CLIENT("* ID NIL\r\na OK Done\r\n")},
        {CLIENT("b ID ({4}\r\n"), TO_CLIENT(GO)}, /* each command has literals of its own */
        {CLIENT("name NIL)\r\n"), TO_CLIENT("* ID NIL\r\nb OK Done\r\n")},
        {CLIENT("a ID ({4+}\r\nname NIL)\r\n"), TO_CLIENT("* ID NIL\r\na OK Done\r\n")},
        {CLIENT("a LOGOUT\r\n"), TO_CLIENT("* BYE Logging out\r\na OK Done\r\n"),
         CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void commands_that_need_tls_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN u p\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a login \"u\" \"p\"\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGIN\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGIN {1}\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGIN u {1}\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGIN {8+}\r\nb NOOP\r\n p\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a AUTHENTICATE PLAIN\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LANGUAGE de\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGOUT\r\n"), TO_CLIENT("* BYE Logging out\r\na OK Done\r\n"),
         CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    PLAY(&contradictory, PLAY_FROM_GREETING, dialogue);
}

static void what_is_no_command_is_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a SELECT inbox\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a NOOPX\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a  NOOP\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a \r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a \"NOOP\"\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a NOOP{1}\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a UID FETCH 1 FLAGS\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a APPEND x {5}\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a APPEND x {8+}\r\nb NOOP\r\n\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("a GET /\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT(" a NOOP\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT("+ NOOP\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT("a+ NOOP\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT("* NOOP\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT("{1+}\r\nx NOOP\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT("a\tNOOP\r\n"), TO_CLIENT("* " UNKNOWN)},
        {CLIENT("0123456789012345678901234567890123456789012345678901234567890123 NOOP\r\n"),
         TO_CLIENT("0123456789012345678901234567890123456789012345678901234567890123 " DONE)},
        {CLIENT("01234567890123456789012345678901234567890123456789012345678901234 NOOP\r\n"),
         TO_CLIENT("* " UNKNOWN)},
        {CLIENT("a NOOP x\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a NOOP \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a CAPABILITY {1}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGOUT now\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a ID\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a ID (\"a\")\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a STARTTLS now\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a STARTTLS \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a STARTTLS {1}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a NO\rOP\r\n"), TO_CLIENT("a " DIRTY)},
        {CLIENT("a NOOP\0\r\n"), TO_CLIENT("a " DIRTY)},
        {CLIENT("a\r NOOP\r\n"), TO_CLIENT("* " DIRTY)},
        {CLIENT("a NOOP\r\r\n"), TO_CLIENT("a " DIRTY)},
        {CLIENT("a LOGIN {1}\r\r\n"), TO_CLIENT("a " DIRTY)},
        {CLIENT("a ID ({4294967296}\r\n"), TO_CLIENT("a " LARGE)},
        {CLIENT("a ID ({16384}\r\n"), TO_CLIENT("a " LARGE)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void a_large_literal_on_its_way_ends_the_session(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("a ID {16384+}\r\n"), TO_CLIENT(BYE_LOST), CLOSES(VIOLATION)},
        {CLIENT("a LOGIN {4294967297+}\r\nb NOOP\r\n"), TO_CLIENT(BYE_LOST), CLOSES(VIOLATION)},
        {CLIENT("x{99999999999999999999-}\r\n"), TO_CLIENT(BYE_LOST), CLOSES(VIOLATION)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, ends, 1);
}

static void a_line_without_end_is_skipped(void **state)
{
    struct player p;
    const struct facts facts = {0};
    static char line[3 * WINDOW_MAX];
    static const struct {
        struct span end, reply;
    } row[] = {
        {SPAN("x\r\n"), SPAN("a " LONG)},
        {SPAN("\n"), SPAN("a " LONG)},
        {SPAN("{5}\r\n"), SPAN("a " LONG)},
        {SPAN("{5+}\r\n"), SPAN(BYE_LOST)},
        {SPAN("{999-}\n"), SPAN(BYE_LOST)},
        {SPAN("x+}\r\n"), SPAN(BYE_LOST)},
        {SPAN("x\r\nb NOOP\r\n"), SPAN("a " LONG "b OK Done\r\n")},
    };

    memset(line, 'x', sizeof line);
    memcpy(line, "a NOOP ", 7);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        for (size_t piece = 1; piece <= 4; piece += 3) {
            player_begin(&p, &imap_protocol, &policy, &facts);
            player_feed(&p, SIDE_CLIENT, line, WINDOW_MAX - 1);
            for (size_t n = 0; n < WINDOW_MAX; n++)
                player_feed(&p, SIDE_CLIENT, "x", 1);
            for (size_t at = 0; at < row[i].end.len; at += piece)
                player_feed(&p, SIDE_CLIENT, row[i].end.data + at,
                            piece < row[i].end.len - at ? piece : row[i].end.len - at);
            assert_int_equal(p.received[SIDE_CLIENT].len, row[i].reply.len);
            assert_memory_equal(p.received[SIDE_CLIENT].data, row[i].reply.data, row[i].reply.len);
            player_clear(&p);
        }
    }
}

static void a_line_too_long_behind_a_literal_is_skipped_to_its_own_end(void **state)
{
    struct player p;
    const struct facts facts = {0};
    static char line[WINDOW_MAX];

    memset(line, 'x', sizeof line);
    memcpy(line, "a ID ({2+}\r\n\n\n", 14);
    for (int i = 0; i < 2; i++) {
        player_begin(&p, &imap_protocol, &policy, &facts);
        player_feed(&p, SIDE_CLIENT, line, i == 0 ? 14 : sizeof line);
        if (i == 0)
            player_feed(&p, SIDE_CLIENT, line + 14, sizeof line - 14);
        assert_int_equal(p.received[SIDE_CLIENT].len, 0);
        player_feed(&p, SIDE_CLIENT, "\r\nb NOOP\r\n", 10);
        assert_int_equal(p.received[SIDE_CLIENT].len, strlen("a " LONG "b OK Done\r\n"));
        player_clear(&p);
    }
}

static void too_many_errors_end_it(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a FOO\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("b LOGIN u p\r\n"), TO_CLIENT("b " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("c FOO\r\nd NOOP\r\n"), TO_CLIENT("c " UNKNOWN "* BYE Too many errors\r\n"),
         CLOSES(TLS_REQUIRED)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, dialogue);
}

static void starttls_begins_tls(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a STARTTLS\r\n"), TO_CLIENT("a " BEGIN), STARTS_TLS, AT_ONCE},
        {EVENT(SECURED, CLIENT), CONNECTS, WAITS_FOR(BACKEND)},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 SASL-IR] hello\r\n"), NOTES(GREETED),
         WAITS_FOR(CLIENT)},
        {CLIENT("b STARTTLS\r\n"), TO_CLIENT("b BAD TLS is already active\r\n")},
        {CLIENT("b STARTTLS now\r\n"), TO_CLIENT("b BAD TLS is already active\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void nothing_from_before_tls_is_carried_over(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a ID ({4}\r\n"), TO_CLIENT(GO)},
        {CLIENT("name NIL)\r\n"), TO_CLIENT("* ID NIL\r\na OK Done\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a STARTTLS\r\n"), TO_CLIENT("a " BEGIN), STARTS_TLS, AT_ONCE},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hello\r\n"), NOTES(GREETED)},
        {CLIENT("a ID ({4}\r\n"), TO_CLIENT(GO)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("* BYE Timeout, closing connection\r\n"),
         CLOSES(TIMEOUT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void octets_behind_starttls_end_it(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("a STARTTLS\r\nb LOGIN u p\r\n"), TO_CLIENT("* BYE Octets behind STARTTLS\r\n"),
         NOTES(INJECTION), CLOSES(VIOLATION), AT_ONCE},
        {CLIENT("a STARTTLS\r\n\x16"), TO_CLIENT("* BYE Octets behind STARTTLS\r\n"),
         NOTES(INJECTION), CLOSES(VIOLATION), AT_ONCE},
        {CLIENT("a STARTTLS\n\n"), TO_CLIENT("* BYE Octets behind STARTTLS\r\n"), NOTES(INJECTION),
         CLOSES(VIOLATION), AT_ONCE},
        {CLIENT("a NOOP\r\nb STARTTLS\r\nc NOOP\r\n"),
         TO_CLIENT("a OK Done\r\n* BYE Octets behind STARTTLS\r\n"), NOTES(INJECTION),
         CLOSES(VIOLATION), AT_ONCE},
        /* A literal is no command. */
        {CLIENT("a LOGIN {12+}\r\na STARTTLS\r\n x\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, ends, 1);
}

static void foreign_peers_get_no_word(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), NOTES(HTTP), CLOSES(VIOLATION)},
        {CLIENT("post http://x HTTP/1.0\n"), NOTES(HTTP), CLOSES(VIOLATION)},
        {CLIENT("CONNECT mail:25 HTTP/1.1\r\n"), NOTES(HTTP), CLOSES(VIOLATION)},
        {CLIENT("\x16\x03\x01\x02\x00\x01"), NOTES(TLS_ON_PLAINTEXT_PORT), CLOSES(VIOLATION)},
        {CLIENT("GET NOOP\r\n"), TO_CLIENT("GET " DONE)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, ends, 1);
}

static void every_end_has_its_words(void **state)
{
    static const struct turn ends[] = {
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("* BYE Timeout, closing connection\r\n"),
         CLOSES(TIMEOUT)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Out of memory, try again later\r\n"),
         CLOSES(ERROR)},
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
    };
    static const struct turn busy[] = {
        {EVENT(BUSY, CLIENT), .reason = END_LIMIT,
         TO_CLIENT("* BYE [UNAVAILABLE] Too busy, try again later\r\n"), CLOSES(LIMIT)},
    };
    static const struct turn told[] = {
        {CLIENT("a LOGIN u p\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("b NOO")},
        {EVENT(EOF, CLIENT), CLOSES(TLS_REQUIRED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, ends, 1);
    PLAY(&policy, PLAY_FROM_ACCEPT, busy);
    PLAY(&policy, PLAY_FROM_GREETING, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greets_with_what_it_can),
        cmocka_unit_test(harmless_commands_are_answered),
        cmocka_unit_test(commands_that_need_tls_are_refused),
        cmocka_unit_test(what_is_no_command_is_refused),
        cmocka_unit_test(a_large_literal_on_its_way_ends_the_session),
        cmocka_unit_test(a_line_without_end_is_skipped),
        cmocka_unit_test(a_line_too_long_behind_a_literal_is_skipped_to_its_own_end),
        cmocka_unit_test(too_many_errors_end_it),
        cmocka_unit_test(starttls_begins_tls),
        cmocka_unit_test(nothing_from_before_tls_is_carried_over),
        cmocka_unit_test(octets_behind_starttls_end_it),
        cmocka_unit_test(foreign_peers_get_no_word),
        cmocka_unit_test(every_end_has_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
