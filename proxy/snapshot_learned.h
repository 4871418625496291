/* SPDX-License-Identifier: ISC */
/* What all backends of a service announce, as a worker needs it before TLS. */
#ifndef STARTTLSD_SNAPSHOT_LEARNED_H
#define STARTTLSD_SNAPSHOT_LEARNED_H

#include "proxy/snapshot.h"

/*
 * What the backends of this service have in common, those left out that are down. Brought up to date
 * by the call, if the board has changed; valid as long as the snapshot, and another text after the
 * next call.
 *
 * NULL: nothing is known of one of them, or the service does not want to know
 */
const struct learned *snapshot_learned(const struct snapshot *s,
                                       const struct snapshot_service *service);

/* For snapshot.c: room for that, nothing known yet. NULL: no memory. */
MUST_CHECK struct snapshot_learned *snapshot_learned_new(size_t backends);

#endif
