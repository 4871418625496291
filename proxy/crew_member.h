/* SPDX-License-Identifier: ISC */
/* What one child is told, and when. Shared by the files named crew*.c alone. */
#ifndef STARTTLSD_CREW_MEMBER_H
#define STARTTLSD_CREW_MEMBER_H

#include "proxy/crew.h"

static inline bool member_is_running(const struct member *m)
{
    return m->state != MEMBER_GONE;
}

/* Phase one of a generation: all that it needs to build it. */
void member_offer(struct member *m, const struct generation *g);

/* MESSAGE_COMMIT or MESSAGE_ROLLBACK, if something is offered. */
void member_close_offer(struct member *m, enum message_kind kind);

/* A worker's tally. A blank one, before it starts (false: logged); then it and all others are told
 * of each other's. When it is dead the others are told so: its sessions count for nobody any more. */
MUST_CHECK bool member_open_tally(struct member *m);
void member_share_tally(struct member *m);
void member_close_tally(struct member *m);

#endif
