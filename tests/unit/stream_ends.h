/* SPDX-License-Identifier: ISC */
/* For tests of streams: one over a socket pair, and the peer at the other end, which is OpenSSL's own
 * client where TLS is wanted. */
#ifndef STARTTLSD_TESTS_STREAM_ENDS_H
#define STARTTLSD_TESTS_STREAM_ENDS_H

#include <sys/socket.h>
#include <unistd.h>

#include "proxy/stream.h"
#include "proxy/tls_context.h"
#include "tests/unit/tls_peer.h"

static struct pool blocks;
static struct scratch *scratch;
static SSL_CTX *server_ctx, *client_ctx;

static inline int start_ends(void **state)
{
    EVP_PKEY *key = peer_key("EC");
    X509 *x = peer_x509(key, "mail.example", NULL, -1, 30, NULL, NULL);

    assert_true(record_bio_start());
    assert_true(pool_init(&blocks, BLOCK_SIZE, 64, 8));
    scratch = calloc(1, sizeof *scratch);
    scratch->blocks = &blocks;
    server_ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server_ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, key), 1);
    SSL_CTX_set_mode(server_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_num_tickets(server_ctx, 1);
    client_ctx = SSL_CTX_new(TLS_client_method());
    X509_free(x);
    EVP_PKEY_free(key);
    return 0;
}

static inline int stop_ends(void **state)
{
    assert_int_equal(pool_used(&blocks), 0);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    pool_clear(&blocks);
    free(scratch);
    return 0;
}

/* ---- the two ends ---- */

struct ends {
    struct stream stream;
    int peer;
    SSL *client; /* over memory; its octets are carried to and from `peer` by hand */
    BIO *in, *out;
};

static inline void open_ends(struct ends *e)
{
    int fd[2];

    *e = (struct ends){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    stream_open(&e->stream, scratch, SIDE_CLIENT, fd[0]);
    e->peer = fd[1];
}

static inline void close_ends(struct ends *e)
{
    stream_close(&e->stream);
    close(e->peer);
    SSL_free(e->client);
    assert_int_equal(pool_used(&blocks), 0);
}

static inline void client_receives(struct ends *e)
{
    static char space[200000];
    ssize_t n;

    while ((n = read(e->peer, space, sizeof space)) > 0)
        assert_int_equal(BIO_write(e->in, space, (int)n), n);
}

static inline size_t client_octets(struct ends *e, char **octets)
{
    return (size_t)BIO_get_mem_data(e->out, octets);
}

static inline void client_sends(struct ends *e)
{
    char *octets;
    size_t n = client_octets(e, &octets);

    if (n > 0)
        assert_int_equal(write(e->peer, octets, n), (ssize_t)n);
    assert_int_equal(BIO_reset(e->out), 1);
}

/* ours: the stream's, either role; theirs: the other role */
static inline void shake_ends_as(struct ends *e, SSL *ours, SSL *theirs)
{
    enum handshake result = HANDSHAKE_AGAIN;

    open_ends(e);
    e->client = theirs;
    e->in = BIO_new(BIO_s_mem());
    e->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(e->in, -1);
    SSL_set_bio(e->client, e->in, e->out);
    assert_true(stream_start_tls(&e->stream, ours));
    for (int i = 0; i < 5; i++) {
        SSL_do_handshake(e->client);
        client_sends(e);
        if (result == HANDSHAKE_AGAIN)
            result = stream_handshake(&e->stream, true);
        client_receives(e);
    }
    assert_int_equal(result, HANDSHAKE_DONE);
    assert_true(SSL_is_init_finished(e->client));
    assert_int_equal(pool_used(&blocks), 0);
}

static inline SSL *ssl_in_client_role(void)
{
    SSL *ssl = SSL_new(client_ctx);

    SSL_set_connect_state(ssl);
    return ssl;
}

static inline void shake_ends(struct ends *e)
{
    shake_ends_as(e, tls_context_ssl(server_ctx), ssl_in_client_role());
}

static inline void client_writes(struct ends *e, const char *octets, size_t n)
{
    size_t written;

    assert_int_equal(SSL_write_ex(e->client, octets, n, &written), 1);
    assert_int_equal(written, n);
}

static inline void shows(struct ends *e, enum stream_result expected, const char *text)
{
    struct span in;

    assert_int_equal(stream_read(&e->stream, true, false, &in), expected);
    assert_int_equal(in.len, strlen(text));
    assert_memory_equal(in.data, text, in.len);
}

static inline char *pattern(size_t n)
{
    char *p = malloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 131 + i / 251);
    return p;
}

#endif
