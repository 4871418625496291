/* SPDX-License-Identifier: ISC */
/* tls = implicit and none: the session begins with the backend's greeting, or what the administrator
 * wrote in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define REST .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20

static const struct policy implicit = {.tls = FRONT_IMPLICIT, REST};
static const struct policy none = {.tls = FRONT_NONE, REST};

#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
#define BUSY    "421 4.3.2 Too busy, try again later\r\n"
#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"

/* ---- the way to the backend ---- */

static void implicit_tls_connects_after_the_handshake(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(SECURED, CLIENT), CONNECTS, WAITS_FOR(BACKEND)},
        {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 REQUIRETLS\r\n"),
         TO_CLIENT("250-x\r\n250 AUTH PLAIN\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("503 5.5.1 TLS is already active\r\n")},
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
    };
    PLAY(&implicit, PLAY_FROM_ACCEPT, dialogue);
}

static void without_tls_it_connects_at_once(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, CLIENT), CONNECTS, WAITS_FOR(BACKEND)},
        {EVENT(CONNECTED, BACKEND), WAITS_FOR(BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED), WAITS_FOR(CLIENT)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 REQUIRETLS\r\n"),
         TO_CLIENT("250-x\r\n250 AUTH PLAIN\r\n")},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("502 5.5.1 Command not implemented\r\n")},
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
    };
    PLAY(&none, PLAY_FROM_ACCEPT, dialogue);
}

static void a_busy_service_says_so(void **state)
{
    static const struct turn row[] = {
        {EVENT(BUSY, CLIENT), .reason = END_LIMIT, TO_CLIENT(BUSY), CLOSES(LIMIT)},
        {EVENT(BUSY, CLIENT), .reason = END_BACKEND_UNREACHABLE, TO_CLIENT(BUSY),
         CLOSES(BACKEND_UNREACHABLE)},
    };
    static const struct turn queue[] = {
        {EVENT(BUSY, BACKEND), .reason = END_LIMIT, TO_CLIENT(BUSY), CLOSES(LIMIT)},
    };
    PLAY_EACH(&implicit, PLAY_FROM_ACCEPT, row, 1);
    PLAY_EACH(&none, PLAY_FROM_ACCEPT, row, 1);
    PLAY(&implicit, PLAY_FROM_SECURED, queue);
    PLAY(&none, PLAY_FROM_SECURED, queue);
}

static void no_backend_greets(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("554 no\r\n"), TRIES_NEXT},
        {EVENT(BACKEND_FAILED, BACKEND), .reason = END_BACKEND_REFUSED,
         TO_CLIENT("421 4.4.1 No mail server answers, try again later\r\n"),
         CLOSES(BACKEND_REFUSED)},
    };
    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
}

/* ---- the greeting ---- */

static void greetings_pass(void **state)
{
    static const struct turn beginning[] = {{EVENT(CONNECTED, BACKEND)}};
    static const struct turn ends[] = {
        {BACKEND("220\r\n"), TO_CLIENT("220\r\n"), NOTES(GREETED)},
        {BACKEND("220 mx ESMTP Sendmail 8.8\n"), TO_CLIENT("220 mx ESMTP Sendmail 8.8\r\n"),
         NOTES(GREETED)},
        {BACKEND("220-a\r\n220-\r\n220 c\r\n"), TO_CLIENT("220-a\r\n220-\r\n220 c\r\n"),
         NOTES(GREETED)},
        {BACKEND("220-a\n220-b\r\n220 c\n"), TO_CLIENT("220-a\r\n220-b\r\n220 c\r\n"),
         NOTES(GREETED)},
    };
    PLAY_ENDS(&none, PLAY_FROM_SECURED, beginning, ends);
    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, beginning, ends);
}

static void a_greeting_passes_whole_or_not_at_all(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-a\r\n220-b\r\n220 c"), WAITS_FOR(BACKEND)},
        {EVENT(LOST, BACKEND), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 d\r\n"), TO_CLIENT("220 d\r\n"), NOTES(GREETED)},
    };
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
}

static void other_greetings_are_for_the_next_backend(void **state)
{
    static char flood[20000], line[5000];
    static const struct turn beginning[] = {{EVENT(CONNECTED, BACKEND)}};
    static const struct turn ends[] = {
        {BACKEND("421 busy\r\n"), TRIES_NEXT},
        {BACKEND("221-bye\r\n221 bye\r\n"), TRIES_NEXT},
        {BACKEND("250 hello\r\n"), TRIES_NEXT},
        {BACKEND("220-a\r\n554 no\r\n"), TRIES_NEXT},
        {BACKEND("SSH-2.0-x\r\n"), TRIES_NEXT},
        {BACKEND("220 a\rb\r\n"), TRIES_NEXT},
        {BACKEND("220 a\0\r\n"), TRIES_NEXT},
        {BACKEND("220 a\r\n220 b\r\n"), TRIES_NEXT, AT_ONCE},
        {BACKEND("220 a\r\n2"), TRIES_NEXT, AT_ONCE},
        {.side = SIDE_BACKEND, .input = {flood, sizeof flood}, TRIES_NEXT},
        {.side = SIDE_BACKEND, .input = {line, sizeof line}, TRIES_NEXT},
    };

    for (size_t i = 0; i + 8 <= sizeof flood; i += 8)
        memcpy(flood + i, "220-xy\r\n", 8);
    memset(line, 'x', sizeof line);
    memcpy(line, "220 ", 4);
    PLAY_ENDS(&none, PLAY_FROM_SECURED, beginning, ends);
}

