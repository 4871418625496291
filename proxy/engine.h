/* SPDX-License-Identifier: ISC */
/* What the sessions of one worker share: loop, scratch, pools, queues of a loop turn. */
#ifndef STARTTLSD_ENGINE_H
#define STARTTLSD_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

struct engine;

/*
 * loop          runs the sessions; outlives the engine
 * max_sessions  of this worker, > 0
 * on_empty      called (from the loop) when the last session has been buried; may be NULL
 *
 * NULL: no memory.
 */
struct engine *engine_new(struct ev_loop *loop, uint32_t max_sessions, void (*on_empty)(void *context),
                          void *context);

/* No session may be left. */
void engine_free(struct engine *e);

size_t engine_sessions(const struct engine *e);

#endif
