/* SPDX-License-Identifier: ISC */
/* Facts out of a chain of certificates. Names in it may hold what a terminal obeys: all texts are
 * printable ASCII. */
#include "proxy/probe_certificate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

/* Below are 1024 bits of RSA, and signatures over MD5 and SHA-1: what OpenSSL's level 2 refuses. */
#define STRONG_BITS 112
#define AUTH_LEVEL  2

/* ---- names ---- */

static bool is_address(const char *name)
{
    struct in6_addr space;

    return inet_pton(AF_INET, name, &space) == 1 || inet_pton(AF_INET6, name, &space) == 1;
}

static void printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void name_text(const X509_NAME *name, char text[PROBE_NAME_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_read(bio, text, PROBE_NAME_MAX - 1);
    text[n < 0 ? 0 : n] = '\0';
    printable(text);
    BIO_free(bio);
}

/* One more line; left out whole where it does not fit, since a name that is cut is another's. */
static void add_name(struct probe_certificate *c, const void *name, int len)
{
    size_t used = strlen(c->names);
    char *to = c->names + used;

    if (len <= 0 || (size_t)len + 2 > sizeof c->names - used)
        return;
    memcpy(to, name, (size_t)len);
    for (int i = 0; i < len; i++)
        if (to[i] < ' ' || to[i] > '~') /* a NUL, too: such a name is nobody's */
            to[i] = '?';
    memcpy(to + len, "\n", 2);
}

static void add_common_name(struct probe_certificate *c, const X509 *leaf)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *text;

    if (at < 0)
        return;
    text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    add_name(c, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
}

/* An address as a name: nobody finds it there (RFC 9525, section 4.1). */
static void add_dns_name(struct probe_certificate *c, const ASN1_STRING *name)
{
    char text[INET6_ADDRSTRLEN] = "", marked[sizeof text + 4];
    const int len = ASN1_STRING_length(name);

    if (len > 0 && (size_t)len < sizeof text)
        memcpy(text, ASN1_STRING_get0_data(name), (size_t)len);
    if (is_address(text)) {
        snprintf(marked, sizeof marked, "DNS:%s", text);
        add_name(c, marked, (int)strlen(marked));
    } else {
        add_name(c, ASN1_STRING_get0_data(name), len);
    }
}

/* Whom clients look for: subjectAltName, or else the common name. */
static void read_names(struct probe_certificate *c, const X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        char address[INET6_ADDRSTRLEN];
        int len = g->type == GEN_IPADD ? g->d.ip->length : 0;

        if (g->type == GEN_DNS)
            add_dns_name(c, g->d.dNSName);
        else if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, g->d.ip->data,
                                                      address, sizeof address) != NULL)
            add_name(c, address, (int)strlen(address));
    }
    GENERAL_NAMES_free(names);
    if (c->names[0] == '\0')
        add_common_name(c, leaf);
}

static bool is_for(X509 *leaf, const char *name, unsigned flags)
{
    if (is_address(name))
        return X509_check_ip_asc(leaf, name, 0) == 1;
    flags |= X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    return X509_check_host(leaf, name, 0, flags, NULL) == 1;
}

/* ---- key, dates ---- */

/* As administrators call curves, and keys that have one of their own. */
static const char *plain_name(const char *name)
{
    static const char *const known[][2] = {{"prime256v1", "P-256"},
                                           {"secp384r1", "P-384"},
                                           {"secp521r1", "P-521"},
                                           {"ED25519", "Ed25519"},
                                           {"ED448", "Ed448"}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i][0]) == 0)
            return known[i][1];
    return name;
}

static void read_key(struct probe_certificate *c, const X509 *leaf)
{
    const EVP_PKEY *key = X509_get0_pubkey(leaf);
    char group[32] = "?";

    if (key == NULL) {
        snprintf(c->key, sizeof c->key, "unknown");
        c->is_weak = true;
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        (void)EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
        snprintf(c->key, sizeof c->key, "ECDSA %s", plain_name(group));
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        snprintf(c->key, sizeof c->key, "RSA %d", EVP_PKEY_get_bits(key));
    } else {
        snprintf(c->key, sizeof c->key, "%s", plain_name(OBJ_nid2sn(EVP_PKEY_get_base_id(key))));
    }
    if (key != NULL && EVP_PKEY_get_security_bits(key) < STRONG_BITS)
        c->is_weak = true;
}

/* By which it vouches for itself proves nothing in any case. */
static void read_signature(struct probe_certificate *c, X509 *leaf)
{
    int bits = 0;

    snprintf(c->signature, sizeof c->signature, "%s", OBJ_nid2sn(X509_get_signature_nid(leaf)));
    if (X509_self_signed(leaf, 0) != 1 &&
        (X509_get_signature_info(leaf, NULL, NULL, &bits, NULL) != 1 || bits < STRONG_BITS))
        c->is_weak = true;
}

static bool read_date(time_t *to, const ASN1_TIME *when)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) != 1)
        return false;
    *to = timegm(&tm);
    return true;
}

/* RFC 6698, section 2.1: SubjectPublicKeyInfo, whole. */
static void read_digest(struct probe_certificate *c, const X509 *leaf)
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);

    if (len <= 0 || EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, c->spki_sha256, NULL) != 1)
        memset(c->spki_sha256, 0, sizeof c->spki_sha256);
    OPENSSL_free(der);
}

