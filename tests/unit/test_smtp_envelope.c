/* SPDX-License-Identifier: ISC */
/* No open relay: the one form of RCPT that may pass with a list of domains, and all that look like
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/smtp_envelope.h"

static const char *const words[] = {"example.org", "b\xc3\xbc.example"};
static const struct words domains = {words, 2};

static const char *const ours[] = {
    "RCPT TO:<a@example.org>",
    "rcpt to:<a@example.org>",
    "RCPT TO:<a@EXAMPLE.Org>",
    "RCPT TO:<a@example.org.>",
    "RCPT TO:<a.b+c@example.org>",
    "RCPT TO:<o'brien@example.org>",
    "RCPT TO:<a..b.@example.org>",
    "RCPT TO:<\xc3\xa4@example.org>",
    "RCPT TO:<a@b\xc3\xbc.example>",
    "RCPT TO:<a@example.org> ",
    "RCPT TO:<a@example.org> NOTIFY=NEVER",
    "RCPT TO:<a@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.z",
    "RCPT TO:<a@example.org>  XFLAG",
    "RCPT TO:<postmaster>",
    "RCPT TO:<PostMaster>",
    "RCPT TO:<postmaster> NOTIFY=NEVER",
    "RCPT TO:<postmaster@example.org>",
};

static const char *const others[] = {
    "RCPT TO:<a@example.com>",
    "RCPT TO:<a@xexample.org>",
    "RCPT TO:<a@example.orgx>",
    "RCPT TO:<a@sub.example.org>",
    "RCPT TO:<a@example.org..>",
    "RCPT TO:<a@.example.org>",
    "RCPT TO:<a@>",
    "RCPT TO:<a@.>",
    "RCPT TO:<@example.org>",
    "RCPT TO:<a>",
    "RCPT TO:<>",
    "RCPT TO:<postmaster@>",
    "RCPT TO:<postmaster@example.com>",
    "RCPT TO:<a%example.com@example.org>",
    "RCPT TO:<example.com!a@example.org>",
    "RCPT TO:<example.com^a@example.org>",
    "RCPT TO:<IMCEASMTP-a+40example+2Ecom@example.org>",
    "RCPT TO:<imceax400-/S=a@example.org>",
    "RCPT TO:</DD.RFC-822=a/@example.org>",
    "RCPT TO:<|a@example.org>",
    "RCPT TO:<-a@example.org>",
    "RCPT TO:<a\xef\xbc\xa0"
    "example.com@example.org>", /* U+FF20: `@` to some */
    "RCPT TO:<a\xef\xb9\xab"
    "example.com@example.org>", /* U+FE6B */
    "RCPT TO:<a@example.com@example.org>",
    "RCPT TO:<a:b@example.org>",
    "RCPT TO:<@example.org:a@example.com>",
    "RCPT TO:<@example.com:a@example.org>",
    "RCPT TO:<\"a\"@example.org>",
    "RCPT TO:<\"a@example.com\"@example.org>",
    "RCPT TO:<\"a>\"@example.org>",
    "RCPT TO:<a\\b@example.org>",
    "RCPT TO:<a b@example.org>",
    "RCPT TO:<a,b@example.org>",
    "RCPT TO:<a;b@example.org>",
    "RCPT TO:<(x)a@example.org>",
    "RCPT TO:<a(x)@example.org>",
    "RCPT TO:<a@example.org(x)>",
    "RCPT TO:<a\tb@example.org>",
    "RCPT TO:<a\x01@example.org>",
    "RCPT TO:<a\x7f@example.org>",
    "RCPT TO:<a@[192.0.2.1]>",
    "RCPT TO:<a@[example.org]>",
    "RCPT TO:<a@B\xc3\x9c.example>",
    "RCPT TO:<a@xn--b-xka.example>",
    "RCPT TO:a@example.org",
    "RCPT TO: <a@example.org>",
    "RCPT  TO:<a@example.org>",
    "RCPT\tTO:<a@example.org>",
    "RCPT TO :<a@example.org>",
    "RCPT TO<a@example.org>",
    "RCPT TO:<a@example.org",
    "RCPT TO:<<a@example.org>",
    "RCPT TO:<<a@example.org>>",
    "RCPT TO:<a@example.org>>",
    "RCPT TO:<a@example.org>x",
    "RCPT TO:<a@example.org>,<b@example.com>",
    "RCPT TO:<a@example.org> <b@example.com>",
    "RCPT TO:<a@example.org> b@example.com",
    "RCPT TO:<a@example.org>\tNOTIFY=NEVER",
    "RCPT TO:<a@example.org> NOTIFY=",
    "RCPT TO:<a@example.org> X=<b@example.com>",
    "RCPT TO:<a@example.org> =NEVER",
    "RCPT TO:<a@example.org> -X=1",
    "RCPT TO:<a@example.org> A=B=C",
    "RCPT TO:<a@example.org> A=B\tC",
    "RCPT FROM:<a@example.org>",
    "RCPT x TO:<a@example.org>",
    "RCPT",
    "RCPT TO:",
    "RCPT TO:<",
    "RCPT TO:>a@example.org<",
};

