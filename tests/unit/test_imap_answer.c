/* SPDX-License-Identifier: ISC */
/* What a backend says before login: its greeting, capabilities wherever they appear, data with
 * literals, goodbyes, and what no server may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &imap_protocol
#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {.is_enforced = true, .hostname = "x", .max_errors = 50};
static const struct policy implicit = {.tls = FRONT_IMPLICIT, .hostname = "x"};
static const struct policy named = {.tls = FRONT_IMPLICIT, .hostname = "x", .greeting = "welcome"};
static const struct policy clear = {.tls = FRONT_NONE, .hostname = "x"};
static const char *const hide[] = {"idle", "AUTH=LOGIN", "COMPRESS", "X", "ID", "Language"};
static const struct policy hiding = {
    .tls = FRONT_IMPLICIT, .hostname = "x", .hide_capabilities = {hide, 6}};

#define LOST     "* BYE [UNAVAILABLE] Mail server lost, try again later\r\n"
#define VIOLATES TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)

static void a_greeting_is_passed_on_where_the_client_had_none(void **state)
{
    static const struct turn passes[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN "
                 "AUTH=SCRAM-SHA-256-PLUS AUTH=EXTERNAL AUTH=GSSAPI SASL-IR COMPRESS=DEFLATE IDLE] "
                 "Dovecot ready.\r\n"),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=GSSAPI SASL-IR IDLE] Dovecot "
                   "ready.\r\n"),
         NOTES(GREETED), WAITS_FOR(CLIENT)},
    };
    static const struct turn simple[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* ok hi\n"), TO_CLIENT("* ok hi\r\n"), NOTES(GREETED)},
        {CLIENT("a NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
    };
    static const struct turn own_words[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot [x] ready.\r\n"),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1] welcome\r\n"), NOTES(GREETED)},
    };
    static const struct turn only_words[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [ALERT] hi\r\n"), TO_CLIENT("* OK welcome\r\n"), NOTES(GREETED)},
    };
    static const struct turn in_clear[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n"),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n"), NOTES(GREETED)},
        {CLIENT("a STARTTLS\r\n"), TO_CLIENT("a BAD Command not recognized\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
    };
    PLAY(&implicit, PLAY_FROM_SECURED, passes);
    PLAY(&implicit, PLAY_FROM_SECURED, simple);
    PLAY(&named, PLAY_FROM_SECURED, own_words);
    PLAY(&named, PLAY_FROM_SECURED, only_words);
    PLAY(&clear, PLAY_FROM_SECURED, in_clear);
}

static void a_bad_greeting_sends_us_to_the_next_backend(void **state)
{
    static const struct turn table[] = {
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* PREAUTH in\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* BYE busy\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* NO\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* CAPABILITY IMAP4rev1\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("a OK hi\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("+ OK hi\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("220 smtp\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* OK x\0\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* OK {5}\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* OK [CAPABILITY IMAP4rev1\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("* OK hi\r\n* OK ho\r\n"), TRIES_NEXT, AT_ONCE},
        {EVENT(CONNECTED, BACKEND)}, {EVENT(EOF, BACKEND), TRIES_NEXT},
    };
    PLAY_EACH(&implicit, PLAY_FROM_SECURED, table, 2);
    PLAY_EACH(&policy, PLAY_FROM_SECURED, table, 2);
}

static void capabilities_are_rewritten_wherever_they_appear(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a CAPABILITY\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=plain auth=external\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 AUTH=plain\r\n")},
        {BACKEND("* capability  IMAP4rev1  starttls \n"), TO_CLIENT("* capability IMAP4rev1\r\n")},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n"),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1] x\r\n")},
        {BACKEND("* NO  [ capability STARTTLS IMAP4rev1] x\r\n"),
         TO_CLIENT("* NO  [ capability IMAP4rev1] x\r\n")},
        {BACKEND("* BAD [CAPABILITY STARTTLS]\r\n"), TO_CLIENT("* BAD [CAPABILITY]\r\n")},
        {BACKEND("* CAPABILITY\r\n"), TO_CLIENT("* CAPABILITY\r\n")},
        {BACKEND("* OK [ALERT] STARTTLS\r\n"), TO_CLIENT("* OK [ALERT] STARTTLS\r\n")},
        {BACKEND("* OK [BADCHARSET (\"]\")] x\r\n"), TO_CLIENT("* OK [BADCHARSET (\"]\")] x\r\n")},
        {BACKEND("a OK [CAPABILITY COMPRESS=DEFLATE IDLE] x\r\n"),
         TO_CLIENT("a OK [CAPABILITY IDLE] x\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("* CAPABILITY STARTTLS COMPRESS=DEFLATE\r\n"),
         TO_CLIENT("* CAPABILITY COMPRESS=DEFLATE\r\n")},
        {BACKEND("* OK [CAPABILITY STARTTLS COMPRESS=DEFLATE]\r\n"),
         TO_CLIENT("* OK [CAPABILITY]\r\n")},
        {BACKEND("a NO [CAPABILITY IMAP4rev1 STARTTLS COMPRESS=DEFLATE] x\r\n"),
         TO_CLIENT("a NO [CAPABILITY IMAP4rev1] x\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED COMPRESS=DEFLATE] in\r\n"),
         TO_CLIENT("a OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn hidden[] = {
        {CLIENT("a CAPABILITY\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY IDLE XY X X=1 AUTH=LOGIN AUTH=PLAIN\r\n"),
         TO_CLIENT("* CAPABILITY XY AUTH=PLAIN\r\n")},
        {BACKEND("a OK x\r\n"), TO_CLIENT("a OK x\r\n")},
        {CLIENT("a ID NIL\r\n"), TO_CLIENT("a BAD Command not available\r\n")},
        {CLIENT("a LANGUAGE de\r\n"), TO_CLIENT("a BAD Command not available\r\n")},
        {CLIENT("a CAPABILITY\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY A]B [CAPABILITY XY (Z \"\r\na OK x\r\n"),
         TO_CLIENT("* CAPABILITY [CAPABILITY XY\r\na OK x\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("a OK [CAPABILITY IDLE COMPRESS=DEFLATE XY] in\r\n"),
         TO_CLIENT("a OK [CAPABILITY XY] in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&hiding, PLAY_FROM_GATE, hidden);
}

static void literals_of_a_backend_are_no_lines(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a ID NIL\r\n"), TO_BACKEND("a ID NIL\r\n")},
        {BACKEND("* ID (\"name\" {9}\r\na OK x\r\n\r {0}\r\n \"v\" NIL)\r\n"),
         TO_CLIENT("* ID (\"name\" {9}\r\na OK x\r\n\r {0}\r\n \"v\" NIL)\r\n")},
        {BACKEND("* X ~{3}\n+ \n\n"), TO_CLIENT("* X ~{3}\r\n+ \n\r\n")},
        {BACKEND("* X ({1}\r\nx {1}\r\ny\r\n"), TO_CLIENT("* X ({1}\r\nx {1}\r\ny\r\n"),
         WAITS_FOR(BACKEND)},
        {BACKEND("* X \"{5}\"\r\n"), TO_CLIENT("* X \"{5}\"\r\n")},
        {BACKEND("* X \"\\\"\" {1}\r\n\"\r\n"), TO_CLIENT("* X \"\\\"\" {1}\r\n\"\r\n")},
        {BACKEND("a OK x\r\n"), TO_CLIENT("a OK x\r\n"), WAITS_FOR(CLIENT)},
    };
    static const struct turn beginning[] = {
        {CLIENT("a ID NIL\r\n"), TO_BACKEND("a ID NIL\r\n")},
    };
    static const struct turn ends[] = {
        {BACKEND("* X \"{5}\r\n"), VIOLATES},
        {BACKEND("* X y{5}\r\n"), VIOLATES},
        {BACKEND("* X y~{5}\r\n"), VIOLATES},
        {BACKEND("* X {5+}\r\n"), VIOLATES},
        {BACKEND("* X {5-}\r\n"), VIOLATES},
        {BACKEND("* X {65537}\r\n"), VIOLATES},
        {BACKEND("* X {4294967296}\r\n"), VIOLATES},
        {BACKEND("* CAPABILITY {5}\r\n"), VIOLATES},
        {BACKEND("* BYE {5}\r\n"), VIOLATES},
        {BACKEND("+ {5}\r\n"), VIOLATES},
        {BACKEND("*\r\n"), VIOLATES},
        {BACKEND("* \r\n"), VIOLATES},
        {BACKEND("*  OK\r\n"), VIOLATES},
        {BACKEND("*\tOK\r\n"), VIOLATES},
        {BACKEND("* (x\r\n"), VIOLATES},
        {BACKEND("* CAPABILITY\tSTARTTLS\r\n"), VIOLATES},
        {BACKEND("* OK [CAPABILITY IMAP4rev1\r\n"), VIOLATES},
    };
    static const struct turn inside[] = {
        {CLIENT("a ID NIL\r\n"), TO_BACKEND("a ID NIL\r\n")},
        {BACKEND("* ID ({9}\r\nabc"), TO_CLIENT("* ID ({9}\r\nabc")},
    };
    static const struct turn without_a_word[] = {
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_LOST)},
        {EVENT(STOP, CLIENT), CLOSES(DRAINED)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
        {BACKEND("defghi \"{1}\r\n"), TO_CLIENT("defghi"), NOTES(BACKEND_REPLY),
         CLOSES(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, beginning, ends);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, inside, without_a_word);
}

static void untagged_words_may_come_at_any_time(void **state)
{
    static const struct turn dialogue[] = {
        {BACKEND("* OK [ALERT] maintenance tonight\r\n"),
         TO_CLIENT("* OK [ALERT] maintenance tonight\r\n"), WAITS_FOR(CLIENT)},
        {BACKEND("* 5 EXISTS\r\n"), TO_CLIENT("* 5 EXISTS\r\n")},
        {CLIENT("a NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
        {BACKEND("* NO hm\r\n"), TO_CLIENT("* NO hm\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\n"), WAITS_FOR(CLIENT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void words_without_end_are_a_violation(void **state)
{
    struct player p;
    const struct facts facts = {.is_secure = true};

    player_begin(&p, &imap_protocol, &policy, &facts);
    player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(&p, SIDE_BACKEND, "* OK x\r\n", 8);
    for (int i = 0; i < 1000; i++)
        player_feed(&p, SIDE_BACKEND, "* OK\r\n", 6);
    assert_false(player_is_over(&p));
    player_feed(&p, SIDE_BACKEND, "* OK\r\n", 6);
    assert_int_equal(p.end, END_BACKEND_LOST);
    player_clear(&p);
}

static void goodbyes_end_both_sides(void **state)
{
    static const struct turn idle[] = {
        {BACKEND("* BYE idle\r\n"), TO_CLIENT("* BYE idle\r\n"), CLOSES(BACKEND_CLOSED)},
    };
    static const struct turn outstanding[] = {
        {CLIENT("a NOOP\r\nb NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
        {BACKEND("* BYE tired\r\n"), TO_CLIENT("* BYE tired\r\n")},
    };
    static const struct turn ends[] = {
        {BACKEND("a NO x\r\n"), TO_CLIENT("a NO x\r\n"), CLOSES(BACKEND_CLOSED)},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_LOST)},
        {EVENT(DEADLINE, CLIENT), CLOSES(TIMEOUT)},
        {BACKEND("b OK\r\n"), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    static const struct turn logout[] = {
        {CLIENT("a LOGOUT\r\nb NOOP\r\n"), TO_BACKEND("a LOGOUT\r\n")},
        {BACKEND("* BYE bye\r\n"), TO_CLIENT("* BYE bye\r\n")},
    };
    static const struct turn logout_ends[] = {
        {BACKEND("a OK x\r\n"), TO_CLIENT("a OK x\r\n"), CLOSES(CLIENT_QUIT)},
        {EVENT(EOF, BACKEND), CLOSES(CLIENT_QUIT)},
    };
    static const struct turn failed[] = {
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
        {BACKEND("* BYE\r\na NO x\r\n"), TO_CLIENT("* BYE\r\na NO x\r\n"), NOTES(AUTH_FAILED),
         CLOSES(BACKEND_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, idle);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, outstanding, ends);
    PLAY_ENDS(&policy, PLAY_FROM_GATE, logout, logout_ends);
    PLAY(&policy, PLAY_FROM_GATE, failed);
}

static void every_event_in_the_gate_has_its_end(void **state)
{
    static const struct turn idle[] = {
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(EOF, CLIENT), TO_BACKEND("starttlsd LOGOUT\r\n"), CLOSES(CLIENT_CLOSED)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("* BYE Timeout, closing connection\r\n"),
         CLOSES(TIMEOUT)},
    };
    static const struct turn outstanding[] = {
        {CLIENT("a NOOP\r\nb NOO"), TO_BACKEND("a NOOP\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("a OK\r\n"),
         TO_CLIENT("a OK\r\n* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
    };
    static const struct turn invited[] = {
        {CLIENT("a LOGIN {1}\r\n"), TO_CLIENT("+ OK\r\n")},
        {EVENT(DRAIN, CLIENT), WAITS_FOR(CLIENT)},
        {CLIENT("u p\r\n"), TO_BACKEND("a LOGIN \"u\" p\r\n")},
        {BACKEND("a NO x\r\n"),
         TO_CLIENT("a NO x\r\n* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         NOTES(AUTH_FAILED), CLOSES(DRAINED)},
    };
    static const struct turn closing[] = {
        {CLIENT("a NOOP\r\n"), TO_BACKEND("a NOOP\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("* OK x\r\na OK\r\n"), TO_CLIENT("* OK x\r\na OK\r\n"),
         TO_BACKEND("starttlsd LOGOUT\r\n"), CLOSES(CLIENT_CLOSED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, idle, 1);
    PLAY(&policy, PLAY_FROM_GATE, outstanding);
    PLAY(&policy, PLAY_FROM_GATE, invited);
    PLAY(&policy, PLAY_FROM_GATE, closing);
}

static void whoever_waits_for_a_backend_is_told(void **state)
{
    static const struct turn ends[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT("* BYE [UNAVAILABLE] Out of memory, try again later\r\n"),
         CLOSES(ERROR)},
        {EVENT(BUSY, BACKEND), .reason = END_LIMIT,
         TO_CLIENT("* BYE [UNAVAILABLE] Too busy, try again later\r\n"), CLOSES(LIMIT)},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_REFUSED,
         TO_CLIENT("* BYE [UNAVAILABLE] No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_REFUSED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_SECURED, ends, 1);
    PLAY_EACH(&implicit, PLAY_FROM_SECURED, ends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_is_passed_on_where_the_client_had_none),
        cmocka_unit_test(a_bad_greeting_sends_us_to_the_next_backend),
        cmocka_unit_test(capabilities_are_rewritten_wherever_they_appear),
        cmocka_unit_test(literals_of_a_backend_are_no_lines),
        cmocka_unit_test(untagged_words_may_come_at_any_time),
        cmocka_unit_test(words_without_end_are_a_violation),
        cmocka_unit_test(goodbyes_end_both_sides),
        cmocka_unit_test(whoever_waits_for_a_backend_is_told),
        cmocka_unit_test(every_event_in_the_gate_has_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
