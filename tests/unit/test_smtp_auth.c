/* SPDX-License-Identifier: ISC */
/* AUTH (RFC 4954): exchanges pass as they are, none of their lines is a command to anybody, and
 * only 235 is a login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS  .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"
#define LOST "421 4.4.2 Mail server lost, try again later\r\n"

static const struct policy policy = {TLS, .relay = RELAY_BACKEND, .max_errors = 20,
                                     .max_auth_failures = 3};

static void the_first_line_passes_in_our_words(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH PLAIN AGEAYg==\r\n"), TO_BACKEND("AUTH PLAIN AGEAYg==\r\n")},
        {CLIENT("AUTH PLAIN =\r\n"), TO_BACKEND("AUTH PLAIN =\r\n")},
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n")},
        {CLIENT("AUTH CRAM-MD5\n"), TO_BACKEND("AUTH CRAM-MD5\r\n")},
        {CLIENT("auth plain AGEAYg==\n"), TO_BACKEND("AUTH plain AGEAYg==\r\n")},
        {CLIENT("Auth\tXOAUTH2 \t dXNlcg==\t\r\n"), TO_BACKEND("AUTH XOAUTH2 dXNlcg==\r\n")},
        {CLIENT("AUTH  X_OWN-1 \n"), TO_BACKEND("AUTH X_OWN-1\r\n")},
        {CLIENT("AUTH PLAIN *\r\n"), TO_BACKEND("AUTH PLAIN *\r\n")},
        {CLIENT("AUTH ABCDEFGHIJKLMNOPQRST x\r\n"), TO_BACKEND("AUTH ABCDEFGHIJKLMNOPQRST x\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

#define BAD "501 5.5.4 Syntax error in AUTH\r\n"

static void what_is_no_auth_does_not_pass(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH  \t\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH PLAIN a b\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH PLAIN a-b\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH PLAIN **\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH PLAIN \xc3\xa4\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH PL:AIN\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH =\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH ABCDEFGHIJKLMNOPQRSTU\r\n"), TO_CLIENT(BAD)},
        {CLIENT("AUTH=PLAIN\r\n"), TO_CLIENT("500 5.5.2 Command not recognized\r\n")},
        {CLIENT("AUTH PLAIN a\rb\r\n"),
         TO_CLIENT("500 5.5.2 Control character inside a command\r\n")},
        {CLIENT("AUTH PLAIN a\0\r\n"),
         TO_CLIENT("500 5.5.2 Control character inside a command\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

#define NONE "504 5.5.4 Authentication mechanism not available\r\n"

static void some_mechanisms_cannot_pass(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH EXTERNAL\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH external =\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH ANONYMOUS dGVzdA==\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH GSSAPI\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH gss-spnego\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH NTLM TlRMTVNTUAAB\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH Digest-MD5\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH SCRAM-SHA-256-PLUS biws\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH SCRAM-SHA-1-plus\r\n"), TO_CLIENT(NONE)},
        {CLIENT("AUTH SCRAM-SHA-256 biws\r\n"), TO_BACKEND("AUTH SCRAM-SHA-256 biws\r\n")},
        {CLIENT("AUTH -PLUS\r\n"), TO_BACKEND("AUTH -PLUS\r\n")},
        {CLIENT("AUTH NTLMX\r\n"), TO_BACKEND("AUTH NTLMX\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void a_refused_auth_is_a_strike(void **state)
{
    static const struct policy strict = {TLS, .relay = RELAY_BACKEND, .max_errors = 3};
    static const struct turn dialogue[] = {
        {CLIENT("AUTH NTLM\r\nAUTH\r\nAUTH GSSAPI\r\n"),
         TO_CLIENT(NONE BAD NONE "421 4.7.0 Too many errors\r\n"), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

/* ---- exchanges ---- */

