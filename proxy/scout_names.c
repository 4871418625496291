/* SPDX-License-Identifier: ISC */
/* The names of backends and their addresses. The resolver may die over a name; it is taken as a
 * failed one. */
#include "proxy/scout_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/resolver.h"

void scout_line_init(struct scout_line *l, struct ev_loop *loop,
                     void (*on_readable)(struct ev_loop *, ev_io *, int), void *context)
{
    l->loop = loop;
    ev_io_init(&l->io, on_readable, -1, EV_READ);
    l->io.data = context;
}

void scout_line_set(struct scout_line *l, int fd)
{
    if (l->io.fd >= 0) {
        ev_io_stop(l->loop, &l->io);
        close(l->io.fd);
    }
    ev_io_set(&l->io, fd, EV_READ);
    if (fd >= 0)
        ev_io_start(l->loop, &l->io);
}

static void on_due(struct ev_loop *loop, ev_timer *watcher, int events)
{
    scout_names_start(watcher->data);
}

void scout_names_init(struct scout_names *n, struct ev_loop *loop, struct scout_line *line)
{
    *n = (struct scout_names){.loop = loop, .line = line};
    ev_timer_init(&n->timer, on_due, 0.0, 0.0);
    n->timer.data = n;
}

void scout_names_clear(struct scout_names *n)
{
    ev_timer_stop(n->loop, &n->timer);
    while (n->first != NULL) {
        struct scout_name *name = n->first;

        n->first = name->next;
        free(name);
    }
}

static void read_literal(struct scout_name *name)
{
    union board_address *a = &name->address[0];

    if (inet_pton(AF_INET, name->host, &a->v4.sin_addr) == 1)
        a->v4.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, name->host, &a->v6.sin6_addr) == 1)
        a->v6.sin6_family = AF_INET6;
    else
        return;
    name->is_literal = true;
    name->is_answered = true;
    name->count = 1;
}

struct scout_name *scout_names_add(struct scout_names *n, const char *host)
{
    struct scout_name *name = n->first;

    while (name != NULL && strcmp(name->host, host) != 0)
        name = name->next;
    if (name != NULL)
        return name;
    name = calloc(1, sizeof *name);
    if (name == NULL)
        return NULL;
    name->host = host;
    read_literal(name);
    name->next = n->first;
    n->first = name;
    return name;
}

void scout_names_inherit(struct scout_names *n, const struct scout_names *from)
{
    for (struct scout_name *name = n->first; name != NULL; name = name->next)
        for (const struct scout_name *old = from->first; old != NULL; old = old->next) {
            if (name->is_literal || strcmp(name->host, old->host) != 0)
                continue;
            name->is_answered = old->is_answered;
            name->count = old->count;
            memcpy(name->address, old->address, sizeof name->address);
            name->due = old->due;
        }
}

bool scout_names_are_settled(const struct scout_names *n)
{
    for (const struct scout_name *name = n->first; name != NULL; name = name->next)
        if (!name->is_answered)
            return false;
    return true;
}

/* The question of `asked` is over, whatever came of it. */
static void finish(struct scout_names *n)
{
    struct scout_name *name = n->asked;

    n->asked = NULL;
    name->is_answered = true;
    name->due = ev_now(n->loop) + n->interval;
    n->on_answer(n->context, name);
}

static void fail(struct scout_names *n, const char *why)
{
    log_event(LEVEL_WARNING, "resolver.failed", "name", n->asked->host, "reason", why, NULL);
    n->asked->has_moved = false;
    finish(n);
}

static bool ask(struct scout_names *n, struct scout_name *name)
{
    struct resolver_question question = {.id = ++n->id};
    size_t len = strlen(name->host);

    n->asked = name;
    if (len >= sizeof question.name) {
        fail(n, "name too long");
        return true;
    }
    memcpy(question.name, name->host, len);
    if (send(n->line->io.fd, &question, sizeof question, MSG_NOSIGNAL | MSG_DONTWAIT) ==
        (ssize_t)sizeof question)
        return true;
    n->asked = NULL; /* it was never asked: the next line hears it */
    scout_line_set(n->line, -1);
    return false;
}

void scout_names_start(struct scout_names *n)
{
    while (n->asked == NULL && n->line->io.fd >= 0) {
        struct scout_name *first = NULL;

        for (struct scout_name *name = n->first; name != NULL; name = name->next)
            if (!name->is_literal && (first == NULL || name->due < first->due))
                first = name;
        if (first == NULL)
            return;
        if (first->due > ev_now(n->loop)) {
            ev_timer_stop(n->loop, &n->timer);
            ev_timer_set(&n->timer, first->due - ev_now(n->loop), 0.0);
            ev_timer_start(n->loop, &n->timer);
            return;
        }
        if (!ask(n, first))
            return;
    }
}

/* The resolver speaks with strangers: what it says is looked at as theirs. */
static bool is_sane(const struct resolver_answer *answer)
{
    if (answer->count > BOARD_ADDRESSES_MAX ||
        memchr(answer->error, '\0', sizeof answer->error) == NULL)
        return false;
    for (uint32_t i = 0; i < answer->count; i++)
        if (answer->address[i].any.sa_family != AF_INET &&
            answer->address[i].any.sa_family != AF_INET6)
            return false;
    return true;
}

static bool has_address(const struct scout_name *name, const union board_address *a)
{
    for (uint32_t i = 0; i < name->count; i++)
        if (memcmp(&name->address[i], a, sizeof *a) == 0)
            return true;
    return false;
}

/* In another order they are the same: servers of names turn it with every answer. */
static void take(struct scout_name *name, const struct resolver_answer *answer)
{
    name->has_moved = name->count != answer->count;
    for (uint32_t i = 0; i < answer->count; i++)
        if (!has_address(name, &answer->address[i]))
            name->has_moved = true;
    name->count = answer->count;
    memcpy(name->address, answer->address, sizeof answer->address);
}

void scout_names_lost(struct scout_names *n)
{
    if (n->asked != NULL)
        fail(n, "no answer in time");
}

void scout_names_read(struct scout_names *n)
{
    struct resolver_answer answer;
    ssize_t len = recv(n->line->io.fd, &answer, sizeof answer, MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len != (ssize_t)sizeof answer || !is_sane(&answer)) {
        scout_line_set(n->line, -1);
        scout_names_lost(n);
        return;
    }
    if (n->asked != NULL && answer.id == n->id) {
        if (answer.count > 0) {
            take(n->asked, &answer);
            finish(n);
        } else {
            fail(n, answer.error);
        }
    }
    scout_names_start(n);
}
