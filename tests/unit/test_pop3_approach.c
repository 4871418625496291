/* SPDX-License-Identifier: ISC */
/* The way to a POP3 backend: its greeting, STLS, XCLIENT. */
#include "protocols/pop3_approach.h"
#include "protocols/pop3_client.h"
#include "tests/unit/approach_row.h"

#define CAPA    "CAPA\r\n"
#define STLS    "STLS\r\n"
#define XCLIENT "XCLIENT ADDR=2001:db8::7 PORT=49152 SESSION=9f2c01\r\n"

#define READY       APPROACH_READY
#define GOING       APPROACH_GOING
#define TLS         APPROACH_START_TLS
#define REFUSED     APPROACH_UNUSABLE, END_BACKEND_REFUSED
#define TLS_FAILED  APPROACH_UNUSABLE, END_BACKEND_TLS_FAILED
#define NO_GREETING REFUSED, "its greeting is no +OK"
#define EARLY       "it talks before it is asked"
#define NONSENSE    "what it says is no reply"

#define ASKED                                                                                      \
    {                                                                                              \
        "+OK x\r\n", CAPA                                                                          \
    }
#define STARTED                                                                                    \
    ASKED,                                                                                         \
    {                                                                                              \
        "+OK\r\nSTLS\r\n.\r\n", STLS                                                               \
    }
#define NAMED                                                                                      \
    {                                                                                              \
        "+OK x\r\n", XCLIENT                                                                       \
    }

#define PLAY(row) APPROACH_PLAY(row, pop3_approach_step, POP3_APPROACH_SPACE)

