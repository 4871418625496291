/* SPDX-License-Identifier: ISC */
/* A session on its way to a backend: one address after the other until a greeting is good. */
#include <errno.h>
#include <string.h>

#include "proxy/session.h"
#include "proxy/session_log.h"

static void note_failure(struct session *s, enum end failure, const char *why)
{
    s->try.failure = failure;
    backend_note_failure(&s->try);
    session_log_backend_failed(s, why);
}

static void note_errno(struct session *s, int error)
{
    char space[64];

    note_failure(s, END_BACKEND_UNREACHABLE, strerror_r(error, space, sizeof space));
}

/* The backend is not to blame. */
static bool is_our_shortage(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: return true; /* the last one: no port is left */
    default: return false;
    }
}

static void drop_backend(struct session *s)
{
    ev_io_stop(s->engine->loop, &s->backend_io);
    stream_close(&s->backend);
    s->is_ready[SIDE_BACKEND] = s->is_held[SIDE_BACKEND] = false;
    s->is_again[SIDE_BACKEND] = s->has_more[SIDE_BACKEND] = false;
    s->backend_state = BACKEND_STATE_NONE;
}

void session_leave_backend(struct session *s)
{
    if (s->backend.fd < 0)
        return;
    stream_part(&s->backend); /* its farewell; what it does not take of that is no loss */
    drop_backend(s);
    quota_leave(s->quota, &s->place);
    s->try = (struct backend_try){0};
    s->has_ended[SIDE_BACKEND] = false;
    s->backend_address = (union board_address){0};
}

static void set_state(struct session *s, enum backend_state state)
{
    s->backend_state = state;
    s->phase_since = deadline_now();
}

static void watch(struct session *s, int fd)
{
    stream_open(&s->backend, s->engine->scratch, SIDE_BACKEND, fd);
    ev_io_set(&s->backend_io, fd, EV_WRITE);
    ev_io_start(s->engine->loop, &s->backend_io);
    set_state(s, BACKEND_STATE_CONNECTING);
}

static void give_up(struct session *s)
{
    s->backend_state = BACKEND_STATE_NONE;
    quota_leave(s->quota, &s->place);
    session_tell(s, EVENT_BACKEND_FAILED, SIDE_BACKEND,
                 s->try.failure != END_NONE ? s->try.failure : END_BACKEND_UNREACHABLE);
}

static bool has_waited_enough(const struct session *s)
{
    return deadline_after(s->phase_since, s->service->config->connect_timeout_ms) <= deadline_now();
}

static void refuse(struct session *s)
{
    s->backend_state = BACKEND_STATE_NONE;
    quota_leave(s->quota, &s->place);
    session_log_refused(s->service, &s->identity.client, LEVEL_WARNING, "backend_max_connections");
    session_tell(s, EVENT_BUSY, SIDE_BACKEND, END_LIMIT);
}

static void on_turn(void *context)
{
    struct session *s = context;

    engine_soon(s->engine, &s->task);
}

/* A connection that the service may have. It is kept over addresses that fail: others came later. */
static bool has_turn(struct session *s)
{
    if (s->place.state == QUOTA_OUT) {
        s->place.on_turn = on_turn;
        s->place.context = s;
        switch (quota_enter(s->quota, &s->place)) {
        case QUOTA_OUT: refuse(s); return false;
        case QUOTA_WAITING: set_state(s, BACKEND_STATE_QUEUED); return false;
        case QUOTA_IN: return true;
        }
    }
    if (s->place.state == QUOTA_IN && s->backend_state == BACKEND_STATE_QUEUED)
        set_state(s, BACKEND_STATE_NONE); /* the time for connecting begins now */
    return s->place.state == QUOTA_IN;
}

/* To connect to the address in hand. False: it is none to connect to. */
static bool has_begun(struct session *s)
{
    int fd = backend_connect(&s->backend_address);

    if (fd >= 0)
        watch(s, fd);
    else if (is_our_shortage(errno))
        session_fail(s, strerror(errno));
    else
        note_errno(s, errno);
    return fd >= 0 || s->phase == PHASE_CLOSING;
}

void session_connect(struct session *s)
{
    if (s->phase != PHASE_BACKEND)
        session_set_phase(s, PHASE_BACKEND);
    if (!has_turn(s))
        return;
    for (;;) {
        switch (backend_next(&s->try, s->snapshot, s->service, &s->backend_address)) {
        case BACKEND_NEXT_LATER:
            s->backend_state = BACKEND_STATE_WAITING;
            if (!has_waited_enough(s))
                return;
            give_up(s);
            return;
        case BACKEND_NEXT_NONE: give_up(s); return;
        case BACKEND_NEXT_ADDRESS: break;
        }
        s->try.is_tls_hopeless = false;
        if (has_begun(s))
            return;
    }
}

void session_next_backend(struct session *s, enum end failure, const char *why)
{
    note_failure(s, failure, why);
    drop_backend(s);
    session_connect(s);
}

/* It may be a matter of versions; with opportunistic TLS nobody was verified either. */
void session_backend_not_secured(struct session *s)
{
    const struct policy *policy = &s->service->config->policy;
    const char *why = s->backend.failure;

    if (policy->backend_tls != BACKEND_TLS_STARTTLS || policy->is_backend_enforced) {
        session_next_backend(s, END_BACKEND_TLS_FAILED, why);
        return;
    }
    session_log_backend_failed(s, why);
    drop_backend(s);
    s->try.is_tls_hopeless = true;
    s->try.tries++; /* another connection */
    if (!has_begun(s))
        session_connect(s);
}

void session_connect_late(struct session *s)
{
    switch (s->backend_state) {
    case BACKEND_STATE_WAITING: session_connect(s); return;
    case BACKEND_STATE_QUEUED:
        if (s->place.state == QUOTA_IN)
            session_connect(s);
        else
            refuse(s);
        return;
    case BACKEND_STATE_SHAKING:
        session_next_backend(s, END_BACKEND_TLS_FAILED, "no TLS in time");
        return;
    case BACKEND_STATE_NONE:
    case BACKEND_STATE_CONNECTING:
    case BACKEND_STATE_CONNECTED:
        session_next_backend(s, END_BACKEND_UNREACHABLE, "timeout");
        return;
    }
}

void session_connect_ready(struct session *s)
{
    int error = backend_connect_error(s->backend.fd);

    if (error != 0) {
        char space[64];

        session_next_backend(s, END_BACKEND_UNREACHABLE, strerror_r(error, space, sizeof space));
        return;
    }
    set_state(s, BACKEND_STATE_CONNECTED);
    if (s->service->config->policy.backend_tls == BACKEND_TLS_IMPLICIT) {
        session_secure_backend(s);
        return;
    }
    session_tell(s, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
}
