/* SPDX-License-Identifier: ISC */
/* The command line of `starttlsd probe`: first which words there are, then what they mean. */
#include "proxy/probe_options.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/endpoint.h"
#include "config/nearest.h"

#define EXPIRY_DAYS     21
#define EXPIRY_DAYS_MAX 3650

const char probe_usage[] =
    "usage: starttlsd probe PROTOCOL HOST[:PORT] [OPTION...]\n"
    "\n"
    "Does STARTTLS work there? What is offered, agreed and shown, what is wrong, what to do.\n"
    "\n"
    "  PROTOCOL            smtp, imap or pop3\n"
    "  HOST                a name, an address, or [an IPv6 address]: all addresses of a name\n"
    "  PORT                25, 143, 110 unless given; with --tls implicit 465, 993, 995\n"
    "  --tls MODE          starttls, or implicit: TLS from the first octet, as on 465, 993, 995\n"
    "  --servername NAME   whose certificate it must show; HOST unless given\n"
    "  --ca FILE           authorities to trust (PEM) in place of the system's\n"
    "  --expiry DAYS       warn of a certificate with fewer days left; 21 unless given\n"
    "  --versions          try each version of TLS\n"
    "  --relay-test        smtp: would it relay for this machine? No mail is sent\n"
    "  --proxy             does it take a PROXY header from this machine?\n"
    "  --trace             the dialogues too, on stderr\n"
    "  --json              one object, for programs\n"
    "  --nagios            one line and exit status, for monitoring\n"
    "  --watch             again every minute, until ^C\n"
    "\n"
    "Exit status: 0 good, perhaps with warnings; 1 a problem; 2 usage; 3 could not run.\n"
    "With --nagios: 0 ok, 1 warning, 2 problem, 3 could not run, or usage.\n";

/* The words as they stand; NULL: not there. */
struct given {
    const char *protocol, *place;
    const char *tls, *servername, *ca, *expiry;
    bool versions, relay_test, proxy, nagios, watch, trace, json, help;
};

enum kind { FLAG, VALUE };

static const struct option {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct given */
} options[] = {
    {"--tls", VALUE, offsetof(struct given, tls)},
    {"--servername", VALUE, offsetof(struct given, servername)},
    {"--ca", VALUE, offsetof(struct given, ca)},
    {"--expiry", VALUE, offsetof(struct given, expiry)},
    {"--versions", FLAG, offsetof(struct given, versions)},
    {"--relay-test", FLAG, offsetof(struct given, relay_test)},
    {"--proxy", FLAG, offsetof(struct given, proxy)},
    {"--trace", FLAG, offsetof(struct given, trace)},
    {"--json", FLAG, offsetof(struct given, json)},
    {"--nagios", FLAG, offsetof(struct given, nagios)},
    {"--watch", FLAG, offsetof(struct given, watch)},
    {"--help", FLAG, offsetof(struct given, help)},
};

#define OPTIONS (sizeof options / sizeof *options)

/* Where the first complaint goes. */
struct complaint {
    char *why;
    size_t size;
};

/* False, always. A terminal, or a monitoring page, obeys no word of it. */
static bool complain(const struct complaint *c, const char *text, ...)
    __attribute__((format(printf, 2, 3)));

