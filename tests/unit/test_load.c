/* SPDX-License-Identifier: ISC */
/* What a configuration file may say, and the exact words that answer what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/loading.h"

/* A key put behind a good service, in line 7. */
#define KEY(line, wrong)                                                                           \
    {                                                                                              \
        SPAN(SERVICE line "\n"), "a.ini:7: [service mx] " wrong                                    \
    }
#define GLOBAL(line, wrong)                                                                        \
    {                                                                                              \
        SPAN("[starttlsd]\n" line "\n" SERVICE), "a.ini:2: [starttlsd] " wrong                     \
    }
/* A service whose key of that line is replaced. */
#define LISTEN(value, wrong)                                                                       \
    {                                                                                              \
        SPAN("[service mx]\nprotocol = smtp\nlisten = " value                                      \
             "\nbackend = 192.0.2.10:25\ncertificate = mail.pem\nrelay = backend\n"),              \
            "a.ini:3: [service mx] listen: " wrong                                                 \
    }
#define BACKEND(value, wrong)                                                                      \
    {                                                                                              \
        SPAN("[service mx]\nprotocol = smtp\nlisten = *:2525\nbackend = " value                    \
             "\ncertificate = mail.pem\nrelay = backend\n"),                                       \
            "a.ini:4: [service mx] backend: " wrong                                                \
    }
#define RELAY(value, wrong)                                                                        \
    {                                                                                              \
        SPAN("[service mx]\nprotocol = smtp\nlisten = *:2525\nbackend = 192.0.2.10:25\n"           \
             "certificate = mail.pem\nrelay = " value "\n"),                                       \
            "a.ini:6: [service mx] relay: " wrong                                                  \
    }

#define CAPABILITY(value, wrong)                                                                   \
    {                                                                                              \
        SPAN(SERVICE "policy = opportunistic\ncapabilities = " value "\n"),                        \
            "a.ini:8: [service mx] capabilities: " wrong                                           \
            "; write KEYWORD or KEYWORD=PARAMETER,PARAMETER, as in SIZE=10240000"                  \
    }

/* Behind three lines that want one. */
#define PIN(value, wrong)                                                                          \
    {                                                                                              \
        SPAN(SERVICE "backend_tls = implicit\nbackend_verify = fingerprint\n"                      \
                     "backend_fingerprint = " value "\n"),                                         \
            "a.ini:9: [service mx] backend_fingerprint: " wrong                                    \
            "; write cert-sha256: or key-sha256:, and behind it 64 hexadecimal digits"             \
    }
#define HEX "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF"
#define CIPHERS(value, wrong)                                                                      \
    {                                                                                              \
        SPAN(SERVICE "backend_tls = implicit\nbackend_ciphers = " value "\n"),                     \
            "a.ini:8: [service mx] backend_ciphers: " wrong                                        \
            "; write names as `openssl ciphers` prints them"                                       \
    }
#define SOURCE(value, wrong)                                                                       \
    {                                                                                              \
        SPAN(SERVICE "backend_source = " value "\n"),                                              \
            "a.ini:7: [service mx] backend_source: " wrong                                         \
            "; write at most one IPv4 and one IPv6 address of this machine, as in 192.0.2.1 "      \
            "2001:db8::1"                                                                          \
    }

#define X50         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X50_LESS_10 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X200        X50 X50 X50 X50

#define NO_COMMENT                                                                                 \
    "a `;` behind a blank would cut the line there; put the comment on a line of its own"
#define NO_EQUALS "a line without `=`; write KEY = VALUE; for a comment begin the line with `#`"
#define NO_SERVICE                                                                                 \
    "no service, so that there is nothing to do; write one: [service NAME] with protocol, "        \
    "listen, "                                                                                     \
    "certificate and backend"
#define LISTEN_REMEDY "write ADDRESS:PORT, [V6]:PORT, or *:PORT for all addresses"
#define BACKEND_REMEDY                                                                             \
    "write HOST:PORT, as in 192.0.2.10:25, [2001:db8::10]:25 or mail.example.net:25"
#define PORT_REMEDY     "write a number from 1 to 65535 behind the last colon, as in :25"
#define VERB_REMEDY     "write verbs alone, without what may follow them"
#define DURATION_REMEDY "write a number and its unit: 500ms 30s 5m 12h 7d"

