/* SPDX-License-Identifier: ISC */
/* Verbs that no administrator can let pass, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/protocol.h"

#define OWN   "is a command that starttlsd itself deals with"
#define SPOOF "claims to come from another client"
#define HTTP  "is the word of a browser (HTTP)"
#define MAIL  "begins a mail that starttlsd does not follow (RFC 821, section 3.4)"

static void verbs_that_would_put_us_out_of_step_are_vetoed(void **state)
{
    static const struct {
        const char *verb, *why;
    } rows[] = {
        {"EHLO", OWN},
        {"mail", OWN},
        {"RCPT", OWN},
        {"DATA", OWN},
        {"BDAT", OWN},
        {"AUTH", OWN},
        {"BURL", OWN},
        {"ETRN", OWN},
        {"STARTTLS", OWN},
        {"XCLIENT", SPOOF},
        {"xforward", SPOOF},
        {"PROXY", SPOOF},
        {"XPROXY", SPOOF},
        {"XPROXYFROM", SPOOF},
        {"XPROXYTO", "hands the session on to another server"},
        {"GET", HTTP},
        {"CONNECT", HTTP},
        {"SEND", MAIL},
        {"SOML", MAIL},
        {"Saml", MAIL},
        {"LHLO", "begins LMTP, where one message has many replies"},
        {"TURN", "makes the client the server (RFC 5321, appendix F.1)"},
        {"ATRN", "makes the client the server (RFC 2645)"},
        {"XEXCH50", "is followed by octets that are no commands"},
        {"X-EXPS", "begins a login in a form that starttlsd does not follow"},
        {"X-ANONYMOUSTLS", "begins a TLS of its own inside the session"},
        {"X-LINK2STATE", "changes the routing of an Exchange server (CVE-2005-0560)"},
        {"VERB", "makes the server say more than one reply to a command"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = smtp_protocol.veto(span_of(rows[i].verb));

        if (why == NULL)
            fail_msg("%s", rows[i].verb);
        assert_string_equal(why, rows[i].why);
    }
}

static void other_verbs_are_not(void **state)
{
    static const char *const verbs[] = {"XADR", "ONEX", "MAILS", "EHL", "X", "X-MAIL"};

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        assert_null(smtp_protocol.veto(span_of(verbs[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_that_would_put_us_out_of_step_are_vetoed),
        cmocka_unit_test(other_verbs_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