static bool complain(const struct complaint *c, const char *text, ...)
{
    va_list values;

    va_start(values, text);
    if (c->why[0] == '\0')
        vsnprintf(c->why, c->size, text, values);
    va_end(values);
    for (char *at = c->why; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            *at = '?';
    return false;
}

/* ---- words ---- */

static bool complain_unknown(const struct complaint *c, const char *word)
{
    struct nearest best = NEAREST_NONE;

    for (size_t i = 0; i < OPTIONS; i++)
        nearest_consider(&best, options[i].name, word);
    if (best.name == NULL)
        return complain(c, "there is no option %s; --help lists them all", word);
    return complain(c, "there is no option %s; did you mean %s?", word, best.name);
}

/* `--name`, `--name value` or `--name=value`, at argv[*i], which moves to the last word taken. */
static bool read_option(struct given *g, int argc, char **argv, int *i, const struct complaint *c)
{
    const char *word = argv[*i];
    const size_t len = strcspn(word, "=");
    const char *value = word[len] == '=' ? word + len + 1 : NULL;
    const struct option *o = options;

    while (o < options + OPTIONS && (strlen(o->name) != len || strncmp(o->name, word, len) != 0))
        o++;
    if (o == options + OPTIONS)
        return complain_unknown(c, word);
    if (o->kind == FLAG) {
        if (value != NULL)
            return complain(c, "%s takes no value: write %s alone", o->name, o->name);
        *(bool *)((char *)g + o->offset) = true;
        return true;
    }
    if (value == NULL && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0)
        value = argv[++*i];
    if (value == NULL || *value == '\0')
        return complain(c, "%s needs a value: see --help", o->name);
    *(const char **)((char *)g + o->offset) = value;
    return true;
}

/* All of them, lest --nagios stands behind one that is wrong. */
static bool read_words(struct given *g, int argc, char **argv, const struct complaint *c)
{
    bool is_good = true;

    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            is_good = read_option(g, argc, argv, &i, c) && is_good;
        else if (g->protocol == NULL)
            g->protocol = argv[i];
        else if (g->place == NULL)
            g->place = argv[i];
        else
            is_good = complain(c, "what is %s? One host at a time, %s it is", argv[i], g->place);
    }
    return is_good;
}

/* ---- meaning ---- */

/* "smtp, imap or pop3" */
static const char *protocol_names(char *space, size_t size)
{
    size_t len = 0;

    space[0] = '\0';
    for (size_t i = 0; protocol_at(i) != NULL && len < size; i++)
        len += (size_t)snprintf(space + len, size - len, "%s%s",
                                i == 0                       ? ""
                                : protocol_at(i + 1) == NULL ? " or "
                                                             : ", ",
                                protocol_at(i)->name);
    return space;
}

/* What people call a protocol with TLS from the first octet. */
static const struct protocol *protocol_with_s(const char *word)
{
    const size_t len = strlen(word);

    return len > 1 && word[len - 1] == 's' ? protocol_find((struct span){word, len - 1}) : NULL;
}

static bool read_protocol(struct probe_options *o, const char *word, const struct complaint *c)
{
    struct nearest best = NEAREST_NONE;
    char names[64];

    if (word == NULL)
        return complain(c, "which protocol? Write %s, then HOST or HOST:PORT",
                        protocol_names(names, sizeof names));
    o->protocol = protocol_find(span_of(word));
    if (o->protocol != NULL)
        return true;
    if (protocol_with_s(word) != NULL)
        return complain(c, "%s is no protocol: write %s, and --tls implicit", word,
                        protocol_with_s(word)->name);
    for (size_t i = 0; protocol_at(i) != NULL; i++)
        nearest_consider(&best, protocol_at(i)->name, word);
    return complain(c, "%s is no protocol: write %s, then HOST or HOST:PORT", word,
                    best.name != NULL ? best.name : protocol_names(names, sizeof names));
}

/* False: it is neither. */
static bool read_tls(struct probe_options *o, const char *word, const struct complaint *c)
{
    if (word == NULL)
        o->tls = BACKEND_TLS_NONE; /* the port will tell */
    else if (strcmp(word, "starttls") == 0)
        o->tls = BACKEND_TLS_STARTTLS;
    else if (strcmp(word, "implicit") == 0)
        o->tls = BACKEND_TLS_IMPLICIT;
    else
        return complain(c, "--tls %s: write starttls or implicit", word);
    return true;
}

/* Without the dot at its end, which some tools write (RFC 1034, section 3.1), but no certificate. */
static struct span without_dot(struct span name)
{
    return name.len > 1 && name.data[name.len - 1] == '.' ? span_first(name, name.len - 1) : name;
}

static bool is_address(const char *host)
{
    unsigned char octets[16];

    return inet_pton(AF_INET, host, octets) == 1 || inet_pton(AF_INET6, host, octets) == 1;
}

/* Where the port would begin: behind the bracket, or at the last colon. */
static struct span host_of(const char *word)
{
    const char *end = word[0] == '[' ? strchr(word, ']') : strrchr(word, ':');

    if (word[0] == '[' && end != NULL)
        end++;
    return end == NULL ? span_of(word) : (struct span){word, (size_t)(end - word)};
}

