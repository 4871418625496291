/* SPDX-License-Identifier: ISC */
/* The report for programs. That it is what docs/probe.schema.json says is for tests/e2e to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/probe_json.h"
#include "tests/unit/printed.h"
#include "tests/unit/probe_sample.h"

static struct probe_options options;
static struct probe_facts facts[2];
static struct probe_findings findings[2];
static size_t left_out;

static int begin(void **state)
{
    options = sample_options(&smtp_protocol, 587);
    facts[0] = facts[1] = sample_facts();
    left_out = 0;
    findings[0] = findings[1] = (struct probe_findings){.count = 0};
    return 0;
}

/* The caller frees it. */
static char *report(size_t count, const char *why)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    probe_json_write(to, &options, facts, findings, count, left_out, SAMPLE_NOW, why);
    fclose(to);
    return text;
}

static void expect(size_t count, const char *why, const char *text)
{
    printed_is(report(count, why), text);
}

static void expect_part(const char *part)
{
    printed_has(report(1, NULL), part);
}

static void a_whole_report(void **state)
{
    findings[0] = (struct probe_findings){
        .finding = {{"reach", FINDING_OK, "a \"text\"", ""},
                    {"starttls", FINDING_WARNING, "another", "do it"}},
        .count = 2,
    };
    expect(1, NULL,
           "{\"schema\":1,\"time\":\"2025-11-29T00:00:00Z\",\"protocol\":\"smtp\","
           "\"host\":\"mx.example.org\",\"port\":587,\"mode\":\"starttls\","
           "\"servername\":\"mx.example.org\",\"verdict\":\"warning\",\"reason\":null,"
           "\"addresses\":[{\"address\":\"192.0.2.1\",\"family\":\"ipv4\",\"verdict\":\"warning\","
           "\"reached\":\"tls\",\"reason\":null,\"behind_proxy\":false,"
           "\"greeting\":\"220 mx.example.org ESMTP\","
           "\"capabilities\":{\"clear\":[\"PIPELINING\",\"SIZE 10240000\",\"STARTTLS\"],"
           "\"tls\":[\"PIPELINING\",\"SIZE 10240000\",\"AUTH PLAIN LOGIN\"]},"
           "\"starttls\":{\"offered\":true,\"answer\":\"220 2.0.0 Ready to start TLS\","
           "\"command_in_its_segment\":{\"fate\":\"forgotten\",\"reason\":null},"
           "\"command_behind_it\":{\"fate\":\"refused\",\"reason\":null}},"
           "\"tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\","
           "\"group\":\"x25519\",\"resumption\":{\"result\":true,\"reason\":null}},"
           "\"certificate\":{\"subject\":\"CN=mx.example.org\","
           "\"issuer\":\"CN=R11,O=Let's Encrypt,C=US\","
           "\"names\":[\"mx.example.org\",\"mail.example.org\"],\"name_matches\":true,"
           "\"key\":\"ECDSA P-256\",\"signature\":\"RSA-SHA256\",\"weak\":false,"
           "\"not_before\":\"2025-11-01T00:00:00Z\",\"not_after\":\"2026-01-30T00:00:00Z\","
           "\"trust\":\"trusted\",\"trust_reason\":null,\"missing_issuer\":null,"
           "\"chain\":[\"CN=mx.example.org\",\"CN=R11,O=Let's Encrypt,C=US\"],"
           "\"chain_in_order\":true,\"tlsa_3_1_1\":"
           "\"abcd010000000000000000000000000000000000000000000000000000000000\"},"
           "\"versions\":{\"TLSv1\":{\"result\":false,\"reason\":null},"
           "\"TLSv1.1\":{\"result\":false,\"reason\":null},"
           "\"TLSv1.2\":{\"result\":true,\"reason\":null},"
           "\"TLSv1.3\":{\"result\":true,\"reason\":null}},"
           "\"implicit_tls\":{\"port\":465,\"works\":{\"result\":true,\"reason\":null}},"
           "\"proxy\":{\"v1\":null,\"v2\":null},\"relay\":null,"
           "\"times\":[{\"step\":\"connect\",\"ms\":3.250},{\"step\":\"greeting\",\"ms\":21.500},"
           "{\"step\":\"handshake\",\"ms\":12.000}],"
           "\"findings\":[{\"id\":\"reach\",\"verdict\":\"ok\",\"text\":\"a \\\"text\\\"\","
           "\"advice\":null},{\"id\":\"starttls\",\"verdict\":\"warning\",\"text\":\"another\","
           "\"advice\":\"do it\"}]}],\"addresses_left_out\":0}\n");
}

static void what_is_not_known_is_null(void **state)
{
    facts[0] = (struct probe_facts){
        .address = "2001:db8::1", .is_ipv6 = true, .look = {.why = "Connection refused"}};
    options = sample_options(&imap_protocol, 993);
    expect(1, NULL,
           "{\"schema\":1,\"time\":\"2025-11-29T00:00:00Z\",\"protocol\":\"imap\","
           "\"host\":\"mx.example.org\",\"port\":993,\"mode\":\"implicit\","
           "\"servername\":\"mx.example.org\",\"verdict\":\"ok\",\"reason\":null,"
           "\"addresses\":[{\"address\":\"2001:db8::1\",\"family\":\"ipv6\",\"verdict\":\"ok\","
           "\"reached\":\"nothing\",\"reason\":\"Connection refused\",\"behind_proxy\":false,"
           "\"greeting\":null,\"capabilities\":{\"clear\":null,\"tls\":null},\"starttls\":null,"
           "\"tls\":null,\"certificate\":null,\"versions\":null,\"implicit_tls\":null,"
           "\"proxy\":{\"v1\":null,\"v2\":null},\"relay\":null,\"times\":[],\"findings\":[]}],"
           "\"addresses_left_out\":0}\n");
}

