/* SPDX-License-Identifier: ISC */
/* One look at a backend. What its words mean is smtp_client.c's affair; here are socket and time.
 */
#include "proxy/scout_probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A backend that has been greeted well need not be waited for long. */
#define GOODBYE_SECONDS 2.0

static void try_next(struct scout_probe *p, const char *why);

static void set_timer(struct scout_probe *p, double seconds)
{
    ev_timer_stop(p->loop, &p->timer);
    ev_timer_set(&p->timer, seconds, 0.0);
    ev_timer_start(p->loop, &p->timer);
}

static void watch(struct scout_probe *p, int events)
{
    ev_io_stop(p->loop, &p->io);
    ev_io_set(&p->io, p->fd, events);
    ev_io_start(p->loop, &p->io);
}

void scout_probe_stop(struct scout_probe *p)
{
    if (p->fd < 0)
        return;
    ev_io_stop(p->loop, &p->io);
    ev_timer_stop(p->loop, &p->timer);
    close(p->fd);
    p->fd = -1;
}

bool scout_probe_is_running(const struct scout_probe *p)
{
    return p->fd >= 0;
}

static void fail(struct scout_probe *p, const char *why)
{
    bool was_done = p->is_done;

    scout_probe_stop(p);
    if (!was_done)
        try_next(p, why);
}

/* True: `seen` octets of the window are dealt with, and more are wanted. */
static bool judge(struct scout_probe *p)
{
    struct smtp_client_answer a = smtp_client_step(&p->machine, (struct span){p->window, p->len});

    memmove(p->window, p->window + a.take, p->len - a.take);
    p->len -= a.take;
    switch (a.health) {
    case SMTP_CLIENT_UNDECIDED: return true;
    case SMTP_CLIENT_HEALTHY:
        /* A few octets into an empty socket; if they don't fit the backend hears no goodbye. */
        (void)send(p->fd, a.text.data, a.text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        p->is_done = true;
        set_timer(p, GOODBYE_SECONDS);
        p->on_done(p->context, true, NULL);
        return p->fd >= 0;
    case SMTP_CLIENT_SICK: fail(p, "its greeting is no 220"); return false;
    case SMTP_CLIENT_OVER: scout_probe_stop(p); return false;
    }
    return false;
}

static void read_more(struct scout_probe *p)
{
    while (p->fd >= 0) {
        ssize_t n;

        if (p->len == sizeof p->window) {
            fail(p, "its greeting has no end");
            return;
        }
        n = recv(p->fd, p->window + p->len, sizeof p->window - p->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            fail(p, n == 0 ? "it closed the connection" : strerror(errno));
            return;
        }
        p->len += (size_t)n;
        if (!judge(p))
            return;
    }
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct scout_probe *p = watcher->data;
    int error = 0;
    socklen_t len = sizeof error;

    if (p->is_connected) {
        read_more(p);
        return;
    }
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0) {
        fail(p, strerror(error));
        return;
    }
    p->is_connected = true;
    watch(p, EV_READ);
    set_timer(p, p->greeting_seconds);
}

static void on_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scout_probe *p = watcher->data;

    fail(p, p->is_connected ? "no greeting in time" : "no connection in time");
}

/* 0, or the errno of what failed. */
static int open_next(struct scout_probe *p)
{
    const union board_address *a = &p->address[p->next++];
    socklen_t len = a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
    int error;

    p->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return errno;
    if (connect(p->fd, &a->any, len) == 0 || errno == EINPROGRESS)
        return 0;
    error = errno; /* close may set it anew */
    close(p->fd);
    p->fd = -1;
    return error;
}

static void try_next(struct scout_probe *p, const char *why)
{
    while (p->next < p->count) {
        int error = open_next(p);

        if (error != 0) {
            why = strerror(error);
            continue;
        }
        p->is_connected = false;
        p->len = 0;
        smtp_client_init(&p->machine);
        watch(p, EV_WRITE);
        set_timer(p, p->connect_seconds);
        return;
    }
    p->is_done = true;
    p->on_done(p->context, false, why);
}

void scout_probe_init(struct scout_probe *p, struct ev_loop *loop)
{
    p->loop = loop;
    p->fd = -1;
    ev_io_init(&p->io, on_ready, -1, EV_READ);
    ev_timer_init(&p->timer, on_time, 0.0, 0.0);
    p->io.data = p;
    p->timer.data = p;
}

void scout_probe_start(struct scout_probe *p, const union board_address *address, uint32_t count)
{
    scout_probe_stop(p); /* at most a goodbye that is still awaited */
    memcpy(p->address, address, count * sizeof *address);
    p->count = count;
    p->next = 0;
    p->is_done = false;
    try_next(p, "its name has no address");
}
