/* SPDX-License-Identifier: ISC */
/* Names to addresses for those who may wait: `check --backends`, `probe`. */
#ifndef STARTTLSD_LOOKUP_H
#define STARTTLSD_LOOKUP_H

#include "proxy/resolver.h"

/* Blocks, but not for ever: in a process of its own, as the scout's resolver is one. host: a name, or
 * a numeric address. Without an address `error` says why; ports are 0. */
void lookup_host(const char *host, struct resolver_answer *answer);

#endif
