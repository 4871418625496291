/* SPDX-License-Identifier: ISC */
/* The line for monitoring, and what stands below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/probe_nagios.h"
#include "tests/unit/printed.h"
#include "tests/unit/probe_sample.h"

static struct probe_options options;
static struct probe_facts facts[2];
static struct probe_findings findings[2];
static size_t left_out;

static int begin(void **state)
{
    options = sample_options(&smtp_protocol, 25);
    left_out = 0;
    facts[0] = facts[1] = sample_facts();
    strcpy(facts[1].address, "2001:db8::1");
    return 0;
}

static void expect(enum probe_nagios status, size_t count, const char *why, const char *text)
{
    char *seen = NULL;
    size_t size;
    FILE *to = open_memstream(&seen, &size);

    for (size_t i = 0; i < count; i++)
        probe_judge(&options, &facts[i], true, SAMPLE_NOW, &findings[i]);
    probe_nagios_write(to, status, &options, facts, findings, count, left_out, SAMPLE_NOW, why);
    fclose(to);
    printed_is(seen, text);
}

static void all_is_well(void **state)
{
    expect(NAGIOS_OK, 1, NULL,
           "STARTTLS OK - smtp mx.example.org:25: TLSv1.3, certificate 62 days"
           " | time=0.037s;;;0 days=62;21:;0:\n");
}

static void of_several_the_slowest_and_the_first_to_expire_count(void **state)
{
    options.expiry_days = 7;
    facts[1].certificate.not_after -= 40 * SAMPLE_DAY;
    facts[1].look.time[0].ms += 1000;
    expect(NAGIOS_OK, 2, NULL,
           "STARTTLS OK - smtp mx.example.org:25: TLSv1.3, certificate 22 days, 2 addresses"
           " | time=1.037s;;;0 days=22;7:;0:\n");
    left_out = 3;
    expect(NAGIOS_OK, 2, NULL,
           "STARTTLS OK - smtp mx.example.org:25: TLSv1.3, certificate 22 days, 2 of 5 addresses"
           " | time=1.037s;;;0 days=22;7:;0:\n");
    facts[0].certificate.is_shown = false;
    facts[1].certificate.is_shown = false;
    facts[0].look.time_count = 0;
    expect(NAGIOS_WARNING, 1, NULL,
           "STARTTLS WARNING - smtp mx.example.org:25: no certificate is shown | time=0.000s;;;0\n"
           "192.0.2.1: warning: no certificate is shown; give the server one: without it nobody "
           "knows whom they talk to\n");
}

static void the_gravest_comes_first_and_all_below(void **state)
{
    facts[0].certificate.not_after = SAMPLE_NOW + SAMPLE_DAY;
    facts[1].certificate.not_after = SAMPLE_NOW - 3 * SAMPLE_DAY;
    expect(NAGIOS_CRITICAL, 2, NULL,
           "STARTTLS CRITICAL - smtp mx.example.org:25: 2001:db8::1: its certificate expired on "
           "2025-11-26, 3 days ago | time=0.037s;;;0 days=-3;21:;0:\n"
           "192.0.2.1: warning: its certificate expires on 2025-11-30, in 1 day; renew it; if that "
           "is done by itself, look why it is not, and whether the server reads the new one "
           "(reload)\n"
           "2001:db8::1: problem: its certificate expired on 2025-11-26, 3 days ago; renew it; if "
           "that is done, have the server read it (reload)\n");
}

static void of_equals_the_first_is_told(void **state)
{
    facts[0] = facts[1] = (struct probe_facts){.address = "::1", .look = {.why = "refused"}};
    snprintf(facts[1].look.why, sizeof facts[1].look.why, "another reason");
    strcpy(options.host, "::1");
    expect(NAGIOS_CRITICAL, 1, NULL,
           "STARTTLS CRITICAL - smtp [::1]:25: no connection: refused | time=0.000s;;;0\n"
           "::1: problem: no connection: refused; does the mail server run, and listen on port 25 "
           "of this address?\n");
    expect(NAGIOS_CRITICAL, 2, NULL,
           "STARTTLS CRITICAL - smtp [::1]:25: ::1: no connection: refused | time=0.000s;;;0\n"
           "::1: problem: no connection: refused; does the mail server run, and listen on port 25 "
           "of this address?\n"
           "::1: problem: no connection: another reason; may this machine connect to port 25 "
           "there?\n");
}

static void a_name_without_address_has_no_performance(void **state)
{
    expect(NAGIOS_CRITICAL, 0, "Name or service not known",
           "STARTTLS CRITICAL - smtp mx.example.org:25: Name or service not known\n");
}

static void no_peer_forges_performance(void **state)
{
    facts[0] = (struct probe_facts){.address = "192.0.2.1", .look = {.why = "a | b"}};
    expect(
        NAGIOS_CRITICAL, 1, NULL,
        "STARTTLS CRITICAL - smtp mx.example.org:25: no connection: a ! b | time=0.000s;;;0\n"
        "192.0.2.1: problem: no connection: a ! b; may this machine connect to port 25 there?\n");
    expect(NAGIOS_UNKNOWN, 0, "a | b", "STARTTLS UNKNOWN - smtp mx.example.org:25: a ! b\n");
}

static void nothing_but_a_reason(void **state)
{
    char *seen = NULL;
    size_t size;
    FILE *to = open_memstream(&seen, &size);

    probe_nagios_write_unknown(to, "no memory | time=0");
    fclose(to);
    printed_is(seen, "STARTTLS UNKNOWN - no memory ! time=0\n");
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_is_well),
        CASE(of_several_the_slowest_and_the_first_to_expire_count),
        CASE(the_gravest_comes_first_and_all_below),
        CASE(of_equals_the_first_is_told),
        CASE(a_name_without_address_has_no_performance),
        CASE(no_peer_forges_performance),
        CASE(nothing_but_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
