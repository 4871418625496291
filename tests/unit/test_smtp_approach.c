/* SPDX-License-Identifier: ISC */
/* SMTP's way to where a client may be heard: greeting, STARTTLS, XCLIENT. */
#include "protocols/probe.h"
#include "protocols/smtp_approach.h"
#include "tests/unit/approach_row.h"

#define EHLO  "EHLO gate.example\r\n"
#define START "STARTTLS\r\n"
#define KNOWN                                                                                      \
    "XCLIENT ADDR=IPV6:2001:db8::7 PORT=49152 DESTADDR=192.0.2.1 DESTPORT=993 "                    \
    "NAME=[UNAVAILABLE]\r\n"

#define OFFERS_TLS     "250-x\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
#define OFFERS_XCLIENT "250-x\r\n250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
#define OFFERS_BOTH    "250-x\r\n250-STARTTLS\r\n250 XCLIENT NAME ADDR PORT DESTADDR DESTPORT\r\n"

#define REFUSED    .state = APPROACH_UNUSABLE, .end = END_BACKEND_REFUSED
#define TLS_FAILED .state = APPROACH_UNUSABLE, .end = END_BACKEND_TLS_FAILED

#define NO_GREETING REFUSED, .why = "its greeting is no 220"
#define NO_REPLY    REFUSED, .why = "what it says is no reply"
#define TALKS       REFUSED, .why = "it talks before it is asked", .is_at_once = true
#define SAYS_421    REFUSED, .why = "it says 421"
#define NO_TLS      TLS_FAILED, .why = "it does not announce STARTTLS"
#define NO_START    TLS_FAILED, .why = "it refuses STARTTLS"
#define NO_XCLIENT  REFUSED, .why = "it does not announce XCLIENT with ADDR"
#define INJECTED    TLS_FAILED, .why = "it talks behind its go-ahead for TLS", .is_at_once = true

#define GREETS(says)                                                                               \
    {                                                                                              \
        "220 x\r\n", says                                                                          \
    }

#define INSIDE                                                                                     \
    GREETS(EHLO), {OFFERS_TLS, START},                                                             \
    {                                                                                              \
        "220 x\r\n", ""                                                                            \
    }

static const struct approach_row greetings[] = {
    {CLEAR, {{"", ""}}},
    {CLEAR, {{"220 x", ""}}},
    {CLEAR, {{"220-x\r\n", ""}}},
    {CLEAR, {{"220 x\r\n", ""}}, APPROACH_READY},
    {CLEAR, {{"220\n", ""}}, APPROACH_READY},
    {CLEAR, {{"220-a\r\n220-b\n220 c\r\n", ""}}, APPROACH_READY},
    {CLEAR, {{"220-a\r\n221", ""}}},
    {CLEAR, {{"220-a\r\n221 b\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"250 x\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"221 x\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"421 x\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"554-x\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"* OK IMAP\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"+OK\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"220 a\rb\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"\r\n", ""}}, NO_GREETING},
    {CLEAR, {{"220 x\r\n250 y\r\n", ""}}, TALKS},
    {CLEAR, {{"220 x\r\n2", ""}}, TALKS},
    {ENFORCED, {{"220 x\r\n" OFFERS_TLS, ""}}, TALKS},
    {ENFORCED, {{"554 x\r\n", ""}}, NO_GREETING},
    {TELLS, {{"554 x\r\n", ""}}, NO_GREETING},
};

