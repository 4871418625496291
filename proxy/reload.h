/* SPDX-License-Identifier: ISC */
/* A new configuration while sessions run, in two phases: every child builds it, then all take it or
 * none does. */
#ifndef STARTTLSD_RELOAD_H
#define STARTTLSD_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "proxy/crew.h"
#include "proxy/listener.h"

struct reload {
    /* The owner's to set. */
    const char *config_path;
    const char *fqdn;
    struct crew *crew;
    struct places *places;
    struct config *started_with; /* what a reload can't change is compared with this */
    uint32_t generations;        /* how many were made */
    void (*on_begin)(void *context);
    void (*on_end)(void *context); /* crew->current is what it is from now on, changed or not */
    void *context;

    bool is_wanted; /* a SIGHUP that came at a bad time */
    bool is_over;   /* no more of them */
    uint32_t votes_missing;
    bool is_taking; /* it is committed, and not all have taken it */
    ev_timer silence;
};

void reload_init(struct reload *r);

/* SIGHUP. One that comes during a reload, or before all children have started, is remembered. */
void reload_request(struct reload *r);

/* Something that a remembered one may have waited for has happened. */
void reload_resume(struct reload *r);

/* crew's on_vote; a voter that died votes no. */
void reload_vote(struct reload *r, struct member *voter, const char *refusal);

/* Give up one that is under way, and begin none any more: we are to stop. */
void reload_abandon(struct reload *r);

/* Log all of `d`, errors as `event`. */
void reload_log_complaints(const struct diagnosis *d, const char *event);

#endif
