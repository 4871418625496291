/* SPDX-License-Identifier: ISC */
/* Limits over all workers, and the queue in front of the connections. What this worker frees goes to
 * its own queue at once; what others free is found by looking, all queues with one timer. */
#include "proxy/quota.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"

/* It passes between a connection that one worker frees, and its use by another: until then nobody
 * has it. */
#define LOOK_SECONDS 0.002

struct quota {
    struct quotas *all;
    uint32_t row; /* on our tally */
    uint32_t references;
    struct board_load load; /* ours, as it is there */
    uint32_t max_connections;
    struct quota_place *first, *last; /* who wait */
    uint32_t found[];                 /* by worker: its row */
};

struct quotas {
    struct ev_loop *loop;
    struct tally *tally;
    uint32_t waiting; /* in all queues */
    ev_timer look;
    uint32_t rows; /* in use, or have been */
    struct quota *quota[TALLY_ROWS];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void publish(struct quota *q)
{
    tally_put(q->all->tally, q->row, &q->load);
}

/* ---- the queue ---- */

static void append(struct quota *q, struct quota_place *p)
{
    p->next = NULL;
    p->previous = q->last;
    if (q->last != NULL)
        q->last->next = p;
    else
        q->first = p;
    q->last = p;
    p->state = QUOTA_WAITING;
    q->load.waiting++;
    q->load.first_waiting_ns = q->first->since_ns;
    if (q->all->waiting++ == 0)
        ev_timer_again(q->all->loop, &q->all->look);
}

static void take_out(struct quota *q, struct quota_place *p)
{
    if (p->previous != NULL)
        p->previous->next = p->next;
    else
        q->first = p->next;
    if (p->next != NULL)
        p->next->previous = p->previous;
    else
        q->last = p->previous;
    p->state = QUOTA_OUT;
    q->load.waiting--;
    q->load.first_waiting_ns = q->first == NULL ? 0 : q->first->since_ns;
    if (--q->all->waiting == 0)
        ev_timer_stop(q->all->loop, &q->all->look);
}

struct view {
    uint64_t connections, waiting; /* of all workers */
    uint64_t elders; /* who wait elsewhere and may have come before: at most so many have */
};

/* As one sees it who came at `since_ns`. */
static struct view look(struct quota *q, uint64_t since_ns)
{
    struct view v = {q->load.connections, q->load.waiting, 0};
    uint64_t now = now_ns();
    struct board_load load;

    for (uint32_t w = 0; w < tally_workers(q->all->tally); w++) {
        if (!tally_of(q->all->tally, w, q->load.service, &q->found[w], &load))
            continue;
        v.connections += load.connections;
        v.waiting += load.waiting;
        /* A worker that is stuck must not make all others wait for its first. */
        if (load.first_waiting_ns != 0 && load.first_waiting_ns < since_ns &&
            now - load.first_waiting_ns < (uint64_t)QUOTA_WAIT_MS * 1000000)
            v.elders += load.waiting;
    }
    return v;
}

static void let_in(struct quota *q, struct quota_place *p)
{
    p->state = QUOTA_IN;
    q->load.connections++;
    publish(q);
}

static bool has_room(const struct quota *q, const struct view *v)
{
    return v->connections + v->elders < q->max_connections;
}

/* As many as there may be connections, and those who are about to have one of the free. */
static bool may_wait(const struct quota *q, const struct view *v)
{
    uint64_t max = q->max_connections;

    return v->waiting < max + (v->connections < max ? max - v->connections : 0);
}

/* Those whose turn has come. */
static void serve(struct quota *q)
{
    while (q->first != NULL) {
        struct quota_place *p = q->first;
        struct view v = look(q, p->since_ns);

        if (q->max_connections != CONFIG_OFF && !has_room(q, &v))
            return;
        take_out(q, p);
        let_in(q, p);
        p->on_turn(p->context);
    }
}

static void on_look(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct quotas *all = watcher->data;

    for (uint32_t i = 0; i < all->rows; i++)
        serve(all->quota[i]);
}

enum quota_state quota_enter(struct quota *q, struct quota_place *place)
{
    struct view v;

