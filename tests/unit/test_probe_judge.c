/* SPDX-License-Identifier: ISC */
/* Facts of good and bad servers, and what is thought of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/probe_judge.h"
#include "tests/unit/probe_sample.h"

static struct probe_options options;
static struct probe_facts facts;

static int begin(void **state)
{
    options = sample_options(&smtp_protocol, 587);
    facts = sample_facts();
    return 0;
}

static struct probe_findings judge(void)
{
    struct probe_findings findings;

    probe_judge(&options, &facts, false, SAMPLE_NOW, &findings);
    return findings;
}

static const struct probe_finding *find(const struct probe_findings *all, const char *id)
{
    const struct probe_finding *found = NULL;

    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->finding[i].id, id) == 0) {
            assert_null(found); /* each id once */
            found = &all->finding[i];
        }
    return found;
}

/* What is judged so is the gravest of all, and has advice unless all is well. */
static void expect(const char *id, enum finding verdict, const char *text, const char *advice)
{
    const struct probe_findings all = judge();
    const struct probe_finding *f = find(&all, id);

    if (f == NULL)
        fail_msg("nothing on %s", id);
    assert_string_equal(f->text, text);
    assert_int_equal(f->verdict, verdict);
    assert_int_equal(probe_worst(&all, 1), verdict);
    assert_int_equal(f->advice[0] != '\0', verdict != FINDING_OK);
    if (advice != NULL && strstr(f->advice, advice) == NULL)
        fail_msg("%s: %s", id, f->advice);
}

/* The copy lives until the next call. */
static const char *advice_on(const char *id)
{
    static struct probe_findings all;

    all = judge();
    return find(&all, id)->advice;
}

static void expect_nothing(const char *id)
{
    const struct probe_findings all = judge();

    if (find(&all, id) != NULL)
        fail_msg("%s: %s", id, find(&all, id)->text);
}

/* All ids, with a blank behind each. */
static void expect_exactly(const char *ids)
{
    const struct probe_findings all = judge();
    char seen[1024] = "";
    size_t len = 0;

    for (size_t i = 0; i < all.count; i++)
        len += (size_t)snprintf(seen + len, sizeof seen - len, "%s ", all.finding[i].id);
    assert_string_equal(seen, ids);
}

static void a_good_server_is_good(void **state)
{
    const struct probe_findings all = judge();

    expect_exactly("greeting starttls handshake tls.resumption certificate.name "
                   "certificate.expiry certificate.trust certificate.key tls.versions login.clear "
                   "injection.at_once injection.behind implicit ");
    assert_int_equal(probe_worst(&all, 1), FINDING_OK);
    expect("greeting", FINDING_OK, "greets: 220 mx.example.org ESMTP", NULL);
    expect("starttls", FINDING_OK,
           "STARTTLS is offered, and answered: 220 2.0.0 Ready to start TLS", NULL);
    expect("handshake", FINDING_OK, "TLSv1.3 with TLS_AES_256_GCM_SHA384, x25519", NULL);
    facts.look.group[0] = '\0';
    expect("handshake", FINDING_OK, "TLSv1.3 with TLS_AES_256_GCM_SHA384", NULL);
}

static void nothing_that_was_not_asked_is_told(void **state)
{
    facts = (struct probe_facts){.look = facts.look, .certificate = facts.certificate};
    expect_exactly("greeting starttls handshake certificate.name certificate.expiry "
                   "certificate.trust certificate.key login.clear ");
}

/* ---- connection and greeting ---- */

static void unreachable(const char *why)
{
    facts = (struct probe_facts){.look = {.is_tried = true}};
    snprintf(facts.look.why, sizeof facts.look.why, "%s", why);
}

static void nobody_there_is_a_problem(void **state)
{
    unreachable("Connection refused");
    expect("reach", FINDING_PROBLEM, "no connection: Connection refused",
           "does the mail server run, and listen on port 587");
    unreachable("no connection in time");
    expect("reach", FINDING_PROBLEM, "no connection: no connection in time", "there or here");
    options.port = 25;
    expect("reach", FINDING_PROBLEM, "no connection: no connection in time",
           "many networks let nothing out to port 25");
    unreachable("Permission denied");
    expect("reach", FINDING_PROBLEM, "no connection: Permission denied", "may this machine");
    unreachable("");
    expect("reach", FINDING_PROBLEM, "no connection: it did not say why", NULL);
    expect_exactly("reach ");
}

static void an_address_without_a_way_to_it_is_a_problem_alone(void **state)
{
    struct probe_findings findings;

    unreachable("Network is unreachable");
    facts.look.has_no_route = true;
    expect("reach", FINDING_PROBLEM, "this machine has no way to it: Network is unreachable",
           "from a machine with IPv4");
    facts.is_ipv6 = true;
    expect("reach", FINDING_PROBLEM, "this machine has no way to it: Network is unreachable",
           "from a machine with IPv6");
    probe_judge(&options, &facts, true, SAMPLE_NOW, &findings);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.finding[0].verdict, FINDING_WARNING);
}

