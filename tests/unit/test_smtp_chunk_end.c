/* SPDX-License-Identifier: ISC */
/* BDAT and BURL when something goes wrong: chunks that fail, replies that come too early, sides that
 * leave. No octet of a chunk is ever a command, and no part of a message ever a whole one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"

static const struct policy policy = {TLS, .relay = RELAY_BACKEND, .max_errors = 20};

#define NO_MAIL "503 5.5.1 MAIL and RCPT first\r\n"
#define SPOILT  "503 5.5.1 A command has failed, RSET first\r\n"
#define ONLY    "503 5.5.1 Only BDAT may follow BDAT\r\n"
#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"
#define TIMEOUT "421 4.4.2 Timeout, closing connection\r\n"

#define EHLO                                                                                       \
    {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},                                              \
    {                                                                                              \
        BACKEND("250-x\r\n250 CHUNKING\r\n"), TO_CLIENT("250-x\r\n250 CHUNKING\r\n")               \
    }
#define MAIL                                                                                       \
    {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"),                                                  \
     TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},                                             \
    {                                                                                              \
        BACKEND("250 m\r\n250 r\r\n"), TO_CLIENT("250 m\r\n250 r\r\n"), NOTES(ADMITTED)            \
    }

/* Five turns: a message may come, and 3 of 10 octets have. */
#define UNDER_WAY                                                                                  \
    EHLO, MAIL,                                                                                    \
    {                                                                                              \
        CLIENT("BDAT 10\r\nabc"), TO_BACKEND("BDAT 10\r\nabc"), WAITS_FOR(CONTENT)                 \
    }

/* ---- chunks that fail ---- */

