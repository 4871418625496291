/* SPDX-License-Identifier: ISC */
/* A member is null where nothing is known, and never left out: programs need not ask twice. */
#include "proxy/probe_json.h"

#include "protocols/learned.h"
#include "proxy/json.h"

/* ---- words ---- */

static const char *const reach_words[] = {[PROBE_NOT_REACHED] = "nothing",
                                          [PROBE_CONNECTED] = "connection",
                                          [PROBE_GREETED] = "greeting",
                                          [PROBE_SECURED] = "tls"};

static const char *const trust_words[] = {
    [PROBE_TRUSTED] = "trusted",
    [PROBE_SELF_SIGNED] = "self-signed",
    [PROBE_ISSUER_MISSING] = "issuer-missing",
    [PROBE_ISSUER_UNKNOWN] = "issuer-unknown",
    [PROBE_EXPIRED] = "expired",
    [PROBE_DISTRUSTED] = "distrusted",
};

static const char *const fate_words[] = {
    [PROBE_FATE_UNTRIED] = "untried",     [PROBE_FATE_UNDECIDED] = "undecided",
    [PROBE_FATE_EXECUTED] = "executed",   [PROBE_FATE_IN_CLEAR] = "answered-in-clear",
    [PROBE_FATE_FORGOTTEN] = "forgotten", [PROBE_FATE_REFUSED] = "refused",
};

static const char *const relay_words[] = {
    [PROBE_RELAY_UNKNOWN] = "unknown",
    [PROBE_RELAY_REFUSED] = "refused",
    [PROBE_RELAY_ACCEPTED] = "accepted",
};

/* ---- values ---- */

static void write_filled(struct json *j, const char *key, const char *text)
{
    json_text(j, key, text[0] == '\0' ? NULL : text);
}

#define NO_DATE ((time_t)-1)

