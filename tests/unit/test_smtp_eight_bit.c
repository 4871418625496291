/* SPDX-License-Identifier: ISC */
/* Content for a server of seven bits: 0x8a is a line end to it, and a dot alone behind one is hidden.
 * Whoever said BODY=8BITMIME to a backend that knows it (RFC 6152) gets every octet through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"

static const struct policy policy = {TLS, .relay = RELAY_BACKEND, .max_errors = 20};

#define SAYS(verb, reply)                                                                          \
    {CLIENT(verb "\r\n"), TO_BACKEND(verb "\r\n")},                                                \
    {                                                                                              \
        BACKEND(reply), TO_CLIENT(reply)                                                           \
    }
#define ADMITS(mail)                                                                               \
    {CLIENT(mail "\r\n"), TO_BACKEND(mail "\r\n")},                                                \
    {                                                                                              \
        BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n"), NOTES(ADMITTED)                              \
    }
#define EHLO SAYS("EHLO a", "250-x\r\n250 8BITMIME\r\n")
#define DATA SAYS("DATA", "354 d\r\n")
#define ACCEPTS                                                                                    \
    {                                                                                              \
        BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(MESSAGE)                               \
    }

/* A line end, a dot, a line end: to a reader of seven bits. */
#define TEXT "\xd0\x8a.\r\n.\r\n"
#define KEEPS                                                                                      \
    {                                                                                              \
        CLIENT(TEXT), TO_BACKEND(TEXT)                                                             \
    }
#define HIDES                                                                                      \
    {                                                                                              \
        CLIENT(TEXT), TO_BACKEND("\xd0\x8a..\r\n.\r\n")                                            \
    }

static void what_was_promised_passes_unaltered(void **state)
{
    static const struct turn row[] = {
        EHLO, ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA, KEEPS,
        EHLO, ADMITS("mail from:<> SIZE=10 body=8bitmime ENVID=x"),
        DATA, KEEPS,
        EHLO, ADMITS("MAIL FROM:<a@b> BODY=8BITMIME A=XDATA"),
        DATA, KEEPS,
        EHLO, ADMITS("MAIL FROM:<a@b>  BODY=BINARYMIME"),
        DATA, KEEPS,
        EHLO, ADMITS("MAIL FROM:<a@b> XBODY=7BIT BODY=8BITMIME BODYX=7"),
        DATA, KEEPS,
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 7);
}

static void else_the_dot_is_hidden(void **state)
{
    static const struct turn row[] = {
        EHLO,
        ADMITS("MAIL FROM:<a@b>"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=7BIT"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIMEX"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> XBODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<BODY=8BITMIME>"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<\"> BODY=8BITMIME \"@b>"),
        DATA,
        HIDES,
        /* Readers may differ on what these say. */
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME BODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=7BIT BODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME BODY=7BIT"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b>\tBODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME\t"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM: <a@b> BODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b>BODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:a@b BODY=8BITMIME"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME X=\xe1"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<\xe1@b> BODY=8BITMIME"),
        DATA,
        HIDES,
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 7);
}

static const char *const hidden[] = {"8BITMIME"};

/* As Postfix says it behind a login, and as it passes before one. */
static void a_sender_that_is_nobody_is_no_obstacle(void **state)
{
    static const struct turn logged_in[] = {
        EHLO,
        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 a\r\n"), TO_CLIENT("235 a\r\n"), NOTES(AUTH_OK)},
        ADMITS("MAIL FROM:<a@b> SIZE=9 BODY=8BITMIME AUTH=<>"),
        DATA,
        KEEPS,
    };
    static const struct turn dropped[] = {
        EHLO,
        {CLIENT("MAIL FROM:<a@b> AUTH=<> BODY=8BITMIME\r\n"),
         TO_BACKEND("MAIL FROM:<a@b> BODY=8BITMIME\r\n")},
        {BACKEND("250 m\r\n"), TO_CLIENT("250 m\r\n"), NOTES(ADMITTED)},
        DATA,
        KEEPS,
    };
    PLAY(&policy, PLAY_FROM_GATE, logged_in);
    PLAY(&policy, PLAY_FROM_GATE, dropped);
}

