/* SPDX-License-Identifier: ISC */
/* Names to addresses, for the scout: a process of its own, since a look-up reads files, talks to
 * strangers, and may never return. */
#ifndef STARTTLSD_RESOLVER_H
#define STARTTLSD_RESOLVER_H

#include "proxy/board.h"
#include "proxy/channel.h"

#define RESOLVER_NAME_MAX 256

/* Over a SOCK_SEQPACKET pair, one at a time; each is answered, or the line ends. */
struct resolver_question {
    uint32_t id;
    char name[RESOLVER_NAME_MAX];
};

struct resolver_answer {
    uint32_t id;
    uint32_t count;                                   /* 0: it failed */
    uint32_t left_out;                                /* more than there is room for */
    union board_address address[BOARD_ADDRESSES_MAX]; /* ports are 0 */
    bool
        is_nobody; /* failed: there is no such name, or it has no address; else nobody could tell */
    char error[96];
};

/* Ask the system. Blocks; if it takes too long the process ends by SIGALRM. */
void resolver_look_up(const struct resolver_question *question, struct resolver_answer *answer);

/* The process has given up its rights. Borrows the channel. The exit status. */
int resolver_run(struct channel *channel, const struct message_start *start);

#endif
