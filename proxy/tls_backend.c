/* SPDX-License-Identifier: ISC */
/* A service's context towards its backends. It hangs on the SSL_CTX, as that lives as long as the
 * last connection, and connections outlive their snapshot. */
#include "proxy/tls_backend.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "proxy/tls_certificate.h"
#include "proxy/tls_report.h"
#include "proxy/tls_settings.h"
#include "proxy/tls_trust.h"
#include "proxy/tls_verify.h"

/* What was verified once is not believed for longer: certificates expire. */
#define RESUMPTION_SECONDS (2 * 60 * 60)

struct tls_backend {
    SSL_CTX *ctx;                  /* owns us; ours until tls_backend_free */
    const struct service *service; /* NULL: freed, only connections are left */
    struct tls_trust *trust;       /* NULL: none is needed */
    struct tls_verify verify;
    SSL_SESSION **session; /* by backend, the newest; NULL: none */
    size_t count;
};

/* One build under way. */
struct building {
    const struct config *config;
    const struct service *service;
    const struct config_source *source;
    struct diagnosis *diagnosis;
    char section[64];
};

static int owned_index = -1;  /* of a context's ex_data: struct tls_backend */
static int number_index = -1; /* of a connection's: the backend's index */
static int judged_index = -1; /* of a session's: when its peer was verified; copied with it */

static void drop_sessions(struct tls_backend *b)
{
    for (size_t i = 0; b->session != NULL && i < b->count; i++)
        SSL_SESSION_free(b->session[i]);
    free(b->session);
    b->session = NULL;
}

/* Not on a copy that SSL_set_SSL_CTX or the like would make: there is none on this side. */
static void on_context_free(void *parent, void *backend, CRYPTO_EX_DATA *ad, int index, long argl,
                            void *argp)
{
    struct tls_backend *b = backend;

    if (b == NULL)
        return;
    drop_sessions(b);
    free(b->verify.pin);
    free(b);
}

static bool reserve_indices(void)
{
    if (owned_index < 0)
        owned_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
    if (number_index < 0)
        number_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (judged_index < 0)
        judged_index = SSL_SESSION_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return owned_index >= 0 && number_index >= 0 && judged_index >= 0;
}

/* ---- sessions ---- */

/* TLS 1.3: tickets come whenever the connection is read, the snapshot may be long gone. 1: taken. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_backend *b = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), owned_index);
    size_t number = (size_t)(uintptr_t)SSL_get_ex_data(ssl, number_index);

    /* A session resumed brings another one, of the same verification. */
    if (b->session == NULL ||
        (SSL_session_reused(ssl) != 1 &&
         SSL_SESSION_set_ex_data(session, judged_index, (void *)(intptr_t)time(NULL)) != 1))
        return 0;
    SSL_SESSION_free(b->session[number]);
    b->session[number] = session;
    return 1;
}

static bool is_fresh(const SSL_SESSION *session)
{
    time_t age = time(NULL) - (time_t)(intptr_t)SSL_SESSION_get_ex_data(session, judged_index);

    return age >= 0 && age < RESUMPTION_SECONDS && SSL_SESSION_is_resumable(session) == 1;
}

SSL *tls_backend_ssl(struct tls_backend *b, size_t backend)
{
    const struct service *s = b->service;
    const char *name = s->backend_name == NULL ? s->backend[backend].host : s->backend_name;
    SSL *ssl;

    ERR_clear_error();
    ssl = SSL_new(b->ctx);
    if (ssl == NULL || SSL_set_ex_data(ssl, number_index, (void *)(uintptr_t)backend) != 1 ||
        !tls_verify_name(ssl, &b->verify, name)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    if (b->session[backend] != NULL && is_fresh(b->session[backend]))
        (void)SSL_set_session(ssl, b->session[backend]); /* else there is a full handshake */
    SSL_set_connect_state(ssl);
    return ssl;
}

/* ---- building ---- */

#define COMPLAIN(g, key, remedy, ...)                                                              \
    diagnosis_error((g)->diagnosis, origin_of(g, key), (g)->section, key, remedy, __VA_ARGS__)

/* The line of the key, or the service's, since a default may be at fault. */
static struct origin origin_of(const struct building *g, const char *key)
{
    struct origin origin = config_origin(g->config, g->service, key);

    return origin.file == NULL ? g->service->origin : origin;
}

/* The authorities that the administrator named, or the system's. */
static bool set_trust(const struct building *g, struct tls_backend *b)
{
    const char *path = g->service->backend_ca, *error = NULL;
    const char *name = path == NULL ? "the system's authorities" : path;
    const char *remedy = path == NULL ? "name a file with the backend's authority"
                                      : "name a file with certificates in PEM form";
    struct span pem;
    char why[160];

    if (b->verify.mode != BACKEND_VERIFY_FULL && b->verify.mode != BACKEND_VERIFY_CHAIN)
        return true;
    if (!g->source->read(g->source->context, path == NULL ? CONFIG_SYSTEM_CA : path, &pem,
                         &error)) {
        COMPLAIN(g, "backend_ca", remedy, "%s: %s", name, error);
        return false;
    }
    b->trust = tls_trust_get(pem, why, sizeof why);
    if (b->trust == NULL) {
        COMPLAIN(g, "backend_ca", remedy, "%s: %s", name, why);
        return false;
    }
    SSL_CTX_set1_cert_store(b->ctx, tls_trust_store(b->trust));
    if (path != NULL) /* whom it names is trusted, root or not */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(b->ctx), X509_V_FLAG_PARTIAL_CHAIN);
    return true;
}

