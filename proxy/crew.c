/* SPDX-License-Identifier: ISC */
/* All children of this instance. Each is offered a generation in two phases, at its start and at
 * every reload alike. */
#include "proxy/crew.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/crew_member.h"
#include "proxy/log.h"

#define LONG_LIFE_SECONDS   60.0
#define RETRY_MAX_SECONDS   30.0
#define ANSWER_SECONDS      30.0 /* a child that has not built its first generation then hangs */
#define RETRY_LATER_SECONDS 0.2  /* a reload is under way */

#define MEMBERS(c) ((c)->workers + 2)

static struct member *member_at(struct crew *c, uint32_t index)
{
    if (index < c->workers)
        return &c->worker[index];
    return index == c->workers ? &c->scout : &c->resolver;
}

/* A new line between scout and resolver, whenever one of them is new. */
static void connect_peers(struct crew *c)
{
    int pair[2];

    if (!member_is_running(&c->scout) || !member_is_running(&c->resolver))
        return;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        log_errno(LEVEL_ERROR, "worker.failed", "role", "resolver", NULL);
        return;
    }
    child_send(&c->scout.child, MESSAGE_PEER, NULL, &pair[0], 1);
    child_send(&c->resolver.child, MESSAGE_PEER, NULL, &pair[1], 1);
    close(pair[0]);
    close(pair[1]);
}

/* Somebody else accepts what is queued for a dead worker, until it is back. */
static void find_guardian(struct crew *c, struct member *orphan)
{
    struct message_slot slot = {orphan->child.slot};

    orphan->guardian = NULL;
    for (uint32_t i = 1; i < c->workers && orphan->guardian == NULL; i++) {
        struct member *m = &c->worker[(orphan->child.slot + i) % c->workers];

        if (m->state == MEMBER_READY || m->state == MEMBER_WORKING)
            orphan->guardian = m;
    }
    if (orphan->guardian != NULL)
        child_send(&orphan->guardian->child, MESSAGE_ADOPT, &slot, NULL, 0);
}

static void give_back(struct member *m)
{
    struct message_slot slot = {m->child.slot};

    if (m->guardian != NULL && member_is_running(m->guardian))
        child_send(&m->guardian->child, MESSAGE_GIVE_BACK, &slot, NULL, 0);
    m->guardian = NULL;
}

/* Queues that nobody watches: of the dead, whose guardian may have died as well. */
static void find_guardians(struct crew *c)
{
    for (uint32_t i = 0; i < c->workers; i++) {
        struct member *m = &c->worker[i];

        if (m->guardian != NULL && !member_is_running(m->guardian))
            m->guardian = NULL;
        if (m->guardian == NULL && m->deaths > 0 && m->state < MEMBER_WORKING)
            find_guardian(c, m);
    }
}

static void schedule(struct member *m, double seconds)
{
    ev_timer_stop(m->crew->loop, &m->retry);
    ev_timer_set(&m->retry, seconds, 0.0);
    ev_timer_start(m->crew->loop, &m->retry);
}

/* At once the first time, then 1 s, 2 s, 4 s ... */
static double retry_delay(const struct member *m)
{
    double delay = m->deaths < 2 ? 0.0 : 1.0;

    for (uint32_t i = 2; i < m->deaths && delay < RETRY_MAX_SECONDS; i++)
        delay *= 2;
    return delay < RETRY_MAX_SECONDS ? delay : RETRY_MAX_SECONDS;
}

static void retry_later(struct member *m)
{
    if (ev_now(m->crew->loop) - m->started > LONG_LIFE_SECONDS)
        m->deaths = 0;
    m->deaths++;
    schedule(m, retry_delay(m));
}

static void member_start(struct member *m)
{
    struct crew *c = m->crew;
    const struct config *config = c->current->config;
    struct message_start start = {.privileges = c->privileges,
                                  .slot = m->child.slot,
                                  .workers = c->workers,
                                  .max_sessions = c->max_sessions,
                                  .log_format = config->log_format,
                                  .log_level = config->log_level};

    m->started = ev_now(c->loop);
    if (m->child.role == ROLE_WORKER && !member_open_tally(m)) {
        retry_later(m);
        return;
    }
    if (!child_start(&m->child, c->loop, m->child.role == ROLE_RESOLVER ? -1 : c->root)) {
        member_close_tally(m);
        retry_later(m);
        return;
    }
    m->state = m->child.role == ROLE_RESOLVER ? MEMBER_READY : MEMBER_STARTING;
    m->offered = m->taking = 0;
    child_send(&m->child, MESSAGE_START, &start, NULL, 0);
    if (m->child.role == ROLE_WORKER) {
        child_send(&m->child, MESSAGE_TICKETS, &c->tickets, NULL, 0);
        member_share_tally(m);
    } else {
        connect_peers(c);
    }
    if (m->child.role != ROLE_RESOLVER) {
        member_offer(m, c->current);
        schedule(m, ANSWER_SECONDS);
    }
}

