/* SPDX-License-Identifier: ISC */
/* A configuration printed, and the table of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/schema.h"
#include "tests/unit/loading.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *dump(const struct config *config)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    config_dump(config, to);
    fclose(to);
    return text;
}

static void a_dump_loads_again_to_the_same(void **state)
{
    static const struct span texts[] = {
        SPAN(SERVICE),
        SPAN(SERVICE "min_tls = TLSv1\nmax_tls = TLSv1.3\ngreeting = hello = you\nhostname = x\n"
                     "hide_capabilities = A B\nmax_errors = off\nidle_timeout = off\n"
                     "handshake_timeout = 1500ms\ntls_profile = old\n"
                     "certificate = c.pem k.pem p\ncertificate = c.pem c.pem p\nbackend = b:1 c:2\n"
                     "[starttlsd]\nworkers = 3\nuser = u\ngroup = g\nchroot = /var/empty\n"
                     "hostname = y\nlog = syslog:local3\nlog_format = json\nlog_level = debug\n"
                     "control = off\nmax_sessions = 99\ndrain_timeout = 0s\n"),
        SPAN("[service mx]\nprotocol = smtp\nlisten = 127.0.0.1:2525\nbackend = 192.0.2.10:25\n"
             "certificate = mail.pem\nrelay = example.com example.net\n"
             "[starttlsd]\nlog = /var/log/x\n"),
        SPAN(SERVICE "policy = opportunistic\nplaintext_auth = allow\nbare_newline = pass\n"
                     "max_auth_failures = off\nlogin_timeout = off\nmax_sessions = 7\n"
                     "backend_max_connections = 7\ncapabilities = A=B,C D\nallow_commands = XADR\n"
                     "allow = 0.0.0.0/0 ::ffff:192.0.2.0/120\ndeny = 192.0.2.1 ::/0 ::1\n"),
        SPAN(SERVICE "balance = leastconn\nbackend_tls = starttls\nbackend_ca = ca.pem\n"
                     "backend_verify = chain\nbackend_name = b.example\n"
                     "backend_certificate = c.pem c.pem p\nbackend_min_tls = TLSv1\n"
                     "backend_ciphers = A:B C\nbackend_ciphers = @SECLEVEL=0\n"
                     "backend_source = ::1 192.0.2.1\nidentity = proxy-v1\n"
                     "accept_proxy = unix 192.0.2.0/24\n"),
        SPAN(SERVICE "backend_tls = implicit\nbackend_policy = opportunistic\n"
                     "identity = transparent\naccept_proxy = ::1\n"),
        SPAN("[defaults]\nbackend_ca = ca.pem\nbackend_certificate = k.pem\n"
             "backend_policy = opportunistic\nbackend_fingerprint = key-sha256:" HEX "\n"
             "protocol = smtp\nbackend = b:25\ncertificate = c.pem\nidentity = xclient\n"
             "[service a]\nlisten = 127.0.0.1:1\nbackend_tls = implicit\n"
             "backend_policy = enforced\nbackend_verify = fingerprint\n"
             "backend_fingerprint = key-sha256:" HEX " cert-sha256:" HEX "\n"
             "[service b]\nlisten = 127.0.0.1:2\nbackend_tls = starttls\n"
             "[service c]\nlisten = 127.0.0.1:3\n"),
        SPAN("[defaults]\nprotocol = smtp\nbackend = b:25\nrelay = login\ncertificate = c.pem\n"
             "policy = opportunistic\nplaintext_auth = allow\nmin_tls = TLSv1.3\n"
             "[service a]\ntls = implicit\nlisten = 127.0.0.1:1\n"
             "[service b]\ntls = none\nlisten = 127.0.0.1:2\n"),
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct run first = load_text(texts[i]), second;
        char *one, *two;

        assert_non_null(first.config);
        one = dump(first.config);
        second = load_text(span_of(one));
        diagnosis_print(second.d, stderr);
        assert_non_null(second.config);
        two = dump(second.config);
        assert_string_equal(one, two);
        free(one);
        free(two);
        end(first);
        end(second);
    }
}

static void every_key_is_explained(void **state)
{
    const struct key *key;
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        assert_true(config_explain(key->name, to, to));
        assert_true(key->is_required || key->preset != NULL || key->preset_note != NULL);
        assert_false(key_comes_later(key->section, key->name));
        assert_true(key->help[strlen(key->help) - 1] == '.');
    }
    config_reference(to);
    fclose(to);
    free(text);
}

static void the_defaults_of_protocols_are_explained(void **state)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    assert_true(config_explain("login_timeout", to, to));
    fclose(to);
    assert_non_null(strstr(text, "\n  default: `60s`; `5m` with `protocol = smtp`\n"));
    free(text);
}

static void a_slip_in_explain_is_answered_with_the_nearest_key(void **state)
{
    static const struct {
        const char *key, *answer;
    } rows[] = {
        {"worker", "worker: unknown key; did you mean `workers`?\n"},
        {"backends", "backends: unknown key; did you mean `backend`?\n"},
        {"metrics", "metrics: this key comes with a later version of starttlsd\n"},
        {"wibble", "wibble: unknown key; `starttlsd check --reference` lists all\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = NULL;
        size_t len;
        FILE *to = open_memstream(&text, &len);

        assert_non_null(to);
        assert_false(config_explain(rows[i].key, to, to));
        fclose(to);
        assert_string_equal(text, rows[i].answer);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_loads_again_to_the_same),
        cmocka_unit_test(every_key_is_explained),
        cmocka_unit_test(the_defaults_of_protocols_are_explained),
        cmocka_unit_test(a_slip_in_explain_is_answered_with_the_nearest_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
