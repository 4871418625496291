/* SPDX-License-Identifier: ISC */
/* From the command line to an exit status: all addresses of a host, one after the other, once or
 * every minute. */
#include "proxy/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/lookup.h"
#include "proxy/probe_json.h"
#include "proxy/probe_judge.h"
#include "proxy/probe_nagios.h"
#include "proxy/probe_survey.h"
#include "proxy/probe_text.h"

enum { EXIT_GOOD, EXIT_BAD, EXIT_USAGE, EXIT_CANNOT };

/* All that one round has found out. */
struct round {
    time_t when;
    struct resolver_answer names;
    struct probe_facts facts[BOARD_ADDRESSES_MAX];
    struct probe_findings findings[BOARD_ADDRESSES_MAX];
};

/* Why there is no address; NULL: there is one, or more. */
static const char *why_nobody(const struct round *r)
{
    return r->names.count == 0 ? r->names.error : NULL;
}

/* Has this machine a way to another address? Those that nobody has asked yet may be such. */
static bool has_other_way(const struct round *r, size_t asked)
{
    bool has = asked + 1 < r->names.count;

    for (size_t i = 0; i < asked; i++)
        has = has || !r->facts[i].look.has_no_route;
    return has;
}

static void ask_address(struct round *r, size_t i, const struct probe_options *o,
                        struct probe_survey *survey)
{
    probe_survey_address(survey, &r->names.address[i], &r->facts[i]);
    r->when = time(NULL);
    probe_judge(o, &r->facts[i], has_other_way(r, i), r->when, &r->findings[i]);
}

static void ask(struct round *r, const struct probe_options *o, struct probe_survey *survey)
{
    for (size_t i = 0; i < r->names.count; i++)
        ask_address(r, i, o, survey);
}

static void begin(struct round *r, const struct probe_options *o)
{
    lookup_host(o->host, &r->names);
    r->when = time(NULL);
}

static enum finding worst_of(const struct round *r)
{
    return probe_worst(r->findings, r->names.count);
}

/* A name server that does not answer says nothing about the host. */
static bool could_run(const struct round *r)
{
    return r->names.count > 0 || r->names.is_nobody;
}

/* ---- in one of three forms ---- */

static enum probe_nagios nagios_status(const struct round *r)
{
    static const enum probe_nagios statuses[] = {
        [FINDING_OK] = NAGIOS_OK,
        [FINDING_WARNING] = NAGIOS_WARNING,
        [FINDING_PROBLEM] = NAGIOS_CRITICAL,
    };

    return could_run(r) ? statuses[worst_of(r)] : NAGIOS_UNKNOWN;
}

/* survey  asks each address right before it is told, since people read along; NULL: all is known */
static void tell_people(struct round *r, const struct probe_options *o, struct probe_survey *survey)
{
    struct report report;

    probe_text_begin(&report, stdout, o);
    for (size_t i = 0; i < r->names.count; i++) {
        if (survey != NULL)
            ask_address(r, i, o, survey);
        probe_text_address(&report, o, &r->facts[i], &r->findings[i]);
    }
    probe_text_end(&report, o, r->facts, r->names.count, r->names.left_out, why_nobody(r));
}

/* What has been asked. */
static void tell(struct round *r, const struct probe_options *o)
{
    const char *why = why_nobody(r);

    if (!could_run(r) && !o->nagios)
        fprintf(stderr, "starttlsd probe: %s: %s\n", o->host, why);
    else if (o->json)
        probe_json_write(stdout, o, r->facts, r->findings, r->names.count, r->names.left_out,
                         r->when, why);
    else if (o->nagios)
        probe_nagios_write(stdout, nagios_status(r), o, r->facts, r->findings, r->names.count,
                           r->names.left_out, r->when, why);
    else
        tell_people(r, o, NULL);
    fflush(stdout);
}

static void ask_and_tell(struct round *r, const struct probe_options *o,
                         struct probe_survey *survey)
{
    begin(r, o);
    if (could_run(r) && !o->json && !o->nagios) {
        tell_people(r, o, survey);
        return;
    }
    ask(r, o, survey);
    tell(r, o);
}

static int status_of(const struct round *r, const struct probe_options *o)
{
    if (o->nagios)
        return (int)nagios_status(r);
    if (!could_run(r))
        return EXIT_CANNOT;
    return worst_of(r) == FINDING_PROBLEM ? EXIT_BAD : EXIT_GOOD;
}

/* ---- --watch ---- */

static bool is_same_verdict(const struct probe_findings *a, const struct probe_findings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->finding[i].id, b->finding[i].id) != 0 ||
            a->finding[i].verdict != b->finding[i].verdict)
            return false;
    return true;
}

/* Name servers turn the order round, which is no news. */
static bool was_so(const struct round *before, const struct probe_facts *f,
                   const struct probe_findings *findings)
{
    for (size_t i = 0; i < before->names.count; i++)
        if (strcmp(before->facts[i].address, f->address) == 0)
            return is_same_verdict(&before->findings[i], findings);
    return false;
}

/* Other addresses, or another verdict on anything: times and days are no news. */
static bool is_news(const struct round *now, const struct round *before)
{
    if (now->names.count != before->names.count || could_run(now) != could_run(before))
        return true;
    for (size_t i = 0; i < now->names.count; i++)
        if (!was_so(before, &now->facts[i], &now->findings[i]))
            return true;
    return false;
}

static void tell_again(struct round *r, const struct round *before, const struct probe_options *o)
{
    char when[32] = "";
    struct tm tm;

    if (o->json) {
        tell(r, o);
        return;
    }
    if (localtime_r(&r->when, &tm) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    printf("%s  %s\n", when, could_run(r) ? finding_word(worst_of(r)) : "unknown");
    if (is_news(r, before))
        tell(r, o);
    fflush(stdout);
}

static void wait_until(time_t when)
{
    time_t now;

    while ((now = time(NULL)) < when) {
        const struct timespec left = {.tv_sec = when - now};

        nanosleep(&left, NULL);
    }
}

/* Until ^C, or until nobody listens. */
static void watch(struct round *r, struct round *before, const struct probe_options *o,
                  struct probe_survey *survey)
{
    while (!ferror(stdout)) {
        wait_until(r->when + PROBE_WATCH_SECONDS);
        *before = *r;
        begin(r, o);
        ask(r, o, survey);
        tell_again(r, before, o);
    }
}

/* ---- */

static int cannot(const struct probe_options *o, const char *why)
{
    if (o->nagios)
        probe_nagios_write_unknown(stdout, why);
    else
        fprintf(stderr, "starttlsd probe: %s\n", why);
    return EXIT_CANNOT;
}

static int run(const struct probe_options *o)
{
    char why[320] = "no memory";
    struct round *r = calloc(2, sizeof *r);
    struct probe_survey *survey = r == NULL ? NULL : probe_survey_new(o, why, sizeof why);
    int status;

    if (survey == NULL) {
        free(r);
        return cannot(o, why);
    }
    ask_and_tell(r, o, survey);
    if (o->watch)
        watch(r, r + 1, o, survey);
    status = status_of(r, o);
    probe_survey_free(survey);
    free(r);
    return status;
}

int probe_main(int argc, char **argv)
{
    struct probe_options o;
    char why[320];

    if (!probe_options_read(&o, argc, argv, why, sizeof why)) {
        if (o.nagios)
            return cannot(&o, why);
        fprintf(stderr, "starttlsd probe: %s\n`starttlsd probe --help` says more\n", why);
        return EXIT_USAGE;
    }
    if (o.help) {
        fputs(probe_usage, stdout);
        return EXIT_GOOD;
    }
    return run(&o);
}
