/* SPDX-License-Identifier: ISC */
/* policy = opportunistic, once a backend is wanted: backends that are no good, STARTTLS with one in
 * hand, and how it all ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define OPEN .tls = FRONT_STARTTLS, .hostname = "mx.example"

static const struct policy policy = {OPEN, .relay = RELAY_BACKEND, .max_errors = 3};

#define OURS    "250-mx.example\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define READY   "220 2.0.0 Ready to start TLS\r\n"
#define NOT_NOW "503 5.5.1 Not inside a transaction or a login\r\n"
#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"
#define TIMEOUT "421 4.4.2 Timeout, closing connection\r\n"
#define REFUSED "421 4.4.1 Mail server refuses this session\r\n"

#define HELLO                                                                                      \
    {                                                                                              \
        CLIENT("EHLO a\r\n"), TO_CLIENT(OURS)                                                      \
    }
#define WANTED                                                                                     \
    {                                                                                              \
        CLIENT("EXPN a\r\n"), CONNECTS                                                             \
    }
#define PRESENT                                                                                    \
    {                                                                                              \
        EVENT(CONNECTED, BACKEND)                                                                  \
    }
#define GREETS                                                                                     \
    {                                                                                              \
        BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)                             \
    }

/* Six turns: the backend has answered the command that it was wanted for. */
#define IN_GATE                                                                                    \
    HELLO, WANTED, PRESENT, GREETS, {BACKEND("250 x\r\n"), TO_BACKEND("EXPN a\r\n")},              \
    {                                                                                              \
        BACKEND("252 x\r\n"), TO_CLIENT("252 x\r\n")                                               \
    }

/* ---- backends that are no good ---- */

static void the_next_one_is_tried(void **state)
{
    static const struct turn beginning[] = {HELLO, WANTED, PRESENT};
    static const struct turn ends[] = {
        {BACKEND("421 busy\r\n"), TRIES_NEXT},
        {BACKEND("554-no\r\n554 no\r\n"), TRIES_NEXT},
        {BACKEND("354 go\r\n"), TRIES_NEXT},
        {BACKEND("hello\r\n"), TRIES_NEXT},
        {BACKEND("220-x\r\n554 y\r\n"), TRIES_NEXT},
        {BACKEND("220 x\ry\r\n"), TRIES_NEXT},
        {BACKEND("220 x\r\n2"), TRIES_NEXT, AT_ONCE}, /* what it cannot have been asked for */
        {EVENT(EOF, BACKEND), TRIES_NEXT},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(DEADLINE, BACKEND), TRIES_NEXT},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, beginning, ends);
}

/* It has greeted: what it thinks of the client's name is no failure of its own, and no reason to
 * trouble another one (a client could have all of them taken for dead). */
