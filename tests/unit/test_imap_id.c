/* SPDX-License-Identifier: ISC */
/* ID, LANGUAGE and what the administrator allows: what of them reaches a backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define PLAYED &imap_protocol
#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const char *const allow[] = {"XLIST", "enable"};
static const struct policy policy = {
    .is_enforced = true, .hostname = "x", .allow_commands = {allow, 2}};

#define SYNTAX  "BAD Syntax error in arguments\r\n"
#define UNKNOWN "BAD Command not recognized\r\n"

/* What a client says behind `a ID `, and what the backend hears; NULL: the client is refused. */
static const struct {
    struct span said;
    const char *heard;
} ids[] = {
    {SPAN("NIL"), "NIL"},
    {SPAN("nil"), "NIL"},
    {SPAN("()"), "NIL"},
    {SPAN("(\"name\" \"Mail\")"), "(\"name\" \"Mail\")"},
    {SPAN("(\"name\" NIL \"b\" \"\")"), "(\"name\" NIL \"b\" \"\")"},
    {SPAN("(name Mail version nil)"), "(\"name\" \"Mail\" \"version\" NIL)"},
    {SPAN("(\"a\" \"q\\\"\\\\\")"), "(\"a\" \"q\\\"\\\\\")"},
    {SPAN("({1+}\r\na {3+}\r\n\"\\x)"), "(\"a\" \"\\\"\\\\x\")"},
    {SPAN("({1+}\r\na {8+}\r\n\r\nb NOOP)"), "(\"a\" \"??b NOOP\")"},
    {SPAN("(\"a\" \"\xc3\xa9\t\")"), "(\"a\" \"???\")"},
    {SPAN("({4+}\r\na {5 \"x\")"), "(\"a {5\" \"x\")"},
    /* What would be our word for where a client comes from. */
    {SPAN("(\"x-originating-ip\" \"192.0.2.1\")"), "NIL"},
    {SPAN("(\"X-Originating-IP\" \"192.0.2.1\" \"a\" \"b\")"), "(\"a\" \"b\")"},
    {SPAN("(\"a\" \"b\" x-session-id \"1\")"), "(\"a\" \"b\")"},
    {SPAN("({16+}\r\nx-connected-port \"143\" \"a\" \"b\")"), "(\"a\" \"b\")"},
    {SPAN("({2-}\r\nX- NIL)"), "NIL"},
    {SPAN("(\" x-proxy-ttl\" \"5\")"), "NIL"},
    {SPAN("({3+}\r\n\rx- \"5\" \"y-\" \"z\")"), "(\"y-\" \"z\")"},
    {SPAN("(\"\" \"5\")"), "NIL"},
    {SPAN("(\"x\" \"x-a\" \"x_a\" \"1\")"), "(\"x\" \"x-a\" \"x_a\" \"1\")"},
    {SPAN("(\"\\\"x-a\" \"1\")"), "(\"\\\"x-a\" \"1\")"},
    /* What is no list of pairs. */
    {SPAN("(\"a\")"), NULL},
    {SPAN("(\"a\" \"b\" \"c\")"), NULL},
    {SPAN("(\"a\" (\"b\" \"c\"))"), NULL},
    {SPAN("((\"a\" \"b\"))"), NULL},
    {SPAN("(\"a\" \"b\""), NULL},
    {SPAN("(\"a\" \"b\"))"), NULL},
    {SPAN("(\"a\" \"b\") "), NULL},
    {SPAN("(\"a\" \"b\") x"), NULL},
    {SPAN("( \"a\" \"b\")"), NULL},
    {SPAN("(\"a\" \"b\" )"), NULL},
    {SPAN("(\"a\"  \"b\")"), NULL},
    {SPAN("(\"a\"\"b\")"), NULL},
    {SPAN("(\"a\" \"b)"), NULL},
    {SPAN("(NIL \"b\")"), NULL},
    {SPAN("\"a\" \"b\""), NULL},
    {SPAN("NIL NIL"), NULL},
    {SPAN("("), NULL},
    {SPAN(")"), NULL},
    {SPAN("(\"0123456789012345678901234567890\" \"31 octets\")"), NULL},
};

static void feed_each(bool is_whole)
{
    const struct facts facts = {.is_secure = true};

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *parts[] = {"a ID ", ids[i].heard == NULL ? "a " SYNTAX : ids[i].heard, "\r\n"};
        char line[256], wanted[256];
        size_t len = 5 + ids[i].said.len + 2;
        enum side side = ids[i].heard == NULL ? SIDE_CLIENT : SIDE_BACKEND;
        struct player p;

        memcpy(line, "a ID ", 5);
        memcpy(line + 5, ids[i].said.data, ids[i].said.len);
        memcpy(line + len - 2, "\r\n", 2);
        snprintf(wanted, sizeof wanted, "%s%s%s", side == SIDE_BACKEND ? parts[0] : "", parts[1],
                 side == SIDE_BACKEND ? parts[2] : "");
        player_begin(&p, &imap_protocol, &policy, &facts);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "* OK x\r\n", 8);
        for (size_t at = 0; at < len; at += is_whole ? len : 1)
            player_feed(&p, SIDE_CLIENT, line + at, is_whole ? len : 1);
        if (p.received[side].len != strlen(wanted) ||
            memcmp(p.received[side].data, wanted, strlen(wanted)) != 0)
            fail_msg("row %zu: got %.*s instead of %s", i, (int)p.received[side].len,
                     p.received[side].data, wanted);
        assert_int_equal(p.received[side_other(side)].len, 0);
        player_clear(&p);
    }
}

