/* SPDX-License-Identifier: ISC */
/* For tests of TLS: keys and certificates made at run time, files that exist in memory alone, and a
 * client that shakes hands over memory. */
#ifndef STARTTLSD_TESTS_TLS_PEER_H
#define STARTTLSD_TESTS_TLS_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proxy/tls_context.h"
#include "proxy/tls_report.h"

/* ---- files ---- */

#define PEER_FILES 48

static struct {
    char *path, *text;
} peer_files[PEER_FILES];

/* text is taken. A path that is there gets the new text. */
static inline void peer_file(const char *path, char *text)
{
    size_t i = 0;

    while (peer_files[i].path != NULL && strcmp(peer_files[i].path, path) != 0)
        assert_true(++i < PEER_FILES);
    free(peer_files[i].text);
    if (peer_files[i].path == NULL)
        peer_files[i].path = strdup(path);
    peer_files[i].text = text;
}

static inline void peer_files_clear(void)
{
    for (size_t i = 0; i < PEER_FILES; i++) {
        free(peer_files[i].path);
        free(peer_files[i].text);
        peer_files[i].path = peer_files[i].text = NULL;
    }
}

static inline bool peer_read(void *context, const char *path, struct span *text, const char **error)
{
    for (size_t i = 0; i < PEER_FILES && peer_files[i].path != NULL; i++) {
        if (strcmp(peer_files[i].path, path) != 0)
            continue;
        *text = span_of(peer_files[i].text);
        return true;
    }
    *error = "no such file";
    return false;
}

static const struct config_source peer_source = {peer_read, NULL};

/* ---- keys and certificates ---- */

static inline EVP_PKEY *peer_key(const char *type)
{
    static EVP_PKEY *rsa; /* slow to make, so it is made once */

    if (strcmp(type, "RSA") != 0)
        return strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, "P-256")
                                       : EVP_PKEY_Q_keygen(NULL, NULL, type);
    if (rsa == NULL)
        rsa = EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)2048);
    assert_int_equal(EVP_PKEY_up_ref(rsa), 1);
    return rsa;
}

static inline char *peer_text(BIO *bio)
{
    char *data, *text;
    long len = BIO_get_mem_data(bio, &data);

    text = strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

/* san: as in openssl.cnf, or NULL. days: from and to, counted from now. issuer_cn, issuer NULL:
 * self-signed. */
static inline X509 *peer_x509(EVP_PKEY *key, const char *cn, const char *san, int from, int to,
                              const char *issuer_cn, EVP_PKEY *issuer)
{
    static long serial;
    X509 *x = X509_new();
    X509_NAME *name = X509_NAME_new();

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), from * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(x), to * 86400L);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_subject_name(x, name);
    X509_NAME_free(name);
    name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               (const unsigned char *)(issuer_cn == NULL ? cn : issuer_cn), -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_NAME_free(name);
    X509_set_pubkey(x, key);
    if (san != NULL) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);

        assert_non_null(e);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    if (issuer == NULL)
        issuer = key;
    assert_true(X509_sign(x, issuer,
                          EVP_PKEY_get_base_id(issuer) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) >
                0);
    return x;
}

static inline char *peer_x509_pem(X509 *x)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(bio, x);
    X509_free(x);
    return peer_text(bio);
}

static inline char *peer_key_pem(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(),
                                  passphrase, passphrase == NULL ? 0 : (int)strlen(passphrase),
                                  NULL, NULL);
    return peer_text(bio);
}

static inline char *peer_join(char *a, char *b)
{
    char *both;

    assert_true(asprintf(&both, "%s%s", a, b) > 0);
    free(a);
    free(b);
    return both;
}

/* One file with a self-signed certificate and its key. */
static inline void peer_pair(const char *path, const char *type, const char *cn, const char *san)
{
    EVP_PKEY *key = peer_key(type);

    peer_file(path, peer_join(peer_x509_pem(peer_x509(key, cn, san, -1, 30, NULL, NULL)),
                              peer_key_pem(key, NULL)));
    EVP_PKEY_free(key);
}

/* ---- handshakes ---- */

struct peer_wish {
    int min, max;
    const char *ciphers, *sigalgs, *groups, *sni;
    const char *alpn; /* one name */
    const char *alpn2;
    bool verifies;        /* and knows no authority */
    SSL_SESSION *session; /* borrowed */
};

struct peer_outcome {
    bool ok, is_resumed, has_ticket;
    int version, alert; /* alert: what the client got, or 0 */
    char cipher[64], cn[64], alpn[32];
    char error[160];      /* the server's */
    char log[512];        /* tls_report_session's fields */
    SSL_SESSION *session; /* the latest one; the caller's */
};

static SSL_SESSION *peer_session; /* the last that the server gave */
static int peer_alert;

static inline int peer_on_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_free(peer_session);
    peer_session = session;
    return 1;
}

static inline void peer_on_info(const SSL *ssl, int where, int value)
{
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
        peer_alert = value & 255;
}

/* For OpenSSL's macros, which cast const away in ways that clang warns of. */
static inline char *peer_macro(const char *text)
{
    return (char *)(uintptr_t)text;
}

static inline SSL_CTX *peer_context(const struct peer_wish *wish)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, wish->min == 0 ? TLS1_VERSION : wish->min);
    SSL_CTX_set_max_proto_version(ctx, wish->max);
    if (wish->ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, wish->ciphers), 1);
    if (wish->sigalgs != NULL)
        assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, peer_macro(wish->sigalgs)), 1);
    if (wish->groups != NULL)
        assert_int_equal(SSL_CTX_set1_groups_list(ctx, peer_macro(wish->groups)), 1);
    if (wish->verifies)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, peer_on_session);
    SSL_CTX_set_info_callback(ctx, peer_on_info);
    return ctx;
}

