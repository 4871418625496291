/* SPDX-License-Identifier: ISC */
/* A service's policy as SSL_CTX: one a set of names, alike in all but their certificates, so that a
 * session may change from the first to another by server name and nothing else changes. */
#include "proxy/tls_context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "proxy/tls_certificate.h"
#include "proxy/tls_names.h"
#include "proxy/tls_report.h"
#include "proxy/tls_settings.h"

/* Everything behind a service's first context. Hangs on it and dies with it. */
struct front {
    const struct protocol *protocol;
    struct tls_names *names;
    SSL_CTX **context; /* the first owns us, we own the others */
    size_t count;
};

/* One build under way. */
struct building {
    const struct service *service;
    const struct config *config;
    const struct config_source *source;
    struct tls_tickets *tickets;
    uint32_t ticket_lifetime_s;
    struct diagnosis *diagnosis;
    char section[64];
    struct front *front;
};

static int front_index = -1; /* of a context's ex_data */

static void front_free(struct front *f)
{
    if (f == NULL)
        return;
    for (size_t i = 1; i < f->count; i++)
        SSL_CTX_free(f->context[i]);
    free(f->context);
    tls_names_free(f->names);
    free(f);
}

static void on_context_free(void *parent, void *front, CRYPTO_EX_DATA *ad, int index, long argl,
                            void *argp)
{
    front_free(front);
}

/* One of our names that the client offers too (RFC 7301, section 3.2). A client that means another
 * protocol is at the wrong door, or was led here (ALPACA): the handshake ends. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *offer, unsigned int offer_len, void *context)
{
    const struct front *f = context;
    struct span offered = {(const char *)offer, offer_len};

    for (const char *const *ours = f->protocol->alpn; ours != NULL && *ours != NULL; ours++) {
        size_t len = strlen(*ours);

        for (struct span s = offered; s.len > 0;
             s = span_skip(s, 1 + (size_t)(unsigned char)*s.data)) {
            if ((unsigned char)*s.data != len || s.len <= len ||
                memcmp(s.data + 1, *ours, len) != 0)
                continue;
            *out = (const unsigned char *)s.data + 1;
            *out_len = (unsigned char)len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Lenient: a client that asks for a name we don't have gets the first certificate, and judges it
 * itself. */
static int on_server_name(SSL *ssl, int *alert, void *context)
{
    const struct front *f = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *ctx = name == NULL ? NULL : tls_names_find(f->names, span_of(name));

    if (ctx == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (ctx != SSL_get_SSL_CTX(ssl) && SSL_set_SSL_CTX(ssl, ctx) == NULL)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

/* A ticket of one service opens no other: they share keys, but not this (RFC 5077, section 5.5 asks
 * for as much). Fields are parted by NUL, which none can hold. */
static bool set_session_id_context(SSL_CTX *ctx, const struct service *service)
{
    static const char client_certificate[] = "none", client_ca[] = "";
    unsigned char digest[SSL_MAX_SID_CTX_LENGTH];
    unsigned int len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, service->name, strlen(service->name) + 1) == 1 &&
              EVP_DigestUpdate(md, client_certificate, sizeof client_certificate) == 1 &&
              EVP_DigestUpdate(md, client_ca, sizeof client_ca) == 1 &&
              EVP_DigestFinal_ex(md, digest, &len) == 1 &&
              SSL_CTX_set_session_id_context(ctx, digest, len) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

static bool set_tickets(const struct building *b, SSL_CTX *ctx)
{
    if (b->tickets != NULL && b->ticket_lifetime_s > 0)
        return tls_tickets_attach(b->tickets, ctx, b->ticket_lifetime_s);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

/* A context without certificate, at the end of the front's list. NULL: the diagnosis says why. */
static SSL_CTX *add_context(struct building *b)
{
    const struct service *s = b->service;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char why[160];

    if (ctx == NULL)
        goto fail;
    tls_settings_constants(ctx);
    if (!tls_settings_front(ctx, s->tls_profile, s->min_tls, s->max_tls) || !set_tickets(b, ctx) ||
        !set_session_id_context(ctx, s))
        goto fail;
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, b->front);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, b->front);
    b->front->context[b->front->count++] = ctx;
    return ctx;
fail:
    diagnosis_error(b->diagnosis, config_origin(b->config, s, "tls_profile"), b->section,
                    "tls_profile", "look for what openssl.cnf forbids", "OpenSSL refuses it: %s",
                    tls_report_error(NULL, why, sizeof why));
    SSL_CTX_free(ctx);
    return NULL;
}

static bool has_key_type(SSL_CTX *ctx, int type)
{
    long more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST);

    for (; more == 1; more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT))
        if (EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ctx)) == type)
            return true;
    return false;
}

