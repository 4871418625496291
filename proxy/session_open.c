/* SPDX-License-Identifier: ISC */
/* How a session begins, or is refused; and what is said to all of them at once. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/session.h"
#include "proxy/session_log.h"

size_t session_size(void)
{
    size_t machine = 0;
    const struct protocol *p;

    for (size_t i = 0; (p = protocol_at(i)) != NULL; i++)
        if (p->size > machine)
            machine = p->size;
    return sizeof(struct session) + machine;
}

/* Not even room to say so in good order: one send, one close, nothing kept. Where TLS comes first,
 * not even that. */
static void refuse(struct engine *e, const struct snapshot_service *service, int fd, enum end why)
{
    static const struct facts clear = {0};
    const struct event busy = {
        .kind = EVENT_BUSY, .side = SIDE_CLIENT, .reason = why, .space = e->scratch->space};
    const struct protocol *p = service->config->protocol;
    void *machine = e->scratch->window;
    struct verdict v;

    p->init(machine, &service->config->policy, &clear);
    v = p->step(machine, &busy, (struct span){"", 0});
    if (service->config->policy.tls != FRONT_IMPLICIT)
        (void)!write(fd, v.text.data, v.text.len); /* a client that takes no word gets none */
    close(fd);
}

/* As many sessions are served as there may be, of this worker or of the service. */
static bool is_full(const struct engine *e, const struct snapshot_service *service)
{
    uint32_t max = service->config->max_sessions;

    return engine_sessions(e) - e->turned_away >= e->max_sessions ||
           (max != CONFIG_OFF && quota_sessions(service->quota) >= max);
}

/* Why no session can be had now; END_NONE: one can. */
static enum end why_busy(const struct engine *e, struct snapshot *snapshot,
                         const struct snapshot_service *service)
{
    if (e->is_draining)
        return END_DRAINED;
    if (is_full(e, service))
        return END_LIMIT;
    if (backend_all_down(snapshot, service)) /* so that an MX sender moves on at once */
        return END_BACKEND_UNREACHABLE;
    return END_NONE;
}

/* Limits are the administrator's, and always told. The rest is in session.end, where there is one. */
static void log_refused(const struct snapshot_service *service, const struct address *peer,
                        enum end why, bool has_session)
{
    if (why == END_LIMIT)
        session_log_refused(service, peer, LEVEL_WARNING, "max_sessions");
    else if (!has_session)
        session_log_refused(service, peer, LEVEL_WARNING,
                            why == END_DRAINED ? "drained" : "backend_unreachable");
}

void session_begin(struct session *s)
{
    log_refused(s->service, &s->identity.client, s->busy, true);
    session_learn_server(s);
    session_set_phase(s, PHASE_PREAMBLE);
    session_init_machine(s, false);
    if (s->service->config->policy.tls == FRONT_IMPLICIT) {
        session_start_tls(s);
        if (s->engine->is_stopping)
            session_close(s, END_DRAINED, false); /* as all others in a handshake */
    } else if (s->busy != END_NONE) {
        session_tell(s, EVENT_BUSY, SIDE_CLIENT, s->busy);
    } else {
        session_tell(s, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    }
}

/* Ids look random, and none comes twice. */
static void name(struct session *s)
{
    snprintf(s->identity.session, sizeof s->identity.session, "%016" PRIx64,
             s->engine->next_id++ * UINT64_C(0x9e3779b97f4a7c15));
}

static void enlist(struct session *s)
{
    struct engine *e = s->engine;

    s->next = e->all;
    if (e->all != NULL)
        e->all->previous = s;
    e->all = s;
    if (s->busy == END_NONE)
        quota_add_session(s->quota);
    else
        e->turned_away++;
}

void session_open(struct engine *e, struct snapshot *snapshot,
                  const struct snapshot_service *service, int fd, const struct address *peer,
                  bool is_balancer)
{
    const enum end busy = why_busy(e, snapshot, service);
    struct session *s = NULL;

    if (busy == END_NONE || e->turned_away < SESSIONS_SPARE)
        s = pool_get(&e->sessions);
    if (s == NULL) {
        log_refused(service, peer, busy, false);
        refuse(e, service, fd, busy);
        return;
    }
    *s = (struct session){
        .engine = e,
        .snapshot = snapshot_get(snapshot),
        .service = service,
        .quota = quota_share(service->quota),
        .protocol = service->config->protocol,
        .backend.fd = -1,
        .identity.client = *peer,
        .opened = deadline_now(),
        .busy = busy,
    };
    name(s);
    stream_open(&s->client, e->scratch, SIDE_CLIENT, fd);
    session_listen(s, fd);
    enlist(s);
    if (is_balancer)
        session_set_phase(s, PHASE_HEADER);
    else
        session_begin(s);
    session_rearm(s);
}

static void tell_all(struct engine *e, enum event_kind kind)
{
    struct session *next;

    e->is_draining = true;
    for (struct session *s = e->all; s != NULL; s = next) {
        next = s->next;
        if (s->phase == PHASE_CLOSING)
            continue;
        if (s->phase == PHASE_HEADER)
            session_refuse(s, LEVEL_INFO, "drained");
        else if (s->phase == PHASE_HANDSHAKE)
            session_close(s, END_DRAINED, false);
        else if (s->phase != PHASE_TUNNEL)
            session_tell(s, kind, SIDE_CLIENT, END_NONE);
        else if (kind == EVENT_STOP)
            session_close(s, END_DRAINED, true);
        session_rearm(s);
    }
}

void session_drain_all(struct engine *e)
{
    tell_all(e, EVENT_DRAIN);
}

void session_stop_all(struct engine *e)
{
    e->is_stopping = true;
    tell_all(e, EVENT_STOP);
}
