/* SPDX-License-Identifier: ISC */
/* A look at an IMAP backend: dialogues, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/imap_probe.h"

#define TURNS      6
#define CAPABILITY "d CAPABILITY\r\n"
#define STARTTLS   "b STARTTLS\r\n"
#define LOGOUT     "e LOGOUT\r\n"
#define NOOP       "x NOOP\r\n"
#define GREETING   "its greeting is no OK"
#define EARLY      "it talks before it is asked"
#define NONSENSE   "what it says is no answer"

/* The wish. */
#define LEARNS  1u
#define TLS     2u
#define NEEDS   4u
#define TELLS   8u
#define AT_ONCE 16u /* in one text with STARTTLS, or behind its answer */
#define BEHIND  32u

/* Instead of what it hears: the handshake is done. */
#define SHAKEN "(shaken)"

static const struct {
    unsigned wish;
    struct {
        const char *hears, *says;
    } turn[TURNS];
    enum probe_state state; /* of the last turn */
    const char *why;
    const char *learned;    /* NULL: not known */
    const char *clear;      /* what it announces before TLS; NULL: not known */
    const char *tls_answer; /* NULL: none */
    enum probe_farewell farewell;
    const char *farewell_answer; /* NULL: whatever */
} row[] = {
    {false, {{"", ""}}, PROBE_GOING},
    {false, {{"* OK x", ""}}, PROBE_GOING},
    {false, {{"* OK x\r\n", LOGOUT}}, PROBE_HEALTHY},
    {false, {{"* ok\n", LOGOUT}}, PROBE_HEALTHY},
    {false, {{"* OK x\r\n", LOGOUT}, {"* BYE x\r\n", ""}}, PROBE_GOING},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"* BYE x\r\n* CAPABILITY A\r\n* X\r\ne OK\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .farewell_answer = "e OK"},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"e NO\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD},
    /* A header in front of all is no command to who knows it. */
    {false,
     {{"* OK x\r\n", LOGOUT}, {"PROXY BAD what?\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "PROXY BAD what?"},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"ex OK\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"* BAD what?\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"what?\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"+ what?\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER},
    {false,
     {{"* OK x\r\n", LOGOUT}, {"* OK a\rb\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER},
    {false, {{"* PREAUTH x\r\n", ""}}, PROBE_SICK, GREETING},
    {false, {{"* BYE x\r\n", ""}}, PROBE_SICK, GREETING},
    {false, {{"220 x\r\n", ""}}, PROBE_SICK, GREETING},
    {false, {{"+OK x\r\n", ""}}, PROBE_SICK, GREETING},
    {false, {{"* OK a\rb\r\n", ""}}, PROBE_SICK, GREETING},
    {false, {{"a OK\r\n", ""}}, PROBE_SICK, GREETING},
    {true, {{"* OK [CAPABILITY IDLE] x\r\n", CAPABILITY}}, PROBE_GOING},
    {true,
     {{"* OK x\r\n", CAPABILITY},
      {"* OK [ALERT] x\r\n* CAPABILITY IMAP4rev1  AUTH=PLAIN IDLE idle\r\nd OK x\r\n", LOGOUT}},
     PROBE_HEALTHY,
     NULL,
     "IMAP4rev1\nAUTH=PLAIN\nIDLE\n"},
    {true,
     {{"* OK x\r\n", CAPABILITY}, {"* CAPABILITY IDLE\nd OK\n", LOGOUT}, {"* BYE\ne OK\n", ""}},
     PROBE_OVER,
     NULL,
     "IDLE\n",
     .farewell = PROBE_FAREWELL_GOOD},
    {true, {{"* OK x\r\n", CAPABILITY}, {"d OK x\r\n", LOGOUT}}, PROBE_HEALTHY},
    {true, {{"* OK x\r\n", CAPABILITY}, {"d NO x\r\n", LOGOUT}}, PROBE_HEALTHY},
    {true, {{"* OK x\r\n", CAPABILITY}, {"* CAPABILITY A\r\nd BAD x\r\n", LOGOUT}}, PROBE_HEALTHY},
    {true, {{"* OK x\r\n", CAPABILITY}, {"* BYE x\r\n", ""}}, PROBE_SICK, "it says goodbye"},
    {true, {{"* OK x\r\n", CAPABILITY}, {"b OK x\r\n", ""}}, PROBE_SICK, NONSENSE},
    {true, {{"* OK x\r\n", CAPABILITY}, {"+ x\r\n", ""}}, PROBE_SICK, NONSENSE},
    {true, {{"* OK x\r\n", CAPABILITY}, {"* X {5}\r\n", ""}}, PROBE_SICK, NONSENSE},
    {true, {{"* OK x\r\n", CAPABILITY}, {"* CAPABILITY {5}\r\n", ""}}, PROBE_SICK, NONSENSE},
    {true, {{"* OK x\r\n", CAPABILITY}, {"\r\n", ""}}, PROBE_SICK, NONSENSE},
    {TLS | LEARNS,
     {{"* OK [CAPABILITY STARTTLS OLD] x\r\n", STARTTLS},
      {"b OK\r\n", ""},
      {SHAKEN, "a CAPABILITY\r\n"},
      {"* CAPABILITY OTHER\r\na OK\r\n", CAPABILITY},
      {"* CAPABILITY NEW\r\nd OK\r\n", LOGOUT},
      {"e OK\r\n", ""}},
     PROBE_OVER,
     NULL,
     "NEW\n",
     .clear = "STARTTLS\nOLD\n",
     .tls_answer = "b OK",
     .farewell = PROBE_FAREWELL_GOOD},
    {TLS | NEEDS,
     {{"* OK x\r\n", "a CAPABILITY\r\n"},
      {"* CAPABILITY STARTTLS OLD\r\na OK [CAPABILITY CODE] x\r\n", STARTTLS},
      {"b OK Begin TLS\r\n", ""},
      {SHAKEN, "a CAPABILITY\r\n"},
      {"* CAPABILITY NEW\r\na OK\r\n", LOGOUT}},
     PROBE_HEALTHY,
     .clear = "STARTTLS\nOLD\nCODE\n",
     .tls_answer = "b OK Begin TLS"},
    {TLS,
     {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b OK [CAPABILITY LATE] x\r\n", ""}},
     PROBE_START_TLS,
     .clear = "STARTTLS\n",
     .tls_answer = "b OK [CAPABILITY LATE] x"},
    {TLS | NEEDS,
     {{"* OK [CAPABILITY OLD] x\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS",
     .clear = "OLD\n"},
    {TLS | NEEDS,
     {{"* OK x\r\n", "a CAPABILITY\r\n"}, {"a OK\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS"},
    {TLS | NEEDS,
     {{"* OK x\r\n", "a CAPABILITY\r\n"}, {"* CAPABILITY OLD A\rB\r\n", ""}},
     PROBE_SICK,
     NONSENSE},
    {TLS | NEEDS,
     {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b NO not now\x1b\r\n", ""}},
     PROBE_SICK,
     "it refuses STARTTLS",
     .clear = "STARTTLS\n",
     .tls_answer = "b NO not now?"},
    {TLS, {{"* OK [CAPABILITY OLD] x\r\n", LOGOUT}}, PROBE_HEALTHY, .clear = "OLD\n"},
    {TELLS, {{"* OK [CAPABILITY OLD] x\r\n", LOGOUT}}, PROBE_HEALTHY},
    {TELLS | LEARNS, {{"* OK [CAPABILITY OLD] x\r\n", ""}}, PROBE_SICK, "it does not announce ID"},
    {TELLS | LEARNS,
     {{"* OK x\r\n", "c ID NIL\r\n"},
      {"* ID (\"name\" \"Dovecot\")\r\nc OK\r\n", CAPABILITY},
      {"* CAPABILITY NEW\r\nd OK\r\n", LOGOUT}},
     PROBE_HEALTHY,
     NULL,
     "NEW\n"},
    {TELLS | LEARNS,
     {{"* OK x\r\n", "c ID NIL\r\n"}, {"c BAD\r\n", ""}},
     PROBE_SICK,
     "it refuses ID"},
    {TELLS | LEARNS | TLS,
     {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b OK\r\n", ""}, {SHAKEN, "c ID NIL\r\n"}},
     PROBE_GOING,
     .clear = "STARTTLS\n",
     .tls_answer = "b OK"},
    {TLS | LEARNS,
     {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS},
      {"b NO\r\n", CAPABILITY},
      {"* CAPABILITY OLD\r\nd OK\r\n", LOGOUT}},
     PROBE_HEALTHY,
     NULL,
     "OLD\n",
     .clear = "STARTTLS\n",
     .tls_answer = "b NO"},

/* A command where an attacker's would stand: behind TLS nothing but the goodbye. */
#define TO_TLS(start, noop)                                                                        \
    {"* OK [CAPABILITY STARTTLS] x\r\n", start}, {"b OK\r\n", noop},                               \
    {                                                                                              \
        SHAKEN, LOGOUT                                                                             \
    }
#define INJECTED .clear = "STARTTLS\n", .tls_answer = "b OK"
    {TLS | LEARNS | AT_ONCE, {TO_TLS(STARTTLS NOOP, "")}, PROBE_HEALTHY, INJECTED},
    {TLS | AT_ONCE,
     {TO_TLS(STARTTLS NOOP, ""), {"* BYE\r\ne OK\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_GOOD},
    {TLS | AT_ONCE,
     {TO_TLS(STARTTLS NOOP, ""), {"x OK\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "x OK"},
    {TLS | TELLS | LEARNS | BEHIND, {TO_TLS(STARTTLS, NOOP)}, PROBE_HEALTHY, INJECTED},
    {TLS | BEHIND,
     {TO_TLS(STARTTLS, NOOP), {"* OK\r\nx BAD\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER},
    {TLS | BEHIND, /* what has been bad? */
     {TO_TLS(STARTTLS, NOOP), {"* BAD what?\r\n", ""}},
     PROBE_GOING,
     INJECTED,
     .farewell_answer = "* BAD what?"},
    {TLS | BEHIND, {TO_TLS(STARTTLS, NOOP), {"* BAD what?\r\n* BA", ""}}, PROBE_GOING, INJECTED},
    {TLS | BEHIND, {TO_TLS(STARTTLS, NOOP), {"y BAD what?\r\n", ""}}, PROBE_GOING, INJECTED},
    {TLS | BEHIND, {TO_TLS(STARTTLS, NOOP), {"xe BAD what?\r\n", ""}}, PROBE_GOING, INJECTED},
    {TLS | BEHIND,
     {TO_TLS(STARTTLS, NOOP), {"* BAD what?\r\n", ""}, {"e OK\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "* BAD what?"},
    {TLS | AT_ONCE,
     {{"* OK [CAPABILITY OLD] x\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS",
     .clear = "OLD\n"},
    {TLS | AT_ONCE,
     {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS NOOP}, {"b BAD\r\n", ""}},
     PROBE_SICK,
     "it refuses STARTTLS",
     .clear = "STARTTLS\n",
     .tls_answer = "b BAD"},
};

static void play_row(size_t i, size_t piece)
{
    const struct probe_wish wish = {.hostname = "x",
                                    .learns = (row[i].wish & LEARNS) != 0,
                                    .starts_tls = (row[i].wish & TLS) != 0,
                                    .needs_tls = (row[i].wish & NEEDS) != 0,
                                    .tells_identity = (row[i].wish & TELLS) != 0,
                                    .injection = (row[i].wish & AT_ONCE) != 0 ? PROBE_INJECT_AT_ONCE
                                                 : (row[i].wish & BEHIND) != 0
                                                     ? PROBE_INJECT_BEHIND
                                                     : PROBE_INJECT_NOTHING};
    struct probe_step step = {0};
    struct probe p;

    imap_probe_init(&p, &wish);
    for (size_t t = 0; t < TURNS && row[i].turn[t].hears != NULL; t++) {
        const char *hears = row[i].turn[t].hears;
        bool is_shaken = strcmp(hears, SHAKEN) == 0;
        size_t len = is_shaken ? 0 : strlen(hears), seen = 0, taken = 0;

        assert_int_equal(is_shaken, step.state == PROBE_START_TLS);
        if (is_shaken)
            probe_secured(&p);
        do {
            char *window;

            seen += piece == 0 || piece > len - seen ? len - seen : piece;
            window = malloc(seen - taken);
            memcpy(window, hears + taken, seen - taken);
            step = imap_probe_step(&p, (struct span){window, seen - taken});
            assert_true(step.take <= seen - taken);
            taken += step.take;
            free(window);
        } while (step.state == PROBE_GOING && step.text.len == 0 && seen < len);
        if (!span_equals(step.text, span_of(row[i].turn[t].says)))
            fail_msg("row %zu, turn %zu, piece %zu: %.*s", i, t, piece, (int)step.text.len,
                     step.text.data);
    }
    if (step.state != row[i].state)
        fail_msg("row %zu, piece %zu: state %d", i, piece, step.state);
    if (row[i].why != NULL)
        assert_string_equal(step.why, row[i].why);
    assert_int_equal(p.learned.is_known, row[i].learned != NULL);
    if (row[i].learned != NULL) {
        assert_int_equal(p.learned.len, strlen(row[i].learned));
        assert_memory_equal(p.learned.text, row[i].learned, p.learned.len);
    }
    assert_int_equal(p.clear.is_known, row[i].clear != NULL);
    assert_int_equal(p.clear.len, row[i].clear == NULL ? 0 : strlen(row[i].clear));
    assert_memory_equal(p.clear.text, row[i].clear == NULL ? "" : row[i].clear, p.clear.len);
    assert_string_equal(p.tls_answer, row[i].tls_answer == NULL ? "" : row[i].tls_answer);
    assert_int_equal(p.farewell, row[i].farewell);
    if (row[i].farewell_answer != NULL)
        assert_string_equal(p.farewell_answer, row[i].farewell_answer);
    assert_false(p.is_injecting);
}

static void looks_come_out_alike_in_every_piece(void **state)
{
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t piece = 0; piece <= 4; piece++)
            play_row(i, piece);
}

static void starttls_is_noted_where_it_is_announced(void **state)
{
    static const struct {
        const char *greeting;
        bool offers_tls;
    } greetings[] = {
        {"* OK [CAPABILITY STARTTLS] x\r\n", true},
        {"* OK [CAPABILITY XSTARTTLS] x\r\n", false},
    };

    const struct probe_wish wish = {.hostname = "x", .starts_tls = true};

    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        struct probe p;

        imap_probe_init(&p, &wish);
        assert_true(imap_probe_step(&p, span_of(greetings[i].greeting)).text.len > 0);
        assert_int_equal(p.offers_tls, greetings[i].offers_tls);
    }
}

static void who_talks_early_is_sick(void **state)
{
    const struct probe_wish wish = {.hostname = "x", .learns = true};
    struct probe p;
    struct probe_step step;

    imap_probe_init(&p, &wish);
    step = imap_probe_step(&p, (struct span)SPAN("* OK x\r\n* OK y\r\n"));
    assert_string_equal(step.why, EARLY);
    imap_probe_init(&p, &wish);
    step = imap_probe_step(&p, (struct span)SPAN("* OK \xe9 x\r\n"));
    assert_string_equal(p.greeting, "* OK ? x");
    step = imap_probe_step(&p, (struct span)SPAN("* CAPABILITY X\r\nd OK\r\n* OK\r\n"));
    assert_string_equal(step.why, EARLY);
}

/* Whoever answers at all is told from other protocols. */
static void a_greeting_is_one_though_it_turns_away(void **state)
{
    static const struct {
        const char *hears;
        bool has_greeted;
    } greeting[] = {{"* OK x\r\n", true}, {"* BYE x\r\n", true},         {"* PREAUTH x\r\n", true},
                    {"* BYE x", false},   {"* CAPABILITY x\r\n", false}, {"a OK x\r\n", false},
                    {"+OK x\r\n", false}, {"220 x\r\n", false},          {"* OK \rx\r\n", false}};

    for (size_t i = 0; i < sizeof greeting / sizeof *greeting; i++) {
        const struct probe_wish wish = {.hostname = "mail.example"};
        struct probe p;

        imap_probe_init(&p, &wish);
        assert_true(imap_probe_step(&p, span_of(greeting[i].hears)).state <= PROBE_SICK);
        assert_int_equal(p.has_greeted, greeting[i].has_greeted);
    }
}

static void what_comes_with_the_greeting_answers_a_header(void **state)
{
    static const struct {
        const char *hears;
        enum probe_farewell farewell;
        const char *answer;
    } greeting[] = {
        {"* OK x\r\nPROXY BAD what?\r\n* BYE\r\n", PROBE_FAREWELL_OTHER, "PROXY BAD what?"},
        {"* BYE x\r\n* BAD y\r\n", PROBE_FAREWELL_NONE, ""},
        {"* NO x\r\n* BAD y\r\n", PROBE_FAREWELL_NONE, ""},
        {"a OK x\r\n* BAD y\r\n", PROBE_FAREWELL_NONE, ""},
        {"* CAPABILITY x\r\n* BAD y\r\n", PROBE_FAREWELL_NONE, ""},
    };
    const struct probe_wish wish = {.hostname = "x", .starts_tls = true};
    struct probe p;

    for (size_t i = 0; i < sizeof greeting / sizeof *greeting; i++) {
        imap_probe_init(&p, &wish);
        assert_int_equal(imap_probe_step(&p, span_of(greeting[i].hears)).state, PROBE_SICK);
        assert_int_equal(p.farewell, greeting[i].farewell);
        assert_string_equal(p.farewell_answer, greeting[i].answer);
    }
    imap_probe_init(&p, &wish); /* and later it is something else */
    assert_int_equal(imap_probe_step(&p, span_of("* OK x\r\n")).state, PROBE_GOING);
    assert_int_equal(imap_probe_step(&p, span_of("* OK x\r\n* OK y\r\n")).state, PROBE_SICK);
    assert_int_equal(p.farewell, PROBE_FAREWELL_NONE);
}

static void who_talks_behind_its_go_ahead_is_injecting(void **state)
{
    const struct probe_wish wish = {.hostname = "x", .starts_tls = true};
    struct probe p;

    imap_probe_init(&p, &wish);
    assert_true(imap_probe_step(&p, span_of("* OK [CAPABILITY STARTTLS] x\r\n")).text.len > 0);
    assert_false(p.is_injecting);
    assert_int_equal(imap_probe_step(&p, span_of("b OK\r\nx OK\r\n")).state, PROBE_SICK);
    assert_true(p.is_injecting);
    imap_probe_init(&p, &wish); /* a refusal is none */
    assert_true(imap_probe_step(&p, span_of("* OK [CAPABILITY STARTTLS] x\r\n")).text.len > 0);
    assert_int_equal(imap_probe_step(&p, span_of("b NO\r\nx OK\r\n")).state, PROBE_SICK);
    assert_false(p.is_injecting);
}

static void words_without_end_are_sick(void **state)
{
    const struct probe_wish wish = {.hostname = "x", .learns = true};
    static char line[PROBE_WINDOW];
    struct probe_step step;
    struct probe p;
    int lines = 0;

    memset(line, 'x', sizeof line);
    imap_probe_init(&p, &wish);
    assert_int_equal(imap_probe_step(&p, (struct span){line, sizeof line}).state, PROBE_SICK);
    imap_probe_init(&p, &wish);
    step = imap_probe_step(&p, (struct span)SPAN("* OK x\r\n"));
    while (step.state == PROBE_GOING && lines++ < 10000)
        step = imap_probe_step(&p, (struct span)SPAN("* OK hold the line\r\n"));
    assert_int_equal(step.state, PROBE_SICK);
    assert_true(lines < 1000);
}

static void a_goodbye_without_end_is_over(void **state)
{
    const struct probe_wish wish = {.hostname = "x"};
    static char line[PROBE_WINDOW];
    struct probe_step step;
    struct probe p;
    int lines = 0;

    memset(line, 'x', sizeof line);
    imap_probe_init(&p, &wish);
    assert_int_equal(imap_probe_step(&p, span_of("* OK x\r\n")).state, PROBE_HEALTHY);
    assert_int_equal(imap_probe_step(&p, (struct span){line, sizeof line}).state, PROBE_OVER);
    imap_probe_init(&p, &wish);
    step = imap_probe_step(&p, span_of("* OK x\r\n"));
    while (step.state != PROBE_OVER && lines++ < 10000)
        step = imap_probe_step(&p, span_of("* OK hold the line\r\n"));
    assert_true(lines < 1000);
    assert_int_equal(p.farewell, PROBE_FAREWELL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_come_out_alike_in_every_piece),
        cmocka_unit_test(starttls_is_noted_where_it_is_announced),
        cmocka_unit_test(who_talks_early_is_sick),
        cmocka_unit_test(a_greeting_is_one_though_it_turns_away),
        cmocka_unit_test(what_comes_with_the_greeting_answers_a_header),
        cmocka_unit_test(who_talks_behind_its_go_ahead_is_injecting),
        cmocka_unit_test(words_without_end_are_sick),
        cmocka_unit_test(a_goodbye_without_end_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
