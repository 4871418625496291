/* SPDX-License-Identifier: ISC */
/* The verification of backends in its four forms, and what failed in words. */
#include "proxy/tls_verify.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "proxy/tls_report.h"

/* ---- words ---- */

struct text {
    char space[160]; /* as much as a log line shows */
    size_t len;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
    size_t left = sizeof t->space - t->len;
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(t->space + t->len, left, format, list);
    va_end(list);
    if (n > 0)
        t->len += (size_t)n < left ? (size_t)n : left - 1;
}

/* A name out of a certificate: whoever made that may have put in what a terminal obeys. */
static void add_name(struct text *t, const ASN1_STRING *name)
{
    const unsigned char *octets = ASN1_STRING_get0_data(name);

    for (int i = 0; i < ASN1_STRING_length(name); i++)
        add(t, "%c", octets[i] > ' ' && octets[i] <= '~' ? octets[i] : '?');
}

static void add_subject(struct text *t, const X509_NAME *name)
{
    char space[96];

    add(t, "%s", X509_NAME_oneline(name, space, sizeof space) == NULL ? "?" : space);
}

static void add_date(struct text *t, const ASN1_TIME *when)
{
    char date[32];
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) == 1 && strftime(date, sizeof date, "%Y-%m-%d", &tm) > 0)
        add(t, " %s", date);
}

/* Of the whole certificate, or of its SubjectPublicKeyInfo (X509_pubkey_digest leaves out what kind
 * of key it is, and no other tool does). */
static bool digest_of(const X509 *x, bool is_key, unsigned char digest[static 32])
{
    unsigned char *der = NULL;
    int len;
    bool ok;

    if (!is_key)
        return X509_digest(x, EVP_sha256(), digest, NULL) == 1;
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    ok = len > 0 && EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, digest, NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

/* As backend_fingerprint takes it. */
static void add_fingerprint(struct text *t, const X509 *leaf, bool is_key)
{
    unsigned char digest[32];

    if (!digest_of(leaf, is_key, digest))
        return;
    add(t, "%s-sha256:", is_key ? "key" : "cert");
    for (size_t i = 0; i < sizeof digest; i++)
        add(t, "%02x", digest[i]);
}

/* An address in its own length: 4 octets or 16 (RFC 5280, section 4.2.1.6). */
static bool is_ip(const GENERAL_NAME *g)
{
    return g->type == GEN_IPADD && (g->d.ip->length == 4 || g->d.ip->length == 16);
}

/* Every name that a client may look for: subjectAltName, or else the common name. */
static void add_names(struct text *t, const X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    const char *comma = "";

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        char address[INET6_ADDRSTRLEN];

        if (g->type == GEN_DNS) {
            add(t, "%s", comma);
            add_name(t, g->d.dNSName);
        } else if (is_ip(g) && inet_ntop(g->d.ip->length == 4 ? AF_INET : AF_INET6, g->d.ip->data,
                                         address, sizeof address) != NULL) {
            add(t, "%s%s", comma, address);
        } else {
            continue;
        }
        comma = ", ";
    }
    GENERAL_NAMES_free(names);
    if (*comma == '\0')
        add_subject(t, X509_get_subject_name(leaf));
}

static void add_certificate(struct text *t, X509_STORE_CTX *store)
{
    if (X509_STORE_CTX_get_error_depth(store) == 0) {
        add(t, "its certificate");
    } else {
        add(t, "the certificate of its authority ");
        add_subject(t, X509_get_subject_name(X509_STORE_CTX_get_current_cert(store)));
    }
}

static void add_wrong_name(struct text *t, X509_STORE_CTX *store)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    const char *name = X509_VERIFY_PARAM_get0_host(param, 0);
    char *address = name == NULL ? X509_VERIFY_PARAM_get1_ip_asc(param) : NULL;

    add(t, "its certificate is not for %s, but for ", name == NULL ? address : name);
    add_names(t, X509_STORE_CTX_get0_cert(store));
    OPENSSL_free(address);
}

/* What X509_verify_cert found. */
static void explain(struct text *t, X509_STORE_CTX *store)
{
    const X509 *x = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);

    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        add_certificate(t, store);
        add(t, " has expired");
        add_date(t, X509_get0_notAfter(x));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        add_certificate(t, store);
        add(t, " is not valid before");
        add_date(t, X509_get0_notBefore(x));
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: add_wrong_name(t, store); break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        add(t, "its certificate is self-signed; its fingerprint is ");
        add_fingerprint(t, x, false);
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        add(t, "its authority is not trusted: ");
        add_subject(t, X509_get_subject_name(x));
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        add(t, "its chain leads to no trusted authority, it ends before ");
        add_subject(t, X509_get_issuer_name(x));
        break;
    case X509_V_ERR_EE_KEY_TOO_SMALL: add(t, "its key is too small"); break;
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        add(t, "the key of an authority in its chain is too small");
        break;
    case X509_V_ERR_CA_MD_TOO_WEAK: add(t, "it is signed over a weak digest"); break;
    default: add(t, "%s", X509_verify_cert_error_string(error)); break;
    }
}

/* ---- verdicts ---- */

/* The pin is the trust: neither chain nor date nor name count (RFC 7671, section 5.1 says so of
 * DANE-EE). */
static bool is_pinned(const struct tls_verify *v, const X509 *leaf)
{
    unsigned char digest[2][32]; /* by is_key */

    if (!digest_of(leaf, false, digest[false]) || !digest_of(leaf, true, digest[true]))
        return false;
    for (size_t i = 0; i < v->pin_count; i++)
        if (memcmp(digest[v->pin[i].is_key], v->pin[i].sha256, sizeof digest[0]) == 0)
            return true;
    return false;
}

static int refuse(const struct text *t)
{
    tls_report_raise(t->space);
    return 0;
}

static int verify_chain(X509_STORE_CTX *store)
{
    struct text t = {.len = 0};
    int result;

    ERR_set_mark();
    result = X509_verify_cert(store);
    if (result <= 0)
        explain(&t, store);
    ERR_pop_to_mark(); /* our words say more */
    return result > 0 ? 1 : refuse(&t);
}

static int verify_pin(const struct tls_verify *v, X509_STORE_CTX *store)
{
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);
    struct text t = {.len = 0};

    if (is_pinned(v, leaf)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    add(&t, "its fingerprint is ");
    add_fingerprint(&t, leaf, v->pin_count > 0 && v->pin[0].is_key);
    return refuse(&t);
}

static int on_certificate(X509_STORE_CTX *store, void *context)
{
    const struct tls_verify *v = context;

    switch (v->mode) {
    case BACKEND_VERIFY_FULL:
    case BACKEND_VERIFY_CHAIN: return verify_chain(store);
    case BACKEND_VERIFY_FINGERPRINT: return verify_pin(v, store);
    case BACKEND_VERIFY_NONE: break;
    }
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

void tls_verify_attach(SSL_CTX *ctx, struct tls_verify *v)
{
    SSL_CTX_set_cert_verify_callback(ctx, on_certificate, v);
    SSL_CTX_set_verify(ctx, v->mode == BACKEND_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       NULL);
}

static bool is_address(const char *name)
{
    struct in6_addr space;

    return inet_pton(AF_INET, name, &space) == 1 || inet_pton(AF_INET6, name, &space) == 1;
}

bool tls_verify_name(SSL *ssl, const struct tls_verify *v, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const bool is_checked = v->mode == BACKEND_VERIFY_FULL;

    if (is_address(name))
        return !is_checked || X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)name) == 1 && /* a macro's cast */
           (!is_checked || X509_VERIFY_PARAM_set1_host(param, name, 0) == 1);
}