/* It would not know what was asked of it, or has never been seen to. */
static void a_backend_without_8bitmime_promises_nothing(void **state)
{
    static const struct policy hiding = {TLS, .relay = RELAY_BACKEND,
                                         .hide_capabilities = {hidden, 1}};
    static const struct turn never_asked[] = {
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,
        HIDES,
    };
    static const struct turn row[] = {
        SAYS("EHLO a", "250-8BITMIME\r\n250-X8BITMIME\r\n250 SIZE\r\n"),
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,
        HIDES,
        SAYS("HELO a", "250-x\r\n250 8BITMIME\r\n"),
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,
        HIDES,
        SAYS("EHLO a", "550-x\r\n550 8BITMIME\r\n"),
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,
        HIDES,
    };
    static const struct turn hides[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250 8BITMIME\r\n"), TO_CLIENT("250 x\r\n")},
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,
        HIDES,
    };
    PLAY(&policy, PLAY_FROM_GATE, never_asked);
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 7);
    PLAY(&hiding, PLAY_FROM_GATE, hides);
}

/* A hello that is refused may have ended the extensions, and a refused MAIL have been read so far. */
static void a_promise_lasts_for_one_message(void **state)
{
    static const struct turn again[] = {
        EHLO,    ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,    KEEPS,
        ACCEPTS, ADMITS("MAIL FROM:<a@b>"),
        DATA,    HIDES,
        ACCEPTS, DATA,
        HIDES,
    };
    static const struct turn no_mail[] = {
        EHLO, ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"), DATA, KEEPS, ACCEPTS, DATA, HIDES,
    };
    static const struct turn row[] = {
        EHLO,
        ADMITS("MAIL FROM:<> BODY=8BITMIME"),
        SAYS("RSET", "250 a\r\n"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<> BODY=8BITMIME"),
        SAYS("MAIL FROM:<>", "503 a\r\n"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<> BODY=8BITMIME"),
        SAYS("EHLO b", "550 a\r\n"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<> BODY=8BITMIME"),
        SAYS("HELO b", "550 a\r\n"),
        DATA,
        HIDES,
        EHLO,
        ADMITS("MAIL FROM:<> BODY=8BITMIME"),
        SAYS("EHLO b", "250-x\r\n250 8BITMIME\r\n"),
        DATA,
        HIDES,
    };
    PLAY(&policy, PLAY_FROM_GATE, again);
    PLAY(&policy, PLAY_FROM_GATE, no_mail);
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 9);
}

/* Addresses of eight bits are for a backend that strips none (RFC 6531, section 3.6). */
static void with_smtputf8_addresses_may_have_eight_bits(void **state)
{
    static const struct turn row[] = {
        SAYS("EHLO a", "250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"),
        ADMITS("MAIL FROM:<\xc3\xa4@b> SMTPUTF8 BODY=8BITMIME"),
        DATA,
        KEEPS,
        SAYS("EHLO a", "250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"),
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME X=\xe3\x81\x8a"),
        DATA,
        KEEPS,
        SAYS("EHLO a", "250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"),
        ADMITS("MAIL FROM:<\xc3\xa4@b> SMTPUTF8"),
        DATA,
        HIDES,
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 7);
}

static void what_is_not_altered_is_refused_or_passes(void **state)
{
    static const struct policy rejecting = {TLS, .relay = RELAY_BACKEND,
                                            .bare_newline = BARE_NEWLINE_REJECT};
    static const struct policy passing = {TLS, .relay = RELAY_BACKEND,
                                          .bare_newline = BARE_NEWLINE_PASS};
    static const struct turn kept[] = {
        EHLO,
        ADMITS("MAIL FROM:<a@b> BODY=8BITMIME"),
        DATA,
        KEEPS,
    };
    static const struct turn refused[] = {
        EHLO,
        ADMITS("MAIL FROM:<a@b>"),
        DATA,
        {CLIENT(TEXT), TO_CLIENT("521 5.5.2 Bare CR, bare LF or NUL in a message\r\n"),
         TO_BACKEND("\xd0\x8a"), RESETS(VIOLATION), NOTES(SMUGGLING)},
    };
    static const struct turn passed[] = {EHLO, ADMITS("MAIL FROM:<a@b>"), DATA, KEEPS};

    PLAY(&rejecting, PLAY_FROM_GATE, kept);
    PLAY(&rejecting, PLAY_FROM_GATE, refused);
    PLAY(&passing, PLAY_FROM_GATE, kept);
    PLAY(&passing, PLAY_FROM_GATE, passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_promised_passes_unaltered),
        cmocka_unit_test(else_the_dot_is_hidden),
        cmocka_unit_test(a_sender_that_is_nobody_is_no_obstacle),
        cmocka_unit_test(a_backend_without_8bitmime_promises_nothing),
        cmocka_unit_test(a_promise_lasts_for_one_message),
        cmocka_unit_test(with_smtputf8_addresses_may_have_eight_bits),
        cmocka_unit_test(what_is_not_altered_is_refused_or_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
