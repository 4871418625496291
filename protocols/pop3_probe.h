/* SPDX-License-Identifier: ISC */
/* POP3's client role alone (struct probe): is this backend well, and what can it do? */
#ifndef STARTTLSD_POP3_PROBE_H
#define STARTTLSD_POP3_PROBE_H

#include "protocols/probe.h"

void pop3_probe_init(struct probe *p, const struct probe_wish *wish);
MUST_CHECK struct probe_step pop3_probe_step(struct probe *p, struct span window);

#endif
