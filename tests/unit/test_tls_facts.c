/* SPDX-License-Identifier: ISC */
/* What PROXY headers tell of a client's TLS, and of its certificate above all. */
#include "protocols/proxy_header.h"
#include "tests/unit/tls_peer.h"

static EVP_PKEY *key;
static X509 *server_x509;

static int start(void **state)
{
    key = peer_key("EC");
    server_x509 = peer_x509(key, "mail.example", NULL, -1, 30, NULL, NULL);
    return 0;
}

static int stop(void **state)
{
    X509_free(server_x509);
    EVP_PKEY_free(key);
    return 0;
}

static X509 *client_x509(const char *cn, int len)
{
    X509 *x = peer_x509(key, "nobody", NULL, -1, 30, NULL, NULL);
    X509_NAME *name = X509_NAME_new();

    if (cn != NULL)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, len, -1,
                                   0);
    X509_set_subject_name(x, name);
    X509_set_issuer_name(x, name);
    X509_NAME_free(name);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static int take_any(int is_good, X509_STORE_CTX *context)
{
    return 1;
}

/* A server that asks for a certificate, and trusts `client`, if anybody. */
static SSL *serve(X509 *client, bool is_trusted)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl;

    assert_int_equal(SSL_CTX_use_certificate(ctx, server_x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
    if (is_trusted)
        assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), client), 1);
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    return ssl;
}

static const char *asked_for = "mx.example"; /* by SNI */

static SSL *connect_as(X509 *client)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl;

    if (client != NULL) {
        assert_int_equal(SSL_CTX_use_certificate(ctx, client), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    }
    ssl = SSL_new(ctx);
    SSL_set_tlsext_host_name(ssl, peer_macro(asked_for));
    SSL_CTX_free(ctx);
    return ssl;
}

/* Facts of a server whose client has shown this certificate; the server is the caller's. */
static SSL *shake(X509 *x, bool is_trusted, struct proxy_facts *facts, char name[PROXY_VALUE_MAX])
{
    SSL *server = serve(x, is_trusted), *client = connect_as(x);
    BIO *near, *far;

    assert_true(BIO_new_bio_pair(&near, 65536, &far, 65536));
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    for (int i = 0; i < 4; i++) {
        SSL_connect(client);
        SSL_accept(server);
    }
    assert_true(SSL_is_init_finished(server));
    ERR_clear_error();
    SSL_free(client);
    *facts = (struct proxy_facts){0};
    tls_report_facts(server, facts, name);
    return server;
}

static void assert_span(struct span s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.data, text, s.len);
}

static void what_was_agreed_is_told(void **state)
{
    struct proxy_facts facts;
    char name[PROXY_VALUE_MAX];
    SSL *ssl = shake(NULL, false, &facts, name);

    assert_true(facts.is_secure);
    assert_span(facts.version, "TLSv1.3");
    assert_span(facts.cipher, "TLS_AES_256_GCM_SHA384");
    assert_span(facts.authority, "mx.example");
    assert_false(facts.has_certificate);
    assert_false(facts.is_resumed);
    assert_int_equal(facts.common_name.len, 0);
    SSL_free(ssl);
}

static void a_server_name_that_is_none_is_not_told(void **state)
{
    static const char *const rows[] = {"mx\x1b[2J.example", "mx.example\r\nX: y", "mx example",
                                       "m\xc3\xa4x.example"};
    struct proxy_facts facts;
    char name[PROXY_VALUE_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        asked_for = rows[i];
        SSL_free(shake(NULL, false, &facts, name));
        assert_true(facts.is_secure);
        assert_int_equal(facts.authority.len, 0);
    }
    asked_for = "mx.example";
}

static void nothing_is_told_without_tls(void **state)
{
    static const struct proxy_facts none;
    struct proxy_facts facts = {0};

    tls_report_facts(NULL, &facts, NULL);
    assert_memory_equal(&facts, &none, sizeof facts);
}

static void names_are_those_of_verified_certificates(void **state)
{
    static const char long_name[64] =
        "0123456789012345678901234567890123456789012345678901234567890";
    static const struct {
        const char *cn;
        int len; /* -1: up to its NUL */
        bool is_trusted;
        const char *told;
    } rows[] = {
        {"alice", -1, true, "alice"},           {"Zo\xc3\xab", -1, true, "Zo\xc3\xab"},
        {long_name, -1, true, long_name},       {"alice", -1, false, ""},
        {"alice\0.evil.example", 19, true, ""}, {NULL, 0, true, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy_facts facts;
        char name[PROXY_VALUE_MAX];
        X509 *x = client_x509(rows[i].cn, rows[i].len);
        SSL *ssl = shake(x, rows[i].is_trusted, &facts, name);

        assert_int_equal(facts.has_certificate, rows[i].is_trusted);
        assert_span(facts.common_name, rows[i].told);
        SSL_free(ssl);
        X509_free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_agreed_is_told),
        cmocka_unit_test(a_server_name_that_is_none_is_not_told),
        cmocka_unit_test(nothing_is_told_without_tls),
        cmocka_unit_test(names_are_those_of_verified_certificates),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
