/* SPDX-License-Identifier: ISC */
/* One look at a backend: connect, hear its greeting, say goodbye. One address after the other, one
 * connection at a time. */
#ifndef STARTTLSD_SCOUT_PROBE_H
#define STARTTLSD_SCOUT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "protocols/smtp_client.h"
#include "proxy/board.h"

/* A greeting of several lines, each as long as it may be, is read line by line. */
#define SCOUT_PROBE_WINDOW (2 * SMTP_REPLY_LINE_MAX)

struct scout_probe {
    struct ev_loop *loop;
    double connect_seconds, greeting_seconds;
    void (*on_done)(void *context, bool is_good, const char *why);
    void *context;

    union board_address address[BOARD_ADDRESSES_MAX];
    uint32_t count, next;
    int fd; /* -1: no dialogue is under way */
    bool is_connected;
    bool is_done; /* told; the goodbye is still awaited */
    ev_io io;
    ev_timer timer;
    struct smtp_client machine;
    size_t len;
    char window[SCOUT_PROBE_WINDOW];
};

void scout_probe_init(struct scout_probe *p, struct ev_loop *loop);

bool scout_probe_is_running(const struct scout_probe *p);

/*
 * Begin. on_done is called once, maybe before this returns: good with the first address that greets
 * well, else with the reason of the last one.
 *
 * address  copied; ports set
 */
void scout_probe_start(struct scout_probe *p, const union board_address *address, uint32_t count);

/* Without a word to anybody. */
void scout_probe_stop(struct scout_probe *p);

#endif
