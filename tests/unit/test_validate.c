/* SPDX-License-Identifier: ISC */
/* Rules between keys: what contradicts is refused, what means nothing is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/loading.h"

/* Six lines, without `listen` and `relay`. */
#define BARE                                                                                       \
    "[service mx]\nprotocol = smtp\nbackend = 192.0.2.10:25\ncertificate = mail.pem\n# .\n# .\n"

#define NEEDS_STARTTLS(tls)                                                                        \
    "means nothing with `tls = " tls "`: it is about clients that have not started TLS yet; "      \
    "remove the line, or write `tls = starttls`"
#define NO_EFFECT_ENFORCED                                                                         \
    "a.ini:7: [service mx] plaintext_auth: has no effect: with `policy = enforced` nothing is "    \
    "done for a client before it has started TLS; remove the line, or write `policy = "            \
    "opportunistic`"
#define NO_EFFECT_CAPABILITIES                                                                     \
    "capabilities: has no effect: it is for clients that have not started TLS, with `policy = "    \
    "opportunistic`; remove the line; `hide_capabilities` takes out what the backend announces"
#define NEVER_PASSES(line, words)                                                                  \
    "a.ini:" line ": [service mx] allow_commands: " words "; take it out of the list"
#define READABLE(address)                                                                          \
    "listen: with `tls = none` passwords and mail can be read on their way to `" address "`; "     \
    "listen on 127.0.0.1 or [::1], or write another `tls`"
#define DENIED(inner, outer)                                                                       \
    "allow: `" inner "` is never let in: `deny` has " outer ", and wins; with `allow` all others " \
    "are closed anyway; take that out of `deny`"

#define NO_DOMAIN(word)                                                                            \
    "relay: `" word "` is taken for a domain: mail for USER@" word " passes; write domains in "    \
    "full, as in example.com, or `login`, or `backend`"

