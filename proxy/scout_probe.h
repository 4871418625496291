/* SPDX-License-Identifier: ISC */
/* One look at a backend: connect, let the protocol's probe speak with it. One address after the
 * other, one connection at a time. */
#ifndef STARTTLSD_SCOUT_PROBE_H
#define STARTTLSD_SCOUT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "config/config.h"
#include "protocols/probe.h"
#include "proxy/board.h"

struct scout_probe {
    struct ev_loop *loop;
    const struct protocol *protocol;
    double connect_seconds, answer_seconds;
    /* is_good: `probe` has what was wished for. Otherwise `why`, and there is what was found out
     * of the last address before it failed. */
    void (*on_done)(void *context, bool is_good, const char *why);
    void *context;
    struct probe_wish wish;
    struct probe probe;

    union board_address address[BOARD_ADDRESSES_MAX];
    uint32_t count, next;
    int fd; /* -1: no dialogue is under way */
    bool is_connected, has_spoken;
    double talk_until; /* by deadline_now */
    bool is_last_wait; /* the time for all answers is over before that for the next */
    bool is_done;      /* told; the goodbye is still awaited */
    ev_io io;
    ev_timer timer;
    size_t len;
    char window[PROBE_WINDOW];
};

/* A resolver's answer has none. */
void scout_set_port(union board_address *address, uint16_t port);

/* on_done and context are the caller's to set. */
void scout_probe_init(struct scout_probe *p, struct ev_loop *loop, const struct service *service);

bool scout_probe_is_running(const struct scout_probe *p);

/*
 * Begin. on_done is called once, maybe before this returns: good with the first address that does
 * well, else with the reason of the last one. The loop has nothing more to wait for when the
 * goodbye is over too.
 *
 * address  copied; ports set
 */
void scout_probe_start(struct scout_probe *p, const struct probe_wish *wish,
                       const union board_address *address, uint32_t count);

/* Without a word to anybody. */
void scout_probe_stop(struct scout_probe *p);

#endif
