/* SPDX-License-Identifier: ISC */
/* policy = opportunistic, before a backend is there: what is announced, what needs one, and what it
 * is told in the client's stead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"
#include "tests/unit/player.h"

#define OPEN .tls = FRONT_STARTTLS, .hostname = "mx.example"

static const struct policy policy = {OPEN, .relay = RELAY_BACKEND, .max_errors = 20};

#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define NO_NAME "501 5.5.4 Domain name required\r\n"

/* ---- what is announced ---- */

#define OURS "250-mx.example\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"

#define LEARNED                                                                                    \
    "SIZE 1000\nSTARTTLS\nAUTH PLAIN NTLM\nAUTH=GSSAPI\nDSN\nXCLIENT NAME\nETRN\nCHUNKING\n"       \
    "BINARYMIME\nPIPELINING\n"

static const struct learned learned = {true, sizeof LEARNED - 1, LEARNED};
static const struct learned nothing = {true, 0, ""};
static const struct learned unknown = {false, sizeof LEARNED - 1, LEARNED};

static void nothing_was_learned(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_CLIENT(OURS)},
        {CLIENT("HELO a\r\n"), TO_CLIENT("250 mx.example\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    PLAY_KNOWING(&unknown, &policy, PLAY_FROM_GREETING, dialogue);
}

static void what_was_learned_is_announced(void **state)
{
    static const struct turn much[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-SIZE 1000\r\n250-DSN\r\n250-ETRN\r\n250-"
                   "CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n")},
    };
    static const struct turn little[] = {
        {CLIENT("EHLO a\r\n"), TO_CLIENT("250-mx.example\r\n250 STARTTLS\r\n")},
    };
    PLAY_KNOWING(&learned, &policy, PLAY_FROM_GREETING, much);
    PLAY_KNOWING(&nothing, &policy, PLAY_FROM_GREETING, little);
}

static void what_is_learned_later_is_announced_later(void **state)
{
    struct learned growing = {.is_known = false};
    const struct facts facts = {.learned = &growing};
    struct player p;

    player_begin(&p, &smtp_protocol, &policy, &facts);
    player_event(&p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    octets_clear(&p.received[SIDE_CLIENT]);
    growing = (struct learned){true, 4, "DSN\n"};
    player_feed(&p, SIDE_CLIENT, "EHLO a\r\n", 8);
    assert_int_equal(p.received[SIDE_CLIENT].len, 39);
    assert_memory_equal(p.received[SIDE_CLIENT].data,
                        "250-mx.example\r\n250-STARTTLS\r\n250 DSN\r\n", 39);
    player_clear(&p);
}

static const char *const written[] = {"SIZE=1000", "AUTH=PLAIN,NTLM,LOGIN", "starttls", "8BITMIME"};
static const char *const hidden[] = {"CHUNKING", "dsn", "8BITMIME"};

static void what_is_written_is_announced_instead(void **state)
{
    static const struct policy own = {OPEN, .relay = RELAY_BACKEND, .capabilities = {written, 4}};
    static const struct policy own_and_auth = {
        OPEN, .relay = RELAY_BACKEND, .may_auth_in_clear = true, .capabilities = {written, 4}};
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-SIZE 1000\r\n250 8BITMIME\r\n")},
    };
    static const struct turn with_auth[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-SIZE 1000\r\n250-AUTH "
                   "PLAIN LOGIN\r\n250 8BITMIME\r\n")},
    };
    PLAY(&own, PLAY_FROM_GREETING, dialogue);
    PLAY_KNOWING(&learned, &own, PLAY_FROM_GREETING, dialogue);
    PLAY_KNOWING(&learned, &own_and_auth, PLAY_FROM_GREETING, with_auth);
}

static void what_is_hidden_is_not(void **state)
{
    static const struct policy hiding = {OPEN, .relay = RELAY_LOGIN,
                                         .hide_capabilities = {hidden, 3}};
    static const struct turn much[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250-SIZE 1000\r\n250 PIPELINING\r\n")},
    };
    static const struct turn little[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT("250-mx.example\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n")},
    };
    PLAY_KNOWING(&learned, &hiding, PLAY_FROM_GREETING, much);
    PLAY(&hiding, PLAY_FROM_GREETING, little);
}

static void auth_is_announced_where_it_is_allowed(void **state)
{
    static const struct policy allowing = {OPEN, .may_auth_in_clear = true, .relay = RELAY_LOGIN};
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"),
         TO_CLIENT(
             "250-mx.example\r\n250-STARTTLS\r\n250-SIZE 1000\r\n250-AUTH PLAIN\r\n250-DSN\r\n"
             "250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n")},
    };
    PLAY_KNOWING(&learned, &allowing, PLAY_FROM_GREETING, dialogue);
}

/* ---- what needs a backend ---- */

static const char *const own_verb[] = {"XSTATS"};

