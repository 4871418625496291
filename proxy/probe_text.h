/* SPDX-License-Identifier: ISC */
/* `starttlsd probe` for people: what is wrong first hand, then what is good to know. */
#ifndef STARTTLSD_PROBE_TEXT_H
#define STARTTLSD_PROBE_TEXT_H

#include <stdio.h>

#include "proxy/probe_judge.h"
#include "proxy/report.h"

/* The title; what follows may take a while. */
void probe_text_begin(struct report *r, FILE *to, const struct probe_options *o);

void probe_text_address(struct report *r, const struct probe_options *o,
                        const struct probe_facts *f, const struct probe_findings *findings);

/*
 * The verdict on all.
 *
 * facts     of `count` addresses
 * left_out  more addresses, which nobody asked
 * why       there is no address; NULL: there is one, or more
 */
void probe_text_end(struct report *r, const struct probe_options *o,
                    const struct probe_facts *facts, size_t count, size_t left_out,
                    const char *why);

#endif
