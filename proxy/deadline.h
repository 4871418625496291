/* SPDX-License-Identifier: ISC */
/* One timer for all of a session's time limits, re-armed lazily: activity moves a stamp, not the
 * timer. */
#ifndef STARTTLSD_DEADLINE_H
#define STARTTLSD_DEADLINE_H

#include <stdint.h>
#include <time.h>

#include <ev.h>

#define DEADLINE_NEVER 1e300

struct deadline {
    ev_timer timer;
    ev_tstamp at; /* when the timer will fire; it may find then that there is still time */
};

static inline void deadline_init(struct deadline *d,
                                 void (*on_fire)(struct ev_loop *, ev_timer *, int), void *data)
{
    ev_timer_init(&d->timer, on_fire, 0., 0.);
    d->timer.data = data;
    d->at = DEADLINE_NEVER;
}

/* Seconds that no clock setting moves; every stamp of a session is taken from here. */
static inline ev_tstamp deadline_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (ev_tstamp)t.tv_sec + (ev_tstamp)t.tv_nsec * 1e-9;
}

/* `limit_ms` after `since` (UINT32_MAX: never). */
static inline ev_tstamp deadline_after(ev_tstamp since, uint32_t limit_ms)
{
    return limit_ms == UINT32_MAX ? DEADLINE_NEVER : since + limit_ms / 1000.;
}

/* Fire at `due` or, if that costs nothing, some time before it: the owner looks at the clock then.
 */
static inline void deadline_set(struct deadline *d, struct ev_loop *loop, ev_tstamp due)
{
    ev_tstamp now;

    if (ev_is_active(&d->timer) && d->at <= due)
        return;
    ev_timer_stop(loop, &d->timer);
    d->at = due;
    if (due >= DEADLINE_NEVER)
        return;
    now = deadline_now();
    ev_timer_set(&d->timer, due > now ? due - now : 0., 0.);
    ev_timer_start(loop, &d->timer);
}

static inline void deadline_stop(struct deadline *d, struct ev_loop *loop)
{
    ev_timer_stop(loop, &d->timer);
}

#endif
