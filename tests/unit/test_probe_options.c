/* SPDX-License-Identifier: ISC */
/* The command line of `starttlsd probe`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/probe_options.h"

#define WORDS_MAX 16

/* Words between blanks. */
static bool read_line(struct probe_options *o, const char *line, char *why, size_t size)
{
    static char copy[512];
    static char command[] = "probe";
    char *argv[WORDS_MAX + 1] = {command};
    int argc = 1;

    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    assert_true(argc <= WORDS_MAX);
    return probe_options_read(o, argc, argv, why, size);
}

static struct probe_options good(const char *line)
{
    static struct probe_options o; /* it may point into itself */
    char why[256] = "";

    if (!read_line(&o, line, why, sizeof why))
        fail_msg("%s: %s", line, why);
    return o;
}

static void hosts_and_ports(void **state)
{
    static const struct {
        const char *line, *host;
        uint16_t port;
        enum backend_tls tls;
    } row[] = {
        {"smtp mx.example.org", "mx.example.org", 25, BACKEND_TLS_STARTTLS},
        {"imap mx.example.org", "mx.example.org", 143, BACKEND_TLS_STARTTLS},
        {"pop3 mx.example.org", "mx.example.org", 110, BACKEND_TLS_STARTTLS},
        {"smtp mx.example.org:587", "mx.example.org", 587, BACKEND_TLS_STARTTLS},
        {"smtp mx.example.org:465", "mx.example.org", 465, BACKEND_TLS_IMPLICIT},
        {"imap mx.example.org:465", "mx.example.org", 465, BACKEND_TLS_STARTTLS},
        {"imap mx.example.org:993", "mx.example.org", 993, BACKEND_TLS_IMPLICIT},
        {"pop3 mx.example.org:995", "mx.example.org", 995, BACKEND_TLS_IMPLICIT},
        {"imap mx.example.org:993 --tls starttls", "mx.example.org", 993, BACKEND_TLS_STARTTLS},
        {"--tls=implicit smtp mx.example.org", "mx.example.org", 465, BACKEND_TLS_IMPLICIT},
        {"imap --tls implicit mx.example.org", "mx.example.org", 993, BACKEND_TLS_IMPLICIT},
        {"pop3 mx.example.org --tls implicit", "mx.example.org", 995, BACKEND_TLS_IMPLICIT},
        {"smtp mx.example.org:25 --tls implicit", "mx.example.org", 25, BACKEND_TLS_IMPLICIT},
        {"smtp mx.example.org.", "mx.example.org", 25, BACKEND_TLS_STARTTLS},
        {"smtp mx.example.org.:26", "mx.example.org", 26, BACKEND_TLS_STARTTLS},
        {"smtp 192.0.2.1", "192.0.2.1", 25, BACKEND_TLS_STARTTLS},
        {"smtp 192.0.2.1:587", "192.0.2.1", 587, BACKEND_TLS_STARTTLS},
        {"smtp [2001:db8::1]", "2001:db8::1", 25, BACKEND_TLS_STARTTLS},
        {"smtp [2001:db8::1]:465", "2001:db8::1", 465, BACKEND_TLS_IMPLICIT},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct probe_options o = good(row[i].line);

        assert_string_equal(o.host, row[i].host);
        assert_int_equal(o.port, row[i].port);
        assert_int_equal(o.tls, row[i].tls);
        assert_string_equal(o.servername, row[i].host);
    }
}

static void nothing_but_protocol_and_host_is_needed(void **state)
{
    struct probe_options o = good("smtp mx.example.org");

    assert_ptr_equal(o.protocol, &smtp_protocol);
    assert_null(o.ca);
    assert_int_equal(o.expiry_days, 21);
    assert_false(o.versions || o.relay_test || o.proxy || o.nagios || o.watch || o.trace ||
                 o.json || o.help);
}

static void every_option_is_taken(void **state)
{
    struct probe_options o = good("smtp a.example --versions --relay-test --proxy --json --watch "
                                  "--trace --ca=ca.pem --servername b.example --expiry=7");

    assert_true(o.versions && o.relay_test && o.proxy && o.json && o.watch && o.trace);
    assert_false(o.nagios);
    assert_string_equal(o.ca, "ca.pem");
    assert_string_equal(o.servername, "b.example");
    assert_int_equal(o.expiry_days, 7);
    assert_true(good("imap a.example --nagios").nagios);
    assert_true(good("--help").help);
    assert_int_equal(good("smtp a.example --expiry 9").expiry_days, 9);
    assert_int_equal(good("smtp a.example --expiry 0").expiry_days, 0);
    assert_int_equal(good("smtp a.example --expiry 3650").expiry_days, 3650);
    assert_string_equal(good("smtp a.example --servername 192.0.2.1").servername, "192.0.2.1");
}

static void only_names_can_be_compared_with(void **state)
{
    static const struct {
        const char *line;
        bool has_name;
    } row[] = {
        {"smtp a.example", true},
        {"smtp 192.0.2.1", false},
        {"smtp [::1]", false},
        {"smtp [::1] --servername a.example", true},
        {"smtp a.example --servername 192.0.2.1", false},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct probe_options o = {0};
        char why[256];

        assert_true(read_line(&o, row[i].line, why, sizeof why));
        assert_int_equal(probe_options_has_name(&o), row[i].has_name);
    }
}