static void after_a_failed_chunk_the_rest_is_refused(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BDAT 3\r\nabcBDAT 6\r\nQUIT\r\nBDAT 0\r\nBDAT 6 LAST\r\nDATA\r\nRSET\r\n"),
         TO_BACKEND("BDAT 3\r\nabc")},
        {BACKEND("552 full\r\n"), TO_CLIENT("552 full\r\n" SPOILT SPOILT SPOILT),
         TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_MAIL)},
        MAIL,
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_refused_reset_does_not_help(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BDAT 3\r\nabcRSET x\r\n"), TO_BACKEND("BDAT 3\r\nabc")},
        {BACKEND("451 a\r\n"), TO_CLIENT("451 a\r\n"), TO_BACKEND("RSET x\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},
        {CLIENT("MAIL FROM:<>\r\n"), TO_CLIENT(ONLY)},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT("503 5.5.1 MAIL was refused\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_failed_last_chunk_ends_the_message(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BDAT 3 LAST\r\nabcBDAT 1\r\nx"), TO_BACKEND("BDAT 3 LAST\r\nabc")},
        {BACKEND("554 a\r\n"), TO_CLIENT("554 a\r\n" NO_MAIL)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* ---- replies at the wrong time ---- */

static void replies_while_a_chunk_is_under_way(void **state)
{
    static const struct turn row[] = {
        UNDER_WAY, /* forwarded; what still comes could be taken for commands */
        {BACKEND("552-too\r\n552 big\r\n"), TO_CLIENT("552-too\r\n552 big\r\n"),
         RESETS(BACKEND_LOST)},
        UNDER_WAY,
        {BACKEND("452 full\n"), TO_CLIENT("452 full\r\n"), RESETS(BACKEND_LOST)},
        UNDER_WAY,
        {BACKEND("421 bye\r\n"), TO_CLIENT("421 bye\r\n"), RESETS(BACKEND_LOST)},
        UNDER_WAY, /* accepted before it was said */
        {BACKEND("250 ok\r\n"), TO_CLIENT(LOST), RESETS(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        UNDER_WAY,
        {BACKEND("354 go\r\n"), TO_CLIENT(LOST), RESETS(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 6);
}

static void an_early_refusal_is_not_followed_by_its_chunk(void **state)
{
    static const struct turn dialogue[] = {
        UNDER_WAY,
        {BACKEND("552 no"), WAITS_FOR(CONTENT)},
        {CLIENT("de"), TO_BACKEND("de")},
        {BACKEND("\r\n"), TO_CLIENT("552 no\r\n"), RESETS(BACKEND_LOST)},
        {CLIENT("fghijQUIT\r\n"), RESETS(BACKEND_LOST)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_chunk_has_one_reply_and_no_3xx(void **state)
{
    static const struct turn row[] = {
        EHLO,
        MAIL,
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("354 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("x"), CLOSES(BACKEND_LOST)},

        EHLO,
        MAIL,
        {CLIENT("BDAT 1 LAST\r\nx"), TO_BACKEND("BDAT 1 LAST\r\nx")},
        {BACKEND("334 go\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {CLIENT("x"), CLOSES(BACKEND_LOST)},

        EHLO,
        MAIL,
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {BACKEND("250 b\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 7);
}

/* ---- sides that leave ---- */

static void the_end_within_a_chunk_resets(void **state)
{
    static const struct turn row[] = {
        UNDER_WAY, {EVENT(EOF, CLIENT), RESETS(CLIENT_LOST)},
        UNDER_WAY, {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), RESETS(TIMEOUT)},
        UNDER_WAY, {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), RESETS(DRAINED)},
        UNDER_WAY, {EVENT(EOF, BACKEND), TO_CLIENT(LOST), RESETS(BACKEND_LOST)},
        UNDER_WAY, {EVENT(LOST, BACKEND), TO_CLIENT(LOST), RESETS(BACKEND_LOST)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 6);
}

static void drain_waits_for_the_message(void **state)
{
    static const struct turn dialogue[] = {
        UNDER_WAY,
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("defghij"), TO_BACKEND("defghij")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 0 LAST\r\n"), TO_BACKEND("BDAT 0 LAST\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DRAINED), CLOSES(DRAINED), NOTES(MESSAGE)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* Between two chunks the backend has no octet that it could take for a whole message: it ends in
 * good order. */
static void the_client_leaves_between_chunks(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BDAT 3\r\nabcBDA"), TO_BACKEND("BDAT 3\r\nabc")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), TO_BACKEND("QUIT\r\n"),
         CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* ---- beside other commands ---- */

static void burl_is_a_chunk_without_octets(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BURL imap://a/b;urlauth=c\r\nBDAT 1\r\nx"),
         TO_BACKEND("BURL imap://a/b;urlauth=c\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BURL imap://a/b last\r\nNOOP\r\n"), TO_BACKEND("BURL imap://a/b last\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), TO_BACKEND("NOOP\r\n"), NOTES(MESSAGE)},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_MAIL)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void behind_a_burl_only_a_few_commands_pass(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        {CLIENT("BURL imap://a/b\r\n"), TO_BACKEND("BURL imap://a/b\r\n")},
        {BACKEND("250 what\r\n"), TO_CLIENT("250 what\r\n")}, /* without a transaction: none */
        MAIL,
        {CLIENT("BURL imap://a/b\r\nVRFY x\r\n"), TO_BACKEND("BURL imap://a/b\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" ONLY)},
        {CLIENT("MAIL FROM:<>\r\nBDAT 1\r\nx"), TO_CLIENT(ONLY "503 5.5.1 MAIL was refused\r\n")},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("VRFY x\r\n"), TO_BACKEND("VRFY x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_failed_burl_fails_the_message(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BURL imap://a/b\r\nBDAT 1 LAST\r\nx"), TO_BACKEND("BURL imap://a/b\r\n")},
        {BACKEND("554 a\r\n"), TO_CLIENT("554 a\r\n" SPOILT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* A chunk that we have refused is missing from the message. */
static void no_burl_follows_a_refused_chunk(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        MAIL,
        {CLIENT("BDAT 1 FIRST\r\nxBURL imap://a/b LAST\r\n"),
         TO_CLIENT("501 5.5.4 Syntax error in BDAT\r\n" SPOILT)},
        {CLIENT("RSET\r\nBURL imap://a/b LAST\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), TO_BACKEND("BURL imap://a/b LAST\r\n")},
        {BACKEND("503 a\r\n"), TO_CLIENT("503 a\r\n")},
        {CLIENT("BURL imap://a/b LAST\r\n"), TO_BACKEND("BURL imap://a/b LAST\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* What follows from a refusal of ours, or of the backend's, is no mistake of the client's. */
static void strikes(void **state)
{
    static const struct policy strict = {TLS, .relay = RELAY_BACKEND, .max_errors = 3};
    static const struct turn dialogue[] = {
        EHLO,
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nxBDAT 1\r\nyBDAT 1 LAST\r\nz"),
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
        {BACKEND("250 m\r\n550 r\r\n"),
         TO_CLIENT("250 m\r\n550 r\r\n554 5.5.1 No valid recipients\r\n" SPOILT SPOILT),
         NOTES(ADMITTED)},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        MAIL,
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("452 a\r\n"), TO_CLIENT("452 a\r\n")},
        {CLIENT("BDAT 1\r\nxBDAT 1\r\nyBDAT 1 LAST\r\nz"), TO_CLIENT(SPOILT SPOILT SPOILT)},
        {CLIENT("MAIL AUTH=x\r\nBDAT 1\r\nxBDAT 1\r\nyBDAT 1 LAST\r\nz"),
         TO_CLIENT(
             "503 5.5.1 Only BDAT may follow BDAT\r\n503 5.5.1 MAIL was refused\r\n503 5.5.1 MAIL "
             "was refused\r\n503 5.5.1 MAIL was refused\r\n")},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("550 a\r\n"), TO_CLIENT("550 a\r\n")},
        {CLIENT("BDAT 1\r\nxBDAT 1 y\r\nz"),
         TO_CLIENT(NO_MAIL "501 5.5.4 Syntax error in BDAT\r\n421 4.7.0 Too many errors\r\n"),
         CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_failed_chunk_the_rest_is_refused),
        cmocka_unit_test(a_refused_reset_does_not_help),
        cmocka_unit_test(a_failed_last_chunk_ends_the_message),
        cmocka_unit_test(replies_while_a_chunk_is_under_way),
        cmocka_unit_test(an_early_refusal_is_not_followed_by_its_chunk),
        cmocka_unit_test(a_chunk_has_one_reply_and_no_3xx),
        cmocka_unit_test(the_end_within_a_chunk_resets),
        cmocka_unit_test(drain_waits_for_the_message),
        cmocka_unit_test(the_client_leaves_between_chunks),
        cmocka_unit_test(burl_is_a_chunk_without_octets),
        cmocka_unit_test(behind_a_burl_only_a_few_commands_pass),
        cmocka_unit_test(a_failed_burl_fails_the_message),
        cmocka_unit_test(no_burl_follows_a_refused_chunk),
        cmocka_unit_test(strikes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
