/* SPDX-License-Identifier: ISC */
/* The race between addresses: a lane for each family, one timer for both. */
#include "proxy/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "proxy/inet.h"

/* RFC 8305, section 5: the connection attempt delay. */
#define JOIN_MS 250

/* ---- sockets ---- */

/* As the listeners' sockets (listener.c): a dead peer is found within minutes, whatever the kernel's default. */
static void set_options(int fd)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 300}, {IPPROTO_TCP, TCP_KEEPINTVL, 30},
        {IPPROTO_TCP, TCP_KEEPCNT, 5},
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                   sizeof options[i].value);
}

static socklen_t length(const union board_address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

struct dial_from dial_from_texts(const char *v4, const char *v6)
{
    struct dial_from from = {.is_transparent = false};

    if (v4 != NULL && inet_pton(AF_INET, v4, &from.v4.v4.sin_addr) == 1)
        from.v4.v4.sin_family = AF_INET;
    if (v6 != NULL && inet_pton(AF_INET6, v6, &from.v6.v6.sin6_addr) == 1)
        from.v6.v6.sin6_family = AF_INET6;
    return from;
}

struct dial_from dial_from_client(const struct address *client)
{
    struct dial_from from = {.is_transparent = true};

    if (client->family == ADDRESS_V4)
        from.v4 = inet_write(client);
    else if (client->family == ADDRESS_V6)
        from.v6 = inet_write(client);
    return from;
}

/* NULL: any. */
static const union board_address *source(const struct dial *d, sa_family_t family)
{
    const union board_address *from = family == AF_INET6 ? &d->from.v6 : &d->from.v4;

    return from->any.sa_family == AF_UNSPEC ? NULL : from;
}

/* The kernel takes the port when it knows the destination: one source may have as many connections
 * to each backend as there are ports. */
static bool bind_source(const struct dial *d, int fd, sa_family_t family)
{
    static const int yes = 1;
    const union board_address *from = source(d, family);
    union board_address any_port;

    if (from == NULL)
        return true;
    any_port = *from;
    if (family == AF_INET6)
        any_port.v6.sin6_port = 0;
    else
        any_port.v4.sin_port = 0;
    if (d->from.is_transparent &&
        setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   family == AF_INET6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &yes, sizeof yes) < 0)
        return false;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    return bind(fd, &any_port.any, length(&any_port)) == 0;
}

/* From ::1 nothing leaves the machine, and nobody says so; for IPv4 the kernel does. */
static bool can_meet(const union board_address *from, const union board_address *to)
{
    return from != NULL &&
           (from->any.sa_family != AF_INET6 || !IN6_IS_ADDR_LOOPBACK(&from->v6.sin6_addr) ||
            IN6_IS_ADDR_LOOPBACK(&to->v6.sin6_addr));
}

/* Where an address is no host's (multicast, broadcast, `any`) the kernel takes one of this machine
 * instead, and the backend would meet somebody whom it may trust. */
static bool is_shown(const struct dial *d, int fd, sa_family_t family)
{
    const union board_address *from = source(d, family);
    union board_address own;
    socklen_t len = sizeof own;

    if (getsockname(fd, &own.any, &len) < 0)
        return false;
    if (family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&own.v6.sin6_addr, &from->v6.sin6_addr);
    return own.v4.sin_addr.s_addr == from->v4.sin_addr.s_addr;
}

/* False: errno. */
static bool connect_from(const struct dial *d, int fd, const union board_address *to)
{
    const sa_family_t family = to->any.sa_family;

    if (!bind_source(d, fd, family) ||
        (connect(fd, &to->any, length(to)) < 0 && errno != EINPROGRESS)) {
        if (d->from.is_transparent && errno == EINVAL) /* what the kernel takes for no source */
            errno = DIAL_LEFT_OUT;
        return false;
    }
    errno = DIAL_LEFT_OUT;
    return !d->from.is_transparent || is_shown(d, fd, family);
}

/* -1: errno. */
static int begin_to_connect(const struct dial *d, const union board_address *to)
{
    const sa_family_t family = to->any.sa_family;
    int fd, error;

    if (d->from.is_transparent && !can_meet(source(d, family), to)) {
        errno = DIAL_LEFT_OUT;
        return -1;
    }
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_options(fd);
    if (connect_from(d, fd, to))
        return fd;
    error = errno; /* close may set it anew */
    close(fd);
    errno = error;
    return -1;
}

bool dial_is_our_shortage(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRINUSE:
    case EADDRNOTAVAIL: return true; /* no port is left, or the source is not this machine's */
    default: return false;
    }
}

const char *dial_words(int error)
{
    return error == ETIMEDOUT ? "no connection in time" : strerror(error);
}

/* ---- lanes ---- */

static void note_failure(struct dial *d, const struct dial_lane *l, int error)
{
    if (d->from.is_transparent && error == DIAL_LEFT_OUT) {
        if (d->error == 0)
            d->error = error;
        return;
    }
    if (!dial_is_our_shortage(d->error))
        d->error = error;
    if (d->on_failed != NULL)
        d->on_failed(d->context, &l->address, error);
}

