/* SPDX-License-Identifier: ISC */
/* A context that a server of any age can agree with. */
#include "proxy/probe_tls.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "proxy/disk.h"
#include "proxy/probe_certificate.h"
#include "proxy/tls_report.h"
#include "proxy/tls_settings.h"
#include "proxy/tls_trust.h"

/* OpenSSL has the good ones first. Without a certificate there would be nothing to report. */
#define CIPHERS "ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"

/* No X25519MLKEM768: its long hello is what servers of old fail at. */
static char groups[] = "X25519:P-256:P-384:P-521:X448:ffdhe2048:ffdhe3072:ffdhe4096";

struct probe_tls {
    SSL_CTX *ctx;
    struct tls_trust *trust;
    const char *name;
    bool is_partial;
    SSL_SESSION *session;
    bool was_asked;
};

static const int versions[PROBE_VERSIONS] = {
    [PROBE_TLSV1] = TLS1_VERSION,
    [PROBE_TLSV1_1] = TLS1_1_VERSION,
    [PROBE_TLSV1_2] = TLS1_2_VERSION,
    [PROBE_TLSV1_3] = TLS1_3_VERSION,
};

/* ---- sessions ---- */

/* A copy, since OpenSSL spoils its own where a connection ends without close_notify (no need of TLS:
 * RFC 5246, section 7.2.1). 0: not taken. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct probe_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(t->session);
    t->session = SSL_SESSION_dup(session);
    return 0;
}

bool probe_tls_has_session(const struct probe_tls *t)
{
    return t->session != NULL && SSL_SESSION_is_resumable(t->session) == 1;
}

void probe_tls_drop_session(struct probe_tls *t)
{
    SSL_SESSION_free(t->session);
    t->session = NULL;
}

/* ---- certificates of ours ---- */

/* There is none to show; 0: go on without. */
static int on_request(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    struct probe_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    t->was_asked = true;
    return 0;
}

bool probe_tls_was_asked(const struct probe_tls *t)
{
    return t->was_asked;
}

/* ---- building ---- */

static bool read_trust(struct probe_tls *t, const char *ca, char *why, size_t size)
{
    struct disk_source disk;
    struct config_source source;
    const char *error = NULL;
    struct span pem;
    char reason[160];

    disk_source_init(&disk);
    source = disk_source(&disk);
    if (!source.read(source.context, ca == NULL ? CONFIG_SYSTEM_CA : ca, &pem, &error))
        snprintf(why, size, "%s: %s; %s", ca == NULL ? "the system's authorities" : ca, error,
                 ca == NULL ? "install ca-certificates, or name a file with --ca"
                            : "name a file of certificates (PEM) that can be read");
    else if ((t->trust = tls_trust_get(pem, reason, sizeof reason)) == NULL)
        snprintf(why, size, "%s: %s", ca == NULL ? "the system's authorities" : ca, reason);
    disk_source_clear(&disk);
    return t->trust != NULL;
}

static bool set_up(struct probe_tls *t)
{
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (t->ctx == NULL)
        return false;
    tls_settings_constants(t->ctx);
    /* openssl.cnf is for those who have something to lose; and where it leaves one version out,
     * OpenSSL would offer none above that. */
    SSL_CTX_clear_options(t->ctx, SSL_OP_NO_SSL_MASK);
    SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(t->ctx, on_session);
    SSL_CTX_set_client_cert_cb(t->ctx, on_request);
    SSL_CTX_set_app_data(t->ctx, t);
    return tls_settings_backend(t->ctx, TLS_VERSION_1_0) &&
           SSL_CTX_set_cipher_list(t->ctx, CIPHERS) == 1 &&
           SSL_CTX_set1_groups_list(t->ctx, groups) == 1;
}

struct probe_tls *probe_tls_new(const char *ca, const char *name, char *why, size_t size)
{
    struct probe_tls *t = calloc(1, sizeof *t);
    char reason[160];

    if (t == NULL) {
        snprintf(why, size, "no memory");
        return NULL;
    }
    t->name = name;
    t->is_partial = ca != NULL;
    if (!read_trust(t, ca, why, size)) {
        probe_tls_free(t);
        return NULL;
    }
    ERR_clear_error();
    if (!set_up(t)) {
        snprintf(why, size, "OpenSSL: %s", tls_report_error(NULL, reason, sizeof reason));
        probe_tls_free(t);
        return NULL;
    }
    return t;
}

void probe_tls_free(struct probe_tls *t)
{
    if (t == NULL)
        return;
    probe_tls_drop_session(t);
    SSL_CTX_free(t->ctx);
    tls_trust_put(t->trust);
    free(t);
}

/* ---- connections ---- */

static bool is_address(const char *name)
{
    struct in6_addr space;

    return inet_pton(AF_INET, name, &space) == 1 || inet_pton(AF_INET6, name, &space) == 1;
}

static bool set_version(SSL *ssl, unsigned version)
{
    return version == PROBE_VERSIONS || (SSL_set_min_proto_version(ssl, versions[version]) == 1 &&
                                         SSL_set_max_proto_version(ssl, versions[version]) == 1);
}

SSL *probe_tls_ssl(struct probe_tls *t, unsigned version, bool resumes)
{
    SSL *ssl;

    ERR_clear_error();
    t->was_asked = false;
    ssl = SSL_new(t->ctx);
    if (ssl == NULL || !set_version(ssl, version) ||
        (!is_address(t->name) && /* RFC 6066, section 3 */
         SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)t->name) != 1)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    if (resumes && probe_tls_has_session(t))
        (void)SSL_set_session(ssl, t->session);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* OpenSSL may be built without a version; it says so at the handshake alone, but has no cipher for
 * it. */
bool probe_tls_has_version(struct probe_tls *t, unsigned version)
{
    SSL *ssl = probe_tls_ssl(t, version, false);
    STACK_OF(SSL_CIPHER) *ciphers = ssl == NULL ? NULL : SSL_get1_supported_ciphers(ssl);
    bool has = ciphers != NULL;

    sk_SSL_CIPHER_free(ciphers);
    SSL_free(ssl);
    ERR_clear_error();
    return has;
}

/* ---- facts ---- */

void probe_tls_agreed(const SSL *ssl, struct probe_visit_facts *f)
{
    const char *group = tls_report_group(ssl);
    EVP_PKEY *key = NULL;

    snprintf(f->version, sizeof f->version, "%s", SSL_get_version(ssl));
    snprintf(f->cipher, sizeof f->cipher, "%s", SSL_get_cipher_name(ssl));
    f->is_resumed = SSL_session_reused(ssl) == 1;
    f->group[0] = '\0';
    if (group != NULL)
        snprintf(f->group, sizeof f->group, "%s", group);
    else if (SSL_get_peer_tmp_key((SSL *)(uintptr_t)ssl, &key) == 1 && /* SSL_ctrl knows no const */
             EVP_PKEY_get_base_id(key) == EVP_PKEY_DH)
        snprintf(f->group, sizeof f->group, "DH %d", EVP_PKEY_get_bits(key));
    EVP_PKEY_free(key);
}

void probe_tls_certificate(const struct probe_tls *t, const SSL *ssl, struct probe_certificate *c)
{
    probe_certificate_read(SSL_get_peer_cert_chain(ssl), tls_trust_store(t->trust), t->is_partial,
                           t->name, c);
}
