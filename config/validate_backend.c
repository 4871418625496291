/* SPDX-License-Identifier: ISC */
/* What is said of the way to a backend: TLS, identity, pools. */
#include "config/validate_backend.h"

#include "config/endpoint.h"
#include "config/network.h"

void validate_backend_needs(const struct section *s, const struct service *service,
                            const struct setting *w, struct diagnosis *d)
{
    if (service->policy.backend_tls == BACKEND_TLS_NONE)
        diagnosis_error(d, w->origin, s->title, w->key->name,
                        "write `backend_tls = starttls` or `implicit`, or remove the line",
                        "means nothing with `backend_tls = none`: the backend is spoken to in "
                        "plaintext");
    else if (!service->policy.is_backend_enforced)
        diagnosis_error(d, w->origin, s->title, w->key->name,
                        "write `backend_policy = enforced`, or remove the line",
                        "means nothing with `backend_policy = opportunistic`: a backend that may "
                        "answer in plaintext is not verified");
    else if (w->key->needs == NEEDS_FINGERPRINT)
        diagnosis_error(d, w->origin, s->title, w->key->name,
                        "write `backend_verify = fingerprint`, or remove the line",
                        "means nothing with another `backend_verify`: nobody would compare it");
    else
        diagnosis_error(d, w->origin, s->title, w->key->name,
                        "write `backend_verify = full` or `chain`, or remove the line",
                        "means nothing with this `backend_verify`: nobody would ask who issued a "
                        "certificate");
}

static void check_number(const struct section *s, const struct service *service,
                         struct diagnosis *d)
{
    if (service->backend_count > CONFIG_BACKENDS_MAX)
        diagnosis_error(d, service->backend[CONFIG_BACKENDS_MAX].origin, s->title, "backend",
                        "give several machines one name: its addresses are all used",
                        "more than %d backends", CONFIG_BACKENDS_MAX);
}

/* Both in [defaults]. A service that writes one of them is told by what the key needs. */
static void check_verify(const struct loaded *l, const struct section *s,
                         const struct service *service, struct diagnosis *d)
{
    const struct setting *verify = loaded_find(l, s, "backend_verify");

    if (verify == NULL || service->policy.backend_tls == BACKEND_TLS_NONE ||
        service->policy.is_backend_enforced || section_find(s, "backend_verify") != NULL ||
        section_find(s, "backend_policy") != NULL)
        return;
    validate_backend_needs(s, service, verify, d);
}

static void check_version(const struct loaded *l, const struct section *s,
                          const struct service *service, struct diagnosis *d)
{
    if (service->policy.backend_tls != BACKEND_TLS_NONE &&
        service->backend_min_tls < TLS_VERSION_1_2)
        diagnosis_warning(d, loaded_origin(l, s, "backend_min_tls"), s->title, "backend_min_tls",
                          "fine for a server that knows no better; else remove the line",
                          "below TLSv1.2, so that a backend may use the weak ciphers of the "
                          "profile `old` too");
}

static bool is_front_secret(const struct loaded *l, const char *path)
{
    const struct named_file *f = l->file;

    while (f != NULL && strcmp(f->path, path) != 0)
        f = f->next;
    return f != NULL && f->kind == CONFIG_FILE_SECRET;
}