static void silent(const char *why)
{
    unreachable(why);
    facts.look.reach = PROBE_CONNECTED;
}

static void silence_is_a_problem(void **state)
{
    silent("no greeting in time");
    expect("greeting", FINDING_PROBLEM, "no greeting in time", "--proxy");
    expect("greeting", FINDING_PROBLEM, "no greeting in time", "--tls implicit");
    expect_exactly("greeting ");
    options.proxy = true;
    expect("greeting", FINDING_PROBLEM, "no greeting in time",
           "for TLS from the first octet? Then --tls implicit");
    assert_null(strstr(judge().finding[0].advice, "--proxy"));
    silent("it closed the connection");
    expect("greeting", FINDING_PROBLEM, "no greeting: it closed the connection", "log");
    assert_null(strstr(judge().finding[0].advice, "--proxy"));
    options.proxy = false;
    expect("greeting", FINDING_PROBLEM, "no greeting: it closed the connection", "--proxy");
}

static void silence_inside_implicit_tls_has_a_handshake(void **state)
{
    const struct probe_finding *greeting;
    struct probe_findings all;

    options = sample_options(&smtp_protocol, 465);
    facts.look.said = (struct probe){.relay = PROBE_RELAY_UNKNOWN};
    facts.look.reach = PROBE_CONNECTED;
    facts.look.is_good = false;
    snprintf(facts.look.why, sizeof facts.look.why, "no greeting in time");
    expect("greeting", FINDING_PROBLEM, "no greeting in time", "it hangs");
    all = judge();
    greeting = find(&all, "greeting");
    assert_true(greeting != NULL && strstr(greeting->advice, "--tls implicit") == NULL);
    assert_int_equal(find(&all, "handshake")->verdict, FINDING_OK);
    facts.look.reach = PROBE_SECURED;
    expect("greeting", FINDING_PROBLEM, "no greeting in time", "it hangs");
}

static void another_protocol_is_a_problem(void **state)
{
    silent("its greeting is no 220");
    snprintf(facts.look.said.greeting, PROBE_TEXT, "* OK IMAP4rev1");
    expect("greeting", FINDING_PROBLEM, "does not speak smtp: * OK IMAP4rev1",
           "another program listens on port 587");
}

static void a_greeting_that_refuses_is_a_problem(void **state)
{
    facts = (struct probe_facts){.look = {.reach = PROBE_GREETED}};
    snprintf(facts.look.why, sizeof facts.look.why, "its greeting is no 220");
    snprintf(facts.look.said.greeting, PROBE_TEXT, "554 go away");
    expect("greeting", FINDING_PROBLEM, "turns us away: 554 go away", "this machine, or everybody");
    expect_exactly("greeting ");
}

static void a_greeting_is_shown_without_capabilities(void **state)
{
    static const struct {
        const char *greeting, *text;
    } row[] = {
        {"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready [really]",
         "greets: * OK [CAPABILITY ...] ready [really]"},
        {"* OK [CAPABILITY IMAP4rev1 STAR", "greets: * OK [CAPABILITY ...]"},
        {"* OK [ALERT] ready", "greets: * OK [ALERT] ready"},
    };

    options = sample_options(&imap_protocol, 143);
    facts.look.said.clear.is_known = false;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        snprintf(facts.look.said.greeting, PROBE_TEXT, "%s", row[i].greeting);
        expect("greeting", FINDING_OK, row[i].text, NULL);
    }
}

static void a_server_behind_proxy_says_so(void **state)
{
    facts.is_behind_proxy = true;
    expect("greeting.proxy", FINDING_OK,
           "but only behind a PROXY header: all of this was found with one", NULL);
}

/* ---- STARTTLS and TLS ---- */

static void not_secured(const char *why)
{
    const struct probe_visit_facts look = facts.look;

    facts = (struct probe_facts){.look = {.reach = PROBE_GREETED, .said = look.said}};
    facts.look.said.tls_answer[0] = '\0';
    facts.look.said.learned.is_known = false;
    snprintf(facts.look.why, sizeof facts.look.why, "%s", why);
}

static void no_starttls_is_a_problem(void **state)
{
    not_secured("it does not announce STARTTLS");
    facts.look.said.offers_tls = false;
    facts.look.said.clear = sample_learned("SIZE 1");
    expect("starttls", FINDING_PROBLEM, "STARTTLS is not offered", "certificate");
    expect_exactly("greeting starttls login.clear ");
    options.protocol = &pop3_protocol;
    expect("starttls", FINDING_PROBLEM, "STLS is not offered", NULL);
}