/* The configuration's own reader of places judges it; that one insists on a port. */
static bool read_place(struct probe_options *o, const char *word, const struct complaint *c)
{
    struct arena arena = {NULL};
    struct endpoint e = {0};
    struct span host;
    const char *wrong, *remedy;
    bool is_good = true;

    if (word == NULL)
        return complain(c, "which host? Write HOST or HOST:PORT behind %s", o->protocol->name);
    host = host_of(word);
    o->port = o->tls == BACKEND_TLS_IMPLICIT ? o->protocol->implicit_port : o->protocol->clear_port;
    wrong = endpoint_parse(
        &e,
        span_of(
            word[host.len] != '\0'
                ? arena_print(&arena, "%.*s%s", (int)without_dot(host).len, word, word + host.len)
                : arena_print(&arena, "%.*s:%u", (int)without_dot(host).len, word, o->port)),
        false, &arena, &remedy);
    if (wrong != NULL)
        is_good = complain(c, "%.80s %s: %s", word, wrong, remedy);
    else
        snprintf(o->host, sizeof o->host, "%s", e.host);
    o->port = e.port;
    arena_clear(&arena);
    return is_good;
}

static bool read_expiry(struct probe_options *o, const char *word, const struct complaint *c)
{
    unsigned long days;
    char *end;

    o->expiry_days = EXPIRY_DAYS;
    if (word == NULL)
        return true;
    days = strtoul(word, &end, 10);
    if (*end != '\0' || word[0] < '0' || word[0] > '9' || days > EXPIRY_DAYS_MAX)
        return complain(c, "--expiry %s: write a number of days, at most %u, as in --expiry 21",
                        word, EXPIRY_DAYS_MAX);
    o->expiry_days = (unsigned)days;
    return true;
}

static bool read_servername(struct probe_options *o, const char *word, const struct complaint *c)
{
    o->servername = word == NULL ? o->host : word;
    if (word == NULL || endpoint_is_name(span_of(word)) || is_address(word))
        return true;
    return complain(
        c,
        "--servername %.80s: write a name as a certificate has it, in ASCII and without "
        "a dot at its end, or an address without brackets",
        word);
}

static bool agrees(const struct probe_options *o, const struct complaint *c)
{
    if (o->relay_test && !o->protocol->has_relay)
        return complain(c, "--relay-test is for smtp: leave it out, %s passes no mail on",
                        o->protocol->name);
    if (o->json && o->nagios)
        return complain(c, "--json and --nagios are two forms of one answer: leave one out");
    if (o->watch && o->nagios)
        return complain(c, "--watch has no end, and --nagios answers once: leave one out");
    return true;
}

bool probe_options_read(struct probe_options *o, int argc, char **argv, char *why, size_t size)
{
    const struct complaint c = {why, size};
    struct given g = {0};
    bool is_read;

    why[0] = '\0';
    is_read = read_words(&g, argc, argv, &c);
    *o = (struct probe_options){
        .ca = g.ca,
        .versions = g.versions,
        .relay_test = g.relay_test,
        .proxy = g.proxy,
        .nagios = g.nagios,
        .watch = g.watch,
        .trace = g.trace,
        .json = g.json,
        .help = g.help,
    };
    if (!is_read || o->help)
        return is_read;
    if (!read_protocol(o, g.protocol, &c) || !read_tls(o, g.tls, &c) ||
        !read_place(o, g.place, &c) || !read_expiry(o, g.expiry, &c) ||
        !read_servername(o, g.servername, &c))
        return false;
    if (o->tls == BACKEND_TLS_NONE)
        o->tls =
            o->port == o->protocol->implicit_port ? BACKEND_TLS_IMPLICIT : BACKEND_TLS_STARTTLS;
    return agrees(o, &c);
}

bool probe_options_has_name(const struct probe_options *o)
{
    return !is_address(o->servername);
}

const char *probe_options_place(const struct probe_options *o, char space[PROBE_PLACE_MAX])
{
    const bool is_ipv6 = strchr(o->host, ':') != NULL;

    snprintf(space, PROBE_PLACE_MAX, "%s%s%s:%u", is_ipv6 ? "[" : "", o->host, is_ipv6 ? "]" : "",
             o->port);
    return space;
}
