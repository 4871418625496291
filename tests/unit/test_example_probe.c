/* SPDX-License-Identifier: ISC */
/* The probe of the module of docs/protocols.md: dialogues, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/example_protocol/managesieve.h"

struct turn {
    const char *hears; /* from the backend; SHAKEN: the handshake is done */
    const char *says;  /* once it has heard all of that */
};

#define TURNS  6
#define SHAKEN ""

struct row {
    struct probe_wish wish;
    struct turn turn[TURNS];
    enum probe_state state; /* of the last turn */
    enum probe_farewell farewell;
    const char *learned, *clear, *why; /* NULL: not known */
};

#define LIST   "\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK\r\n"
#define SECURE "\"SASL\" \"LOGIN\"\r\n\"SIEVE\" \"a \\\" b\"\r\nOK\r\n"
#define TLS    .starts_tls = true, .learns = true
#define TO_TLS(start, noop)                                                                        \
    {LIST, start}, {"OK\r\n", noop},                                                               \
    {                                                                                              \
        SHAKEN, "LOGOUT\r\n"                                                                       \
    }
#define CLEAR .clear = "SASL PLAIN\nSTARTTLS\n"

static const struct row row[] = {
    {{.learns = true},
     {{LIST, "LOGOUT\r\n"}, {"OK\r\n", ""}},
     PROBE_OVER,
     PROBE_FAREWELL_GOOD,
     .learned = "SASL PLAIN\nSTARTTLS\n"},
    {{.learns = false}, {{LIST, "LOGOUT\r\n"}, {"N", ""}}, PROBE_GOING},
    {{.learns = false},
     {{LIST, "LOGOUT\r\n"}, {"NO \"what?\"\r\n", ""}},
     PROBE_OVER,
     PROBE_FAREWELL_OTHER},
    {{.learns = true}, {{"220 x\r\n", ""}}, PROBE_SICK, .why = "its greeting is no list and OK"},
    {{TLS},
     {{LIST, "STARTTLS\r\n"}, {"OK\r\n", ""}, {SHAKEN, ""}, {SECURE, "LOGOUT\r\n"}},
     PROBE_HEALTHY,
     .learned = "SASL LOGIN\n",
     CLEAR},
    {{TLS, .needs_tls = true},
     {{LIST, "STARTTLS\r\n"}, {"NO\r\n", ""}},
     PROBE_SICK,
     .why = "it refuses STARTTLS",
     CLEAR},
    {{TLS},
     {{LIST, "STARTTLS\r\n"}, {"NO\r\n", "CAPABILITY\r\n"}, {SECURE, "LOGOUT\r\n"}},
     PROBE_HEALTHY,
     .learned = "SASL LOGIN\n",
     CLEAR},
    /* The list that comes by itself is no answer to what was put in. */
    {{TLS, .injection = PROBE_INJECT_AT_ONCE},
     {TO_TLS("STARTTLS\r\nNOOP\r\n", ""), {SECURE, ""}, {"OK\r\n", ""}},
     PROBE_GOING,
     PROBE_FAREWELL_GOOD,
     CLEAR},
    {{TLS, .injection = PROBE_INJECT_AT_ONCE},
     {TO_TLS("STARTTLS\r\nNOOP\r\n", ""), {SECURE "OK\r\n", ""}, {"OK\r\n", ""}},
     PROBE_OVER,
     PROBE_FAREWELL_OTHER,
     CLEAR},
    {{TLS, .injection = PROBE_INJECT_BEHIND},
     {TO_TLS("STARTTLS\r\n", "NOOP\r\n"), {"NO\r\n", ""}},
     PROBE_OVER,
     CLEAR},
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
    step = managesieve_protocol.probe_step(p, (struct span){exact, *len});
    free(exact);
    assert_true(step.take <= *len);
    memmove(window, window + step.take, *len - step.take);
    *len -= step.take;
    return step;
}

static void is(const struct learned *learned, const char *text)
{
    assert_int_equal(learned->is_known, text != NULL);
    assert_int_equal(learned->len, text == NULL ? 0 : strlen(text));
    assert_memory_equal(learned->text, text == NULL ? "" : text, learned->len);
}

static void look(const struct row *r, size_t cut)
{
    struct probe_step step = {.state = PROBE_GOING};
    char window[256];
    struct probe p;
    size_t len = 0;

    managesieve_protocol.probe_init(&p, &r->wish);
    for (size_t i = 0; i < TURNS && r->turn[i].hears != NULL; i++) {
        const size_t count = strlen(r->turn[i].hears), piece = cut == 0 ? count : cut;
        size_t at = 0;

        assert_int_equal(count == 0, step.state == PROBE_START_TLS);
        if (count == 0)
            probe_secured(&p);
        do {
            const size_t n = piece < count - at ? piece : count - at;

            step = hear(&p, window, &len, r->turn[i].hears + at, n);
            at += n;
        } while (at < count && step.state != PROBE_SICK && step.state != PROBE_OVER);
        assert_int_equal(step.text.len, strlen(r->turn[i].says));
        assert_memory_equal(step.text.data == NULL ? "" : step.text.data, r->turn[i].says,
                            step.text.len);
    }
    assert_int_equal(step.state, r->state);
    assert_int_equal(p.farewell, r->farewell);
    if (step.state == PROBE_SICK)
        assert_string_equal(step.why, r->why);
    is(&p.learned, r->learned);
    is(&p.clear, r->clear);
}

static void dialogues(void **state)
{
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t cut = 0; cut <= 3; cut++)
            look(&row[i], cut);
}

/* Whoever answers at all is told from other protocols. */
static void a_greeting_is_one_though_it_turns_away(void **state)
{
    static const struct {
        const char *hears;
        bool has_greeted;
    } greeting[] = {{LIST, true},         {"BYE \"no\"\r\n", true}, {"NO\r\n", true},
                    {"\"A\"\r\n", false}, {"220 x\r\n", false},     {"* OK\r\n", false}};

    for (size_t i = 0; i < sizeof greeting / sizeof *greeting; i++) {
        const struct probe_wish wish = {.learns = false};
        struct probe p;

        managesieve_protocol.probe_init(&p, &wish);
        assert_true(managesieve_protocol.probe_step(&p, span_of(greeting[i].hears)).state <=
                    PROBE_SICK);
        assert_int_equal(p.has_greeted, greeting[i].has_greeted);
    }
}

static void it_decides_within_its_window(void **state)
{
    static char text[PROBE_WINDOW];
    const struct probe_wish wish = {.learns = true};
    struct probe p;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "\"A\"\r\n"[i % 5];
    managesieve_protocol.probe_init(&p, &wish);
    assert_int_equal(managesieve_protocol.probe_step(&p, (struct span){text, sizeof text}).state,
                     PROBE_SICK);
    memset(text, 'x', sizeof text);
    managesieve_protocol.probe_init(&p, &wish);
    assert_int_equal(managesieve_protocol.probe_step(&p, (struct span){text, sizeof text}).state,
                     PROBE_SICK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues),
        cmocka_unit_test(a_greeting_is_one_though_it_turns_away),
        cmocka_unit_test(it_decides_within_its_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
