/* SPDX-License-Identifier: ISC */
/* The PROXY header in front of a session (accept_proxy). Nothing is said to a peer before it has
 * told whom it speaks for, and a peer that does not is left without a word. */
#include "protocols/proxy_header.h"
#include "proxy/admission.h"
#include "proxy/session.h"

static void name_client(struct session *s, const struct proxy_header *header)
{
    if (header->subject == PROXY_PEER)
        return;
    s->is_proxied = true;
    s->via = s->identity.client;
    s->identity.client = address_unmapped(&header->client);
    s->identity.server = address_unmapped(&header->server);
}

/* What stands behind the header is the client's first: its hello, where TLS comes first. */
static bool keep_first(struct session *s, struct span rest)
{
    s->client.octets_in = 0;
    if (s->service->config->policy.tls == FRONT_IMPLICIT)
        return stream_keep_sealed(&s->client, rest);
    s->client.octets_in = rest.len;
    s->is_again[SIDE_CLIENT] = rest.len > 0;
    return stream_keep(&s->client, rest);
}

/* Header and first phase have one time together: a trickle of the one is no gain for the other. */
static void begin(struct session *s)
{
    session_begin(s);
    if (s->phase == PHASE_PREAMBLE || s->phase == PHASE_HANDSHAKE)
        s->phase_since = s->opened;
    if (s->phase == PHASE_HANDSHAKE && stream_has_sealed(&s->client))
        engine_patiently(s->engine, &s->task);
}

static void go_on(struct session *s, const struct proxy_header *header, struct span rest)
{
    name_client(s, header);
    if (!admission_allows(s->service->config, &s->identity.client))
        session_refuse(s, LEVEL_INFO, "denied");
    else if (!keep_first(s, rest))
        session_refuse(s, LEVEL_ERROR, s->client.failure);
    else
        begin(s);
}

void session_read_header(struct session *s)
{
    struct proxy_header header;
    struct span window;
    enum stream_result result;

    result = stream_read(&s->client, s->is_ready[SIDE_CLIENT], false, &window);
    s->is_ready[SIDE_CLIENT] = false;
    if (result == STREAM_FAILED) {
        session_refuse(s, LEVEL_INFO, s->client.failure);
        return;
    }
    switch (proxy_header_parse(window, &header)) {
    case PROXY_GOOD: go_on(s, &header, span_skip(window, header.take)); return;
    case PROXY_BAD: session_refuse(s, LEVEL_WARNING, header.why); return;
    case PROXY_MORE: break;
    }
    if (result == STREAM_EOF)
        session_refuse(s, LEVEL_INFO, "closed before the end of a PROXY header");
    else if (!stream_keep(&s->client, window))
        session_refuse(s, LEVEL_ERROR, s->client.failure);
}

ev_tstamp session_header_due(const struct session *s)
{
    const struct service *c = s->service->config;

    switch (c->policy.tls) {
    case FRONT_STARTTLS: return deadline_after(s->opened, c->preamble_timeout_ms);
    case FRONT_IMPLICIT: return deadline_after(s->opened, c->handshake_timeout_ms);
    case FRONT_NONE: return deadline_after(s->opened, c->connect_timeout_ms);
    }
    return DEADLINE_NEVER;
}