static void a_greeting_is_ok_and_alone(void **state)
{
    static const struct approach_row row[] = {
        {CLEAR, {{"", ""}}, GOING},
        {CLEAR, {{"+OK", ""}}, GOING},
        {CLEAR, {{"+OK <1@b>\r\n", ""}}, READY},
        {CLEAR, {{"+ok\n", ""}}, READY},
        {CLEAR, {{"-ERR busy\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"+OKAY\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"+ OK\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"220 x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* OK x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"+OK a\rb\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"+OK x\r\n+OK y\r\n", ""}}, NO_GREETING, true},
        {CLEAR, {{"+OK x\r\n+", ""}}, NO_GREETING, true},
        {ENFORCED, {{"-ERR busy\r\n", ""}}, NO_GREETING},
        {TELLS, {{"-ERR busy\r\n", ""}}, NO_GREETING},
    };

    PLAY(row);
}

static void tls_is_asked_for_where_it_is_announced(void **state)
{
    static const struct approach_row row[] = {
        {ENFORCED, {ASKED}, GOING},
        {OPPORTUNISTIC, {ASKED}, GOING},
        {ENFORCED, {ASKED, {"+OK\r\nTOP\r\nSTLS\r\n", ""}}, GOING},
        {ENFORCED, {ASKED, {"+OK\r\nTOP\r\n stls \r\nUSER\r\n.\r\n", STLS}}, GOING},
        {ENFORCED, {ASKED, {"+OK\nSTLS\n.\n", STLS}}, GOING},
        {ENFORCED, {STARTED, {"+OK", ""}}, GOING},
        {ENFORCED, {STARTED, {"+OK\n", ""}}, TLS},
        {OPPORTUNISTIC, {STARTED, {"+OK begin\r\n", ""}}, TLS},
        {ENFORCED, {STARTED, {"+OK\r\n", ""}, {SHAKEN, CAPA}}, GOING},
        {ENFORCED, {STARTED, {"+OK\r\n", ""}, {SHAKEN, CAPA}, {"+OK\r\nSTLS\r\n.\r\n", ""}}, READY},
        {ENFORCED, {STARTED, {"+OK\r\n", ""}, {SHAKEN, CAPA}, {"-ERR what\r\n", ""}}, READY},
    };

    PLAY(row);
}

static void without_tls_only_where_policy_allows_it(void **state)
{
    static const char unannounced[] = "it does not announce STLS", refused[] = "it refuses STLS";
    static const struct approach_row row[] = {
        {ENFORCED, {ASKED, {"+OK\r\n.\r\n", ""}}, TLS_FAILED, unannounced},
        {ENFORCED, {ASKED, {"+OK STLS\r\nXSTLS\r\nX STLS\r\n.\r\n", ""}}, TLS_FAILED, unannounced},
        {ENFORCED, {ASKED, {"-ERR STLS\r\n", ""}}, TLS_FAILED, unannounced},
        {ENFORCED, {STARTED, {"-ERR x\r\n", ""}}, TLS_FAILED, refused},
        {OPPORTUNISTIC, {ASKED, {"+OK\r\n.\r\n", ""}}, READY},
        {OPPORTUNISTIC, {ASKED, {"-ERR x\r\n", ""}}, READY},
        {OPPORTUNISTIC, {STARTED, {"-ERR x\r\n", ""}}, READY},
    };

    PLAY(row);
}

/* Whoever is between us and the backend may say what he likes: nothing of it is taken. */
static void before_tls_nothing_else_is_in_order(void **state)
{
    static const char no_list[] = "its list of capabilities is none";
    static const struct approach_row row[] = {
        {ENFORCED, {ASKED, {"+ \r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"STLS\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"+OK\r\nA\rB\r\n", ""}}, REFUSED, no_list},
        {ENFORCED, {ASKED, {"+OK\r\nSTLS\r\n+OK\r\n", ""}}, REFUSED, no_list},
        {OPPORTUNISTIC, {ASKED, {"+OK\r\nSTLS\r\n-ERR\r\n", ""}}, REFUSED, no_list},
        {OPPORTUNISTIC, {ASKED, {"+ \r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"+OK\r\nSTLS\r\n.\r\n+", ""}}, REFUSED, EARLY, true},
        {OPPORTUNISTIC, {ASKED, {"-ERR\r\n+", ""}}, REFUSED, EARLY, true},
        {ENFORCED, {STARTED, {"+ \r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {STARTED, {"* OK\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {STARTED, {"+OK x\ry\r\n", ""}}, REFUSED, NONSENSE},
        {OPPORTUNISTIC, {STARTED, {"220\r\n", ""}}, REFUSED, NONSENSE},
        {OPPORTUNISTIC, {STARTED, {"-ERR\r\n+", ""}}, REFUSED, EARLY, true},
        {OPPORTUNISTIC,
         {STARTED, {"+OK\r\n+", ""}},
         TLS_FAILED,
         "it talks behind its go-ahead for TLS",
         true},
    };

    PLAY(row);
}

static void octets_behind_the_go_ahead_are_an_injection(void **state)
{
    struct approach a = approach_init("x", NULL, true, true);
    struct approach_step step;
    char space[POP3_APPROACH_SPACE];

    step = pop3_approach_step(&a, span_of("+OK\r\n"), space);
    step = pop3_approach_step(&a, span_of("+OK\r\nSTLS\r\n.\r\n"), space);
    assert_int_equal(step.note, NOTE_NONE);
    step = pop3_approach_step(&a, span_of("+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n"), space);
    assert_int_equal(step.note, NOTE_BACKEND_INJECTION);
}

static void the_client_is_named_before_anything_else(void **state)
{
    static const struct approach_row row[] = {
        {TELLS, {NAMED}, GOING},
        {TELLS, {{"+OK [XCLIENT] x\r\n", XCLIENT}}, GOING},
        {TELLS, {NAMED, {"+OK", ""}}, GOING},
        {TELLS, {NAMED, {"+OK Updated\r\n", ""}}, READY},
        {TELLS, {NAMED, {"+ok\n", ""}}, READY},
        {TELLS_INSIDE,
         {STARTED, {"+OK x\r\n", ""}, {SHAKEN, XCLIENT}, {"+OK Updated\r\n", ""}},
         READY},
        {TELLS_ANYWAY, {ASKED, {"-ERR x\r\n", XCLIENT}, {"+OK Updated\r\n", ""}}, READY},
        {TELLS_ANYWAY, {ASKED, {"+OK\r\n.\r\n", XCLIENT}}, GOING},
        {TELLS_ANYWAY, {STARTED, {"-ERR x\r\n", XCLIENT}}, GOING},
    };

    PLAY(row);
}

static void never_on_without_identity(void **state)
{
    static const char refused[] = "it refuses XCLIENT", ignored[] = "it does not trust our XCLIENT";
    static const struct approach_row row[] = {
        {TELLS, {NAMED, {"-ERR Unknown command.\r\n", ""}}, REFUSED, refused},
        {TELLS, {NAMED, {"+OK You are not from trusted IP - ignoring\r\n", ""}}, REFUSED, ignored},
        {TELLS, {NAMED, {"-ERR You are not from trusted IP\r\n", ""}}, REFUSED, refused},
        {TELLS, {NAMED, {"+ \r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"* OK\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"+OK x\ry\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"+OK Updated\r\n+", ""}}, REFUSED, EARLY, true},
        {TELLS_INSIDE,
         {STARTED,
          {"+OK x\r\n", ""},
          {SHAKEN, XCLIENT},
          {"+OK You are not from trusted IP - ignoring\r\n", ""}},
         REFUSED,
         ignored},
        {TELLS_ANYWAY, {STARTED, {"-ERR x\r\n", XCLIENT}, {"-ERR\r\n", ""}}, REFUSED, refused},
    };

    PLAY(row);
}

static void the_longest_identity_fits(void **state)
{
    struct client_identity identity = {
        .client = {.family = ADDRESS_V6, .port = 65535},
        .session = "0123456789abcdef",
    };
    struct approach a = approach_init("x", &identity, false, false);
    char *space = malloc(POP3_APPROACH_SPACE); /* a sanitizer sees the octet behind it */
    struct approach_step step;

    memset(identity.client.octets, 0xff, sizeof identity.client.octets);
    step = pop3_approach_step(&a, span_of("+OK\r\n"), space);
    assert_true(
        span_equals(step.text, span_of("XCLIENT ADDR=ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                                       "PORT=65535 SESSION=0123456789abcdef\r\n")));
    free(space);
}

static void words_without_end_are_no_reply(void **state)
{
    static char line[POP3_REPLY_LINE_MAX], list[POP3_LIST_MAX];
    struct approach a = approach_init("x", NULL, true, true);
    char space[POP3_APPROACH_SPACE];

    memset(line, 'x', sizeof line);
    memcpy(line, "+OK ", 4);
    assert_string_equal(pop3_approach_step(&a, (struct span){line, sizeof line}, space).why,
                        "its greeting is no +OK");
    assert_int_equal(pop3_approach_step(&a, span_of("+OK\r\n"), space).state, GOING);
    memset(list, '\n', sizeof list);
    memcpy(list, "+OK", 3);
    assert_string_equal(pop3_approach_step(&a, (struct span){list, sizeof list}, space).why,
                        "its list of capabilities is none");
    a = approach_init("x", NULL, true, true);
    assert_int_equal(pop3_approach_step(&a, span_of("+OK\r\n"), space).state, GOING);
    assert_int_equal(pop3_approach_step(&a, span_of("+OK\r\nSTLS\r\n.\r\n"), space).state, GOING);
    assert_string_equal(pop3_approach_step(&a, (struct span){line, sizeof line}, space).why,
                        NONSENSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_is_ok_and_alone),
        cmocka_unit_test(tls_is_asked_for_where_it_is_announced),
        cmocka_unit_test(without_tls_only_where_policy_allows_it),
        cmocka_unit_test(before_tls_nothing_else_is_in_order),
        cmocka_unit_test(octets_behind_the_go_ahead_are_an_injection),
        cmocka_unit_test(the_client_is_named_before_anything_else),
        cmocka_unit_test(never_on_without_identity),
        cmocka_unit_test(the_longest_identity_fits),
        cmocka_unit_test(words_without_end_are_no_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
