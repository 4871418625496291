/* SPDX-License-Identifier: ISC */
/* The report for people, as it stands on the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/probe_text.h"
#include "tests/unit/printed.h"
#include "tests/unit/probe_sample.h"

static struct probe_options options;
static struct probe_facts facts[2];
static struct probe_findings findings[2];
static size_t left_out;

static int begin(void **state)
{
    options = sample_options(&smtp_protocol, 587);
    left_out = 0;
    facts[0] = facts[1] = sample_facts();
    facts[1].is_ipv6 = true;
    strcpy(facts[1].address, "2001:db8::1");
    return 0;
}

/* The caller frees it. */
static char *report(size_t count, const char *why)
{
    struct report r;
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    probe_text_begin(&r, to, &options);
    for (size_t i = 0; i < count; i++) {
        probe_judge(&options, &facts[i], true, SAMPLE_NOW, &findings[i]);
        probe_text_address(&r, &options, &facts[i], &findings[i]);
    }
    probe_text_end(&r, &options, facts, count, left_out, why);
    fclose(to);
    return text;
}

static void expect(size_t count, const char *why, const char *text)
{
    printed_is(report(count, why), text);
}

static void expect_part(size_t count, const char *part)
{
    printed_has(report(count, NULL), part);
}

/* The last line. */
static void expect_verdict(size_t count, const char *verdict)
{
    char *seen = report(count, NULL);
    char *end = strrchr(seen, '\n');

    *end = '\0';
    assert_string_equal(strrchr(seen, '\n') + 1, verdict);
    free(seen);
}

static void a_whole_report(void **state)
{
    expect(1, NULL,
           "\n"
           "smtp mx.example.org:587\n"
           "  192.0.2.1\n"
           "    ok           greets: 220 mx.example.org ESMTP\n"
           "    ok           STARTTLS is offered, and answered: 220 2.0.0 Ready to start TLS\n"
           "    ok           TLSv1.3 with TLS_AES_256_GCM_SHA384, x25519\n"
           "    ok           sessions are resumed\n"
           "    ok           its certificate is for mx.example.org\n"
           "    ok           its certificate is valid until 2026-01-30, 62 days\n"
           "    ok           its certificate is trusted, by the authorities of this system\n"
           "    ok           its certificate has ECDSA P-256, signed with RSA-SHA256\n"
           "    ok           accepts TLSv1.2, TLSv1.3\n"
           "    ok           offers no login before TLS\n"
           "    ok           a command sent in one segment with STARTTLS is forgotten\n"
           "    ok           a command sent between STARTTLS and the handshake ends the session\n"
           "    ok           TLS from the first octet works on port 465\n"
           "    before TLS   PIPELINING, SIZE 10240000, STARTTLS\n"
           "    inside TLS   PIPELINING, SIZE 10240000, AUTH PLAIN LOGIN\n"
           "    certificate  CN=mx.example.org, by CN=R11,O=Let's Encrypt,C=US\n"
           "    names        mx.example.org, mail.example.org\n"
           "    valid        from 2025-11-01 00:00 to 2026-01-30 00:00 UTC\n"
           "    key          ECDSA P-256, signed with RSA-SHA256\n"
           "    chain        CN=R11,O=Let's Encrypt,C=US\n"
           "    TLSA         _587._tcp.mx.example.org. IN TLSA 3 1 1 "
           "abcd010000000000000000000000000000000000000000000000000000000000\n"
           "    times        connect 3.2 ms, greeting 21.5 ms, handshake 12.0 ms\n"
           "\n"
           "STARTTLS works at mx.example.org:587 (1 address)\n");
}

static void nobody_has_little_to_tell(void **state)
{
    facts[0] = (struct probe_facts){.address = "192.0.2.1", .look = {.why = "Connection refused"}};
    expect(1, NULL,
           "\n"
           "smtp mx.example.org:587\n"
           "  192.0.2.1\n"
           "    problem      no connection: Connection refused\n"
           "                 does the mail server run, and listen on port 587 of this address?\n"
           "\n"
           "STARTTLS does not work at mx.example.org:587 (1 address; 1 problem)\n");
}

