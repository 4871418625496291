/* SPDX-License-Identifier: ISC */
/* What is announced, composed from each source for each policy, in as little room as there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/smtp_capabilities.h"

#define REST .hostname = "mx.example", .relay = RELAY_BACKEND

static const char *const written[] = {"SIZE=1000", "AUTH=PLAIN,LOGIN,NTLM", "XA=", "DELIVERBY=a,b"};
static const char *const hidden[] = {"chunking", "STARTTLS", "PIPELINING"};

static const struct policy none = {.tls = FRONT_NONE, REST};
static const struct policy implicit = {.tls = FRONT_IMPLICIT, REST};
static const struct policy enforced = {.is_enforced = true, REST};
static const struct policy open = {REST};
static const struct policy allowing = {.may_auth_in_clear = true, REST};
static const struct policy own = {.capabilities = {written, 4}, REST};
static const struct policy enforced_own = {.is_enforced = true, .capabilities = {written, 4}, REST};
static const struct policy hiding = {.hide_capabilities = {hidden, 3}, REST};
static const struct policy enforced_hiding = {
    .is_enforced = true, .hide_capabilities = {hidden, 3}, REST};
static const struct policy submission = {.hostname = "mx.example", .relay = RELAY_LOGIN};

#define TEXT                                                                                       \
    "SIZE 5\nSTARTTLS\nAUTH PLAIN GSSAPI LOGIN\nAUTH=NTLM\nETRN\nCHUNKING\nBINARYMIME\n"           \
    "XFORWARD NAME\nDSN\n"

static const struct learned learned = {true, sizeof TEXT - 1, TEXT};
static const struct learned unknown = {false, 4, "DSN\n"};
static const struct learned empty = {true, 0, ""};

static void compare(struct span got, const char *wanted)
{
    if (got.len != strlen(wanted) || (got.len > 0 && memcmp(got.data, wanted, got.len) != 0))
        fail_msg("%.*s instead of %s", (int)got.len, got.data, wanted);
}

/* ---- `announced`: as a list ---- */

