/* SPDX-License-Identifier: ISC */
/* Whether clients can log in to a backend, by what it announces and what of that they may know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/protocol.h"

static const char *const words[] = {"AUTH", "SASL", "AUTH=CRAM-MD5"};
static const struct policy plain = {0}, hiding = {.hide_capabilities = {words, 3}};

static void takes_logins(void **state)
{
    static const struct {
        const struct protocol *protocol;
        const struct policy *policy;
        const char *announced;
        bool takes_logins;
    } row[] = {
        {&smtp_protocol, &plain, "SIZE 5\nAUTH PLAIN\n", true},
        {&smtp_protocol, &plain, "AUTH EXTERNAL NTLM\n", false},
        {&smtp_protocol, &plain, "SIZE 5\n", false},
        {&smtp_protocol, &plain, "", false},
        {&smtp_protocol, &hiding, "AUTH PLAIN\n", false},
        {&imap_protocol, &plain, "IMAP4rev1\n", true},
        {&imap_protocol, &plain, "", true},
        {&imap_protocol, &plain, "IMAP4rev1\nlogindisabled\n", false},
        {&imap_protocol, &plain, "AUTH=PLAIN\nLOGINDISABLED\n", true},
        {&imap_protocol, &plain, "LOGINDISABLED\nAUTH=EXTERNAL\n", false},
        {&imap_protocol, &hiding, "LOGINDISABLED\nAUTH=CRAM-MD5\n", false},
        {&pop3_protocol, &plain, "TOP\nUSER\n", true},
        {&pop3_protocol, &plain, "SASL CRAM-MD5\n", true},
        {&pop3_protocol, &plain, "SASL EXTERNAL\n", false},
        {&pop3_protocol, &plain, "SASL\n", false},
        {&pop3_protocol, &plain, "TOP\nUIDL\n", false},
        {&pop3_protocol, &hiding, "SASL PLAIN\n", false},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct learned learned = {.is_known = true, .len = (uint16_t)strlen(row[i].announced)};

        memcpy(learned.text, row[i].announced, learned.len);
        if (row[i].protocol->takes_logins(row[i].policy, &learned) != row[i].takes_logins)
            fail_msg("%s: %s", row[i].protocol->name, row[i].announced);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(takes_logins)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
