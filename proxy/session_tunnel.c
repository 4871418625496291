/* SPDX-License-Identifier: ISC */
/* A session behind the login: what it lets go of, how octets pass, when it is over.
 *
 * Nobody knows what is under way here, so a backend hears of a good end from its client alone:
 * whatever else ends a tunnel resets it, lest half a message be taken for a whole one. */
#include "proxy/relay.h"
#include "proxy/session.h"

/* For a client whose backend has closed: longer than that no kernel waits for the answer to a FIN
 * (tcp(7), tcp_fin_timeout), and the place among the connections is wanted. */
#define BACKEND_CLOSED_MS 60000

void session_enter_tunnel(struct session *s)
{
    session_set_phase(s, PHASE_TUNNEL);
    s->active = s->phase_since;
    for (enum side side = SIDE_CLIENT; side <= SIDE_BACKEND; side++) {
        s->is_held[side] = false;
        s->is_again[side] = true;   /* what waits in its window */
        s->has_ended[side] = false; /* what the module was told, the other side is to hear now */
    }
    /* A tunnel may last for months; the configuration that it began with need not. */
    s->idle_timeout_ms = s->service->config->idle_timeout_ms;
    s->service = NULL;
    snapshot_put(s->snapshot);
    s->snapshot = NULL;
    if (s->engine->is_stopping)
        session_close(s, END_DRAINED, true);
}

void session_relay(struct session *s, enum side side)
{
    struct stream *from = session_stream(s, side), *to = session_stream(s, side_other(side));
    const uint64_t before = from->octets_in;
    enum relay_result result = relay(from, to, s->is_ready[side]);

    s->is_ready[side] = s->is_again[side] = false;
    s->has_more[side] = result == RELAY_MORE;
    if (from->octets_in > before)
        s->active = deadline_now();
    switch (result) {
    case RELAY_AGAIN:
    case RELAY_MORE: return;
    case RELAY_CUT: session_lose(s, side); return;
    case RELAY_ENDED:
        s->has_ended[side] = true;
        if (s->end == END_NONE)
            s->end = side == SIDE_CLIENT ? END_CLIENT_CLOSED : END_BACKEND_CLOSED;
        return;
    }
}

ev_tstamp session_tunnel_due(const struct session *s)
{
    uint32_t limit_ms = s->idle_timeout_ms;

    if (s->has_ended[SIDE_BACKEND] && limit_ms > BACKEND_CLOSED_MS)
        limit_ms = BACKEND_CLOSED_MS;
    return deadline_after(s->active, limit_ms);
}

void session_tunnel_late(struct session *s)
{
    session_close(s, s->end != END_NONE ? s->end : END_TIMEOUT, true);
}

bool session_tunnel_is_over(const struct session *s)
{
    bool is_client_done = s->has_ended[SIDE_CLIENT] || s->backend.is_mute;

    return s->has_ended[SIDE_BACKEND] && is_client_done && !stream_has_out(&s->client) &&
           !stream_has_out(&s->backend);
}
