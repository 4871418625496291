/* SPDX-License-Identifier: ISC */
/* What the scout thinks of the backends. A backend is down after two failures in a row, whoever met
 * them, and up after one success; while sessions succeed nobody looks whether it is well. What it
 * announces is asked anew from time to time in any case, where the service wants to know. */
#include "proxy/scout_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocols/learned.h"
#include "proxy/log.h"

#define FAILURES_UNTIL_DOWN 2
#define TICK_SECONDS        1.0
#define SECOND_LOOK_SECONDS 2.0 /* after a first failure: is it down, or was it a moment? */
#define LEARN_AGAIN_SECONDS 600.0

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void copy_addresses(const struct scout_target *t, union board_address *to)
{
    for (uint32_t i = 0; i < t->name->count; i++) {
        to[i] = t->name->address[i];
        scout_set_port(&to[i], t->endpoint->port);
    }
}

static void publish(const struct scout_target *t)
{
    struct board_backend b = {
        .health = t->health,
        .is_resolved = t->name->is_answered,
        .address_count = t->name->count,
        .up_since_ms = t->up_since_ms,
    };

    copy_addresses(t, b.address);
    board_put_backend(t->view->board, t->index, &b);
}

static void set_learned(struct scout_target *t, const struct learned *learned, uint64_t when_ms)
{
    t->learned = *learned;
    t->learned_ms = when_ms;
    board_put_learned(t->view->board, t->index, learned);
}

/* On the board first: who has read the line finds it so. */
static void set_health(struct scout_target *t, enum backend_health health, const char *why)
{
    if (t->health == health)
        return;
    if (t->health == BACKEND_DOWN)
        t->up_since_ms = now_ms();
    t->health = health;
    if (health == BACKEND_DOWN) /* what comes back may be another */
        set_learned(t, &(struct learned){.is_known = false}, 0);
    publish(t);
    log_event(health == BACKEND_UP ? LEVEL_INFO : LEVEL_ERROR,
              health == BACKEND_UP ? "backend.up" : "backend.down", "service", t->service->name,
              "backend", t->endpoint->text, "reason", why, NULL);
}

static void look_again(struct scout_target *t, double seconds)
{
    ev_timer_stop(t->view->loop, &t->timer);
    ev_timer_set(&t->timer, seconds, 0.0);
    ev_timer_start(t->view->loop, &t->timer);
}

/* A backend in trouble is looked at soon, then less and less: 2 s, 4 s, 8 s ... A restarted one is found in
 * about the time that its restart took. */
static double seconds_in_doubt(const struct scout_target *t)
{
    double seconds = SECOND_LOOK_SECONDS;

    if (t->looks_in_doubt == 0 && t->streak == 0)
        return HUGE_VAL;
    for (uint32_t i = 0; i < t->looks_in_doubt && seconds < 3600; i++)
        seconds *= 2;
    return seconds;
}

static double seconds_since(uint64_t then_ms)
{
    return (double)(now_ms() - then_ms) / 1000.0;
}

/* Until it is to be asked what it announces; 0: it is due. */
static double seconds_to_learning(const struct scout_target *t)
{
    double seconds = HUGE_VAL;

    if (policy_learns(&t->service->policy))
        seconds = t->learned_ms == 0 ? 0.0 : LEARN_AGAIN_SECONDS - seconds_since(t->learned_ms);
    return seconds > 0.0 ? seconds : 0.0;
}

/* When it is time, counted from the last look, which may have been an older generation's. */
static void look_in_time(struct scout_target *t)
{
    double seconds = t->view->config->health_interval_ms / 1000.0, doubt = seconds_in_doubt(t);

    if (seconds > doubt)
        seconds = doubt;
    seconds = t->last_probe_ms == 0 ? 0.0 : seconds - seconds_since(t->last_probe_ms);
    if (doubt == HUGE_VAL && seconds > seconds_to_learning(t))
        seconds = seconds_to_learning(t);
    look_again(t, seconds > 0.0 ? seconds : 0.0);
}

static void note_good(struct scout_target *t, uint64_t when_ms)
{
    t->streak = 0;
    t->looks_in_doubt = 0;
    if (when_ms > t->last_good_ms)
        t->last_good_ms = when_ms;
    set_health(t, BACKEND_UP, NULL);
}

static void note_failures(struct scout_target *t, uint32_t count, const char *why)
{
    t->streak = count > UINT32_MAX - t->streak ? UINT32_MAX : t->streak + count;
    if (t->streak >= FAILURES_UNTIL_DOWN)
        set_health(t, BACKEND_DOWN, why);
}

static void on_probe_done(void *context, bool is_good, const char *why)
{
    struct scout_target *t = context;

    t->last_probe_ms = now_ms();
    if (is_good) {
        if (t->probe.wish.learns) /* even if it did not answer: it was asked */
            set_learned(t, &t->probe.probe.learned, t->last_probe_ms);
        note_good(t, t->last_probe_ms);
    } else {
        if (t->streak > 0)
            t->looks_in_doubt++;
        note_failures(t, 1, why);
    }
    look_in_time(t);
}

