/* SPDX-License-Identifier: ISC */
/* Rules about the way to a backend, and what follows from its keys together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/loading.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Seven lines, and six. */
#define TLS      SERVICE "backend_tls = starttls\n"
#define IMAP     "[service mb]\nprotocol = imap\nlisten = *:1143\nbackend = 192.0.2.10:143\n# .\n# .\n"
#define DEFAULTS "[defaults]\nbackend_policy = opportunistic\n"

#define IN_PLAINTEXT                                                                               \
    ": means nothing with `backend_tls = none`: the backend is spoken to in plaintext; write "     \
    "`backend_tls = starttls` or `implicit`, or remove the line"
#define NOT_VERIFIED                                                                               \
    ": means nothing with `backend_policy = opportunistic`: a backend that may answer in "         \
    "plaintext is not verified; write `backend_policy = enforced`, or remove the line"
#define NO_CHAIN                                                                                   \
    ": means nothing with this `backend_verify`: nobody would ask who issued a certificate; "      \
    "write `backend_verify = full` or `chain`, or remove the line"
#define NO_PIN                                                                                     \
    ": means nothing with another `backend_verify`: nobody would compare it; write "               \
    "`backend_verify = fingerprint`, or remove the line"
#define FRONT_KEY(path)                                                                            \
    ": " path " holds the key of a `certificate`, and the process that asks backends whether "     \
    "they are well must not have that; use a certificate and key of its own towards backends"
#define FAMILY(line, address)                                                                      \
    "a.ini:" line ": [service mx] backend: with `identity = transparent` no client can be "        \
    "brought to `" address "`: it is of another family than every `listen`; listen on an "         \
    "address of its family too, or write another `identity`"
#define EVERYBODY(line, network)                                                                   \
    "a.ini:" line ": [service mx] accept_proxy: with `" network "` everybody can claim to be "     \
    "any client; name the load balancers alone, unless nobody else can connect"

