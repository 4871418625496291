/* SPDX-License-Identifier: ISC */
/* Stateless session tickets under keys that all workers share: AES-256-CBC, then HMAC-SHA256 (RFC
 * 5077, section 4). OpenSSL builds the ticket and judges its age; this file only finds the key. */
#include "proxy/tls_tickets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

struct tls_tickets {
    struct tls_ticket_keys keys;
    EVP_CIPHER *cipher; /* fetched once: a handshake only borrows it */
};

static_assert(sizeof(struct tls_ticket_key) == 80, "as nginx's files");

static int tickets_index = -1; /* of a context's ex_data */

static struct tls_tickets *tickets_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index);
}

static bool start_hmac(EVP_MAC_CTX *hmac, const struct tls_ticket_key *key)
{
    static char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_init(hmac, key->hmac, sizeof key->hmac, params) == 1;
}

/* 1: a ticket can be made, 0: it is left out, -1: failed. */
static int seal(const struct tls_tickets *t, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *hmac)
{
    const struct tls_ticket_key *newest = &t->keys.key[0];

    if (t->keys.count == 0)
        return 0;
    memcpy(name, newest->name, sizeof newest->name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1 ||
        EVP_EncryptInit_ex(cipher, t->cipher, NULL, newest->aes, iv) != 1 ||
        !start_hmac(hmac, newest))
        return -1;
    return 1;
}

/* In TLS 1.3 a client should use no ticket twice (RFC 8446, appendix C.4): without another it shakes
 * hands in full every second time. */
static bool is_renewed(const SSL *ssl, uint32_t key)
{
    return key > 0 || SSL_version(ssl) >= TLS1_3_VERSION;
}

/* 1: good, 2: good, and the client gets a new one, 0: not ours, -1: failed. */
static int open_sealed(const struct tls_tickets *t, const SSL *ssl, const unsigned char *name,
                       const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *hmac)
{
    for (uint32_t i = 0; i < t->keys.count; i++) {
        const struct tls_ticket_key *key = &t->keys.key[i];

        if (memcmp(name, key->name, sizeof key->name) != 0)
            continue;
        if (!start_hmac(hmac, key) ||
            EVP_DecryptInit_ex(cipher, t->cipher, NULL, key->aes, iv) != 1)
            return -1;
        return is_renewed(ssl, i) ? 2 : 1;
    }
    return 0;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *hmac, int is_new)
{
    const struct tls_tickets *t = tickets_of(ssl);

    return is_new ? seal(t, name, iv, cipher, hmac) : open_sealed(t, ssl, name, iv, cipher, hmac);
}

bool tls_ticket_keys_rotate(struct tls_ticket_keys *keys, uint32_t keep)
{
    struct tls_ticket_keys old = *keys;
    bool ok;

    if (keep < 1)
        keep = 1;
    if (keep > TLS_TICKET_KEYS_MAX)
        keep = TLS_TICKET_KEYS_MAX;
    *keys = (struct tls_ticket_keys){.count = old.count < keep ? old.count + 1 : keep};
    memcpy(keys->key + 1, old.key, (keys->count - 1) * sizeof *keys->key);
    ok = RAND_priv_bytes((unsigned char *)&keys->key[0], sizeof keys->key[0]) == 1;
    if (!ok)
        *keys = old;
    OPENSSL_cleanse(&old, sizeof old);
    return ok;
}

/* A page of their own, locked and left out of dumps where the limits allow it. */
struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t =
        mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (t == MAP_FAILED)
        return NULL;
    (void)mlock(t, sizeof *t);
    (void)madvise(t, sizeof *t, MADV_DONTDUMP);
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (tickets_index < 0)
        tickets_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (t->cipher == NULL || tickets_index < 0) {
        tls_tickets_free(t);
        return NULL;
    }
    return t;
}

void tls_tickets_free(struct tls_tickets *t)
{
    if (t == NULL)
        return;
    EVP_CIPHER_free(t->cipher);
    OPENSSL_cleanse(t, sizeof *t);
    munmap(t, sizeof *t);
}

void tls_tickets_set(struct tls_tickets *t, const struct tls_ticket_keys *keys)
{
    assert(keys->count <= TLS_TICKET_KEYS_MAX);
    OPENSSL_cleanse(&t->keys, sizeof t->keys);
    t->keys.count = keys->count;
    memcpy(t->keys.key, keys->key, keys->count * sizeof *keys->key);
}

bool tls_tickets_attach(struct tls_tickets *t, SSL_CTX *ctx, uint32_t lifetime_s)
{
    SSL_CTX_set_timeout(ctx, (long)lifetime_s); /* a ticket carries it, and its own date */
    return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
           SSL_CTX_set_ex_data(ctx, tickets_index, t) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}
