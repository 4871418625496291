/* SPDX-License-Identifier: ISC */
/* `starttlsd probe --nagios`: what monitoring-plugins.org wants of a plugin. */
#ifndef STARTTLSD_PROBE_NAGIOS_H
#define STARTTLSD_PROBE_NAGIOS_H

#include <stdio.h>

#include "proxy/probe_judge.h"

/* Their exit statuses. */
enum probe_nagios { NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN };

/*
 * One line, with performance data; below it what is wrong.
 *
 * facts, findings  of `count` addresses, in pairs
 * left_out         addresses that nobody asked
 * why              there is no address; NULL: there is one, or more
 */
void probe_nagios_write(FILE *to, enum probe_nagios status, const struct probe_options *o,
                        const struct probe_facts *facts, const struct probe_findings *findings,
                        size_t count, size_t left_out, time_t now, const char *why);

/* Where there is nothing but a reason. */
void probe_nagios_write_unknown(FILE *to, const char *why);

#endif
