/* SPDX-License-Identifier: ISC */
/* A worker's side of the listening sockets. It holds those of all workers, so that no queue dies
 * with one. */
#include "proxy/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/admission.h"
#include "proxy/inet.h"
#include "proxy/log.h"
#include "proxy/session.h"
#include "proxy/session_log.h"

/* Connections a loop turn and socket: the sessions that are there have a right to the next turn. */
#define BUDGET 16

/* A queue is never longer than the backlog; what comes faster than it is emptied must not keep us.
 */
#define QUEUE_MAX 4096

#define PAUSE_SECONDS 1.0
#define COMING_NONE   UINT32_MAX

static void start_watching(struct acceptor *a)
{
    for (struct accept_place *p = a->first; p != NULL; p = p->next)
        for (uint32_t i = 0; i < a->workers; i++)
            if (a->is_watched[i] && p->snapshot != NULL && p->watcher[i].fd >= 0)
                ev_io_start(a->loop, &p->watcher[i]);
}

static void stop_watching(struct acceptor *a)
{
    for (struct accept_place *p = a->first; p != NULL; p = p->next)
        for (uint32_t i = 0; i < a->workers; i++)
            ev_io_stop(a->loop, &p->watcher[i]);
}

/* Nothing but time brings descriptors or memory back; until then the queue is the kernel's. */
static void pause_accepting(struct acceptor *a, const struct accept_place *p)
{
    if (!a->is_short)
        log_errno(LEVEL_ERROR, "session.refused", "service", p->service->config->name, NULL);
    a->is_short = true;
    stop_watching(a);
    ev_timer_set(&a->pause, PAUSE_SECONDS, 0.0);
    ev_timer_start(a->loop, &a->pause);
}

/* No word to those whom the administrator will not have: they are not to know what is here. */
static void take(struct acceptor *a, struct accept_place *p, int client,
                 const union board_address *from)
{
    const struct address peer = inet_read(from);

    const bool is_balancer = admission_needs_header(p->service->config, &peer);

    if (is_balancer || admission_allows(p->service->config, &peer)) {
        session_open(a->engine, p->snapshot, p->service, client, &peer, is_balancer);
        return;
    }
    session_log_refused(p->service, &peer, LEVEL_INFO, "denied");
    close(client);
}

/* At most `budget` connections of one socket. False: it is empty, or we are out of means. */
static bool accept_some(struct acceptor *a, struct accept_place *p, int fd, int budget)
{
    while (budget-- > 0) {
        union board_address peer = {0};
        socklen_t len = sizeof peer;
        int client = accept4(fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client >= 0) {
            a->is_short = false;
            take(a, p, client, &peer);
            continue;
        }
        switch (errno) {
        case EAGAIN: return false;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: pause_accepting(a, p); return false;
        default: break; /* ECONNABORTED, and errors that wait on the new connection (accept(2)) */
        }
    }
    return true;
}

static void on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct accept_place *p = watcher->data;

    (void)accept_some(p->acceptor, p, watcher->fd, BUDGET);
}

static void on_pause_end(struct ev_loop *loop, ev_timer *watcher, int events)
{
    start_watching(watcher->data);
}

bool acceptor_init(struct acceptor *a, struct ev_loop *loop, struct engine *engine, uint32_t slot,
                   uint32_t workers)
{
    *a = (struct acceptor){.loop = loop, .engine = engine, .slot = slot, .workers = workers};
    a->is_watched = calloc(workers, sizeof *a->is_watched);
    if (a->is_watched == NULL)
        return false;
    a->is_watched[slot] = true;
    ev_timer_init(&a->pause, on_pause_end, 0.0, 0.0);
    a->pause.data = a;
    return true;
}

static struct accept_place *place_new(struct acceptor *a, uint32_t number)
{
    struct accept_place *p = calloc(1, sizeof *p);