static const struct approach_row starttls[] = {
    {ENFORCED, {GREETS(EHLO)}},
    {ENFORCED, {{"220-a\r\n220 b\n", EHLO}}},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}}},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}}},
    {ENFORCED, {GREETS(EHLO), {"250-x\n250 starttls\n", START}}},
    {ENFORCED, {GREETS(EHLO), {"250-\r\n250 \tSTARTTLS \r\n", START}}},
    {ENFORCED, {GREETS(EHLO), {"250-x\r\n250 STARTTLS now\r\n", START}}},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"220-go\r\n220", ""}}},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"220 go\r\n", ""}}, APPROACH_START_TLS},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"220\n", ""}}, APPROACH_START_TLS},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"220-a\n220 b\n", ""}}, APPROACH_START_TLS},

    /* Behind TLS it is to answer once before it is believed to be ready (TLS 1.3 refuses us late). */
    {ENFORCED, {INSIDE, {SHAKEN, EHLO}}},
    {ENFORCED, {INSIDE, {SHAKEN, EHLO}, {OFFERS_XCLIENT, ""}}, APPROACH_READY},
    {OPPORTUNISTIC, {INSIDE, {SHAKEN, EHLO}, {OFFERS_TLS, ""}}, APPROACH_READY},
    {ENFORCED, {INSIDE, {SHAKEN, EHLO}, {"502 what\r\n", ""}}, APPROACH_READY},
    {ENFORCED, {INSIDE, {SHAKEN, EHLO}, {"421 no\r\n", ""}}, SAYS_421},
    {ENFORCED, {INSIDE, {SHAKEN, EHLO}, {"220 x\r\n250 y\r\n", ""}}, TALKS},
    {ENFORCED, {INSIDE, {SHAKEN, EHLO}, {"354 x\r\n", ""}}, NO_REPLY},

    /* It does not announce it: the name in the first line is no extension, nor is a part of one. */
    {ENFORCED, {GREETS(EHLO), {"250-x\r\n250 XSTARTTLS\r\n", ""}}, NO_TLS},
    {ENFORCED, {GREETS(EHLO), {"250-x\r\n250-STARTTLSX\r\n250 X STARTTLS\r\n", ""}}, NO_TLS},
    {ENFORCED, {GREETS(EHLO), {"250 STARTTLS\r\n", ""}}, NO_TLS},
    {ENFORCED, {GREETS(EHLO), {"250-STARTTLS\r\n250 x\r\n", ""}}, NO_TLS},
    {ENFORCED, {GREETS(EHLO), {"250\r\n", ""}}, NO_TLS},
    {OPPORTUNISTIC, {GREETS(EHLO), {"250-x\r\n250 SIZE\r\n", ""}}, APPROACH_READY},

    /* It knows no EHLO. */
    {ENFORCED, {GREETS(EHLO), {"502-what\r\n502 STARTTLS\r\n", ""}}, NO_TLS},
    {ENFORCED, {GREETS(EHLO), {"451 later\r\n", ""}}, NO_TLS},
    {OPPORTUNISTIC, {GREETS(EHLO), {"500-what\r\n500 STARTTLS\r\n", ""}}, APPROACH_READY},

    /* It refuses it. Whoever says something else may have begun. */
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"454 no\r\n", ""}}, NO_START},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"250 go\r\n", ""}}, NO_START},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"454 no\r\n", ""}}, APPROACH_READY},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"502-no\n502 n\n", ""}}, APPROACH_READY},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"250 go\r\n", ""}}, NO_START},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"399 go\r\n", ""}}, NO_REPLY},

    /* Octets behind the go-ahead (CVE-2011-0411), or behind a refusal. */
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS, START}, {"220 go\r\n220 x\r\n", ""}}, INJECTED},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"220-g\n220 o\nx", ""}}, INJECTED},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"454 no\r\n250 x\r\n", ""}}, TALKS},
    {ENFORCED, {GREETS(EHLO), {OFFERS_TLS "220 go\r\n", ""}}, TALKS},

    /* It goes, or talks nonsense. */
    {OPPORTUNISTIC, {GREETS(EHLO), {"421-bye\r\n", ""}}, SAYS_421},
    {OPPORTUNISTIC, {GREETS(EHLO), {OFFERS_TLS, START}, {"421 bye\r\n", ""}}, SAYS_421},
    {OPPORTUNISTIC, {GREETS(EHLO), {"250-x\r\nSTARTTLS\r\n", ""}}, NO_REPLY},
    {OPPORTUNISTIC, {GREETS(EHLO), {"250-x\r\n251 STARTTLS\r\n", ""}}, NO_REPLY},
    {OPPORTUNISTIC, {GREETS(EHLO), {"354 x\r\n", ""}}, NO_REPLY},
};