/* The first context while it is empty, or an earlier one for the same names that lacks this type of
 * key: RSA and ECDSA serve side by side. */
static SSL_CTX *context_for(struct building *b, const struct tls_certificate *c)
{
    for (size_t i = 0; i < b->front->count; i++) {
        SSL_CTX *ctx = b->front->context[i];
        const X509 *leaf = SSL_CTX_get0_certificate(ctx);

        if (leaf == NULL)
            return ctx;
        if (!has_key_type(ctx, EVP_PKEY_get_base_id(c->key)) && tls_names_same(c->leaf, leaf))
            return ctx;
    }
    return add_context(b);
}

static bool place(struct building *b, const struct certificate *where,
                  const struct tls_certificate *c)
{
    SSL_CTX *ctx = context_for(b, c);
    const char *taken;
    char why[160];

    if (ctx == NULL)
        return false;
    if (SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) != 1) {
        diagnosis_error(
            b->diagnosis, where->origin, b->section, "certificate",
            "take a stronger key, or `tls_profile = old` where nothing else is possible",
            "%s can't be used with this tls_profile: %s", where->chain,
            tls_report_error(NULL, why, sizeof why));
        return false;
    }
    if (!tls_names_add(b->front->names, c->leaf, ctx, &taken)) {
        diagnosis_error(b->diagnosis, where->origin, b->section, "certificate", NULL, "no memory");
        return false;
    }
    if (taken != NULL)
        diagnosis_warning(
            b->diagnosis, where->origin, b->section, "certificate",
            "leave one out, or let both carry the same names and different types of key",
            "%s is not used for %s, which an earlier certificate carries", where->chain, taken);
    return true;
}

static bool add_certificates(struct building *b)
{
    const struct service *s = b->service;
    bool ok = s->certificate_count > 0;

    if (!ok)
        diagnosis_error(b->diagnosis, s->origin, b->section, "certificate",
                        "name a certificate, or write `tls = none`", "TLS needs a certificate");
    for (size_t i = 0; i < s->certificate_count; i++) {
        struct tls_certificate c = {NULL};

        if (!tls_certificate_read(&c, &s->certificate[i], "certificate", b->source, b->section,
                                  b->diagnosis)) {
            ok = false;
            continue;
        }
        ok = place(b, &s->certificate[i], &c) && ok;
        tls_certificate_clear(&c);
    }
    return ok;
}

static struct front *front_new(const struct service *service)
{
    struct front *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->protocol = service->protocol;
    f->names = tls_names_new();
    f->context = calloc(service->certificate_count + 1, sizeof *f->context);
    if (f->names == NULL || f->context == NULL) {
        front_free(f);
        return NULL;
    }
    return f;
}

/* Refused or not, what has been built hangs on the first context from here on. */
static SSL_CTX *front_context(struct building *b)
{
    SSL_CTX *first = add_context(b);

    if (first == NULL || front_index < 0 ||
        SSL_CTX_set_ex_data(first, front_index, b->front) != 1) {
        SSL_CTX_free(first);
        front_free(b->front);
        return NULL;
    }
    return first;
}

SSL_CTX *tls_context_new(const struct config *config, const struct service *service,
                         const struct config_source *source, struct tls_tickets *tickets,
                         uint32_t ticket_lifetime_s, struct diagnosis *d)
{
    struct building b = {
        .service = service,
        .config = config,
        .source = source,
        .tickets = tickets,
        .ticket_lifetime_s = ticket_lifetime_s,
        .diagnosis = d,
        .front = front_new(service),
    };
    SSL_CTX *first;

    if (front_index < 0)
        front_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
    snprintf(b.section, sizeof b.section, "service %s", service->name);
    if (b.front == NULL) {
        diagnosis_error(d, service->origin, b.section, NULL, NULL, "no memory");
        return NULL;
    }
    first = front_context(&b);
    if (first == NULL || add_certificates(&b))
        return first;
    SSL_CTX_free(first);
    return NULL;
}

SSL *tls_context_ssl(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);

    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}

void tls_context_free(SSL_CTX *ctx)
{
    SSL_CTX_free(ctx);
}
