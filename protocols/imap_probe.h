/* SPDX-License-Identifier: ISC */
/* IMAP's client role alone: what is this backend? */
#ifndef STARTTLSD_IMAP_PROBE_H
#define STARTTLSD_IMAP_PROBE_H

#include "protocols/probe.h"

/* protocol.h: probe_init, probe_step. IMAP has no relay, so that wish is none. */
void imap_probe_init(struct probe *p, const struct probe_wish *wish);
struct probe_step imap_probe_step(struct probe *p, struct span window);

#endif
