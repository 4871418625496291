/* SPDX-License-Identifier: ISC */
/* SMTP before TLS: what each line is answered with, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};

#define MUST    "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define DIRTY   "500 5.5.2 Control character inside a command\r\n"
#define LONG    "500 5.5.2 Line too long\r\n"
#define SPOOF   "550 5.7.1 Not allowed\r\n"
#define ERRORS  "421 4.7.0 Too many errors\r\n"
#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"
#define TIMEOUT "421 4.4.2 Timeout, closing connection\r\n"
static const struct policy strict = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 3};
static const struct policy patient = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND};

static void greets_with_its_name_only_once(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_CLIENT("250 2.0.0 OK\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void ehlo_offers_a_constant_set(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 "
                   "ENHANCEDSTATUSCODES\r\n")},
        {CLIENT("ehlo [192.0.2.1]\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 "
                   "ENHANCEDSTATUSCODES\r\n")},
        {CLIENT("EHLO\ta\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 "
                   "ENHANCEDSTATUSCODES\r\n")},
        {CLIENT("HELO a\r\n"), TO_CLIENT("250 mx.example\r\n")},
        {CLIENT("EHLO\r\n"), TO_CLIENT("501 5.5.4 Domain name required\r\n")},
        {CLIENT("EHLO  \r\n"), TO_CLIENT("501 5.5.4 Domain name required\r\n")},
        {CLIENT("HELO\r\n"), TO_CLIENT("501 5.5.4 Domain name required\r\n")},
        {CLIENT("EHLO x\x8aMAIL FROM:<a@b.example>\r\n"),
         TO_CLIENT("501 5.5.4 Domain name required\r\n")},
        {CLIENT("HELO x\x8dRSET\r\n"), TO_CLIENT("501 5.5.4 Domain name required\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void harmless_commands_are_answered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("RSET\r\n"), TO_CLIENT("250 2.0.0 OK\r\n")},
        {CLIENT("NooP with words\r\n"), TO_CLIENT("250 2.0.0 OK\r\n")},
        {CLIENT("HELP\r\n"), TO_CLIENT("214 2.0.0 Start TLS, then ask again\r\n")},
        {CLIENT("VRFY root\r\n"), TO_CLIENT("252 2.5.0 Cannot tell, try to send\r\n")},
        {CLIENT("QUIT\r\n"), TO_CLIENT("221 2.0.0 Bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void commands_that_need_tls_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<a@b>\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("DATA\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("EXPN x\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("AUTH PLAIN AGEAYg==\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("BURL imap://x LAST\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("ETRN x\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("BDAT 0 LAST\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("mail from:<>\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("QUIT\r\n"), TO_CLIENT("221 2.0.0 Bye\r\n"), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void unknown_verbs_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT(" NOOP\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("NOOPX\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("FOO\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("XEXCH50 5 2\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("X-ANONYMOUSTLS\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("TURN\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("ATRN\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("X-EXPS GSSAPI\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("SEND FROM:<a>\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("SAML FROM:<a>\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("GET\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("POST x\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("CONNECT\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT(" XCLIENT ADDR=1\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("EHLO-x y\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("BDA\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("\xff\xfb\x01\r\n"), TO_CLIENT(DIRTY)},
    };
    PLAY(&patient, PLAY_FROM_GREETING, dialogue);
}

static void pipelined_commands_are_answered_in_order(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nFOO\r\nMAIL FROM:<>\nQUIT\r\n"),
         TO_CLIENT("250 2.0.0 OK\r\n" UNKNOWN MUST "221 2.0.0 Bye\r\n"), NOTES(TLS_NEEDED),
         CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void identity_claims_are_spoofs(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("xforward NAME=x\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void dirty_lines_are_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NO\0OP\r\n"), TO_CLIENT(DIRTY)},     {CLIENT("NOOP\0\r\n"), TO_CLIENT(DIRTY)},
        {CLIENT("NOOP\r\r\n"), TO_CLIENT(DIRTY)},     {CLIENT("\rNOOP\n"), TO_CLIENT(DIRTY)},
        {CLIENT("STARTTLS\r\r\n"), TO_CLIENT(DIRTY)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void bdat_swallows_its_octets(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("BDAT 6\r\nQUIT\r\nNOOP\r\n"), TO_CLIENT(MUST "250 2.0.0 OK\r\n"),
         NOTES(TLS_NEEDED)},
        {CLIENT("BDAT 3 LAST\r\nabcNOOP\r\n"), TO_CLIENT(MUST "250 2.0.0 OK\r\n"),
         NOTES(TLS_NEEDED)},
        {CLIENT("bdat 0\r\nNOOP\r\n"), TO_CLIENT(MUST "250 2.0.0 OK\r\n"), NOTES(TLS_NEEDED)},
        {CLIENT("BDAT 2147483647\r\n")},
        {CLIENT("QUIT\r\n")},
        {EVENT(EOF, CLIENT), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void starttls_starts_tls(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 "
                   "ENHANCEDSTATUSCODES\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("220 2.0.0 Ready to start TLS\r\n"), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-a\r\n220 b\r\n"), NOTES(GREETED)},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("503 5.5.1 TLS is already active\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void starttls_at_once_and_with_trailing_blank(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("starttls \n"), TO_CLIENT("220 2.0.0 Ready to start TLS\r\n"), STARTS_TLS},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void starttls_takes_no_argument(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("STARTTLS now\r\n"), TO_CLIENT("501 5.5.4 STARTTLS takes no argument\r\n")},
        {CLIENT("STARTTLS x\r\nNOOP\r\n"),
         TO_CLIENT("501 5.5.4 STARTTLS takes no argument\r\n250 2.0.0 OK\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void octets_behind_starttls_are_an_injection(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("STARTTLS\r\nRSET\r\n"), TO_CLIENT("554 5.7.0 Octets behind STARTTLS\r\n"),
         CLOSES(VIOLATION), NOTES(INJECTION), AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void even_a_single_octet_is(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("STARTTLS\r\n\x16"), TO_CLIENT("554 5.7.0 Octets behind STARTTLS\r\n"),
         CLOSES(VIOLATION), NOTES(INJECTION), AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void strikes_before_tls_do_not_count_after(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("A\r\nB\r\n"), TO_CLIENT(UNKNOWN UNKNOWN)},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("220 2.0.0 Ready to start TLS\r\n"), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 b\r\n"), NOTES(GREETED)},
        {CLIENT("A\r\nB\r\n"), TO_CLIENT(UNKNOWN UNKNOWN)},
        {CLIENT("C\r\n"), TO_CLIENT(UNKNOWN ERRORS), CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, dialogue);
}

static void errors_end_the_session(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("A\r\nXCLIENT\r\nEHLO\r\nNOOP\r\n"),
         TO_CLIENT(UNKNOWN SPOOF "501 5.5.4 Domain name required\r\n" ERRORS), CLOSES(ERRORS),
         NOTES(SPOOF)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, dialogue);
}

static void errors_after_being_told_are_tls_required(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n"),
         TO_CLIENT(MUST MUST MUST ERRORS), CLOSES(TLS_REQUIRED), NOTES(TLS_NEEDED)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, dialogue);
}

static void client_hello_ends_it_without_a_word(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("\x16\x03\x01\x02"), CLOSES(VIOLATION), NOTES(TLS_ON_PLAINTEXT_PORT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void client_eof(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOO")},
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void client_eof_after_being_told(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {EVENT(EOF, CLIENT), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void deadline(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), CLOSES(TIMEOUT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void deadline_after_being_told(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("DATA\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void drain(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NO")},
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void stop(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void a_dash_in_a_chunk_size(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("BDAT -1\r\nQUIT\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING), AT_ONCE},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void chunk_size_that_does_not_parse(void **state)
{
    static const struct turn row[] = {
        {CLIENT("BDAT\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT x\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 1x\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT +1\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 2147483648\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 99999999999999999999999\r\n"),
         TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"), CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT LAST\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT 0x10\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
        {CLIENT("BDAT ,1\r\n"), TO_CLIENT("554 5.7.0 Chunk size not understood\r\n"),
         CLOSES(VIOLATION), NOTES(SMUGGLING)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
}

static void http_ends_it_without_a_word(void **state)
{
    static const struct turn row[] = {
        {CLIENT("GET / HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("get /x\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("POST /a?b=c HTTP/1.0\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("HEAD * HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("PUT http://a/ HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("DELETE https://x\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("PRI * HTTP/2.0\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("POST /\x01 HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("OPTIONS * HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("CONNECT a:25 HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("TRACE / HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("PATCH /\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 1);
}

static void long_lines_are_skipped(void **state)
{
    static char input[3 * 4096];
    static const struct {
        size_t len; /* of the line, its end included */
        struct span reply;
    } row[] = {
        {4096, SPAN(UNKNOWN "250 2.0.0 OK\r\n")},
        {4097, SPAN(LONG "250 2.0.0 OK\r\n")},
        {4098, SPAN(LONG "250 2.0.0 OK\r\n")},
        {9000, SPAN(LONG "250 2.0.0 OK\r\n")},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const struct turn dialogue[] = {{.input = {input, row[i].len + 6}, .to = {row[i].reply}}};

        memset(input, 'x', sizeof(input));
        memcpy(input + row[i].len - 2, "\r\nNOOP\r\n", 8);
        PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    }
}

