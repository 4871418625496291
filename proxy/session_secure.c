/* SPDX-License-Identifier: ISC */
/* TLS between a session and its backend: begun, a step of it, failed. What is verified, and how, is
 * tls_backend.c's business. */
#include "proxy/session.h"
#include "proxy/session_log.h"
#include "proxy/tls_backend.h"

void session_secure_backend(struct session *s)
{
    s->backend_state = BACKEND_STATE_SHAKING;
    if (!stream_flush(&s->backend) ||
        !stream_start_tls(&s->backend, tls_backend_ssl(s->service->backend_tls, s->try.backend))) {
        session_lose(s, SIDE_BACKEND);
        return;
    }
    engine_patiently(s->engine, &s->task); /* the hello is ours to say */
}

/* Who asked for TLS at the first octet has not been connected before it; who asked for it by
 * STARTTLS goes on. */
static void secured(struct session *s)
{
    s->backend_state = BACKEND_STATE_CONNECTED;
    s->has_more[SIDE_BACKEND] = stream_has_sealed(&s->backend);
    session_tell(s,
                 s->service->config->policy.backend_tls == BACKEND_TLS_IMPLICIT ? EVENT_CONNECTED
                                                                                : EVENT_SECURED,
                 SIDE_BACKEND, END_NONE);
}

void session_shake_backend(struct session *s)
{
    const enum handshake result = stream_handshake(&s->backend, s->is_ready[SIDE_BACKEND]);

    s->is_ready[SIDE_BACKEND] = false;
    switch (result) {
    case HANDSHAKE_AGAIN: return;
    case HANDSHAKE_MORE: engine_patiently(s->engine, &s->task); return;
    case HANDSHAKE_DONE: secured(s); return;
    case HANDSHAKE_FAILED:
        if (s->backend.failed == STREAM_BAD_TLS)
            session_log_tls_failed(s, SIDE_BACKEND, s->backend.failure);
        session_backend_not_secured(s);
        return;
    }
}
