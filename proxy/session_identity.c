/* SPDX-License-Identifier: ISC */
/* Who the client is, told to a backend by a PROXY header in front of all else. XCLIENT and ID are
 * said by the modules. */
#include "protocols/proxy_header.h"
#include "proxy/inet.h"
#include "proxy/session.h"
#include "proxy/tls_report.h"

void session_learn_server(struct session *s)
{
    if (s->service->config->identity != IDENTITY_NONE && s->identity.server.family == ADDRESS_NONE)
        s->identity.server = inet_local(s->client.fd);
}

bool session_can_be_told(const struct session *s)
{
    return s->service->config->identity == IDENTITY_NONE ||
           (s->identity.client.family != ADDRESS_NONE && s->identity.server.family != ADDRESS_NONE);
}

/* ALPN is passed on only where it names the protocol that follows; a backend may check. */
static struct span agreed_protocol(const struct session *s)
{
    const unsigned char *alpn = NULL;
    struct span agreed;
    unsigned len = 0;

    if (s->client.ssl != NULL)
        SSL_get0_alpn_selected(s->client.ssl, &alpn, &len);
    agreed = (struct span){(const char *)alpn, len};
    return span_equals(agreed, span_of(s->protocol->name)) ? agreed : (struct span){0};
}

static struct span write_v2(const struct session *s, char space[PROXY_SPACE])
{
    char name[PROXY_VALUE_MAX];
    struct proxy_facts facts = {.unique_id = span_of(s->identity.session),
                                .alpn = agreed_protocol(s)};

    tls_report_facts(s->client.ssl, &facts, name);
    /* Told that there is TLS already, Dovecot 2.4 offers none. */
    if (s->service->config->policy.backend_tls == BACKEND_TLS_STARTTLS)
        facts.is_secure = false;
    return proxy_header_v2(&s->identity.client, &s->identity.server, &facts, space);
}

void session_introduce(struct session *s)
{
    char space[PROXY_SPACE];

    switch (s->service->config->identity) {
    case IDENTITY_PROXY_V1:
        stream_put(&s->backend, proxy_header_v1(&s->identity.client, &s->identity.server, space),
                   false);
        return;
    case IDENTITY_PROXY_V2: stream_put(&s->backend, write_v2(s, space), false); return;
    case IDENTITY_NONE:
    case IDENTITY_XCLIENT:
    case IDENTITY_ID:
    case IDENTITY_TRANSPARENT: return;
    }
}