/* The scout speaks with backends, so what is needed for that is no secret of the front's. */
static void check_files(const struct loaded *l, const struct section *s,
                        const struct service *service, struct diagnosis *d)
{
    const struct certificate *c = service->backend_certificate;
    const struct {
        const char *key, *path;
    } files[] = {
        {"backend_ca", service->backend_ca},
        {"backend_certificate", service->backend_certificate_count > 0 ? c->chain : NULL},
        {"backend_certificate", service->backend_certificate_count > 0 ? c->key : NULL},
        {"backend_certificate", service->backend_certificate_count > 0 ? c->passphrase : NULL},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (files[i].path != NULL && is_front_secret(l, files[i].path)) {
            diagnosis_error(d, loaded_origin(l, s, files[i].key), s->title, files[i].key,
                            "use a certificate and key of its own towards backends",
                            "%s holds the key of a `certificate`, and the process that asks "
                            "backends whether they are well must not have that",
                            files[i].path);
            return;
        }
}

static void check_carrier(const struct loaded *l, const struct section *s,
                          const struct service *service, struct diagnosis *d)
{
    const struct protocol *protocol = service->protocol;
    const struct setting *written = loaded_find(l, s, "identity");
    const char *own = protocol == NULL ? NULL : protocol->own_identity;

    if (!service->policy.tells_identity || written == NULL || protocol == NULL ||
        (own != NULL && strcmp(written->text, own) == 0))
        return;
    diagnosis_error(d, written->origin, s->title, "identity",
                    own == NULL              ? "write `identity = proxy-v2`"
                    : strcmp(own, "id") == 0 ? "write `identity = id`, or `proxy-v2`"
                                             : "write `identity = xclient`, or `proxy-v2`",
                    "`%s` cannot be said with `protocol = %s`", written->text, protocol->name);
}

/* The client comes in and goes on by the same address. A load balancer's header may name one of
 * another family than its own. */
static bool can_meet(const struct service *service, const struct endpoint *backend)
{
    if (service->accept_proxy_count > 0 || service->accept_proxy_unix)
        return true;
    for (size_t i = 0; i < service->listen_count; i++)
        if (endpoint_may_meet(&service->listen[i], backend))
            return true;
    return service->listen_count == 0; /* complained of elsewhere */
}

static void check_transparent(const struct section *s, const struct service *service,
                              struct diagnosis *d)
{
    const struct setting *source = section_find(s, "backend_source");

    if (service->identity != IDENTITY_TRANSPARENT)
        return;
    if (source != NULL)
        diagnosis_error(d, source->origin, s->title, "backend_source",
                        "remove the line, or write another `identity`",
                        "means nothing with `identity = transparent`: backends are connected from "
                        "the client's own address");
    for (size_t i = 0; i < service->backend_count; i++) {
        const struct endpoint *backend = &service->backend[i];

        if (!can_meet(service, backend))
            diagnosis_error(d, backend->origin, s->title, "backend",
                            "listen on an address of its family too, or write another `identity`",
                            "with `identity = transparent` no client can be brought to `%s`: it is "
                            "of another family than every `listen`",
                            backend->text);
        else if (endpoint_is_loopback(backend))
            diagnosis_warning(d, backend->origin, s->title, "backend",
                              "write `identity = proxy-v2` if the backend understands it",
                              "with `identity = transparent` the answers of `%s` go to the "
                              "client's address, and come back only where the system routes them "
                              "to itself",
                              backend->text);
    }
}

static void check_peers(const struct loaded *l, const struct section *s,
                        const struct service *service, struct diagnosis *d)
{
    const struct origin origin = loaded_origin(l, s, "accept_proxy");
    bool has_unix = false;

    for (size_t i = 0; i < service->listen_count; i++)
        has_unix = has_unix || span_starts(span_of(service->listen[i].text), span_of("unix:"));
    if (service->accept_proxy_unix && !has_unix)
        diagnosis_warning(d, origin, s->title, "accept_proxy", "take `unix` out of the list",
                          "`unix` has no effect: the service listens on no UNIX socket");
    for (size_t i = 0; i < service->accept_proxy_count; i++) {
        char text[NETWORK_TEXT_MAX];

        if (network_is_everywhere(&service->accept_proxy[i]))
            diagnosis_warning(d, origin, s->title, "accept_proxy",
                              "name the load balancers alone, unless nobody else can connect",
                              "with `%s` everybody can claim to be any client",
                              network_text(&service->accept_proxy[i], text));
    }
}

void validate_backend(const struct loaded *l, const struct section *s,
                      const struct service *service, struct diagnosis *d)
{
    check_number(s, service, d);
    check_verify(l, s, service, d);
    check_version(l, s, service, d);
    check_files(l, s, service, d);
    check_carrier(l, s, service, d);
    check_transparent(s, service, d);
    check_peers(l, s, service, d);
}
