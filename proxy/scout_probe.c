/* SPDX-License-Identifier: ISC */
/* One look at a backend. What its words mean is for the protocol's probe; here are socket and time.
 */
#include "proxy/scout_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/deadline.h"

/* However patient sessions may be: who is slower will not do as a backend. */
#define CONNECT_SECONDS_MAX 10.0
#define ANSWER_SECONDS_MAX  10.0

/* All answers together may take as long as so many. */
#define ANSWERS_TOGETHER 3

/* A backend that has been found well need not be waited for long. */
#define GOODBYE_SECONDS 2.0

static void try_next(struct scout_probe *p, const char *why);

static void set_timer(struct scout_probe *p, double seconds)
{
    ev_timer_stop(p->loop, &p->timer);
    ev_timer_set(&p->timer, seconds, 0.0);
    ev_timer_start(p->loop, &p->timer);
}

static void await_answer(struct scout_probe *p)
{
    double left = p->talk_until - deadline_now();

    p->is_last_wait = left < p->answer_seconds;
    if (left < 0.0)
        left = 0.0;
    set_timer(p, p->is_last_wait ? left : p->answer_seconds);
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

/* A few octets into a socket that the backend has read empty: they fit, or it has gone. */
static bool say(struct scout_probe *p, struct span text)
{
    return send(p->fd, text.data, text.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)text.len;
}

/* True: more octets are wanted. */
static bool judge(struct scout_probe *p)
{
    struct probe_step step = p->protocol->probe_step(&p->probe, (struct span){p->window, p->len});

    memmove(p->window, p->window + step.take, p->len - step.take);
    p->len -= step.take;
    switch (step.state) {
    case PROBE_GOING:
        if (step.text.len == 0)
            return true;
        p->has_spoken = true;
        await_answer(p);
        if (say(p, step.text))
            return true;
        fail(p, "it takes no commands");
        return false;
    case PROBE_HEALTHY:
        (void)say(p, step.text); /* if it does not fit the backend hears no goodbye */
        p->is_done = true;
        set_timer(p, GOODBYE_SECONDS);
        p->on_done(p->context, true, NULL);
        return p->fd >= 0;
    case PROBE_START_TLS: /* not wished for */
    case PROBE_SICK: fail(p, step.why); return false;
    case PROBE_OVER: scout_probe_stop(p); return false;
    }
    return false;
}

/* Once a wake-up: who speaks without end must not keep us from the clock, and from all others. */
static void read_more(struct scout_probe *p)
{
    ssize_t n = recv(p->fd, p->window + p->len, sizeof p->window - p->len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fail(p, n == 0 ? "it closed the connection" : strerror(errno));
        return;
    }
    p->len += (size_t)n;
    if (judge(p) && p->len == sizeof p->window)
        fail(p, "its line has no end");
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
    p->talk_until = deadline_now() + ANSWERS_TOGETHER * p->answer_seconds;
    await_answer(p);
}

static void on_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scout_probe *p = watcher->data;

    fail(p, !p->is_connected  ? "no connection in time"
            : p->is_last_wait ? "it takes too long"
            : p->has_spoken   ? "no answer in time"
                              : "no greeting in time");
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
        p->is_connected = p->has_spoken = false;
        p->len = 0;
        p->protocol->probe_init(&p->probe, &p->wish);
        watch(p, EV_WRITE);
        set_timer(p, p->connect_seconds);
        return;
    }
    p->is_done = true;
    p->on_done(p->context, false, why);
}

void scout_set_port(union board_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = htons(port);
    else
        address->v6.sin6_port = htons(port);
}

static double at_most(double seconds, uint32_t ms)
{
    return ms == CONFIG_OFF || ms / 1000.0 > seconds ? seconds : ms / 1000.0;
}

void scout_probe_init(struct scout_probe *p, struct ev_loop *loop, const struct service *service)
{
    p->loop = loop;
    p->protocol = service->protocol;
    p->connect_seconds = at_most(CONNECT_SECONDS_MAX, service->connect_timeout_ms);
    p->answer_seconds = at_most(ANSWER_SECONDS_MAX, service->greeting_timeout_ms);
    p->fd = -1;
    ev_io_init(&p->io, on_ready, -1, EV_READ);
    ev_timer_init(&p->timer, on_time, 0.0, 0.0);
    p->io.data = p;
    p->timer.data = p;
}

void scout_probe_start(struct scout_probe *p, const struct probe_wish *wish,
                       const union board_address *address, uint32_t count)
{
    scout_probe_stop(p); /* at most a goodbye that is still awaited */
    memcpy(p->address, address, count * sizeof *address);
    p->wish = *wish;
    p->count = count;
    p->next = 0;
    p->is_done = false;
    p->protocol->probe_init(&p->probe,
                            &p->wish); /* what an older look has found is not this one's */
    try_next(p, "its name has no address");
}
