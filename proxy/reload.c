/* SPDX-License-Identifier: ISC */
/* A new configuration while sessions run. Whatever goes wrong before the last child has voted,
 * nothing has changed. */
#include "proxy/reload.h"

#include <stdio.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/tls_expiry.h"

/* A child has so long to vote, and as long to take what was decided. */
#define ANSWER_SECONDS 10.0

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
        {"identity",
         (privsep_transparent_service(then) == NULL) != (privsep_transparent_service(now) == NULL)},
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
static struct generation *make_coming(struct reload *r, struct diagnosis *d)
{
    struct generation *g = generation_load(r->config_path, r->fqdn, ++r->generations, d);

    if (g == NULL)
        return NULL;
    if (generation_open(g, r->places, d))
        return g;
    generation_free(g, NULL);
    return NULL;
}

static void finish(struct reload *r)
{
    ev_timer_stop(r->crew->loop, &r->silence);
    r->votes_missing = 0;
    r->on_end(r->context);
}

static void reject(struct reload *r, const char *reason)
{
    struct generation *coming = r->crew->coming;

    log_event(LEVEL_ERROR, "config.rejected", "reason", reason, NULL);
    crew_rollback(r->crew);
    r->crew->coming = NULL;
    generation_free(coming, r->places);
    finish(r);
}

static void take_log_settings(const struct config *config)
{
    if (!log_to_target(config->log_target, config->log_facility, config->log_file))
        log_errno(LEVEL_ERROR, "log.failed", "file", config->log_file, NULL);
    log_configure(config->log_format, config->log_level);
}

/* Who reads the line may rely on it: what connects from now on meets the new configuration. */
static void complete(struct reload *r)
{
    char keys[64];
    const char *needed =
        restart_needed(r->started_with, r->crew->current->config, keys, sizeof keys);

    r->is_taking = false;
    log_event(needed == NULL ? LEVEL_INFO : LEVEL_WARNING, "config.reloaded", "restart_needed",
              needed, NULL);
    tls_expiry_tell(r->crew->current->expiry);
    finish(r);
}

static void complete_if_taken(struct reload *r)
{
    if (r->is_taking && !crew_is_taking(r->crew))
        complete(r);
}

static void commit(struct reload *r)
{
    struct generation *old = r->crew->current;

    r->crew->current = r->crew->coming;
    r->crew->coming = NULL;
    /* Our descriptors of addresses that are not listened on any more go first: then the last one to
     * close such a queue is a worker that has just found it empty. */
    if (old->config == r->started_with)
        old->config = NULL; /* kept for comparison */
    generation_free(old, r->places);
    crew_commit(r->crew);
    take_log_settings(r->crew->current->config);
    r->is_taking = true;
    ev_timer_again(r->crew->loop, &r->silence);
    complete_if_taken(r);
}

/* A child that does not answer does not serve either. */
static void on_silence(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct reload *r = watcher->data;

    crew_kill_silent(r->crew);
    if (r->is_taking)
        complete(r);
    else
        reject(r, "a child did not answer in time");
}

static void begin(struct reload *r)
{
    struct diagnosis *d = diagnosis_new();

    r->on_begin(r->context);
    if (!log_reopen())
        log_errno(LEVEL_ERROR, "log.failed", NULL);
    r->crew->coming = make_coming(r, d);
    reload_log_complaints(d, "config.rejected");
    diagnosis_free(d);
    if (r->crew->coming == NULL) {
        finish(r);
        return;
    }
    r->votes_missing = crew_offer(r->crew);
    if (r->votes_missing == 0) { /* all are dead and wait for their next life */
        commit(r);
        return;
    }
    ev_timer_again(r->crew->loop, &r->silence);
}

void reload_init(struct reload *r)
{
    ev_timer_init(&r->silence, on_silence, 0.0, ANSWER_SECONDS);
    r->silence.data = r;
}

void reload_request(struct reload *r)
{
    r->is_wanted = true;
    reload_resume(r);
}

void reload_resume(struct reload *r)
{
    complete_if_taken(r);
    /* Several SIGHUPs that came meanwhile are one. A reload without voters is over at once. */
    while (r->is_wanted && r->crew->coming == NULL && !r->is_taking && !crew_is_starting(r->crew) &&
           !r->is_over) {
        r->is_wanted = false;
        begin(r);
    }
}

void reload_vote(struct reload *r, struct member *voter, const char *refusal)
{
    if (r->crew->coming == NULL || voter->offered != r->crew->coming->number)
        return;
    if (refusal != NULL)
        reject(r, refusal);
    else if (--r->votes_missing == 0)
        commit(r);
}

void reload_abandon(struct reload *r)
{
    r->is_wanted = false;
    r->is_over = true;
    if (r->crew->coming != NULL)
        reject(r, "starttlsd is stopping");
    else if (r->is_taking)
        complete(r);
}
