/* SPDX-License-Identifier: ISC */
/* What a session waits for: which side is to be read now, which events and which moment wake it up.
 * Decided anew behind every event, in this one place. */
#include "proxy/session.h"

#define LINGER_MS       2000 /* for the client to read our last words */
#define RESOLVE_POLL_MS 50   /* the resolver is still at work: look again */
#define LOOK_MS         1000 /* nothing may announce what has become of the client: look again */

/* While half of the blocks are left, a client may take so long for one of those that it pins; as they
 * get fewer, less, and nothing when none is left. */
#define STALL_MS 10000

/* Replies flow while commands are stuck, or both sides would wait for each other; commands wait for
 * both. */
static bool has_room(const struct session *s, enum side from)
{
    const struct stream *reads = from == SIDE_CLIENT ? &s->client : &s->backend;
    const struct stream *writes = from == SIDE_CLIENT ? &s->backend : &s->client;
    const size_t owed_max = s->phase == PHASE_TUNNEL ? SESSION_OWED_TUNNEL_MAX : SESSION_OWED_MAX;

    return !stream_has_out(writes) && stream_can_write(writes) && reads->out.len <= owed_max;
}

bool session_is_read(const struct session *s, enum side side)
{
    if (s->is_held[side] || s->has_ended[side] || !has_room(s, side))
        return false;
    switch (s->phase) {
    case PHASE_HEADER: return false;
    case PHASE_PREAMBLE: return side == SIDE_CLIENT;
    case PHASE_HANDSHAKE: return false;
    case PHASE_BACKEND: return side == SIDE_BACKEND && s->backend_state == BACKEND_STATE_CONNECTED;
    case PHASE_GATE:
    case PHASE_TUNNEL: return true;
    case PHASE_CLOSING: return false;
    }
    return false;
}

bool session_has_unshown(struct session *s, enum side side)
{
    struct stream *stream = session_stream(s, side);

    return s->is_again[side] || s->has_more[side] || (stream->is_eof && !s->has_ended[side]);
}

static void watch_exactly(struct session *s, ev_io *io, int events)
{
    struct ev_loop *loop = s->engine->loop;

    ev_io_stop(loop, io);
    if (events == 0)
        return;
    ev_io_modify(io, events);
    ev_io_start(loop, io);
}

/* A side that is not to be read stays watched until it speaks: most holds are over before that, and
 * every change costs a system call. */
static void watch(struct session *s, ev_io *io, int events)
{
    int now = ev_is_active(io) ? io->events & (EV_READ | EV_WRITE) : 0;

    if (now != events && now != (events | EV_READ))
        watch_exactly(s, io, events);
}

static int client_events(const struct session *s)
{
    int events = stream_has_out(&s->client) ? EV_WRITE : 0;

    if (s->phase == PHASE_HANDSHAKE)
        return events | (s->task.is_queued ? 0 : EV_READ);
    if (s->phase == PHASE_HEADER)
        return EV_READ;
    if (s->phase == PHASE_CLOSING || session_is_read(s, SIDE_CLIENT))
        return events | (s->client.is_wire_eof ? 0 : EV_READ);
    return events;
}

static int backend_events(const struct session *s)
{
    int events = stream_has_out(&s->backend) ? EV_WRITE : 0;

    if (s->backend_state == BACKEND_STATE_SHAKING)
        return events | (s->task.is_queued ? 0 : EV_READ);
    if (session_is_read(s, SIDE_BACKEND) && !s->backend.is_wire_eof)
        events |= EV_READ;
    return events;
}

void session_note_ready(struct session *s, enum side side, int revents)
{
    const bool is_client = side == SIDE_CLIENT;
    const int wanted = is_client ? client_events(s) : backend_events(s);

    if ((revents & EV_READ) == 0)
        return;
    s->is_ready[side] = true;
    if ((wanted & EV_READ) == 0)
        watch_exactly(s, is_client ? &s->client_io : &s->backend_io, wanted);
}

/* ---- how long ---- */

