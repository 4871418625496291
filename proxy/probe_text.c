/* SPDX-License-Identifier: ISC */
/* A report: a title for each address, its findings in the order of a session, facts below, and the
 * verdict in a sentence at the end. */
#include "proxy/probe_text.h"

#include <string.h>

/* ---- facts ---- */

static void tell_learned(struct report *r, const char *label, const struct learned *l)
{
    if (l->is_known)
        report_list(r, label, (struct span){l->text, l->len});
}

static void tell_certificate(struct report *r, const struct probe_certificate *c)
{
    char from[32] = "?", until[32] = "?";
    struct tm tm;

    if (c->is_dated && gmtime_r(&c->not_before, &tm) != NULL)
        strftime(from, sizeof from, "%Y-%m-%d %H:%M", &tm);
    if (c->is_dated && gmtime_r(&c->not_after, &tm) != NULL)
        strftime(until, sizeof until, "%Y-%m-%d %H:%M", &tm);
    report_fact(r, "certificate", "%s, by %s", c->subject, c->issuer);
    report_list(r, "names", span_of(c->names));
    report_fact(r, "valid", "from %s to %s UTC", from, until);
    report_fact(r, "key", "%s, signed with %s", c->key, c->signature);
    for (size_t i = 1; i < c->chain_count; i++)
        report_fact(r, i == 1 ? "chain" : "", "%s", c->chain[i]);
}

/* Ready for a zone (RFC 6698, RFC 7672). Addresses have none. */
static void tell_tlsa(struct report *r, const struct probe_options *o,
                      const struct probe_certificate *c)
{
    char digest[65];

    for (size_t i = 0; i < sizeof c->spki_sha256; i++)
        snprintf(digest + 2 * i, 3, "%02x", c->spki_sha256[i]);
    if (probe_options_has_name(o))
        report_fact(r, "TLSA", "_%u._tcp.%s. IN TLSA 3 1 1 %s", o->port, o->servername, digest);
    else
        report_fact(r, "TLSA", "3 1 1 %s", digest);
}

static void tell_times(struct report *r, const struct probe_visit_facts *v)
{
    char text[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < v->time_count && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s %.1f ms\n", v->time[i].step,
                                v->time[i].ms);
    if (len > 0)
        report_list(r, "times", span_of(text));
}

static void tell_facts(struct report *r, const struct probe_options *o, const struct probe_facts *f)
{
    tell_learned(r, "before TLS", &f->look.said.clear);
    tell_learned(r, "inside TLS", &f->look.said.learned);
    if (f->certificate.is_shown) {
        tell_certificate(r, &f->certificate);
        tell_tlsa(r, o, &f->certificate);
    }
    tell_times(r, &f->look);
}

/* ---- the whole ---- */

void probe_text_begin(struct report *r, FILE *to, const struct probe_options *o)
{
    char place[PROBE_PLACE_MAX];

    report_init(r, to);
    report_title(r, 0, "%s %s", o->protocol->name, probe_options_place(o, place));
    fflush(to);
}

void probe_text_address(struct report *r, const struct probe_options *o,
                        const struct probe_facts *f, const struct probe_findings *findings)
{
    report_title(r, 1, "%s", f->address);
    for (size_t i = 0; i < findings->count; i++) {
        report_finding(r, findings->finding[i].verdict, "%s", findings->finding[i].text);
        if (findings->finding[i].advice[0] != '\0')
            report_advice(r, "%s", findings->finding[i].advice);
    }
    tell_facts(r, o, f);
    fflush(r->to);
}

/* TLS is up at all of them that this machine has a way to. */
static bool is_up(const struct probe_facts *facts, size_t count)
{
    size_t up = 0, away = 0;

    for (size_t i = 0; i < count; i++) {
        const struct probe_visit_facts *look = &facts[i].look;

        if (look->has_no_route)
            away++;
        else if (look->reach == PROBE_SECURED && !look->has_tls_failed)
            up++;
    }
    return up > 0 && up + away == count;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void tell_verdict(const struct report *r, const struct probe_options *o,
                         const struct probe_facts *facts, size_t count, size_t left_out)
{
    const unsigned problems = r->count[FINDING_PROBLEM], warnings = r->count[FINDING_WARNING];
    char place[PROBE_PLACE_MAX];

    fprintf(r->to, "\n%s %s at %s",
            o->tls == BACKEND_TLS_IMPLICIT ? "TLS" : probe_starttls_word(o->protocol),
            problems == 0         ? "works"
            : is_up(facts, count) ? "works, but not as it should,"
                                  : "does not work",
            probe_options_place(o, place));
    if (count == 0)
        fputs(" (no address", r->to);
    else if (left_out > 0)
        fprintf(r->to, " (%zu of its %zu addresses", count, count + left_out);
    else
        fprintf(r->to, " (%zu address%s", count, count == 1 ? "" : "es");
    if (problems > 0 && count > 0)
        fprintf(r->to, "; %u problem%s", problems, plural(problems));
    if (warnings > 0)
        fprintf(r->to, "; %u warning%s", warnings, plural(warnings));
    fputs(")\n", r->to);
}

void probe_text_end(struct report *r, const struct probe_options *o,
                    const struct probe_facts *facts, size_t count, size_t left_out, const char *why)
{
    if (count == 0) {
        report_finding(r, FINDING_PROBLEM, "no address: %s", why);
        report_advice(r, "is the name right?");
    }
    tell_verdict(r, o, facts, count, left_out);
    fflush(r->to);
}