static void announced(void **state)
{
    static const struct {
        const struct policy *policy;
        const struct learned *learned;
        bool is_secure;
        const char *wanted;
    } row[] = {
        {&enforced, &learned, false, "STARTTLS\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&enforced, NULL, false, "STARTTLS\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&enforced_own, NULL, false, "STARTTLS\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&enforced_hiding, NULL, false, "STARTTLS\n8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&enforced, &learned, true, "SIZE 5\nAUTH PLAIN LOGIN\nETRN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&enforced, NULL, true, "8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&open, NULL, false, "STARTTLS\n8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&open, &unknown, false, "STARTTLS\n8BITMIME\nENHANCEDSTATUSCODES\n"},
        {&open, &empty, false, "STARTTLS\n"},
        {&open, &empty, true, ""},
        {&open, &learned, false, "STARTTLS\nSIZE 5\nETRN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&open, &learned, true, "SIZE 5\nAUTH PLAIN LOGIN\nETRN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&allowing, &learned, false,
         "STARTTLS\nSIZE 5\nAUTH PLAIN LOGIN\nETRN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&submission, &learned, true, "SIZE 5\nAUTH PLAIN LOGIN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&hiding, &learned, false, "STARTTLS\nSIZE 5\nETRN\nDSN\n"},
        {&own, &learned, false, "STARTTLS\nSIZE 1000\nXA \nDELIVERBY a b\n"},
        {&own, &learned, true, "SIZE 1000\nAUTH PLAIN LOGIN\nXA \nDELIVERBY a b\n"},
        {&none, &learned, false, "SIZE 5\nAUTH PLAIN LOGIN\nETRN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&implicit, &learned, true, "SIZE 5\nAUTH PLAIN LOGIN\nETRN\nCHUNKING\nBINARYMIME\nDSN\n"},
        {&none, NULL, false, "8BITMIME\nENHANCEDSTATUSCODES\n"},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char space[1024];

        compare(smtp_capabilities_announced(row[i].policy, row[i].learned, row[i].is_secure, space,
                                            sizeof space),
                row[i].wanted);
    }
}

/* ---- whole lines, or none ---- */

/* Is it a reply of whole lines, hyphens in all but the last? */
static void check_reply(struct span reply)
{
    while (reply.len > 0) {
        const char *lf = memchr(reply.data, '\n', reply.len);
        size_t len = lf == NULL ? 0 : (size_t)(lf - reply.data) + 1;

        assert_true(len >= 6 && reply.data[len - 2] == '\r');
        assert_memory_equal(reply.data, "250", 3);
        assert_int_equal(reply.data[3], len == reply.len ? ' ' : '-');
        reply = span_skip(reply, len);
    }
}

/* What does not fit is left out; shorter lines behind it may still fit. In blocks of just that size
 * a sanitizer sees the first octet beyond. */
static void little_room(void **state)
{
    static const struct span reply =
        SPAN("250-mx\r\n250-STARTTLS\r\n250-DELIVERBY 120\r\n250-AUTH PLAIN LOGIN\r\n250 DSN\r\n");

    for (size_t size = 0; size < 200; size++) {
        char *space = malloc(size);
        struct span got[3];

        assert_true(space != NULL || size == 0);
        got[0] = smtp_capabilities_rewrite(reply, &open, true, space, size);
        check_reply(got[0]);
        assert_true(got[0].len <= size);
        got[1] = smtp_capabilities_reply(&own, NULL, space, size);
        check_reply(got[1]);
        assert_true(got[1].len <= size);
        got[2] = smtp_capabilities_announced(&own, NULL, true, space, size);
        assert_true(got[2].len <= size && (got[2].len == 0 || space[got[2].len - 1] == '\n'));
        free(space);
    }
}

static void what_fits_to_the_octet(void **state)
{
    static const struct span reply = SPAN("250-mx\r\n250-AUTH PLAIN NTLM\r\n250 DSN\r\n");
    static const struct {
        size_t size;
        const char *wanted;
    } row[] = {
        {33, "250-mx\r\n250-AUTH PLAIN\r\n250 DSN\r\n"},
        {32, "250-mx\r\n250 AUTH PLAIN\r\n"},
        {24, "250-mx\r\n250 AUTH PLAIN\r\n"},
        {23, "250-mx\r\n250 DSN\r\n"},
        {17, "250-mx\r\n250 DSN\r\n"},
        {16, "250 mx\r\n"},
        {8, "250 mx\r\n"},
        {7, ""},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char *space = malloc(row[i].size);

        assert_non_null(space);
        compare(smtp_capabilities_rewrite(reply, &open, true, space, row[i].size), row[i].wanted);
        free(space);
    }
}

/* The longest word that a configuration line can hold, and one beyond our room for it. */
static void long_words_are_cut(void **state)
{
    static char word[400], space[1024];
    const char *const words[] = {word};
    const struct policy policy = {.capabilities = {words, 1}, REST};
    struct span got;

    memset(word, 'x', sizeof word - 1);
    word[1] = '=';
    got = smtp_capabilities_announced(&policy, NULL, true, space, sizeof space);
    assert_int_equal(got.len, 256 + 1);
    assert_memory_equal(got.data, "x x", 3);
}

/* ---- one keyword ---- */

static void offers(void **state)
{
    static const struct {
        struct span reply;
        bool offered;
    } row[] = {
        {SPAN("250-x\r\n250 CHUNKING\r\n"), true},
        {SPAN("250-x\n250-chunking\n250 DSN\n"), true},
        {SPAN("250-x\r\n250-SIZE\r\n250 Chunking now\r\n"), true},
        {SPAN("250-x\r\n250  CHUNKING\r\n"), true},
        {SPAN("250 CHUNKING\r\n"), false}, /* the backend's name */
        {SPAN("250-CHUNKING\r\n250 DSN\r\n"), false},
        {SPAN("250-x\r\n250 CHUNKINGX\r\n"), false},
        {SPAN("250-x\r\n250 X-CHUNKING\r\n"), false},
        {SPAN("250-x\r\n250 SIZE CHUNKING\r\n"), false},
        {SPAN("250-x\r\n250\r\n"), false},
        {SPAN("250\r\n"), false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        if (smtp_capabilities_offers(row[i].reply, &open).chunking != row[i].offered)
            fail_msg("row %zu", i);
        assert_false(smtp_capabilities_offers(row[i].reply, &hiding).chunking);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(announced),
        cmocka_unit_test(little_room),
        cmocka_unit_test(what_fits_to_the_octet),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(offers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