static const struct approach_row xclient[] = {
    {TELLS, {GREETS(EHLO)}},
    {TELLS, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}}},
    {TELLS, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"220-y\r\n220", ""}}},
    {TELLS, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"220-y\r\n220 z\r\n", ""}}, APPROACH_READY},

    /* What it does not announce it is not told, but for ADDR it will not do. */
    {TELLS, {GREETS(EHLO), {"250-x\r\n250 xclient addr\r\n", "XCLIENT ADDR=IPV6:2001:db8::7\r\n"}}},
    {TELLS,
     {GREETS(EHLO),
      {"250-x\r\n250-XCLIENT NAME\r\n250 XCLIENT ADDR\r\n",
       "XCLIENT ADDR=IPV6:2001:db8::7 NAME=[UNAVAILABLE]\r\n"}}},
    {TELLS,
     {GREETS(EHLO),
      {"250-x\r\n250 XCLIENT DESTPORT PORT ADDR\r\n",
       "XCLIENT ADDR=IPV6:2001:db8::7 PORT=49152 DESTPORT=993\r\n"}}},
    {TELLS,
     {GREETS(EHLO),
      {"250-x\r\n250 XCLIENT\tDESTADDR  ADDR \r\n",
       "XCLIENT ADDR=IPV6:2001:db8::7 DESTADDR=192.0.2.1\r\n"}}},
    {TELLS,
     {GREETS(EHLO), {"250-x\r\n250 XCLIENT NAME PORT DESTADDR DESTPORT\r\n", ""}},
     NO_XCLIENT},
    {TELLS, {GREETS(EHLO), {"250-x\r\n250 XCLIENT\r\n", ""}}, NO_XCLIENT},
    {TELLS, {GREETS(EHLO), {"250-x\r\n250 XCLIENT ADDRESS\r\n", ""}}, NO_XCLIENT},
    {TELLS, {GREETS(EHLO), {"250-x\r\n250 XFORWARD ADDR\r\n", ""}}, NO_XCLIENT},
    {TELLS, {GREETS(EHLO), {"250-XCLIENT ADDR\r\n250 STARTTLS\r\n", ""}}, NO_XCLIENT},
    {TELLS, {GREETS(EHLO), {"502-x\r\n502 XCLIENT ADDR\r\n", ""}}, NO_XCLIENT},

    /* On only with a fresh greeting. */
    {TELLS,
     {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"550 you?\r\n", ""}},
     REFUSED,
     .why = "it refuses XCLIENT"},
    {TELLS,
     {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"250 ok\r\n", ""}},
     REFUSED,
     .why = "it refuses XCLIENT"},
    {TELLS, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"421 bye\r\n", ""}}, SAYS_421},
    {TELLS, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"354 x\r\n", ""}}, NO_REPLY},
    {TELLS, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"220 y\r\n250 z\r\n", ""}}, TALKS},

    /* Inside TLS, by what it announces there. */
    {TELLS_INSIDE,
     {GREETS(EHLO),
      {OFFERS_TLS, START},
      {"220 x\r\n", ""},
      {SHAKEN, EHLO},
      {OFFERS_BOTH, KNOWN},
      {"220 y\r\n", ""}},
     APPROACH_READY},
    {TELLS_ANYWAY,
     {GREETS(EHLO), {OFFERS_BOTH, START}, {"220 x\r\n", ""}, {SHAKEN, EHLO}, {OFFERS_TLS, ""}},
     NO_XCLIENT},
    {TELLS_INSIDE,
     {GREETS(EHLO), {OFFERS_BOTH, START}, {"220 x\r\n", ""}, {SHAKEN, EHLO}, {"500 no\r\n", ""}},
     NO_XCLIENT},

    /* In the clear, where the policy is content with that. One EHLO does for both. */
    {TELLS_ANYWAY, {GREETS(EHLO), {OFFERS_XCLIENT, KNOWN}, {"220 y\r\n", ""}}, APPROACH_READY},
    {TELLS_ANYWAY,
     {GREETS(EHLO), {OFFERS_BOTH, START}, {"454 no\r\n", KNOWN}, {"220 y\r\n", ""}},
     APPROACH_READY},
    {TELLS_ANYWAY, {GREETS(EHLO), {OFFERS_TLS, START}, {"454 no\r\n", ""}}, NO_XCLIENT},
    {TELLS_INSIDE, {GREETS(EHLO), {OFFERS_XCLIENT, ""}}, NO_TLS},
    {TELLS_INSIDE, {GREETS(EHLO), {OFFERS_BOTH, START}, {"454 no\r\n", ""}}, NO_START},
};

static void greetings_decide(void **state)
{
    APPROACH_PLAY(greetings, smtp_approach_step, SMTP_APPROACH_SPACE);
}

static void starttls_leads_into_tls_or_it_will_not_do(void **state)
{
    APPROACH_PLAY(starttls, smtp_approach_step, SMTP_APPROACH_SPACE);
}

static void nobody_goes_on_without_xclient(void **state)
{
    APPROACH_PLAY(xclient, smtp_approach_step, SMTP_APPROACH_SPACE);
}

static const struct span no_text = {0};

/* What a backend that takes all attributes is told of this client. */
static void check_introduction(const struct client_identity *identity, const char *want)
{
    struct approach a = approach_init("gate.example", identity, false, false);
    char space[SMTP_APPROACH_SPACE];
    struct approach_step step = smtp_approach_step(&a, (struct span)SPAN("220 x\r\n"), space);

    assert_int_equal(step.state, APPROACH_GOING);
    step = smtp_approach_step(&a, (struct span)SPAN(OFFERS_XCLIENT), space);
    assert_int_equal(step.text.len, strlen(want));
    assert_memory_equal(step.text.data, want, step.text.len);
}

