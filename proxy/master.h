/* SPDX-License-Identifier: ISC */
/* The process with rights: configuration, listening sockets, ticket keys, children, signals, the
 * log. It parses no octet from the network. */
#ifndef STARTTLSD_MASTER_H
#define STARTTLSD_MASTER_H

#include <stdbool.h>

/* `run`: until a signal ends it. The exit status. */
int master_run(const char *config_path, bool is_caged);

#endif
