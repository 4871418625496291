/* SPDX-License-Identifier: ISC */
/* Facts to findings: what is good, what is not, and what to do about it. A pure function, and the
 * only place that has an opinion: the report, JSON and the monitoring line tell the same. */
#ifndef STARTTLSD_PROBE_JUDGE_H
#define STARTTLSD_PROBE_JUDGE_H

#include "proxy/probe_facts.h"
#include "proxy/probe_options.h"
#include "proxy/report.h"

struct probe_finding {
    const char *id; /* what it is about, a constant of docs/probe.md: "certificate.expiry" */
    enum finding verdict;
    char text[320];
    char advice[320]; /* "": nothing to do */
};

#define PROBE_FINDINGS_MAX 48

struct probe_findings {
    struct probe_finding finding[PROBE_FINDINGS_MAX];
    size_t count;
};

/*
 * In the order of a session.
 *
 * has_other  this machine has a way to another address of the host: one that it has no way to may
 *            be of no use to it, but is no problem
 * now        for expiry
 */
void probe_judge(const struct probe_options *o, const struct probe_facts *f, bool has_other,
                 time_t now, struct probe_findings *findings);

/* The gravest verdict on `count` addresses. Without any there is nobody to ask: a problem. */
enum finding probe_worst(const struct probe_findings *findings, size_t count);

/* What a client of this protocol says to start TLS. */
const char *probe_starttls_word(const struct protocol *protocol);

/* Whole days from `now` to `then`, which comes later. */
long probe_days(time_t now, time_t then);

#endif