static void a_refused_starttls_is_a_problem(void **state)
{
    not_secured("it refuses STARTTLS");
    snprintf(facts.look.said.tls_answer, PROBE_TEXT, "454 4.7.0 TLS not available");
    expect("starttls", FINDING_PROBLEM,
           "STARTTLS is offered, but refused: 454 4.7.0 TLS not available", "certificate or key");
    expect_nothing("handshake");
}

static void a_dialogue_that_ends_before_starttls_is_a_problem(void **state)
{
    not_secured("no answer in time");
    facts.look.said.offers_tls = false;
    facts.look.said.clear = sample_learned(NULL);
    expect("starttls", FINDING_PROBLEM, "does not come to STARTTLS: no answer in time", "log");
    expect_exactly("greeting starttls ");
    assert_string_equal(judge().finding[0].text, "greets: 220 mx.example.org ESMTP");
    not_secured("it closed the connection"); /* STARTTLS was offered, and never answered */
    facts.look.said.offers_tls = true;
    facts.look.said.clear = sample_learned("STARTTLS");
    expect("starttls", FINDING_PROBLEM, "does not come to STARTTLS: it closed the connection",
           "log");
    not_secured("it says 421");
    snprintf(facts.look.said.answer, PROBE_TEXT, "421 4.7.0 too many of you");
    expect("starttls", FINDING_PROBLEM,
           "does not come to STARTTLS: it says 421: 421 4.7.0 too many of you", "log");
}

static void octets_behind_the_go_ahead_are_a_problem(void **state)
{
    not_secured("it talks behind its go-ahead for TLS");
    snprintf(facts.look.said.tls_answer, PROBE_TEXT, "220 go");
    facts.look.said.is_injecting = true;
    expect("starttls", FINDING_PROBLEM, "talks in the clear behind its go-ahead", "update");
}

static void failed_handshake(const char *why)
{
    not_secured(why);
    snprintf(facts.look.said.tls_answer, PROBE_TEXT, "220 go");
    facts.look.has_tls_failed = true;
}

static void a_failed_handshake_is_a_problem(void **state)
{
    struct probe_findings all;

    failed_handshake("no shared cipher");
    expect("handshake", FINDING_PROBLEM, "the handshake fails: no shared cipher", "ciphers");
    expect_exactly("greeting starttls handshake login.clear ");
    all = judge();
    assert_int_equal(find(&all, "starttls")->verdict, FINDING_OK);
    failed_handshake("not TLS");
    expect("handshake", FINDING_PROBLEM, "the handshake fails: not TLS", "--tls");
    failed_handshake("no TLS in time");
    expect("handshake", FINDING_PROBLEM, "the handshake fails: no TLS in time", "hangs");
    failed_handshake("peer sent alert \"certificate required\"");
    facts.look.wants_certificate = true;
    expect("handshake", FINDING_PROBLEM,
           "the handshake fails: peer sent alert \"certificate required\"",
           "a client's certificate");
    facts.look.reach = PROBE_SECURED; /* and failed right behind it */
    snprintf(facts.look.version, sizeof facts.look.version, "TLSv1.3");
    expect_exactly("greeting starttls handshake login.clear ");
}

static void implicit_tls_knows_no_starttls(void **state)
{
    options = sample_options(&smtp_protocol, 465);
    expect_nothing("starttls");
    expect("handshake", FINDING_OK, "TLSv1.3 with TLS_AES_256_GCM_SHA384, x25519", NULL);
    facts = (struct probe_facts){.look = {.reach = PROBE_CONNECTED, .has_tls_failed = true}};
    snprintf(facts.look.why, sizeof facts.look.why, "not TLS");
    expect("handshake", FINDING_PROBLEM, "the handshake fails: not TLS", "--tls");
    expect_exactly("handshake ");
}

static void old_versions_alone_are_a_problem(void **state)
{
    snprintf(facts.look.version, sizeof facts.look.version, "TLSv1.1");
    expect("tls.version", FINDING_PROBLEM, "has nothing better than TLSv1.1", "update");
    snprintf(facts.look.version, sizeof facts.look.version, "TLSv1.2");
    expect("tls.version", FINDING_WARNING, "has no TLSv1.3", "1.1.1");
    facts.version[PROBE_TLSV1_3].outcome = PROBE_UNDECIDED; /* for a reason of our own */
    expect_nothing("tls.version");
    snprintf(facts.look.version, sizeof facts.look.version, "TLSv1.3");
    facts.version[PROBE_TLSV1_3].outcome = PROBE_YES;
    expect_nothing("tls.version");
}

