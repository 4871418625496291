/* SPDX-License-Identifier: ISC */
/* A session on its way through STARTTLS and ID to its gate: what the client hears of it, and what it
 * does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/identity.h"
#define PLAYED &imap_protocol
#include "tests/unit/play.h"

#define STARTTLS .backend_tls = BACKEND_TLS_STARTTLS, .hostname = "x"
#define ENFORCED STARTTLS, .is_backend_enforced = true

static const struct policy implicit = {.tls = FRONT_IMPLICIT, ENFORCED};
static const struct policy none = {.tls = FRONT_NONE, ENFORCED};
static const struct policy behind = {.is_enforced = true, ENFORCED};
static const struct policy words = {.tls = FRONT_IMPLICIT, .greeting = "welcome", ENFORCED};
static const struct policy lenient = {.tls = FRONT_IMPLICIT, STARTTLS};
static const struct policy named = {.tls = FRONT_IMPLICIT, .hostname = "x", .tells_identity = true};
static const struct policy named_inside = {.tls = FRONT_NONE, .tells_identity = true, ENFORCED};
static const struct policy clear = {ENFORCED, .may_auth_in_clear = true};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152},
    .server = {.family = ADDRESS_V4, .octets = {192, 0, 2, 1}, .port = 993},
    .session = "9f2c01",
};
static const struct client_identity nobody = {.session = "9f2c01"};

#define OURS  "* OK x ready\r\n"
#define START "b STARTTLS\r\n"
#define ID                                                                                         \
    "c ID (\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"49152\" "                   \
    "\"x-connected-ip\" \"192.0.2.1\" \"x-connected-port\" \"993\" \"x-session-id\" "              \
    "\"9f2c01\")\r\n"

/* Three turns: the backend is asked for TLS, and shakes hands. */
#define SHAKES                                                                                     \
    {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},                                               \
        {BACKEND("* OK [CAPABILITY SASL-IR STARTTLS] hi\r\n"), TO_BACKEND(START),                  \
         WAITS_FOR(BACKEND)},                                                                      \
    {                                                                                              \
        BACKEND("b OK go\r\n"), STARTS_TLS, WAITS_FOR(BACKEND)                                     \
    }

/* And is asked, before anybody believes that it will have us. */
#define SHAKEN                                                                                     \
    {                                                                                              \
        EVENT(SECURED, BACKEND), TO_BACKEND("a CAPABILITY\r\n"), WAITS_FOR(BACKEND)                \
    }

/* TLS 1.3: it may refuse our certificate when the handshake is over for us. */
static void a_backend_that_will_not_have_us_inside_tls_is_left(void **state)
{
    static const struct turn beginning[] = {SHAKES, SHAKEN};
    static const struct turn ends[] = {
        {BACKEND("* BYE not you\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {BACKEND("a OK x\r\n* X\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED), AT_ONCE},
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
    };

    PLAY_ENDS(&none, PLAY_FROM_SECURED, beginning, ends);
}

static void a_client_without_a_greeting_gets_ours(void **state)
{
    static const struct turn dialogue[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_CLIENT(OURS), NOTES(GREETED),
         WAITS_FOR(CLIENT)},
        {CLIENT("a CAPABILITY\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na OK\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na OK\r\n")},
    };
    static const struct turn with_words[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_CLIENT("* OK welcome\r\n"), NOTES(GREETED)},
    };
    static const struct turn asked[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY STARTTLS\r\na OK\r\n"), TO_BACKEND(START)},
        {BACKEND("b OK\r\n"), STARTS_TLS},
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };

    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
    PLAY(&words, PLAY_FROM_SECURED, with_words);
    PLAY(&implicit, PLAY_FROM_SECURED, asked);
}

static void a_client_that_has_one_gets_no_other(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a NOOP\r\n")},
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_BACKEND("a NOOP\r\n"), NOTES(GREETED),
         WAITS_FOR(BACKEND)},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\n")},
    };

    PLAY(&behind, PLAY_FROM_SECURED, dialogue);
}

/* SASL-IR may have been somebody else's word. */
static void what_was_announced_in_the_clear_is_forgotten(void **state)
{
    static const struct turn dialogue[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_BACKEND("a AUTHENTICATE PLAIN\r\n")},
        {BACKEND("+ \r\n"), TO_BACKEND("AGEAYg==\r\n")},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };

    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
}

