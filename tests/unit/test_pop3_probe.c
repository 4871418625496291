/* SPDX-License-Identifier: ISC */
/* A look at a backend, as scout and `check --backends` take it: dialogues, in pieces of every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/pop3_client.h"
#include "protocols/pop3_probe.h"

struct turn {
    const char *hears; /* from the backend */
    const char *says;  /* once it has heard all of that */
};

#define TURNS 7

/* The wish. */
#define LEARNS  1u
#define TLS     2u
#define NEEDS   4u
#define TELLS   8u
#define AT_ONCE 16u /* in one text with STLS, or behind its answer */
#define BEHIND  32u

/* Instead of what it hears: the handshake is done. */
#define SHAKEN "(shaken)"

struct row {
    unsigned wish;
    struct turn turn[TURNS];
    enum probe_state state; /* of the last turn */
    const char *why;        /* SICK */
    const char *learned;    /* NULL: not known */
    const char *answer;     /* NULL: whatever */
    const char *clear;      /* what it announces before TLS; NULL: not known */
    const char *tls_answer; /* NULL: none */
    enum probe_farewell farewell;
    const char *farewell_answer; /* NULL: whatever */
};

#define CAPA "CAPA\r\n"
#define STLS "STLS\r\n"
#define QUIT "QUIT\r\n"
#define NOOP "NOOP\r\n"
#define GREET                                                                                      \
    {                                                                                              \
        "+OK x\r\n", CAPA                                                                          \
    }
#define NO_OK "its greeting is no +OK"