static void only_the_exact_form_is_ours(void **state)
{
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (!smtp_rcpt_is_ours(span_of(ours[i]), &domains, true))
            fail_msg("%s", ours[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (smtp_rcpt_is_ours(span_of(others[i]), &domains, true))
            fail_msg("%s", others[i]);
}

/* A backend that strips the eighth bit finds `%` in 0xa5. */
static void without_smtputf8_it_is_ascii(void **state)
{
    static const char *const rows[] = {
        "RCPT TO:<\xc3\xa4@example.org>",     "RCPT TO:<a\245example.com@example.org>",
        "RCPT TO:<a@example.org> X=\xc3\xa4", "RCPT TO:<a@example.org> X=\x8d\x8aRSET",
        "RCPT TO:<postmaster> X=\xbc",
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (smtp_rcpt_is_ours(span_of(rows[i]), &domains, false))
            fail_msg("%s", rows[i]);
        if (!smtp_rcpt_is_ours(span_of(rows[i]), &domains, true))
            fail_msg("%s, with SMTPUTF8", rows[i]);
    }
    assert_true(smtp_rcpt_is_ours(span_of("RCPT TO:<a@example.org>"), &domains, false));
    assert_true(smtp_rcpt_is_ours(span_of("RCPT TO:<a@b\xc3\xbc.example>"), &domains, false));
}

static void every_other_octet_in_the_address_is_refused(void **state)
{
    static const char good[] = "RCPT TO:<ab@example.org>";

    for (size_t at = 0; at < sizeof(good) - 1; at++)
        for (int c = 0; c < 256; c++) {
            char text[sizeof(good)];
            struct words only = {words, 1};
            bool is_local = at == 9 || at == 10;

            memcpy(text, good, sizeof(good));
            text[at] = (char)c;
            if (ascii_lower(text[at]) == ascii_lower(good[at]))
                continue;
            if (smtp_rcpt_is_ours((struct span){text, sizeof(good) - 1}, &only, true) && !is_local)
                fail_msg("octet %d at %zu", c, at);
        }
}

static void an_empty_list_owns_postmaster_alone(void **state)
{
    static const struct words none = {NULL, 0};

    assert_false(smtp_rcpt_is_ours(span_of("RCPT TO:<a@example.org>"), &none, true));
    assert_true(smtp_rcpt_is_ours(span_of("RCPT TO:<postmaster>"), &none, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_exact_form_is_ours),
        cmocka_unit_test(without_smtputf8_it_is_ascii),
        cmocka_unit_test(every_other_octet_in_the_address_is_refused),
        cmocka_unit_test(an_empty_list_owns_postmaster_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
