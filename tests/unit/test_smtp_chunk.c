/* SPDX-License-Identifier: ISC */
/* BDAT and BURL (RFC 3030, RFC 4468): chunks are counted, pass unaltered or not at all, and none of
 * their octets is a command to anybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"

static const struct policy policy = {TLS, .relay = RELAY_BACKEND, .max_errors = 20};

#define NO_BDAT  "502 5.5.1 BDAT is not available\r\n"
#define BAD_BDAT "501 5.5.4 Syntax error in BDAT\r\n"
#define NO_MAIL  "503 5.5.1 MAIL and RCPT first\r\n"
#define NO_RCPT  "554 5.5.1 No valid recipients\r\n"
#define SPOILT   "503 5.5.1 A command has failed, RSET first\r\n"
#define ONLY     "503 5.5.1 Only BDAT may follow BDAT\r\n"
#define UNKNOWN  "554 5.7.0 Chunk size not understood\r\n"
#define LOST     "421 4.4.2 Mail server lost, try again later\r\n"

/* Two turns: the backend offers BDAT. */
#define EHLO                                                                                       \
    {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},                                              \
    {                                                                                              \
        BACKEND("250-x\r\n250 chunking\r\n"), TO_CLIENT("250-x\r\n250 chunking\r\n")               \
    }

/* Four turns: and a message may come. */
#define MESSAGE                                                                                    \
    EHLO,                                                                                          \
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"),                                              \
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},                                         \
    {                                                                                              \
        BACKEND("250 m\r\n250 r\r\n"), TO_CLIENT("250 m\r\n250 r\r\n"), NOTES(ADMITTED)            \
    }

/* ---- what passes ---- */

