/* SPDX-License-Identifier: ISC */
/* A report to a person: findings, each with a verdict and, where something is to be done, a line of
 * advice. */
#ifndef STARTTLSD_REPORT_H
#define STARTTLSD_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "protocols/span.h"

enum finding { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

/* "ok", "warning", "problem". */
const char *finding_word(enum finding verdict);

struct report {
    FILE *to;
    bool is_coloured;
    unsigned count[3]; /* findings by verdict */
};

/* Coloured if `to` is a terminal and NO_COLOR is not set. */
void report_init(struct report *r, FILE *to);

/* What the findings below are about. depth: 0, 1 */
void report_title(struct report *r, unsigned depth, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/* In one line, for those who search: it may quote a server. */
void report_finding(struct report *r, enum finding verdict, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/* What to do about the finding above, folded. */
void report_advice(struct report *r, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* What has no verdict: `label`, then the text in one line, for those who copy it. */
void report_fact(struct report *r, const char *label, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/* Likewise a list: the lines (LF behind each), folded. */
void report_list(struct report *r, const char *label, struct span lines);

#endif