static void addresses_are_said_as_xclient_wants_them(void **state)
{
    static const struct client_identity v4 = {
        .client = {.family = ADDRESS_V4, .octets = {10, 0, 0, 255}, .port = 1},
        .server = {.family = ADDRESS_V6, .octets = {[15] = 1}, .port = 25},
    };
    static const struct client_identity half_known = {
        .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 0}};
    struct client_identity longest = {
        .client = {.family = ADDRESS_V6, .port = 65535},
        .server = {.family = ADDRESS_V6, .port = 65535},
    };

    memset(longest.client.octets, 0xab, 16);
    memset(longest.server.octets, 0xcd, 16);
    check_introduction(&v4, "XCLIENT ADDR=10.0.0.255 PORT=1 DESTADDR=IPV6:::1 DESTPORT=25 "
                            "NAME=[UNAVAILABLE]\r\n");
    check_introduction(&half_known, "XCLIENT ADDR=192.0.2.7 PORT=0 DESTADDR=[UNAVAILABLE] "
                                    "DESTPORT=[UNAVAILABLE] NAME=[UNAVAILABLE]\r\n");
    check_introduction(&longest,
                       "XCLIENT ADDR=IPV6:abab:abab:abab:abab:abab:abab:abab:abab PORT=65535 "
                       "DESTADDR=IPV6:cdcd:cdcd:cdcd:cdcd:cdcd:cdcd:cdcd:cdcd DESTPORT=65535 "
                       "NAME=[UNAVAILABLE]\r\n");
}

static void long_names_are_cut(void **state)
{
    char host[400], space[SMTP_APPROACH_SPACE];
    struct approach a = approach_init(host, NULL, true, false);
    struct approach_step step;

    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    step = smtp_approach_step(&a, (struct span)SPAN("220 x\r\n"), space);
    assert_int_equal(step.text.len, 5 + 255 + 2);
}

/* However it is cut: a reply of the longest length is one, a longer one has no end. */
static void replies_have_a_limit(void **state)
{
    static char reply[PROBE_WINDOW + 8];
    char space[SMTP_APPROACH_SPACE];

    for (size_t at = 0; at < sizeof reply; at += 8)
        memcpy(reply + at, "220-xy\r\n", 8);
    for (size_t len = PROBE_WINDOW; len <= sizeof reply; len += 8)
        for (int is_cut = 0; is_cut < 2; is_cut++) {
            struct approach a = approach_init("x", NULL, false, false);
            struct approach_step step = approach_going(0, no_text);

            reply[len - 5] = ' ';
            for (size_t seen = is_cut ? 1 : len;
                 seen <= (is_cut ? PROBE_WINDOW : len) && step.state == APPROACH_GOING; seen++)
                step = smtp_approach_step(&a, (struct span){reply, seen}, space);
            reply[len - 5] = '-';
            if (len == PROBE_WINDOW) {
                assert_int_equal(step.state, APPROACH_READY);
                assert_int_equal(step.take, len);
            } else {
                assert_int_equal(step.state, APPROACH_UNUSABLE);
                assert_string_equal(step.why, "its reply has no end");
            }
        }
}

static void lines_have_a_limit(void **state)
{
    static char line[5000];
    char space[SMTP_APPROACH_SPACE];
    struct approach a = approach_init("x", NULL, true, false);
    struct approach_step step = smtp_approach_step(&a, (struct span)SPAN("220 x\r\n"), space);

    memset(line, 'x', sizeof line);
    memcpy(line, "250-", 4);
    step = smtp_approach_step(&a, (struct span){line, 4095}, space);
    assert_int_equal(step.state, APPROACH_GOING);
    step = smtp_approach_step(&a, (struct span){line, 4096}, space);
    assert_int_equal(step.state, APPROACH_UNUSABLE);
    assert_string_equal(step.why, "what it says is no reply");
}

/* The log has a kind for it. */
static void only_an_injection_is_noted(void **state)
{
    char space[SMTP_APPROACH_SPACE];
    struct approach a = approach_init("x", NULL, true, false);

    assert_int_equal(smtp_approach_step(&a, (struct span)SPAN("220 x\r\n"), space).note, NOTE_NONE);
    assert_int_equal(smtp_approach_step(&a, (struct span)SPAN(OFFERS_TLS), space).note, NOTE_NONE);
    assert_int_equal(smtp_approach_step(&a, (struct span)SPAN("220 x\r\n1"), space).note,
                     NOTE_BACKEND_INJECTION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings_decide),
        cmocka_unit_test(starttls_leads_into_tls_or_it_will_not_do),
        cmocka_unit_test(nobody_goes_on_without_xclient),
        cmocka_unit_test(addresses_are_said_as_xclient_wants_them),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(replies_have_a_limit),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(only_an_injection_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
