/* SPDX-License-Identifier: ISC */
/* `starttlsd probe --json`: facts and findings for programs, as docs/probe.schema.json has it. */
#ifndef STARTTLSD_PROBE_JSON_H
#define STARTTLSD_PROBE_JSON_H

#include <stdio.h>

#include "proxy/probe_judge.h"

/*
 * One object in one line.
 *
 * facts, findings  of `count` addresses, in pairs
 * when             it was found out
 * left_out         more addresses, which nobody asked
 * why              there is no address; NULL: there is one, or more
 */
void probe_json_write(FILE *to, const struct probe_options *o, const struct probe_facts *facts,
                      const struct probe_findings *findings, size_t count, size_t left_out,
                      time_t when, const char *why);

#endif