static void greeting_and_busy(void **state)
{
    static const struct policy own = {.hostname = "mx.example", .greeting = "hello there"};
    const struct {
        const struct policy *policy;
        enum event_kind kind;
        const char *text;
    } row[] = {
        {&policy, EVENT_CONNECTED, "220 mx.example ESMTP\r\n"},
        {&own, EVENT_CONNECTED, "220 hello there\r\n"},
        {&policy, EVENT_BUSY, "421 4.3.2 Too busy, try again later\r\n"},
    };

    for (size_t i = 0; i < 3; i++) {
        struct player p;

        player_init(&p, &smtp_protocol, row[i].policy, false);
        player_event(&p, row[i].kind, SIDE_CLIENT, END_LIMIT);
        assert_int_equal(p.received[SIDE_CLIENT].len, strlen(row[i].text));
        assert_memory_equal(p.received[SIDE_CLIENT].data, row[i].text, strlen(row[i].text));
        assert_int_equal(p.end, row[i].kind == EVENT_BUSY ? END_LIMIT : END_NONE);
        player_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greets_with_its_name_only_once),
        cmocka_unit_test(ehlo_offers_a_constant_set),
        cmocka_unit_test(harmless_commands_are_answered),
        cmocka_unit_test(commands_that_need_tls_are_refused),
        cmocka_unit_test(unknown_verbs_are_refused),
        cmocka_unit_test(pipelined_commands_are_answered_in_order),
        cmocka_unit_test(identity_claims_are_spoofs),
        cmocka_unit_test(dirty_lines_are_refused),
        cmocka_unit_test(bdat_swallows_its_octets),
        cmocka_unit_test(starttls_starts_tls),
        cmocka_unit_test(starttls_at_once_and_with_trailing_blank),
        cmocka_unit_test(starttls_takes_no_argument),
        cmocka_unit_test(octets_behind_starttls_are_an_injection),
        cmocka_unit_test(even_a_single_octet_is),
        cmocka_unit_test(strikes_before_tls_do_not_count_after),
        cmocka_unit_test(errors_end_the_session),
        cmocka_unit_test(errors_after_being_told_are_tls_required),
        cmocka_unit_test(client_hello_ends_it_without_a_word),
        cmocka_unit_test(client_eof),
        cmocka_unit_test(client_eof_after_being_told),
        cmocka_unit_test(deadline),
        cmocka_unit_test(deadline_after_being_told),
        cmocka_unit_test(drain),
        cmocka_unit_test(stop),
        cmocka_unit_test(a_dash_in_a_chunk_size),
        cmocka_unit_test(chunk_size_that_does_not_parse),
        cmocka_unit_test(http_ends_it_without_a_word),
        cmocka_unit_test(long_lines_are_skipped),
        cmocka_unit_test(greeting_and_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