static void what_is_written_stands_in_its_place(void **state)
{
    static const struct policy own = {.tls = FRONT_NONE, .greeting = "hello there", REST};
    static const struct policy own_inside = {
        .tls = FRONT_IMPLICIT, .greeting = "hello there", REST};
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-Sendmail\r\n")},
        {BACKEND("220 8.8\r\n"), TO_CLIENT("220 hello there\r\n"), NOTES(GREETED)},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
    };
    static const struct turn bad[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("554 no\r\n"), TRIES_NEXT},
    };
    PLAY(&own, PLAY_FROM_SECURED, dialogue);
    PLAY(&own_inside, PLAY_FROM_SECURED, dialogue);
    PLAY(&own, PLAY_FROM_SECURED, bad);
}

/* What is behind it, once it has passed, is a reply to nothing. */
static void a_second_greeting_is_a_violation(void **state)
{
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED)},
        {BACKEND("220 y\r\n"), TO_CLIENT(LOST), CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
}

/* ---- clients ---- */

static void a_client_that_speaks_first_waits(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\nMAIL FROM:<>\r\nFOO\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("450 full\r\n"), TRIES_NEXT},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220-x\r\n220 y\n"), TO_CLIENT("220-x\r\n220 y\r\n"),
         TO_BACKEND("EHLO a\r\nMAIL FROM:<>\r\n"), NOTES(GREETED)},
        {BACKEND("250 x\r\n250 m\r\n"),
         TO_CLIENT("250 x\r\n250 m\r\n500 5.5.2 Command not recognized\r\n"), NOTES(ADMITTED)},
    };
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
    PLAY(&implicit, PLAY_FROM_SECURED, dialogue);
}

static const struct turn greeted[] = {
    {EVENT(CONNECTED, BACKEND)},
    {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED)},
};

static void foreign_protocols_end_it_without_a_word(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("\x16\x03\x01\x02\x00\x01"), CLOSES(VIOLATION), NOTES(TLS_ON_PLAINTEXT_PORT)},
        {CLIENT("\x16\x03"), CLOSES(VIOLATION), NOTES(TLS_ON_PLAINTEXT_PORT)},
        {CLIENT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("CONNECT a:25 HTTP/1.1\n"), CLOSES(VIOLATION), NOTES(HTTP)},
        {CLIENT("\x16\n"), TO_CLIENT("500 5.5.2 Control character inside a command\r\n")},
        {CLIENT("\x17\x03\x03\n"), TO_CLIENT("500 5.5.2 Control character inside a command\r\n")},
    };
    PLAY_ENDS(&none, PLAY_FROM_SECURED, greeted, ends);
}

/* Inside TLS a ClientHello is only a line, HTTP is HTTP. */
static void inside_tls_only_http_is_foreign(void **state)
{
    static const struct turn ends[] = {
        {CLIENT("\x16\x03\x01\n"), TO_CLIENT("500 5.5.2 Control character inside a command\r\n")},
        {CLIENT("POST / HTTP/1.1\r\n"), CLOSES(VIOLATION), NOTES(HTTP)},
    };
    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, greeted, ends);
}

static void clients_that_waited_may_be_foreign_too(void **state)
{
    static const struct turn row[] = {
        {CLIENT("\x16\x03\x01\x02\x00\x01")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), CLOSES(VIOLATION),
         NOTES_2(GREETED, TLS_ON_PLAINTEXT_PORT)},

        {CLIENT("GET / HTTP/1.1\r\n")},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), CLOSES(VIOLATION), NOTES_2(GREETED, HTTP)},
    };
    PLAY_EACH(&none, PLAY_FROM_SECURED, row, 3);
}

/* ---- the end ---- */

static void the_end_before_the_greeting(void **state)
{
    static const struct turn beginning[] = {{EVENT(CONNECTED, BACKEND)}, {BACKEND("220-x\r\n220")}};
    static const struct turn ends[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        {EVENT(ERROR, CLIENT), TO_CLIENT("421 4.3.0 Out of memory, try again later\r\n"),
         CLOSES(ERROR)},
        {EVENT(DEADLINE, BACKEND), TRIES_NEXT},
        {EVENT(EOF, BACKEND), TRIES_NEXT},
    };
    PLAY_ENDS(&none, PLAY_FROM_SECURED, beginning, ends);
    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, beginning, ends);
}

static void the_end_after_it(void **state)
{
    static const struct turn ends[] = {
        {EVENT(DRAIN, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(CLIENT_CLOSED)},
        {EVENT(DEADLINE, CLIENT), TO_CLIENT("421 4.4.2 Timeout, closing connection\r\n"),
         CLOSES(TIMEOUT)},
        {EVENT(EOF, BACKEND), CLOSES(BACKEND_CLOSED)},
    };
    PLAY_ENDS(&none, PLAY_FROM_SECURED, greeted, ends);
    PLAY_ENDS(&implicit, PLAY_FROM_SECURED, greeted, ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(implicit_tls_connects_after_the_handshake),
        cmocka_unit_test(without_tls_it_connects_at_once),
        cmocka_unit_test(a_busy_service_says_so),
        cmocka_unit_test(no_backend_greets),
        cmocka_unit_test(greetings_pass),
        cmocka_unit_test(a_greeting_passes_whole_or_not_at_all),
        cmocka_unit_test(other_greetings_are_for_the_next_backend),
        cmocka_unit_test(what_is_written_stands_in_its_place),
        cmocka_unit_test(a_second_greeting_is_a_violation),
        cmocka_unit_test(a_client_that_speaks_first_waits),
        cmocka_unit_test(foreign_protocols_end_it_without_a_word),
        cmocka_unit_test(inside_tls_only_http_is_foreign),
        cmocka_unit_test(clients_that_waited_may_be_foreign_too),
        cmocka_unit_test(the_end_before_the_greeting),
        cmocka_unit_test(the_end_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