static const struct row refused[] = {
    ROW(SERVICE "backend_policy = enforced\n", "a.ini:7: [service mx] backend_policy" IN_PLAINTEXT),
    ROW(SERVICE "backend_verify = none\n", "a.ini:7: [service mx] backend_verify" IN_PLAINTEXT),
    ROW(SERVICE "backend_ca = ca.pem\n", "a.ini:7: [service mx] backend_ca" IN_PLAINTEXT),
    ROW(SERVICE "backend_name = b\n", "a.ini:7: [service mx] backend_name" IN_PLAINTEXT),
    ROW(SERVICE "backend_fingerprint = key-sha256:" HEX "\n",
        "a.ini:7: [service mx] backend_fingerprint" IN_PLAINTEXT),
    ROW(SERVICE "backend_certificate = c.pem\n",
        "a.ini:7: [service mx] backend_certificate" IN_PLAINTEXT),
    ROW(SERVICE "backend_min_tls = TLSv1.3\n",
        "a.ini:7: [service mx] backend_min_tls" IN_PLAINTEXT),
    ROW(SERVICE "backend_ciphers = ALL\n", "a.ini:7: [service mx] backend_ciphers" IN_PLAINTEXT),
    ROW(TLS "backend_certificate = a.pem\nbackend_certificate = b.pem\n",
        "a.ini:9: [service mx] backend_certificate: given before, in line 8, and it is no list; "
        "remove one of the two"),
    /* what nobody would look at */
    ROW(TLS "backend_policy = opportunistic\nbackend_verify = full\n",
        "a.ini:9: [service mx] backend_verify" NOT_VERIFIED),
    ROW(TLS "backend_policy = opportunistic\nbackend_verify = none\n",
        "a.ini:9: [service mx] backend_verify" NOT_VERIFIED),
    ROW(TLS "backend_policy = opportunistic\nbackend_ca = ca.pem\n",
        "a.ini:9: [service mx] backend_ca" NOT_VERIFIED),
    ROW(DEFAULTS TLS "backend_verify = full\n",
        "a.ini:10: [service mx] backend_verify" NOT_VERIFIED),
    ROW(DEFAULTS "backend_verify = chain\n" TLS,
        "a.ini:3: [service mx] backend_verify" NOT_VERIFIED),
    ROW(TLS "backend_verify = none\nbackend_ca = ca.pem\n",
        "a.ini:9: [service mx] backend_ca" NO_CHAIN),
    ROW(TLS "backend_verify = fingerprint\nbackend_fingerprint = cert-sha256:" HEX
            "\nbackend_ca = ca.pem\n",
        "a.ini:10: [service mx] backend_ca" NO_CHAIN),
    ROW(TLS "backend_fingerprint = cert-sha256:" HEX "\n",
        "a.ini:8: [service mx] backend_fingerprint" NO_PIN),
    ROW(TLS "backend_verify = none\nbackend_fingerprint = cert-sha256:" HEX "\n",
        "a.ini:9: [service mx] backend_fingerprint" NO_PIN),
    ROW(TLS "backend_verify = fingerprint\n",
        "a.ini:1: [service mx] backend_fingerprint: required, and not written; write it here or "
        "under [defaults] (`starttlsd check --explain` tells what it takes)"),
    /* the front's keys */
    ROW(TLS "backend_certificate = mail.pem\n",
        "a.ini:8: [service mx] backend_certificate" FRONT_KEY("mail.pem")),
    ROW(TLS "certificate = c.pem k.pem\nbackend_certificate = b.pem k.pem\n",
        "a.ini:9: [service mx] backend_certificate" FRONT_KEY("k.pem")),
    ROW(TLS "backend_ca = mail.pem\n", "a.ini:8: [service mx] backend_ca" FRONT_KEY("mail.pem")),
    ROW("[service a]\nprotocol = imap\nlisten = [::1]:1143\nbackend = b:1\nbackend_tls = implicit\n"
        "backend_certificate = b.pem mail.pem\ntls = none\n" SERVICE,
        "a.ini:6: [service a] backend_certificate" FRONT_KEY("mail.pem")),
    /* who the client is */
    ROW(SERVICE "identity = id\n",
        "a.ini:7: [service mx] identity: `id` cannot be said with `protocol = smtp`; write "
        "`identity = xclient`, or `proxy-v2`"),
    ROW("[defaults]\nidentity = xclient\ncertificate = mail.pem\n" IMAP,
        "a.ini:2: [service mb] identity: `xclient` cannot be said with `protocol = imap`; write "
        "`identity = id`, or `proxy-v2`"),
    ROW(SERVICE "identity = transparent\nbackend_source = 192.0.2.1\n",
        "a.ini:8: [service mx] backend_source: means nothing with `identity = transparent`: "
        "backends are connected from the client's own address; remove the line, or write another "
        "`identity`"),
    ROW(SERVICE "identity = transparent\nbackend = b:25 [2001:db8::1]:25\n",
        FAMILY("8", "[2001:db8::1]:25")),
    ROW("[service mx]\nprotocol = smtp\nlisten = [::]:25 [::1]:26\nbackend = 192.0.2.10:25\n"
        "certificate = mail.pem\nidentity = transparent\n",
        FAMILY("4", "192.0.2.10:25")),
};

static const struct row warned[] = {
    ROW(TLS "backend_min_tls = TLSv1\n",
        "a.ini:8: [service mx] backend_min_tls: below TLSv1.2, so that a backend may use the weak "
        "ciphers of the profile `old` too; fine for a server that knows no better; else remove "
        "the line"),
    ROW(SERVICE "identity = transparent\nbackend = 127.0.0.1:25\n",
        "a.ini:8: [service mx] backend: with `identity = transparent` the answers of "
        "`127.0.0.1:25` go to the client's address, and come back only where the system routes "
        "them to itself; write `identity = proxy-v2` if the backend understands it"),
    ROW(SERVICE "accept_proxy = unix\n",
        "a.ini:7: [service mx] accept_proxy: `unix` has no effect: the service listens on no UNIX "
        "socket; take `unix` out of the list"),
    ROW(SERVICE "accept_proxy = 0.0.0.0/0\n", EVERYBODY("7", "0.0.0.0/0")),
    ROW("[defaults]\naccept_proxy = ::/0\n" SERVICE, EVERYBODY("2", "::/0")),
};

static void contradictions_are_refused(void **state)
{
    each_is_answered(refused, sizeof(refused) / sizeof(refused[0]), true);
}

static void what_has_no_effect_is_warned_of(void **state)
{
    each_is_answered(warned, sizeof(warned) / sizeof(warned[0]), false);
}

