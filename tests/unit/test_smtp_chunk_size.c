/* SPDX-License-Identifier: ISC */
/* BDAT where the backend has said how big a message may be (RFC 1870): what it would refuse for its
 * size it does not get, since it might read a chunk that it has refused for commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"

static const struct policy policy = {TLS, .relay = RELAY_BACKEND, .max_errors = 20};

#define SPOILT  "503 5.5.1 A command has failed, RSET first\r\n"
#define TOO_BIG "552 5.3.4 Message too big\r\n"

/* Two turns each: the backend says how big a message may be, and one may come. */
#define EHLO_SIZE(size)                                                                            \
    {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},                                              \
    {                                                                                              \
        BACKEND("250-x\r\n250-CHUNKING\r\n250 " size "\r\n"),                                      \
            TO_CLIENT("250-x\r\n250-CHUNKING\r\n250 " size "\r\n")                                 \
    }
#define ENVELOPE                                                                                   \
    {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"),                                                  \
     TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},                                             \
    {                                                                                              \
        BACKEND("250 m\r\n250 r\r\n"), TO_CLIENT("250 m\r\n250 r\r\n"), NOTES(ADMITTED)            \
    }

static void a_chunk_that_is_too_big_does_not_pass(void **state)
{
    static const struct policy strict = {TLS, .relay = RELAY_BACKEND, .max_errors = 1};
    static const struct turn dialogue[] = {
        EHLO_SIZE("size 10"),
        ENVELOPE,
        {CLIENT("BDAT 11 LAST\r\nQUIT\r\nNOOP\nBDAT 1 LAST\r\nx"), TO_CLIENT(TOO_BIG SPOILT)},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        ENVELOPE,
        {CLIENT("BDAT 10 LAST\r\nQUIT\r\nNOOP"), TO_BACKEND("BDAT 10 LAST\r\nQUIT\r\nNOOP")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(MESSAGE)},
    };
    static const struct turn longest[] = {
        EHLO_SIZE("SIZE 2147483646"),
        ENVELOPE,
        {CLIENT("BDAT 2147483647\r\nx"), WAITS_FOR(CONTENT)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, longest);
}

static void nor_do_chunks_that_are_so_together(void **state)
{
    static const struct turn dialogue[] = {
        EHLO_SIZE("SIZE 10"),
        ENVELOPE,
        {CLIENT("BDAT 6\r\nNOOP\r\n"), TO_BACKEND("BDAT 6\r\nNOOP\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 5 LAST\r\nRSET\n"), TO_CLIENT(TOO_BIG)},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        /* Another message, and another: each is counted for itself. */
        ENVELOPE,
        {CLIENT("BDAT 6\r\nNOOP\r\n"), TO_BACKEND("BDAT 6\r\nNOOP\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 4\r\nNOOP"), TO_BACKEND("BDAT 4\r\nNOOP")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("BDAT 0 LAST\r\n"), TO_BACKEND("BDAT 0 LAST\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(MESSAGE)},
        ENVELOPE,
        {CLIENT("BDAT 10 LAST\r\n0123456789"), TO_BACKEND("BDAT 10 LAST\r\n0123456789")},
        {BACKEND("451 a\r\n"), TO_CLIENT("451 a\r\n")},
        ENVELOPE,
        {CLIENT("BDAT 10 LAST\r\n0123456789"), TO_BACKEND("BDAT 10 LAST\r\n0123456789")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

#define MUCH                                                                                       \
    {                                                                                              \
        CLIENT("BDAT 2147483647\r\nx"), TO_BACKEND("BDAT 2147483647\r\nx")                         \
    }

static const char *const size[] = {"SIZE"};

static void without_a_limit_every_size_passes(void **state)
{
    static const struct policy hiding = {TLS, .relay = RELAY_BACKEND,
                                         .hide_capabilities = {size, 1}};
    static const struct turn row[] = {
        EHLO_SIZE("SIZE"),
        ENVELOPE,
        MUCH, /* RFC 1870, section 4 */
        EHLO_SIZE("SIZE 0"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZE  \t"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZE x"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZE 10x"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZE -1"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZES 10"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("X-SIZE 10"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZE 99999999999999999999999999"),
        ENVELOPE,
        MUCH,
        EHLO_SIZE("SIZE 18446744073709551616"),
        ENVELOPE,
        MUCH,
    };
    static const struct turn hidden[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-CHUNKING\r\n250 SIZE 10\r\n"),
         TO_CLIENT("250-x\r\n250 CHUNKING\r\n")},
        ENVELOPE,
        MUCH,
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 5);
    PLAY(&hiding, PLAY_FROM_GATE, hidden);
}

static void blanks_around_the_size_mean_nothing(void **state)
{
    static const struct turn row[] = {
        EHLO_SIZE("SIZE \t 10"), ENVELOPE, {CLIENT("BDAT 11\r\n01234567890"), TO_CLIENT(TOO_BIG)},
        EHLO_SIZE("SIZE 10 \t"), ENVELOPE, {CLIENT("BDAT 11\r\n01234567890"), TO_CLIENT(TOO_BIG)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_that_is_too_big_does_not_pass),
        cmocka_unit_test(nor_do_chunks_that_are_so_together),
        cmocka_unit_test(without_a_limit_every_size_passes),
        cmocka_unit_test(blanks_around_the_size_mean_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