static void on_look(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scout_target *t = watcher->data;
    union board_address address[BOARD_ADDRESSES_MAX];
    struct probe_wish wish = {.hostname = t->service->policy.hostname,
                              .learns = seconds_to_learning(t) == 0.0};

    if (!t->name->is_answered)
        return; /* the answer brings us back */
    if (t->streak == 0 && t->last_good_ms > t->last_probe_ms && !wish.learns) {
        t->last_probe_ms = now_ms(); /* a session has done our work since */
        look_in_time(t);
        return;
    }
    copy_addresses(t, address);
    scout_probe_start(&t->probe, &wish, address, t->name->count);
}

/* What sessions have met since the last time. A success in the future would end all probing: it
 * counts as now. */
static void read_successes(struct scout_target *t, const struct board_experience *met, uint64_t now)
{
    for (uint32_t w = 0; w < t->view->workers; w++) {
        uint64_t when = met[w].last_success_ms > now ? now : met[w].last_success_ms;

        if (when <= t->success_seen_ms[w])
            continue;
        t->success_seen_ms[w] = when;
        t->failures_seen[w] = 0;
        note_good(t, when);
        if (seconds_to_learning(t) == 0.0 && !scout_probe_is_running(&t->probe))
            look_in_time(t); /* it is back */
    }
}

static void read_failures(struct scout_target *t, const struct board_experience *met)
{
    for (uint32_t w = 0; w < t->view->workers; w++) {
        uint32_t fresh =
            met[w].failures > t->failures_seen[w] ? met[w].failures - t->failures_seen[w] : 0;

        t->failures_seen[w] = met[w].failures;
        if (fresh == 0 || met[w].last_failure_ms <= t->last_good_ms)
            continue;
        note_failures(t, fresh, "sessions failed");
        if (!scout_probe_is_running(&t->probe))
            look_in_time(t); /* sooner than was planned while all was well */
    }
}

/* Successes first: one worker's failures are none in a row where another has succeeded since. */
static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scout_view *v = watcher->data;
    uint64_t now = now_ms();

    for (size_t i = 0; i < v->target_count; i++) {
        for (uint32_t w = 0; w < v->workers; w++)
            if (v->experience[w] != NULL)
                board_get_experience(v->experience[w], i, &v->met[w]);
        read_successes(&v->target[i], v->met, now);
        read_failures(&v->target[i], v->met);
    }
}

static void tell_settled(struct scout_view *v)
{
    if (v->is_settled || !scout_names_are_settled(&v->names))
        return;
    v->is_settled = true;
    v->on_settled(v->context);
}

/* Its addresses are known for the first time; or it was down, and is somewhere else now. */
static bool is_worth_a_look(const struct scout_target *t)
{
    if (scout_probe_is_running(&t->probe))
        return false;
    if (t->health == BACKEND_DOWN)
        return t->name->has_moved;
    return t->health == BACKEND_UNKNOWN && t->streak == 0 && t->last_probe_ms == 0;
}

static void on_answer(void *context, struct scout_name *name)
{
    struct scout_view *v = context;

    for (size_t i = 0; i < v->target_count; i++) {
        struct scout_target *t = &v->target[i];

        if (t->name != name)
            continue;
        publish(t);
        if (!is_worth_a_look(t))
            continue;
        t->looks_in_doubt = 0;
        look_again(t, 0.0);
    }
    tell_settled(v);
}

/* What it offers in the clear is not what it offers in TLS. */
static bool is_same_backend(const struct scout_target *a, const struct scout_target *b)
{
    return a->endpoint->port == b->endpoint->port && a->service->protocol == b->service->protocol &&
           a->service->policy.backend_tls == b->service->policy.backend_tls &&
           strcmp(a->endpoint->host, b->endpoint->host) == 0;
}

/* Knowledge outlives a reload. Several services may have known the same backend, and not all of
 * them what it announces. */
static void inherit(struct scout_target *t, const struct scout_view *old)
{
    bool is_known = false;

    for (size_t i = 0; old != NULL && i < old->target_count; i++) {
        const struct scout_target *o = &old->target[i];

        if (!is_same_backend(t, o))
            continue;
        if (!is_known) {
            t->health = o->health;
            t->streak = o->streak;
            t->looks_in_doubt = o->looks_in_doubt;
            t->last_good_ms = o->last_good_ms;
            t->up_since_ms = o->up_since_ms;
            /* one that is down is looked at at once: perhaps it was our TLS that was wrong */
            t->last_probe_ms = o->health == BACKEND_DOWN ? 0 : o->last_probe_ms;
            is_known = true;
        }
        if (t->health != BACKEND_DOWN && o->learned_ms > t->learned_ms)
            set_learned(t, &o->learned, o->learned_ms);
    }
}

