/* SPDX-License-Identifier: ISC */
/* The master's life: start, signals, end. Children are crew.c's, a new configuration reload.c's. */
#include "proxy/master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>
#include <openssl/crypto.h>

#include "proxy/crew.h"
#include "proxy/hostname.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/machine.h"
#include "proxy/notify.h"
#include "proxy/reload.h"
#include "proxy/tls_context.h"
#include "proxy/tls_expiry.h"

enum { EXIT_GOOD = 0, EXIT_NO = 1, EXIT_COULD_NOT = 3 };

/* What a session may cost a worker: its struct, TLS, two descriptors, and some blocks while it is
 * busy. */
#define SESSION_MEMORY      (64 * 1024)
#define SESSION_DESCRIPTORS 2
#define WORKER_DESCRIPTORS  64

/* Children that have been stopped have so long to end. */
#define STOP_SECONDS 5.0

enum master_phase {
    MASTER_STARTING, /* until everybody has been at work once */
    MASTER_READY,
    MASTER_DRAINING,
    MASTER_STOPPING,
};

struct master {
    bool is_caged;
    enum master_phase phase;
    int exit_status;

    struct ev_loop *loop;
    struct crew crew;
    struct places places;
    struct reload reload;

    ev_signal on_hup, on_term, on_int, on_usr2;
    double rotated;       /* loop time of the newest ticket key */
    ev_timer rotation;    /* to the next one */
    ev_timer end_of_time; /* of a drain, then of the stop */
};

/* Of one worker. It holds the listening sockets of all, twice as many while a reload replaces them.
 */
static uint32_t choose_max_sessions(const struct generation *g, uint32_t workers)
{
    const struct config *config = g->config;
    uint64_t reserved = WORKER_DESCRIPTORS + 2 * (uint64_t)workers * g->place_count;
    uint64_t descriptors = machine_descriptors();
    uint64_t most = descriptors > reserved ? (descriptors - reserved) / SESSION_DESCRIPTORS : 1;
    uint64_t wanted;

    if (config->max_sessions != 0 && config->max_sessions != CONFIG_OFF)
        wanted = ((uint64_t)config->max_sessions + workers - 1) / workers;
    else
        wanted = machine_memory() / 2 / SESSION_MEMORY / workers;
    if (wanted > most)
        wanted = most;
    if (wanted > UINT32_MAX / 2)
        wanted = UINT32_MAX / 2;
    return wanted < 1 ? 1 : (uint32_t)wanted;
}

/* As many keys as a ticket may meet in its life. */
static bool rotate_tickets(struct master *m)
{
    const struct config *config = m->crew.current->config;
    uint32_t rotation = config->ticket_rotation_ms, lifetime = config->ticket_lifetime_ms;
    uint32_t keep = 1 + lifetime / rotation + (lifetime % rotation != 0);

    m->rotated = ev_now(m->loop);
    return tls_ticket_keys_rotate(&m->crew.tickets,
                                  keep < TLS_TICKET_KEYS_MAX ? keep : TLS_TICKET_KEYS_MAX);
}

/* The interval is a configuration's. It counts from the last turn, so that reloads which come more
 * often than turns put none off. */
static void schedule_rotation(struct master *m)
{
    double interval = m->crew.current->config->ticket_rotation_ms / 1000.0;
    double left = m->rotated + interval - ev_now(m->loop);

    if (left > interval)
        left = interval; /* the clock was put back */
    ev_timer_stop(m->loop, &m->rotation);
    ev_timer_set(&m->rotation, left > 0.0 ? left : 0.0, 0.0);
    ev_timer_start(m->loop, &m->rotation);
}

static void on_rotation(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct master *m = watcher->data;

    if (rotate_tickets(m))
        crew_tell_tickets(&m->crew);
    else
        log_event(LEVEL_ERROR, "tickets.failed", "reason", "no random octets", NULL);
    schedule_rotation(m);
}

/* ---- stopping ---- */

static void finish_if_gone(struct master *m)
{
    if (m->phase >= MASTER_DRAINING && crew_is_gone(&m->crew))
        ev_break(m->loop, EVBREAK_ALL);
}

static void set_end_of_time(struct master *m, double seconds)
{
    ev_timer_stop(m->loop, &m->end_of_time);
    ev_timer_set(&m->end_of_time, seconds, 0.0);
    ev_timer_start(m->loop, &m->end_of_time);
}