/* ---- the chain ---- */

static void read_chain(struct probe_certificate *c, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *x = sk_X509_value(chain, i);

        if (c->chain_count < PROBE_CHAIN_MAX)
            name_text(X509_get_subject_name(x), c->chain[c->chain_count++]);
        if (i > 0 && X509_NAME_cmp(X509_get_issuer_name(sk_X509_value(chain, i - 1)),
                                   X509_get_subject_name(x)) != 0)
            c->is_disordered = true;
    }
}

/* What verification found, the first of each sort; it goes on to the end. */
struct verdict_of_chain {
    int error, date_error;
    int depth;      /* of `error`: 0 is the leaf */
    const X509 *at; /* likewise */
};

/* Of the leaf itself is told apart (is_weak). */
static bool is_weakness_of_leaf(int error, int depth)
{
    return depth == 0 &&
           (error == X509_V_ERR_EE_KEY_TOO_SMALL || error == X509_V_ERR_CA_MD_TOO_WEAK);
}

static int on_verified(int ok, X509_STORE_CTX *store)
{
    struct verdict_of_chain *v = X509_STORE_CTX_get_app_data(store);
    const int error = X509_STORE_CTX_get_error(store);
    const int depth = X509_STORE_CTX_get_error_depth(store);

    X509_STORE_CTX_set_error(store, X509_V_OK); /* or it is what the next one is told as */
    if (ok == 1 || is_weakness_of_leaf(error, depth))
        return 1;
    if (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID) {
        if (v->date_error == X509_V_OK)
            v->date_error = error;
    } else if (v->error == X509_V_OK) {
        v->error = error;
        v->depth = depth;
        v->at = X509_STORE_CTX_get_current_cert(store);
    }
    return 1;
}

static void tell_missing(struct probe_certificate *c, const X509_NAME *name)
{
    if (name != NULL)
        name_text(name, c->missing);
}

/* Authorities themselves are hardly ever sent. So where nobody vouches for the leaf, most likely what
 * stands between is missing; and with something in between it is the authority that nobody knows. */
static void classify(struct probe_certificate *c, const struct verdict_of_chain *v)
{
    switch (v->error) {
    case X509_V_OK: c->trust = v->date_error == X509_V_OK ? PROBE_TRUSTED : PROBE_EXPIRED; break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: c->trust = PROBE_SELF_SIGNED; break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        c->trust = PROBE_ISSUER_UNKNOWN;
        tell_missing(c, v->at == NULL ? NULL : X509_get_subject_name(v->at));
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        c->trust = v->depth == 0 ? PROBE_ISSUER_MISSING : PROBE_ISSUER_UNKNOWN;
        tell_missing(c, v->at == NULL ? NULL : X509_get_issuer_name(v->at));
        break;
    default: c->trust = PROBE_DISTRUSTED; break;
    }
    if (c->trust != PROBE_TRUSTED)
        snprintf(c->why, sizeof c->why, "%s",
                 X509_verify_cert_error_string(v->error == X509_V_OK ? v->date_error : v->error));
}

static void verify(struct probe_certificate *c, STACK_OF(X509) * chain, X509_STORE *trusted,
                   bool is_partial)
{
    struct verdict_of_chain v = {.error = X509_V_OK, .date_error = X509_V_OK};
    X509_STORE_CTX *store = X509_STORE_CTX_new();

    if (store == NULL || X509_STORE_CTX_init(store, trusted, sk_X509_value(chain, 0), chain) != 1) {
        v.error = X509_V_ERR_OUT_OF_MEM;
    } else {
        (void)X509_STORE_CTX_set_default(store, "ssl_server");
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store), AUTH_LEVEL);
        if (is_partial)
            X509_STORE_CTX_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        X509_STORE_CTX_set_app_data(store, &v);
        X509_STORE_CTX_set_verify_cb(store, on_verified);
        if (X509_verify_cert(store) <= 0 && v.error == X509_V_OK && v.date_error == X509_V_OK)
            v.error = X509_STORE_CTX_get_error(store);
    }
    classify(c, &v);
    X509_STORE_CTX_free(store);
}

void probe_certificate_read(STACK_OF(X509) * chain, X509_STORE *trusted, bool is_partial,
                            const char *name, struct probe_certificate *c)
{
    X509 *leaf = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;

    *c = (struct probe_certificate){.is_shown = leaf != NULL};
    if (leaf == NULL)
        return;
    ERR_clear_error();
    name_text(X509_get_subject_name(leaf), c->subject);
    name_text(X509_get_issuer_name(leaf), c->issuer);
    read_names(c, leaf);
    read_key(c, leaf);
    read_signature(c, leaf);
    c->is_dated = read_date(&c->not_before, X509_get0_notBefore(leaf)) &&
                  read_date(&c->not_after, X509_get0_notAfter(leaf));
    c->is_for_name = is_for(leaf, name, 0);
    c->is_by_common_name =
        c->is_for_name && !is_for(leaf, name, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    read_chain(c, chain);
    verify(c, chain, trusted, is_partial);
    read_digest(c, leaf);
    ERR_clear_error();
}