static void the_client_is_named_first(void **state)
{
    static const struct turn in_clear[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY ID SASL-IR] hi\r\n"), TO_BACKEND(ID), WAITS_FOR(BACKEND)},
        {BACKEND("* ID (\"name\" \"Dovecot\")\r\nc OK\r\n"), TO_CLIENT(OURS), NOTES(GREETED),
         WAITS_FOR(CLIENT)},
        {CLIENT("a ID (\"x-originating-ip\" \"::1\" \"a\" \"b\")\r\n"),
         TO_BACKEND("a ID (\"a\" \"b\")\r\n")},
    };
    static const struct turn inside[] = {
        SHAKES,
        {EVENT(SECURED, BACKEND), TO_BACKEND(ID), WAITS_FOR(BACKEND)},
        {BACKEND("c OK\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
    };
    static const struct turn refused[] = {
        SHAKES,
        {EVENT(SECURED, BACKEND), TO_BACKEND(ID)},
        {BACKEND("c BAD\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
    };
    static const struct turn unknown[] = {{EVENT(CONNECTED, BACKEND), TRIES_NEXT}};

    PLAY_AS(&client, &named, PLAY_FROM_SECURED, in_clear);
    PLAY_AS(&client, &named_inside, PLAY_FROM_SECURED, inside);
    PLAY_AS(&client, &named_inside, PLAY_FROM_SECURED, refused);
    PLAY_AS(&nobody, &named, PLAY_FROM_SECURED, unknown);
    PLAY_AS(NULL, &named, PLAY_FROM_SECURED, unknown);
}

static void a_known_client_is_named_only_where_that_is_wanted(void **state)
{
    static const struct turn dialogue[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };

    PLAY_AS(&client, &implicit, PLAY_FROM_SECURED, dialogue);
}

static void the_next_backend_is_asked_from_the_beginning(void **state)
{
    static const struct turn injected[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY STARTTLS] hi\r\n"), TO_BACKEND(START)},
        {BACKEND("b OK\r\n* OK [CAPABILITY AUTH=PLAIN]\r\n"), NOTES(BACKEND_INJECTION), TRIES_NEXT,
         AT_ONCE},
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn failed[] = {
        SHAKES,
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        SHAKES,
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_TLS_FAILED,
         TO_CLIENT("* BYE [UNAVAILABLE] No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_TLS_FAILED)},
    };
    static const struct turn unannounced[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1] hi\r\n"), TRIES_NEXT},
        SHAKES,
    };

    PLAY(&implicit, PLAY_FROM_SECURED, injected);
    PLAY(&none, PLAY_FROM_SECURED, failed);
    PLAY(&implicit, PLAY_FROM_SECURED, unannounced);
}

static void a_lenient_policy_goes_on_in_the_clear(void **state)
{
    static const struct turn unannounced[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1] hi\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn refused[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY STARTTLS] hi\r\n"), TO_BACKEND(START)},
        {BACKEND("b NO\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn hopeless[] = {
        SHAKES,
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY STARTTLS] hi\r\n"), TO_CLIENT("* OK [CAPABILITY] hi\r\n"),
         NOTES(GREETED)},
    };

    PLAY(&lenient, PLAY_FROM_SECURED, unannounced);
    PLAY(&lenient, PLAY_FROM_SECURED, refused);
    PLAY(&lenient, PLAY_FROM_SECURED, hopeless);
}

/* policy = opportunistic in front: the login waits in the clear, and is worth TLS behind. */
static void a_login_in_the_clear_goes_on_inside_tls(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("l LOGIN u p\r\n"), CONNECTS},
        SHAKES,
        SHAKEN,
        {BACKEND("* CAPABILITY X\r\na OK x\r\n"), TO_BACKEND("l LOGIN u p\r\n"), NOTES(GREETED)},
        {BACKEND("l OK in\r\n"), TO_CLIENT("l OK in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };

    PLAY(&clear, PLAY_FROM_GREETING, dialogue);
}

static void a_session_may_end_on_the_way(void **state)
{
    static const struct turn beginning[] = {SHAKES};
    static const struct turn ends[] = {
        {EVENT(STOP, CLIENT), CLOSES(DRAINED),
         TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n")},
        {EVENT(DRAIN, CLIENT), CLOSES(DRAINED),
         TO_CLIENT("* BYE [UNAVAILABLE] Shutting down, try again later\r\n")},
    };

    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, beginning, ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_without_a_greeting_gets_ours),
        cmocka_unit_test(a_backend_that_will_not_have_us_inside_tls_is_left),
        cmocka_unit_test(a_client_that_has_one_gets_no_other),
        cmocka_unit_test(what_was_announced_in_the_clear_is_forgotten),
        cmocka_unit_test(the_client_is_named_first),
        cmocka_unit_test(a_known_client_is_named_only_where_that_is_wanted),
        cmocka_unit_test(the_next_backend_is_asked_from_the_beginning),
        cmocka_unit_test(a_lenient_policy_goes_on_in_the_clear),
        cmocka_unit_test(a_login_in_the_clear_goes_on_inside_tls),
        cmocka_unit_test(a_session_may_end_on_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
