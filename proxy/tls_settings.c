/* SPDX-License-Identifier: ISC */
/* The one place that knows which ciphers are good, and what must never be negotiated. */
#include "proxy/tls_settings.h"

#include <assert.h>

/* Mozilla's "intermediate" without finite-field DH: every cipher is AEAD and keeps forward secrecy.
 */
#define CIPHERS_INTERMEDIATE                                                                       \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_NEVER ":!aNULL:!eNULL:!aDSS:!PSK:!SRP:!AESCCM:!AESCCM8"
/* For printers and scanners, best first. What a build of OpenSSL lacks (3DES, RC4) is not missed.
 */
#define CIPHERS_OLD                                                                                \
    CIPHERS_INTERMEDIATE ":DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:kRSA+AES" CIPHERS_NEVER
/* A server of ten years ago speaks TLS 1.2 with CBC alone (Windows Server 2012). It picks the best
 * that it has from what we offer, so the worst costs nobody else anything; all keep forward
 * secrecy. */
#define CIPHERS_BACKEND CIPHERS_INTERMEDIATE ":DHE+AESGCM:DHE+CHACHA20:ECDHE+AES" CIPHERS_NEVER
#define CIPHERSUITES    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* X25519MLKEM768, which newer versions of OpenSSL put first, makes a hello that needs two segments,
 * and servers of old read only what the first one brought. */
static char groups_old[] = "X25519:P-256:P-384:P-521"; /* OpenSSL's macro takes no const */

/* Server preference and security levels as Mozilla advises: where every cipher is good, the client
 * knows best which one its hardware likes; with old ones about, the best must win. Below TLS 1.2
 * signatures are made over MD5 and SHA-1, which OpenSSL 3 allows at level 0 alone. */
static const struct profile {
    int floor;
    const char *ciphers;
    int security_level;
    bool server_prefers;
} profiles[] = {
    [TLS_PROFILE_INTERMEDIATE] = {TLS1_2_VERSION, CIPHERS_INTERMEDIATE, 2, false},
    [TLS_PROFILE_MODERN] = {TLS1_3_VERSION, CIPHERS_INTERMEDIATE, 2, false},
    [TLS_PROFILE_OLD] = {TLS1_VERSION, CIPHERS_OLD, 0, true},
};

static const int versions[] = {
    [TLS_VERSION_PROFILE] = 0,          [TLS_VERSION_1_0] = TLS1_VERSION,
    [TLS_VERSION_1_1] = TLS1_1_VERSION, [TLS_VERSION_1_2] = TLS1_2_VERSION,
    [TLS_VERSION_1_3] = TLS1_3_VERSION,
};

/* openssl.cnf may not weaken what the rest relies on: truncation must be seen, and our BIO must see
 * every record. */
void tls_settings_constants(SSL_CTX *ctx)
{
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS |
                                   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                   SSL_OP_LEGACY_SERVER_CONNECT |
                                   SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 0);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
}

static bool set(SSL_CTX *ctx, int min, int max, const char *ciphers, int security_level)
{
    SSL_CTX_set_security_level(ctx, security_level);
    return SSL_CTX_set_min_proto_version(ctx, min) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, max) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, CIPHERSUITES) == 1;
}

bool tls_settings_front(SSL_CTX *ctx, enum tls_profile profile, enum tls_version min_version,
                        enum tls_version max_version)
{
    const struct profile *p = &profiles[profile];
    int min = min_version == TLS_VERSION_PROFILE ? p->floor : versions[min_version];
    int max = versions[max_version];

    assert(max == 0 || max >= min); /* config/validate.c */
    if (min < p->floor)
        p = &profiles[TLS_PROFILE_OLD];
    if (p->server_prefers)
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return set(ctx, min, max, p->ciphers, p->security_level) && SSL_CTX_set_dh_auto(ctx, 1) == 1;
}

/* OpenSSL would calculate with a group of 10000 bits for most of a second, while all other sessions
 * wait; and anybody who answers in the backend's place may name one. */
#define DH_BITS_MAX 4096

static int (*judge_strength)(const SSL *, const SSL_CTX *, int, int, int, void *, void *);

static int on_strength(const SSL *ssl, const SSL_CTX *ctx, int operation, int bits, int nid,
                       void *other, void *ex)
{
    if (operation == SSL_SECOP_TMP_DH && other != NULL && EVP_PKEY_get_bits(other) > DH_BITS_MAX)
        return 0;
    return judge_strength(ssl, ctx, operation, bits, nid, other, ex);
}

bool tls_settings_backend(SSL_CTX *ctx, enum tls_version min)
{
    judge_strength = SSL_CTX_get_security_callback(ctx);
    SSL_CTX_set_security_callback(ctx, on_strength);
    if (versions[min] >= TLS1_2_VERSION)
        return set(ctx, versions[min], 0, CIPHERS_BACKEND, 2);
    /* A server that has never heard of RFC 5746. What that guards against needs a renegotiation,
     * and we have none. */
    SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
    return set(ctx, versions[min], 0, CIPHERS_OLD, 0) &&
           SSL_CTX_set1_groups_list(ctx, groups_old) == 1;
}
