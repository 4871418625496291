/* SPDX-License-Identifier: ISC */
/* The module of docs/protocols.md, in dialogue: each is played whole, and again octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/example_protocol/managesieve.h"

#define PLAYED &managesieve_protocol

#include "tests/unit/play.h"

static const struct policy enforced = {
    .is_enforced = true, .hostname = "mail.example", .max_errors = 20, .max_auth_failures = 2};
static const struct policy strict = {.is_enforced = true, .max_errors = 2};
static const struct policy opportunistic = {.may_auth_in_clear = true};
static const struct policy guarded = {0};
static const struct policy plain = {.tls = FRONT_NONE};
static const struct policy implicit = {.tls = FRONT_IMPLICIT};

#define OWN                                                                                        \
    "\"STARTTLS\"\r\n\"IMPLEMENTATION\" \"starttlsd\"\r\n\"SIEVE\" \"fileinto\"\r\n\"SASL\" "      \
    "\"\"\r\n\"VERSION\" \"1.0\"\r\n"
#define READY  OWN "OK \"starttlsd ready\"\r\n"
#define SYNTAX "NO \"Syntax error in the command\"\r\n"
#define NOT    "NO \"Not before a login\"\r\n"
#define LOST   "BYE (TRYLATER) \"Server lost, try again later\"\r\n"
#define LOGIN  "AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n"

/* ---- the preamble ---- */

static void a_client_in_the_clear_is_led_to_tls(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, CLIENT), TO_CLIENT(READY)},
        {CLIENT("CAPABILITY\r\n"), TO_CLIENT(OWN "OK\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("noop\r\n"), TO_CLIENT("OK\r\n")},
        {CLIENT(LOGIN), TO_CLIENT("NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n"), NOTES(TLS_NEEDED)},
        {CLIENT("GETSCRIPT \"a\"\r\n"), TO_CLIENT(NOT)},
        {CLIENT("starttls\r\n"), TO_CLIENT("OK \"Begin TLS negotiation now\"\r\n"), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},
        {BACKEND("\"SASL\" \"PLAIN SCRAM-SHA-1-PLUS GSSAPI EXTERNAL\"\r\n\"STARTTLS\"\r\n\"SIEVE\" "
                 "\"vacation\"\r\n\"XCLIENT\" \"ADDR\"\r\nOK (TAG {2}\r\n\r\n) \"x\"\r\n"),
         TO_CLIENT("\"SASL\" \"PLAIN GSSAPI\"\r\n\"SIEVE\" \"vacation\"\r\nOK (TAG {2}\r\n\r\n) "
                   "\"x\"\r\n"),
         NOTES(GREETED), WAITS_FOR(CLIENT)},
    };
    PLAY(&enforced, PLAY_FROM_ACCEPT, dialogue);
}

static void octets_behind_starttls_end_the_session(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("STARTTLS\r\nNOOP\r\n"), TO_CLIENT("BYE \"Octets behind STARTTLS\"\r\n"),
         CLOSES(VIOLATION), NOTES(INJECTION), AT_ONCE},
    };
    PLAY(&enforced, PLAY_FROM_GREETING, dialogue);
}