static void write_date(struct json *j, const char *key, time_t when)
{
    char text[32] = "";
    struct tm tm;

    if (when != NO_DATE && gmtime_r(&when, &tm) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    write_filled(j, key, text);
}

/* Lines with LF behind each, as a list. */
static void write_lines(struct json *j, const char *key, struct span lines)
{
    json_begin(j, key, '[');
    while (lines.len > 0) {
        const char *lf = memchr(lines.data, '\n', lines.len);
        size_t len = lf == NULL ? lines.len : (size_t)(lf - lines.data);

        json_span(j, NULL, span_first(lines, len));
        lines = span_skip(lines, lf == NULL ? len : len + 1);
    }
    json_end(j, ']');
}

static void write_learned(struct json *j, const char *key, const struct learned *l)
{
    if (l->is_known)
        write_lines(j, key, (struct span){l->text, l->len});
    else
        json_null(j, key);
}

/* {"result": true, false or null, "reason": why}; null if untried. */
static void write_answer(struct json *j, const char *key, const struct probe_answer *a)
{
    if (a->outcome == PROBE_UNTRIED) {
        json_null(j, key);
        return;
    }
    json_begin(j, key, '{');
    if (a->outcome == PROBE_UNDECIDED)
        json_null(j, "result");
    else
        json_bool(j, "result", a->outcome == PROBE_YES);
    write_filled(j, "reason", a->why);
    json_end(j, '}');
}

/* ---- parts ---- */

static void write_tls(struct json *j, const struct probe_facts *f)
{
    if (f->look.version[0] == '\0') {
        json_null(j, "tls");
        return;
    }
    json_begin(j, "tls", '{');
    json_text(j, "version", f->look.version);
    json_text(j, "cipher", f->look.cipher);
    write_filled(j, "group", f->look.group);
    write_answer(j, "resumption", &f->resumption);
    json_end(j, '}');
}

static void write_digest(struct json *j, const char *key, const unsigned char digest[static 32])
{
    char text[65];

    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    json_text(j, key, text);
}

static void write_certificate(struct json *j, const struct probe_certificate *c)
{
    if (!c->is_shown) {
        json_null(j, "certificate");
        return;
    }
    json_begin(j, "certificate", '{');
    json_text(j, "subject", c->subject);
    json_text(j, "issuer", c->issuer);
    write_lines(j, "names", span_of(c->names));
    json_bool(j, "name_matches", c->is_for_name);
    json_text(j, "key", c->key);
    json_text(j, "signature", c->signature);
    json_bool(j, "weak", c->is_weak);
    write_date(j, "not_before", c->is_dated ? c->not_before : NO_DATE);
    write_date(j, "not_after", c->is_dated ? c->not_after : NO_DATE);
    json_text(j, "trust", trust_words[c->trust]);
    write_filled(j, "trust_reason", c->why);
    write_filled(j, "missing_issuer", c->missing);
    json_begin(j, "chain", '[');
    for (size_t i = 0; i < c->chain_count; i++)
        json_text(j, NULL, c->chain[i]);
    json_end(j, ']');
    json_bool(j, "chain_in_order", !c->is_disordered);
    write_digest(j, "tlsa_3_1_1", c->spki_sha256);
    json_end(j, '}');
}

static void write_versions(struct json *j, const struct probe_facts *f)
{
    bool is_tried = false;

    for (size_t i = 0; i < PROBE_VERSIONS; i++)
        is_tried = is_tried || f->version[i].outcome != PROBE_UNTRIED;
    if (!is_tried) {
        json_null(j, "versions");
        return;
    }
    json_begin(j, "versions", '{');
    for (size_t i = 0; i < PROBE_VERSIONS; i++)
        write_answer(j, probe_version_names[i], &f->version[i]);
    json_end(j, '}');
}

static void write_fate(struct json *j, const char *key, const struct probe_injection_facts *i)
{
    json_begin(j, key, '{');
    json_text(j, "fate", fate_words[i->fate]);
    write_filled(j, "reason", i->why);
    json_end(j, '}');
}

static void write_starttls(struct json *j, const struct probe_options *o,
                           const struct probe_facts *f)
{
    if (o->tls != BACKEND_TLS_STARTTLS) {
        json_null(j, "starttls");
        return;
    }
    json_begin(j, "starttls", '{');
    json_bool(j, "offered", f->look.said.offers_tls);
    write_filled(j, "answer", f->look.said.tls_answer);
    write_fate(j, "command_in_its_segment", &f->at_once);
    write_fate(j, "command_behind_it", &f->behind);
    json_end(j, '}');
}

static void write_neighbour(struct json *j, const struct probe_facts *f)
{
    if (f->implicit_port == 0) {
        json_null(j, "implicit_tls");
        return;
    }
    json_begin(j, "implicit_tls", '{');
    json_integer(j, "port", f->implicit_port);
    write_answer(j, "works", &f->implicit);
    json_end(j, '}');
}

static void write_relay(struct json *j, const struct probe_facts *f)
{
    if (f->relay_answer[0] == '\0') {
        json_null(j, "relay");
        return;
    }
    json_begin(j, "relay", '{');
    json_text(j, "result", relay_words[f->relay]);
    json_text(j, "answer", f->relay_answer);
    json_end(j, '}');
}

static void write_times(struct json *j, const struct probe_visit_facts *v)
{
    json_begin(j, "times", '[');
    for (size_t i = 0; i < v->time_count; i++) {
        json_begin(j, NULL, '{');
        json_text(j, "step", v->time[i].step);
        json_number(j, "ms", v->time[i].ms);
        json_end(j, '}');
    }
    json_end(j, ']');
}

static void write_findings(struct json *j, const struct probe_findings *findings)
{
    json_begin(j, "findings", '[');
    for (size_t i = 0; i < findings->count; i++) {
        const struct probe_finding *finding = &findings->finding[i];

        json_begin(j, NULL, '{');
        json_text(j, "id", finding->id);
        json_text(j, "verdict", finding_word(finding->verdict));
        json_text(j, "text", finding->text);
        write_filled(j, "advice", finding->advice);
        json_end(j, '}');
    }
    json_end(j, ']');
}

static void write_address(struct json *j, const struct probe_options *o,
                          const struct probe_facts *f, const struct probe_findings *findings)
{
    json_begin(j, NULL, '{');
    json_text(j, "address", f->address);
    json_text(j, "family", f->is_ipv6 ? "ipv6" : "ipv4");
    json_text(j, "verdict", finding_word(probe_worst(findings, 1)));
    json_text(j, "reached", reach_words[f->look.reach]);
    write_filled(j, "reason", f->look.why);
    json_bool(j, "behind_proxy", f->is_behind_proxy);
    write_filled(j, "greeting", f->look.said.greeting);
    json_begin(j, "capabilities", '{');
    write_learned(j, "clear", &f->look.said.clear);
    write_learned(j, "tls", &f->look.said.learned);
    json_end(j, '}');
    write_starttls(j, o, f);
    write_tls(j, f);
    write_certificate(j, &f->certificate);
    write_versions(j, f);
    write_neighbour(j, f);
    json_begin(j, "proxy", '{');
    write_answer(j, "v1", &f->proxy_v1);
    write_answer(j, "v2", &f->proxy_v2);
    json_end(j, '}');
    write_relay(j, f);
    write_times(j, &f->look);
    write_findings(j, findings);
    json_end(j, '}');
}

void probe_json_write(FILE *to, const struct probe_options *o, const struct probe_facts *facts,
                      const struct probe_findings *findings, size_t count, size_t left_out,
                      time_t when, const char *why)
{
    struct json j = {.to = to};

    json_begin(&j, NULL, '{');
    json_integer(&j, "schema", 1);
    write_date(&j, "time", when);
    json_text(&j, "protocol", o->protocol->name);
    json_text(&j, "host", o->host);
    json_integer(&j, "port", o->port);
    json_text(&j, "mode", o->tls == BACKEND_TLS_IMPLICIT ? "implicit" : "starttls");
    json_text(&j, "servername", o->servername);
    json_text(&j, "verdict", finding_word(probe_worst(findings, count)));
    json_text(&j, "reason", why);
    json_begin(&j, "addresses", '[');
    for (size_t i = 0; i < count; i++)
        write_address(&j, o, &facts[i], &findings[i]);
    json_end(&j, ']');
    json_integer(&j, "addresses_left_out", (long)left_out);
    json_end(&j, '}');
    fputc('\n', to);
    fflush(to);
}