static void a_key_exchange_without_secrecy_is_a_warning(void **state)
{
    static const struct {
        const char *cipher;
        bool is_fresh;
    } row[] = {
        {"TLS_CHACHA20_POLY1305_SHA256", true}, {"ECDHE-RSA-AES128-GCM-SHA256", true},
        {"DHE-RSA-AES128-SHA", true},           {"AES256-GCM-SHA384", false},
        {"ECDH-RSA-AES128-SHA", false},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[96];

        snprintf(facts.look.cipher, sizeof facts.look.cipher, "%s", row[i].cipher);
        snprintf(text, sizeof text, "%s has no forward secrecy", row[i].cipher);
        if (row[i].is_fresh)
            expect_nothing("tls.forward_secrecy");
        else
            expect("tls.forward_secrecy", FINDING_WARNING, text, "ECDHE");
    }
}

static void old_versions_are_a_warning(void **state)
{
    expect("tls.versions", FINDING_OK, "accepts TLSv1.2, TLSv1.3", NULL);
    facts.version[PROBE_TLSV1_1].outcome = PROBE_YES;
    expect("tls.versions", FINDING_WARNING, "accepts TLSv1.1, TLSv1.2, TLSv1.3",
           "smtpd_tls_mandatory_protocols");
    facts.version[PROBE_TLSV1_1].outcome = PROBE_NO;
    facts.version[PROBE_TLSV1].outcome = PROBE_YES;
    options.port = 25;
    expect("tls.versions", FINDING_WARNING, "accepts TLSv1, TLSv1.2, TLSv1.3", "they may stay");
    options = sample_options(&imap_protocol, 143);
    expect("tls.versions", FINDING_WARNING, "accepts TLSv1, TLSv1.2, TLSv1.3", "ssl_min_protocol");
    facts.version[PROBE_TLSV1_2].outcome = PROBE_NO;
    expect("tls.versions", FINDING_WARNING, "accepts TLSv1, TLSv1.3", "ssl_min_protocol");
    facts.version[PROBE_TLSV1_3].outcome = PROBE_NO;
    expect("tls.versions", FINDING_WARNING, "accepts TLSv1", "something newer");
    facts.version[PROBE_TLSV1_2].outcome = PROBE_YES;
    expect("tls.versions", FINDING_WARNING, "accepts TLSv1, TLSv1.2", "ssl_min_protocol");
}

static void what_could_not_be_tried_is_told(void **state)
{
    facts.version[PROBE_TLSV1] = (struct probe_answer){PROBE_UNDECIDED, "not in this OpenSSL"};
    facts.version[PROBE_TLSV1_1] = (struct probe_answer){PROBE_UNDECIDED, "another reason"};
    expect("tls.versions.untried", FINDING_OK, "not known: TLSv1, TLSv1.1 (not in this OpenSSL)",
           NULL);
    for (size_t i = 0; i < PROBE_VERSIONS; i++)
        facts.version[i].outcome = PROBE_NO;
    expect_nothing("tls.versions");
    expect_nothing("tls.versions.untried");
}

static void what_goes_wrong_inside_is_a_problem(void **state)
{
    facts.look.is_good = false;
    facts.look.said.learned.is_known = false;
    snprintf(facts.look.why, sizeof facts.look.why, "it says 421");
    expect("dialogue", FINDING_PROBLEM, "does not go on inside TLS: it says 421", "log");
    snprintf(facts.look.said.answer, PROBE_TEXT, "421 later");
    expect("dialogue", FINDING_PROBLEM, "does not go on inside TLS: it says 421: 421 later", "log");
    expect_nothing("capabilities");
}

static void resumption_is_only_told(void **state)
{
    facts.resumption.outcome = PROBE_NO;
    expect("tls.resumption", FINDING_OK,
           "sessions are not resumed: each connection costs a whole handshake", NULL);
    facts.resumption = (struct probe_answer){PROBE_UNDECIDED, "no connection in time"};
    expect("tls.resumption", FINDING_OK,
           "not known whether sessions are resumed: no connection in time", NULL);
    facts.resumption.outcome = PROBE_UNTRIED;
    expect_nothing("tls.resumption");
}

/* ---- the certificate ---- */

