/* SPDX-License-Identifier: ISC */
/* The parts of probe_judge.c, a file for each large topic, and what they share. */
#ifndef STARTTLSD_PROBE_OPINION_H
#define STARTTLSD_PROBE_OPINION_H

#include "proxy/probe_judge.h"

/* One judgement under way; all borrowed. */
struct opinion {
    const struct probe_options *o;
    const struct probe_facts *f;
    bool has_other;
    time_t now;
    struct probe_findings *to;
};

void opinion_find(struct opinion *j, enum finding verdict, const char *id, const char *text, ...)
    __attribute__((format(printf, 4, 5)));

/* What to do about the last one. */
void opinion_advise(struct opinion *j, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* Port 25: senders that find no TLS to their liking send in the clear, and most do not look whose
 * certificate it is (RFC 7435). */
bool opinion_is_opportunistic(const struct opinion *j);

/* TLS is up. */
void opinion_on_certificate(struct opinion *j); /* probe_opinion_certificate.c */
void opinion_on_offers(struct opinion *j);      /* probe_opinion_offers.c */

#endif
