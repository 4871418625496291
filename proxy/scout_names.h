/* SPDX-License-Identifier: ISC */
/* The names of backends and their addresses: asked of the resolver again and again, one at a time;
 * an answer that fails leaves the old addresses in place. */
#ifndef STARTTLSD_SCOUT_NAMES_H
#define STARTTLSD_SCOUT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "protocols/span.h"
#include "proxy/board.h"

/* To the resolver. It outlives the sets of names that use it, one at a time. */
struct scout_line {
    struct ev_loop *loop;
    ev_io io; /* .fd -1: there is none at present */
};

void scout_line_init(struct scout_line *l, struct ev_loop *loop,
                     void (*on_readable)(struct ev_loop *, ev_io *, int), void *context);
/* fd is taken; -1: hang up. */
void scout_line_set(struct scout_line *l, int fd);

struct scout_name {
    struct scout_name *next;
    const char *host; /* borrowed from the configuration */
    bool is_literal;  /* an address already */
    bool is_answered; /* or has failed, once */
    bool has_moved;   /* the latest answer differs from the one before */
    uint32_t count;
    union board_address address[BOARD_ADDRESSES_MAX];
    double due; /* loop time of the next question */
};

struct scout_names {
    struct ev_loop *loop;
    struct scout_name *first;
    double interval; /* seconds */
    /* A name has been answered, or has failed. */
    void (*on_answer)(void *context, struct scout_name *name);
    void *context;

    struct scout_line *line;
    struct scout_name *asked; /* a question is under way */
    uint32_t id;              /* of it */
    ev_timer timer;           /* the next question is due */
};

void scout_names_init(struct scout_names *n, struct ev_loop *loop, struct scout_line *line);
void scout_names_clear(struct scout_names *n);

/* The name `host`, there already or new. NULL: no memory. */
MUST_CHECK struct scout_name *scout_names_add(struct scout_names *n, const char *host);

/* What another set knows of the same names. */
void scout_names_inherit(struct scout_names *n, const struct scout_names *from);

/* Every one answered, or failed, once? */
bool scout_names_are_settled(const struct scout_names *n);

/* Begin asking, or go on. */
void scout_names_start(struct scout_names *n);

/* The line ends, or there is a new one: a question that was under way has failed. */
void scout_names_lost(struct scout_names *n);

/* The line has something to say, or has ended. */
void scout_names_read(struct scout_names *n);

#endif