static const struct row refused[] = {
    /* lines */
    ROW("", "a.ini: " NO_SERVICE),
    ROW("\n# nothing\n", "a.ini: " NO_SERVICE),
    ROW(SERVICE "greeting: hello\n", "a.ini:7: [service mx]: " NO_EQUALS),
    ROW(SERVICE "greeting : a = b\n",
        "a.ini:7: [service mx]: `:` in a key: it separates nothing here; write KEY = VALUE"),
    ROW(SERVICE "greeting\n", "a.ini:7: [service mx]: " NO_EQUALS),
    ROW(SERVICE " = x\n", "a.ini:7: [service mx]: no key in front of `=`; write KEY = VALUE"),
    KEY("greeting =", "greeting: no value; write one, or remove the line for the default"),
    ROW(SERVICE "greeting = a ;b\n", "a.ini:7: [service mx]: " NO_COMMENT),
    ROW(SERVICE "greeting = a\t; b\n", "a.ini:7: [service mx]: " NO_COMMENT),
    ROW(SERVICE "greeting = ;b\n", "a.ini:7: [service mx]: " NO_COMMENT),
    KEY("greeting =;b",
        "greeting: a value that begins with `;`; put the comment on a line of its own"),
    ROW(SERVICE "greeting = a\0b\n",
        "a.ini:7: [service mx]: a NUL octet; save the file as plain text"),
    ROW(SERVICE "# a comment\0b\n",
        "a.ini:7: [service mx]: a NUL octet; save the file as plain text"),
    ROW(SERVICE "greeting = a\rb\n", "a.ini:7: [service mx]: a control character; remove it"),
    ROW(SERVICE "greeting = a\033b\n", "a.ini:7: [service mx]: a control character; remove it"),
    ROW(SERVICE "greeting = " X200 "\n",
        "a.ini:7: [service mx]: a line of 211 octets; it can have 199; lists may be spread over "
        "several lines of the same key"),
    ROW(SERVICE "greeting=" X50 X50 X50 X50_LESS_10 "x\n",
        "a.ini:7: [service mx]: a line of 200 octets; it can have 199; lists may be spread over "
        "several lines of the same key"),
    /* sections */
    ROW("hostname = a\n" SERVICE,
        "a.ini:1: hostname: a key outside of any section; put it under [starttlsd], [defaults] or "
        "[service NAME]"),
    ROW(SERVICE "[starttlsd\nhostname = a.b\n",
        "a.ini:7: [service mx]: a section heading that is not closed by `]` at the end of the "
        "line; write [NAME] alone on its line"),
    ROW(SERVICE "[starttlsd] x\n",
        "a.ini:7: [service mx]: a section heading that is not closed by `]` at the end of the "
        "line; write [NAME] alone on its line"),
    ROW(SERVICE "[starttls]\nnonsense = 1\n",
        "a.ini:7: [starttls]: unknown section; write [starttlsd], [defaults], or [service NAME]"),
    ROW(SERVICE "[service]\n", "a.ini:7: [service]: a service without a name; write [starttlsd], "
                               "[defaults], or [service NAME]"),
    ROW(SERVICE "[service a b]\n",
        "a.ini:7: [service a b]: a service is named by letters, digits, `-`, `_` and `.` without "
        "blanks; write [starttlsd], [defaults], or [service NAME]"),
    ROW(SERVICE "[service " X50 "]\n",
        "a.ini:7: [service mx]: a section heading of more than 49 octets between its brackets; "
        "choose a shorter name"),
    ROW(SERVICE SERVICE, "a.ini:7: [service mx]: the section began before, in a.ini:1; put all its "
                         "keys under one heading, or choose another name"),
    ROW("[starttlsd]\n[starttlsd]\n" SERVICE,
        "a.ini:2: [starttlsd]: the section began before, in a.ini:1; put all its keys under one "
        "heading, or choose another name"),
    /* keys */
    ROW(SERVICE "tls = starttls\ntls = starttls\n",
        "a.ini:8: [service mx] tls: given before, in line 7, and it is no list; remove one of the "
        "two"),
    KEY("idle_timout = 5m", "idle_timout: unknown key; did you mean `idle_timeout`?"),
    KEY("Greeting = x", "Greeting: unknown key; did you mean `greeting`?"),
    KEY("wibble = x", "wibble: unknown key; `starttlsd check --reference` lists all keys"),
    KEY("workers = 2", "workers: the key is of another section; put it under [starttlsd]"),
    KEY("metrics = off", "metrics: the key is of another section; put it under [starttlsd]"),
    GLOBAL("backend = a:25", "backend: the key is of another section; put it under [defaults] or "
                             "[service NAME]"),
    KEY("sni = strict",
        "sni: this key comes with a later version of starttlsd; remove the line, and make sure "
        "that you can do without it"),
    GLOBAL("metrics = 127.0.0.1:9465",
           "metrics: this key comes with a later version of starttlsd; remove the line, and make "
           "sure that you can do without it"),
    KEY("include = b.ini", "include: `include` stands inside a section; put it above the first "
                           "section"),
    /* numbers, times, words */
    GLOBAL("workers = many",
           "workers: `many` is not a whole number; write digits alone, or `auto`"),
    GLOBAL("workers = 0", "workers: 0 is out of bounds; write 1 to 256, or `auto`"),
    GLOBAL("workers = -1", "workers: `-1` is not a whole number; write digits alone, or `auto`"),
    GLOBAL("workers = 99999999999999999999999",
           "workers: 99999999999999999999999 is out of bounds; write 1 to 256, or `auto`"),
    KEY("idle_timeout = 5",
        "idle_timeout: `5` is not a length of time; " DURATION_REMEDY ", or `off`"),
    KEY("idle_timeout = 5 m",
        "idle_timeout: `5 m` is not a length of time; " DURATION_REMEDY ", or `off`"),
    KEY("idle_timeout = 8d", "idle_timeout: 8d is out of bounds; write 1s to 7d, or `off`"),
    KEY("idle_timeout = 4294967297ms",
        "idle_timeout: 4294967297ms is out of bounds; write 1s to 7d, or `off`"),
    KEY("idle_timeout = 99999999999999999999d",
        "idle_timeout: 99999999999999999999d is out of bounds; write 1s to 7d, or `off`"),
    GLOBAL("resolve_interval = off",
           "resolve_interval: `off` is not a length of time; " DURATION_REMEDY),
    GLOBAL("control = /run/x.sock", "control: this version has no control socket yet; write "
                                    "`control = off`, or remove the line"),
    GLOBAL("log_format = jsn", "log_format: `jsn` is none of its words; did you mean `json`?"),
    GLOBAL("log_format = xml",
           "log_format: `xml` is none of its words; choose of `logfmt`, `json`"),
    GLOBAL("log = stdout", "log: `stdout` is no place for a log; write `stderr`, `syslog`, "
                           "`syslog:FACILITY`, or a file with its folder"),
    GLOBAL("log = syslog:mial", "log: `mial` is not a facility of syslog; did you mean `mail`?"),
    GLOBAL("user = a b", "user: `a b` is more than one word; write one word"),
    GLOBAL("hostname = a b",
           "hostname: `a b` is not a host name; write the machine's full name, as "
           "in mail.example.net"),
    KEY("hostname = a..b", "hostname: `a..b` is not a host name; write the machine's full name, as "
                           "in mail.example.net"),
    KEY("greeting = gr\xc3\xbc\xc3\x9f", "greeting: a character that cannot stand in a greeting; "
                                         "write it in ASCII (RFC 5321, section 4.2)"),
    KEY("identity = proxy", "identity: `proxy` is none of its words; did you mean `proxy-v1`?"),
    KEY("min_tls = SSLv3",
        "min_tls: SSLv3 is broken beyond repair, and OpenSSL 3 no longer speaks it (RFC 6176, RFC "
        "7568); TLSv1 is the oldest that a printer or scanner can have"),
    KEY("min_tls = TLSv1.4", "min_tls: `TLSv1.4` is none of its words; did you mean `TLSv1.1`?"),
    /* lists */
    LISTEN("127.0.0.1", "`127.0.0.1` has no port; " LISTEN_REMEDY),
    LISTEN("127.0.0.1:smtp", "`127.0.0.1:smtp` has no port that is a number; " PORT_REMEDY),
    LISTEN("127.0.0.1:0", "`127.0.0.1:0` has no port that is a number; " PORT_REMEDY),
    LISTEN("127.0.0.1:65536", "`127.0.0.1:65536` has no port that is a number; " PORT_REMEDY),
    LISTEN("localhost:25", "`localhost:25` is not an address with a port; " LISTEN_REMEDY),
    LISTEN("::1:25", "`::1:25` has an IPv6 address without brackets; " LISTEN_REMEDY),
    LISTEN("[::1:25", "`[::1:25` has no port; " LISTEN_REMEDY),
    LISTEN("[::1]", "`[::1]` has no port; " LISTEN_REMEDY),
    LISTEN("[127.0.0.1]:25",
           "`[127.0.0.1]:25` has no IPv6 address between its brackets; " LISTEN_REMEDY),
    LISTEN("unix:/run/x", "`unix:/run/x` is a kind of socket that comes with a later version of "
                          "starttlsd; " LISTEN_REMEDY),
    LISTEN("fd:smtp", "`fd:smtp` is a kind of socket that comes with a later version of "
                      "starttlsd; " LISTEN_REMEDY),
    BACKEND("mail.example.net", "`mail.example.net` has no port; " BACKEND_REMEDY),
    BACKEND("*:25", "`*:25` names no host; " BACKEND_REMEDY),
    BACKEND("0.0.0.0:25", "`0.0.0.0:25` names no host; " BACKEND_REMEDY),
    BACKEND("192.0.2:25",
            "`192.0.2:25` is neither an address nor a host name, with a port; " BACKEND_REMEDY),
    BACKEND("a_b!.example:25", "`a_b!.example:25` is neither an address nor a host name, with a "
                               "port; " BACKEND_REMEDY),
    KEY("certificate = a b c d", "certificate: more than three files; write one certificate a "
                                 "line: CHAIN.pem [KEY.pem [PASSPHRASE]]"),
    PIN("3f:e4", "`3f:e4` does not say what it is of"),
    PIN("sha1:" HEX, "`sha1:" HEX "` does not say what it is of"),
    PIN("cert-sha256:", "`cert-sha256:` is not 32 octets in hexadecimal digits"),
    PIN("key-sha256:" HEX "0", "`key-sha256:" HEX "0` is not 32 octets in hexadecimal digits"),
    PIN("key-sha256:" HEX ":", "`key-sha256:" HEX ":` is not 32 octets in hexadecimal digits"),
    PIN("key-sha256::" HEX, "`key-sha256::" HEX "` is not 32 octets in hexadecimal digits"),
    PIN("cert-sha256:g" HEX, "`cert-sha256:g" HEX "` is not 32 octets in hexadecimal digits"),
    CIPHERS("ALL, COMPLEMENTOFALL", "`ALL,` is not a cipher"),
    CIPHERS("ALL \"!aNULL\"", "`\"!aNULL\"` is not a cipher"),
    CIPHERS(":A", "`:A` is not a cipher"),
    CIPHERS("A::B", "`A::B` is not a cipher"),
    CIPHERS("A: B", "`A:` is not a cipher"),
    SOURCE("mail.example.net", "`mail.example.net` is not an address"),
    SOURCE("[2001:db8::1]", "`[2001:db8::1]` is not an address"),
    SOURCE("192.0.2.1 192.0.2.2", "`192.0.2.2` is the second address of its family"),
    SOURCE("::1 192.0.2.1 ::2", "`::2` is the second address of its family"),
    KEY("accept_proxy = unix 192.0.2.1/24",
        "accept_proxy: `192.0.2.1/24` has bits set behind its prefix; write 192.0.2.0/24 for the "
        "whole network, or the address without `/`"),
    KEY("allow = 192.0.2.1/24", "allow: `192.0.2.1/24` has bits set behind its prefix; write "
                                "192.0.2.0/24 for the whole network, or the address without `/`"),
    KEY("deny = ::1 mail.example.net",
        "deny: `mail.example.net` is neither an address nor a network; write addresses and "
        "networks, as in 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"),
    CAPABILITY("SIZE 1000", "`1000` is no keyword"),
    CAPABILITY("=1", "`=1` is no keyword"),
    CAPABILITY("SIZE=", "`SIZE=` lacks a parameter"),
    CAPABILITY("AUTH=PLAIN,,LOGIN", "`AUTH=PLAIN,,LOGIN` lacks a parameter"),
    CAPABILITY("AUTH=,PLAIN", "`AUTH=,PLAIN` lacks a parameter"),
    CAPABILITY("AUTH=PLAIN,", "`AUTH=PLAIN,` lacks a parameter"),
    CAPABILITY("A,B", "`A,B` has a keyword that no server announces"),
    CAPABILITY("-A", "`-A` has a keyword that no server announces"),
    CAPABILITY("A=\xc3\xbc", "`A=\xc3\xbc` is not ASCII"),
    KEY("allow_commands = XADR=1", "allow_commands: `XADR=1` is not a verb; " VERB_REMEDY),
    KEY("allow_commands = 1X", "allow_commands: `1X` is not a verb; " VERB_REMEDY),
    KEY("backend_max_connections = 0",
        "backend_max_connections: 0 is out of bounds; write 1 to 1000000, or `off`"),
    KEY("max_auth_failures = 0",
        "max_auth_failures: 0 is out of bounds; write 1 to 1000000, or `off`"),
    /* relay */
    RELAY("example.com login",
          "with `login` nothing is taken from clients that have not logged in, so that domains "
          "beside it would mean nothing; write either `login` or domains; with domains too, "
          "clients that have logged in may send to anywhere"),
    RELAY("backend example.com", "with `backend` the backend decides alone, so that domains beside "
                                 "it would mean nothing; write either `backend` or domains"),
    RELAY("*.example.com",
          "`*.example.com` is a pattern; write each domain in full, as in example.com"),
    RELAY("user@example.com", "`user@example.com` is not a domain; write domains, as in "
                              "example.com, or `login`, or `backend`"),
    RELAY("example..com",
          "`example..com` is not a domain; write domains, as in example.com, or `login`, or "
          "`backend`"),
};