static void id_goes_on_without_claims(void **state)
{
    feed_each(true);
    feed_each(false);
}

static void waiting_literals_are_asked_for(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a ID ({16}\r\n"), TO_CLIENT("+ OK\r\n")},
        {CLIENT("x-originating-ip {9}\r\n"), TO_CLIENT("+ OK\r\n")},
        {CLIENT("192.0.2.1 {1}\r\n"), TO_CLIENT("+ OK\r\n")},
        {CLIENT("a \"b\")\r\n"), TO_BACKEND("a ID (\"a\" \"b\")\r\n")},
        {BACKEND("* ID NIL\r\na OK\r\n"), TO_CLIENT("* ID NIL\r\na OK\r\n")},
        {CLIENT("a ID ({31}\r\n"), TO_CLIENT("+ OK\r\n")},
        {CLIENT("0123456789012345678901234567890 {9}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a ID ({1} {1}\r\n"), TO_CLIENT("a " SYNTAX)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* 30 pairs, and a line that every server reads. */
static void long_lists_are_refused(void **state)
{
    const struct facts facts = {.is_secure = true};

    for (size_t pairs = 29; pairs <= 31; pairs++) {
        for (size_t value = 1; value <= 300; value += 299) {
            char line[16384];
            size_t len = 6;
            struct player p;
            bool is_good = pairs <= 30 && value == 1;

            memcpy(line, "a ID (", 6);
            for (size_t i = 0; i < pairs; i++) {
                struct span before = span_of(i == 0 ? "k \"" : " k \"");

                memcpy(line + len, before.data, before.len);
                len += before.len;
                memset(line + len, 'v', value);
                len += value;
                line[len++] = '"';
            }
            memcpy(line + len, ")\r\n", 3);
            player_begin(&p, &imap_protocol, &policy, &facts);
            player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
            player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
            player_feed(&p, SIDE_BACKEND, "* OK x\r\n", 8);
            player_feed(&p, SIDE_CLIENT, line, len + 3);
            assert_int_equal(p.received[SIDE_BACKEND].len > 0, is_good);
            assert_int_equal(p.received[SIDE_CLIENT].len > 0, !is_good);
            player_clear(&p);
        }
    }
}

static void plain_commands_pass_as_they_are(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LANGUAGE de \"en us\"\r\n"), TO_BACKEND("a LANGUAGE de \"en us\"\r\n")},
        {BACKEND("* LANGUAGE (de)\r\na OK\r\n"), TO_CLIENT("* LANGUAGE (de)\r\na OK\r\n")},
        {CLIENT("a language\n"), TO_BACKEND("a language\r\n")},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\n")},
        {CLIENT("a xlist (a  (b \"c{5}\")) *%\r\n"),
         TO_BACKEND("a xlist (a  (b \"c{5}\")) *%\r\n")},
        {BACKEND("+ go\r\n"),
         TO_CLIENT("* BYE [UNAVAILABLE] Mail server lost, try again later\r\n"),
         NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    static const struct turn refused[] = {
        {CLIENT("a LANGUAGE {2}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LANGUAGE {8+}\r\nb NOOP\r\n\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LANGUAGE \"x\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a LANGUAGE x{5}\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a XLIST \xe9\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a XLIST \tx\r\n"), TO_CLIENT("a " SYNTAX)},
        {CLIENT("a XLISTS\r\n"), TO_CLIENT("a " UNKNOWN)},
        {CLIENT("XLIST x\r\n"), TO_CLIENT("XLIST " UNKNOWN)},
        {CLIENT("a Enable X\r\n"), TO_BACKEND("a Enable X\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, refused);
}

/* A backend with a fixed buffer would take the rest of a longer one for a command. */
static void plain_commands_are_short(void **state)
{
    for (size_t len = 500; len < 520; len++) {
        const struct facts facts = {.is_secure = true};
        bool passes = len <= 510;
        char text[520];
        struct player p;

        memset(text, 'a', sizeof text);
        memcpy(text, "x LANGUAGE ", 11);
        memcpy(text + len - 2, "\r\n", 2);
        player_begin(&p, &imap_protocol, &policy, &facts);
        player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
        player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(&p, SIDE_BACKEND, "* OK x\r\n", 8);
        player_feed(&p, SIDE_CLIENT, text, len);
        assert_int_equal(p.received[SIDE_BACKEND].len, passes ? len : 0);
        assert_int_equal(p.received[SIDE_CLIENT].len > 0, !passes);
        player_clear(&p);
    }
}

static void what_cannot_be_allowed_says_why(void **state)
{
    static const char *const vetoed[] = {"login", "ID",      "APPEND", "IDLE",  "COMPRESS",
                                         "PROXY", "XCLIENT", "GET",    "ENABLE"};

    for (size_t i = 0; i < sizeof vetoed / sizeof *vetoed; i++)
        assert_int_equal(imap_protocol.veto(span_of(vetoed[i])) != NULL,
                         strcmp(vetoed[i], "ENABLE") != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_goes_on_without_claims),
        cmocka_unit_test(waiting_literals_are_asked_for),
        cmocka_unit_test(long_lists_are_refused),
        cmocka_unit_test(plain_commands_pass_as_they_are),
        cmocka_unit_test(plain_commands_are_short),
        cmocka_unit_test(what_cannot_be_allowed_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