static const struct row refused[] = {
    /* what is required */
    ROW("[service mx]\nprotocol = smtp\nlisten = *:2525\nbackend = b:25\nrelay = backend\n",
        "a.ini:1: [service mx] certificate: required, and not written; write it here or under "
        "[defaults] (`starttlsd check --explain` tells what it takes)"),
    ROW("[service mx]\nprotocol = smtp\nlisten = *:465\nbackend = b:25\nrelay = backend\n"
        "tls = implicit\n",
        "a.ini:1: [service mx] certificate: required, and not written; write it here or under "
        "[defaults] (`starttlsd check --explain` tells what it takes)"),
    ROW("[service mx]\nprotocol = smtp\nlisten = *:2525\nbackend = b:25\ncertificate = m.pem\n",
        "a.ini:1: [service mx] relay: required, and not written: the backend sees every client "
        "come from starttlsd's own address, and a backend that trusts this address would send "
        "anybody's mail to anywhere (an open relay); write `relay = login` where your users hand "
        "in their mail (ports 587 and 465), your domains where others send mail to you (port 25: "
        "relay = example.com example.net), or `relay = backend` if the backend relays nothing for "
        "starttlsd's address"),
    /* what means nothing */
    ROW(SERVICE "tls = implicit\npolicy = opportunistic\n",
        "a.ini:8: [service mx] policy: " NEEDS_STARTTLS("implicit")),
    ROW(SERVICE "tls = implicit\npolicy = enforced\n",
        "a.ini:8: [service mx] policy: " NEEDS_STARTTLS("implicit")),
    ROW("[defaults]\ncertificate = d.pem\nrelay = login\n[service mx]\nprotocol = smtp\n"
        "backend = b:25\nlisten = 127.0.0.1:1\ntls = none\nplaintext_auth = allow\n",
        "a.ini:9: [service mx] plaintext_auth: " NEEDS_STARTTLS("none")),
    ROW("[defaults]\ntls = implicit\n" SERVICE "policy = enforced\n",
        "a.ini:9: [service mx] policy: " NEEDS_STARTTLS("implicit")),
    /* commands */
    ROW(SERVICE "allow_commands = XADR XCLIENT\n",
        NEVER_PASSES("7", "`XCLIENT` claims to come from another client")),
    ROW(SERVICE "allow_commands = XADR\nallow_commands = x-anonymoustls\n",
        NEVER_PASSES("8", "`x-anonymoustls` begins a TLS of its own inside the session")),
    ROW(SERVICE "allow_commands = Bdat\n",
        NEVER_PASSES("7", "`Bdat` is a command that starttlsd itself deals with")),
    ROW("[defaults]\nallow_commands = TURN\n" SERVICE,
        NEVER_PASSES("2", "`TURN` makes the client the server (RFC 5321, appendix F.1)")),
    /* versions and tickets */
    ROW(SERVICE "min_tls = TLSv1.3\nmax_tls = TLSv1.2\n",
        "a.ini:8: [service mx] max_tls: no version is left: it is below what `min_tls` asks for; "
        "lower that, or raise `max_tls`"),
    ROW(SERVICE "tls_profile = modern\nmax_tls = TLSv1.2\n",
        "a.ini:8: [service mx] max_tls: no version is left: it is below what `tls_profile` asks "
        "for; lower that, or raise `max_tls`"),
    ROW("[starttlsd]\nticket_rotation = 10m\n" SERVICE,
        "a.ini:2: [starttlsd] ticket_rotation: tickets of 2h outlive their keys: 8 are kept, and a "
        "new one is made every 10m; shorten `ticket_lifetime` or lengthen `ticket_rotation`"),
    ROW("[starttlsd]\nticket_lifetime = 43h\n" SERVICE,
        "a.ini:2: [starttlsd] ticket_lifetime: tickets of 43h outlive their keys: 8 are kept, and "
        "a new one is made every 6h; shorten `ticket_lifetime` or lengthen `ticket_rotation`"),
    /* addresses */
    ROW(SERVICE "[service b]\nprotocol = smtp\nlisten = 127.0.0.1:2525\nbackend = b:25\n"
                "certificate = m.pem\nrelay = backend\n",
        "a.ini:9: [service b] listen: `127.0.0.1:2525` is taken by `127.0.0.1:2525` of [service "
        "mx] in a.ini:3; give each service addresses of its own"),
    ROW(BARE "relay = backend\nlisten = *:2525 127.0.0.1:2525\n",
        "a.ini:8: [service mx] listen: `127.0.0.1:2525` is taken by `*:2525` of [service mx] in "
        "a.ini:8; give each service addresses of its own"),
    ROW(SERVICE "backend = 127.0.0.1:2525\n",
        "a.ini:7: [service mx] backend: `127.0.0.1:2525` is where starttlsd itself listens "
        "(a.ini:3); name the mail server behind; on this machine it needs another port"),
};