static inline void peer_offer_alpn(SSL *ssl, const struct peer_wish *wish)
{
    unsigned char wire[64];
    unsigned int len = 0;

    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? wish->alpn : wish->alpn2;

        if (name == NULL)
            continue;
        wire[len++] = (unsigned char)strlen(name);
        memcpy(wire + len, name, strlen(name));
        len += (unsigned int)strlen(name);
    }
    if (len > 0)
        assert_int_equal(SSL_set_alpn_protos(ssl, wire, len), 0);
}

static inline void peer_note(struct peer_outcome *o, SSL *client, SSL *server)
{
    const unsigned char *alpn;
    unsigned int len;
    X509 *x = SSL_get1_peer_certificate(client);

    o->is_resumed = SSL_session_reused(client) == 1;
    assert_int_equal(SSL_session_reused(server), o->is_resumed);
    o->version = SSL_version(client);
    snprintf(o->cipher, sizeof o->cipher, "%s", SSL_get_cipher_name(client));
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, o->cn, sizeof o->cn);
    X509_free(x);
    SSL_get0_alpn_selected(client, &alpn, &len);
    snprintf(o->alpn, sizeof o->alpn, "%.*s", (int)len, alpn == NULL ? "" : (const char *)alpn);
    /* up to TLS 1.2 no callback tells of a ticket that comes with a resumption */
    o->session = peer_session == NULL ? SSL_get1_session(client) : peer_session;
    peer_session = NULL;
    o->has_ticket = o->session != NULL && SSL_SESSION_has_ticket(o->session) == 1;
}

/* One handshake with `ctx`, and what came of it. */
static inline struct peer_outcome peer_shake(SSL_CTX *ctx, const struct peer_wish *wish)
{
    struct peer_outcome o = {.ok = false};
    SSL_CTX *client_ctx = peer_context(wish);
    SSL *client = SSL_new(client_ctx), *server = SSL_new(ctx);
    BIO *near, *far;
    struct log_line line;
    char octet;

    assert_true(BIO_new_bio_pair(&near, 65536, &far, 65536));
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    if (wish->sni != NULL)
        SSL_set_tlsext_host_name(client, peer_macro(wish->sni));
    if (wish->session != NULL)
        SSL_set_session(client, wish->session);
    peer_offer_alpn(client, wish);
    peer_alert = 0;
    for (int i = 0; i < 6; i++) {
        ERR_clear_error();
        SSL_connect(client);
        ERR_clear_error();
        if (SSL_accept(server) <= 0 && ERR_peek_error() != 0)
            tls_report_error(NULL, o.error, sizeof o.error);
    }
    SSL_read(client, &octet, 1); /* tickets, alerts */
    ERR_clear_error();
    o.ok = SSL_is_init_finished(client) && SSL_is_init_finished(server) && peer_alert == 0;
    o.alert = peer_alert;
    log_begin(&line, LEVEL_INFO, "test.shake");
    tls_report_session(server, &line);
    snprintf(o.log, sizeof o.log, "%.*s", (int)line.len, line.text);
    if (o.ok) {
        peer_note(&o, client, server);
        SSL_shutdown(client); /* a session that ends in an error is not resumed */
        SSL_shutdown(server);
    }
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
    return o;
}

/* The same where only success counts. */
static inline bool peer_can(SSL_CTX *ctx, const struct peer_wish *wish)
{
    struct peer_outcome o = peer_shake(ctx, wish);

    SSL_SESSION_free(o.session);
    return o.ok;
}

/* ---- services ---- */

/* A service named `name` with these certificates (paths; chain and key in one file). */
#define PEER_CERTIFICATES 6
struct peer_service {
    struct service service;
    struct certificate certificate[PEER_CERTIFICATES];
};

static const char *const peer_alpn[] = {"smtp", "esmtp", NULL};
static const struct protocol peer_protocol = {.name = "smtp", .alpn = peer_alpn};

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void peer_service(struct peer_service *s, const char *name, const char *const *paths)
{
    *s = (struct peer_service){.service = {.name = name, .protocol = &peer_protocol}};
    s->service.origin = (struct origin){"test.ini", 1};
    s->service.certificate = s->certificate;
    for (size_t i = 0; paths[i] != NULL; i++) {
        assert_true(i < PEER_CERTIFICATES);
        s->certificate[i] =
            (struct certificate){paths[i], paths[i], NULL, {"test.ini", (int)i + 2}};
        s->service.certificate_count++;
    }
}

/* The context, which must be good; warnings are let go. */
static inline SSL_CTX *peer_build(const struct peer_service *s, struct tls_tickets *tickets,
                                  uint32_t lifetime_s)
{
    static const struct config config = {.workers = 1};
    struct diagnosis *d = diagnosis_new();
    SSL_CTX *ctx = tls_context_new(&config, &s->service, &peer_source, tickets, lifetime_s, d);

    if (ctx == NULL)
        diagnosis_print(d, stderr);
    assert_non_null(ctx);
    assert_int_equal(diagnosis_errors(d), 0);
    diagnosis_free(d);
    return ctx;
}

/* All complaints, one a line; for the caller to free. *ctx: NULL if it was refused. */
static inline char *peer_complaints(const struct peer_service *s, SSL_CTX **ctx)
{
    static const struct config config = {.workers = 1};
    struct diagnosis *d = diagnosis_new();
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    *ctx = tls_context_new(&config, &s->service, &peer_source, NULL, 0, d);
    diagnosis_print(d, f);
    fclose(f);
    assert_true((*ctx == NULL) == (diagnosis_errors(d) > 0));
    diagnosis_free(d);
    return text;
}

#endif
