/* SPDX-License-Identifier: ISC */
/* A session on its way to a backend: one after the other, with all its addresses, until a greeting is good. */
#include <string.h>

#include "proxy/session.h"
#include "proxy/session_log.h"

/* A backend that knows whom it refuses may mean the client: a ban, a limit of its own. One that does
 * not answer a client's address may only lack the way back to it. Neither may close it to all others:
 * the scout looks for itself. */
static bool concerns_all(const struct session *s, enum end failure)
{
    switch (s->service->config->identity) {
    case IDENTITY_NONE: return true;
    case IDENTITY_TRANSPARENT: return false;
    case IDENTITY_PROXY_V1:
    case IDENTITY_PROXY_V2:
    case IDENTITY_XCLIENT:
    case IDENTITY_ID: return failure != END_BACKEND_REFUSED;
    }
    return true;
}

static void note_failure(struct session *s, enum end failure, const char *why)
{
    s->try.failure = failure;
    if (concerns_all(s, failure))
        s->try.has_failed = true;
    session_log_backend_failed(s, why);
}

static void drop_backend(struct session *s)
{
    ev_io_stop(s->engine->loop, &s->backend_io);
    stream_close(&s->backend);
    s->is_ready[SIDE_BACKEND] = s->is_held[SIDE_BACKEND] = false;
    s->is_again[SIDE_BACKEND] = s->has_more[SIDE_BACKEND] = false;
    s->backend_state = BACKEND_STATE_NONE;
}

void session_stop_dialling(struct session *s)
{
    if (s->dial == NULL)
        return;
    dial_stop(s->dial);
    pool_put(&s->engine->dials, s->dial);
    s->dial = NULL;
}

void session_leave_backend(struct session *s)
{
    if (s->backend.fd < 0)
        return;
    stream_part(&s->backend); /* its farewell; what it does not take of that is no loss */
    drop_backend(s);
    quota_leave(s->quota, &s->place);
    session_stop_dialling(s);
    backend_let_go(&s->try);
    s->try = (struct backend_try){0};
    s->has_ended[SIDE_BACKEND] = false;
    s->backend_address = (union board_address){0};
}

static void set_state(struct session *s, enum backend_state state)
{
    s->backend_state = state;
    s->phase_since = deadline_now();
}

static void give_up(struct session *s)
{
    if (s->try.failure == END_NONE && s->try.is_left_out)
        note_failure(s, END_BACKEND_REFUSED, "no way to it from the client's address");
    s->backend_state = BACKEND_STATE_NONE;
    quota_leave(s->quota, &s->place);
    session_stop_dialling(s);
    session_tell(s, EVENT_BACKEND_FAILED, SIDE_BACKEND,
                 s->try.failure != END_NONE ? s->try.failure : END_BACKEND_UNREACHABLE);
}

/* No backend would be told who it is: never on without identity. */
static void give_up_unknown(struct session *s)
{
    session_log_backend_failed(s, "the client has no address to be told");
    s->try.failure = END_BACKEND_REFUSED;
    give_up(s);
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

/* The backend in hand is dialled; or that ends the session. False: another one has to be found. */
static bool has_begun(struct session *s, bool is_dialling)
{
    if (is_dialling) {
        set_state(s, BACKEND_STATE_CONNECTING);
        return true;
    }
    if (dial_is_our_shortage(s->dial->error)) {
        session_fail(s, dial_words(s->dial->error));
        return true;
    }
    if (s->dial->error == DIAL_LEFT_OUT)
        s->try.is_left_out = true;
    return false;
}

/* The same backend, maybe at another address: that one has not failed at TLS. */
static void on_connected(void *context, int fd, const union board_address *address)
{
    struct session *s = context;

    if (memcmp(&s->backend_address, address, sizeof *address) != 0)
        s->try.is_tls_hopeless = false;
    s->backend_address = *address;
    stream_open(&s->backend, s->engine->scratch, SIDE_BACKEND, fd);
    ev_io_set(&s->backend_io, fd, EV_READ);
    set_state(s, BACKEND_STATE_CONNECTED);
    session_introduce(s);
    if (s->service->config->policy.backend_tls == BACKEND_TLS_IMPLICIT)
        session_secure_backend(s);
    else
        session_tell(s, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    session_rearm(s);
}

static void on_failed(void *context, const union board_address *address, int error)
{
    struct session *s = context;

    s->backend_address = *address;
    if (!dial_is_our_shortage(error)) /* that is told when it ends the session */
        note_failure(s, END_BACKEND_UNREACHABLE, dial_words(error));
}

static void on_over(void *context, int error)
{
    struct session *s = context;

    if (!has_begun(s, false))
        session_connect(s);
    session_rearm(s);
}

static bool has_dial(struct session *s)
{
    if (s->dial == NULL) {
        s->dial = pool_get(&s->engine->dials);
        if (s->dial == NULL)
            return false;
        *s->dial = (struct dial){.loop = s->engine->loop,
                                 .on_done = on_connected,
                                 .on_failed = on_failed,
                                 .on_over = on_over,
                                 .context = s};
    }
    return true;
}

static bool is_transparent(const struct session *s)
{
    return s->service->config->identity == IDENTITY_TRANSPARENT;
}

static bool dial_backend(struct session *s)
{
    const struct dial_from from =
        is_transparent(s) ? dial_from_client(&s->identity.client) : s->service->pool->from;

    return dial_start(s->dial, backend_in_hand(&s->try, s->snapshot, s->service), &from,
                      s->service->config->connect_timeout_ms);
}

void session_connect(struct session *s)
{
    if (s->phase != PHASE_BACKEND)
        session_set_phase(s, PHASE_BACKEND);
    if (!session_can_be_told(s)) {
        give_up_unknown(s);
        return;
    }
    if (is_transparent(s) && !s->engine->is_transparent) {
        session_fail(s, "identity = transparent came with a reload, and needs a restart");
        return;
    }
    if (!has_turn(s))
        return;
    if (!has_dial(s)) {
        session_fail(s, "no room for another connection");
        return;
    }
    do {
        switch (backend_next(&s->try, s->snapshot, s->service, &s->identity.client)) {
        case BACKEND_NEXT_LATER:
            s->backend_state = BACKEND_STATE_WAITING;
            if (has_waited_enough(s))
                give_up(s);
            return;
        case BACKEND_NEXT_NONE: give_up(s); return;
        case BACKEND_NEXT_FOUND: break;
        }
    } while (!has_begun(s, dial_backend(s)));
}

void session_next_backend(struct session *s, enum end failure, const char *why)
{
    note_failure(s, failure, why);
    drop_backend(s);
    if (!has_begun(s, dial_go_on(s->dial)))
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
    if (!has_begun(s, dial_again(s->dial)))
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
    case BACKEND_STATE_CONNECTED:
        session_next_backend(s, END_BACKEND_UNREACHABLE, "no greeting in time");
        return;
    case BACKEND_STATE_NONE:
    case BACKEND_STATE_CONNECTING: return; /* the dial has a clock of its own */
    }
}
