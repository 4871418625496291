/* SPDX-License-Identifier: ISC */
/* A new configuration while sessions run. Whatever goes wrong before the last child has voted,
 * nothing has changed. */
#include "proxy/reload.h"

#include <stdio.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/notify.h"

#define VOTE_SECONDS 10.0

void reload_log_complaints(const struct diagnosis *d, const char *event)
{
    for (size_t i = 0; i < diagnosis_count(d); i++) {
        bool is_error;
        const char *line = diagnosis_line(d, i, &is_error);

        if (is_error)
            log_event(LEVEL_ERROR, event, "reason", line, NULL);
        else
            log_event(LEVEL_WARNING, "config.warning", "reason", line, NULL);
    }
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The keys that have changed, but count only for a fresh start. */
static const char *restart_needed(const struct config *then, const struct config *now, char *space,
                                  size_t size)
{
    const struct {
        const char *key;
        bool has_changed;
    } fixed[] = {
        {"workers", then->workers != now->workers},
        {"user", !is_same(then->user, now->user)},
        {"group", !is_same(then->group, now->group)},
        {"chroot", !is_same(then->chroot, now->chroot)},
        {"max_sessions", then->max_sessions != now->max_sessions},
    };
    size_t used = 0;

    *space = '\0';
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i].has_changed && used < size)
            used += (size_t)snprintf(space + used, size - used, "%s%s", used == 0 ? "" : ",",
                                     fixed[i].key);
    return used == 0 ? NULL : space;
}

/* The generation that there will be, complete; NULL: complaints in `d`. */
static struct generation *make_coming(struct master *m, struct diagnosis *d)
{
    struct generation *g = generation_load(m->config_path, m->fqdn, ++m->generations, d);

    if (g == NULL)
        return NULL;
    if (generation_open(g, &m->places, d))
        return g;
    generation_free(g, NULL);
    return NULL;
}

static void finish(struct master *m)
{
    ev_timer_stop(m->loop, &m->reload_timer);
    m->votes_missing = 0;
    master_tell_ready(m);
}

static void reject(struct master *m, const char *reason)
{
    struct generation *coming = m->crew.coming;

    log_event(LEVEL_ERROR, "config.rejected", "reason", reason, NULL);
    crew_rollback(&m->crew);
    m->crew.coming = NULL;
    generation_free(coming, &m->places);
    finish(m);
}

static void take_log_settings(const struct config *config)
{
    if (!log_to_target(config->log_target, config->log_facility, config->log_file))
        log_errno(LEVEL_ERROR, "log.failed", "file", config->log_file, NULL);
    log_configure(config->log_format, config->log_level);
}

static void commit(struct master *m)
{
    struct generation *old = m->crew.current;
    struct config *config = m->crew.coming->config;
    char keys[64];
    const char *needed = restart_needed(m->started_with, config, keys, sizeof keys);

    m->crew.current = m->crew.coming;
    m->crew.coming = NULL;
    /* Our descriptors of addresses that are not listened on any more go first: then the last one to
     * close such a queue is a worker that has just found it empty. */
    if (old->config == m->started_with)
        old->config = NULL; /* kept for comparison */
    generation_free(old, &m->places);
    crew_commit(&m->crew);
    take_log_settings(config);
    master_schedule_rotation(m);
    log_event(needed == NULL ? LEVEL_INFO : LEVEL_WARNING, "config.reloaded", "restart_needed",
              needed, NULL);
    finish(m);
}

/* A child that does not answer does not serve either. */
static void on_silence(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct master *m = watcher->data;

    crew_kill_silent(&m->crew);
    reject(m, "a child did not answer in time");
}

static void begin(struct master *m)
{
    struct diagnosis *d = diagnosis_new();

    if (m->phase == MASTER_READY)
        notify_reloading();
    if (!log_reopen())
        log_errno(LEVEL_ERROR, "log.failed", NULL);
    m->crew.coming = make_coming(m, d);
    reload_log_complaints(d, "config.rejected");
    diagnosis_free(d);
    if (m->crew.coming == NULL) {
        master_tell_ready(m);
        return;
    }
    m->votes_missing = crew_offer(&m->crew);
    if (m->votes_missing == 0) { /* all are dead and wait for their next life */
        commit(m);
        return;
    }
    ev_timer_set(&m->reload_timer, VOTE_SECONDS, 0.0);
    ev_timer_start(m->loop, &m->reload_timer);
}

void reload_init(struct master *m)
{
    ev_timer_init(&m->reload_timer, on_silence, VOTE_SECONDS, 0.0);
    m->reload_timer.data = m;
}

void reload_request(struct master *m)
{
    m->is_reload_wanted = true;
    reload_resume(m);
}

void reload_resume(struct master *m)
{
    /* Several SIGHUPs that came meanwhile are one. A reload without voters is over at once. */
    while (m->is_reload_wanted && m->crew.coming == NULL && !crew_is_starting(&m->crew) &&
           m->phase <= MASTER_READY) {
        m->is_reload_wanted = false;
        begin(m);
    }
}

void reload_vote(struct master *m, struct member *voter, const char *refusal)
{
    if (m->crew.coming == NULL || voter->offered != m->crew.coming->number)
        return;
    if (refusal != NULL)
        reject(m, refusal);
    else if (--m->votes_missing == 0)
        commit(m);
}

void reload_abandon(struct master *m)
{
    m->is_reload_wanted = false;
    if (m->crew.coming != NULL)
        reject(m, "starttlsd is stopping");
}