static void expiry_is_judged_by_the_day(void **state)
{
    struct probe_certificate *c = &facts.certificate;

    expect("certificate.expiry", FINDING_OK, "its certificate is valid until 2026-01-30, 62 days",
           NULL);
    c->not_after = SAMPLE_NOW + 21 * SAMPLE_DAY;
    expect("certificate.expiry", FINDING_OK, "its certificate is valid until 2025-12-20, 21 days",
           NULL);
    c->not_after--;
    expect("certificate.expiry", FINDING_WARNING,
           "its certificate expires on 2025-12-19, in 20 days", "renew");
    options.expiry_days = 20;
    expect("certificate.expiry", FINDING_OK, "its certificate is valid until 2025-12-19, 20 days",
           NULL);
    c->not_after = SAMPLE_NOW + SAMPLE_DAY;
    expect("certificate.expiry", FINDING_WARNING, "its certificate expires on 2025-11-30, in 1 day",
           "renew");
    c->not_after = SAMPLE_NOW;
    expect("certificate.expiry", FINDING_PROBLEM,
           "its certificate expired on 2025-11-29, 0 days ago", "reload");
    c->not_after = SAMPLE_NOW + 1;
    expect("certificate.expiry", FINDING_WARNING,
           "its certificate expires on 2025-11-29, in 0 days", "renew");
    c->is_dated = false;
    expect("certificate.expiry", FINDING_PROBLEM, "its certificate has dates that cannot be read",
           "another");
    c->is_dated = true;
    c->not_after = SAMPLE_NOW - 1;
    expect("certificate.expiry", FINDING_PROBLEM,
           "its certificate expired on 2025-11-28, 0 days ago", "reload");
    c->not_after = SAMPLE_NOW - 30 * SAMPLE_DAY;
    options.port = 25;
    expect("certificate.expiry", FINDING_PROBLEM,
           "its certificate expired on 2025-10-30, 30 days ago", "renew");
}

static void a_certificate_of_tomorrow_is_a_problem(void **state)
{
    facts.certificate.not_before = SAMPLE_NOW + 1;
    facts.certificate.trust = PROBE_EXPIRED;
    expect("certificate.expiry", FINDING_PROBLEM, "its certificate is not valid before 2025-11-29",
           "clock");
    expect_nothing("certificate.trust");
    facts.certificate.not_before = SAMPLE_NOW;
    expect("certificate.trust", FINDING_PROBLEM, "a certificate above its own is out of date",
           "the chain anew");
}

static void an_expired_certificate_is_told_once(void **state)
{
    facts.certificate.not_after = SAMPLE_NOW - 1;
    facts.certificate.trust = PROBE_EXPIRED;
    expect_nothing("certificate.trust");
}

static void a_wrong_name_is_a_problem_where_people_log_in(void **state)
{
    facts.certificate.is_for_name = false;
    snprintf(facts.certificate.names, sizeof facts.certificate.names, "a.example\nb.example\n");
    expect("certificate.name", FINDING_PROBLEM,
           "its certificate is not for mx.example.org, but for a.example, b.example",
           "the name that clients use");
    options.port = 25;
    expect("certificate.name", FINDING_WARNING,
           "its certificate is not for mx.example.org, but for a.example, b.example", "MTA-STS");
    options.tls = BACKEND_TLS_IMPLICIT;
    expect("certificate.name", FINDING_PROBLEM,
           "its certificate is not for mx.example.org, but for a.example, b.example", NULL);
    options = sample_options(&imap_protocol, 143);
    expect("certificate.name", FINDING_PROBLEM,
           "its certificate is not for mx.example.org, but for a.example, b.example", NULL);
    options.servername = "192.0.2.1";
    expect("certificate.name", FINDING_WARNING,
           "its certificate is not for 192.0.2.1, but for a.example, b.example", "--servername");
}

static void names_that_are_too_many_are_counted(void **state)
{
    char *names = facts.certificate.names;
    size_t len = 0;

    facts.certificate.is_for_name = false;
    names[0] = '\0';
    expect("certificate.name", FINDING_PROBLEM,
           "its certificate is not for mx.example.org, but for nobody", NULL);
    assert_null(strstr(advice_on("certificate.name"), "one of these"));
    for (unsigned i = 0; i < 60; i++)
        len += (size_t)snprintf(names + len, sizeof facts.certificate.names - len,
                                "host%02u.example.org\n", i);
    expect("certificate.name", FINDING_PROBLEM,
           "its certificate is not for mx.example.org, but for host00.example.org, "
           "host01.example.org, "
           "host02.example.org, host03.example.org, host04.example.org, host05.example.org and 54 "
           "more",
           NULL);
    memset(names, 'a', 200);
    snprintf(names + 200, 2, "\n");
    expect("certificate.name", FINDING_PROBLEM,
           "its certificate is not for mx.example.org, but for 1 more", NULL);
}

static void a_certificate_that_nobody_vouches_for_is_a_problem(void **state)
{
    static const struct {
        enum probe_trust trust;
        const char *text, *advice;
    } row[] = {
        {PROBE_SELF_SIGNED, "its certificate is self-signed",
         "given this one, ask again with it as --ca FILE"},
        {PROBE_ISSUER_MISSING, "its chain of certificates stops short of an authority",
         "fullchain.pem, not cert.pem); missing: CN=R11. If that is an authority of your own: --ca "
         "FILE"},
        {PROBE_ISSUER_UNKNOWN, "its authority is not trusted by this system: CN=R11", "--ca FILE"},
        {PROBE_EXPIRED, "a certificate above its own is out of date", "the chain anew"},
        {PROBE_DISTRUSTED, "its certificate is not trusted: unsuitable certificate purpose",
         "--ca FILE"},
    };

    expect("certificate.trust", FINDING_OK,
           "its certificate is trusted, by the authorities of this system", NULL);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        facts.certificate.trust = row[i].trust;
        snprintf(facts.certificate.missing, PROBE_NAME_MAX, "CN=R11");
        snprintf(facts.certificate.why, sizeof facts.certificate.why,
                 "unsuitable certificate purpose");
        options.port = 587;
        expect("certificate.trust", FINDING_PROBLEM, row[i].text, row[i].advice);
        options.port = 25;
        expect("certificate.trust", FINDING_WARNING, row[i].text, NULL);
    }
    expect("certificate.trust", FINDING_WARNING, row[4].text, "MTA-STS");
}