static void a_name_without_address_is_a_problem(void **state)
{
    left_out = 4;
    expect(0, "Name or service not known",
           "{\"schema\":1,\"time\":\"2025-11-29T00:00:00Z\",\"protocol\":\"smtp\","
           "\"host\":\"mx.example.org\",\"port\":587,\"mode\":\"starttls\","
           "\"servername\":\"mx.example.org\",\"verdict\":\"problem\","
           "\"reason\":\"Name or service not known\",\"addresses\":[],\"addresses_left_out\":4}\n");
}

static void the_gravest_address_counts(void **state)
{
    char *seen;

    findings[1] = (struct probe_findings){{{"reach", FINDING_PROBLEM, "text", "advice"}}, 1};
    seen = report(2, NULL);
    assert_non_null(strstr(seen, "\"verdict\":\"problem\",\"reason\":null,\"addresses\":[{"));
    assert_non_null(strstr(seen, "\"verdict\":\"ok\",\"reached\""));
    assert_non_null(strstr(seen, "},{\"address\":"));
    free(seen);
}

static void an_answer_has_three_values(void **state)
{
    facts[0].proxy_v1 = (struct probe_answer){PROBE_UNDECIDED, "no connection in time"};
    facts[0].proxy_v2 = (struct probe_answer){PROBE_NO, "500 what?"};
    expect_part("\"proxy\":{\"v1\":{\"result\":null,\"reason\":\"no connection in time\"},"
                "\"v2\":{\"result\":false,\"reason\":\"500 what?\"}}");
    facts[0].resumption.outcome = PROBE_UNTRIED;
    expect_part("\"resumption\":null");
    facts[0].implicit.outcome = PROBE_UNTRIED;
    expect_part("\"implicit_tls\":{\"port\":465,\"works\":null}");
}

static void one_version_tried_is_enough_for_the_list(void **state)
{
    memset(facts[0].version, 0, sizeof facts[0].version);
    expect_part("\"versions\":null");
    facts[0].version[PROBE_TLSV1_3].outcome = PROBE_YES;
    expect_part("\"versions\":{\"TLSv1\":null,\"TLSv1.1\":null,\"TLSv1.2\":null,"
                "\"TLSv1.3\":{\"result\":true,\"reason\":null}}");
}

static void every_word_of_a_kind(void **state)
{
    static const char *const trust[] = {"trusted",        "self-signed", "issuer-missing",
                                        "issuer-unknown", "expired",     "distrusted"};
    static const char *const fate[] = {"untried",           "undecided", "executed",
                                       "answered-in-clear", "forgotten", "refused"};
    static const char *const reach[] = {"nothing", "connection", "greeting", "tls"};
    static const char *const relay[] = {"unknown", "refused", "accepted"};
    char part[96];

    for (unsigned i = 0; i < 6; i++) {
        facts[0].certificate.trust = (enum probe_trust)i;
        facts[0].at_once.fate = (enum probe_fate)i;
        snprintf(part, sizeof part, "\"trust\":\"%s\"", trust[i]);
        expect_part(part);
        snprintf(part, sizeof part, "\"command_in_its_segment\":{\"fate\":\"%s\"", fate[i]);
        expect_part(part);
    }
    for (unsigned i = 0; i < 4; i++) {
        facts[0].look.reach = (enum probe_reach)i;
        snprintf(part, sizeof part, "\"reached\":\"%s\"", reach[i]);
        expect_part(part);
    }
    strcpy(facts[0].relay_answer, "its answer");
    for (unsigned i = 0; i < 3; i++) {
        facts[0].relay = (enum probe_relay)i;
        snprintf(part, sizeof part, "\"relay\":{\"result\":\"%s\",\"answer\":\"its answer\"}",
                 relay[i]);
        expect_part(part);
    }
}

static void what_is_odd_in_a_certificate(void **state)
{
    struct probe_certificate *c = &facts[0].certificate;

    c->is_weak = c->is_disordered = true;
    c->is_for_name = false;
    strcpy(c->missing, "CN=R11");
    strcpy(c->why, "a reason");
    c->not_after = (time_t)INT64_MAX; /* no calendar has it */
    expect_part("\"name_matches\":false");
    expect_part("\"weak\":true");
    expect_part("\"chain_in_order\":false");
    expect_part("\"trust_reason\":\"a reason\",\"missing_issuer\":\"CN=R11\"");
    expect_part("\"not_after\":null");
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_whole_report),
        CASE(what_is_not_known_is_null),
        CASE(a_name_without_address_is_a_problem),
        CASE(the_gravest_address_counts),
        CASE(an_answer_has_three_values),
        CASE(one_version_tried_is_enough_for_the_list),
        CASE(every_word_of_a_kind),
        CASE(what_is_odd_in_a_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