/* From here on there is nothing new for the children: no generation, no key. */
static void begin_end(struct master *m, enum master_phase phase)
{
    m->phase = phase;
    ev_timer_stop(m->loop, &m->rotation);
    reload_abandon(&m->reload);
    notify_stopping();
}

static void stop(struct master *m)
{
    if (m->phase == MASTER_STOPPING)
        return;
    begin_end(m, MASTER_STOPPING);
    generation_close_places(m->crew.current, &m->places);
    crew_stop(&m->crew);
    set_end_of_time(m, STOP_SECONDS);
    finish_if_gone(m);
}

static void drain(struct master *m)
{
    uint32_t timeout = m->crew.current->config->drain_timeout_ms;

    begin_end(m, MASTER_DRAINING);
    log_event(LEVEL_INFO, "server.drain", NULL);
    /* Ours go first: then the last to close a queue is a worker that has just found it empty. */
    generation_close_places(m->crew.current, &m->places);
    crew_drain(&m->crew);
    if (timeout != CONFIG_OFF)
        set_end_of_time(m, timeout / 1000.0);
    finish_if_gone(m);
}

static void on_end_of_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct master *m = watcher->data;

    if (m->phase == MASTER_DRAINING)
        stop(m);
    else
        crew_kill(&m->crew);
}

static void fail_start(struct master *m, const char *reason)
{
    log_event(LEVEL_ERROR, "server.failed", "reason", reason, NULL);
    m->exit_status = EXIT_COULD_NOT;
    stop(m);
}

/* ---- what happens ---- */

static void on_hup(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct master *m = watcher->data;

    reload_request(&m->reload);
}

static void on_term(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct master *m = watcher->data;

    if (m->phase < MASTER_DRAINING)
        drain(m);
    else
        stop(m);
}

static void on_int(struct ev_loop *loop, ev_signal *watcher, int events)
{
    stop(watcher->data);
}

static void on_usr2(struct ev_loop *loop, ev_signal *watcher, int events)
{
    log_event(LEVEL_WARNING, "server.upgrade", "reason",
              "this version cannot be upgraded in place: restart it", NULL);
}

/* Nothing that this process holds may be read by others of its user, or be left in a core file. */
static void protect_memory(void)
{
    static const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        log_errno(LEVEL_WARNING, "server.failed", "step", "no core dumps", NULL);
}

/* The service manager hears READY=1 here alone, and not before it is so. */
static void tell_ready(const struct master *m)
{
    if (m->phase == MASTER_READY)
        notify_ready();
}

static void on_reload_begin(void *context)
{
    const struct master *m = context;

    if (m->phase == MASTER_READY)
        notify_reloading();
}

static void on_reload_end(void *context)
{
    struct master *m = context;

    if (m->phase >= MASTER_DRAINING)
        return;
    schedule_rotation(m);
    tell_ready(m);
}

static void on_step(void *context, struct member *member)
{
    struct master *m = context;

    reload_resume(&m->reload);
    if (m->phase != MASTER_STARTING || !crew_is_ready(&m->crew))
        return;
    m->phase = MASTER_READY;
    log_event(LEVEL_INFO, "server.ready", NULL);
    tell_ready(m);
}

static void on_vote(void *context, struct member *member, const char *refusal)
{
    struct master *m = context;

    reload_vote(&m->reload, member, refusal);
    reload_resume(&m->reload);
}

static void on_death(void *context, struct member *member, int status)
{
    struct master *m = context;

    if (m->phase >= MASTER_DRAINING) {
        finish_if_gone(m);
        return;
    }
    /* One that gave up by itself would do so again. The resolver's end by its alarm is a signal. */
    if (m->phase == MASTER_STARTING && WIFEXITED(status)) {
        fail_start(m, "a child could not start");
        return;
    }
    reload_vote(&m->reload, member, "a child died while it built the configuration");
    reload_resume(&m->reload);
}

/* ---- starting ---- */

static bool open_log(const struct config *config)
{
    log_configure(config->log_format, config->log_level);
    if (log_to_target(config->log_target, config->log_facility, config->log_file))
        return true;
    fprintf(stderr, "starttlsd: log %s: ", config->log_file == NULL ? "" : config->log_file);
    perror(NULL);
    return false;
}