static const struct row warned[] = {
    ROW(SERVICE "min_tls = TLSv1.1\n",
        "a.ini:7: [service mx] min_tls: below the floor of `tls_profile`, so that the weak ciphers "
        "of the profile `old` are accepted too; fine for devices that know no better; else remove "
        "the line"),
    ROW(SERVICE "tls = none\n",
        "a.ini:5: [service mx] certificate: has no effect with `tls = none`; remove the line, or "
        "write another `tls`"),
    ROW("[defaults]\nprotocol = smtp\nbackend = b:25\nrelay = login\n[service mx]\ntls = none\n"
        "listen = 127.0.0.1:1\ntls_profile = modern\n",
        "a.ini:8: [service mx] tls_profile: has no effect with `tls = none`; remove the line, or "
        "write another `tls`"),
    ROW("[defaults]\ncertificate = d.pem\n[service mx]\nprotocol = smtp\nbackend = b:25\n"
        "relay = login\ntls = none\nlisten = 127.0.0.1:1 192.0.2.1:1\n",
        "a.ini:8: [service mx] " READABLE("192.0.2.1:1")),
    ROW("[service mx]\nprotocol = smtp\nbackend = b:25\nrelay = login\ntls = none\nlisten = *:1\n",
        "a.ini:6: [service mx] " READABLE("*:1")),
    ROW(SERVICE "plaintext_auth = allow\n", NO_EFFECT_ENFORCED),
    ROW(SERVICE "plaintext_auth = allow\npolicy = enforced\n", NO_EFFECT_ENFORCED),
    ROW(SERVICE "capabilities = 8BITMIME\n", "a.ini:7: [service mx] " NO_EFFECT_CAPABILITIES),
    ROW(SERVICE "tls = implicit\ncapabilities = 8BITMIME\n",
        "a.ini:8: [service mx] " NO_EFFECT_CAPABILITIES),
    ROW("[defaults]\npolicy = opportunistic\n" SERVICE "tls = implicit\ncapabilities = DSN\n",
        "a.ini:10: [service mx] " NO_EFFECT_CAPABILITIES),
    ROW(BARE "relay = login\nlisten = *:587 *:465\n",
        "a.ini:8: [service mx] listen: clients of port 465 begin with TLS at once (RFC 8314), and "
        "would hang with `tls = starttls`; write `tls = implicit`"),
    ROW(BARE "relay = login\nlisten = *:587\nhide_capabilities = DSN auth\n",
        "a.ini:9: [service mx] hide_capabilities: hides `auth`, and with `relay = login` clients "
        "must log in; take `AUTH` out of the list"),
    ROW(BARE "listen = *:25\nrelay = example.com\nrelay = yes\n",
        "a.ini:9: [service mx] " NO_DOMAIN("yes")),
    ROW("[defaults]\nrelay = true\n" BARE "listen = *:25\n",
        "a.ini:2: [service mx] " NO_DOMAIN("true")),
    ROW(SERVICE "allow = 192.0.2.0/24 198.51.100.0/24\ndeny = 192.0.0.0/16\n",
        "a.ini:7: [service mx] " DENIED("192.0.2.0/24", "192.0.0.0/16")),
    ROW(SERVICE "allow = 192.0.2.1\ndeny = 192.0.2.1\n",
        "a.ini:7: [service mx] " DENIED("192.0.2.1", "192.0.2.1")),
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
        SPAN(SERVICE "policy = enforced\nplaintext_auth = refuse\n"),
        SPAN(SERVICE "policy = opportunistic\nplaintext_auth = refuse\n"),
        SPAN(SERVICE "policy = opportunistic\nplaintext_auth = allow\ncapabilities = DSN\n"),
        SPAN(SERVICE "allow = 192.0.0.0/16\ndeny = 192.0.0.0/24 ::/0\nallow_commands = XADR\n"),
        SPAN(BARE "relay = localhost example.org\nlisten = *:25\n"),
        SPAN(BARE "relay = backend\nhide_capabilities = AUTH\nlisten = *:25\n"),
        /* What [defaults] says is meant for those whom it fits. */
        SPAN("[defaults]\npolicy = opportunistic\nplaintext_auth = allow\ncertificate = d.pem\n"
             "tls_profile = old\ncapabilities = DSN\nprotocol = smtp\nbackend = b:1\n"
             "relay = login\n"
             "[service a]\nlisten = *:465\ntls = implicit\n"
             "[service b]\nlisten = 127.0.0.1:25 [::1]:25\ntls = none\n"
             "[service c]\nlisten = *:587\npolicy = enforced\n"),
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct run r = load_text(texts[i]);

        diagnosis_print(r.d, stderr);
        assert_non_null(r.config);
        assert_int_equal(diagnosis_count(r.d), 0);
        end(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(what_has_no_effect_is_warned_of),
        cmocka_unit_test(what_is_well_is_not_complained_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