    if (p == NULL || (p->watcher = calloc(a->workers, sizeof *p->watcher)) == NULL) {
        free(p);
        return NULL;
    }
    p->acceptor = a;
    p->number = number;
    p->coming = COMING_NONE;
    for (uint32_t i = 0; i < a->workers; i++) {
        ev_io_init(&p->watcher[i], on_accept, -1, EV_READ);
        p->watcher[i].data = p;
    }
    p->next = a->first;
    a->first = p;
    return p;
}

/* Take it out of the list at `link` and close it. */
static void place_free(struct accept_place **link)
{
    struct accept_place *p = *link;

    *link = p->next;
    for (uint32_t i = 0; i < p->acceptor->workers; i++) {
        ev_io_stop(p->acceptor->loop, &p->watcher[i]);
        if (p->watcher[i].fd >= 0)
            close(p->watcher[i].fd);
    }
    if (p->snapshot != NULL)
        snapshot_put(p->snapshot);
    free(p->watcher);
    free(p);
}

/* All queues of a place, the other workers' too: whoever closes last has looked last. */
static void accept_rest(struct acceptor *a, struct accept_place *p)
{
    for (uint32_t i = 0; i < a->workers && p->snapshot != NULL; i++)
        if (p->watcher[i].fd >= 0)
            (void)accept_some(a, p, p->watcher[i].fd, QUEUE_MAX);
}

bool accept_prepare(struct acceptor *a, uint32_t number, uint32_t service, uint32_t first, int *fd,
                    size_t count)
{
    struct accept_place *p = a->first;

    if (first > a->workers || count > a->workers - first)
        return false;
    while (p != NULL && p->number != number)
        p = p->next;
    if (p == NULL)
        p = place_new(a, number);
    if (p == NULL)
        return false;
    p->coming = service;
    for (size_t i = 0; i < count; i++) {
        ev_io *w = &p->watcher[first + i];

        if (w->fd >= 0)
            continue; /* here already: the other descriptor is closed with the message */
        ev_io_set(w, fd[i], EV_READ);
        fd[i] = -1;
    }
    return true;
}

bool accept_is_complete(const struct acceptor *a)
{
    for (const struct accept_place *p = a->first; p != NULL; p = p->next)
        for (uint32_t i = 0; i < a->workers; i++)
            if (p->coming != COMING_NONE && p->watcher[i].fd < 0)
                return false;
    return true;
}

void accept_commit(struct acceptor *a, struct snapshot *snapshot)
{
    struct accept_place **link = &a->first;

    while (*link != NULL) {
        struct accept_place *p = *link;

        if (p->coming == COMING_NONE) {
            accept_rest(a, p);
            place_free(link);
            continue;
        }
        if (p->snapshot != NULL)
            snapshot_put(p->snapshot);
        p->snapshot = snapshot_get(snapshot);
        p->service = &snapshot->service[p->coming];
        p->coming = COMING_NONE;
        link = &p->next;
    }
    if (!ev_is_active(&a->pause))
        start_watching(a);
}

void accept_rollback(struct acceptor *a)
{
    struct accept_place **link = &a->first;

    while (*link != NULL) {
        (*link)->coming = COMING_NONE;
        if ((*link)->snapshot == NULL)
            place_free(link); /* it was new */
        else
            link = &(*link)->next;
    }
}

void accept_watch(struct acceptor *a, uint32_t slot, bool is_watched)
{
    if (slot >= a->workers || slot == a->slot)
        return;
    a->is_watched[slot] = is_watched;
    stop_watching(a);
    if (!ev_is_active(&a->pause))
        start_watching(a);
}

void accept_finish(struct acceptor *a)
{
    stop_watching(a);
    for (struct accept_place *p = a->first; p != NULL; p = p->next)
        accept_rest(a, p);
    while (a->first != NULL)
        place_free(&a->first);
    ev_timer_stop(a->loop, &a->pause);
}

void acceptor_clear(struct acceptor *a)
{
    while (a->first != NULL)
        place_free(&a->first);
    ev_timer_stop(a->loop, &a->pause);
    free(a->is_watched);
    a->is_watched = NULL;
}