static void each_mistake_has_its_words(void **state)
{
    each_is_answered(refused, sizeof(refused) / sizeof(refused[0]), true);
}

/* Files named by others, and complaints of which a run has several. */
static void all_mistakes_are_told_in_one_run(void **state)
{
    static const char *const lines[] = {
        "a.ini:2: [starttlsd] workers: 0 is out of bounds; write 1 to 256, or `auto`",
        "a.ini:3: [starttlsd] colour: unknown key; `starttlsd check --reference` lists all keys",
        "a.ini:5: [defaults] max_errors: `few` is not a whole number; write digits alone, or `off`",
        "a.ini:6: [service a] protocol: required, and not written; write it here or under "
        "[defaults] (`starttlsd check --explain` tells what it takes)",
        "a.ini:6: [service a] certificate: required, and not written; write it here or under "
        "[defaults] (`starttlsd check --explain` tells what it takes)",
        "a.ini:6: [service a] backend: required, and not written; write it here or under "
        "[defaults] (`starttlsd check --explain` tells what it takes)",
        "a.ini:7: [service a] listen: `x` has no port; " LISTEN_REMEDY,
        "a.ini:7: [service a] listen: `y` has no port; " LISTEN_REMEDY,
        "a.ini:8: [service a] listen: `z` has no port; " LISTEN_REMEDY,
    };
    static const char text[] = "[starttlsd]\nworkers = 0\ncolour = red\n[defaults]\nmax_errors = "
                               "few\n[service a]\nlisten = x y\nlisten = z\n[service a]\n";
    struct run r = load_text((struct span){text, sizeof(text) - 1});
    bool is_error;

    assert_null(r.config);
    assert_int_equal(diagnosis_count(r.d), 10);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_string_equal(diagnosis_line(r.d, i, &is_error), lines[i]);
        assert_true(is_error);
    }
    end(r);
}

