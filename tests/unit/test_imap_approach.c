/* SPDX-License-Identifier: ISC */
/* The way to an IMAP backend: its greeting, STARTTLS, ID. */
#include "protocols/imap_approach.h"
#include "tests/unit/approach_row.h"

#define CAPABILITY "a CAPABILITY\r\n"
#define STARTTLS   "b STARTTLS\r\n"
#define ID                                                                                         \
    "c ID (\"x-originating-ip\" \"2001:db8::7\" \"x-originating-port\" \"49152\" "                 \
    "\"x-connected-ip\" \"192.0.2.1\" \"x-connected-port\" \"993\" \"x-session-id\" "              \
    "\"9f2c01\")\r\n"

#define READY       APPROACH_READY
#define GOING       APPROACH_GOING
#define TLS         APPROACH_START_TLS
#define REFUSED     APPROACH_UNUSABLE, END_BACKEND_REFUSED
#define TLS_FAILED  APPROACH_UNUSABLE, END_BACKEND_TLS_FAILED
#define NO_GREETING REFUSED, "its greeting is no OK"
#define EARLY       "it talks before it is asked"
#define NONSENSE    "what it says is no answer"

#define PLAY(row) APPROACH_PLAY(row, imap_approach_step, IMAP_APPROACH_SPACE)

static void a_greeting_is_ok_and_alone(void **state)
{
    static const struct approach_row row[] = {
        {CLEAR, {{"", ""}}, GOING},
        {CLEAR, {{"* OK x", ""}}, GOING},
        {CLEAR, {{"* OK x\r\n", ""}}, READY},
        {CLEAR, {{"* ok\n", ""}}, READY},
        {CLEAR, {{"* OK [CAPABILITY STARTTLS] x\r\n", ""}}, READY},
        {CLEAR, {{"* PREAUTH x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* BYE x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* NO x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* BAD x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* CAPABILITY STARTTLS\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* ID NIL\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"a OK x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"+ OK x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"220 x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"+OK x\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* OK a\rb\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* OK [CAPABILITY STARTTLS\r\n", ""}}, NO_GREETING},
        {CLEAR, {{"* OK x\r\n* OK y\r\n", ""}}, REFUSED, EARLY, true},
        {CLEAR, {{"* OK x\r\n*", ""}}, REFUSED, EARLY, true},
        {ENFORCED, {{"* PREAUTH [CAPABILITY STARTTLS] x\r\n", ""}}, NO_GREETING},
        {TELLS, {{"* PREAUTH [CAPABILITY ID] x\r\n", ""}}, NO_GREETING},
    };

    PLAY(row);
}

