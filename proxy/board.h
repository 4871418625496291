/* SPDX-License-Identifier: ISC */
/* Shared memory with one writer. For one snapshot: the scout's board (addresses and health of
 * backends, read by workers) and each worker's (what its sessions met, read by the scout). For one
 * life of a worker: its tally, how many sessions and connections it has (tally.h). Nothing on a
 * board is secret, and a reader trusts nothing it reads. */
#ifndef STARTTLSD_BOARD_H
#define STARTTLSD_BOARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "protocols/protocol.h"

#define BOARD_ADDRESSES_MAX 16

union board_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

enum backend_health { BACKEND_UNKNOWN, BACKEND_UP, BACKEND_DOWN };

/* What the scout says of one backend. */
struct board_backend {
    enum backend_health health;
    bool is_resolved; /* the resolver has answered, or failed, once */
    uint32_t address_count;
    union board_address address[BOARD_ADDRESSES_MAX];
    uint64_t up_since_ms; /* CLOCK_MONOTONIC; 0: it was never down */
};

/* What a worker says of one backend. */
struct board_experience {
    uint32_t failures;        /* in a row, since the last good session */
    uint64_t last_success_ms; /* CLOCK_MONOTONIC; 0: never */
    uint64_t last_failure_ms;
};

#define BOARD_SERVICE_MAX 52

/* What a worker says of one service. It names it, since a tally outlives snapshots, and with them
 * every numbering. */
struct board_load {
    char service[BOARD_SERVICE_MAX]; /* ended by a NUL; "": a row that was never used */
    uint32_t sessions;
    uint32_t connections;      /* to backends */
    uint32_t waiting;          /* sessions that wait for one of these (backend_max_connections) */
    uint64_t first_waiting_ns; /* CLOCK_MONOTONIC: since when the first of them does; 0: nobody */
};

struct board; /* one mapping */

/* Master: a sealed memory file for `loads` services' load and for `backends` backends. The two
 * ends: *writer for the one process that writes it, *reader read-only. False: errno. */
MUST_CHECK bool board_make(uint32_t loads, uint32_t backends, int *writer, int *reader);

/* Map it; `fd` is closed in any case. NULL: not a board of that size, or no memory; logged. */
MUST_CHECK struct board *board_open_writer(int fd, uint32_t loads, uint32_t backends);
MUST_CHECK struct board *board_open_reader(int fd, uint32_t loads, uint32_t backends);
void board_close(struct board *b);

/* The scout's side. A board begins with every backend unknown and unresolved. */
void board_put_backend(struct board *b, size_t backend, const struct board_backend *value);
/* A copy, range-checked; the last good one if the writer keeps it torn. */
void board_get_backend(struct board *b, size_t backend, struct board_backend *value);
/* Reader: the copy that it keeps. Borrowed as long as the board is open; changes with every get. */
const struct board_backend *board_see_backend(struct board *b, size_t backend);
/* Changes with every put, so that a reader can tell without a copy. */
uint32_t board_backend_version(const struct board *b, size_t backend);

/* What the scout has learned of a backend's capabilities: a table of its own, since few sessions
 * ask. version: as above. */
void board_put_learned(struct board *b, size_t backend, const struct learned *value);
void board_get_learned(struct board *b, size_t backend, struct learned *value);
uint32_t board_learned_version(const struct board *b, size_t backend);

/* The workers' side. */
void board_put_experience(struct board *b, size_t backend, const struct board_experience *value);
void board_get_experience(struct board *b, size_t backend, struct board_experience *value);
void board_put_load(struct board *b, size_t row, const struct board_load *value);
void board_get_load(struct board *b, size_t row, struct board_load *value);

#endif
