/* SPDX-License-Identifier: ISC */
/* The common ground of a worker's sessions, and the end of each loop turn: first what is ready,
 * then a few handshakes. Knows no session. */
#include "proxy/engine.h"

#include <stdlib.h>
#include <sys/random.h>

#include "proxy/buffer.h"
#include "proxy/dial.h"
#include "proxy/log.h"
#include "proxy/record_bio.h"

#define HANDSHAKES_A_TURN 8

/* Blocks are drawn under back-pressure only. One slow session may hold a window and a batch of
 * records: room for that in every fourth session, and at least this many. */
#define BLOCKS_MIN  ((uint32_t)1024)
#define BLOCKS_WARM ((uint32_t)64)

static struct task *take_all(struct task_queue *q)
{
    struct task *first = q->first;

    *q = (struct task_queue){.end = &q->first};
    return first;
}

static void run(struct task *task)
{
    task->is_queued = false;
    task->run(task);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct engine *e = w->data;
    struct task *task, *next;

    /* What a task queues anew waits for the next turn: sockets have their say in between. */
    for (task = take_all(&e->soon); task != NULL; task = next) {
        next = task->next;
        run(task);
    }
    for (int n = 0; n < HANDSHAKES_A_TURN && e->patient.first != NULL; n++) {
        task = e->patient.first;
        e->patient.first = task->next;
        if (e->patient.first == NULL)
            e->patient.end = &e->patient.first;
        run(task);
    }
    if (e->soon.first == NULL && e->patient.first == NULL)
        ev_idle_stop(loop, &e->awake);
}

static void on_awake(struct ev_loop *loop, ev_idle *w, int revents)
{
    /* It is there so that the loop does not wait. */
}

static void enqueue(struct engine *e, struct task_queue *q, struct task *task)
{
    if (task->is_queued)
        return;
    task->is_queued = true;
    task->next = NULL;
    *q->end = task;
    q->end = &task->next;
    ev_idle_start(e->loop, &e->awake);
}

void engine_soon(struct engine *e, struct task *task)
{
    enqueue(e, &e->soon, task);
}

void engine_patiently(struct engine *e, struct task *task)
{
    enqueue(e, &e->patient, task);
}

struct engine *engine_new(struct ev_loop *loop, size_t session_size, uint32_t max_sessions,
                          void (*on_empty)(void *context), void *context)
{
    struct engine *e = calloc(1, sizeof *e);
    uint32_t blocks = max_sessions < BLOCKS_MIN / 2 ? BLOCKS_MIN : max_sessions * 2;

    if (e == NULL)
        return NULL;
    e->loop = loop;
    e->max_sessions = max_sessions;
    e->on_empty = on_empty;
    e->context = context;
    e->soon.end = &e->soon.first;
    e->patient.end = &e->patient.first;
    e->scratch = calloc(1, sizeof *e->scratch);
    if (e->scratch == NULL || !record_bio_start() ||
        !pool_init(&e->sessions, session_size, max_sessions + SESSIONS_SPARE, max_sessions) ||
        !pool_init(&e->dials, sizeof(struct dial), max_sessions, max_sessions) ||
        !pool_init(&e->blocks, BLOCK_SIZE, blocks, BLOCKS_WARM) ||
        getrandom(&e->next_id, sizeof e->next_id, 0) != sizeof e->next_id) {
        engine_free(e);
        return NULL;
    }
    e->scratch->blocks = &e->blocks;
    ev_prepare_init(&e->turn, on_turn);
    e->turn.data = e;
    ev_idle_init(&e->awake, on_awake);
    ev_prepare_start(loop, &e->turn);
    return e;
}

static void log_peaks(const struct engine *e)
{
    struct log_line line;

    log_begin(&line, LEVEL_DEBUG, "worker.peaks");
    log_number(&line, "sessions", e->sessions.peak);
    log_number(&line, "blocks", e->blocks.peak);
    log_end(&line);
}

void engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    log_peaks(e);
    ev_prepare_stop(e->loop, &e->turn);
    ev_idle_stop(e->loop, &e->awake);
    pool_clear(&e->sessions);
    pool_clear(&e->dials);
    pool_clear(&e->blocks);
    free(e->scratch);
    free(e);
}

size_t engine_sessions(const struct engine *e)
{
    return pool_used(&e->sessions);
}