static void the_preamble_ends(void **state)
{
    static const struct turn told[] = {
        {CLIENT(LOGIN), TO_CLIENT("NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n"), NOTES(TLS_NEEDED)},
    };
    static const struct turn ends[] = {
        {CLIENT("LOGOUT\r\n"), TO_CLIENT("OK \"Bye\"\r\n"), CLOSES(TLS_REQUIRED)},
        {EVENT(EOF, CLIENT), CLOSES(TLS_REQUIRED)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("BYE \"Timeout\"\r\n"), CLOSES(TLS_REQUIRED)},
        {EVENT(DRAIN, CLIENT), TO_CLIENT("BYE (TRYLATER) \"Shutting down\"\r\n"), CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT("BYE (TRYLATER) \"Shutting down\"\r\n"), CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT("BYE (TRYLATER) \"Out of memory\"\r\n"), CLOSES(ERROR)},
        {CLIENT("NOOP\n"), TO_CLIENT("BYE \"This is no command\"\r\n"), CLOSES(TLS_REQUIRED)},
        {CLIENT("GET / HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("\x16\x03"), CLOSES(VIOLATION), NOTES(TLS_ON_PLAINTEXT_PORT)},
    };
    static const struct turn busy[] = {
        {EVENT(BUSY, CLIENT), .reason = END_LIMIT, TO_CLIENT("BYE (TRYLATER) \"Too busy\"\r\n"),
         CLOSES(LIMIT)},
    };
    PLAY_ENDS(&enforced, PLAY_FROM_GREETING, told, ends);
    PLAY(&enforced, PLAY_FROM_ACCEPT, busy);
}

static void mistakes_are_counted(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("PUTSCRIPT \"a\" {3+}\r\nabc\r\n"), TO_CLIENT(NOT)},
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"),
         TO_CLIENT("NO \"Not allowed\"\r\nBYE \"Too many errors\"\r\n"), NOTES(SPOOF),
         CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GREETING, dialogue);
}

/* ---- opportunistic ---- */

static const struct learned learned = {
    .is_known = true, .len = 37, .text = "SASL PLAIN EXTERNAL\nSIEVE a b\nNOTIFY\n"};

static void who_may_log_in_without_tls_gets_a_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("CAPABILITY\r\n"), TO_CLIENT("\"STARTTLS\"\r\n\"SASL\" \"PLAIN\"\r\n\"SIEVE\" \"a "
                                             "b\"\r\n\"NOTIFY\"\r\nOK\r\n")},
        {CLIENT(LOGIN), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("\"SASL\" \"PLAIN\"\r\nOK\r\n"), TO_BACKEND(LOGIN), NOTES(GREETED)},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("CAPABILITY\r\n"), TO_BACKEND("CAPABILITY\r\n")},
        {BACKEND("\"SASL\" \"PLAIN\"\r\nOK\r\n"),
         TO_CLIENT("\"STARTTLS\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("OK \"Begin TLS negotiation now\"\r\n"), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
    };
    PLAY_KNOWING(&learned, &opportunistic, PLAY_FROM_GREETING, dialogue);
}

static void others_hear_of_no_mechanism(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("CAPABILITY\r\n"), TO_CLIENT("\"STARTTLS\"\r\n\"SASL\" \"\"\r\n\"SIEVE\" \"a "
                                             "b\"\r\n\"NOTIFY\"\r\nOK\r\n")},
        {CLIENT(LOGIN), TO_CLIENT("NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n"), NOTES(TLS_NEEDED)},
    };
    PLAY_KNOWING(&learned, &guarded, PLAY_FROM_GREETING, dialogue);
}