static void who_dislikes_the_name_ends_this_session_alone(void **state)
{
    static const struct turn beginning[] = {HELLO, WANTED, PRESENT, GREETS};
    static const struct turn ends[] = {
        {BACKEND("421 busy\r\n"), TO_CLIENT(REFUSED), CLOSES(BACKEND_REFUSED)},
        {BACKEND("421-very\r\n421 busy\r\n"), TO_CLIENT(REFUSED), CLOSES(BACKEND_REFUSED)},
        {BACKEND("354 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("334 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("hello\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("250-x\r\n550 y\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
        {BACKEND("250 x\ry\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("250 x\r\n2"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY),
         AT_ONCE}, /* what it cannot have been asked for */
        {BACKEND("550 x\r\n250 y\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY),
         AT_ONCE},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(DEADLINE, BACKEND), TO_CLIENT(TIMEOUT), CLOSES(TIMEOUT)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, beginning, ends);
}

static void so_does_who_dislikes_it_even_in_helo(void **state)
{
    static const struct turn beginning[] = {
        HELLO, WANTED, PRESENT, GREETS, {BACKEND("550 no\r\n"), TO_BACKEND("HELO a\r\n")},
    };
    static const struct turn ends[] = {
        {BACKEND("421 busy\r\n"), TO_CLIENT(REFUSED), CLOSES(BACKEND_REFUSED)},
        {BACKEND("334 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, beginning, ends);
}

static void a_reply_without_end_is_none(void **state)
{
    static char flood[20000];
    const struct turn dialogue[] = {
        HELLO,
        WANTED,
        PRESENT,
        GREETS,
        {.side = SIDE_BACKEND,
         .input = {flood, sizeof flood},
         TO_CLIENT(LOST),
         CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };

    for (size_t i = 0; i + 8 <= sizeof flood; i += 8)
        memcpy(flood + i, "250-xy\r\n", 8);
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

/* Another backend is a blank page: of what the first one said nothing is left. */
static void the_next_one_begins_anew(void **state)
{
    static const struct turn dialogue[] = {
        HELLO,
        WANTED,
        PRESENT,
        {BACKEND("220-x\r\n22")},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        PRESENT,
        {BACKEND("450 full\r\n"), TRIES_NEXT},
        PRESENT,
        GREETS,
        {BACKEND("250-x\r\n250 SIZE\r\n"), TO_BACKEND("EXPN a\r\n")},
        {BACKEND("252 a\r\n"), TO_CLIENT("252 a\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void the_last_failure_is_told(void **state)
{
    static const struct turn dialogue[] = {
        HELLO,
        WANTED,
        PRESENT,
        {BACKEND("421 busy\r\n"), TRIES_NEXT},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_REFUSED,
         TO_CLIENT("421 4.4.1 No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_REFUSED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

/* ---- in the gate ---- */

static void ehlo_offers_our_starttls_and_no_logins(void **state)
{
    static const struct turn dialogue[] = {
        IN_GATE,
        {CLIENT("EHLO b\r\n"), TO_BACKEND("EHLO b\r\n")},
        {BACKEND("250-x\r\n250-SIZE 5\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 AUTH=PLAIN\r\n"),
         TO_CLIENT("250-x\r\n250-STARTTLS\r\n250 SIZE 5\r\n")},
        {CLIENT("EHLO b\r\n"), TO_BACKEND("EHLO b\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250-x\r\n250 STARTTLS\r\n")},
        {CLIENT("EHLO b\r\n"), TO_BACKEND("EHLO b\r\n")},
        {BACKEND("550 x\r\n"), TO_CLIENT("550 x\r\n")},
        {CLIENT("HELO b\r\n"), TO_BACKEND("HELO b\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void what_is_no_smtp_ends_it_here_too(void **state)
{
    static const struct turn beginning[] = {IN_GATE};
    static const struct turn ends[] = {
        {CLIENT("\x16\x03\x01\x02"), CLOSES(VIOLATION), NOTES(TLS_ON_PLAINTEXT_PORT)},
        {CLIENT("GET / HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"), TO_CLIENT("550 5.7.1 Not allowed\r\n"),
         NOTES(SPOOF)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, beginning, ends);
}

/* ---- STARTTLS ---- */

static void starttls_before_any_backend(void **state)
{
    static const struct turn dialogue[] = {
        HELLO,
        {CLIENT("STARTTLS\r\n"), TO_CLIENT(READY), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        PRESENT,
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("EHLO b\r\n"), TO_BACKEND("EHLO b\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"),
         TO_CLIENT("250-x\r\n250 AUTH PLAIN\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("503 5.5.1 TLS is already active\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

/* Nothing of the clear survives: no strike, no name, no backend. */
static void starttls_leaves_the_backend_for_another(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("X\r\n"), TO_CLIENT(UNKNOWN)},
        IN_GATE,
        {CLIENT("Y\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT(READY), TO_BACKEND("QUIT\r\n"), STARTS_TLS},
        {BACKEND("221 bye\r\n")}, /* nobody listens */
        {EVENT(SECURED, CLIENT), CONNECTS},
        PRESENT,
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("X\r\nY\r\nBDAT 1\r\nxMAIL FROM:<>\r\n"),
         TO_CLIENT(UNKNOWN UNKNOWN "502 5.5.1 BDAT is not available\r\n421 4.7.0 Too many "
                                   "errors\r\n"),
         CLOSES(ERRORS)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void starttls_waits_until_all_is_answered(void **state)
{
    static const struct turn dialogue[] = {
        IN_GATE,
        {CLIENT("NOOP\r\nRSET\r\nstarttls \n"), TO_BACKEND("NOOP\r\nRSET\r\n")},
        {BACKEND("250 a\r\n250-b"), TO_CLIENT("250 a\r\n")},
        {BACKEND("\r\n"), TO_CLIENT("250-b\r\n")},
        {BACKEND("250 c\r\n"), TO_CLIENT("250 c\r\n" READY), TO_BACKEND("QUIT\r\n"), STARTS_TLS},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void starttls_inside_a_transaction(void **state)
{
    static const struct turn dialogue[] = {
        IN_GATE,
        {CLIENT("MAIL FROM:<>\r\nSTARTTLS\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" NOT_NOW), NOTES(ADMITTED)},
        {CLIENT("RSET\r\nSTARTTLS\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n" NOT_NOW)},
        {CLIENT("RSET\r\nSTARTTLS\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" READY), TO_BACKEND("QUIT\r\n"), STARTS_TLS},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void starttls_behind_a_message(void **state)
{
    static const struct turn dialogue[] = {
        IN_GATE,
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("354 a\r\n"), TO_CLIENT("354 a\r\n")},
        {CLIENT("STARTTLS\r\n.\r\nSTARTTLS\r\n"), TO_BACKEND("STARTTLS\r\n.\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" READY), TO_BACKEND("QUIT\r\n"), STARTS_TLS,
         NOTES(MESSAGE)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

#define FAILS                                                                                      \
    {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},                                  \
    {                                                                                              \
        BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n"), NOTES(AUTH_FAILED)                           \
    }

static void starttls_after_a_login(void **state)
{
    static const struct policy allowing = {OPEN, .may_auth_in_clear = true, .relay = RELAY_BACKEND};
    static const struct turn dialogue[] = {
        IN_GATE,
        {CLIENT("AUTH PLAIN x\r\nSTARTTLS\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n" READY), TO_BACKEND("QUIT\r\n"), STARTS_TLS,
         NOTES(AUTH_FAILED)},
    };
    static const struct turn too_late[] = {
        IN_GATE,
        {CLIENT("AUTH PLAIN x\r\nSTARTTLS\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 a\r\n"), TO_CLIENT("235 a\r\n" NOT_NOW), NOTES(AUTH_OK)},
        {CLIENT("RSET\r\nSTARTTLS\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" NOT_NOW)},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
    PLAY(&allowing, PLAY_FROM_GREETING, too_late);
}

/* The machine is blank, the client the same. */
static void starttls_does_not_forget_failed_logins(void **state)
{
    static const struct policy allowing = {OPEN, .may_auth_in_clear = true, .relay = RELAY_BACKEND,
                                           .max_auth_failures = 3};
    static const struct turn dialogue[] = {
        IN_GATE,
        FAILS,
        FAILS,
        {CLIENT("STARTTLS\r\n"), TO_CLIENT(READY), TO_BACKEND("QUIT\r\n"), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        PRESENT,
        {BACKEND("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n421 4.7.0 Too many failed logins\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
}

#define INJECTION "554 5.7.0 Octets behind STARTTLS\r\n"

static void octets_behind_starttls(void **state)
{
    static const struct turn at_once[] = {
        IN_GATE,
        {CLIENT("STARTTLS\r\nMAIL FROM:<>\r\n"), TO_CLIENT(INJECTION), CLOSES(VIOLATION),
         NOTES(INJECTION), AT_ONCE},
    };
    static const struct turn waiting[] = {
        IN_GATE,
        {CLIENT("NOOP\r\nSTARTTLS\r\n\x16"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" INJECTION), CLOSES(VIOLATION),
         NOTES(INJECTION)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, at_once);
    PLAY(&policy, PLAY_FROM_GREETING, waiting);
}

static void starttls_takes_no_argument(void **state)
{
    static const struct turn dialogue[] = {
        IN_GATE,
        {CLIENT("STARTTLS x\r\nNOOP\r\n"), TO_CLIENT("501 5.5.4 STARTTLS takes no argument\r\n"),
         TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

/* ---- the end ---- */

static void the_end_while_connecting(void **state)
{
    static const struct turn early[] = {HELLO, WANTED}, late[] = {HELLO, WANTED, PRESENT, GREETS};
    static const struct turn ends[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        {EVENT(ERROR, BACKEND), TO_CLIENT("421 4.3.0 Out of memory, try again later\r\n"),
         CLOSES(ERROR)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, early, ends);
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, late, ends);
}

/* A client that says all it has to say and leaves is still served. */
static void the_client_says_all_while_connecting(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\nEXPN a\r\nNOOP\r\nQUI"), TO_CLIENT(OURS), CONNECTS},
        {EVENT(EOF, CLIENT), .outcome = VERDICT_MORE},
        PRESENT,
        GREETS,
        {BACKEND("250 x\r\n"), TO_BACKEND("EXPN a\r\nNOOP\r\n")},
        {BACKEND("250 a\r\n250 b\r\n"), TO_CLIENT("250 a\r\n250 b\r\n"), TO_BACKEND("QUIT\r\n"),
         CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void the_end_in_the_gate(void **state)
{
    static const struct turn beginning[] = {IN_GATE};
    static const struct turn ends[] = {
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), CLOSES(TIMEOUT)},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {BACKEND("421 bye\r\n"), TO_CLIENT("421 bye\r\n"), CLOSES(BACKEND_CLOSED)},
        {BACKEND("250 bye\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_ENDS(&policy, PLAY_FROM_GREETING, beginning, ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_one_is_tried),
        cmocka_unit_test(who_dislikes_the_name_ends_this_session_alone),
        cmocka_unit_test(so_does_who_dislikes_it_even_in_helo),
        cmocka_unit_test(a_reply_without_end_is_none),
        cmocka_unit_test(the_next_one_begins_anew),
        cmocka_unit_test(the_last_failure_is_told),
        cmocka_unit_test(ehlo_offers_our_starttls_and_no_logins),
        cmocka_unit_test(what_is_no_smtp_ends_it_here_too),
        cmocka_unit_test(starttls_before_any_backend),
        cmocka_unit_test(starttls_leaves_the_backend_for_another),
        cmocka_unit_test(starttls_waits_until_all_is_answered),
        cmocka_unit_test(starttls_inside_a_transaction),
        cmocka_unit_test(starttls_behind_a_message),
        cmocka_unit_test(starttls_after_a_login),
        cmocka_unit_test(starttls_does_not_forget_failed_logins),
        cmocka_unit_test(octets_behind_starttls),
        cmocka_unit_test(starttls_takes_no_argument),
        cmocka_unit_test(the_end_while_connecting),
        cmocka_unit_test(the_client_says_all_while_connecting),
        cmocka_unit_test(the_end_in_the_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
