/* SPDX-License-Identifier: ISC */
/* The first steps of every child: what it is, what it was given, what it gives up. Then its role's
 * own life. */
#include "proxy/role.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/channel.h"
#include "proxy/log.h"
#include "proxy/privsep.h"
#include "proxy/resolver.h"
#include "proxy/scout.h"
#include "proxy/tls_context.h"
#include "proxy/worker.h"

#define START_TIMEOUT_MS 10000

enum { EXIT_USAGE = 2, EXIT_COULD_NOT = 3 };

static const struct {
    const char *name;
    bool has_tls; /* OpenSSL is started before the cage: it reads openssl.cnf and loads providers */
    int (*run)(struct channel *channel, const struct message_start *start);
} roles[ROLE_COUNT] = {
    [ROLE_WORKER] = {"worker", true, worker_run},
    [ROLE_SCOUT] = {"scout", false, scout_run},
    [ROLE_RESOLVER] = {"resolver", false, resolver_run},
};

const char *role_name(enum role role)
{
    return roles[role].name;
}

/* A channel that our parent made? */
static bool has_channel(void)
{
    struct ucred peer;
    int type;
    socklen_t type_len = sizeof type, peer_len = sizeof peer;

    return getsockopt(ROLE_FD_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
           type == SOCK_SEQPACKET &&
           getsockopt(ROLE_FD_CHANNEL, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0 &&
           peer.pid == getppid();
}

/* The master's first word. */
static bool read_start(struct channel *channel, struct message_start *start)
{
    struct pollfd wait = {.fd = ROLE_FD_CHANNEL, .events = POLLIN};
    struct message m;

    if (poll(&wait, 1, START_TIMEOUT_MS) != 1 || channel_read(channel, &m) != CHANNEL_MESSAGE)
        return false;
    *start = m.data.start; /* the table lets it begin with nothing else */
    channel_release(&m);
    return true;
}

static int live(enum role role)
{
    struct channel *channel = channel_new(ROLE_FD_CHANNEL, CHANNEL_CHILD, role);
    struct message_start start;
    int status = EXIT_COULD_NOT;

    if (channel == NULL || !read_start(channel, &start))
        goto out;
    log_configure(start.log_format, start.log_level);
    if (roles[role].has_tls && !tls_library_start()) {
        log_event(LEVEL_ERROR, "server.failed", "step", "start OpenSSL", NULL);
        goto out;
    }
    tzset(); /* gmtime_r asks for /etc/localtime, once, though it has no use for it */
    if (privsep_enter(role, &start.privileges))
        status = roles[role].run(channel, &start);
out:
    channel_free(channel);
    return status;
}

int role_main(int argc, char **argv)
{
    for (enum role role = 0; role < ROLE_COUNT; role++) {
        if (argc != 3 || strcmp(argv[2], roles[role].name) != 0)
            continue;
        if (!has_channel()) {
            fprintf(stderr, "starttlsd: --role is between starttlsd and its children; "
                            "use `starttlsd run`\n");
            return EXIT_USAGE;
        }
        (void)prctl(PR_SET_NAME, "starttlsd"); /* exec of /proc/self/exe has named us "exe" */
        log_to_channel(ROLE_FD_LOG);
        return live(role);
    }
    fprintf(stderr, "starttlsd: no such role\n");
    return EXIT_USAGE;
}
