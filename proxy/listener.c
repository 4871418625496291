/* SPDX-License-Identifier: ISC */
/* The master's listening sockets. Every option that an accepted socket inherits is set here, once.
 */
#include "proxy/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/endpoint.h"
#include "proxy/board.h"
#include "proxy/log.h"

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

struct address {
    union board_address sa;
    socklen_t len;
    bool is_dual; /* both families on one socket */
};

static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;

    if (fd >= 0)
        close(fd);
    return works;
}

static bool parse(const struct endpoint *e, struct address *a)
{
    *a = (struct address){0};
    if (strcmp(e->host, "*") == 0 && has_ipv6()) {
        a->sa.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
        a->is_dual = true;
    } else if (strcmp(e->host, "*") == 0) {
        a->sa.v4.sin_family = AF_INET;
    } else if (inet_pton(AF_INET, e->host, &a->sa.v4.sin_addr) == 1) {
        a->sa.v4.sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, e->host, &a->sa.v6.sin6_addr) == 1) {
        a->sa.v6.sin6_family = AF_INET6;
    } else {
        return false;
    }
    if (a->sa.any.sa_family == AF_INET) {
        a->sa.v4.sin_port = htons(e->port);
        a->len = sizeof a->sa.v4;
    } else {
        a->sa.v6.sin6_port = htons(e->port);
        a->len = sizeof a->sa.v6;
    }
    return true;
}

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* A bound socket, -1: errno. Many may share the address with is_shared; without, it is ours alone
 * or not at all. */
static int bind_to(const struct address *a, bool is_shared)
{
    int fd = socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int saved;

    if (fd < 0)
        return -1;
    if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
        (!is_shared || set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
        (a->sa.any.sa_family == AF_INET || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !a->is_dual)) &&
        bind(fd, &a->sa.any, a->len) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int listen_on(const struct address *a)
{
    int fd = bind_to(a, true);
    int saved;

    if (fd < 0)
        return -1;
    /* A relay passes on what it has: Nagle would only wait. Dead peers are found within two hours
     * and a half at most, though sessions have their own limits long before. */
    if (set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 300) && set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30) &&
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, 5) && listen(fd, BACKLOG) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static const char *remedy(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "another server, or a second starttlsd, listens there: `ss -ltnp` names it";
    case EACCES: return "ports below 1024 need root or CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL: return "write an address of this machine, or *";
    case EAFNOSUPPORT: return "this machine has no IPv6";
    default: return NULL;
    }
}

static void complain(const struct endpoint *e, const char *section, int error, struct diagnosis *d)
{
    const char *what = error == EADDRINUSE ? "address in use" : strerror(error);

    diagnosis_error(d, e->origin, section, "listen", remedy(error), "cannot listen on %s: %s",
                    e->text, what);
    log_event(LEVEL_ERROR, "listen.failed", "address", e->text, "reason", what, NULL);
}

static void place_free(struct place *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        close(p->fd[i]);
    free(p->host);
    free(p);
}

/* Does something of ours take connections there already? */
static bool is_ours(const struct places *places, const struct endpoint *e)
{
    for (const struct place *p = places->first; p != NULL; p = p->next) {
        const struct endpoint known = {.host = p->host, .port = p->port};

        if (endpoint_overlap(&known, e))
            return true;
    }
    return false;
}

static struct place *place_new(struct places *places, const struct endpoint *e, const char *section,
                               struct diagnosis *d)
{
    struct place *p = calloc(1, sizeof *p + places->workers * sizeof p->fd[0]);
    struct address a;
    int alone;

    if (p == NULL || (p->host = strdup(e->host)) == NULL) {
        complain(e, section, ENOMEM, d);
        free(p);
        return NULL;
    }
    p->port = e->port;
    if (!parse(e, &a)) {
        complain(e, section, EADDRNOTAVAIL, d);
        goto failed;
    }
    /* With SO_REUSEPORT a second instance would share the port in silence, and get half of the
     * mail. */
    alone = is_ours(places, e) ? -1 : bind_to(&a, false);
    if (alone < 0 && !is_ours(places, e)) {
        complain(e, section, errno, d);
        goto failed;
    }
    if (alone >= 0)
        close(alone);
    while (p->count < places->workers) {
        p->fd[p->count] = listen_on(&a);
        if (p->fd[p->count] < 0) {
            complain(e, section, errno, d);
            goto failed;
        }
        p->count++;
    }
    p->number = places->next_number++;
    p->next = places->first;
    places->first = p;
    return p;
failed:
    place_free(p);
    return NULL;
}

struct place *place_get(struct places *places, const struct endpoint *endpoint, const char *section,
                        struct diagnosis *d)
{
    struct place *p = places->first;

    while (p != NULL && (p->port != endpoint->port || strcmp(p->host, endpoint->host) != 0))
        p = p->next;
    if (p == NULL)
        p = place_new(places, endpoint, section, d);
    if (p != NULL)
        p->uses++;
    return p;
}

void place_put(struct places *places, struct place *place)
{
    struct place **link = &places->first;

    if (--place->uses > 0)
        return;
    while (*link != place)
        link = &(*link)->next;
    *link = place->next;
    place_free(place);
}
