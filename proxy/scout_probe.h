/* SPDX-License-Identifier: ISC */
/* One look at a backend, by the way that sessions take: connect, secure, let the protocol's probe
 * speak with it. One address after the other. */
#ifndef STARTTLSD_SCOUT_PROBE_H
#define STARTTLSD_SCOUT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "config/config.h"
#include "protocols/probe.h"
#include "proxy/dial.h"
#include "proxy/stream.h"
#include "proxy/tls_backend.h"

/* What looks of one loop share. */
struct scout_space {
    struct scratch scratch;
    struct pool blocks;
};

/* For so many looks at a time. NULL: no memory. */
MUST_CHECK struct scout_space *scout_space_new(size_t looks);
void scout_space_free(struct scout_space *space);

/* Who looks on, and brings TLS of its own. Functions may be NULL. */
struct scout_observer {
    SSL *(*ssl)(void *context); /* instead of the service's. NULL: no memory */
    void (*on_connected)(void *context);
    void (*on_secured)(void *context, SSL *ssl);                      /* the handshake is done */
    void (*on_text)(void *context, bool is_ours, struct span octets); /* said, or heard */
    void *context;
};

struct scout_probe {
    struct ev_loop *loop;
    struct scout_space *space;
    const struct service *service;
    struct tls_backend *tls;
    size_t backend; /* in the service */
    double answer_seconds;
    /* is_good: `probe` has what was wished for. Otherwise `why`, and there is what was found out
     * of the last address before it failed. */
    void (*on_done)(void *context, bool is_good, const char *why);
    void *context;
    const struct scout_observer *observer; /* NULL: nobody */
    struct probe probe;
    bool is_late;                     /* of the last address: it ended since time was over */
    struct scout_tls {                /* of the last address */
        bool has_failed;              /* the handshake, or it took too long */
        const char *version, *cipher; /* NULL: there is no TLS */
        char failure[160]; /* TLS is opportunistic, and failed for this reason: a look without it
                              followed. Else "" */
    } secured;

    struct probe_wish wish;
    struct board_backend to;
    struct dial dial;
    bool is_running;
    struct stream stream; /* fd -1: no dialogue is under way */
    bool is_shaking, has_spoken;
    double talk_until; /* by deadline_now */
    bool is_last_wait; /* the time for all answers is over before that for the next */
    bool is_done;      /* told; the goodbye is still awaited */
    ev_io io;
    ev_timer timer;
};

/* A resolver's answer has none. */
void scout_set_port(union board_address *address, uint16_t port);

/*
 * on_done and context are the caller's to set.
 *
 * tls      of the service; NULL: its backends are spoken to in the clear
 * backend  index in the service
 */
void scout_probe_init(struct scout_probe *p, struct ev_loop *loop, struct scout_space *space,
                      const struct service *service, struct tls_backend *tls, size_t backend);

static inline bool scout_probe_is_running(const struct scout_probe *p)
{
    return p->is_running;
}

/*
 * Begin. on_done is called once, maybe before this returns: good with the first address that does
 * well, else with the reason of the last one. The loop has nothing more to wait for when the
 * goodbye is over too.
 *
 * wish     but for TLS, which is the service's
 * address  copied; ports set
 */
void scout_probe_start(struct scout_probe *p, const struct probe_wish *wish,
                       const union board_address *address, uint32_t count);

/* Without a word to anybody. */
void scout_probe_stop(struct scout_probe *p);

#endif
