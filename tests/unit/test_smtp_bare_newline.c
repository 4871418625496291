/* SPDX-License-Identifier: ISC */
/* bare_newline = reject and pass, as both sides see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"

static const struct policy rejecting = {TLS, .relay = RELAY_BACKEND,
                                        .bare_newline = BARE_NEWLINE_REJECT};
static const struct policy passing = {TLS, .relay = RELAY_BACKEND,
                                      .bare_newline = BARE_NEWLINE_PASS};

#define BARE "521 5.5.2 Bare CR, bare LF or NUL in a message\r\n"

static const struct turn content[] = {
    {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
    {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n"), WAITS_FOR(CONTENT)},
};

/* ---- reject ---- */

static void what_is_odd_ends_the_session(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("a\nb"), TO_BACKEND("a"), TO_CLIENT(BARE), RESETS(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("\n"), TO_CLIENT(BARE), RESETS(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("a\r\nb\rc"), TO_BACKEND("a\r\nb"), TO_CLIENT(BARE), RESETS(VIOLATION),
         NOTES(SMUGGLING)},
        {CLIENT("a\r\r\n"), TO_BACKEND("a"), TO_CLIENT(BARE), RESETS(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("a\0b"), TO_BACKEND("a"), TO_CLIENT(BARE), RESETS(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("a\r\n.\n"), TO_BACKEND("a\r\n"), TO_CLIENT(BARE), RESETS(VIOLATION),
         NOTES(SMUGGLING)},
        {CLIENT("a\r\n.\rb"), TO_BACKEND("a\r\n"), TO_CLIENT(BARE), RESETS(VIOLATION),
         NOTES(SMUGGLING)},
        {CLIENT("a\r\n.\0\r\n"), TO_BACKEND("a\r\n"), TO_CLIENT(BARE), RESETS(VIOLATION),
         NOTES(SMUGGLING)},
        {CLIENT("a\r\n.b\n.\r\n"), TO_BACKEND("a\r\n.b"), TO_CLIENT(BARE), RESETS(VIOLATION),
         NOTES(SMUGGLING)},
    };
    PLAY_ENDS(&rejecting, PLAY_FROM_GATE, content, ends);
}

static void what_is_not_passes_as_it_is(void **state)
{
    static const struct turn ends[] = {
        {CLIENT(".\r\n"), TO_BACKEND(".\r\n"), WAITS_FOR(BACKEND)},
        {CLIENT("a\r\n..\r\n.b\r\n\xff\x01\r\n\r\n.\r\n"),
         TO_BACKEND("a\r\n..\r\n.b\r\n\xff\x01\r\n\r\n.\r\n"), WAITS_FOR(BACKEND)},
        {CLIENT("a\r\n.\r"), TO_BACKEND("a\r\n"), WAITS_FOR(CONTENT)},
    };
    PLAY_ENDS(&rejecting, PLAY_FROM_GATE, content, ends);
}

/* Only content is judged by it: commands may end with LF. */
static void commands_are_none_of_its_business(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\n"), TO_CLIENT("354 go\r\n")},
        {CLIENT("a\r\n.\r\nRSET\n"), TO_BACKEND("a\r\n.\r\nRSET\r\n")},
        {BACKEND("250 m\r\n250 r\r\n"), TO_CLIENT("250 m\r\n250 r\r\n"), NOTES(MESSAGE)},
    };
    PLAY(&rejecting, PLAY_FROM_GATE, dialogue);
}

/* The refusal is the reply to the content, and comes behind those that are owed. */
static void content_behind_other_commands(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nDATA\r\na\nb\r\n.\r\n"), TO_BACKEND("NOOP\r\nDATA\r\n")},
        {BACKEND("250 n\r\n"), TO_CLIENT("250 n\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n" BARE), TO_BACKEND("a"), RESETS(VIOLATION),
         NOTES(SMUGGLING)},
    };
    PLAY(&rejecting, PLAY_FROM_GATE, dialogue);
}

/* ---- pass ---- */

static void nothing_is_altered(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("a\nb\rc\0d\r\r\n\n\r\n.\r\n"), TO_BACKEND("a\nb\rc\0d\r\r\n\n\r\n.\r\n"),
         WAITS_FOR(BACKEND)},
        {CLIENT("a\n.\r\nQUIT\r\n"), TO_BACKEND("a\n.\r\nQUIT\r\n"), WAITS_FOR(CONTENT)},
        {CLIENT("a\r\n.\nQUIT\r\n"), TO_BACKEND("a\r\n.\nQUIT\r\n"), WAITS_FOR(CONTENT)},
        {CLIENT("a\r\n.\rb"), TO_BACKEND("a\r\n.\rb"), WAITS_FOR(CONTENT)},
        {CLIENT("a\r\n.\0\r\n."), TO_BACKEND("a\r\n.\0\r\n"), WAITS_FOR(CONTENT)},
        {CLIENT("a\r.\r\n"), TO_BACKEND("a\r.\r\n"), WAITS_FOR(CONTENT)},
        {CLIENT("\0.\r\n"), TO_BACKEND("\0.\r\n"), WAITS_FOR(CONTENT)},
        {CLIENT(".\r\n"), TO_BACKEND(".\r\n"), WAITS_FOR(BACKEND)},
        {CLIENT("a\r\r\n.\r\n"), TO_BACKEND("a\r\r\n.\r\n"), WAITS_FOR(BACKEND)},
        {CLIENT(".\r\r\n.\r\n"), TO_BACKEND(".\r\r\n.\r\n"), WAITS_FOR(BACKEND)},
    };
    PLAY_ENDS(&passing, PLAY_FROM_GATE, content, ends);
}

static void behind_the_end_are_commands(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n\n.\r\nFOO\r\n\r\n.\r\nFOO\r\nNOOP\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT("354 go\r\n"), TO_BACKEND("\n.\r\nFOO\r\n\r\n.\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n500 5.5.2 Command not recognized\r\n"),
         TO_BACKEND("NOOP\r\n"), NOTES(MESSAGE)},
    };
    PLAY(&passing, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_odd_ends_the_session),
        cmocka_unit_test(what_is_not_passes_as_it_is),
        cmocka_unit_test(commands_are_none_of_its_business),
        cmocka_unit_test(content_behind_other_commands),
        cmocka_unit_test(nothing_is_altered),
        cmocka_unit_test(behind_the_end_are_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