#define GOOD SPAN(SERVICE)

static void included_files_are_read_beside_their_includer(void **state)
{
    struct memory m = {{
        {"/etc/x/main.ini", SPAN("include = more/b.ini\ninclude = /c.ini\n[defaults]\n"
                                 "certificate = main.pem\n")},
        {"/etc/x/more/b.ini", SPAN("[service mx]\nprotocol = smtp\nlisten = 127.0.0.1:25\n"
                                   "backend = b:25\nrelay = backend\ncertificate = a.pem k.pem p\n"
                                   "certificate = ../e.pem\n")},
        {"/c.ini", SPAN("[service in]\nprotocol = smtp\nlisten = 127.0.0.1:26\nbackend = b:25\n"
                        "relay = backend\nbackend_tls = implicit\nbackend_ca = ca.pem\n"
                        "backend_certificate = x/c.pem x/k.pem x/p\n")},
    }};
    static const struct {
        const char *path;
        enum config_file_kind kind;
    } files[] = {
        {"/etc/x/main.ini", CONFIG_FILE_INI},
        {"/etc/x/more/b.ini", CONFIG_FILE_INI},
        {"/c.ini", CONFIG_FILE_INI},
        {"/etc/x/more/a.pem", CONFIG_FILE_PUBLIC},
        {"/etc/x/more/k.pem", CONFIG_FILE_SECRET},
        {"/etc/x/more/p", CONFIG_FILE_SECRET},
        {"/etc/x/more/../e.pem", CONFIG_FILE_SECRET}, /* the key is in it */
        {"/etc/x/main.pem", CONFIG_FILE_SECRET},
        {"/x/c.pem", CONFIG_FILE_BACKEND},
        {"/x/k.pem", CONFIG_FILE_BACKEND},
        {"/x/p", CONFIG_FILE_BACKEND},
        {"/ca.pem", CONFIG_FILE_BACKEND},
    };
    struct run r = load(&m);
    struct origin origin;

    assert_non_null(r.config);
    assert_int_equal(config_file_count(r.config), sizeof(files) / sizeof(files[0]));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        enum config_file_kind kind;

        assert_string_equal(config_file_at(r.config, i, &kind, &origin), files[i].path);
        assert_int_equal(kind, files[i].kind);
    }
    origin = config_origin(r.config, &r.config->service[0], "relay");
    assert_string_equal(origin.file, "/etc/x/more/b.ini");
    assert_int_equal(origin.line, 5);
    origin = config_origin(r.config, &r.config->service[1], "certificate");
    assert_string_equal(origin.file, "/etc/x/main.ini");
    assert_int_equal(origin.line, 4);
    assert_null(config_origin(r.config, &r.config->service[1], "tls").file);
    assert_null(config_origin(r.config, NULL, "workers").file);
    end(r);
}

