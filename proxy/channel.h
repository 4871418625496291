/* SPDX-License-Identifier: ISC */
/* Typed messages between the master and one child. One table says who may send what, when, how long
 * and with how many descriptors; both ends keep to it, and an end that hears something else trusts
 * the other no more. */
#ifndef STARTTLSD_CHANNEL_H
#define STARTTLSD_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "config/config.h"
#include "protocols/span.h"
#include "proxy/privsep.h"
#include "proxy/role.h"
#include "proxy/tls_tickets.h"

enum message_kind {
    /* from the master */
    MESSAGE_START,   /* first of all: who you are */
    MESSAGE_TICKETS, /* the keys from now on */
    MESSAGE_TALLY,   /* a worker's board of counts: your own, before all generations, or another's;
                        without one: that worker is dead */
    MESSAGE_PREPARE, /* a generation follows. Worker: bundle, scout's board, own board; scout:
                        bundle, own board */
    MESSAGE_PLACE,   /* an address that a service listens on, and its sockets if they are new to you
                      */
    MESSAGE_EXPERIENCE, /* a worker's board, for the scout */
    MESSAGE_BUILD,      /* the generation is complete: build it, answer BUILT or REFUSED */
    MESSAGE_COMMIT,     /* it is the one from now on; answer TAKEN when that is so */
    MESSAGE_ROLLBACK,   /* forget it */
    MESSAGE_ADOPT,      /* watch the queues of a dead worker */
    MESSAGE_GIVE_BACK,  /* it is back */
    MESSAGE_PEER,       /* scout and resolver: your end of a new line to each other */
    MESSAGE_DRAIN,      /* take nothing new, end when the last session has ended */
    MESSAGE_STOP,       /* end now, with goodbyes */
    /* from a child */
    MESSAGE_BUILT,
    MESSAGE_REFUSED,
    MESSAGE_TAKEN,   /* nothing begins with an older generation any more; worker: it listens */
    MESSAGE_SETTLED, /* scout, some time later: each name has been answered, or has failed, once */
};
#define MESSAGE_COUNT (MESSAGE_SETTLED + 1)

struct message_start {
    struct privileges privileges;
    uint32_t slot;         /* which worker; 0 for the others */
    uint32_t workers;      /* how many there are */
    uint32_t max_sessions; /* of this worker */
    enum log_format log_format;
    enum log_level log_level;
};

struct message_prepare {
    uint32_t generation, services, backends;
};

struct message_place {
    uint32_t place;   /* the master's number for the address; lives as long as it is listened on */
    uint32_t service; /* whose it is in this generation */
    uint32_t first;   /* the descriptors are those of worker `first` and the next ones */
};

struct message_slot {
    uint32_t slot;
};

struct message_generation {
    uint32_t generation;
};

struct message_refused {
    uint32_t generation;
    char text[2044];
};

#define MESSAGE_DATA_MAX 2048
#define MESSAGE_FDS_MAX  64

/* A descriptor that its holder keeps no more; -1 is left in its place. */
static inline int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

struct message {
    enum message_kind kind;
    size_t fd_count;
    int fd[MESSAGE_FDS_MAX]; /* close-on-exec; who keeps one uses fd_take */
    union {
        struct message_start start;
        struct message_prepare prepare;
        struct message_place place;
        struct message_slot slot;
        struct message_generation generation;
        struct message_refused refused; /* text is ended */
        struct tls_ticket_keys tickets;
        unsigned char octets[MESSAGE_DATA_MAX];
    } data;
};

enum channel_result {
    CHANNEL_MESSAGE,
    CHANNEL_AGAIN,  /* nothing there */
    CHANNEL_CLOSED, /* the other end is gone */
    CHANNEL_BROKEN, /* it broke the table, or the socket failed; logged */
};

enum channel_end { CHANNEL_MASTER, CHANNEL_CHILD };

struct channel;

/*
 * fd     non-blocking SOCK_SEQPACKET; taken
 * end    ours
 * child  the role of the process at the child's end
 *
 * NULL: no memory.
 */
MUST_CHECK struct channel *channel_new(int fd, enum channel_end end, enum role child);
void channel_free(struct channel *c);

/* Master: this child has been told to drain or to stop. All it can still be told is to stop (again). */
bool channel_is_ending(const struct channel *c);

/*
 * Send, or queue what the socket does not take at once: descriptors are duplicated for that.
 *
 * data  of the kind's own size; NULL where it has none
 *
 * False: the other end is gone, or so slow that the queue is full.
 */
MUST_CHECK bool channel_send(struct channel *c, enum message_kind kind, const void *data,
                             const int *fd, size_t fd_count);

/* The next message. Done with it: channel_release, which closes what nobody kept and wipes the
 * rest. */
MUST_CHECK enum channel_result channel_read(struct channel *c, struct message *m);
void channel_release(struct message *m);

/*
 * Read and write by the loop from now on.
 *
 * on_message  the message is released when it returns; the channel must not be freed in it
 * on_end      CHANNEL_CLOSED or CHANNEL_BROKEN, once; the channel is quiet then, and may be freed
 * in it
 */
void channel_watch(struct channel *c, struct ev_loop *loop,
                   void (*on_message)(void *context, struct message *m),
                   void (*on_end)(void *context, enum channel_result why), void *context);
/* Before the loop is destroyed; channel_free does it too. */
void channel_unwatch(struct channel *c);

#endif