/* Each names the word and the remedy. */
static void what_is_wrong_is_told(void **state)
{
    static const struct {
        const char *line, *why;
    } row[] = {
        {"", "which protocol? Write smtp, imap or pop3, then HOST or HOST:PORT"},
        {"mx.example.org",
         "mx.example.org is no protocol: write smtp, imap or pop3, then HOST or HOST:PORT"},
        {"stmp a.example", "stmp is no protocol: write smtp, then HOST or HOST:PORT"},
        {"smtpx a.example", "smtpx is no protocol: write smtp, then HOST or HOST:PORT"},
        {"imaps a.example", "imaps is no protocol: write imap, and --tls implicit"},
        {"smtps", "smtps is no protocol: write smtp, and --tls implicit"},
        {"s a.example", "s is no protocol: write smtp, imap or pop3, then HOST or HOST:PORT"},
        {"smtp", "which host? Write HOST or HOST:PORT behind smtp"},
        {"smtp a.example b.example", "what is b.example? One host at a time, a.example it is"},
        {"smtp 2001:db8::1",
         "2001:db8::1 has an IPv6 address without brackets: write HOST:PORT, as in 192.0.2.10:25, "
         "[2001:db8::10]:25 or mail.example.net:25"},
        {"smtp a.example:", "a.example: has no port that is a number: write a number from 1 to "
                            "65535 behind the last colon, as in :25"},
        {"smtp a.example:0", "a.example:0 has no port that is a number: write a number from 1 to "
                             "65535 behind the last colon, as in :25"},
        {"smtp a.example --expiry 3w",
         "--expiry 3w: write a number of days, at most 3650, as in --expiry 21"},
        {"smtp a.example --expiry +9",
         "--expiry +9: write a number of days, at most 3650, as in --expiry 21"},
        {"smtp a.example --expiry -1",
         "--expiry -1: write a number of days, at most 3650, as in --expiry 21"},
        {"smtp a.example --expiry 3651",
         "--expiry 3651: write a number of days, at most 3650, as in --expiry 21"},
        {"smtp a.example --tls tls", "--tls tls: write starttls or implicit"},
        {"smtp a.example --tls", "--tls needs a value: see --help"},
        {"smtp a.example --ca --json", "--ca needs a value: see --help"},
        {"smtp a.example --ca=", "--ca needs a value: see --help"},
        {"smtp a.example --json=yes", "--json takes no value: write --json alone"},
        {"smtp a.example --servername *.example",
         "--servername *.example: write a name as a certificate has it, in ASCII and without a "
         "dot at its end, or an address without brackets"},
        {"smtp a.example --servername a.example.",
         "--servername a.example.: write a name as a certificate has it, in ASCII and without a "
         "dot at its end, or an address without brackets"},
        {"smtp a.example --servername a\x1b[2Jb\x7f",
         "--servername a?[2Jb?: write a name as a certificate has it, in ASCII and without a dot "
         "at its end, or an address without brackets"},
        {"smtp a.example --servername "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "a",
         "--servername "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: write "
         "a "
         "name as a certificate has it, in ASCII and without a dot at its end, or an address "
         "without brackets"},
        {"smtp a.example --version", "there is no option --version; did you mean --versions?"},
        {"smtp a.example -x", "there is no option -x; --help lists them all"},
        {"imap a.example --relay-test",
         "--relay-test is for smtp: leave it out, imap passes no mail on"},
        {"smtp a.example --json --nagios",
         "--json and --nagios are two forms of one answer: leave one out"},
        {"smtp a.example --watch --nagios",
         "--watch has no end, and --nagios answers once: leave one out"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct probe_options o;
        char why[256] = "";

        assert_false(read_line(&o, row[i].line, why, sizeof why));
        assert_string_equal(why, row[i].why);
    }
}

static void a_plugin_is_known_by_its_option_wherever_it_stands(void **state)
{
    struct probe_options o;
    char why[256] = "not read yet";

    assert_false(read_line(&o, "smtp a.example --bogus b.example --nagios", why, sizeof why));
    assert_string_equal(why, "there is no option --bogus; --help lists them all");
    assert_true(o.nagios);
}

static void places_can_be_written_again(void **state)
{
    static const struct {
        const char *line, *place;
    } row[] = {
        {"smtp mx.example.org", "mx.example.org:25"},
        {"imap 192.0.2.1:993", "192.0.2.1:993"},
        {"smtp [2001:db8::1]", "[2001:db8::1]:25"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct probe_options o = good(row[i].line);
        char space[PROBE_PLACE_MAX];

        assert_string_equal(probe_options_place(&o, space), row[i].place);
    }
}

static void hosts_that_are_none(void **state)
{
    static const char *const line[] = {
        "smtp 127.1",      "smtp *",       "smtp 0.0.0.0",       "smtp [::]",
        "smtp [mx]",       "smtp [::1",    "smtp [::1]25",       "smtp :25",
        "smtp a..example", "smtp a/b",     "smtp smtp://mx",     "smtp .",
        "smtp ä.example",  "smtp a:65536", "smtp fe80::1%lo:25", "smtp a.example..",
    };

    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        struct probe_options o;
        char why[256] = "";

        if (read_line(&o, line[i], why, sizeof why))
            fail_msg("%s is taken: %s", line[i], o.host);
        assert_non_null(strstr(why, ": "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports),
        cmocka_unit_test(nothing_but_protocol_and_host_is_needed),
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(only_names_can_be_compared_with),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(a_plugin_is_known_by_its_option_wherever_it_stands),
        cmocka_unit_test(places_can_be_written_again),
        cmocka_unit_test(hosts_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
