/* SPDX-License-Identifier: ISC */
/* `starttlsd probe` for people: what is wrong first hand, then what is good to know. */
#ifndef STARTTLSD_PROBE_TEXT_H
#define STARTTLSD_PROBE_TEXT_H

#include <stdio.h>

#include "proxy/probe_judge.h"

/*
 * facts, findings  of `count` addresses, in pairs
 * why              there is no address; NULL: there is one, or more
 */
void probe_text_write(FILE *to, const struct probe_options *o, const struct probe_facts *facts,
                      const struct probe_findings *findings, size_t count, const char *why);

#endif