static void a_message_in_one_chunk(void **state)
{
    static const struct turn row[] = {
        MESSAGE,
        {CLIENT("BDAT 6 LAST\r\nabc\r\n."), TO_BACKEND("BDAT 6 LAST\r\nabc\r\n."),
         WAITS_FOR(BACKEND)},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n"), NOTES(MESSAGE), WAITS_FOR(CLIENT)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},

        MESSAGE,
        {CLIENT("BDAT 6 LAST\r\nabc\r\n."), TO_BACKEND("BDAT 6 LAST\r\nabc\r\n.")},
        {BACKEND("451-try\r\n451 later\r\n"), TO_CLIENT("451-try\r\n451 later\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 7);
}

static void a_message_in_several_chunks(void **state)
{
    static const struct turn dialogue[] = {
        MESSAGE,
        {CLIENT("BDAT 3\r\nabc"), TO_BACKEND("BDAT 3\r\nabc")},
        {BACKEND("250 1\r\n"), TO_CLIENT("250 1\r\n")},
        {CLIENT("BDAT 4\r\nNO"), TO_BACKEND("BDAT 4\r\nNO"), WAITS_FOR(CONTENT)},
        {CLIENT("OP"), TO_BACKEND("OP"), WAITS_FOR(BACKEND)},
        {BACKEND("250 3\n"), TO_CLIENT("250 3\r\n")},
        {CLIENT("BDAT 0 LAST\r\n"), TO_BACKEND("BDAT 0 LAST\r\n")},
        {BACKEND("250 4\r\n"), TO_CLIENT("250 4\r\n"), NOTES(MESSAGE)},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_MAIL)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void pipelined_chunks_wait_for_each_other(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 2\r\n\r\nBDAT 6 LAST\r\nRSET\r\nNOOP\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n"), NOTES(ADMITTED)},
        {BACKEND("250 r\r\n"), TO_CLIENT("250 r\r\n"), TO_BACKEND("BDAT 2\r\n\r\n")},
        {BACKEND("250 1\r\n"), TO_CLIENT("250 1\r\n"), TO_BACKEND("BDAT 6 LAST\r\nRSET\r\n")},
        {BACKEND("250 2\r\n"), TO_CLIENT("250 2\r\n"), TO_BACKEND("NOOP\r\n"), NOTES(MESSAGE)},
        {BACKEND("250 3\r\n"), TO_CLIENT("250 3\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void content_is_not_altered(void **state)
{
    static const struct policy rejecting = {TLS, .relay = RELAY_BACKEND,
                                            .bare_newline = BARE_NEWLINE_REJECT};
    static const struct turn dialogue[] = {
        MESSAGE,
        {CLIENT("BDAT 20 LAST\r\n\n\r\0.\r\n.\r\n\n.\n\r.\r..\0\xff"
                "x"),
         TO_BACKEND("BDAT 20 LAST\r\n\n\r\0.\r\n.\r\n\n.\n\r.\r..\0\xff"
                    "x")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n"), NOTES(MESSAGE)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
    PLAY(&rejecting, PLAY_FROM_GATE, dialogue);
}

/* Whoever reads it reads the same number. */
static void the_command_passes_in_our_words(void **state)
{
    static const struct turn row[] = {
        MESSAGE, {CLIENT("bdat 3 last\nabc"), TO_BACKEND("BDAT 3 LAST\r\nabc")},
        MESSAGE, {CLIENT("BDAT 3 LaSt \r\nabc"), TO_BACKEND("BDAT 3 LAST\r\nabc")},
        MESSAGE, {CLIENT("Bdat\t  3\t LAST\r\nabc"), TO_BACKEND("BDAT 3 LAST\r\nabc")},
        MESSAGE, {CLIENT("BDAT 0000000000000000000000003\r\nabc"), TO_BACKEND("BDAT 3\r\nabc")},
        MESSAGE, {CLIENT("BDAT 00 LAST\r\n"), TO_BACKEND("BDAT 0 LAST\r\n")},
        MESSAGE, {CLIENT("BDAT 2147483647\r\nabc"), TO_BACKEND("BDAT 2147483647\r\nabc")},
        MESSAGE, {CLIENT("BDAT 0002147483647 LAST\r\n"), TO_BACKEND("BDAT 2147483647 LAST\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 5);
}

/* ---- what does not, and is swallowed ---- */

static void sizes_that_nobody_knows_end_the_session(void **state)
{
    static const struct turn row[] = {
        {CLIENT("BDAT\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT LAST\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT -1\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 0x10\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 1,2\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 2147483648\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 4294967297\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 12884901890\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 18446744073709551617\r\n"), TO_CLIENT(UNKNOWN), CLOSES(VIOLATION),
         NOTES(SMUGGLING)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void trailing_words_are_refused_and_the_chunk_swallowed(void **state)
{
    static const struct turn row[] = {
        MESSAGE,
        {CLIENT("BDAT 6 FIRST\r\nQUIT\r\nRSET\r\n"), TO_CLIENT(BAD_BDAT), TO_BACKEND("RSET\r\n")},
        MESSAGE,
        {CLIENT("BDAT 6 LAST LAST\r\nQUIT\r\nRSET\r\n"), TO_CLIENT(BAD_BDAT),
         TO_BACKEND("RSET\r\n")},
        MESSAGE,
        {CLIENT("BDAT 6 6\r\nQUIT\r\nRSET\r\n"), TO_CLIENT(BAD_BDAT), TO_BACKEND("RSET\r\n")},
        MESSAGE,
        {CLIENT("BDAT 0 x\r\nRSET\r\n"), TO_CLIENT(BAD_BDAT), TO_BACKEND("RSET\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 5);
}

static const char *const chunking[] = {"CHUNKING"};

static void what_is_not_offered_is_refused(void **state)
{
    static const struct policy hiding = {TLS, .relay = RELAY_BACKEND,
                                         .hide_capabilities = {chunking, 1}};
    static const struct turn never_asked[] = {
        {CLIENT("BDAT 6 LAST\r\nQUIT\r\nRSET\r\n"), TO_CLIENT(NO_BDAT), TO_BACKEND("RSET\r\n")},
    };
    static const struct turn not_announced[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-CHUNKING\r\n250-XCHUNKING\r\n250 SIZE\r\n"),
         TO_CLIENT("250-CHUNKING\r\n250-XCHUNKING\r\n250 SIZE\r\n")},
        {CLIENT("BDAT 6\r\nQUIT\r\nRSET\r\n"), TO_CLIENT(NO_BDAT), TO_BACKEND("RSET\r\n")},
    };
    static const struct turn hidden[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 SIZE\r\n"),
         TO_CLIENT("250-x\r\n250 SIZE\r\n")},
        {CLIENT("BDAT 6\r\nQUIT\r\nRSET\r\n"), TO_CLIENT(NO_BDAT), TO_BACKEND("RSET\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, never_asked);
    PLAY(&policy, PLAY_FROM_GATE, not_announced);
    PLAY(&hiding, PLAY_FROM_GATE, hidden);
}

static void the_last_hello_counts(void **state)
{
    static const struct turn helo[] = {
        EHLO,
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_BDAT)}, /* it may be forgotten even so */
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_BDAT)},
    };
    static const struct turn ehlo[] = {
        EHLO,
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("550 no\r\n"), TO_CLIENT("550 no\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_BDAT)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_BDAT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, helo);
    PLAY(&policy, PLAY_FROM_GATE, ehlo);
}

static void without_a_recipient_no_chunk_passes(void **state)
{
    static const struct turn dialogue[] = {
        EHLO,
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_MAIL)},
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("550 no\r\n"), TO_CLIENT("550 no\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_MAIL)},
        {CLIENT(
             "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n")},
        {BACKEND("250 m\r\n550 r\r\n450 r\r\n"), TO_CLIENT("250 m\r\n550 r\r\n450 r\r\n" NO_RCPT),
         TO_BACKEND("NOOP\r\n"), NOTES(ADMITTED)},
        {BACKEND("250 n\r\n"), TO_CLIENT("250 n\r\n")},
        {CLIENT("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n"),
         TO_BACKEND("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n")},
        {BACKEND("250 s\r\n250 m\r\n251 r\r\n550 r\r\n"),
         TO_CLIENT("250 s\r\n250 m\r\n251 r\r\n550 r\r\n"), NOTES(ADMITTED)},
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* Else what follows would be a message with a hole. */
static void a_chunk_that_is_refused_spoils_its_message(void **state)
{
    static const struct turn first[] = {
        MESSAGE,
        {CLIENT("BDAT 2 FIRST\r\nx\nBDAT 1\r\nyBDAT 0 LAST\r\n"),
         TO_CLIENT(BAD_BDAT SPOILT SPOILT)},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 1\r\nx"), TO_CLIENT(NO_MAIL)}, /* and this one nothing */
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
        {BACKEND("250 m\r\n250 r\r\n"), TO_CLIENT("250 m\r\n250 r\r\n"), NOTES(ADMITTED)},
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
    };
    static const struct turn second[] = {
        MESSAGE,
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 0\r\n"), TO_CLIENT(BAD_BDAT)}, /* some servers stumble over it */
        {CLIENT("BDAT 1 LAST\r\ny"), TO_CLIENT(SPOILT)},
        {CLIENT("RCPT TO:<c@d>\r\n"), TO_CLIENT(ONLY)},
    };
    static const struct turn no_recipient[] = {
        EHLO,
        {CLIENT("MAIL FROM:<>\r\nBDAT 1\r\nxRCPT TO:<a@b>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n" NO_RCPT), TO_BACKEND("RCPT TO:<a@b>\r\n"),
         NOTES(ADMITTED)},
        {BACKEND("250 r\r\n"), TO_CLIENT("250 r\r\n")},
        {CLIENT("BDAT 1 LAST\r\ny"), TO_CLIENT(SPOILT)},
    };
    PLAY(&policy, PLAY_FROM_GATE, first);
    PLAY(&policy, PLAY_FROM_GATE, second);
    PLAY(&policy, PLAY_FROM_GATE, no_recipient);
}

/* RSET, EHLO, HELO and a new MAIL each end it, once the backend has agreed. */
static void a_transaction_that_ended_takes_no_chunk(void **state)
{
    static const struct turn row[] = {
        MESSAGE,
        {CLIENT("RSET\r\nBDAT 1\r\nx"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" NO_MAIL)},

        MESSAGE,
        {CLIENT("RSET x\r\nBDAT 1\r\nx"), TO_BACKEND("RSET x\r\n")},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n" SPOILT)},

        MESSAGE,
        {CLIENT("EHLO b\r\nBDAT 1\r\nx"), TO_BACKEND("EHLO b\r\n")},
        {BACKEND("250-a\r\n250 CHUNKING\r\n"), TO_CLIENT("250-a\r\n250 CHUNKING\r\n" NO_MAIL)},

        MESSAGE,
        {CLIENT("MAIL FROM:<>\r\nBDAT 1\r\nx"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" NO_RCPT), NOTES(ADMITTED)},

        MESSAGE,
        {CLIENT("MAIL FROM:<>\r\nBDAT 1\r\nx"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("503 a\r\n"), TO_CLIENT("503 a\r\n" SPOILT)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 6);
}

/* A backend that was put out by anything may not skip the chunk, but read it for commands. */
static void whatever_has_failed_stops_chunks(void **state)
{
    static const struct turn row[] = {
        MESSAGE,
        {CLIENT("VRFY x\r\nBDAT 1\r\nx"), TO_BACKEND("VRFY x\r\n")},
        {BACKEND("550 a\r\n"), TO_CLIENT("550 a\r\n" SPOILT)},

        MESSAGE,
        {CLIENT("DATA\r\nBDAT 1\r\nx"), TO_BACKEND("DATA\r\n")},
        {BACKEND("451 a\r\n"), TO_CLIENT("451 a\r\n" SPOILT)},

        MESSAGE,
        {CLIENT("RCPT TO:<c@d>\r\nBDAT 1\r\nx"), TO_BACKEND("RCPT TO:<c@d>\r\n")},
        {BACKEND("550 a\r\n"), TO_CLIENT("550 a\r\n"), TO_BACKEND("BDAT 1\r\nx")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 6);
}

/* Exim 4.96 answers anything else with 503, and then reads chunks for commands. */
static void between_chunks_only_a_few_commands_pass(void **state)
{
    static const struct turn dialogue[] = {
        MESSAGE,
        {CLIENT("BDAT 1\r\nx"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("VRFY x\r\nRCPT TO:<c@d>\r\n"), TO_CLIENT(ONLY ONLY)},
        {CLIENT("EHLO x\r\nHELO x\r\nDATA\r\n"), TO_CLIENT(ONLY ONLY ONLY)},
        {CLIENT("EXPN x\r\nHELP\r\nAUTH PLAIN\r\n"), TO_CLIENT(ONLY ONLY ONLY)},
        {CLIENT("NOOP\r\nBDAT 1\r\nx"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), TO_BACKEND("BDAT 1\r\nx")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("VRFY x\r\n"), TO_BACKEND("VRFY x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_in_one_chunk),
        cmocka_unit_test(a_message_in_several_chunks),
        cmocka_unit_test(pipelined_chunks_wait_for_each_other),
        cmocka_unit_test(content_is_not_altered),
        cmocka_unit_test(the_command_passes_in_our_words),
        cmocka_unit_test(sizes_that_nobody_knows_end_the_session),
        cmocka_unit_test(trailing_words_are_refused_and_the_chunk_swallowed),
        cmocka_unit_test(what_is_not_offered_is_refused),
        cmocka_unit_test(the_last_hello_counts),
        cmocka_unit_test(without_a_recipient_no_chunk_passes),
        cmocka_unit_test(a_chunk_that_is_refused_spoils_its_message),
        cmocka_unit_test(a_transaction_that_ended_takes_no_chunk),
        cmocka_unit_test(whatever_has_failed_stops_chunks),
        cmocka_unit_test(between_chunks_only_a_few_commands_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