static void a_file_of_authorities_is_named(void **state)
{
    options.ca = "our-ca.pem";
    expect("certificate.trust", FINDING_OK, "its certificate is trusted, by our-ca.pem", NULL);
    facts.certificate.trust = PROBE_ISSUER_UNKNOWN;
    snprintf(facts.certificate.missing, PROBE_NAME_MAX, "CN=R11");
    expect("certificate.trust", FINDING_PROBLEM, "its authority is not in the file of --ca: CN=R11",
           "that trust this file alone");
    facts.certificate.trust = PROBE_ISSUER_MISSING;
    expect("certificate.trust", FINDING_PROBLEM,
           "its chain of certificates stops short of an authority", "missing: CN=R11");
    assert_null(strstr(advice_on("certificate.trust"), "--ca"));
}

static void weak_keys_and_disorder_are_warnings(void **state)
{
    expect("certificate.key", FINDING_OK, "its certificate has ECDSA P-256, signed with RSA-SHA256",
           NULL);
    facts.certificate.is_weak = true;
    expect("certificate.key", FINDING_WARNING,
           "its certificate is weak: ECDSA P-256, signed with RSA-SHA256", "RSA 2048");
    facts.certificate.is_weak = false;
    facts.certificate.is_disordered = true;
    expect("certificate.chain", FINDING_WARNING, "its chain of certificates is out of order",
           "comes first");
}

static void no_certificate_at_all_is_a_problem(void **state)
{
    facts.certificate.is_shown = false;
    expect("certificate", FINDING_PROBLEM, "no certificate is shown", NULL);
    expect_nothing("certificate.name");
    options.port = 25;
    expect("certificate", FINDING_WARNING, "no certificate is shown", NULL);
}

/* ---- what is offered ---- */

static void logins_in_the_clear_are_a_warning(void **state)
{
    static const struct {
        const struct protocol *protocol;
        const char *clear, *logins; /* NULL: none */
    } row[] = {
        {&smtp_protocol, "SIZE 1\nSTARTTLS", NULL},
        {&smtp_protocol, "STARTTLS\nAUTH PLAIN LOGIN", "AUTH PLAIN LOGIN"},
        {&smtp_protocol, "STARTTLS\nAUTH CRAM-MD5", "AUTH CRAM-MD5"},
        {&imap_protocol, "IMAP4rev1\nSTARTTLS\nLOGINDISABLED", NULL},
        {&imap_protocol, "IMAP4rev1\nSTARTTLS\nLOGINDISABLED\nAUTH=CRAM-MD5", NULL},
        {&imap_protocol, "IMAP4rev1\nSTARTTLS", "LOGIN"},
        {&imap_protocol, "STARTTLS\nLOGINDISABLED\nAUTH=PLAIN\nAUTH=SCRAM-SHA-1", "AUTH=PLAIN"},
        {&imap_protocol, "STARTTLS\nAUTH=LOGIN\nAUTH=XOAUTH2\nAUTH=OAUTHBEARER",
         "LOGIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER"},
        {&pop3_protocol, "STLS\nUIDL", NULL},
        {&pop3_protocol, "STLS\nSASL CRAM-MD5", NULL},
        {&pop3_protocol, "STLS\nUSER\nSASL PLAIN CRAM-MD5 LOGIN", "USER SASL PLAIN LOGIN"},
        {&pop3_protocol, "STLS\nSASL CRAM-MD5 XOAUTH2 PLAIN", "SASL XOAUTH2 PLAIN"},
        {&pop3_protocol, "STLS\nSASL", NULL},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[128];

        options = sample_options(row[i].protocol, row[i].protocol->clear_port);
        facts.look.said.clear = sample_learned(row[i].clear);
        facts.look.said.learned = sample_learned(row[i].clear);
        /* not what this is about */
        facts.look.said.learned
            .text[strstr(facts.look.said.learned.text, "ST") - facts.look.said.learned.text] = 'X';
        snprintf(text, sizeof text, "offers logins before TLS: %s", row[i].logins);
        facts.look.is_good = true;
        if (row[i].logins == NULL)
            expect("login.clear", FINDING_OK, "offers no login before TLS", NULL);
        else
            expect("login.clear", FINDING_WARNING, text,
                   row[i].protocol == &smtp_protocol ? "smtpd_tls_auth_only" : "Dovecot");
    }
    facts.look.said.clear.is_known = false;
    expect_nothing("login.clear");
}