static void some_commands_need_a_backend(void **state)
{
    static const struct policy allowing = {OPEN, .relay = RELAY_BACKEND,
                                           .allow_commands = {own_verb, 1}};
    static const struct turn row[] = {
        {CLIENT("MAIL FROM:<>\r\n"), CONNECTS, WAITS_FOR(BACKEND)},
        {CLIENT("RCPT TO:<a@b>\r\n"), CONNECTS},
        {CLIENT("data\n"), CONNECTS},
        {CLIENT("EXPN a\r\n"), CONNECTS},
        {CLIENT("BURL imap://a LAST\r\n"), CONNECTS},
        {CLIENT("ETRN a\r\n"), CONNECTS},
        {CLIENT("xstats a\r\n"), CONNECTS},
    };
    PLAY_EACH(&allowing, PLAY_FROM_GREETING, row, 1);
}

static void others_do_not(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_CLIENT("250 2.0.0 OK\r\n"), WAITS_FOR(CLIENT)},
        {CLIENT("RSET\r\n"), TO_CLIENT("250 2.0.0 OK\r\n")},
        {CLIENT("HELP\r\n"), TO_CLIENT("214 2.0.0 Start TLS, then ask again\r\n")},
        {CLIENT("VRFY a\r\n"), TO_CLIENT("252 2.5.0 Cannot tell, try to send\r\n")},
        {CLIENT("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
         TO_CLIENT("502 5.5.1 BDAT is not available\r\n250 2.0.0 OK\r\n")},
        {CLIENT("BDAT 8\r\nQUIT")},
        {CLIENT("\r\n..NOOP\r\n"),
         TO_CLIENT("502 5.5.1 BDAT is not available\r\n250 2.0.0 OK\r\n")},
        {CLIENT("XSTATS\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("XCLIENT ADDR=192.0.2.1\r\n"), TO_CLIENT("550 5.7.1 Not allowed\r\n"),
         NOTES(SPOOF)},
        {CLIENT("MAIL FROM:<a@b>AUTH=x\r\nRCPT TO:<a@b>\r\nDATA\r\n"),
         TO_CLIENT("501 5.5.4 Syntax error in MAIL\r\n503 5.5.1 MAIL was refused\r\n503 5.5.1 MAIL "
                   "was refused\r\n")},
        {CLIENT("QUIT\r\n"), TO_CLIENT("221 2.0.0 Bye\r\n"), CLOSES(CLIENT_QUIT)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void what_would_be_refused_needs_none(void **state)
{
    static const struct policy mx = {OPEN, .relay = RELAY_DOMAINS};
    static const struct policy submission = {OPEN, .relay = RELAY_LOGIN};
    static const struct turn denied[] = {
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_CLIENT("554 5.7.1 Relay access denied\r\n")},
        {CLIENT("ETRN a\r\n"), TO_CLIENT("502 5.5.1 Command not implemented\r\n")},
        {CLIENT("MAIL FROM:<>\r\n"), CONNECTS},
    };
    static const struct turn login[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_CLIENT("530 5.7.0 Authentication required\r\n")},
        {CLIENT("EXPN a\r\n"), TO_CLIENT("530 5.7.0 Authentication required\r\n")},
    };
    PLAY(&mx, PLAY_FROM_GREETING, denied);
    PLAY(&submission, PLAY_FROM_GREETING, login);
}

/* ---- what the backend is told ---- */

#define MAIL                                                                                       \
    {                                                                                              \
        CLIENT("MAIL FROM:<>\r\n"), CONNECTS                                                       \
    }

static void ehlo_is_said_again_and_its_reply_dropped(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO me.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"), TO_CLIENT(OURS), CONNECTS},
        {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},
        {BACKEND("220-x\r\n")},
        {BACKEND("220 y\r\n"), TO_BACKEND("EHLO me.example\r\n"), NOTES(GREETED),
         WAITS_FOR(BACKEND)},
        {BACKEND("250-x\r\n250-STARTTLS\r\n")},
        {CLIENT("DATA\r\n")},
        {BACKEND("250 AUTH PLAIN\r\n"), TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")},
        {BACKEND("250 m\r\n250 r\r\n354 d\r\n"), TO_CLIENT("250 m\r\n250 r\r\n354 d\r\n"),
         NOTES(ADMITTED)},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void the_last_hello_is_said_again(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\r\nHELO [192.0.2.1]\r\nEHLO\r\n"),
         TO_CLIENT(OURS "250 mx.example\r\n" NO_NAME)},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("HELO [192.0.2.1]\r\n"), NOTES(GREETED)},
        {BACKEND("250 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},

        {CLIENT("helo a\r\nehlo \t me  too \t\r\n"), TO_CLIENT("250 mx.example\r\n" OURS)},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\n"), TO_BACKEND("EHLO me  too\r\n"), NOTES(GREETED)},
        {BACKEND("250-x\n250 SIZE\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 5);
}

static void nothing_is_said_for_a_client_that_said_nothing(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\n"), TO_CLIENT("250 2.0.0 OK\r\n")},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n"), NOTES(GREETED)},
        {BACKEND("503 hello?\r\n"), TO_CLIENT("503 hello?\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
}

static void a_backend_without_ehlo_gets_helo(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\r\n"), TO_CLIENT(OURS)},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)},
        {BACKEND("500-what\r\n500 ?\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("250 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},

        {CLIENT("EHLO a\r\n"), TO_CLIENT(OURS)},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)},
        {BACKEND("451 later\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("550 nor this\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},

        {CLIENT("HELO a\r\n"), TO_CLIENT("250 mx.example\r\n")},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("HELO a\r\n"), NOTES(GREETED)},
        {BACKEND("501 bad name\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("503 no\r\n"), TO_CLIENT("503 no\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 6);
}

/* BDAT passes by what the backend in hand has said to us, not by what was learned. */
static void its_reply_says_whether_chunks_may_come(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nx"), TO_CLIENT(OURS),
         CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)},
        {BACKEND("250-x\r\n250 CHUNKING\r\n"), TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
        {BACKEND("250 m\r\n250 r\r\n"), TO_CLIENT("250 m\r\n250 r\r\n"), TO_BACKEND("BDAT 1\r\nx"),
         NOTES(ADMITTED)},

        {CLIENT("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nx"), TO_CLIENT(OURS),
         CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)},
        {BACKEND("250-x\r\n250 SIZE\r\n"), TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
        {BACKEND("250 m\r\n250 r\r\n"),
         TO_CLIENT("250 m\r\n250 r\r\n502 5.5.1 BDAT is not available\r\n"), NOTES(ADMITTED)},

        /* HELO has no extensions, whatever stands in its reply. */
        {CLIENT("HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nx"),
         TO_CLIENT("250 mx.example\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("HELO a\r\n"), NOTES(GREETED)},
        {BACKEND("250-x\r\n250 CHUNKING\r\n"), TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
        {BACKEND("250 m\r\n250 r\r\n"),
         TO_CLIENT("250 m\r\n250 r\r\n502 5.5.1 BDAT is not available\r\n"), NOTES(ADMITTED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GREETING, row, 5);
}

static void names_have_a_limit(void **state)
{
    static char line[400], said[400];
    struct turn dialogue[] = {
        {.input = {line, 5 + 255 + 2}, TO_CLIENT(OURS)},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), .to = {{0}, {said, 5 + 255 + 2}}, NOTES(GREETED)},
    };
    const struct turn too_long[] = {
        {.input = {line, 5 + 256 + 2}, TO_CLIENT(NO_NAME)},
        MAIL,
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n"), NOTES(GREETED)},
    };

    memset(line, 'n', sizeof line);
    memcpy(line, "EHLO ", 5);
    memcpy(line + 5 + 255, "\r\n", 2);
    memcpy(said, line, sizeof said);
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    memcpy(line + 5 + 255, "n\r\n", 3);
    PLAY(&policy, PLAY_FROM_GREETING, too_long);
}

/* How long a line it holds, only its own reply says: it is asked first. */
static void its_reply_says_how_long_a_mail_may_be(void **state)
{
    static char line[702] = "MAIL FROM:<a@b> ENVID=";
    const struct span mail = {line, sizeof line};
    const struct turn holds[] = {
        {CLIENT("EHLO a\r\n"), TO_CLIENT(OURS)},
        {.input = mail, CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)},
        {BACKEND("250-x\r\n250 DSN\r\n"), .to = {{0}, mail}},
    };
    const struct turn does_not[] = {
        {CLIENT("EHLO a\r\n"), TO_CLIENT(OURS)},
        {.input = mail, CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("EHLO a\r\n"), NOTES(GREETED)},
        {BACKEND("250-x\r\n250 SIZE\r\n"), TO_CLIENT("500 5.5.2 Line too long\r\n")},
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_CLIENT("503 5.5.1 MAIL was refused\r\n")},
    };

    memset(line + 22, 'x', sizeof line - 24);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    PLAY(&policy, PLAY_FROM_GREETING, holds);
    PLAY(&policy, PLAY_FROM_GREETING, does_not);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_was_learned),
        cmocka_unit_test(what_was_learned_is_announced),
        cmocka_unit_test(what_is_learned_later_is_announced_later),
        cmocka_unit_test(what_is_written_is_announced_instead),
        cmocka_unit_test(what_is_hidden_is_not),
        cmocka_unit_test(auth_is_announced_where_it_is_allowed),
        cmocka_unit_test(some_commands_need_a_backend),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(what_would_be_refused_needs_none),
        cmocka_unit_test(ehlo_is_said_again_and_its_reply_dropped),
        cmocka_unit_test(the_last_hello_is_said_again),
        cmocka_unit_test(nothing_is_said_for_a_client_that_said_nothing),
        cmocka_unit_test(a_backend_without_ehlo_gets_helo),
        cmocka_unit_test(its_reply_says_whether_chunks_may_come),
        cmocka_unit_test(its_reply_says_how_long_a_mail_may_be),
        cmocka_unit_test(names_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