static ev_tstamp backend_due(const struct session *s)
{
    const struct service *c = s->service->config;

    switch (s->backend_state) {
    case BACKEND_STATE_WAITING: return deadline_now() + RESOLVE_POLL_MS / 1000.;
    case BACKEND_STATE_QUEUED: return deadline_after(s->phase_since, QUOTA_WAIT_MS);
    case BACKEND_STATE_SHAKING:
    case BACKEND_STATE_CONNECTED: return deadline_after(s->phase_since, c->greeting_timeout_ms);
    case BACKEND_STATE_NONE:
    case BACKEND_STATE_CONNECTING: return DEADLINE_NEVER; /* the dial has a clock of its own */
    }
    return DEADLINE_NEVER;
}

static ev_tstamp gate_due(const struct session *s)
{
    const struct service *c = s->service->config;
    ev_tstamp login = DEADLINE_NEVER;
    ev_tstamp now_due = s->waiting == WAITING_BACKEND
                            ? deadline_after(s->owed_since, c->backend_timeout_ms)
                            : deadline_after(s->active, c->idle_timeout_ms);

    if (!s->is_admitted)
        login = deadline_after(s->phase_since, c->login_timeout_ms);
    return login < now_due ? login : now_due;
}

ev_tstamp session_due(const struct session *s)
{
    /* For our last words alone: as long as for reading them. */
    if (s->busy != END_NONE && (s->phase == PHASE_HEADER || s->phase == PHASE_HANDSHAKE))
        return deadline_after(s->phase_since, LINGER_MS);
    switch (s->phase) {
    case PHASE_HEADER: return session_header_due(s);
    case PHASE_PREAMBLE:
        return deadline_after(s->phase_since, s->service->config->preamble_timeout_ms);
    case PHASE_HANDSHAKE:
        return deadline_after(s->phase_since, s->service->config->handshake_timeout_ms);
    case PHASE_BACKEND: return backend_due(s);
    case PHASE_GATE: return gate_due(s);
    case PHASE_TUNNEL: return session_tunnel_due(s);
    case PHASE_CLOSING: return deadline_after(s->phase_since, LINGER_MS);
    }
    return DEADLINE_NEVER;
}

bool session_is_unwatched(struct session *s)
{
    if (s->phase != PHASE_BACKEND && s->phase != PHASE_GATE && s->phase != PHASE_TUNNEL)
        return false;
    return !ev_is_active(&s->client_io) || (s->client_io.events & EV_READ) == 0;
}

/* ---- a client that takes nothing ---- */

/* As if TLS added nothing: near enough. */
static uint64_t taken(const struct stream *client)
{
    return client->octets_out - client->out.len;
}

static void note_stall(struct session *s)
{
    const uint64_t now_taken = taken(&s->client);

    if (!stream_has_out(&s->client)) {
        s->stalled_since = 0;
    } else if (s->stalled_since <= 0 || (int64_t)(now_taken - s->taken) >= (int64_t)BLOCK_SIZE) {
        s->stalled_since = deadline_now();
        s->taken = now_taken;
    }
}

bool session_is_hogging(const struct session *s)
{
    const struct pool *blocks = &s->engine->blocks;
    const uint32_t half = blocks->ceiling / 2, left = blocks->ceiling - pool_used(blocks);

    if (s->stalled_since <= 0 || s->phase == PHASE_CLOSING || !pool_is_scarce(blocks))
        return false;
    return deadline_now() >= s->stalled_since + STALL_MS / 1000. * left / half;
}

/* ---- all of it ---- */

/* When to look again. */
static ev_tstamp wake_up(struct session *s)
{
    ev_tstamp at = session_due(s), look = DEADLINE_NEVER;

    if (session_is_unwatched(s) || stream_has_out(&s->client))
        look = deadline_after(deadline_now(), LOOK_MS);
    return look < at ? look : at;
}

void session_wait(struct session *s)
{
    note_stall(s);
    watch(s, &s->client_io, client_events(s));
    if (s->backend.fd >= 0)
        watch(s, &s->backend_io, backend_events(s));
    deadline_set(&s->deadline, s->engine->loop, wake_up(s));
    for (enum side side = SIDE_CLIENT; side <= SIDE_BACKEND; side++)
        if (session_is_read(s, side) && session_has_unshown(s, side))
            engine_soon(s->engine, &s->task);
}
