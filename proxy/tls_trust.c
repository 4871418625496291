/* SPDX-License-Identifier: ISC */
/* Stores of authorities by the digest of their text, as long as somebody holds them. */
#include "proxy/tls_trust.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "proxy/tls_report.h"

struct tls_trust {
    struct tls_trust *next;
    uint32_t references;
    unsigned char digest[32]; /* SHA-256 */
    X509_STORE *store;
};

static struct tls_trust *all; /* of this process, which has one thread */

static struct tls_trust *find(const unsigned char digest[static 32])
{
    struct tls_trust *t = all;

    while (t != NULL && memcmp(t->digest, digest, sizeof t->digest) != 0)
        t = t->next;
    return t;
}

/* "TRUSTED CERTIFICATE" blocks are read too, as OpenSSL reads its own files. Returns how many. */
static int read_certificates(X509_STORE *store, BIO *bio)
{
    int count = 0;
    X509 *x;

    while ((x = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        bool ok = X509_STORE_add_cert(store, x) == 1;

        X509_free(x);
        if (!ok)
            break;
        count++;
    }
    return count;
}

/* False: `why`. */
static bool fill(X509_STORE *store, struct span pem, char *why, size_t size)
{
    BIO *bio = pem.len == 0 || pem.len > INT_MAX ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    char reason[128];
    unsigned long end;
    int count;

    if (bio == NULL) {
        snprintf(why, size, "%s", pem.len == 0 ? "holds no certificate" : "no memory");
        return false;
    }
    ERR_clear_error();
    count = read_certificates(store, bio);
    BIO_free(bio);
    end = ERR_peek_last_error();
    if (ERR_GET_LIB(end) != ERR_LIB_PEM || ERR_GET_REASON(end) != PEM_R_NO_START_LINE) {
        snprintf(why, size, "certificate %d is broken: %s", count + 1,
                 tls_report_error(NULL, reason, sizeof reason));
        return false;
    }
    ERR_clear_error();
    if (count == 0)
        snprintf(why, size, "holds no certificate");
    return count > 0;
}

struct tls_trust *tls_trust_get(struct span pem, char *why, size_t size)
{
    unsigned char digest[32];
    struct tls_trust *t;

    if (EVP_Q_digest(NULL, "SHA256", NULL, pem.data, pem.len, digest, NULL) != 1) {
        snprintf(why, size, "no memory");
        return NULL;
    }
    t = find(digest);
    if (t != NULL) {
        assert(t->references > 0 && t->references < UINT32_MAX);
        t->references++;
        return t;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL || (t->store = X509_STORE_new()) == NULL) {
        snprintf(why, size, "no memory");
        free(t);
        return NULL;
    }
    if (!fill(t->store, pem, why, size)) {
        X509_STORE_free(t->store);
        free(t);
        return NULL;
    }
    memcpy(t->digest, digest, sizeof digest);
    t->references = 1;
    t->next = all;
    all = t;
    return t;
}

void tls_trust_put(struct tls_trust *t)
{
    struct tls_trust **link = &all;

    if (t == NULL)
        return;
    assert(t->references > 0);
    if (--t->references > 0)
        return;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    X509_STORE_free(t->store);
    free(t);
}

X509_STORE *tls_trust_store(const struct tls_trust *t)
{
    return t->store;
}
