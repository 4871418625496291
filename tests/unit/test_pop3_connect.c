/* SPDX-License-Identifier: ISC */
/* A session on its way through STLS and XCLIENT to its gate: what the client hears of it, and what it
 * does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/identity.h"
#define PLAYED &pop3_protocol
#include "tests/unit/play.h"

#define STARTTLS .backend_tls = BACKEND_TLS_STARTTLS, .hostname = "x"
#define ENFORCED STARTTLS, .is_backend_enforced = true

static const struct policy implicit = {.tls = FRONT_IMPLICIT, ENFORCED};
static const struct policy none = {.tls = FRONT_NONE, ENFORCED};
static const struct policy behind = {.is_enforced = true, ENFORCED};
static const struct policy words = {.tls = FRONT_IMPLICIT, .greeting = "<1@b>", ENFORCED};
static const struct policy lenient = {.tls = FRONT_IMPLICIT, STARTTLS};
static const struct policy named = {.tls = FRONT_IMPLICIT, .hostname = "x", .tells_identity = true};
static const struct policy named_inside = {.tls = FRONT_NONE, .tells_identity = true, ENFORCED};
static const struct policy clear = {ENFORCED, .may_auth_in_clear = true};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152},
    .session = "9f2c01",
};
static const struct client_identity nobody = {.session = "9f2c01"};

#define OURS    "+OK x ready\r\n"
#define XCLIENT "XCLIENT ADDR=192.0.2.7 PORT=49152 SESSION=9f2c01\r\n"

/* Four turns: the backend is asked for TLS, and shakes hands. */
#define SHAKES                                                                                     \
    {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},                                               \
        {BACKEND("+OK <1@b>\r\n"), TO_BACKEND("CAPA\r\n"), WAITS_FOR(BACKEND)},                    \
        {BACKEND("+OK\r\nSTLS\r\n.\r\n"), TO_BACKEND("STLS\r\n"), WAITS_FOR(BACKEND)},             \
    {                                                                                              \
        BACKEND("+OK go\r\n"), STARTS_TLS, WAITS_FOR(BACKEND)                                      \
    }

#define NO_APOP CLIENT("APOP u 1234\r\n"), TO_CLIENT("-ERR Command not available\r\n")

/* And is asked, before anybody believes that it will have us. */
#define SHAKEN                                                                                     \
    {                                                                                              \
        EVENT(SECURED, BACKEND), TO_BACKEND("CAPA\r\n"), WAITS_FOR(BACKEND)                        \
    }

/* TLS 1.3: it may refuse our certificate when the handshake is over for us. */
static void a_backend_that_will_not_have_us_inside_tls_is_left(void **state)
{
    static const struct turn beginning[] = {SHAKES, SHAKEN};
    static const struct turn ends[] = {
        {BACKEND("x\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {BACKEND("-ERR x\r\n+OK\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED), AT_ONCE},
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
        {BACKEND("+OK\r\n.\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("CAPA\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nSTLS\r\nUSER\r\n.\r\n"), TO_CLIENT("+OK\r\nUSER\r\n.\r\n")},
    };
    static const struct turn with_words[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("+OK\r\n.\r\n"), TO_CLIENT("+OK (1@b)\r\n"), NOTES(GREETED)},
    };

    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
    PLAY(&words, PLAY_FROM_SECURED, with_words);
}

static void a_client_that_has_one_gets_no_other(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n")},
        SHAKES,
        SHAKEN,
        {BACKEND("+OK\r\n.\r\n"), TO_BACKEND("NOOP\r\n"), NOTES(GREETED), WAITS_FOR(BACKEND)},
        {BACKEND("+OK\r\n"), TO_CLIENT("+OK\r\n")},
    };

    PLAY(&behind, PLAY_FROM_SECURED, dialogue);
}