static void too_many_mechanisms_are_cut(void **state)
{
    const struct probe_finding *f;
    struct probe_findings all;

    facts.look.said.clear = sample_learned(
        "AUTH MECHANISM-0123456789 MECHANISM-0123456788 MECHANISM-0123456787 "
        "MECHANISM-0123456786 MECHANISM-0123456785 MECHANISM-0123456784 MECHANISM-0123456783 "
        "MECHANISM-0123456782");
    all = judge();
    f = find(&all, "login.clear");
    assert_non_null(strstr(f->text, "MECHANISM-0123456783"));
    assert_null(strstr(f->text, "MECHANISM-0123456782"));
}

static void what_is_gone_inside_tls_is_told(void **state)
{
    expect_nothing("capabilities.lost");
    facts.look.said.learned = sample_learned("SIZE 5");
    expect("capabilities.lost", FINDING_OK, "no longer offered inside TLS: PIPELINING", NULL);
    options = sample_options(&imap_protocol, 143);
    facts.look.said.clear =
        sample_learned("IMAP4rev1\nSTARTTLS\nLOGINDISABLED\nAUTH=CRAM-MD5\nIDLE\nID");
    facts.look.said.learned = sample_learned("IMAP4rev1");
    expect("capabilities.lost", FINDING_OK, "no longer offered inside TLS: IDLE ID", NULL);
    options = sample_options(&pop3_protocol, 110);
    facts.look.said.clear = sample_learned("STLS\nUIDL");
    facts.look.said.learned = sample_learned("UIDL");
    expect_nothing("capabilities.lost");
    facts.look.said.clear.is_known = false;
    facts.look.said.learned = sample_learned("TOP");
    expect_nothing("capabilities.lost");
}

static void starttls_inside_tls_is_a_warning(void **state)
{
    facts.look.said.learned = facts.look.said.clear;
    expect("starttls.inside", FINDING_WARNING, "offers STARTTLS inside TLS too", "update");
    options = sample_options(&pop3_protocol, 110);
    facts.look.said.clear = facts.look.said.learned = sample_learned("STLS");
    expect("starttls.inside", FINDING_WARNING, "offers STLS inside TLS too", "update");
}

static void a_server_that_does_not_say_what_it_offers_is_warned_of(void **state)
{
    facts.look.said.learned.is_known = false;
    expect("capabilities", FINDING_WARNING, "does not say what it offers inside TLS", "log");
    snprintf(facts.look.said.answer, PROBE_TEXT, "450 later");
    expect("capabilities", FINDING_WARNING, "does not say what it offers inside TLS: 450 later",
           "log");
}

/* ---- further visits ---- */