static void includes_that_mean_nothing_are_refused(void **state)
{
    static const struct {
        const char *main, *other, *wrong;
    } rows[] = {
        {"include = gone.ini\n" SERVICE, "",
         "x/a.ini:1: include: x/gone.ini cannot be read: No such file or directory; "
         "name a file that can be read"},
        {"include = *.ini\n" SERVICE, "",
         "x/a.ini:1: include: `*.ini` is a pattern; name each file on a line of its own"},
        {"include = b.ini\ninclude = b.ini\n" SERVICE, "",
         "x/a.ini:2: include: x/b.ini is read already; remove the line"},
        {"include = a.ini\n" SERVICE, "",
         "x/a.ini:1: include: x/a.ini is read already; remove the line"},
        {"include = b.ini\n" SERVICE, "include = c.ini\n",
         "x/b.ini:1: include: an included file includes no other; include it from the main file"},
        {"include = b.ini\n" SERVICE, SERVICE,
         "x/a.ini:2: [service mx]: the section began before, in x/b.ini:1; put all its keys under "
         "one heading, or choose another name"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory m = {
            {{"x/a.ini", span_of(rows[i].main)}, {"x/b.ini", span_of(rows[i].other)}}};
        struct run r = load(&m);
        bool is_error;

        assert_null(r.config);
        assert_int_equal(diagnosis_count(r.d), 1);
        assert_string_equal(diagnosis_line(r.d, 0, &is_error), rows[i].wrong);
        end(r);
    }
}

static void a_file_that_is_not_there_is_one_complaint(void **state)
{
    struct memory m = {{{"a.ini", GOOD}}};
    const struct config_source source = {on_read, &m};
    struct diagnosis *d = diagnosis_new();
    bool is_error;

    assert_null(config_load("b.ini", &source, "x", d));
    assert_int_equal(diagnosis_count(d), 1);
    assert_string_equal(diagnosis_line(d, 0, &is_error),
                        "b.ini: cannot be read: No such file or directory; "
                        "write it, or name another with --config");
    diagnosis_free(d);
}

static void texts_of_every_editor_are_read(void **state)
{
    static const struct span texts[] = {
        GOOD,
        SPAN("\xef\xbb\xbf" SERVICE),
        SPAN("; x\n  # " X200 X200 "\n\n \t \n" SERVICE),
        SPAN("[service mx]\r\nprotocol = smtp\r\nlisten=127.0.0.1:2525\r\n\r\n  backend=b:25\r\n"
             "\tcertificate\t=\tmail.pem\r\nrelay = backend"),
        SPAN("[ service  mx ]\nprotocol=SMTP\nlisten=[::1]:25\nbackend=[::1]:26\n"
             "certificate=m.pem\nrelay=backend\n[starttlsd]\n[defaults]\n"),
        SPAN(SERVICE "greeting = a: b = c # d;e\n"),
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct run r = load_text(texts[i]);

        diagnosis_print(r.d, stderr);
        assert_non_null(r.config);
        assert_int_equal(r.config->service_count, 1);
        assert_string_equal(r.config->service[0].name, "mx");
        assert_int_equal(r.config->service[0].backend_count, 1);
        end(r);
    }
}

static void a_value_is_the_rest_of_its_line(void **state)
{
    struct run r = load_text((struct span)SPAN(SERVICE "greeting =  a: b = c # d;e \t\n"));

    assert_non_null(r.config);
    assert_string_equal(r.config->service[0].policy.greeting, "a: b = c # d;e");
    end(r);
}

/* inih's space is then full, without room for the newline: no line may be lost behind it. */
static void the_longest_line_is_whole_and_hides_none(void **state)
{
    static const struct span text = SPAN("[starttlsd]\nworkers = 3\n" SERVICE
                                         "greeting=" X50 X50 X50 X50_LESS_10 "\nmax_errors = 7\n");
    struct run r = load_text(text);

    assert_non_null(r.config);
    assert_int_equal(strlen(r.config->service[0].policy.greeting), 190);
    assert_int_equal(r.config->service[0].policy.max_errors, 7);
    assert_int_equal(config_origin(r.config, &r.config->service[0], "max_errors").line, 10);
    end(r);
}

static void what_is_not_written_has_its_default(void **state)
{
    struct run r = load_text((struct span)GOOD);
    const struct config *c = r.config;
    const struct service *s;

    assert_non_null(c);
    s = &c->service[0];
    assert_int_equal(c->workers, 0);
    assert_null(c->user);
    assert_null(c->hostname);
    assert_int_equal(c->log_target, LOG_TO_STDERR);
    assert_int_equal(c->log_level, LEVEL_INFO);
    assert_int_equal(c->max_sessions, 0);
    assert_int_equal(c->drain_timeout_ms, 25000);
    assert_int_equal(c->ticket_rotation_ms, 6 * 3600 * 1000);
    assert_int_equal(c->ticket_lifetime_ms, 2 * 3600 * 1000);
    assert_int_equal(c->backend_total, 1);
    assert_ptr_equal(s->protocol, &smtp_protocol);
    assert_int_equal(s->policy.tls, FRONT_STARTTLS);
    assert_true(s->policy.is_enforced);
    assert_string_equal(s->policy.hostname, "gate.example.net");
    assert_null(s->policy.greeting);
    assert_int_equal(s->policy.relay, RELAY_BACKEND);
    assert_int_equal(s->policy.bare_newline, BARE_NEWLINE_NORMALIZE);
    assert_int_equal(s->policy.max_errors, 10);
    assert_int_equal(s->policy.hide_capabilities.count, 0);
    assert_int_equal(s->tls_profile, TLS_PROFILE_INTERMEDIATE);
    assert_int_equal(s->min_tls, TLS_VERSION_PROFILE);
    assert_false(s->policy.may_auth_in_clear);
    assert_int_equal(s->policy.max_auth_failures, 3);
    assert_int_equal(s->policy.capabilities.count, 0);
    assert_int_equal(s->policy.allow_commands.count, 0);
    assert_int_equal(s->allow_count, 0);
    assert_int_equal(s->deny_count, 0);
    assert_int_equal(s->max_sessions, CONFIG_OFF);
    assert_int_equal(s->backend_max_connections, CONFIG_OFF);
    assert_int_equal(s->login_timeout_ms, 5 * 60000);
    assert_int_equal(s->preamble_timeout_ms, 60000);
    assert_int_equal(s->backend_timeout_ms, 15 * 60000);
    assert_int_equal(s->idle_timeout_ms, 5 * 60000);
    end(r);
}

/* Every protocol of the registry has a row here. */
static const struct {
    const char *protocol;
    uint32_t login_timeout_ms, idle_timeout_ms;
} protocol_defaults[] = {
    {"smtp", 5 * 60000, 5 * 60000},
    {"imap", 60000, 31 * 60000},
    {"pop3", 60000, 11 * 60000},
};

static void a_protocol_has_defaults_of_its_own(void **state)
{
    const struct protocol *p;
    char text[256];

    for (size_t i = 0; (p = protocol_at(i)) != NULL; i++) {
        struct run r;
        size_t n = 0;

        while (strcmp(protocol_defaults[n].protocol, p->name) != 0)
            assert_true(++n < sizeof(protocol_defaults) / sizeof(protocol_defaults[0]));
        snprintf(text, sizeof(text),
                 "[defaults]\nprotocol = %s\nrelay = login\n[service a]\nlisten = *:2525\n"
                 "certificate = a.pem\nbackend = b:25\n",
                 p->name);
        r = load_text(span_of(text));
        assert_non_null(r.config);
        assert_int_equal(r.config->service[0].login_timeout_ms,
                         protocol_defaults[n].login_timeout_ms);
        assert_int_equal(r.config->service[0].idle_timeout_ms,
                         protocol_defaults[n].idle_timeout_ms);
        end(r);
    }
}

static void what_is_written_replaces_the_defaults_of_a_protocol(void **state)
{
    struct run r = load_text((struct span)SPAN(
        "[defaults]\nlogin_timeout = 7s\nidle_timeout = 8s\n" SERVICE "idle_timeout = off\n"));

    assert_non_null(r.config);
    assert_int_equal(r.config->service[0].login_timeout_ms, 7000);
    assert_int_equal(r.config->service[0].idle_timeout_ms, CONFIG_OFF);
    end(r);
}

static void a_service_takes_defaults_and_replaces_them(void **state)
{
    static const struct span text =
        SPAN("[defaults]\nprotocol = smtp\ncertificate = d.pem\nbackend = d1:25 d2:25\n"
             "backend = [2001:db8::1]:26\nrelay = example.com. example.net\nrelay = EXAMPLE.org\n"
             "hostname = d.example\nmax_errors = off\nidle_timeout = off\n"
             "[service a]\nlisten = 127.0.0.1:1\nmin_tls = TLSv1\nmax_tls = TLSv1.2\n"
             "tls_profile = old\n"
             "[service b]\nlisten = *:2\nlisten = [::1]:3\nbackend = b:25\nhostname = b.example\n"
             "relay = backend\nhide_capabilities = DSN 8BITMIME\nhide_capabilities = SIZE\n"
             "certificate = b.pem bk.pem\ncertificate = b2.pem\nmax_errors = 3\n");
    struct run r = load_text(text);
    const struct service *a, *b;

    assert_non_null(r.config);
    assert_int_equal(r.config->service_count, 2);
    assert_int_equal(r.config->backend_total, 4);
    a = &r.config->service[0];
    b = &r.config->service[1];
    assert_int_equal(a->backend_count, 3);
    assert_string_equal(a->backend[2].host, "2001:db8::1");
    assert_int_equal(a->backend[2].port, 26);
    assert_int_equal(a->backend[2].origin.line, 5);
    assert_int_equal(a->policy.relay, RELAY_DOMAINS);
    assert_int_equal(a->policy.relay_domains.count, 3);
    assert_string_equal(a->policy.relay_domains.word[0], "example.com");
    assert_string_equal(a->policy.hostname, "d.example");
    assert_int_equal(a->policy.max_errors, 0);
    assert_int_equal(a->idle_timeout_ms, CONFIG_OFF);
    assert_int_equal(a->min_tls, TLS_VERSION_1_0);
    assert_int_equal(a->max_tls, TLS_VERSION_1_2);
    assert_int_equal(b->listen_count, 2);
    assert_string_equal(b->listen[0].host, "*");
    assert_int_equal(b->backend_count, 1);
    assert_int_equal(b->policy.relay, RELAY_BACKEND);
    assert_int_equal(b->policy.relay_domains.count, 0);
    assert_int_equal(b->policy.hide_capabilities.count, 3);
    assert_int_equal(b->certificate_count, 2);
    assert_string_equal(b->certificate[0].key, "bk.pem");
    assert_string_equal(b->certificate[1].key, "b2.pem");
    assert_int_equal(b->certificate[1].origin.line, 25);
    end(r);
}

static void what_a_service_may_say_of_its_clients(void **state)
{
    static const struct span text =
        SPAN("[defaults]\nprotocol = smtp\nbackend = b:25\ncertificate = d.pem\n"
             "policy = opportunistic\nplaintext_auth = allow\n"
             "[service a]\nlisten = *:25\nrelay = login\nbare_newline = reject\n"
             "allow = 192.0.2.0/24 2001:db8::/32\nallow = 198.51.100.7\ndeny = 192.0.2.9\n"
             "max_sessions = 100\nbackend_max_connections = 20\nmax_auth_failures = off\n"
             "login_timeout = off\ncapabilities = SIZE=1000 8BITMIME\n"
             "capabilities = AUTH=PLAIN,LOGIN\nallow_commands = XADR xsta\n"
             "[service b]\nlisten = *:465\ntls = implicit\nrelay = example.com\n"
             "bare_newline = pass\n"
             "[service c]\nlisten = 127.0.0.1:2525\ntls = none\nrelay = backend\n");
    struct run r = load_text(text);
    const struct service *a, *b, *c;

    diagnosis_print(r.d, stderr);
    assert_non_null(r.config);
    a = &r.config->service[0];
    b = &r.config->service[1];
    c = &r.config->service[2];
    assert_false(a->policy.is_enforced);
    assert_true(a->policy.may_auth_in_clear);
    assert_int_equal(a->policy.relay, RELAY_LOGIN);
    assert_int_equal(a->policy.relay_domains.count, 0);
    assert_int_equal(a->policy.bare_newline, BARE_NEWLINE_REJECT);
    assert_int_equal(a->allow_count, 3);
    assert_int_equal(a->allow[1].prefix, 32);
    assert_int_equal(a->allow[2].prefix, 128);
    assert_int_equal(a->deny_count, 1);
    assert_int_equal(a->max_sessions, 100);
    assert_int_equal(a->backend_max_connections, 20);
    assert_int_equal(a->policy.max_auth_failures, 0);
    assert_int_equal(a->login_timeout_ms, CONFIG_OFF);
    assert_int_equal(a->policy.capabilities.count, 3);
    assert_string_equal(a->policy.capabilities.word[2], "AUTH=PLAIN,LOGIN");
    assert_int_equal(a->policy.allow_commands.count, 2);
    assert_string_equal(a->policy.allow_commands.word[1], "xsta");
    assert_int_equal(b->policy.tls, FRONT_IMPLICIT);
    assert_int_equal(b->certificate_count, 1);
    assert_int_equal(b->policy.bare_newline, BARE_NEWLINE_PASS);
    assert_int_equal(c->policy.tls, FRONT_NONE);
    assert_int_equal(c->certificate_count, 0);
    end(r);
}

static void a_flood_of_mistakes_is_counted_not_kept(void **state)
{
    size_t len = 10000 * 2;
    char *text = malloc(len);
    struct run r;

    assert_non_null(text);
    for (size_t i = 0; i < len; i += 2)
        memcpy(text + i, "x\n", 2);
    r = load_text((struct span){text, len});
    assert_null(r.config);
    assert_int_equal(diagnosis_errors(r.d), 10000);
    assert_true(diagnosis_count(r.d) < 1000);
    free(text);
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_has_its_words),
        cmocka_unit_test(all_mistakes_are_told_in_one_run),
        cmocka_unit_test(included_files_are_read_beside_their_includer),
        cmocka_unit_test(includes_that_mean_nothing_are_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_one_complaint),
        cmocka_unit_test(texts_of_every_editor_are_read),
        cmocka_unit_test(a_value_is_the_rest_of_its_line),
        cmocka_unit_test(the_longest_line_is_whole_and_hides_none),
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(a_protocol_has_defaults_of_its_own),
        cmocka_unit_test(what_is_written_replaces_the_defaults_of_a_protocol),
        cmocka_unit_test(a_service_takes_defaults_and_replaces_them),
        cmocka_unit_test(what_a_service_may_say_of_its_clients),
        cmocka_unit_test(a_flood_of_mistakes_is_counted_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
