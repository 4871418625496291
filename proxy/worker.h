/* SPDX-License-Identifier: ISC */
/* One event loop: from the snapshot that the master describes to the last session. */
#ifndef STARTTLSD_WORKER_H
#define STARTTLSD_WORKER_H

#include "proxy/channel.h"

/* The process has given up its rights. Borrows the channel. The exit status. */
int worker_run(struct channel *channel, const struct message_start *start);

#endif