/* A backend of the service at `index`. */
static bool target_init(struct scout_target *t, struct scout_view *v, size_t index, size_t backend)
{
    const struct service *s = &v->config->service[index];
    const struct endpoint *endpoint = &s->backend[backend];

    t->view = v;
    t->index = (size_t)(t - v->target);
    t->service = s;
    t->endpoint = endpoint;
    scout_probe_init(&t->probe, v->loop, v->space, s, v->tls[index], backend);
    ev_timer_init(&t->timer, on_look, 0.0, 0.0);
    t->timer.data = t;
    t->probe.on_done = on_probe_done;
    t->probe.context = t;
    t->name = scout_names_add(&v->names, endpoint->host);
    t->failures_seen = calloc(v->workers, sizeof *t->failures_seen);
    t->success_seen_ms = calloc(v->workers, sizeof *t->success_seen_ms);
    return t->name != NULL && t->failures_seen != NULL && t->success_seen_ms != NULL;
}

static bool add_targets(struct scout_view *v)
{
    v->target = calloc(v->config->backend_total, sizeof *v->target);
    v->space = scout_space_new(v->config->backend_total);
    if (v->target == NULL || v->space == NULL)
        return false;
    for (size_t i = 0; i < v->config->service_count; i++)
        for (size_t k = 0; k < v->config->service[i].backend_count; k++)
            if (!target_init(&v->target[v->target_count++], v, i, k))
                return false;
    return true;
}

static void complain(const struct diagnosis *d)
{
    bool is_error;

    if (diagnosis_count(d) > 0)
        log_event(LEVEL_ERROR, "config.rejected", "reason", diagnosis_line(d, 0, &is_error), NULL);
}

static bool add_tls(struct scout_view *v, const struct config_source *source, struct diagnosis *d)
{
    v->tls = calloc(v->config->service_count + 1, sizeof(struct tls_backend *));
    if (v->tls == NULL)
        return false;
    for (size_t i = 0; i < v->config->service_count; i++)
        if (v->config->service[i].policy.backend_tls != BACKEND_TLS_NONE)
            v->tls[i] = tls_backend_new(v->config, &v->config->service[i], source, d);
    return diagnosis_errors(d) == 0;
}

/* The configuration, and TLS as it wants it. */
static bool load(struct scout_view *v, struct bundle *b)
{
    struct config_source source = bundle_source(b);
    struct diagnosis *d = diagnosis_new();
    bool ok;

    v->config = config_load(bundle_main_path(b), &source, bundle_fqdn(b), d);
    ok = v->config != NULL && add_tls(v, &source, d);
    if (!ok)
        complain(d);
    diagnosis_free(d);
    return ok;
}

static void close_boards(struct board *own, struct board **experience, uint32_t workers)
{
    board_close(own);
    for (uint32_t w = 0; w < workers; w++)
        board_close(experience[w]);
    free(experience);
}

struct scout_view *scout_view_new(struct ev_loop *loop, struct bundle *b, struct board *board,
                                  struct board **experience, uint32_t workers,
                                  const struct scout_view *old, struct scout_line *line)
{
    struct scout_view *v = calloc(1, sizeof *v);

    if (v == NULL) {
        close_boards(board, experience, workers);
        return NULL;
    }
    *v = (struct scout_view){.loop = loop,
                             .generation = bundle_generation(b),
                             .board = board,
                             .experience = experience,
                             .workers = workers};
    scout_names_init(&v->names, loop, line);
    ev_timer_init(&v->tick, on_tick, TICK_SECONDS, TICK_SECONDS);
    v->tick.data = v;
    v->met = calloc(workers, sizeof *v->met);
    if (v->met == NULL || !load(v, b) || !add_targets(v)) {
        scout_view_free(v);
        return NULL;
    }
    v->names.interval = v->config->resolve_interval_ms / 1000.0;
    v->names.on_answer = on_answer;
    v->names.context = v;
    if (old != NULL)
        scout_names_inherit(&v->names, &old->names);
    for (size_t i = 0; i < v->target_count; i++) {
        inherit(&v->target[i], old);
        publish(&v->target[i]);
    }
    return v;
}

void scout_view_start(struct scout_view *v, void (*on_settled)(void *context), void *context)
{
    v->on_settled = on_settled;
    v->context = context;
    for (size_t i = 0; i < v->target_count; i++)
        look_in_time(&v->target[i]);
    ev_timer_start(v->loop, &v->tick);
    scout_names_start(&v->names);
    tell_settled(v);
}

void scout_view_free(struct scout_view *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; i < v->target_count; i++) {
        struct scout_target *t = &v->target[i];

        scout_probe_stop(&t->probe);
        ev_timer_stop(v->loop, &t->timer);
        free(t->failures_seen);
        free(t->success_seen_ms);
    }
    free(v->target);
    free(v->met);
    scout_space_free(v->space);
    for (size_t i = 0; v->tls != NULL && i < v->config->service_count; i++)
        tls_backend_free(v->tls[i]);
    free(v->tls);
    scout_names_clear(&v->names);
    ev_timer_stop(v->loop, &v->tick);
    close_boards(v->board, v->experience, v->workers);
    config_free(v->config);
    free(v);
}
