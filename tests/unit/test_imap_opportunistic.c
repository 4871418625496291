/* SPDX-License-Identifier: ISC */
/* IMAP where TLS is not enforced: what is announced, which command finds a backend, and STARTTLS
 * after that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &imap_protocol
#include "tests/unit/play.h"
#include "tests/unit/player.h"

static const char *const written[] = {"IMAP4rev1", "AUTH=PLAIN,EXTERNAL,LOGIN", "IDLE", "XA="};
static const char *const hidden[] = {"IDLE"};
static const struct policy refusing = {.hostname = "x"};
static const struct policy allowing = {.hostname = "x", .may_auth_in_clear = true};
static const struct policy own = {
    .hostname = "x", .may_auth_in_clear = true, .capabilities = {written, 4}};
static const struct policy hiding = {.hostname = "x", .hide_capabilities = {hidden, 1}};
static const struct policy enforced = {
    .hostname = "x", .is_enforced = true, .capabilities = {written, 4}};

#define TEXT                                                                                       \
    "IMAP4rev1\nSTARTTLS\nLOGINDISABLED\nAUTH=PLAIN\nAUTH=SCRAM-SHA-1-PLUS\nSASL-IR\nIDLE\n"       \
    "COMPRESS=DEFLATE\nLITERAL+\n"
static const struct learned learned = {true, sizeof TEXT - 1, TEXT};

#define MUST    "NO [PRIVACYREQUIRED] Start TLS first\r\n"
#define BEGIN   "OK Begin TLS negotiation now\r\n"
#define GOODBYE "starttlsd LOGOUT\r\n"

static void what_is_announced(void **state)
{
    static const struct {
        const struct policy *policy;
        const struct learned *learned;
        bool is_secure;
        const char *wanted;
    } row[] = {
        {&refusing, NULL, false, "IMAP4rev1\nID\nSTARTTLS\nLOGINDISABLED\n"},
        {&refusing, &learned, false, "IMAP4rev1\nIDLE\nLITERAL+\nSTARTTLS\nLOGINDISABLED\n"},
        {&hiding, &learned, false, "IMAP4rev1\nLITERAL+\nSTARTTLS\nLOGINDISABLED\n"},
        {&allowing, NULL, false, "IMAP4rev1\nID\nSTARTTLS\n"},
        {&allowing, &learned, false,
         "IMAP4rev1\nLOGINDISABLED\nAUTH=PLAIN\nSASL-IR\nIDLE\nLITERAL+\nSTARTTLS\n"},
        {&allowing, &learned, true, "IMAP4rev1\nAUTH=PLAIN\nSASL-IR\nIDLE\nLITERAL+\n"},
        {&own, &learned, false, "IMAP4rev1\nAUTH=PLAIN\nAUTH=LOGIN\nIDLE\nXA\nSTARTTLS\n"},
        {&own, NULL, true, "IMAP4rev1\nAUTH=PLAIN\nAUTH=LOGIN\nIDLE\nXA\n"},
        {&enforced, &learned, false, "IMAP4rev1\nID\nSTARTTLS\nLOGINDISABLED\n"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char space[256];

        for (size_t size = 0; size <= sizeof space; size++) {
            struct span got = imap_protocol.announced(row[i].policy, row[i].learned,
                                                      row[i].is_secure, space, size);
            assert_true(got.len <= size);
            if (size == sizeof space &&
                (got.len != strlen(row[i].wanted) || memcmp(got.data, row[i].wanted, got.len) != 0))
                fail_msg("row %zu: %.*s", i, (int)got.len, got.data);
        }
    }
}

static void the_preamble_announces_what_was_learned(void **state)
{
    static const struct turn refused[] = {
        {EVENT(CONNECTED, CLIENT),
         TO_CLIENT("* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ STARTTLS LOGINDISABLED] x ready\r\n")},
        {CLIENT("a CAPABILITY\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 IDLE LITERAL+ STARTTLS LOGINDISABLED\r\na OK Done\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGIN {1}\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("a LOGOUT\r\n"), TO_CLIENT("* BYE Logging out\r\na OK Done\r\n"),
         CLOSES(TLS_REQUIRED)},
    };
    PLAY_KNOWING(&learned, &refusing, PLAY_FROM_ACCEPT, refused);
}

static void a_login_finds_a_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a NOOP\r\n"), TO_CLIENT("a OK Done\r\n")},
        {CLIENT("a LOGIN {1}\r\n"), TO_CLIENT("+ OK\r\n")},
        {CLIENT("\" {1}\r\n"), TO_CLIENT("+ OK\r\n")},
        {CLIENT("p\r\n"), CONNECTS, WAITS_FOR(BACKEND)},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"), TO_BACKEND("a LOGIN {1}\r\n"),
         NOTES(GREETED)},
        {BACKEND("+ go\r\n"), TO_BACKEND("\" \"p\"\r\n")},
        {BACKEND("a NO [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] no\r\n"),
         TO_CLIENT("a NO [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] no\r\n"), NOTES(AUTH_FAILED)},
        {CLIENT("a CAPABILITY\r\n"), TO_BACKEND("a CAPABILITY\r\n")},
        {BACKEND("* CAPABILITY STARTTLS AUTH=PLAIN\r\na OK\r\n"),
         TO_CLIENT("* CAPABILITY AUTH=PLAIN STARTTLS\r\na OK\r\n")},
        {CLIENT("b LOGIN u p\r\n"), TO_BACKEND("b LOGIN u p\r\n")},
        {BACKEND("b OK [CAPABILITY IMAP4rev1 STARTTLS IDLE] in\r\n"),
         TO_CLIENT("b OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"), NOTES(AUTH_OK), TUNNELS},
    };
    static const struct turn next[] = {
        {CLIENT("a AUTHENTICATE PLAIN AGEAYg==\r\nb NOOP\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* BYE full\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK [CAPABILITY SASL-IR] hi\r\n"),
         TO_BACKEND("a AUTHENTICATE PLAIN AGEAYg==\r\n"), NOTES(GREETED)},
        {BACKEND("a OK in\r\n"), TO_CLIENT("a OK in\r\n"), TO_BACKEND("b NOOP\r\n"), NOTES(AUTH_OK),
         TUNNELS},
    };
    static const struct turn none[] = {
        {CLIENT("a LANGUAGE de\r\n"), CONNECTS},
        {EVENT(BACKEND_FAILED, CLIENT), .reason = END_BACKEND_UNREACHABLE,
         TO_CLIENT("* BYE [UNAVAILABLE] No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_UNREACHABLE)},
    };
    PLAY(&allowing, PLAY_FROM_GREETING, dialogue);
    PLAY(&allowing, PLAY_FROM_GREETING, next);
    PLAY(&refusing, PLAY_FROM_GREETING, none);
}

static void logins_stay_refused_in_the_gate(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LANGUAGE de\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), TO_BACKEND("a LANGUAGE de\r\n"), NOTES(GREETED)},
        {BACKEND("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR LOGINDISABLED STARTTLS\r\na OK\r\n"),
         TO_CLIENT("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na OK\r\n")},
        {CLIENT("a LOGIN u p\r\n"), TO_CLIENT("a " MUST), NOTES(TLS_NEEDED)},
        {CLIENT("\x16\x03\x01"), NOTES(TLS_ON_PLAINTEXT_PORT), CLOSES(VIOLATION)},
    };
    PLAY(&refusing, PLAY_FROM_GREETING, dialogue);
}

static void starttls_leaves_the_backend(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("a LANGUAGE de\r\nb STARTTLS\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), TO_BACKEND("a LANGUAGE de\r\n"), NOTES(GREETED)},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\nb " BEGIN), TO_BACKEND(GOODBYE), STARTS_TLS},
        {EVENT(SECURED, CLIENT), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), NOTES(GREETED)},
        {CLIENT("a LOGIN u p\r\n"), TO_BACKEND("a LOGIN u p\r\n")},
    };
    static const struct turn injected[] = {
        {CLIENT("a LANGUAGE de\r\nb STARTTLS\r\nc LOGIN u p\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), TO_BACKEND("a LANGUAGE de\r\n"), NOTES(GREETED)},
        {BACKEND("a OK\r\n"), TO_CLIENT("a OK\r\n* BYE Octets behind STARTTLS\r\n"),
         NOTES(INJECTION), CLOSES(VIOLATION)},
    };
    /* The rest of a refused command lies in front of it. */
    static const struct turn behind_a_literal[] = {
        {CLIENT("a LOGIN {1+}\r\n\" p\r\nb STARTTLS\r\n"), CONNECTS, AT_ONCE},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("* OK hi\r\n"), TO_BACKEND("a LOGIN {1}\r\n"), NOTES(GREETED)},
        {BACKEND("a NO no\r\n"), TO_CLIENT("a NO no\r\nb " BEGIN), TO_BACKEND(GOODBYE), STARTS_TLS},
    };
    PLAY(&refusing, PLAY_FROM_GREETING, dialogue);
    PLAY(&refusing, PLAY_FROM_GREETING, injected);
    PLAY(&allowing, PLAY_FROM_GREETING, behind_a_literal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_announced),
        cmocka_unit_test(the_preamble_announces_what_was_learned),
        cmocka_unit_test(a_login_finds_a_backend),
        cmocka_unit_test(logins_stay_refused_in_the_gate),
        cmocka_unit_test(starttls_leaves_the_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
