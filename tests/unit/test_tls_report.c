/* SPDX-License-Identifier: ISC */
/* What the log says of a handshake, good or bad. */
#include <errno.h>

#include <openssl/sslerr.h>

#include "proxy/tls_report.h"
#include "tests/unit/tls_peer.h"

static SSL_CTX *ctx;

static void good_handshake_is_described(void **state)
{
    struct peer_outcome o;

    o = peer_shake(
        ctx, &(struct peer_wish){.sni = "a.example", .groups = "P-256", .min = TLS1_3_VERSION});
    assert_non_null(strstr(o.log, " tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 group=secp256r1 "
                                  "resumed=no sni=a.example"));
    SSL_SESSION_free(o.session);
    o = peer_shake(ctx, &(struct peer_wish){.max = TLS1_2_VERSION,
                                            .groups = "X25519:P-256",
                                            .ciphers = "ECDHE+AES128"});
    assert_non_null(strstr(o.log, " tls=TLSv1.2 cipher=ECDHE-ECDSA-AES128-GCM-SHA256 group=x25519 "
                                  "resumed=no"));
    assert_null(strstr(o.log, "sni="));
    SSL_SESSION_free(o.session);
}

static void no_handshake_no_fields(void **state)
{
    struct log_line line;
    struct peer_outcome o = peer_shake(ctx, &(struct peer_wish){.max = TLS1_1_VERSION});
    size_t before;

    assert_false(o.ok);
    assert_null(strstr(o.log, "tls="));
    log_begin(&line, LEVEL_INFO, "test.report");
    before = line.len;
    tls_report_session(NULL, &line);
    assert_int_equal(line.len, before);
}

static void failed_handshakes_are_explained(void **state)
{
    static const struct {
        struct peer_wish wish;
        const char *error;
    } rows[] = {
        {{.max = TLS1_1_VERSION}, "unsupported TLS version"},
        {{.max = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"}, "no shared cipher"},
        {{.max = TLS1_2_VERSION, .ciphers = "AES128-SHA"}, "no shared cipher"},
        {{.min = TLS1_3_VERSION, .sigalgs = "RSA-PSS+SHA256"}, "no shared signature algorithm"},
        {{.min = TLS1_3_VERSION, .groups = "ffdhe2048"}, ""}, /* an honest meeting */
        {{.max = TLS1_2_VERSION, .verifies = true}, "peer sent alert \"unknown CA\""},
        {{.min = TLS1_3_VERSION, .verifies = true}, "peer sent alert \"unknown CA\""},
        {{.alpn = "h2"}, "no shared ALPN protocol"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer_outcome o = peer_shake(ctx, &rows[i].wish);

        SSL_SESSION_free(o.session);
        if (strcmp(o.error, rows[i].error) != 0)
            fail_msg("row %zu: expected `%s`, got `%s`", i, rows[i].error, o.error);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

/* Octets that are no client: what the server makes of them. */
static void octets_that_are_no_handshake_are_named(void **state)
{
    static const struct {
        const char *octets, *error;
    } rows[] = {
        {"EHLO client.example\r\nMAIL FROM:<>\r\n",
         "not TLS: plaintext where a handshake was expected"},
        {"GET / HTTP/1.1\r\nHost: mail\r\n\r\n", "not TLS: an HTTP request"},
        {"CONNECT mail:25 HTTP/1.1\r\n\r\n", "not TLS: an HTTP CONNECT request"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        SSL *ssl = SSL_new(ctx);
        char why[160];

        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        BIO_puts(SSL_get_rbio(ssl), rows[i].octets);
        ERR_clear_error();
        assert_true(SSL_accept(ssl) <= 0);
        assert_string_equal(tls_report_error("unused", why, sizeof why), rows[i].error);
        assert_int_equal(ERR_peek_error(), 0);
        SSL_free(ssl);
    }
}

static void socket_speaks_where_openssl_is_silent(void **state)
{
    char why[32];

    ERR_clear_error();
    assert_string_equal(tls_report_error("Connection reset by peer", why, sizeof why),
                        "Connection reset by peer");
    assert_string_equal(tls_report_error(NULL, why, sizeof why), "connection closed");
    ERR_raise(ERR_LIB_SYS, ECONNRESET);
    assert_string_equal(tls_report_error(NULL, why, sizeof why), "Connection reset by peer");
    ERR_raise(ERR_LIB_EVP, EVP_R_BAD_DECRYPT);
    ERR_raise(ERR_LIB_SSL, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
    assert_string_equal(tls_report_error(NULL, why, 9), "a record");
}

static void alerts_of_tls_1_3_have_names(void **state)
{
    char why[64];

    ERR_clear_error();
    ERR_raise(ERR_LIB_SSL, SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED);
    assert_string_equal(tls_report_error(NULL, why, sizeof why),
                        "peer sent alert \"certificate required\"");
}

/* A callback's, which OpenSSL answers with an error of its own. */
static void words_of_our_own_come_first(void **state)
{
    char why[64];

    ERR_clear_error();
    tls_report_raise("its certificate is 100 %d wrong");
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
    assert_string_equal(tls_report_error("unused", why, sizeof why),
                        "its certificate is 100 %d wrong");
    assert_int_equal(ERR_peek_error(), 0);
}

static int start(void **state)
{
    struct peer_service s;

    if (!tls_library_start())
        return -1;
    peer_pair("a.pem", "EC", "a", "DNS:a.example");
    peer_service(&s, "mx", PATHS("a.pem"));
    ctx = peer_build(&s, NULL, 0);
    return 0;
}

static int stop(void **state)
{
    tls_context_free(ctx);
    peer_files_clear();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_handshake_is_described),
        cmocka_unit_test(no_handshake_no_fields),
        cmocka_unit_test(failed_handshakes_are_explained),
        cmocka_unit_test(octets_that_are_no_handshake_are_named),
        cmocka_unit_test(socket_speaks_where_openssl_is_silent),
        cmocka_unit_test(alerts_of_tls_1_3_have_names),
        cmocka_unit_test(words_of_our_own_come_first),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