    assert(place->state == QUOTA_OUT);
    if (q->max_connections == CONFIG_OFF) {
        let_in(q, place);
        return place->state;
    }
    place->since_ns = now_ns();
    v = look(q, place->since_ns);
    if (q->first == NULL && has_room(q, &v)) {
        let_in(q, place);
    } else if (may_wait(q, &v)) {
        append(q, place);
        publish(q);
    }
    return place->state;
}

void quota_leave(struct quota *q, struct quota_place *place)
{
    switch (place->state) {
    case QUOTA_OUT: return;
    case QUOTA_WAITING: take_out(q, place); break;
    case QUOTA_IN:
        assert(q->load.connections > 0);
        q->load.connections--;
        place->state = QUOTA_OUT;
        break;
    }
    publish(q);
    serve(q);
}

void quota_set_connections(struct quota *q, uint32_t max)
{
    q->max_connections = max;
    serve(q);
}

/* ---- sessions ---- */

void quota_add_session(struct quota *q)
{
    q->load.sessions++;
    publish(q);
}

void quota_drop_session(struct quota *q)
{
    assert(q->load.sessions > 0);
    q->load.sessions--;
    publish(q);
}

uint64_t quota_sessions(struct quota *q)
{
    uint64_t sum = q->load.sessions;
    struct board_load load;

    for (uint32_t w = 0; w < tally_workers(q->all->tally); w++)
        if (tally_of(q->all->tally, w, q->load.service, &q->found[w], &load))
            sum += load.sessions;
    return sum;
}

/* ---- by name ---- */

struct quotas *quotas_new(struct ev_loop *loop, struct tally *tally)
{
    struct quotas *all = calloc(1, sizeof *all);

    if (all == NULL)
        return NULL;
    all->loop = loop;
    all->tally = tally;
    ev_timer_init(&all->look, on_look, 0., LOOK_SECONDS);
    all->look.data = all;
    return all;
}

void quotas_free(struct quotas *all)
{
    if (all == NULL)
        return;
    ev_timer_stop(all->loop, &all->look);
    for (uint32_t i = 0; i < all->rows; i++)
        free(all->quota[i]);
    free(all);
}

/* The service's own, even if nobody has it: a name is on the tally once. Else one that nobody has.
 */
static struct quota *find(struct quotas *all, const char *service)
{
    struct quota *unused = NULL;

    for (uint32_t i = 0; i < all->rows; i++) {
        if (strcmp(all->quota[i]->load.service, service) == 0)
            return all->quota[i];
        if (unused == NULL && all->quota[i]->references == 0)
            unused = all->quota[i];
    }
    return unused;
}

static struct quota *add(struct quotas *all)
{
    struct quota *q;

    if (all->rows == TALLY_ROWS)
        return NULL;
    q = calloc(1, sizeof *q + tally_workers(all->tally) * sizeof q->found[0]);
    if (q == NULL)
        return NULL;
    q->all = all;
    q->row = all->rows;
    all->quota[all->rows++] = q;
    return q;
}

static void name(struct quota *q, const char *service)
{
    assert(q->load.sessions == 0 && q->load.connections == 0 && q->first == NULL);
    q->max_connections = CONFIG_OFF; /* until it is set */
    memset(&q->load, 0, sizeof q->load);
    snprintf(q->load.service, sizeof q->load.service, "%s", service);
    publish(q);
}

struct quota *quota_get(struct quotas *all, const char *service)
{
    struct quota *q;

    if (strlen(service) >= sizeof q->load.service)
        return NULL;
    q = find(all, service);
    if (q == NULL)
        q = add(all);
    if (q == NULL)
        return NULL;
    if (strcmp(q->load.service, service) != 0)
        name(q, service);
    q->references++;
    return q;
}

struct quota *quota_share(struct quota *q)
{
    assert(q->references > 0 && q->references < UINT32_MAX);
    q->references++;
    return q;
}

const char *quota_service(const struct quota *q)
{
    return q->load.service;
}

void quota_put(struct quota *q)
{
    assert(q->references > 0);
    q->references--;
}
