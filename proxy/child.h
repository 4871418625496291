/* SPDX-License-Identifier: ISC */
/* One child process as the master sees it: fork + exec of ourselves in a role, its channel, its
 * log, its end. */
#ifndef STARTTLSD_CHILD_H
#define STARTTLSD_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "protocols/span.h"
#include "proxy/channel.h"
#include "proxy/role.h"

struct child {
    enum role role;
    uint32_t slot; /* which worker */

    /* Both may be NULL-like between two lives: set by the owner before child_start. */
    void (*on_message)(struct child *c, struct message *m);
    void (*on_death)(struct child *c, int status); /* as waitpid tells it; may start it again */
    void *context;

    pid_t pid; /* 0: not running */
    struct channel *channel;
    bool is_mute; /* its channel has ended: it is dying, or will be killed */
    int log_fd;
    struct ev_loop *loop;
    ev_io log_watcher;
    ev_child exit_watcher;
    ev_timer grace; /* it closed its channel, and has until then to end */
};

/*
 * Start the process.
 *
 * loop  the default one, since only that hears of ended children
 * root  descriptor of what becomes its root, -1: none
 *
 * False: logged.
 */
MUST_CHECK bool child_start(struct child *c, struct ev_loop *loop, int root);

/* Send if it still listens, and if its end does not make the message pointless; one that can't keep up is
 * killed. */
void child_send(struct child *c, enum message_kind kind, const void *data, const int *fd,
                size_t fd_count);

void child_kill(struct child *c);

/* "worker 2", "scout": for titles and log lines. */
void child_title(const struct child *c, char *space, size_t size);

#endif