static void the_client_is_named_first(void **state)
{
    static const struct turn in_clear[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK [XCLIENT] <1@b>\r\n"), TO_BACKEND(XCLIENT), WAITS_FOR(BACKEND)},
        {BACKEND("+OK Updated\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("XCLIENT ADDR=::1\r\n"), TO_CLIENT("-ERR Not allowed\r\n"), NOTES(SPOOF)},
    };
    static const struct turn inside[] = {
        SHAKES,
        {EVENT(SECURED, BACKEND), TO_BACKEND(XCLIENT), WAITS_FOR(BACKEND)},
        {BACKEND("+OK Updated\r\n"), TO_CLIENT(OURS), NOTES(GREETED), WAITS_FOR(CLIENT)},
    };
    static const struct turn refused[] = {
        SHAKES,
        {EVENT(SECURED, BACKEND), TO_BACKEND(XCLIENT)},
        {BACKEND("+OK You are not from trusted IP - ignoring\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK hi\r\n"), TO_BACKEND("CAPA\r\n")},
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
        {BACKEND("+OK\r\n.\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };

    PLAY_AS(&client, &implicit, PLAY_FROM_SECURED, dialogue);
}

/* Its timestamp is in the greeting that the client has not got. */
static void apop_needs_a_backend_that_is_reached_at_once(void **state)
{
    static const struct turn behind_tls[] = {
        SHAKES,
        SHAKEN,
        {BACKEND("+OK\r\n.\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {NO_APOP},
    };
    static const struct turn behind_xclient[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1@b>\r\n"), TO_BACKEND(XCLIENT)},
        {BACKEND("+OK\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {NO_APOP},
    };
    static const struct turn in_clear[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1@b>\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
        {NO_APOP},
    };

    PLAY(&implicit, PLAY_FROM_SECURED, behind_tls);
    PLAY_AS(&client, &named, PLAY_FROM_SECURED, behind_xclient);
    PLAY(&lenient, PLAY_FROM_SECURED, in_clear);
}

static void the_next_backend_is_asked_from_the_beginning(void **state)
{
    static const struct turn injected[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nSTLS\r\n.\r\n"), TO_BACKEND("STLS\r\n")},
        {BACKEND("+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n"), NOTES(BACKEND_INJECTION), TRIES_NEXT,
         AT_ONCE},
        SHAKES,
        SHAKEN,
        {BACKEND("+OK\r\n.\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn failed[] = {
        SHAKES,
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        SHAKES,
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_TLS_FAILED,
         TO_CLIENT("-ERR [SYS/TEMP] No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_TLS_FAILED)},
    };
    static const struct turn unannounced[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nUSER\r\n.\r\n"), TRIES_NEXT},
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
        {BACKEND("+OK\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nUSER\r\n.\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn refused[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK\r\n"), TO_BACKEND("CAPA\r\n")},
        {BACKEND("+OK\r\nSTLS\r\n.\r\n"), TO_BACKEND("STLS\r\n")},
        {BACKEND("-ERR\r\n"), TO_CLIENT(OURS), NOTES(GREETED)},
    };
    static const struct turn hopeless[] = {
        SHAKES,
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("+OK <1@b>\r\n"), TO_CLIENT("+OK <1@b>\r\n"), NOTES(GREETED)},
        {CLIENT("APOP u 1234\r\n"), TO_BACKEND("APOP u 1234\r\n")},
    };

    PLAY(&lenient, PLAY_FROM_SECURED, unannounced);
    PLAY(&lenient, PLAY_FROM_SECURED, refused);
    PLAY(&lenient, PLAY_FROM_SECURED, hopeless);
}

/* policy = opportunistic in front: the login waits in the clear, and is worth TLS behind. */
static void a_login_in_the_clear_goes_on_inside_tls(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("USER u\r\n"), CONNECTS},
        SHAKES,
        SHAKEN,
        {BACKEND("+OK\r\n.\r\n"), TO_BACKEND("USER u\r\n"), NOTES(GREETED)},
        {BACKEND("+OK\r\n"), TO_CLIENT("+OK\r\n")},
    };

    PLAY(&clear, PLAY_FROM_GREETING, dialogue);
}

static void a_session_may_end_on_the_way(void **state)
{
    static const struct turn beginning[] = {SHAKES};
    static const struct turn ends[] = {
        {EVENT(STOP, CLIENT), CLOSES(DRAINED),
         TO_CLIENT("-ERR [SYS/TEMP] Shutting down, try again later\r\n")},
        {EVENT(DRAIN, CLIENT), CLOSES(DRAINED),
         TO_CLIENT("-ERR [SYS/TEMP] Shutting down, try again later\r\n")},
    };

    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, beginning, ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_without_a_greeting_gets_ours),
        cmocka_unit_test(a_backend_that_will_not_have_us_inside_tls_is_left),
        cmocka_unit_test(a_client_that_has_one_gets_no_other),
        cmocka_unit_test(the_client_is_named_first),
        cmocka_unit_test(a_known_client_is_named_only_where_that_is_wanted),
        cmocka_unit_test(apop_needs_a_backend_that_is_reached_at_once),
        cmocka_unit_test(the_next_backend_is_asked_from_the_beginning),
        cmocka_unit_test(a_lenient_policy_goes_on_in_the_clear),
        cmocka_unit_test(a_login_in_the_clear_goes_on_inside_tls),
        cmocka_unit_test(a_session_may_end_on_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