static bool is_under_way(struct dial_lane *l)
{
    return ev_is_active(&l->io);
}

static struct dial_lane *other_lane(struct dial *d, const struct dial_lane *l)
{
    return l == &d->lane[0] ? &d->lane[1] : &d->lane[0];
}

static bool next_address(const struct dial *d, struct dial_lane *l)
{
    while (l->next < d->to->address_count) {
        l->tried = l->next++;
        l->address = d->to->address[l->tried];
        if (l->address.any.sa_family == l->family)
            return true;
    }
    return false;
}

/* The lane's next address that can be tried at all. False: there is none. */
static bool begin(struct dial *d, struct dial_lane *l)
{
    while (next_address(d, l)) {
        int fd = begin_to_connect(d, &l->address);

        if (fd < 0) {
            note_failure(d, l, errno);
            continue;
        }
        ev_io_set(&l->io, fd, EV_WRITE);
        ev_io_start(d->loop, &l->io);
        l->due = deadline_after(deadline_now(), d->timeout_ms);
        return true;
    }
    return false;
}

/* Its descriptor, the caller's now. */
static int end(struct dial *d, struct dial_lane *l)
{
    ev_io_stop(d->loop, &l->io);
    return l->io.fd;
}

static void rearm(struct dial *d)
{
    ev_tstamp due = DEADLINE_NEVER;
    bool is_any = false;

    for (int i = 0; i < 2; i++) {
        if (!is_under_way(&d->lane[i]))
            continue;
        is_any = true;
        if (d->lane[i].due < due)
            due = d->lane[i].due;
    }
    if (is_any && d->joins < due)
        due = d->joins;
    deadline_set(&d->timer, d->loop, due);
}

/* Nothing is under way in this lane: it begins anew, unless the other family has its turn. False: all
 * is over. */
static bool advance(struct dial *d, struct dial_lane *l)
{
    struct dial_lane *other = other_lane(d, l);

    if (is_under_way(other))
        (void)begin(d, l);
    else if (begin(d, other) || begin(d, l))
        d->joins = deadline_after(deadline_now(), JOIN_MS);
    else
        return false;
    rearm(d);
    return true;
}

/* False: that was the last. */
static bool fail(struct dial *d, struct dial_lane *l, int error)
{
    close(end(d, l));
    note_failure(d, l, error);
    if (advance(d, l))
        return true;
    deadline_stop(&d->timer, d->loop);
    d->on_over(d->context, d->error);
    return false;
}

static void win(struct dial *d, struct dial_lane *l)
{
    struct dial_lane *other = other_lane(d, l);
    int fd = end(d, l);

    if (is_under_way(other))
        other->next = other->tried; /* nothing is known against it */
    dial_stop(d);
    d->won = l;
    d->on_done(d->context, fd, &l->address);
}

/* ---- callbacks ---- */

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct dial *d = watcher->data;
    struct dial_lane *l = watcher == &d->lane[0].io ? &d->lane[0] : &d->lane[1];
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(watcher->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error == 0)
        win(d, l);
    else
        (void)fail(d, l, error);
}

static void on_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct dial *d = watcher->data;
    ev_tstamp now = deadline_now();

    for (int i = 0; i < 2; i++)
        if (is_under_way(&d->lane[i]) && d->lane[i].due <= now && !fail(d, &d->lane[i], ETIMEDOUT))
            return;
    if (d->joins <= now) {
        d->joins = DEADLINE_NEVER;
        for (int i = 0; i < 2; i++)
            if (!is_under_way(&d->lane[i]))
                (void)begin(d, &d->lane[i]);
    }
    rearm(d);
}

/* ---- */

static void open_lane(struct dial *d, struct dial_lane *l, sa_family_t family)
{
    *l = (struct dial_lane){.family = family};
    ev_io_init(&l->io, on_ready, -1, EV_WRITE);
    l->io.data = d;
}

bool dial_start(struct dial *d, const struct board_backend *to, const struct dial_from *from,
                uint32_t timeout_ms)
{
    const bool is_v6_first = to->address_count > 0 && to->address[0].any.sa_family == AF_INET6;

    dial_stop(d);
    d->to = to;
    d->from = *from;
    d->timeout_ms = timeout_ms;
    open_lane(d, &d->lane[0], is_v6_first ? AF_INET6 : AF_INET);
    open_lane(d, &d->lane[1], is_v6_first ? AF_INET : AF_INET6);
    d->error = 0;
    deadline_init(&d->timer, on_time, d);
    return advance(d, &d->lane[1]); /* as if it had failed: the first one's turn */
}

bool dial_go_on(struct dial *d)
{
    d->error = 0;
    return advance(d, &d->lane[1]);
}

bool dial_again(struct dial *d)
{
    d->won->next = d->won->tried;
    d->error = 0;
    return advance(d, other_lane(d, d->won));
}

void dial_stop(struct dial *d)
{
    for (int i = 0; i < 2; i++)
        if (is_under_way(&d->lane[i]))
            close(end(d, &d->lane[i]));
    deadline_stop(&d->timer, d->loop);
}
