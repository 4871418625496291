/* SPDX-License-Identifier: ISC */
/* What the scout thinks of the backends of one generation, and how it comes to think so. */
#ifndef STARTTLSD_SCOUT_VIEW_H
#define STARTTLSD_SCOUT_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "config/config.h"
#include "proxy/board.h"
#include "proxy/bundle.h"
#include "proxy/scout_names.h"
#include "proxy/scout_probe.h"

struct scout_target {
    struct scout_view *view;
    size_t index; /* on the boards */
    const struct service *service;
    const struct endpoint *endpoint;
    struct scout_name *name;
    enum backend_health health;
    uint32_t streak;           /* failures in a row, ours and the workers' */
    uint32_t looks_in_doubt;   /* in vain, since it was well */
    uint64_t last_probe_ms;    /* CLOCK_MONOTONIC */
    uint64_t last_good_ms;     /* a probe or a session */
    uint64_t up_since_ms;      /* after it was down; 0: it never was */
    uint64_t learned_ms;       /* the last good look that asked; 0: none since it was down */
    struct learned learned;    /* as on the board */
    uint32_t *failures_seen;   /* by worker: what is counted already */
    uint64_t *success_seen_ms; /* by worker */
    struct scout_probe probe;
    ev_timer timer; /* the next look */
};

struct scout_view {
    struct ev_loop *loop;
    uint32_t generation;
    struct config *config;
    struct board *board;       /* ours */
    struct board **experience; /* by worker; NULL: unknown */
    uint32_t workers;
    struct board_experience *met; /* by worker: what was read last, of one backend */
    struct scout_target *target;
    size_t target_count;
    struct scout_space *space;
    struct tls_backend **tls; /* by service; NULL: in the clear */
    struct scout_names names;
    ev_timer tick; /* reads the workers' boards */
    void (*on_settled)(void *context);
    void *context;
    bool is_settled;
};

/*
 * Build it from a bundle, and put on the board what is known at once: literal addresses, and what
 * `old` knows.
 *
 * b           borrowed for the call
 * board       taken in any case, as are the `workers` boards of `experience`, and the array
 * old         NULL: there is none
 * on_settled  called once after scout_view_start, when each name has been answered or has failed
 *
 * NULL: it can't be; logged.
 */
MUST_CHECK struct scout_view *scout_view_new(struct ev_loop *loop, struct bundle *b,
                                             struct board *board, struct board **experience,
                                             uint32_t workers, const struct scout_view *old,
                                             struct scout_line *line);
void scout_view_free(struct scout_view *v);

void scout_view_start(struct scout_view *v, void (*on_settled)(void *context), void *context);

#endif