static bool set_certificate(const struct building *g, SSL_CTX *ctx)
{
    struct tls_certificate c = {NULL};
    char why[160];
    bool ok;

    if (g->service->backend_certificate_count == 0)
        return true;
    if (!tls_certificate_read(&c, g->service->backend_certificate, "backend_certificate", g->source,
                              g->section, g->diagnosis))
        return false;
    ok = SSL_CTX_use_cert_and_key(ctx, c.leaf, c.key, c.chain, 1) == 1;
    if (!ok)
        COMPLAIN(g, "backend_certificate", "take a stronger key", "%s can't be used: %s",
                 g->service->backend_certificate->chain, tls_report_error(NULL, why, sizeof why));
    tls_certificate_clear(&c);
    return ok;
}

/* Whatever is written, a server without certificate would not be verified at all. */
static bool use_ciphers(SSL_CTX *ctx, const char *written)
{
    static const char never[] = ":!aNULL:!eNULL";
    size_t size = strlen(written) + sizeof never;
    char *list = malloc(size);
    bool ok = list != NULL;

    if (ok) {
        snprintf(list, size, "%s%s", written, never);
        ok = SSL_CTX_set_cipher_list(ctx, list) == 1;
    }
    free(list);
    return ok;
}

static bool set_ciphers(const struct building *g, SSL_CTX *ctx)
{
    const char *ciphers = g->service->backend_ciphers;
    char why[160];

    ERR_clear_error();
    if (!tls_settings_backend(ctx, g->service->backend_min_tls)) {
        COMPLAIN(g, "backend_min_tls", "look for what openssl.cnf forbids",
                 "OpenSSL refuses it: %s", tls_report_error(NULL, why, sizeof why));
        return false;
    }
    if (ciphers == NULL || use_ciphers(ctx, ciphers))
        return true;
    COMPLAIN(g, "backend_ciphers", "ask `openssl ciphers -v` for those that there are",
             "OpenSSL has none of %s", ciphers);
    ERR_clear_error();
    return false;
}

static bool copy_verify(struct tls_verify *v, const struct service *s)
{
    v->mode = s->backend_verify;
    v->pin_count = s->backend_fingerprint_count;
    v->pin = calloc(v->pin_count + 1, sizeof *v->pin);
    if (v->pin == NULL)
        return false;
    if (v->pin_count > 0)
        memcpy(v->pin, s->backend_fingerprint, v->pin_count * sizeof *v->pin);
    return true;
}

/* All but what the administrator may have got wrong. NULL: no memory. */
static struct tls_backend *make(const struct service *service)
{
    struct tls_backend *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->ctx = SSL_CTX_new(TLS_client_method());
    b->service = service;
    b->count = service->backend_count;
    b->session = calloc(b->count + 1, sizeof(SSL_SESSION *));
    if (b->ctx != NULL && b->session != NULL && copy_verify(&b->verify, service) &&
        SSL_CTX_set_ex_data(b->ctx, owned_index, b) == 1)
        return b;
    SSL_CTX_free(b->ctx);
    on_context_free(NULL, b, NULL, 0, 0, NULL);
    return NULL;
}

struct tls_backend *tls_backend_new(const struct config *config, const struct service *service,
                                    const struct config_source *source, struct diagnosis *d)
{
    struct building g = {.config = config, .service = service, .source = source, .diagnosis = d};
    struct tls_backend *b = reserve_indices() ? make(service) : NULL;
    bool ok;

    snprintf(g.section, sizeof g.section, "service %s", service->name);
    if (b == NULL) {
        diagnosis_error(d, service->origin, g.section, NULL, NULL, "no memory");
        return NULL;
    }
    tls_settings_constants(b->ctx);
    tls_verify_attach(b->ctx, &b->verify);
    SSL_CTX_set_session_cache_mode(b->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(b->ctx, on_session);
    ok = set_ciphers(&g, b->ctx);
    ok = set_trust(&g, b) && ok;
    ok = set_certificate(&g, b->ctx) && ok;
    if (ok)
        return b;
    tls_backend_free(b);
    return NULL;
}

void tls_backend_free(struct tls_backend *b)
{
    if (b == NULL)
        return;
    drop_sessions(b);
    tls_trust_put(b->trust);
    b->trust = NULL;
    b->service = NULL;
    SSL_CTX_free(b->ctx); /* and b with it, unless connections live on */
}