static void on_retry(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct member *m = watcher->data;

    if (m->state == MEMBER_STARTING)
        child_kill(&m->child); /* in a drain too: it would be waited for without limit */
    else if (m->crew->is_stopping)
        return;
    else if (m->crew->coming != NULL)
        schedule(m, RETRY_LATER_SECONDS);
    else
        member_start(m);
}

/* The answer to an offer. A late one, to an offer that is closed, counts for nothing. */
static void take_answer(struct member *m, uint32_t generation, const char *refusal)
{
    struct crew *c = m->crew;

    if (generation != m->offered || m->offered == 0)
        return;
    m->is_asked = false;
    if (m->state != MEMBER_STARTING) {
        c->on_vote(c->context, m, refusal);
        return;
    }
    if (refusal == NULL) {
        ev_timer_stop(c->loop, &m->retry);
        member_close_offer(m, MESSAGE_COMMIT);
        m->state = MEMBER_WORKING;
        return;
    }
    log_event(LEVEL_ERROR, "worker.failed", "role", role_name(m->child.role), "reason", refusal,
              NULL);
    child_kill(&m->child);
}

static void become_ready(struct member *m)
{
    if (m->state != MEMBER_WORKING)
        return;
    m->state = MEMBER_READY;
    give_back(m);
    find_guardians(m->crew);
}

static void take_step(struct member *m, const struct message *message)
{
    if (message->kind == MESSAGE_TAKEN && message->data.generation.generation == m->taking)
        m->taking = 0;
    if (message->kind == MESSAGE_SETTLED || m->child.role == ROLE_WORKER)
        become_ready(m);
    m->crew->on_step(m->crew->context, m);
}

static void on_message(struct child *child, struct message *message)
{
    struct member *m = (struct member *)child;

    switch (message->kind) {
    case MESSAGE_BUILT: take_answer(m, message->data.generation.generation, NULL); break;
    case MESSAGE_REFUSED:
        take_answer(m, message->data.refused.generation, message->data.refused.text);
        break;
    case MESSAGE_TAKEN:
    case MESSAGE_SETTLED: take_step(m, message); break;
    case MESSAGE_START:
    case MESSAGE_TICKETS:
    case MESSAGE_TALLY:
    case MESSAGE_PREPARE:
    case MESSAGE_PLACE:
    case MESSAGE_EXPERIENCE:
    case MESSAGE_BUILD:
    case MESSAGE_COMMIT:
    case MESSAGE_ROLLBACK:
    case MESSAGE_ADOPT:
    case MESSAGE_GIVE_BACK:
    case MESSAGE_PEER:
    case MESSAGE_DRAIN:
    case MESSAGE_STOP: break; /* the channel's table lets no child say these */
    }
}

static void log_death(const struct member *m, int status)
{
    char name[48];
    struct log_line line;

    child_title(&m->child, name, sizeof name);
    log_begin(&line, LEVEL_ERROR, "worker.died");
    log_text(&line, "role", role_name(m->child.role));
    if (m->child.role == ROLE_WORKER)
        log_number(&line, "worker", m->child.slot + 1);
    log_number(&line, "pid", (uint64_t)m->child.exit_watcher.rpid);
    if (WIFSIGNALED(status)) {
        log_number(&line, "signal", (uint64_t)WTERMSIG(status));
        log_text(&line, "reason", strsignal(WTERMSIG(status)));
    } else {
        log_number(&line, "status", (uint64_t)WEXITSTATUS(status));
    }
    log_end(&line);
}

/* A resolver ends by its alarm when a look-up is stuck, which the scout reports, and is killed at the end. */
static bool is_wanted_death(const struct member *m, int status)
{
    if (m->child.role == ROLE_RESOLVER)
        return m->crew->is_stopping || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    return m->crew->is_stopping && status == 0;
}

