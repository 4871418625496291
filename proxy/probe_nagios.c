/* SPDX-License-Identifier: ISC */
/* A plugin's answer. Performance data begins at the first `|`, so no peer's text may hold one. */
#include "proxy/probe_nagios.h"

#include <string.h>

static const char *const status_words[] = {
    [NAGIOS_OK] = "OK",
    [NAGIOS_WARNING] = "WARNING",
    [NAGIOS_CRITICAL] = "CRITICAL",
    [NAGIOS_UNKNOWN] = "UNKNOWN",
};

static void write_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++)
        fputc(*text == '|' ? '!' : *text, to);
}

static double milliseconds(const struct probe_facts *f)
{
    double sum = 0.0;

    for (size_t i = 0; i < f->look.time_count; i++)
        sum += f->look.time[i].ms;
    return sum;
}

/* When the first certificate expires; NULL: none was shown. */
static const time_t *first_end(const struct probe_facts *facts, size_t count)
{
    const time_t *first = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct probe_certificate *c = &facts[i].certificate;

        if (c->is_shown && c->is_dated && (first == NULL || c->not_after < *first))
            first = &c->not_after;
    }
    return first;
}

/* The gravest, and the first of these; *at: whose it is. NULL: all is well. */
static const struct probe_finding *worst_of(const struct probe_findings *findings, size_t count,
                                            size_t *at)
{
    const struct probe_finding *worst = NULL;
    enum finding least = FINDING_OK;

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < findings[i].count; k++)
            if (findings[i].finding[k].verdict > least) {
                worst = &findings[i].finding[k];
                least = worst->verdict;
                *at = i;
            }
    return worst;
}

/* What can be said in a few words: the worst finding, or what was agreed. */
static void write_summary(FILE *to, const struct probe_facts *facts,
                          const struct probe_findings *findings, size_t count, size_t left_out,
                          time_t now, const char *why)
{
    size_t at = 0;
    const struct probe_finding *worst = worst_of(findings, count, &at);
    const time_t *end = first_end(facts, count);

    if (why != NULL) {
        write_text(to, why);
    } else if (worst != NULL) {
        if (count > 1)
            fprintf(to, "%s: ", facts[at].address);
        write_text(to, worst->text);
    } else {
        fputs(facts[0].look.version, to);
        if (end != NULL)
            fprintf(to, ", certificate %ld days", probe_days(now, *end));
        if (left_out > 0)
            fprintf(to, ", %zu of %zu addresses", count, count + left_out);
        else if (count > 1)
            fprintf(to, ", %zu addresses", count);
    }
}

static void write_performance(FILE *to, const struct probe_options *o,
                              const struct probe_facts *facts, size_t count, time_t now)
{
    const time_t *end = first_end(facts, count);
    double slowest = 0.0;

    if (count == 0) {
        fputc('\n', to);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (milliseconds(&facts[i]) > slowest)
            slowest = milliseconds(&facts[i]);
    fprintf(to, " | time=%.3fs;;;0", slowest / 1000.0);
    if (end != NULL)
        fprintf(to, " days=%ld;%u:;0:", probe_days(now, *end), o->expiry_days);
    fputc('\n', to);
}

static void write_finding(FILE *to, const struct probe_facts *f,
                          const struct probe_finding *finding)
{
    fprintf(to, "%s: %s: ", f->address, finding_word(finding->verdict));
    write_text(to, finding->text);
    if (finding->advice[0] != '\0') {
        fputs("; ", to);
        write_text(to, finding->advice);
    }
    fputc('\n', to);
}

void probe_nagios_write(FILE *to, enum probe_nagios status, const struct probe_options *o,
                        const struct probe_facts *facts, const struct probe_findings *findings,
                        size_t count, size_t left_out, time_t now, const char *why)
{
    char place[PROBE_PLACE_MAX];

    fprintf(to, "STARTTLS %s - %s %s: ", status_words[status], o->protocol->name,
            probe_options_place(o, place));
    write_summary(to, facts, findings, count, left_out, now, why);
    write_performance(to, o, facts, count, now);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < findings[i].count; k++)
            if (findings[i].finding[k].verdict != FINDING_OK)
                write_finding(to, &facts[i], &findings[i].finding[k]);
}

void probe_nagios_write_unknown(FILE *to, const char *why)
{
    fputs("STARTTLS UNKNOWN - ", to);
    write_text(to, why);
    fputc('\n', to);
}
