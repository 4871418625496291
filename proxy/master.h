/* SPDX-License-Identifier: ISC */
/* The process with rights: configuration, listening sockets, ticket keys, children, signals, the
 * log. It parses no octet from the network. */
#ifndef STARTTLSD_MASTER_H
#define STARTTLSD_MASTER_H

#include <stdbool.h>

#include <ev.h>

#include "proxy/crew.h"
#include "proxy/listener.h"

enum master_phase {
    MASTER_STARTING, /* until everybody has been at work once */
    MASTER_READY,
    MASTER_DRAINING,
    MASTER_STOPPING,
};

struct master {
    const char *config_path;
    const char *fqdn;
    bool is_caged;
    enum master_phase phase;
    int exit_status;

    struct ev_loop *loop;
    struct crew crew;
    struct places places;
    struct config *started_with; /* what a reload can't change is compared with this */
    uint32_t generations;        /* how many were made */

    /* reload.c */
    bool is_reload_wanted; /* a SIGHUP that came at a bad time */
    uint32_t votes_missing;
    ev_timer reload_timer;

    ev_signal on_hup, on_term, on_int, on_usr2;
    ev_timer rotation;    /* of ticket keys */
    ev_timer end_of_time; /* of a drain, then of the stop */
};

/* Once the server has been ready, the service manager hears when it is so again. */
void master_tell_ready(const struct master *m);

/* The interval is the current configuration's. */
void master_schedule_rotation(struct master *m);

/* `run`: until a signal ends it. The exit status. */
int master_run(const char *config_path, bool is_caged);

#endif
