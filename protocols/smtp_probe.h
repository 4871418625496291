/* SPDX-License-Identifier: ISC */
/* SMTP's client role alone (struct probe): is this backend well, what can it do, would it relay for
 * our address? */
#ifndef STARTTLSD_SMTP_PROBE_H
#define STARTTLSD_SMTP_PROBE_H

#include "protocols/probe.h"

void smtp_probe_init(struct probe *p, const struct probe_wish *wish);
MUST_CHECK struct probe_step smtp_probe_step(struct probe *p, struct span window);

#endif
