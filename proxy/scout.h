/* SPDX-License-Identifier: ISC */
/* Asks the backends what they are, and writes the board that workers read. */
#ifndef STARTTLSD_SCOUT_H
#define STARTTLSD_SCOUT_H

#include "proxy/channel.h"

/* The process has given up its rights. Borrows the channel. The exit status. */
int scout_run(struct channel *channel, const struct message_start *start);

#endif