static const struct row row[] = {
    {false, {{"", ""}}, PROBE_GOING},
    {false, {{"+OK", ""}}, PROBE_GOING},
    {false, {{"+OK <1@b>\r\n", QUIT}}, PROBE_HEALTHY},
    {false, {{"+OK\n", QUIT}}, PROBE_HEALTHY},
    {false, {{"+OK\r\n", QUIT}, {"+OK b", ""}}, PROBE_GOING},
    {false,
     {{"+OK\r\n", QUIT}, {"+OK bye\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .farewell_answer = "+OK bye"},
    /* A header in front of all is no command to who knows it. */
    {false,
     {{"+OK\r\n", QUIT}, {"-ERR what?\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "-ERR what?"},
    {false, {{"+OK\r\n", QUIT}, {"what?\n", ""}}, PROBE_OVER, .farewell = PROBE_FAREWELL_OTHER},
    {false, {{"-ERR busy\r\n", ""}}, PROBE_SICK, NO_OK},
    {false, {{"220 x\r\n", ""}}, PROBE_SICK, NO_OK},
    {false, {{"* OK IMAP\r\n", ""}}, PROBE_SICK, NO_OK},
    {false, {{"+ \r\n", ""}}, PROBE_SICK, NO_OK},
    {false, {{"\r\n", ""}}, PROBE_SICK, NO_OK},

    {true, {GREET, {"+OK\r\nTOP\r\n", ""}}, PROBE_GOING},
    {true,
     {GREET, {"+OK\r\nTOP\r\nSASL PLAIN LOGIN\n.\r\n", QUIT}, {"+OK\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .learned = "TOP\nSASL PLAIN LOGIN\n"},
    {true, {GREET, {"+OK\r\n.\r\n", QUIT}}, PROBE_HEALTHY, .learned = ""},
    {true,
     {GREET, {"+OK\r\n  A  B \r\nA\tC\r\n\xc3\xa4\r\n\r\nD\r\n.\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "A  B\nD\n"},
    {true,
     {GREET, {"-ERR un\1known\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "USER\n",
     .answer = "-ERR un?known"},
    {true,
     {GREET, {"-ERR [SYS/TEMP] x\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = NULL,
     .answer = "-ERR [SYS/TEMP] x"},
    {true, {GREET, {"+ \r\n", ""}}, PROBE_SICK, "what it says is no reply"},
    {true, {GREET, {"foo\r\n", ""}}, PROBE_SICK, "what it says is no reply"},
    {true, {GREET, {"+OK\r\n.x\r\n", ""}}, PROBE_SICK, "its list of capabilities is none"},
    {true, {GREET, {"+OK\r\nTOP\r\n+OK\r\n", ""}}, PROBE_SICK, "its list of capabilities is none"},

    {TLS | LEARNS,
     {GREET,
      {"+OK\r\nOLD\r\nSTLS\r\n.\r\n", STLS},
      {"+OK\r\n", ""},
      {SHAKEN, CAPA},
      {"+OK\r\nOTHER\r\n.\r\n", CAPA},
      {"+OK\r\nNEW\r\n.\r\n", QUIT},
      {"+OK\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .clear = "OLD\nSTLS\n",
     .tls_answer = "+OK",
     .learned = "NEW\n"},
    {TLS | NEEDS,
     {GREET, {"+OK\r\nSTLS\r\n.\r\n", STLS}, {"+OK\r\n", ""}, {SHAKEN, CAPA}, {"-ERR\r\n", QUIT}},
     PROBE_HEALTHY,
     .clear = "STLS\n",
     .tls_answer = "+OK"},
    {TLS,
     {GREET, {"+OK\r\nSTLS\r\n.\r\n", STLS}, {"+OK Begin\x1b\r\n", ""}},
     PROBE_START_TLS,
     .clear = "STLS\n",
     .tls_answer = "+OK Begin?"},
    {TLS | NEEDS,
     {GREET, {"+OK\r\n.\r\n", ""}},
     PROBE_SICK,
     "it does not announce STLS",
     .clear = ""},
    {TLS | NEEDS,
     {GREET, {"-ERR\r\n", ""}},
     PROBE_SICK,
     "it does not announce STLS",
     .clear = "USER\n"},
    {TLS | NEEDS, {GREET, {"-ERR [SYS/TEMP] x\r\n", ""}}, PROBE_SICK, "it does not announce STLS"},
    {TLS | NEEDS, {GREET, {"what?\r\n", ""}}, PROBE_SICK, "what it says is no reply"},
    {TLS | NEEDS, {GREET, {"+OK\r\nSTLS\r\n", ""}}, PROBE_GOING},
    {TLS | NEEDS,
     {GREET, {"+OK\r\nSTLS\r\n.\r\n", STLS}, {"-ERR not now\r\n", ""}},
     PROBE_SICK,
     "it refuses STLS",
     .clear = "STLS\n",
     .tls_answer = "-ERR not now"},
    {TLS, {GREET, {"-ERR\r\n", QUIT}}, PROBE_HEALTHY, .clear = "USER\n"},
    {TELLS, {{"+OK x\r\n", QUIT}}, PROBE_HEALTHY},
    {TELLS | LEARNS,
     {{"+OK x\r\n", "XCLIENT\r\n"}, {"+OK Updated\r\n", CAPA}, {"+OK\r\nNEW\r\n.\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "NEW\n"},
    {TELLS | LEARNS,
     {{"+OK x\r\n", "XCLIENT\r\n"}, {"+OK You are not from trusted IP - ignoring\r\n", ""}},
     PROBE_SICK,
     "it does not trust our XCLIENT"},
    {TELLS | LEARNS | TLS,
     {GREET,
      {"+OK\r\nSTLS\r\n.\r\n", STLS},
      {"+OK\r\n", ""},
      {SHAKEN, "XCLIENT\r\n"},
      {"-ERR\r\n", ""}},
     PROBE_SICK,
     "it refuses XCLIENT",
     .clear = "STLS\n",
     .tls_answer = "+OK"},
    {TLS | LEARNS,
     {GREET, {"+OK\r\nSTLS\r\n.\r\n", STLS}, {"-ERR\r\n", CAPA}, {"+OK\r\nOLD\r\n.\r\n", QUIT}},
     PROBE_HEALTHY,
     .clear = "STLS\n",
     .tls_answer = "-ERR",
     .learned = "OLD\n"},

/* A command where an attacker's would stand: behind TLS nothing but the goodbye. */
#define TO_TLS(start, noop)                                                                        \
    GREET, {"+OK\r\nSTLS\r\n.\r\n", start}, {"+OK\r\n", noop},                                     \
    {                                                                                              \
        SHAKEN, QUIT                                                                               \
    }
#define INJECTED .clear = "STLS\n", .tls_answer = "+OK"
    {TLS | LEARNS | AT_ONCE, {TO_TLS(STLS NOOP, "")}, PROBE_HEALTHY, INJECTED},
    {TLS | AT_ONCE, /* for which of the two? */
     {TO_TLS(STLS NOOP, ""), {"+OK\r\n", ""}},
     PROBE_GOING,
     INJECTED,
     .farewell = PROBE_FAREWELL_GOOD},
    {TLS | AT_ONCE,
     {TO_TLS(STLS NOOP, ""), {"+OK\r\n", ""}, {"+O", ""}},
     PROBE_GOING,
     INJECTED,
     .farewell = PROBE_FAREWELL_GOOD},
    {TLS | AT_ONCE,
     {TO_TLS(STLS NOOP, ""), {"+OK\r\n", ""}, {"+OK bye\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "+OK"},
    {TLS | TELLS | LEARNS | BEHIND, {TO_TLS(STLS, NOOP)}, PROBE_HEALTHY, INJECTED},
    {TLS | BEHIND,
     {TO_TLS(STLS, NOOP), {"-ERR what?\r\n", ""}},
     PROBE_GOING,
     INJECTED,
     .farewell_answer = "-ERR what?"},
    {TLS | BEHIND,
     {TO_TLS(STLS, NOOP), {"-ERR what?\r\n+OK bye\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "-ERR what?"},
    {TLS | BEHIND, {TO_TLS(STLS, NOOP), {"what?\r\n", ""}}, PROBE_OVER, INJECTED},
    {TLS | AT_ONCE,
     {GREET, {"+OK\r\nTOP\r\n.\r\n", ""}},
     PROBE_SICK,
     "it does not announce STLS",
     .clear = "TOP\n"},
    {TLS | AT_ONCE,
     {GREET, {"+OK\r\nSTLS\r\n.\r\n", STLS NOOP}, {"-ERR\r\n", ""}},
     PROBE_SICK,
     "it refuses STLS",
     .clear = "STLS\n",
     .tls_answer = "-ERR"},
};

static struct probe_step hear(struct probe *p, char *window, size_t *len, const char *more,
                              size_t count)
{
    struct probe_step step;
    char *exact;

    memcpy(window + *len, more, count);
    *len += count;
    exact = malloc(*len);
    assert_true(exact != NULL || *len == 0);
    if (*len > 0)
        memcpy(exact, window, *len);
    step = pop3_probe_step(p, (struct span){exact, *len});
    free(exact);
    assert_true(step.take <= *len);
    memmove(window, window + step.take, *len - step.take);
    *len -= step.take;
    return step;
}

static void look(const struct row *r, size_t cut)
{
    const struct probe_wish wish = {.hostname = "mail.example",
                                    .learns = (r->wish & LEARNS) != 0,
                                    .starts_tls = (r->wish & TLS) != 0,
                                    .needs_tls = (r->wish & NEEDS) != 0,
                                    .tells_identity = (r->wish & TELLS) != 0,
                                    .injection = (r->wish & AT_ONCE) != 0  ? PROBE_INJECT_AT_ONCE
                                                 : (r->wish & BEHIND) != 0 ? PROBE_INJECT_BEHIND
                                                                           : PROBE_INJECT_NOTHING};
    struct probe_step step = {.state = PROBE_GOING};
    char window[256];
    struct probe p;
    size_t len = 0;

    pop3_probe_init(&p, &wish);
    for (size_t i = 0; i < TURNS && r->turn[i].hears != NULL; i++) {
        bool is_shaken = strcmp(r->turn[i].hears, SHAKEN) == 0;
        size_t count = is_shaken ? 0 : strlen(r->turn[i].hears), at = 0;
        size_t piece = cut == 0 ? count : cut;

        assert_int_equal(is_shaken, step.state == PROBE_START_TLS);
        if (is_shaken)
            probe_secured(&p);
        do {
            size_t n = piece < count - at ? piece : count - at;

            step = hear(&p, window, &len, r->turn[i].hears + at, n);
            at += n;
        } while (at < count && step.state != PROBE_SICK && step.state != PROBE_OVER);
        assert_int_equal(step.text.len, strlen(r->turn[i].says));
        assert_memory_equal(step.text.data == NULL ? "" : step.text.data, r->turn[i].says,
                            step.text.len);
    }
    assert_int_equal(step.state, r->state);
    if (r->why != NULL)
        assert_string_equal(step.why, r->why);
    if (step.state == PROBE_HEALTHY)
        assert_int_equal(p.learned.is_known, r->learned != NULL);
    if (r->learned != NULL) {
        assert_int_equal(p.learned.len, strlen(r->learned));
        assert_memory_equal(p.learned.text, r->learned, p.learned.len);
    }
    if (r->answer != NULL)
        assert_string_equal(p.answer, r->answer);
    assert_int_equal(p.clear.is_known, r->clear != NULL);
    assert_int_equal(p.clear.len, r->clear == NULL ? 0 : strlen(r->clear));
    assert_memory_equal(p.clear.text, r->clear == NULL ? "" : r->clear, p.clear.len);
    assert_string_equal(p.tls_answer, r->tls_answer == NULL ? "" : r->tls_answer);
    assert_int_equal(p.farewell, r->farewell);
    if (r->farewell_answer != NULL)
        assert_string_equal(p.farewell_answer, r->farewell_answer);
    assert_false(p.is_injecting);
}

static void dialogues(void **state)
{
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t cut = 0; cut <= 3; cut++)
            look(&row[i], cut);
}

static void stls_is_noted_where_it_is_announced(void **state)
{
    const struct probe_wish wish = {.hostname = "mail.example", .starts_tls = true};
    struct probe p;

    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK STLS\r\n")).state, PROBE_GOING);
    assert_false(p.offers_tls);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\nSTLS\r\n.\r\n")).state, PROBE_GOING);
    assert_true(p.offers_tls);
    assert_int_equal(pop3_probe_step(&p, span_of("-ERR\r\n")).state, PROBE_HEALTHY);
    assert_true(p.offers_tls);
}

static void who_talks_before_it_is_asked_is_sick(void **state)
{
    static const struct {
        const char *first, *second, *why;
    } early[] = {
        {"+OK x\r\n+OK\r\n", NULL, NO_OK},
        {"+OK x\r\n", "+OK\r\n.\r\n+", "it talks before it is asked"},
        {"+OK x\r\n", "-ERR\r\n-ERR\r\n", "it talks before it is asked"},
    };
    const struct probe_wish wish = {.hostname = "mail.example", .learns = true};

    for (size_t i = 0; i < sizeof early / sizeof *early; i++) {
        struct probe_step step;
        struct probe p;

        pop3_probe_init(&p, &wish);
        step = pop3_probe_step(&p, span_of(early[i].first));
        if (early[i].second != NULL)
            step = pop3_probe_step(&p, span_of(early[i].second));
        assert_int_equal(step.state, PROBE_SICK);
        assert_string_equal(step.why, early[i].why);
    }
}

/* Whoever answers at all is told from other protocols. */
static void a_greeting_is_one_though_it_turns_away(void **state)
{
    static const struct {
        const char *hears;
        bool has_greeted;
    } greeting[] = {{"+OK x\r\n", true}, {"-ERR x\r\n", true},  {"+OK x", false},
                    {"+ x\r\n", false},  {"* OK x\r\n", false}, {"220 x\r\n", false}};

    for (size_t i = 0; i < sizeof greeting / sizeof *greeting; i++) {
        const struct probe_wish wish = {.hostname = "mail.example"};
        struct probe p;

        pop3_probe_init(&p, &wish);
        assert_true(pop3_probe_step(&p, span_of(greeting[i].hears)).state <= PROBE_SICK);
        assert_int_equal(p.has_greeted, greeting[i].has_greeted);
    }
}

static void what_comes_with_the_greeting_answers_a_header(void **state)
{
    const struct probe_wish wish = {.hostname = "mail.example", .starts_tls = true};
    struct probe p;

    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK x\r\n-ERR what?\r\n-ERR\r\n")).state,
                     PROBE_SICK);
    assert_int_equal(p.farewell, PROBE_FAREWELL_OTHER);
    assert_string_equal(p.farewell_answer, "-ERR what?");
    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("-ERR x\r\n-ERR y\r\n")).state, PROBE_SICK);
    assert_int_equal(p.farewell, PROBE_FAREWELL_NONE);
    pop3_probe_init(&p, &wish); /* and later it is something else */
    assert_int_equal(pop3_probe_step(&p, span_of("+OK x\r\n")).state, PROBE_GOING);
    assert_int_equal(pop3_probe_step(&p, span_of("-ERR x\r\n-ERR y\r\n")).state, PROBE_SICK);
    assert_int_equal(p.farewell, PROBE_FAREWELL_NONE);
}

static void who_talks_behind_its_go_ahead_is_injecting(void **state)
{
    static const struct {
        const char *text;
        bool is_injecting;
    } answer[] = {{"+OK\r\n+OK\r\n", true}, {"-ERR\r\n+OK\r\n", false}};
    const struct probe_wish wish = {.hostname = "mail.example", .starts_tls = true};
    struct probe p;

    for (size_t i = 0; i < 2; i++) {
        pop3_probe_init(&p, &wish);
        assert_int_equal(pop3_probe_step(&p, span_of("+OK x\r\n")).state, PROBE_GOING);
        assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\nSTLS\r\n.\r\n")).state, PROBE_GOING);
        assert_false(p.is_injecting);
        assert_int_equal(pop3_probe_step(&p, span_of(answer[i].text)).state, PROBE_SICK);
        assert_int_equal(p.is_injecting, answer[i].is_injecting);
    }
}

/* A protocol that relays nothing has nothing more to try, but the wish implies the other. */
static void who_wishes_for_relaying_learns(void **state)
{
    const struct probe_wish wish = {.hostname = "mail.example", .tries_relay = true};
    struct probe p;

    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\n")).state, PROBE_GOING);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\n.\r\n")).state, PROBE_HEALTHY);
    assert_int_equal(p.relay, PROBE_RELAY_UNKNOWN);
}

static void the_greeting_is_kept_as_far_as_people_can_read_it(void **state)
{
    const struct probe_wish wish = {.hostname = "mail.example"};
    char text[300];
    struct probe p;

    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK \x1b[1m\xe4\r\n")).state, PROBE_HEALTHY);
    assert_string_equal(p.greeting, "+OK ?[1m?");
    memset(text, 'x', sizeof text);
    memcpy(text, "+OK ", 4);
    text[sizeof text - 1] = '\n';
    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, (struct span){text, sizeof text}).state, PROBE_HEALTHY);
    assert_int_equal(strlen(p.greeting), PROBE_TEXT - 1);
}

static void it_decides_within_its_window(void **state)
{
    static char text[PROBE_WINDOW];
    const struct probe_wish wish = {.hostname = "mail.example", .learns = true};
    struct probe p;

    memset(text, 'x', sizeof text);
    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, (struct span){text, sizeof text}).state, PROBE_SICK);
    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\n")).state, PROBE_GOING);
    memcpy(text, "+OK\n", 4);
    assert_int_equal(pop3_probe_step(&p, (struct span){text, sizeof text}).state, PROBE_SICK);
    pop3_probe_init(&p, &wish);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\n")).state, PROBE_GOING);
    assert_int_equal(pop3_probe_step(&p, span_of("+OK\r\n.\r\n")).state, PROBE_HEALTHY);
    assert_int_equal(pop3_probe_step(&p, (struct span){text + 4, sizeof text - 4}).state,
                     PROBE_OVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues),
        cmocka_unit_test(stls_is_noted_where_it_is_announced),
        cmocka_unit_test(who_talks_before_it_is_asked_is_sick),
        cmocka_unit_test(a_greeting_is_one_though_it_turns_away),
        cmocka_unit_test(what_comes_with_the_greeting_answers_a_header),
        cmocka_unit_test(who_talks_behind_its_go_ahead_is_injecting),
        cmocka_unit_test(who_wishes_for_relaying_learns),
        cmocka_unit_test(the_greeting_is_kept_as_far_as_people_can_read_it),
        cmocka_unit_test(it_decides_within_its_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