/* Read, resolve, bind: everything that may fail. The exit status, EXIT_GOOD to go on. */
static int prepare(struct master *m, struct diagnosis *d)
{
    struct crew *c = &m->crew;
    struct reload *r = &m->reload;

    c->current = generation_load(r->config_path, r->fqdn, ++r->generations, d);
    if (c->current == NULL)
        return access(r->config_path, R_OK) == 0 ? EXIT_NO : EXIT_COULD_NOT;
    r->started_with = c->current->config;
    if (!privsep_resolve(r->started_with, m->is_caged, &c->privileges, d))
        return EXIT_NO;
    privsep_judge_rights(r->started_with, d);
    if (diagnosis_errors(d) > 0)
        return EXIT_COULD_NOT;
    if (c->privileges.is_root && c->privileges.is_caged) {
        c->root = privsep_root_open(r->started_with, d);
        if (c->root < 0)
            return EXIT_COULD_NOT;
    }
    if (!open_log(r->started_with))
        return EXIT_COULD_NOT;
    (void)machine_descriptors(); /* listening sockets need some as well */
    c->workers = r->started_with->workers == 0 ? machine_cpus() : r->started_with->workers;
    m->places.workers = c->workers;
    if (!generation_open(c->current, &m->places, d))
        return EXIT_COULD_NOT;
    c->max_sessions = choose_max_sessions(c->current, c->workers);
    if (!rotate_tickets(m) || !crew_init(c)) {
        fprintf(stderr, "starttlsd: no random octets, or no memory\n");
        return EXIT_COULD_NOT;
    }
    return EXIT_GOOD;
}

static void watch_signal(struct master *m, ev_signal *watcher,
                         void (*on_signal)(struct ev_loop *, ev_signal *, int), int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = m;
    ev_signal_start(m->loop, watcher);
}

static void log_start(const struct master *m)
{
    struct log_line line;

    log_begin(&line, LEVEL_INFO, "server.start");
    log_text(&line, "version", STARTTLSD_VERSION);
    log_text(&line, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    log_number(&line, "workers", m->crew.workers);
    log_number(&line, "max_sessions", (uint64_t)m->crew.max_sessions * m->crew.workers);
    log_text(&line, "cage", privsep_summary(&m->crew.privileges));
    log_end(&line);
}

static void run(struct master *m)
{
    watch_signal(m, &m->on_hup, on_hup, SIGHUP);
    watch_signal(m, &m->on_term, on_term, SIGTERM);
    watch_signal(m, &m->on_int, on_int, SIGINT);
    watch_signal(m, &m->on_usr2, on_usr2, SIGUSR2);
    ev_timer_init(&m->rotation, on_rotation, 0.0, 0.0);
    ev_timer_init(&m->end_of_time, on_end_of_time, 0.0, 0.0);
    m->rotation.data = m;
    m->end_of_time.data = m;
    reload_init(&m->reload);
    schedule_rotation(m);
    log_start(m);
    tls_expiry_tell(m->crew.current->expiry);
    crew_start(&m->crew);
    ev_run(m->loop, 0);
    log_event(LEVEL_INFO, "server.stop", NULL);
    crew_clear(&m->crew);
}

static void clear(struct master *m)
{
    if (m->crew.current != NULL && m->crew.current->config == m->reload.started_with)
        m->crew.current->config = NULL;
    generation_free(m->crew.current, &m->places);
    config_free(m->reload.started_with);
    if (m->crew.root >= 0)
        close(m->crew.root);
    OPENSSL_cleanse(&m->crew.tickets, sizeof m->crew.tickets);
    ev_loop_destroy(m->loop);
}

int master_run(const char *config_path, bool is_caged)
{
    struct master m = {.is_caged = is_caged};
    struct diagnosis *d = diagnosis_new();

    if (!tls_library_start()) {
        fprintf(stderr, "starttlsd: OpenSSL could not be started\n");
        diagnosis_free(d);
        return EXIT_COULD_NOT;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    if (is_caged)
        protect_memory();
    m.loop = ev_default_loop(EVFLAG_AUTO);
    m.crew = (struct crew){.loop = m.loop,
                           .root = -1,
                           .on_vote = on_vote,
                           .on_step = on_step,
                           .on_death = on_death,
                           .context = &m};
    m.reload = (struct reload){.config_path = config_path,
                               .fqdn = machine_fqdn(),
                               .crew = &m.crew,
                               .places = &m.places,
                               .on_begin = on_reload_begin,
                               .on_end = on_reload_end,
                               .context = &m};
    m.exit_status = prepare(&m, d);
    if (m.exit_status == EXIT_GOOD) {
        reload_log_complaints(d, "config.rejected");
        run(&m);
    } else {
        diagnosis_print(d, stderr);
    }
    diagnosis_free(d);
    clear(&m);
    return m.exit_status;
}