static void login_asks_twice(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH LOGIN\r\n"), TO_BACKEND("AUTH LOGIN\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("334 VXNlcm5hbWU6\r\n"), TO_CLIENT("334 VXNlcm5hbWU6\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("YQ==\r\n"), TO_BACKEND("YQ==\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("334 UGFzc3dvcmQ6\n"), TO_CLIENT("334 UGFzc3dvcmQ6\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("Yg==\n"), TO_BACKEND("Yg==\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("235 2.7.0 ok\r\n"), TO_CLIENT("235 2.7.0 ok\r\n"), NOTES(AUTH_OK),
         WAITS_FOR(CLIENT)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void challenges_of_every_form_pass(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH X-MANY\r\n"), TO_BACKEND("AUTH X-MANY\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("a\r\n"), TO_BACKEND("a\r\n")},
        {BACKEND("334\r\n"), TO_CLIENT("334\r\n")},
        {CLIENT("b\r\n"), TO_BACKEND("b\r\n")},
        {BACKEND("334-Y2hh\r\n334-bGxl\n334 bmdl\r\n"),
         TO_CLIENT("334-Y2hh\r\n334-bGxl\r\n334 bmdl\r\n")},
        {CLIENT("c\r\n"), TO_BACKEND("c\r\n")},
        {BACKEND("334 not base64 at all\r\n"), TO_CLIENT("334 not base64 at all\r\n")},
        {CLIENT("d\r\n"), TO_BACKEND("d\r\n")},
        {BACKEND("235-two\r\n235 lines\r\n"), TO_CLIENT("235-two\r\n235 lines\r\n"),
         NOTES(AUTH_OK)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void responses_of_every_form_pass(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH X-MANY\r\n"), TO_BACKEND("AUTH X-MANY\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("\r\n"), TO_BACKEND("\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("\n"), TO_BACKEND("\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("=\r\n"), TO_BACKEND("=\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("aZ09+/==\n"), TO_BACKEND("aZ09+/==\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 5.7.0 cancelled\r\n"), TO_CLIENT("501 5.7.0 cancelled\r\n"),
         NOTES(AUTH_FAILED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* It is base64 as far as anybody can see, and the backend reads it as such too. */
static void a_response_that_looks_like_a_command_is_none(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN\r\nRSET\r\nQUIT\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("535 5.7.8 no\r\n"), TO_CLIENT("535 5.7.8 no\r\n"), TO_BACKEND("QUIT\r\n"),
         NOTES(AUTH_FAILED)},
        {BACKEND("221 bye\r\n"), TO_CLIENT("221 bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* Neither is a command that the backend would have taken for a response. */
static void what_cannot_be_a_response_cancels(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("MAIL FROM:<a@b>\r\nNOOP\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n"), TO_BACKEND("NOOP\r\n")},

        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("a\rb\r\nNOOP\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n"), TO_BACKEND("NOOP\r\n")},

        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("a\0\nNOOP\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n"), TO_BACKEND("NOOP\r\n")},

        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT(" *\r\nNOOP\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 4);
}

static void a_response_that_cancels_by_itself_is_a_strike(void **state)
{
    static const struct policy strict = {TLS, .relay = RELAY_BACKEND, .max_errors = 2};
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n")},
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("*\r\n"), TO_CLIENT("421 4.7.0 Too many errors\r\n"),
         CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

/* RFC 4954, section 4. A backend that takes it there begins anew, perhaps. */
static void no_login_inside_a_transaction_or_a_login(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\nAUTH PLAIN AGEAYg==\r\nRSET\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"),
         TO_CLIENT("250 a\r\n503 5.5.1 Not inside a transaction or a login\r\n"),
         TO_BACKEND("RSET\r\n"), NOTES(ADMITTED)},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("AUTH PLAIN AGEAYg==\r\n"), TO_BACKEND("AUTH PLAIN AGEAYg==\r\n")},
        {BACKEND("235 a\r\n"), TO_CLIENT("235 a\r\n"), NOTES(AUTH_OK)},
        {CLIENT("AUTH PLAIN AGEAYg==\r\n"),
         TO_CLIENT("503 5.5.1 Not inside a transaction or a login\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void all_behind_auth_waits_until_it_is_over(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nAUTH PLAIN AGEAYg==\r\nFOO\r\nMAIL FROM:<>\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n"), TO_BACKEND("AUTH PLAIN AGEAYg==\r\n")},
        {BACKEND("235-o")},
        {BACKEND("ne\r\n"), TO_CLIENT("235-one\r\n")},
        {BACKEND("235 two\r\n"), TO_CLIENT("235 two\r\n500 5.5.2 Command not recognized\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\n"), NOTES(AUTH_OK)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* ---- success, failure, and what is neither ---- */

static void only_235_is_success(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("200 ok\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("234 ok\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("354 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("335 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("334 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("DATA\r\n"), TO_BACKEND("DATA\r\n")},
        {BACKEND("334 x\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 2);
}

/* What comes before the client's response would be read as the answer to it. */
static void nothing_but_421_may_come_while_the_client_is_asked(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 a\r\n"), TO_CLIENT("334 a\r\n")},
        {BACKEND("334 b\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 a\r\n"), TO_CLIENT("334 a\r\n")},
        {BACKEND("235 b\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 a\r\n"), TO_CLIENT("334 a\r\n")},
        {BACKEND("535 b\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},

        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 a\r\n"), TO_CLIENT("334 a\r\n")},
        {BACKEND("421 b\r\n"), TO_CLIENT("421 b\r\n"), CLOSES(BACKEND_CLOSED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 3);
}

#define TRY                                                                                        \
    {                                                                                              \
        CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")                                 \
    }
#define TOO_MANY TO_CLIENT("535 a\r\n421 4.7.0 Too many failed logins\r\n")

static void failed_logins_end_the_session(void **state)
{
    static const struct turn dialogue[] = {
        TRY,
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("\r\n"), TO_BACKEND("\r\n")},
        {BACKEND("535-a\r\n535 b\r\n"), TO_CLIENT("535-a\r\n535 b\r\n"), NOTES(AUTH_FAILED)},
        TRY,
        {BACKEND("535 a\r\n"), TOO_MANY, CLOSES(ERRORS), NOTES(AUTH_FAILED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_login_may_follow_failures(void **state)
{
    static const struct turn dialogue[] = {
        TRY,
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n"), NOTES(AUTH_FAILED)},
        TRY,
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n"), NOTES(AUTH_FAILED)},
        TRY,
        {BACKEND("235 a\r\n"), TO_CLIENT("235 a\r\n"), NOTES(AUTH_OK)},
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void without_a_limit_failures_go_on(void **state)
{
    static const struct policy patient = {TLS, .relay = RELAY_BACKEND};
    static const struct turn pair[] = {
        TRY,
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n"), NOTES(AUTH_FAILED)},
    };
    struct turn dialogue[40];

    for (size_t i = 0; i < 40; i++)
        dialogue[i] = pair[i % 2];
    PLAY(&patient, PLAY_FROM_GATE, dialogue);
}

static const struct policy once = {TLS, .relay = RELAY_BACKEND, .max_auth_failures = 1};

static void these_codes_are_failed_logins(void **state)
{
    static const struct turn row[] = {
        TRY,
        {BACKEND("535 a\r\n"), TOO_MANY, CLOSES(ERRORS), NOTES(AUTH_FAILED)},
        TRY,
        {BACKEND("534 a\r\n"), TO_CLIENT("534 a\r\n421 4.7.0 Too many failed logins\r\n"),
         CLOSES(ERRORS), NOTES(AUTH_FAILED)},
        TRY,
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n421 4.7.0 Too many failed logins\r\n"),
         CLOSES(ERRORS), NOTES(AUTH_FAILED)},
        TRY,
        {BACKEND("550 a\r\n"), TO_CLIENT("550 a\r\n421 4.7.0 Too many failed logins\r\n"),
         CLOSES(ERRORS), NOTES(AUTH_FAILED)},
    };
    PLAY_EACH(&once, PLAY_FROM_GATE, row, 2);
}

static void these_are_none(void **state)
{
    static const struct turn row[] = {
        TRY,
        {BACKEND("454 a\r\n"), TO_CLIENT("454 a\r\n")},
        TRY,
        {BACKEND("432 a\r\n"), TO_CLIENT("432 a\r\n")},
        TRY,
        {BACKEND("503 a\r\n"), TO_CLIENT("503 a\r\n")},
        TRY,
        {BACKEND("504 a\r\n"), TO_CLIENT("504 a\r\n")},
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")}, /* nothing was tried */
        {BACKEND("535 a\r\n"), TO_CLIENT("535 a\r\n")},
    };
    PLAY_EACH(&once, PLAY_FROM_GATE, row, 2);
}

#define ASK                                                                                        \
    {CLIENT("AUTH X-MANY\r\n"), TO_BACKEND("AUTH X-MANY\r\n")},                                    \
    {                                                                                              \
        BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")                                                 \
    }

/* Client and backend would not agree on who is logged in. */
static void no_exchange_lets_nobody_in(void **state)
{
    static const struct turn nothing[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("235 in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    static const struct turn cancelled[] = {
        {CLIENT("AUTH LOGIN YQ==\r\n"), TO_BACKEND("AUTH LOGIN YQ==\r\n")},
        {BACKEND("334 x\r\n"), TO_CLIENT("334 x\r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("235 in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };
    static const struct turn by_us[] = {
        {CLIENT("AUTH LOGIN YQ==\r\n"), TO_BACKEND("AUTH LOGIN YQ==\r\n")},
        {BACKEND("334 x\r\n"), TO_CLIENT("334 x\r\n")},
        {CLIENT("a b\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("235 in\r\n"), TO_CLIENT(LOST), NOTES(BACKEND_REPLY), CLOSES(BACKEND_LOST)},
    };

    PLAY(&policy, PLAY_FROM_GATE, nothing);
    PLAY(&policy, PLAY_FROM_GATE, cancelled);
    PLAY(&policy, PLAY_FROM_GATE, by_us);
}

static void an_exchange_cancelled_at_once_is_none(void **state)
{
    static const struct turn row[] = {
        ASK,
        {CLIENT("*\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},

        ASK,
        {CLIENT("NOOP x\r\n"), TO_BACKEND("*\r\n")}, /* in the client's name */
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},
    };
    PLAY_EACH(&once, PLAY_FROM_GATE, row, 4);
}

#define CANCELLED                                                                                  \
    {                                                                                              \
        BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n421 4.7.0 Too many failed logins\r\n"),          \
            CLOSES(ERRORS), NOTES(AUTH_FAILED)                                                     \
    }

/* The second challenge may have told the client that it has guessed wrong (RFC 5802, section 7). */
static void an_exchange_cancelled_behind_a_response_is_a_failed_login(void **state)
{
    static const struct turn row[] = {
        ASK,
        {CLIENT("cHJvb2Y=\r\n"), TO_BACKEND("cHJvb2Y=\r\n")},
        {BACKEND("334 ZT1pbnZhbGlkLXByb29m\r\n"), TO_CLIENT("334 ZT1pbnZhbGlkLXByb29m\r\n")},
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        CANCELLED,

        ASK,
        {CLIENT("cHJvb2Y=\n"), TO_BACKEND("cHJvb2Y=\r\n")},
        {BACKEND("334 ZT1pbnZhbGlkLXByb29m\r\n"), TO_CLIENT("334 ZT1pbnZhbGlkLXByb29m\r\n")},
        {CLIENT("NOOP x\r\n"), TO_BACKEND("*\r\n")},
        CANCELLED,
    };
    static const struct turn initial[] = {
        TRY,
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {CLIENT("*\n"), TO_BACKEND("*\r\n")},
        CANCELLED,
    };
    static const struct turn next[] = {
        /* What was said in one exchange does not count in the next. */
        TRY,
        {BACKEND("454 a\r\n"), TO_CLIENT("454 a\r\n")},
        ASK,
        {CLIENT("*\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},
    };
    PLAY_EACH(&once, PLAY_FROM_GATE, row, 6);
    PLAY(&once, PLAY_FROM_GATE, initial);
    PLAY(&once, PLAY_FROM_GATE, next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_passes_in_our_words),
        cmocka_unit_test(what_is_no_auth_does_not_pass),
        cmocka_unit_test(some_mechanisms_cannot_pass),
        cmocka_unit_test(a_refused_auth_is_a_strike),
        cmocka_unit_test(login_asks_twice),
        cmocka_unit_test(challenges_of_every_form_pass),
        cmocka_unit_test(responses_of_every_form_pass),
        cmocka_unit_test(a_response_that_looks_like_a_command_is_none),
        cmocka_unit_test(what_cannot_be_a_response_cancels),
        cmocka_unit_test(a_response_that_cancels_by_itself_is_a_strike),
        cmocka_unit_test(no_login_inside_a_transaction_or_a_login),
        cmocka_unit_test(all_behind_auth_waits_until_it_is_over),
        cmocka_unit_test(only_235_is_success),
        cmocka_unit_test(nothing_but_421_may_come_while_the_client_is_asked),
        cmocka_unit_test(failed_logins_end_the_session),
        cmocka_unit_test(a_login_may_follow_failures),
        cmocka_unit_test(without_a_limit_failures_go_on),
        cmocka_unit_test(these_codes_are_failed_logins),
        cmocka_unit_test(these_are_none),
        cmocka_unit_test(no_exchange_lets_nobody_in),
        cmocka_unit_test(an_exchange_cancelled_at_once_is_none),
        cmocka_unit_test(an_exchange_cancelled_behind_a_response_is_a_failed_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