static void what_is_well_is_not_complained_of(void **state)
{
    static const struct span texts[] = {
        SPAN(TLS "backend_name = b.example\nbackend_min_tls = TLSv1.3\nbackend_ciphers = ALL\n"
                 "backend_certificate = c.pem\nbackend_ca = ca.pem\n"),
        SPAN(TLS "backend_verify = none\nbackend_name = b.example\n"),
        SPAN(TLS "backend_policy = opportunistic\nbackend_name = b.example\n"),
        /* A chain that is not secret: its key is in another file. */
        SPAN(TLS "certificate = c.pem k.pem\nbackend_ca = c.pem\n"),
        SPAN(SERVICE "identity = transparent\nbackend = b:25\naccept_proxy = 2001:db8::1\n"
                     "backend = [2001:db8::1]:25\n"),
        SPAN("[service mx]\nprotocol = smtp\nlisten = *:25\nbackend = 192.0.2.10:25\n"
             "backend = [2001:db8::1]:25\ncertificate = mail.pem\nidentity = transparent\n"),
        /* What [defaults] says is meant for those whom it fits. */
        SPAN("[defaults]\nbackend_verify = fingerprint\nbackend_fingerprint = key-sha256:" HEX "\n"
             "backend_certificate = c.pem\nbackend_source = ::1\ncertificate = mail.pem\n"
             "protocol = smtp\nbackend = b:25\nidentity = xclient\n"
             "[service a]\nlisten = *:25\n"
             "[service b]\nlisten = *:26\nbackend_tls = implicit\n"
             "[service c]\nlisten = *:27\nbackend_tls = implicit\nbackend_policy = opportunistic\n"
             "[service d]\nlisten = *:28\nbackend_tls = implicit\nbackend_verify = full\n"
             "[service e]\nlisten = *:29\nidentity = transparent\n"
             "[service f]\nlisten = *:30\nprotocol = pop3\n"),
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct run r = load_text(texts[i]);

        diagnosis_print(r.d, stderr);
        assert_non_null(r.config);
        assert_int_equal(diagnosis_count(r.d), 0);
        end(r);
    }
}

static void a_service_has_64_backends(void **state)
{
    for (int count = 64; count <= 65; count++) {
        char text[4096];
        int len = snprintf(text, sizeof(text), "%s", SERVICE);
        bool is_error;
        struct run r;

        for (int i = 1; i < count; i++) /* there is one in line 4 */
            len += snprintf(text + len, sizeof(text) - (size_t)len, "backend = b%d:25\n", i);
        r = load_text((struct span){text, (size_t)len});
        assert_int_equal(r.config == NULL, count > 64);
        if (r.config == NULL)
            assert_string_equal(diagnosis_line(r.d, 0, &is_error),
                                "a.ini:70: [service mx] backend: more than 64 backends; give "
                                "several machines one name: its addresses are all used");
        end(r);
    }
}

/* What modules are told is what all keys together mean. */
static void what_is_promised_is_what_is_done(void **state)
{
    static const struct {
        struct span text;
        bool is_enforced, is_verified, tells;
        enum backend_verify verify;
        enum relay relay;
    } rows[] = {
        {SPAN(SERVICE), false, false, false, BACKEND_VERIFY_NONE, RELAY_BACKEND},
        {SPAN(TLS), true, true, false, BACKEND_VERIFY_FULL, RELAY_BACKEND},
        {SPAN(TLS "backend_verify = chain\n"), true, true, false, BACKEND_VERIFY_CHAIN,
         RELAY_BACKEND},
        {SPAN(TLS "backend_verify = fingerprint\nbackend_fingerprint = key-sha256:" HEX "\n"), true,
         true, false, BACKEND_VERIFY_FINGERPRINT, RELAY_BACKEND},
        {SPAN(TLS "backend_verify = none\n"), true, false, false, BACKEND_VERIFY_NONE,
         RELAY_BACKEND},
        {SPAN(TLS "backend_policy = opportunistic\n"), false, false, false, BACKEND_VERIFY_NONE,
         RELAY_BACKEND},
        /* who tells of its clients need not guard their recipients */
        {SPAN("[service mx]\nprotocol = smtp\nlisten = *:25\nbackend = b:25\ntls = none\n"
              "identity = xclient\n"),
         false, false, true, BACKEND_VERIFY_NONE, RELAY_BACKEND},
        {SPAN("[service mx]\nprotocol = smtp\nlisten = *:25\nbackend = b:25\ntls = none\n"
              "identity = proxy-v1\n"),
         false, false, false, BACKEND_VERIFY_NONE, RELAY_BACKEND},
        {SPAN("[service mx]\nprotocol = smtp\nlisten = *:25\nbackend = b:25\ntls = none\n"
              "identity = proxy-v2\nrelay = login\n"),
         false, false, false, BACKEND_VERIFY_NONE, RELAY_LOGIN},
        {SPAN(IMAP "tls = none\nidentity = id\n"), false, false, true, BACKEND_VERIFY_NONE,
         RELAY_UNSET},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run r = load_text(rows[i].text);
        const struct service *s;

        assert_non_null(r.config);
        s = &r.config->service[0];
        assert_int_equal(s->policy.is_backend_enforced, rows[i].is_enforced);
        assert_int_equal(s->policy.is_backend_verified, rows[i].is_verified);
        assert_int_equal(s->policy.tells_identity, rows[i].tells);
        assert_int_equal(s->backend_verify, rows[i].verify);
        assert_int_equal(s->policy.relay, rows[i].relay);
        end(r);
    }
}

