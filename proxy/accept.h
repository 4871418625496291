/* SPDX-License-Identifier: ISC */
/* A worker's side of the listening sockets: which it watches, how it accepts, how it lets go. */
#ifndef STARTTLSD_ACCEPT_H
#define STARTTLSD_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "proxy/engine.h"
#include "proxy/snapshot.h"

/* One address, with the sockets of all workers: any of them can be asked to watch another's. */
struct accept_place {
    struct accept_place *next;
    struct acceptor *acceptor;
    uint32_t number;           /* the master's */
    struct snapshot *snapshot; /* counted; NULL until the first commit that wants it */
    const struct snapshot_service *service;
    uint32_t coming; /* service in the generation under way; COMING_NONE: not in it */
    ev_io *watcher;  /* one a worker; .fd -1: not here yet */
};

struct acceptor {
    struct ev_loop *loop;
    struct engine *engine;
    uint32_t slot, workers;
    bool *is_watched; /* by slot: our own, and those that were adopted */
    struct accept_place *first;
    ev_timer pause; /* out of descriptors or memory */
    bool is_short;  /* told once, until a connection is accepted again */
};

/* False: no memory. */
MUST_CHECK bool acceptor_init(struct acceptor *a, struct ev_loop *loop, struct engine *engine,
                              uint32_t slot, uint32_t workers);
void acceptor_clear(struct acceptor *a);

/*
 * Phase one: the coming generation wants this place.
 *
 * fd  of the workers from `first` on; those that are taken become -1. None if they are here already
 *
 * False: no memory, or nonsense.
 */
MUST_CHECK bool accept_prepare(struct acceptor *a, uint32_t number, uint32_t service,
                               uint32_t first, int *fd, size_t count);

/* Is every socket there of every place that the coming generation wants? */
bool accept_is_complete(const struct acceptor *a);

/* Phase two: new connections are the new snapshot's; places that it does not want are accepted
 * empty and closed. */
void accept_commit(struct acceptor *a, struct snapshot *snapshot);
void accept_rollback(struct acceptor *a);

/* Watch, or no longer, the sockets of worker `slot`. */
void accept_watch(struct acceptor *a, uint32_t slot, bool is_watched);

/* Accept what is queued, then close everything. */
void accept_finish(struct acceptor *a);

#endif
