/* SPDX-License-Identifier: ISC */
/* A session on its way through STARTTLS and XCLIENT to its gate: what the client hears of it, and what
 * it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/identity.h"
#include "tests/unit/play.h"

#define REST     .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20
#define STARTTLS .backend_tls = BACKEND_TLS_STARTTLS
#define ENFORCED STARTTLS, .is_backend_enforced = true

static const struct policy implicit = {.tls = FRONT_IMPLICIT, ENFORCED, REST};
static const struct policy none = {.tls = FRONT_NONE, ENFORCED, REST};
static const struct policy behind = {.is_enforced = true, ENFORCED, REST};
static const struct policy lenient = {.tls = FRONT_NONE, STARTTLS, REST};
static const struct policy named = {.tls = FRONT_NONE, .tells_identity = true, REST};
static const struct policy named_inside = {
    .tls = FRONT_IMPLICIT, ENFORCED, .tells_identity = true, REST};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152},
    .server = {.family = ADDRESS_V4, .octets = {192, 0, 2, 1}, .port = 25},
    .session = "9f2c01",
};
static const struct client_identity nobody = {.session = "9f2c01"};

#define OURS       "220 mx.example ESMTP\r\n"
#define EHLO       "EHLO mx.example\r\n"
#define START      "STARTTLS\r\n"
#define OFFERS_TLS "250-x\r\n250 STARTTLS\r\n"
#define KNOWN                                                                                      \
    "XCLIENT ADDR=192.0.2.7 PORT=49152 DESTADDR=192.0.2.1 DESTPORT=25 NAME=[UNAVAILABLE]\r\n"
#define OFFERS_XCLIENT "250-x\r\n250 XCLIENT NAME ADDR PORT DESTADDR DESTPORT\r\n"

/* Four turns: the backend is asked for TLS, and shakes hands. */
#define SHAKES                                                                                     \
    {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},                                               \
        {BACKEND("220-x\r\n220 y\r\n"), TO_BACKEND(EHLO), WAITS_FOR(BACKEND)},                     \
        {BACKEND(OFFERS_TLS), TO_BACKEND(START), WAITS_FOR(BACKEND)},                              \
    {                                                                                              \
        BACKEND("220 go\r\n"), STARTS_TLS, WAITS_FOR(BACKEND)                                      \
    }

/* And is asked, before anybody believes that it will have us. */
#define SHAKEN                                                                                     \
    {                                                                                              \
        EVENT(SECURED, BACKEND), TO_BACKEND(EHLO), WAITS_FOR(BACKEND)                              \
    }

/* ---- STARTTLS ---- */

static void a_client_without_a_greeting_gets_ours(void **state)
{
    static const struct turn dialogue[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250 SIZE\r\n"), TO_CLIENT("250-x\r\n250 SIZE\r\n")},
    };
    static const struct policy own = {.tls = FRONT_NONE, .greeting = "hello there", ENFORCED, REST};
    static const struct turn with_own[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT("220 hello there\r\n"), NOTES(GREETED)},
    };

    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
    PLAY(&own, PLAY_FROM_SECURED, with_own);
}

static void a_client_that_has_one_gets_no_other(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n")},
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED), WAITS_FOR(BACKEND)},
        {BACKEND("250-x\r\n250 SIZE\r\n"), TO_CLIENT("250-x\r\n250 SIZE\r\n"), WAITS_FOR(CLIENT)},
    };
    PLAY(&behind, PLAY_FROM_SECURED, dialogue);
}

static void what_was_said_to_us_is_said_again_inside_tls(void **state)
{
    static const struct policy open = {ENFORCED, REST};
    static const struct turn dialogue[] = {
        {CLIENT("EHLO me\r\n"),
         TO_CLIENT(
             "250-mx.example\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")},
        {CLIENT("MAIL FROM:<>\r\n"), CONNECTS},
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_BACKEND("EHLO me\r\n"), NOTES(GREETED), WAITS_FOR(BACKEND)},
        {BACKEND("250-x\r\n250 SIZE\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n"), NOTES(ADMITTED)},
    };
    static const struct turn silent[] = {
        {CLIENT("MAIL FROM:<>\r\n"), CONNECTS},
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n"), NOTES(GREETED)},
    };
    PLAY(&open, PLAY_FROM_GREETING, dialogue);
    PLAY(&open, PLAY_FROM_GREETING, silent);
}