static void people_are_told_what_a_service_can(void **state)
{
    static const char *const words[] = {"SIEVE", "SASL"};
    static const struct policy hiding = {.tls = FRONT_IMPLICIT, .hide_capabilities = {words, 2}};
    static const struct {
        const struct policy *policy;
        bool is_secure, takes_logins;
        const char *text;
    } row[] = {
        {&enforced, false, true,
         "STARTTLS\nIMPLEMENTATION starttlsd\nSIEVE fileinto\nSASL \nVERSION 1.0\n"},
        {&enforced, true, true, "SASL PLAIN\nSIEVE a b\nNOTIFY\n"},
        {&guarded, false, true, "STARTTLS\nSASL \nSIEVE a b\nNOTIFY\n"},
        {&hiding, true, false, "NOTIFY\n"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char space[256];
        const struct span told = managesieve_protocol.announced(
            row[i].policy, &learned, row[i].is_secure, space, sizeof space);

        assert_int_equal(told.len, strlen(row[i].text));
        assert_memory_equal(told.data, row[i].text, told.len);
        assert_int_equal(managesieve_protocol.takes_logins(row[i].policy, &learned),
                         row[i].takes_logins);
    }
    assert_non_null(managesieve_protocol.veto(span_of("X")));
}

/* ---- the gate ---- */

static void only_what_is_understood_reaches_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nCAPABILITY\r\n"), TO_BACKEND("NOOP\r\n"), WAITS_FOR(BACKEND)},
        {BACKEND("OK \"done\"\r\n"), TO_CLIENT("OK \"done\"\r\n"), TO_BACKEND("CAPABILITY\r\n")},
        {BACKEND("\"STARTTLS\"\r\n\"sasl\" \"EXTERNAL\"\r\n\"A\\\"\" \"x\"\r\n\"B\" {1}\r\nx\r\n"
                 "\"C\" \"y\"z\r\n{1}\r\nE\r\n\"D\"\r\nNO {3}\r\nx\r\n\r\n"),
         TO_CLIENT("\"D\"\r\nNO {3}\r\nx\r\n\r\n")},
        {CLIENT("NOOP \"tag\"\r\n"), TO_CLIENT(NOT)},
        {CLIENT(" NOOP\r\n"), TO_CLIENT(NOT)},
        {CLIENT("\r\n"), TO_CLIENT(NOT)},
        {CLIENT("LISTSCRIPTS\r\n"), TO_CLIENT(NOT)},
        {CLIENT("PUTSCRIPT \"a\" {8+}\r\nLOGOUT\r\n\r\n"), TO_CLIENT(NOT)},
        {CLIENT("UNAUTHENTICATE\r\n"), TO_CLIENT(NOT)},
        {CLIENT("CAPABILITY x\r\n"), TO_CLIENT(NOT)},
        {CLIENT("LOGOUT x\r\n"), TO_CLIENT(NOT)},
        {CLIENT("STARTTLS x\r\n"), TO_CLIENT(NOT)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("NO \"No STARTTLS here\"\r\n")},
        {CLIENT("LOGOUT\r\n"), TO_BACKEND("LOGOUT\r\n")},
        {BACKEND("OK\r\n"), TO_CLIENT("OK\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&enforced, PLAY_FROM_GATE, dialogue);
}

static void a_login_opens_the_tunnel(void **state)
{
    static const struct turn quoted[] = {
        {CLIENT(LOGIN "PUTSCRIPT"), TO_BACKEND(LOGIN), WAITS_FOR(BACKEND)},
        {BACKEND("OK \"in\"\r\n"), TO_CLIENT("OK \"in\"\r\n"), TO_BACKEND("PUTSCRIPT"),
         NOTES(AUTH_OK), TUNNELS},
        {CLIENT("STARTTLS\r\n"), TO_BACKEND("STARTTLS\r\n")},
        {BACKEND("\0\n"), TO_CLIENT("\0\n")},
    };
    static const struct turn literals[] = {
        {CLIENT("authenticate {5+}\r\nPLAIN {8+}\r\nAGEAYg==\r\n"),
         TO_BACKEND("authenticate {5+}\r\nPLAIN {8+}\r\nAGEAYg==\r\n")},
        {BACKEND("OK\r\n"), TO_CLIENT("OK\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn layer[] = {
        {CLIENT("AUTHENTICATE \"GSSAPI\" \"YQ==\"\r\n"),
         TO_BACKEND("AUTHENTICATE \"GSSAPI\" \"YQ==\"\r\n")},
    };
    static const struct turn exchange[] = {
        {CLIENT("AUTHENTICATE \"LOGIN\"\r\n"), TO_BACKEND("AUTHENTICATE \"LOGIN\"\r\n")},
        {BACKEND("\"VXNlcm5hbWU6\"\r\n"), TO_CLIENT("\"VXNlcm5hbWU6\"\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("\"YQ==\"\r\n"), TO_BACKEND("\"YQ==\"\r\n")},
        {BACKEND("{12}\r\nUGFzc3dvcmQ6\r\n"), TO_CLIENT("{12}\r\nUGFzc3dvcmQ6\r\n")},
        {CLIENT("{4+}\r\nYg==\r\n"), TO_BACKEND("{4+}\r\nYg==\r\n")},
        {BACKEND("OK (SASL \"x\")\r\n"), TO_CLIENT("OK (SASL \"x\")\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    PLAY(&enforced, PLAY_FROM_GATE, quoted);
    PLAY(&enforced, PLAY_FROM_GATE, literals);
    PLAY(&enforced, PLAY_FROM_GATE, layer);
    PLAY(&enforced, PLAY_FROM_GATE, exchange);
}

static void no_login_that_is_no_login_passes(void **state)
{
    static const struct turn row[] = {
        {CLIENT("AUTHENTICATE\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE PLAIN\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PLAIN\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PL AIN\"\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PLAIN\" \"YQ==\" \"YQ==\"\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PLAIN\" \"Y\\\"Q\"\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PLAIN\" {9+}\r\nx\r\nLOGOUT\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PLAIN\" {4}\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"PLAIN\" {1234567+}\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE {+}\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE 5+}\r\n"), TO_CLIENT(SYNTAX)},
        {CLIENT("AUTHENTICATE \"EXTERNAL\"\r\n"), TO_CLIENT("NO \"Mechanism not available\"\r\n")},
        {CLIENT("AUTHENTICATE \"PLAIN\" {8193+}\r\n"), TO_CLIENT("BYE \"This is no command\"\r\n"),
         CLOSES(ERRORS)},
        {CLIENT("AUTHENTICATE \"PL\0IN\"\r\n"), TO_CLIENT("BYE \"This is no command\"\r\n"),
         CLOSES(ERRORS)},
    };
    PLAY_EACH(&enforced, PLAY_FROM_GATE, row, 1);
}

static void refused_logins_are_counted(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTHENTICATE \"LOGIN\"\r\n"), TO_BACKEND("AUTHENTICATE \"LOGIN\"\r\n")},
        {BACKEND("NO \"not here\"\r\n"), TO_CLIENT("NO \"not here\"\r\n")},
        {CLIENT(LOGIN), TO_BACKEND(LOGIN)},
        {BACKEND("NO (TRYLATER)\r\n"), TO_CLIENT("NO (TRYLATER)\r\n")},
        {CLIENT(LOGIN), TO_BACKEND(LOGIN)},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n")},
        {CLIENT(LOGIN), TO_BACKEND(LOGIN)},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\nBYE \"Too many failed logins\"\r\n"),
         NOTES(AUTH_FAILED), CLOSES(ERRORS)},
    };
    PLAY(&enforced, PLAY_FROM_GATE, dialogue);
}

static void a_cancelled_login_can_but_fail(void **state)
{
    static const struct turn begin[] = {
        {CLIENT("AUTHENTICATE \"LOGIN\"\r\n"), TO_BACKEND("AUTHENTICATE \"LOGIN\"\r\n")},
        {BACKEND("\"\"\r\n"), TO_CLIENT("\"\"\r\n")},
        {CLIENT("LOGOUT\r\n"), TO_BACKEND("\"*\"\r\n"), WAITS_FOR(BACKEND)},
    };
    static const struct turn ends[] = {
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n")},
        {BACKEND("OK\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    static const struct turn asked[] = {
        {CLIENT("AUTHENTICATE \"LOGIN\"\r\n"), TO_BACKEND("AUTHENTICATE \"LOGIN\"\r\n")},
        {BACKEND("\"\"\r\n"), TO_CLIENT("\"\"\r\n")},
        {CLIENT("{1+}\r\n*\r\n"), TO_BACKEND("\"*\"\r\n")},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n")},
    };
    /* Who cancels behind a response has seen what it was good for. */
    static const struct turn guessed[] = {
        {CLIENT("AUTHENTICATE \"LOGIN\" \"YQ==\"\r\n"),
         TO_BACKEND("AUTHENTICATE \"LOGIN\" \"YQ==\"\r\n")},
        {BACKEND("\"\"\r\n"), TO_CLIENT("\"\"\r\n")},
        {CLIENT("\"Yg==\"x\r\n"), TO_BACKEND("\"*\"\r\n")},
        {BACKEND("NO\r\n"), TO_CLIENT("NO\r\n"), NOTES(AUTH_FAILED)},
    };
    PLAY_ENDS(&enforced, PLAY_FROM_GATE, begin, ends);
    PLAY(&enforced, PLAY_FROM_GATE, asked);
    PLAY(&enforced, PLAY_FROM_GATE, guessed);
}

static void a_backend_that_talks_out_of_turn_is_left(void **state)
{
    static const struct turn asked[] = {{CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")}};
    static const struct turn ends[] = {
        {BACKEND("\"A\"\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("+ OK\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("OK\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("BYE\r\n"), TO_CLIENT("BYE\r\n"), CLOSES(BACKEND_LOST)},
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        {BACKEND("OK\r\nNO\r\n"), TO_CLIENT("OK\r\n" LOST), CLOSES(BACKEND_LOST),
         NOTES(BACKEND_REPLY)},
    };
    static const struct turn unasked[] = {
        {BACKEND("OK\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("NO\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
        {BACKEND("BYE \"idle\"\r\n"), TO_CLIENT("BYE \"idle\"\r\n"), CLOSES(BACKEND_CLOSED)},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
    };
    static const struct turn list[] = {
        {CLIENT("CAPABILITY\r\n"), TO_BACKEND("CAPABILITY\r\n")},
        {BACKEND("\"A\"\r\nBYE\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    /* Nothing was asked of the client, and nothing said by it, that could have let it in. */
    static const struct turn too_early[] = {
        {CLIENT("AUTHENTICATE \"LOGIN\"\r\n"), TO_BACKEND("AUTHENTICATE \"LOGIN\"\r\n")},
        {BACKEND("OK\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY_ENDS(&enforced, PLAY_FROM_GATE, asked, ends);
    PLAY_EACH(&enforced, PLAY_FROM_GATE, unasked, 1);
    PLAY(&enforced, PLAY_FROM_GATE, list);
    PLAY(&enforced, PLAY_FROM_GATE, too_early);
}

static void what_is_owed_is_delivered_before_the_end(void **state)
{
    static const struct turn begin[] = {{CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")}};
    static const struct turn gone[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(EOF, CLIENT)},
        {BACKEND("OK\r\n"), TO_CLIENT("OK\r\n"), CLOSES(CLIENT_CLOSED)},
    };
    static const struct turn at_rest[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT("BYE (TRYLATER) \"Shutting down\"\r\n"), CLOSES(DRAINED)},
    };
    static const struct turn drained[] = {
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("OK\r\n"), TO_CLIENT("OK\r\nBYE (TRYLATER) \"Shutting down\"\r\n"),
         CLOSES(DRAINED)},
    };
    static const struct turn at_once[] = {
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("BYE \"Timeout\"\r\n"), CLOSES(TIMEOUT)},
        {EVENT(STOP, CLIENT), TO_CLIENT("BYE (TRYLATER) \"Shutting down\"\r\n"), CLOSES(DRAINED)},
    };
    PLAY(&enforced, PLAY_FROM_GATE, gone);
    PLAY(&enforced, PLAY_FROM_GATE, at_rest);
    PLAY(&enforced, PLAY_FROM_GATE, drained);
    PLAY_ENDS(&enforced, PLAY_FROM_GATE, begin, at_once);
}

/* ---- the way to a backend ---- */

static void with_tls_from_the_first_octet_the_backend_greets(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("\"A\"\r\nOK\r\n"), TO_CLIENT("\"A\"\r\nOK\r\n"), NOTES(GREETED)},
    };
    static const struct turn without_tls[] = {{EVENT(CONNECTED, CLIENT), CONNECTS}};
    static const struct turn none[] = {
        {EVENT(BACKEND_FAILED, CLIENT), .reason = END_BACKEND_UNREACHABLE,
         TO_CLIENT("BYE (TRYLATER) \"No server answers\"\r\n"), CLOSES(BACKEND_UNREACHABLE)},
    };
    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
    PLAY(&implicit, PLAY_FROM_SECURED, none);
    PLAY(&plain, PLAY_FROM_ACCEPT, without_tls);
}

static void a_bad_greeting_leads_to_the_next_backend(void **state)
{
    static const struct turn row[] = {
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("NO\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("BYE\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("220 x\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {EVENT(CONNECTED, BACKEND)}, {BACKEND("OK\r\nOK"), TRIES_NEXT_AS(BACKEND_REFUSED), AT_ONCE},
    };
    PLAY_EACH(&implicit, PLAY_FROM_SECURED, row, 2);
}

static const struct policy to_tls = {
    .tls = FRONT_IMPLICIT, .backend_tls = BACKEND_TLS_STARTTLS, .is_backend_enforced = true};
static const struct policy to_tls_or_not = {.tls = FRONT_IMPLICIT,
                                            .backend_tls = BACKEND_TLS_STARTTLS};

#define OFFER "\"STARTTLS\"\r\n\"A\"\r\nOK\r\n"

static void a_backend_is_asked_for_tls(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND(OFFER), TO_BACKEND("STARTTLS\r\n")},
        {BACKEND("OK\r\n"), STARTS_TLS},
        {EVENT(SECURED, BACKEND)},
        {BACKEND("\"B\"\r\nOK\r\n"), TO_CLIENT("\"B\"\r\nOK\r\n"), NOTES(GREETED)},
    };
    static const struct turn begin[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND(OFFER), TO_BACKEND("STARTTLS\r\n")},
    };
    static const struct turn ends[] = {
        {BACKEND("NO\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED)},
        {BACKEND("BYE\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
        {BACKEND("OK\r\nOK\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED), NOTES(BACKEND_INJECTION),
         AT_ONCE},
        {BACKEND("NO\r\nOK\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED), AT_ONCE},
    };
    static const struct turn without[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("\"A\"\r\nOK\r\n"), TRIES_NEXT_AS(BACKEND_TLS_FAILED)},
    };
    static const struct turn silent[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND(OFFER), TO_BACKEND("STARTTLS\r\n")},
        {BACKEND("OK\r\n"), STARTS_TLS},
        {EVENT(SECURED, BACKEND)},
        {BACKEND("NO\r\n"), TRIES_NEXT_AS(BACKEND_REFUSED)},
    };
    PLAY(&to_tls, PLAY_FROM_SECURED, dialogue);
    PLAY_ENDS(&to_tls, PLAY_FROM_SECURED, begin, ends);
    PLAY(&to_tls, PLAY_FROM_SECURED, without);
    PLAY(&to_tls, PLAY_FROM_SECURED, silent);
}

static void without_tls_it_goes_on_where_that_may_be(void **state)
{
    static const struct turn refused[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND(OFFER), TO_BACKEND("STARTTLS\r\n")},
        {BACKEND("NO\r\n"), TO_BACKEND("CAPABILITY\r\n")},
        {BACKEND(OFFER), TO_CLIENT("\"A\"\r\nOK\r\n"), NOTES(GREETED)},
    };
    static const struct turn without[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("\"A\"\r\nOK\r\n"), TO_CLIENT("\"A\"\r\nOK\r\n"), NOTES(GREETED)},
    };
    PLAY(&to_tls_or_not, PLAY_FROM_SECURED, refused);
    PLAY(&to_tls_or_not, PLAY_FROM_SECURED, without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_in_the_clear_is_led_to_tls),
        cmocka_unit_test(octets_behind_starttls_end_the_session),
        cmocka_unit_test(the_preamble_ends),
        cmocka_unit_test(mistakes_are_counted),
        cmocka_unit_test(who_may_log_in_without_tls_gets_a_backend),
        cmocka_unit_test(others_hear_of_no_mechanism),
        cmocka_unit_test(people_are_told_what_a_service_can),
        cmocka_unit_test(only_what_is_understood_reaches_the_backend),
        cmocka_unit_test(a_login_opens_the_tunnel),
        cmocka_unit_test(no_login_that_is_no_login_passes),
        cmocka_unit_test(refused_logins_are_counted),
        cmocka_unit_test(a_cancelled_login_can_but_fail),
        cmocka_unit_test(a_backend_that_talks_out_of_turn_is_left),
        cmocka_unit_test(what_is_owed_is_delivered_before_the_end),
        cmocka_unit_test(with_tls_from_the_first_octet_the_backend_greets),
        cmocka_unit_test(a_bad_greeting_leads_to_the_next_backend),
        cmocka_unit_test(a_backend_is_asked_for_tls),
        cmocka_unit_test(without_tls_it_goes_on_where_that_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
