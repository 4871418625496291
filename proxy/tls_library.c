/* SPDX-License-Identifier: ISC */
/* OpenSSL as this program runs it: with an allocator that wipes what is freed, and with all that it
 * reads from files or draws from the kernel done before the cage closes. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "proxy/tls_context.h"

/* SSL_free leaves traffic secrets, and a released record buffer leaves plaintext, in freed heap.
 * The whole block is wiped: OpenSSL tells no length, and malloc may have given more than was asked.
 * explicit_bzero, as OPENSSL_cleanse takes four times as long for a record buffer. */
static void wiping_free(void *block, const char *file, int line)
{
    if (block == NULL)
        return;
    explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

static void *plain_malloc(size_t size, const char *file, int line)
{
    return malloc(size);
}

/* realloc would move a block and leave the old one as it was. */
static void *wiping_realloc(void *block, size_t size, const char *file, int line)
{
    size_t old = block == NULL ? 0 : malloc_usable_size(block);
    void *fresh;

    if (size == 0) {
        wiping_free(block, file, line);
        return NULL;
    }
    if (size <= old && size > old / 2)
        return block;
    fresh = malloc(size);
    if (fresh != NULL && block != NULL) {
        memcpy(fresh, block, old < size ? old : size);
        wiping_free(block, file, line);
    }
    return fresh;
}

/* Both generators, public and private, seed themselves at their first use. */
static bool seed_generators(void)
{
    unsigned char octets[16];
    bool ok = RAND_bytes(octets, sizeof octets) == 1 && RAND_priv_bytes(octets, sizeof octets) == 1;

    OPENSSL_cleanse(octets, sizeof octets);
    return ok && RAND_status() == 1;
}

/* What a first handshake would look up: algorithms of the provider, names of errors. */
static bool warm_up(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl = ctx == NULL ? NULL : SSL_new(ctx);
    bool ok = ssl != NULL;

    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return ok;
}

bool tls_library_start(void)
{
    if (CRYPTO_set_mem_functions(plain_malloc, wiping_realloc, wiping_free) != 1)
        return false; /* OpenSSL has been used before: some of its memory is not ours to wipe */
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                             OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                         NULL) != 1)
        return false;
    if (!seed_generators() || !warm_up())
        return false;
    ERR_clear_error();
    return true;
}