static void on_death(struct child *child, int status)
{
    struct member *m = (struct member *)child;
    struct crew *c = m->crew;

    if (!is_wanted_death(m, status))
        log_death(m, status);
    m->state = MEMBER_GONE;
    m->taking = 0;
    member_close_tally(m);
    if (m->child.role == ROLE_RESOLVER && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        m->deaths = 0; /* a stuck name, no fault: its own time limit is slow enough */
    if (!c->is_stopping) {
        retry_later(m);
        if (m->child.role == ROLE_WORKER)
            find_guardians(c);
    }
    c->on_death(c->context, m, status);
    m->offered = 0;
}

static void member_init(struct member *m, struct crew *c, enum role role, uint32_t slot)
{
    *m = (struct member){.crew = c,
                         .tally = {.writer = -1, .reader = -1},
                         .child = {.role = role,
                                   .slot = slot,
                                   .on_message = on_message,
                                   .on_death = on_death,
                                   .log_fd = -1}};
    ev_timer_init(&m->retry, on_retry, 0.0, 0.0);
    m->retry.data = m;
}

bool crew_init(struct crew *c)
{
    c->worker = calloc(c->workers, sizeof *c->worker);
    if (c->worker == NULL)
        return false;
    for (uint32_t i = 0; i < c->workers; i++)
        member_init(&c->worker[i], c, ROLE_WORKER, i);
    member_init(&c->scout, c, ROLE_SCOUT, 0);
    member_init(&c->resolver, c, ROLE_RESOLVER, 0);
    return true;
}

void crew_clear(struct crew *c)
{
    for (uint32_t i = 0; i < MEMBERS(c); i++)
        ev_timer_stop(c->loop, &member_at(c, i)->retry);
    for (uint32_t i = 0; i < c->workers; i++)
        member_close_tally(&c->worker[i]);
    free(c->worker);
    c->worker = NULL;
}

void crew_start(struct crew *c)
{
    for (uint32_t i = 0; i < MEMBERS(c); i++)
        member_start(member_at(c, i));
}

bool crew_is_ready(const struct crew *c)
{
    for (uint32_t i = 0; i < c->workers; i++)
        if (c->worker[i].state != MEMBER_READY)
            return false;
    return c->scout.state == MEMBER_READY;
}

bool crew_is_starting(const struct crew *c)
{
    for (uint32_t i = 0; i < c->workers; i++)
        if (c->worker[i].state == MEMBER_STARTING)
            return true;
    return c->scout.state == MEMBER_STARTING;
}

bool crew_is_gone(const struct crew *c)
{
    for (uint32_t i = 0; i < c->workers; i++)
        if (member_is_running(&c->worker[i]))
            return false;
    return !member_is_running(&c->scout) && !member_is_running(&c->resolver);
}

uint32_t crew_offer(struct crew *c)
{
    uint32_t voters = 0;

    for (uint32_t i = 0; i < MEMBERS(c); i++) {
        struct member *m = member_at(c, i);

        if (!member_is_running(m) || m->child.role == ROLE_RESOLVER)
            continue;
        member_offer(m, c->coming);
        voters++;
    }
    return voters;
}

/* The scout first: it has carried over what it knows, and workers ask its board at once. */
void crew_commit(struct crew *c)
{
    member_close_offer(&c->scout, MESSAGE_COMMIT);
    for (uint32_t i = 0; i < c->workers; i++)
        member_close_offer(&c->worker[i], MESSAGE_COMMIT);
}

void crew_rollback(struct crew *c)
{
    for (uint32_t i = 0; i < MEMBERS(c); i++)
        member_close_offer(member_at(c, i), MESSAGE_ROLLBACK);
}

bool crew_is_taking(const struct crew *c)
{
    for (uint32_t i = 0; i < c->workers; i++)
        if (c->worker[i].taking != 0)
            return true;
    return c->scout.taking != 0;
}

void crew_kill_silent(struct crew *c)
{
    for (uint32_t i = 0; i < MEMBERS(c); i++) {
        struct member *m = member_at(c, i);

        if ((m->offered != 0 && m->is_asked) || m->taking != 0)
            child_kill(&m->child);
    }
}

void crew_tell_tickets(struct crew *c)
{
    for (uint32_t i = 0; i < c->workers; i++)
        if (member_is_running(&c->worker[i]))
            child_send(&c->worker[i].child, MESSAGE_TICKETS, &c->tickets, NULL, 0);
}

/* Scout and resolver have nothing to lose. What workers still need of the scout is on its board. */
static void stop_others(struct crew *c)
{
    child_kill(&c->resolver.child); /* it may be in a look-up, where it hears nothing */
    member_close_offer(&c->scout, MESSAGE_ROLLBACK);
    child_send(&c->scout.child, MESSAGE_STOP, NULL, NULL, 0);
}

void crew_drain(struct crew *c)
{
    c->is_stopping = true;
    for (uint32_t i = 0; i < c->workers; i++) {
        member_close_offer(&c->worker[i], MESSAGE_ROLLBACK);
        child_send(&c->worker[i].child, MESSAGE_DRAIN, NULL, NULL, 0);
    }
    stop_others(c);
}

void crew_stop(struct crew *c)
{
    bool is_first = !c->is_stopping;

    c->is_stopping = true;
    for (uint32_t i = 0; i < c->workers; i++) {
        member_close_offer(&c->worker[i], MESSAGE_ROLLBACK);
        child_send(&c->worker[i].child, MESSAGE_STOP, NULL, NULL, 0);
    }
    if (is_first)
        stop_others(c);
}

void crew_kill(struct crew *c)
{
    for (uint32_t i = 0; i < MEMBERS(c); i++)
        child_kill(&member_at(c, i)->child);
}
