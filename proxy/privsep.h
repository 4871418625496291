/* SPDX-License-Identifier: ISC */
/* Gives up rights, in order, per kind of process. Names are resolved in the master, since a child
 * that has its new root can look nothing up. */
#ifndef STARTTLSD_PRIVSEP_H
#define STARTTLSD_PRIVSEP_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "proxy/role.h"

struct privileges {
    bool is_root;        /* the master has root's rights to give up */
    bool is_caged;       /* false: --no-cage, for debuggers and sanitizers */
    bool is_transparent; /* workers keep CAP_NET_RAW: they connect from clients' addresses */
    uid_t user;          /* is_root: what children become */
    gid_t group;
};

/* Of the first service that connects from clients' addresses; NULL: none does. */
const struct service *privsep_transparent_service(const struct config *config);

/* Who the children become. False: a written name does not exist; it is in `d`. */
MUST_CHECK bool privsep_resolve(const struct config *config, bool is_caged, struct privileges *p,
                                struct diagnosis *d);

/* Has this process the rights that its children will have to keep? Into `d` if not. */
void privsep_judge_rights(const struct config *config, struct diagnosis *d);

/* What of the cage can't be applied, in words for the log. */
const char *privsep_summary(const struct privileges *p);

/* The directory that becomes the children's root: the one that is written, or an empty one that has
 * no name any more. -1: none can be had; the reason is in `d`. The caller's to close. */
MUST_CHECK int privsep_root_open(const struct config *config, struct diagnosis *d);

/* Child: give up everything that `role` has no use for, for ever. False: not all of it; logged, and
 * the process must end. */
MUST_CHECK bool privsep_enter(enum role role, const struct privileges *p);

#endif