/* Files and pins that a service has from [defaults] and no use for. */
static void what_nobody_uses_nobody_has(void **state)
{
    static const struct span text =
        SPAN("[defaults]\nprotocol = imap\nbackend = b:143\ntls = none\nbackend_source = ::1\n"
             "backend_certificate = c.pem\nbackend_ca = ca.pem\n"
             "backend_fingerprint = key-sha256:" HEX "\n"
             "[service a]\nlisten = 127.0.0.1:1\n"
             "[service b]\nlisten = 127.0.0.1:2\nidentity = transparent\n");
    struct run r = load_text(text);
    enum config_file_kind kind;
    struct origin origin;

    assert_non_null(r.config);
    for (size_t i = 0; i < 2; i++) {
        const struct service *s = &r.config->service[i];

        assert_int_equal(s->backend_certificate_count, 0);
        assert_int_equal(s->backend_fingerprint_count, 0);
        assert_null(s->backend_ca);
        assert_int_equal(s->backend_source_v6 == NULL, i == 1);
    }
    assert_int_equal(config_file_count(r.config), 1);
    assert_string_equal(config_file_at(r.config, 0, &kind, &origin), "a.ini");
    end(r);
}

static void who_asks_hears_that_clients_are_one_to_the_backend(void **state)
{
    static const char crowd[] =
        "[service mx] identity: the backend sees every client come from starttlsd's own address: "
        "its limits and bans by address count all of them as one; choose how the backend is told "
        "of them, or write `identity = none` if that is meant";
    static const struct {
        struct span text;
        bool is_warned;
    } rows[] = {
        {SPAN(IMAP "tls = none\n"), true},
        {SPAN("[defaults]\nidentity = none\n" IMAP "tls = none\n"), false},
        {SPAN(IMAP "tls = none\nidentity = proxy-v2\n"), false},
        {SPAN(SERVICE), false}, /* only this machine can connect */
        {SPAN(SERVICE "listen = 192.0.2.1:25\n"), true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run r = load_text(rows[i].text);
        size_t before = diagnosis_count(r.d);
        bool is_error = true, was_found = false;

        assert_non_null(r.config);
        config_advise(r.config, r.d);
        assert_int_equal(diagnosis_count(r.d) - before, rows[i].is_warned);
        for (size_t k = 0; k < diagnosis_count(r.d); k++) {
            const char *line = diagnosis_line(r.d, k, &is_error);

            was_found = was_found || strstr(line, strchr(crowd, ']')) != NULL;
            assert_false(is_error);
        }
        assert_int_equal(was_found, rows[i].is_warned);
        end(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(what_has_no_effect_is_warned_of),
        cmocka_unit_test(what_is_well_is_not_complained_of),
        cmocka_unit_test(a_service_has_64_backends),
        cmocka_unit_test(what_is_promised_is_what_is_done),
        cmocka_unit_test(what_nobody_uses_nobody_has),
        cmocka_unit_test(who_asks_hears_that_clients_are_one_to_the_backend),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