static void a_name_without_address(void **state)
{
    expect(0, "Name or service not known",
           "\n"
           "smtp mx.example.org:587\n"
           "    problem      no address: Name or service not known\n"
           "                 is the name right?\n"
           "\n"
           "STARTTLS does not work at mx.example.org:587 (no address)\n");
}

static void advice_is_folded(void **state)
{
    facts[0].at_once.fate = PROBE_FATE_EXECUTED;
    expect_part(1,
                "    problem      a command sent in one segment with STARTTLS is executed inside "
                "TLS (CVE-2011-0411)\n"
                "                 who sits on the wire can put commands into the sessions of "
                "others: update the\n"
                "                 server, or put starttlsd in front of it\n");
}

static void each_address_has_a_title(void **state)
{
    expect_part(2, "\n  192.0.2.1\n");
    expect_part(2, "\n  2001:db8::1\n");
    expect_verdict(2, "STARTTLS works at mx.example.org:587 (2 addresses)");
}

static void the_verdict_counts(void **state)
{
    facts[0].certificate.not_after = SAMPLE_NOW + SAMPLE_DAY;
    expect_verdict(2, "STARTTLS works at mx.example.org:587 (2 addresses; 1 warning)");
    facts[1].certificate.not_after = SAMPLE_NOW + SAMPLE_DAY;
    expect_verdict(2, "STARTTLS works at mx.example.org:587 (2 addresses; 2 warnings)");
    facts[1].certificate.not_after = SAMPLE_NOW - 1;
    expect_verdict(2, "STARTTLS works, but not as it should, at mx.example.org:587 (2 addresses; 1 "
                      "problem; 1 warning)");
    facts[0].certificate.not_after = SAMPLE_NOW - 1;
    expect_verdict(2, "STARTTLS works, but not as it should, at mx.example.org:587 (2 addresses; 2 "
                      "problems)");
}

static void nobody_thinks_that_all_were_asked(void **state)
{
    left_out = 3;
    expect_verdict(2, "STARTTLS works at mx.example.org:587 (2 of its 5 addresses)");
}

static void one_address_without_tls_is_enough(void **state)
{
    facts[1].look.reach = PROBE_NOT_REACHED;
    expect_verdict(2, "STARTTLS does not work at mx.example.org:587 (2 addresses; 1 problem)");
    facts[1].look.has_no_route = true; /* which says nothing about the server */
    expect_verdict(2, "STARTTLS works at mx.example.org:587 (2 addresses; 1 warning)");
    facts[0].certificate.not_after = SAMPLE_NOW - 1;
    expect_verdict(2, "STARTTLS works, but not as it should, at mx.example.org:587 (2 addresses; 1 "
                      "problem; 1 warning)");
    facts[0].look.has_tls_failed = true;
    expect_verdict(2, "STARTTLS does not work at mx.example.org:587 (2 addresses; 1 problem; 1 "
                      "warning)");
}

static void what_it_is_called(void **state)
{
    options = sample_options(&pop3_protocol, 110);
    expect_verdict(1, "STLS works at mx.example.org:110 (1 address)");
    options = sample_options(&smtp_protocol, 465);
    expect_verdict(1, "TLS works at mx.example.org:465 (1 address)");
    strcpy(options.host, "2001:db8::1");
    options.servername = options.host;
    expect_verdict(1, "TLS works at [2001:db8::1]:465 (1 address)");
    expect_part(1, "\nsmtp [2001:db8::1]:465\n");
    expect_part(1, "    TLSA         3 1 1 abcd01");
}

static void a_long_chain_has_a_line_each(void **state)
{
    facts[0].certificate.chain_count = 3;
    strcpy(facts[0].certificate.chain[2], "CN=Root");
    expect_part(1, "    chain        CN=R11,O=Let's Encrypt,C=US\n"
                   "                 CN=Root\n"
                   "    TLSA  ");
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_whole_report),         CASE(nobody_has_little_to_tell),
        CASE(a_name_without_address), CASE(nobody_thinks_that_all_were_asked),
        CASE(advice_is_folded),       CASE(each_address_has_a_title),
        CASE(the_verdict_counts),     CASE(one_address_without_tls_is_enough),
        CASE(what_it_is_called),      CASE(a_long_chain_has_a_line_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