static void injected_commands_are_judged_by_their_fate(void **state)
{
    static const struct {
        enum probe_fate fate;
        enum finding verdict;
        const char *at_once, *behind;
    } row[] = {
        {PROBE_FATE_EXECUTED, FINDING_PROBLEM,
         "a command sent in one segment with STARTTLS is executed inside TLS (CVE-2011-0411)",
         "a command sent between STARTTLS and the handshake is executed inside TLS "
         "(CVE-2011-0411)"},
        {PROBE_FATE_IN_CLEAR, FINDING_PROBLEM,
         "a command sent in one segment with STARTTLS is answered in the clear",
         "a command sent between STARTTLS and the handshake is answered in the clear"},
        {PROBE_FATE_FORGOTTEN, FINDING_OK,
         "a command sent in one segment with STARTTLS is forgotten",
         "a command sent between STARTTLS and the handshake is forgotten"},
        {PROBE_FATE_REFUSED, FINDING_OK,
         "a command sent in one segment with STARTTLS ends the session",
         "a command sent between STARTTLS and the handshake ends the session"},
        {PROBE_FATE_UNDECIDED, FINDING_WARNING,
         "not known what becomes of a command sent in one segment with STARTTLS: refused",
         "not known what becomes of a command sent between STARTTLS and the handshake: refused"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        facts.at_once = (struct probe_injection_facts){row[i].fate, "refused"};
        facts.behind.fate = PROBE_FATE_UNTRIED;
        expect("injection.at_once", row[i].verdict, row[i].at_once, NULL);
        expect_nothing("injection.behind");
        facts.behind = facts.at_once;
        facts.at_once.fate = PROBE_FATE_UNTRIED;
        expect("injection.behind", row[i].verdict, row[i].behind, NULL);
        expect_nothing("injection.at_once");
    }
}

static void the_neighbour_is_only_told(void **state)
{
    expect("implicit", FINDING_OK, "TLS from the first octet works on port 465", NULL);
    facts.implicit.outcome = PROBE_NO;
    expect("implicit", FINDING_OK, "nothing listens on port 465", NULL);
    facts.implicit = (struct probe_answer){PROBE_UNDECIDED, "no connection in time"};
    expect("implicit", FINDING_OK, "no TLS from the first octet on port 465: no connection in time",
           NULL);
}

static void an_open_relay_is_a_problem(void **state)
{
    expect_nothing("relay");
    snprintf(facts.relay_answer, PROBE_TEXT, "an answer");
    facts.relay = PROBE_RELAY_ACCEPTED;
    expect("relay", FINDING_PROBLEM, "relays for this machine: an answer", "mynetworks");
    facts.relay = PROBE_RELAY_REFUSED;
    expect("relay", FINDING_OK, "does not relay for this machine: an answer", NULL);
    facts.relay = PROBE_RELAY_UNKNOWN;
    expect("relay", FINDING_WARNING, "may relay for this machine or not: an answer", "strangers");
}

static void an_accepted_proxy_header_is_a_warning(void **state)
{
    expect_nothing("proxy");
    facts.proxy_v1.outcome = facts.proxy_v2.outcome = PROBE_NO;
    expect("proxy", FINDING_OK, "takes no PROXY header from this machine", NULL);
    facts.proxy_v1.outcome = PROBE_YES;
    expect("proxy", FINDING_WARNING, "takes a PROXY header from this machine (v1)",
           "load balancer");
    facts.proxy_v2.outcome = PROBE_YES;
    expect("proxy", FINDING_WARNING, "takes a PROXY header from this machine (v1 and v2)", NULL);
    facts.proxy_v1.outcome = PROBE_UNTRIED;
    expect("proxy", FINDING_WARNING, "takes a PROXY header from this machine (v2)", NULL);
    facts.proxy_v2 = (struct probe_answer){PROBE_UNDECIDED, "why"};
    expect("proxy", FINDING_OK, "not known whether it takes a PROXY header: why", NULL);
    facts.proxy_v1 = (struct probe_answer){PROBE_UNDECIDED, "first"};
    expect("proxy", FINDING_OK, "not known whether it takes a PROXY header: first", NULL);
    facts.proxy_v1.outcome = PROBE_UNTRIED;
    facts.proxy_v2.outcome = PROBE_NO;
    expect("proxy", FINDING_OK, "takes no PROXY header from this machine", NULL);
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_good_server_is_good),
        CASE(nothing_that_was_not_asked_is_told),
        CASE(nobody_there_is_a_problem),
        CASE(an_address_without_a_way_to_it_is_a_problem_alone),
        CASE(silence_is_a_problem),
        CASE(silence_inside_implicit_tls_has_a_handshake),
        CASE(another_protocol_is_a_problem),
        CASE(a_greeting_that_refuses_is_a_problem),
        CASE(a_greeting_is_shown_without_capabilities),
        CASE(a_server_behind_proxy_says_so),
        CASE(no_starttls_is_a_problem),
        CASE(a_refused_starttls_is_a_problem),
        CASE(a_dialogue_that_ends_before_starttls_is_a_problem),
        CASE(octets_behind_the_go_ahead_are_a_problem),
        CASE(a_failed_handshake_is_a_problem),
        CASE(implicit_tls_knows_no_starttls),
        CASE(old_versions_alone_are_a_problem),
        CASE(a_key_exchange_without_secrecy_is_a_warning),
        CASE(old_versions_are_a_warning),
        CASE(what_could_not_be_tried_is_told),
        CASE(what_goes_wrong_inside_is_a_problem),
        CASE(resumption_is_only_told),
        CASE(expiry_is_judged_by_the_day),
        CASE(a_certificate_of_tomorrow_is_a_problem),
        CASE(an_expired_certificate_is_told_once),
        CASE(a_wrong_name_is_a_problem_where_people_log_in),
        CASE(names_that_are_too_many_are_counted),
        CASE(a_certificate_that_nobody_vouches_for_is_a_problem),
        CASE(a_file_of_authorities_is_named),
        CASE(weak_keys_and_disorder_are_warnings),
        CASE(no_certificate_at_all_is_a_problem),
        CASE(logins_in_the_clear_are_a_warning),
        CASE(too_many_mechanisms_are_cut),
        CASE(what_is_gone_inside_tls_is_told),
        CASE(starttls_inside_tls_is_a_warning),
        CASE(a_server_that_does_not_say_what_it_offers_is_warned_of),
        CASE(injected_commands_are_judged_by_their_fate),
        CASE(the_neighbour_is_only_told),
        CASE(an_open_relay_is_a_problem),
        CASE(an_accepted_proxy_header_is_a_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
