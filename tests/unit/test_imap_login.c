/* SPDX-License-Identifier: ISC */
/* LOGIN: how name and password reach the backend in whatever spelling, and what opens the tunnel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &imap_protocol
#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {.is_enforced = true, .hostname = "x", .max_errors = 50};
static const struct policy strict = {
    .is_enforced = true, .hostname = "x", .max_errors = 50, .max_auth_failures = 2};

#define GO     "+ OK\r\n"
#define SYNTAX "BAD Syntax error in arguments\r\n"
#define LOST   "* BYE [UNAVAILABLE] Mail server lost, try again later\r\n"
#define LARGE  "BAD Literal too large\r\n"

/* Spellings that reach the backend in one piece. */
static void strings_that_every_server_reads_go_as_they_are(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN user pass\r\n"), TO_BACKEND("a LOGIN user pass\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED), WAITS_FOR(CLIENT)},
        {CLIENT("a login \"us er\" \"p\\\"a\\\\s\"\n"),
         TO_BACKEND("a login \"us er\" \"p\\\"a\\\\s\"\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN us%er p*a]ss\r\n"), TO_BACKEND("a LOGIN \"us%er\" \"p*a]ss\"\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN \"\" {0}\r\n"), TO_CLIENT(GO)},
        {CLIENT("\r\n"), TO_BACKEND("a LOGIN \"\" \"\"\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN \"{5}\" \"{3+}\"\r\n"), TO_BACKEND("a LOGIN \"{5}\" \"{3+}\"\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN {4}\r\n"), TO_CLIENT(GO), WAITS_FOR(CLIENT)},
        {CLIENT("user {4}\r\n"), TO_CLIENT(GO)},
        {CLIENT("pa s\r\n"), TO_BACKEND("a LOGIN \"user\" \"pa s\"\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN {4+}\r\nuser {4-}\r\npass\r\n"),
         TO_BACKEND("a LOGIN \"user\" \"pass\"\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void all_others_go_as_literals_of_our_own(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN {2+}\r\nu\" {2+}\r\np\\\r\n"), TO_BACKEND("a LOGIN {2}\r\n"),
         WAITS_FOR(BACKEND)},
        {BACKEND("+ go\r\n"), TO_BACKEND("u\" {2}\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("+\r\n"), TO_BACKEND("p\\\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n"), NOTES(AUTH_FAILED)},
        /* A literal only where it must be one. */
        {CLIENT("b LOGIN {1}\r\n"), TO_CLIENT(GO)},
        {CLIENT("u \"\xc3\xa9\\\"\"\r\n"), TO_BACKEND("b LOGIN \"u\" {3}\r\n")},
        {BACKEND("+ go\r\n"), TO_BACKEND("\xc3\xa9\"\r\n")},
        {BACKEND("b NO no\r\n"), TO_CLIENT("b NO no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("b LOGIN \xe9 \"\t\"\r\nc NOOP\r\n"), TO_BACKEND("b LOGIN {1}\r\n")},
        {BACKEND("+ go\n"), TO_BACKEND("\xe9 {1}\r\n")},
        {BACKEND("+ go\r\n"), TO_BACKEND("\t\r\n")},
        {BACKEND("b OK in\n"), TO_CLIENT("b OK in\r\n"), TO_BACKEND("c NOOP\r\n"), NOTES(AUTH_OK),
         TUNNELS},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_literal_may_look_like_anything(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN {13+}\r\nx LOGIN y {9} {10+}\r\nb STARTTLS\r\n"),
         TO_BACKEND("a LOGIN \"x LOGIN y {9}\" \"b STARTTLS\"\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void long_strings_go_as_literals(void **state)
{
    struct player p;
    const struct facts facts = {.is_secure = true};
    static const char head[] = "a LOGIN u ";
    char line[300];
    const size_t len = 256, at = sizeof head - 1;

    memset(line, 'p', sizeof line);
    memcpy(line, head, at);
    memcpy(line + at + len, "\r\n", 2);
    player_begin(&p, &imap_protocol, &policy, &facts);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, "* OK x\r\n", 8);
    player_feed(&p, SIDE_CLIENT, line, at + len + 2);
    assert_int_equal(p.received[SIDE_BACKEND].len, strlen("a LOGIN u {256}\r\n"));
    assert_memory_equal(p.received[SIDE_BACKEND].data, "a LOGIN u {256}\r\n", 17);
    player_feed(&p, SIDE_BACKEND, "+ \r\n", 4);
    assert_int_equal(p.received[SIDE_BACKEND].len, 17 + len + 2);
    assert_memory_equal(p.received[SIDE_BACKEND].data + 17, line + at, len + 2);
    player_clear(&p);
}

static void what_no_server_can_want_is_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN {3}\r\n"), TO_CLIENT(GO)},
        {CLIENT("a\rb p\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN {3+}\r\na\nb p\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {3+}\r\na\0b\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN {2+}\r\n\r\n {1}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u p \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u p x\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u  p\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u (p)\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN \"u\"p\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u \"p\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u \"p {5}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u \"p {8+}\r\nb NOOP\r\n\"\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u \"p\\x\"\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u p{5}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u p{8+}\r\nb NOOP\r\n\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u p{5}x\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u ~{5}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u ~{1+}\r\nx\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {1}x\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {-1}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {1++}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {1} \r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LOGIN u {4294967296}\r\n"), TO_CLIENT("a " LARGE)},
        {CLIENT("a LOGIN {1+}\r\nu {16384}\r\n"), TO_CLIENT("a " LARGE)},
        {CLIENT("+ LOGIN u {1}\r\n"), TO_CLIENT("* BAD Command not recognized\r\n")},
        {CLIENT("a NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_literal_refused_by_the_backend_ends_the_command(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN {1+}\r\n\" {1+}\r\n\"\r\nb NOOP\r\n"), TO_BACKEND("a LOGIN {1}\r\n")},
        {BACKEND("* OK [ALERT] wait\r\n"), TO_CLIENT("* OK [ALERT] wait\r\n")},
        {BACKEND("a NO too big\r\n"), TO_CLIENT("a NO too big\r\n"), TO_BACKEND("b NOOP\r\n"),
         WAITS_FOR(BACKEND)},
        {BACKEND("b OK\r\n"), TO_CLIENT("b OK\r\n")},
        {CLIENT("a LOGIN {1}\r\n"), TO_CLIENT(GO)},
        {CLIENT("\" {1}\r\n"), TO_CLIENT(GO)},
        {CLIENT("\"\r\n"), TO_BACKEND("a LOGIN {1}\r\n")},
        {BACKEND("+ go\r\n"), TO_BACKEND("\" {1}\r\n")},
        {BACKEND("a BAD no literals here\r\n"), TO_CLIENT("a BAD no literals here\r\n"),
         WAITS_FOR(CLIENT)},
        {CLIENT("c LOGIN {1}\r\n"), TO_CLIENT(GO)},
        {CLIENT("u p\r\nd SELECT x\r\n"), TO_BACKEND("c LOGIN \"u\" p\r\n")},
        {BACKEND("c OK in\r\n"), TO_CLIENT("c OK in\r\n"), TO_BACKEND("d SELECT x\r\n"),
         NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn beginning[] = {
        {CLIENT("a LOGIN {1+}\r\n\" p\r\n"), TO_BACKEND("a LOGIN {1}\r\n")},
    };
    static const struct turn ends[] = {
        /* It has no name yet, and no password. */
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("b NO in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("+ go\r\na NO x\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST),
         AT_ONCE},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, ends);
}

static void one_command_is_outstanding_at_a_time(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a NOOP\r\nb CAPABILITY\r\nb LOGIN u p\r\nb SELECT x\r\nb IDLE\r\n"),
         TO_BACKEND("a NOOP\r\n")},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\n"), TO_BACKEND("b CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY IMAP4rev1\r\n"), TO_CLIENT("* CAPABILITY IMAP4rev1\r\n")},
        {BACKEND("b OK x\r\n"), TO_CLIENT("b OK x\r\n"), TO_BACKEND("b LOGIN u p\r\n")},
        {BACKEND("* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE\r\n")},
        {BACKEND("b OK in\r\n+ idling\r\nb OK x\r\n"),
         TO_CLIENT("b OK in\r\n+ idling\r\nb OK x\r\n"), TO_BACKEND("b SELECT x\r\nb IDLE\r\n"),
         NOTES(AUTH_OK), TUNNELS},
        {CLIENT("\0\xff anything {"), TO_BACKEND("\0\xff anything {")},
        {BACKEND("x STARTTLS\r"), TO_CLIENT("x STARTTLS\r")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void only_the_answer_to_the_login_opens_the_tunnel(void **state)
{
    static const struct turn ends[] = {
        {BACKEND("b OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("A OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a  OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a OKAY\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a PREAUTH in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a BYE\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("* PREAUTH in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("+ go on\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("+go on\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a OK x\ry\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("a OK in {5}\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("* OK in {5+}\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
        {BACKEND("* OK in\r\n"), TO_CLIENT("* OK in\r\n")},
        {BACKEND("a ok in\n"), TO_CLIENT("a ok in\r\n"), NOTES(AUTH_OK), TUNNELS},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\n"), NOTES(AUTH_OK), TUNNELS},
        {BACKEND("* ID (\"a\" {9}\r\na OK in\r\n)\r\na OK in\r\n"),
         TO_CLIENT("* ID (\"a\" {9}\r\na OK in\r\n)\r\na OK in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn beginning[] = {
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
    };
    static const struct turn noop[] = {
        {CLIENT("a NOOP\r\nb NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), TO_BACKEND("b NOOP\r\n")},
    };
    static const struct turn unasked[] = {
        {BACKEND("a OK in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, ends);
    PLAY(&policy, PLAY_FROM_GATE, noop);
    PLAY(&policy, PLAY_FROM_GATE, unasked);
}

static void failed_logins_are_counted(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a NO [UNAVAILABLE] later\r\n"), TO_CLIENT("a NO [UNAVAILABLE] later\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a BAD what?\r\n"), TO_CLIENT("a BAD what?\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a NO [AUTHENTICATIONFAILED] no\r\n"),
         TO_CLIENT("a NO [AUTHENTICATIONFAILED] no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n")},
        {CLIENT("a LOGIN u p\r\nb NOOP\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\n* BYE Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    static const struct turn unreachable[] = {
        {EVENT(BACKEND_FAILED, CLIENT), .reason = END_BACKEND_REFUSED,
         TO_CLIENT("* BYE [UNAVAILABLE] No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_REFUSED)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
    PLAY(&strict, PLAY_FROM_SECURED, unreachable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_that_every_server_reads_go_as_they_are),
        cmocka_unit_test(all_others_go_as_literals_of_our_own),
        cmocka_unit_test(a_literal_may_look_like_anything),
        cmocka_unit_test(long_strings_go_as_literals),
        cmocka_unit_test(what_no_server_can_want_is_refused),
        cmocka_unit_test(a_literal_refused_by_the_backend_ends_the_command),
        cmocka_unit_test(one_command_is_outstanding_at_a_time),
        cmocka_unit_test(only_the_answer_to_the_login_opens_the_tunnel),
        cmocka_unit_test(failed_logins_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
