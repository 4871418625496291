/* SPDX-License-Identifier: ISC */
/* One client from accept to close: feeds the module, holds the two streams, waits in one place. */
#ifndef STARTTLSD_SESSION_H
#define STARTTLSD_SESSION_H

#include "proxy/board.h"
#include "proxy/engine.h"
#include "proxy/snapshot.h"

/*
 * A client has been accepted.
 *
 * fd    non-blocking; taken in any case. If a limit is reached the client gets the protocol's busy reply
 * peer  its address
 */
void session_open(struct engine *e, struct snapshot *snapshot, const struct snapshot_service *service,
                  int fd, const union board_address *peer);

/* Every session: goodbye when nothing is lost by it (EVENT_DRAIN), or now (EVENT_STOP). */
void session_drain_all(struct engine *e);
void session_stop_all(struct engine *e);

#endif