static void tls_is_asked_for_where_it_is_announced(void **state)
{
    static const struct approach_row row[] = {
        {ENFORCED, {{"* OK [CAPABILITY IMAP4rev1 starttls ID] x\r\n", STARTTLS}}, GOING},
        {ENFORCED, {{"* OK x\r\n", CAPABILITY}}, GOING},
        {OPPORTUNISTIC, {{"* OK x\r\n", CAPABILITY}}, GOING},
        {ENFORCED, {{"* OK [ALERT] STARTTLS\r\n", CAPABILITY}}, GOING},
        {ENFORCED,
         {{"* OK x\r\n", CAPABILITY}, {"* CAPABILITY STARTTLS\r\na OK x\r\n", STARTTLS}},
         GOING},
        {ENFORCED, {{"* OK x\n", CAPABILITY}, {"* CAPABILITY STARTTLS\n", ""}}, GOING},
        {ENFORCED,
         {{"* OK x\r\n", CAPABILITY}, {"a OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}},
         GOING},
        {ENFORCED, {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b OK", ""}}, GOING},
        {ENFORCED, {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b OK\n", ""}}, TLS},
        {OPPORTUNISTIC, {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b OK x\r\n", ""}}, TLS},
        {ENFORCED,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS},
          {"b OK x\r\n", ""},
          {SHAKEN, CAPABILITY},
          {"* CAPABILITY STARTTLS\r\na OK x\r\n", ""}},
         READY},
        {ENFORCED,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS},
          {"b OK x\r\n", ""},
          {SHAKEN, CAPABILITY},
          {"a NO x\r\n", ""}},
         READY},
    };

    PLAY(row);
}

static void without_tls_only_where_policy_allows_it(void **state)
{
    static const char unannounced[] = "it does not announce STARTTLS";
    static const char refused[] = "it refuses STARTTLS";
    static const struct approach_row row[] = {
        {ENFORCED, {{"* OK [CAPABILITY IMAP4rev1 XSTARTTLS] x\r\n", ""}}, TLS_FAILED, unannounced},
        {ENFORCED, {{"* OK [CAPABILITY] x\r\n", ""}}, TLS_FAILED, unannounced},
        {ENFORCED,
         {{"* OK x\r\n", CAPABILITY}, {"* CAPABILITY ID\r\na OK\r\n", ""}},
         TLS_FAILED,
         unannounced},
        {ENFORCED, {{"* OK x\r\n", CAPABILITY}, {"a BAD x\r\n", ""}}, TLS_FAILED, unannounced},
        {ENFORCED,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b NO x\r\n", ""}},
         TLS_FAILED,
         refused},
        {ENFORCED,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b BAD x\r\n", ""}},
         TLS_FAILED,
         refused},
        {OPPORTUNISTIC, {{"* OK [CAPABILITY IMAP4rev1] x\r\n", ""}}, READY},
        {OPPORTUNISTIC, {{"* OK x\r\n", CAPABILITY}, {"a OK x\r\n", ""}}, READY},
        {OPPORTUNISTIC, {{"* OK x\r\n", CAPABILITY}, {"a NO x\r\n", ""}}, READY},
        {OPPORTUNISTIC,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b NO x\r\n", ""}},
         READY},
    };

    PLAY(row);
}

/* Whoever is between us and the backend may say what he likes: nothing of it is taken. */
static void before_tls_nothing_else_is_in_order(void **state)
{
#define ASKED                                                                                      \
    {                                                                                              \
        "* OK x\r\n", CAPABILITY                                                                   \
    }
#define STARTED                                                                                    \
    {                                                                                              \
        "* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS                                               \
    }
    static const struct approach_row row[] = {
        {ENFORCED, {ASKED, {"* OK [ALERT] x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"* OK [CAPABILITY STARTTLS] x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"* NO x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"* ID NIL\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"* PREAUTH x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"+ x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"b OK x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"A OK x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"aa OK x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"a OK x\ry\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"* BYE x\r\n", ""}}, REFUSED, "it says goodbye"},
        {OPPORTUNISTIC, {ASKED, {"* BYE x\r\n", ""}}, REFUSED, "it says goodbye"},
        {OPPORTUNISTIC, {ASKED, {"* OK x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {ASKED, {"a OK x\r\n*", ""}}, REFUSED, EARLY, true},
        {ENFORCED, {STARTED, {"* OK x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {STARTED, {"* CAPABILITY ID\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {STARTED, {"+ x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {STARTED, {"* BYE x\r\n", ""}}, REFUSED, "it says goodbye"},
        {ENFORCED, {STARTED, {"a OK x\r\n", ""}}, REFUSED, NONSENSE},
        {ENFORCED, {STARTED, {"B OK x\r\n", ""}}, REFUSED, NONSENSE},
        {OPPORTUNISTIC, {STARTED, {"b NO x\r\n*", ""}}, REFUSED, EARLY, true},
        {OPPORTUNISTIC,
         {STARTED, {"b OK x\r\n*", ""}},
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
    char space[IMAP_APPROACH_SPACE];

    step = imap_approach_step(&a, span_of("* OK [CAPABILITY STARTTLS] x\r\n"), space);
    assert_int_equal(step.note, NOTE_NONE);
    step = imap_approach_step(&a, span_of("b OK x\r\n* OK [CAPABILITY AUTH=PLAIN]\r\n"), space);
    assert_int_equal(step.note, NOTE_BACKEND_INJECTION);
}

static void the_client_is_named_before_anything_else(void **state)
{
    static const struct approach_row row[] = {
        {TELLS, {{"* OK x\r\n", ID}}, GOING},
        {TELLS, {{"* OK [CAPABILITY IMAP4rev1 id] x\r\n", ID}}, GOING},
        {TELLS, {{"* OK [CAPABILITY STARTTLS ID] x\r\n", ID}}, GOING},
        {TELLS, {{"* OK x\r\n", ID}, {"c OK x\r\n", ""}}, READY},
        {TELLS,
         {{"* OK x\r\n", ID},
          {"* OK x\r\n* NO x\r\n* ID (\"name\" NIL)\r\n* CAPABILITY X\nc OK\n", ""}},
         READY},
        {TELLS_INSIDE,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS},
          {"b OK x\r\n", ""},
          {SHAKEN, ID},
          {"* ID NIL\r\n", ""},
          {"c OK x\r\n", ""}},
         READY},
        {TELLS_ANYWAY, {{"* OK [CAPABILITY ID] x\r\n", ID}}, GOING},
        {TELLS_ANYWAY, {{"* OK x\r\n", CAPABILITY}, {"a BAD\r\n", ID}}, GOING},
        {TELLS_ANYWAY,
         {{"* OK x\r\n", CAPABILITY},
          {"* CAPABILITY STARTTLS ID\r\na OK\r\n", STARTTLS},
          {"b NO\r\n", ID}},
         GOING},
    };

    PLAY(row);
}

static void never_on_without_identity(void **state)
{
    static const char unannounced[] = "it does not announce ID", refused[] = "it refuses ID";
#define NAMED                                                                                      \
    {                                                                                              \
        "* OK x\r\n", ID                                                                           \
    }
    static const struct approach_row row[] = {
        {TELLS, {{"* OK [CAPABILITY IMAP4rev1 XID ID=1] x\r\n", ""}}, REFUSED, unannounced},
        {TELLS_ANYWAY, {{"* OK [CAPABILITY IMAP4rev1] x\r\n", ""}}, REFUSED, unannounced},
        {TELLS_ANYWAY,
         {{"* OK [CAPABILITY STARTTLS] x\r\n", STARTTLS}, {"b NO\r\n", ""}},
         REFUSED,
         unannounced},
        {TELLS, {NAMED, {"c NO x\r\n", ""}}, REFUSED, refused},
        {TELLS, {NAMED, {"c BAD x\r\n", ""}}, REFUSED, refused},
        {TELLS, {NAMED, {"* ID NIL\r\nc BAD x\r\n", ""}}, REFUSED, refused},
        {TELLS, {NAMED, {"* BYE x\r\n", ""}}, REFUSED, "it says goodbye"},
        {TELLS, {NAMED, {"* PREAUTH x\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"a OK x\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"C OK x\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"+ x\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"* ID (\"name\" {4}\r\n", ""}}, REFUSED, NONSENSE},
        {TELLS, {NAMED, {"c OK x\r\n* BYE", ""}}, REFUSED, EARLY, true},
        {TELLS_INSIDE,
         {{"* OK [CAPABILITY STARTTLS ID] x\r\n", STARTTLS},
          {"b OK x\r\n", ""},
          {SHAKEN, ID},
          {"c BAD x\r\n", ""}},
         REFUSED,
         refused},
    };

    PLAY(row);
}

/* It came in by a socket of the machine itself, say. */
static void what_is_not_known_is_not_told(void **state)
{
    struct client_identity identity = approach_client;
    struct approach a = approach_init("x", &identity, false, false);
    struct approach_step step;
    char space[IMAP_APPROACH_SPACE];

    identity.server.family = ADDRESS_NONE;
    step = imap_approach_step(&a, span_of("* OK x\r\n"), space);
    assert_true(span_equals(
        step.text, span_of("c ID (\"x-originating-ip\" \"2001:db8::7\" \"x-originating-port\" "
                           "\"49152\" \"x-session-id\" \"9f2c01\")\r\n")));
}

static void the_longest_identity_fits(void **state)
{
    struct client_identity identity = {
        .client = {.family = ADDRESS_V6, .port = 65535},
        .server = {.family = ADDRESS_V6, .port = 65535},
        .session = "0123456789abcdef",
    };
    struct approach a = approach_init("x", &identity, false, false);
    char *space = malloc(IMAP_APPROACH_SPACE); /* a sanitizer sees the octet behind it */
    struct approach_step step;

    memset(identity.client.octets, 0xff, sizeof identity.client.octets);
    memset(identity.server.octets, 0xff, sizeof identity.server.octets);
    step = imap_approach_step(&a, span_of("* OK x\r\n"), space);
    assert_true(span_equals(
        step.text,
        span_of("c ID (\"x-originating-ip\" \"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\" "
                "\"x-originating-port\" \"65535\" \"x-connected-ip\" "
                "\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\" \"x-connected-port\" \"65535\" "
                "\"x-session-id\" \"0123456789abcdef\")\r\n")));
    free(space);
}

static void words_without_end_are_no_answer(void **state)
{
    static char line[IMAP_APPROACH_SPACE * 64];
    char space[IMAP_APPROACH_SPACE];
    struct approach a = approach_init("x", NULL, true, true);
    struct approach_step step;
    int lines = 0;

    memset(line, 'x', sizeof line);
    step = imap_approach_step(&a, (struct span){line, sizeof line}, space);
    assert_int_equal(step.state, APPROACH_UNUSABLE);
    a = approach_init("x", NULL, true, true);
    step = imap_approach_step(&a, span_of("* OK x\r\n"), space);
    while (step.state == APPROACH_GOING && lines++ < 10000)
        step = imap_approach_step(&a, span_of("* CAPABILITY hold the line\r\n"), space);
    assert_string_equal(step.why, "its answer has no end");
    assert_in_range(lines, 500, 700); /* of 28 octets each, 16 KiB in all */
    a = approach_init("x", NULL, true, true);
    step = imap_approach_step(&a, span_of("* OK x\r\n"), space);
    step = imap_approach_step(&a, (struct span){line, sizeof line}, space);
    assert_string_equal(step.why, "its line has no end");
}

static void every_answer_may_be_as_long_as_the_last(void **state)
{
    struct approach a = approach_init("x", &approach_client, true, false);
    char space[IMAP_APPROACH_SPACE];
    struct approach_step step = imap_approach_step(&a, span_of("* OK x\r\n"), space);

    for (int i = 0; i < 500; i++)
        step = imap_approach_step(&a, span_of("* CAPABILITY ID, and the line\r\n"), space);
    step = imap_approach_step(&a, span_of("a OK [CAPABILITY ID] x\r\n"), space);
    assert_true(span_equals(step.text, span_of(ID)));
    for (int i = 0; i < 500; i++)
        step = imap_approach_step(&a, span_of("* OK hold the line for us\r\n"), space);
    assert_int_equal(imap_approach_step(&a, span_of("c OK x\r\n"), space).state, READY);
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
        cmocka_unit_test(what_is_not_known_is_not_told),
        cmocka_unit_test(the_longest_identity_fits),
        cmocka_unit_test(words_without_end_are_no_answer),
        cmocka_unit_test(every_answer_may_be_as_long_as_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
