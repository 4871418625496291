/* SPDX-License-Identifier: ISC */
/* A new configuration while sessions run, in two phases: every child builds it, then all take it or
 * none does. */
#ifndef STARTTLSD_RELOAD_H
#define STARTTLSD_RELOAD_H

#include "proxy/master.h"

void reload_init(struct master *m);

/* SIGHUP. One that comes during a reload, or before all children have started, is remembered. */
void reload_request(struct master *m);

/* Something that a remembered one may have waited for has happened. */
void reload_resume(struct master *m);

/* crew's on_vote; a voter that died votes no. */
void reload_vote(struct master *m, struct member *voter, const char *refusal);

/* Give up one that is under way: we are to stop. */
void reload_abandon(struct master *m);

/* Log all of `d`, errors as `event`. */
void reload_log_complaints(const struct diagnosis *d, const char *event);

#endif