static void a_backend_that_will_not_do_is_left(void **state)
{
    static const struct turn ends[] = {
        {BACKEND("454 no\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED)},
        {BACKEND("250 go\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED)},
        {BACKEND("421 bye\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {BACKEND("220-go\r\n220 go\r\n220 mx\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED),
         NOTES(BACKEND_INJECTION), AT_ONCE},
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(DEADLINE, BACKEND), TRIES_NEXT},
    };
    static const struct turn beginning[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
        {BACKEND(OFFERS_TLS), TO_BACKEND(START)},
    };
    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, beginning, ends);
    PLAY_ENDS(&none, PLAY_FROM_SECURED, beginning, ends);
    PLAY_ENDS(&behind, PLAY_FROM_SECURED, beginning, ends);
}

/* TLS 1.3: it may refuse our certificate when the handshake is over for us. */
static void a_backend_that_will_not_have_us_inside_tls_is_left(void **state)
{
    static const struct turn beginning[] = {SHAKES, SHAKEN};
    static const struct turn ends[] = {
        {BACKEND("421 not you\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {BACKEND("220 x\r\n250 x\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED), AT_ONCE},
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
    };

    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, beginning, ends);
    PLAY_ENDS(&behind, PLAY_FROM_SECURED, beginning, ends);
}

/* Nothing of the one before is left: TLS is asked for again, and what it announced is forgotten. */
static void with_the_next_one_all_begins_anew(void **state)
{
    static const struct turn again[] = {
        SHAKES,
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn other[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
        {BACKEND(OFFERS_TLS), TO_BACKEND(START)},
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 y\r\n"), TO_BACKEND(EHLO)},
        {BACKEND("250-y\r\n250 SIZE\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED)},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_TLS_FAILED,
         TO_CLIENT("421 4.4.1 No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_TLS_FAILED)},
    };

    PLAY(&none, PLAY_FROM_SECURED, again);
    PLAY(&none, PLAY_FROM_SECURED, other);
}

/* ---- opportunistic ---- */

static void without_starttls_it_goes_on_in_the_clear(void **state)
{
    static const struct turn beginning[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
    };
    static const struct turn ends[] = {
        {BACKEND("250-x\r\n250 SIZE\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {BACKEND("500 what\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {BACKEND("421 bye\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
    };
    static const struct turn refused[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
        {BACKEND(OFFERS_TLS), TO_BACKEND(START)},
        {BACKEND("454 no\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND(OFFERS_TLS), TO_CLIENT("250 x\r\n")},
    };
    PLAY_ENDS(&lenient, PLAY_FROM_SECURED, beginning, ends);
    PLAY(&lenient, PLAY_FROM_SECURED, refused);
}

/* Then it is as if TLS had never been wished for; the one after it is asked again. */
static void after_a_handshake_that_failed_it_is_not_asked_for(void **state)
{
    static const struct turn clear[] = {
        SHAKES,
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED)},
    };
    static const struct turn next[] = {
        SHAKES,
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("554 no\r\n"), TRIES_NEXT},
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    PLAY(&lenient, PLAY_FROM_SECURED, clear);
    PLAY(&lenient, PLAY_FROM_SECURED, next);
}

/* ---- XCLIENT ---- */

static void a_known_client_is_introduced(void **state)
{
    static const struct turn clear[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO), WAITS_FOR(BACKEND)},
        {BACKEND(OFFERS_XCLIENT), TO_BACKEND(KNOWN), WAITS_FOR(BACKEND)},
        {BACKEND("220 again\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND(OFFERS_XCLIENT), TO_CLIENT("250 x\r\n")},
        {CLIENT("XCLIENT ADDR=192.0.2.9\r\n"), TO_CLIENT("550 5.7.1 Not allowed\r\n"),
         NOTES(SPOOF)},
    };
    static const struct turn inside[] = {
        SHAKES,
        {EVENT(SECURED, BACKEND), TO_BACKEND(EHLO), WAITS_FOR(BACKEND)},
        {BACKEND(OFFERS_XCLIENT), TO_BACKEND(KNOWN)},
        {BACKEND("220 again\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    PLAY_AS(&client, &named, PLAY_FROM_SECURED, clear);
    PLAY_AS(&client, &named_inside, PLAY_FROM_SECURED, inside);
}

static void it_is_said_again_behind_the_clients_own_starttls(void **state)
{
    static const struct policy open = {.tells_identity = true, REST};
    static const struct turn dialogue[] = {
        {CLIENT("HELO me\r\nMAIL FROM:<>\r\n"), TO_CLIENT("250 mx.example\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
        {BACKEND(OFFERS_XCLIENT), TO_BACKEND(KNOWN)},
        {BACKEND("220 again\r\n"), TO_BACKEND("HELO me\r\n"), NOTES(GREETED)},
        {BACKEND("250 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("550 m\r\n"), TO_CLIENT("550 m\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_BACKEND("QUIT\r\n"),
         TO_CLIENT("220 2.0.0 Ready to start TLS\r\n"), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
        {BACKEND(OFFERS_XCLIENT), TO_BACKEND(KNOWN)},
        {BACKEND("220 again\r\n"), NOTES(GREETED)},
    };
    PLAY_AS(&client, &open, PLAY_FROM_GREETING, dialogue);
}

static void nobody_goes_on_without_identity(void **state)
{
    static const struct turn unknown[] = {
        {EVENT(CONNECTED, BACKEND), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {EVENT(CONNECTED, BACKEND), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_REFUSED,
         TO_CLIENT("421 4.4.1 No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_REFUSED)},
    };
    static const struct turn beginning[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
    };
    static const struct turn ends[] = {
        {BACKEND("250-x\r\n250 SIZE\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {BACKEND("500 what\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
    };
    static const struct turn refused[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
        {BACKEND(OFFERS_XCLIENT), TO_BACKEND(KNOWN)},
        {BACKEND("550 you?\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
    };
    const struct stage stage = {&smtp_protocol, &named, NULL, PLAY_FROM_SECURED, &client};

    PLAY(&named, PLAY_FROM_SECURED, unknown);
    PLAY_AS(&nobody, &named, PLAY_FROM_SECURED, unknown);
    PLAY_AS(&client, &named, PLAY_FROM_SECURED, refused);
    play_ends(&stage, beginning, 2, ends, 2);
}

/* Who is not to be introduced is not, though he is known. */
static void without_a_wish_nothing_is_told(void **state)
{
    static const struct policy plain = {.tls = FRONT_NONE, REST};
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED)},
    };
    PLAY_AS(&client, &plain, PLAY_FROM_SECURED, dialogue);
    PLAY_AS(&nobody, &plain, PLAY_FROM_SECURED, dialogue);
}

/* ---- meanwhile ---- */

static void a_client_waits_and_is_not_forgotten(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\nMAIL FROM:<>\r\n")},
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT(OURS), TO_BACKEND("EHLO a\r\nMAIL FROM:<>\r\n"),
         NOTES(GREETED)},
    };
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
}

static void the_end_under_way(void **state)
{
    static const struct turn shaking[] = {SHAKES};
    static const struct turn asking[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND(EHLO)},
    };
    static const struct turn ends[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT("421 4.3.2 Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT("421 4.3.2 Shutting down, try again later\r\n"),
         CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT("421 4.3.0 Out of memory, try again later\r\n"),
         CLOSES(ERROR)},
        {EVENT(DEADLINE, BACKEND), TRIES_NEXT},
    };
    PLAY_ENDS(&none, PLAY_FROM_SECURED, shaking, ends);
    PLAY_ENDS(&none, PLAY_FROM_SECURED, asking, ends);
}

/* ---- REQUIRETLS (RFC 8689) ---- */

static void it_is_offered_where_all_legs_are_proved(void **state)
{
    static const struct policy proved = {
        .tls = FRONT_IMPLICIT, ENFORCED, .is_backend_verified = true, REST};
    static const struct policy proved_but_in_the_clear = {
        .tls = FRONT_NONE, ENFORCED, .is_backend_verified = true, REST};
    static const struct turn kept[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-REQUIRETLS\r\n250 SIZE\r\n"),
         TO_CLIENT("250-x\r\n250-REQUIRETLS\r\n250 SIZE\r\n")},
    };
    static const struct turn taken_out[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("250 x\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-REQUIRETLS\r\n250 SIZE\r\n"), TO_CLIENT("250-x\r\n250 SIZE\r\n")},
    };
    PLAY(&proved, PLAY_FROM_SECURED, kept);
    PLAY(&proved_but_in_the_clear, PLAY_FROM_SECURED, taken_out);
    PLAY(&implicit, PLAY_FROM_SECURED, taken_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_without_a_greeting_gets_ours),
        cmocka_unit_test(a_client_that_has_one_gets_no_other),
        cmocka_unit_test(what_was_said_to_us_is_said_again_inside_tls),
        cmocka_unit_test(a_backend_that_will_not_do_is_left),
        cmocka_unit_test(a_backend_that_will_not_have_us_inside_tls_is_left),
        cmocka_unit_test(with_the_next_one_all_begins_anew),
        cmocka_unit_test(without_starttls_it_goes_on_in_the_clear),
        cmocka_unit_test(after_a_handshake_that_failed_it_is_not_asked_for),
        cmocka_unit_test(a_known_client_is_introduced),
        cmocka_unit_test(it_is_said_again_behind_the_clients_own_starttls),
        cmocka_unit_test(nobody_goes_on_without_identity),
        cmocka_unit_test(without_a_wish_nothing_is_told),
        cmocka_unit_test(a_client_waits_and_is_not_forgotten),
        cmocka_unit_test(the_end_under_way),
        cmocka_unit_test(it_is_offered_where_all_legs_are_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
