/* SPDX-License-Identifier: ISC */
/* Profiles, versions, ALPN, certificates by name and by key type, and complaints: by real
 * handshakes. */
#include "tests/unit/tls_peer.h"

/* One row: a service's settings, a client's, and whether they meet. */
static const struct meeting {
    const char *name;
    enum tls_profile profile;
    enum tls_version min, max;
    int client_min, client_max;
    const char *ciphers; /* the client's up to TLS 1.2 */
    const char *certificate;
    int version; /* agreed; 0: none */
} meetings[] = {
#define I TLS_PROFILE_INTERMEDIATE
#define M TLS_PROFILE_MODERN
#define O TLS_PROFILE_OLD
    {"intermediate: 1.3", I, 0, 0, 0, 0, NULL, "ec.pem", TLS1_3_VERSION},
    {"intermediate: 1.2", I, 0, 0, 0, TLS1_2_VERSION, NULL, "ec.pem", TLS1_2_VERSION},
    {"intermediate: RSA", I, 0, 0, 0, TLS1_2_VERSION, NULL, "rsa.pem", TLS1_2_VERSION},
    {"intermediate: no 1.1", I, 0, 0, 0, TLS1_1_VERSION, NULL, "ec.pem", 0},
    {"intermediate: no CBC", I, 0, 0, 0, TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", "rsa.pem", 0},
    {"intermediate: no RSA kx", I, 0, 0, 0, TLS1_2_VERSION, "AES128-GCM-SHA256", "rsa.pem", 0},
    {"intermediate: no DHE", I, 0, 0, 0, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", "rsa.pem", 0},
    {"modern: 1.3", M, 0, 0, 0, 0, NULL, "ec.pem", TLS1_3_VERSION},
    {"modern: no 1.2", M, 0, 0, 0, TLS1_2_VERSION, NULL, "ec.pem", 0},
    {"old: 1.0", O, 0, 0, 0, TLS1_VERSION, NULL, "rsa.pem", TLS1_VERSION},
    {"old: 1.0, ECDSA", O, 0, 0, 0, TLS1_VERSION, NULL, "ec.pem", TLS1_VERSION},
    {"old: 1.1", O, 0, 0, 0, TLS1_1_VERSION, NULL, "rsa.pem", TLS1_1_VERSION},
    {"old: CBC", O, 0, 0, 0, TLS1_2_VERSION, "AES256-SHA", "rsa.pem", TLS1_2_VERSION},
    {"old: DHE", O, 0, 0, 0, TLS1_2_VERSION, "DHE-RSA-AES128-SHA", "rsa.pem", TLS1_2_VERSION},
    {"old: 1.3 too", O, 0, 0, 0, 0, NULL, "rsa.pem", TLS1_3_VERSION},
    {"old: nothing anonymous", O, 0, 0, 0, TLS1_2_VERSION, "aNULL", "rsa.pem", 0},
    {"old: nothing in clear", O, 0, 0, 0, TLS1_2_VERSION, "eNULL", "rsa.pem", 0},
    {"max 1.2", I, 0, TLS_VERSION_1_2, 0, 0, NULL, "ec.pem", TLS1_2_VERSION},
    {"max 1.2, client 1.3", I, 0, TLS_VERSION_1_2, TLS1_3_VERSION, 0, NULL, "ec.pem", 0},
    {"min 1.3", I, TLS_VERSION_1_3, 0, 0, TLS1_2_VERSION, NULL, "ec.pem", 0},
    {"min 1.0", I, TLS_VERSION_1_0, 0, 0, TLS1_VERSION, NULL, "rsa.pem", TLS1_VERSION},
    {"min 1.1", I, TLS_VERSION_1_1, 0, 0, TLS1_VERSION, NULL, "rsa.pem", 0},
    {"min 1.1 brings CBC", I, TLS_VERSION_1_1, 0, 0, TLS1_2_VERSION, "AES128-SHA", "rsa.pem",
     TLS1_2_VERSION},
    {"modern, min 1.2", M, TLS_VERSION_1_2, 0, 0, TLS1_2_VERSION, "AES128-SHA", "rsa.pem",
     TLS1_2_VERSION},
#undef I
#undef M
#undef O
};

static void profiles_and_versions_meet_as_written(void **state)
{
    for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
        const struct meeting *m = &meetings[i];
        struct peer_wish wish = {.min = m->client_min, .max = m->client_max, .ciphers = m->ciphers};
        struct peer_service s;
        struct peer_outcome o;
        SSL_CTX *ctx;

        peer_service(&s, "mx", PATHS(m->certificate));
        s.service.tls_profile = m->profile;
        s.service.min_tls = m->min;
        s.service.max_tls = m->max;
        ctx = peer_build(&s, NULL, 0);
        o = peer_shake(ctx, &wish);
        if (o.version != m->version)
            fail_msg("%s: got %x, error %s", m->name, (unsigned int)o.version, o.error);
        SSL_SESSION_free(o.session);
        tls_context_free(ctx);
    }
}

static void old_profile_prefers_its_best_cipher(void **state)
{
    struct peer_wish wish = {.max = TLS1_2_VERSION,
                             .ciphers = "AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256"};
    struct peer_service s;
    struct peer_outcome o;
    SSL_CTX *ctx;

    peer_service(&s, "mx", PATHS("rsa.pem"));
    s.service.tls_profile = TLS_PROFILE_OLD;
    ctx = peer_build(&s, NULL, 0);
    o = peer_shake(ctx, &wish);
    assert_string_equal(o.cipher, "ECDHE-RSA-AES128-GCM-SHA256");
    SSL_SESSION_free(o.session);
    tls_context_free(ctx);
}

static void options_keep_truncation_visible_and_renegotiation_out(void **state)
{
    struct peer_service s;
    SSL_CTX *ctx;

    peer_service(&s, "mx", PATHS("ec.pem"));
    ctx = peer_build(&s, NULL, 0);
    assert_true(SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION);
    assert_true(SSL_CTX_get_options(ctx) & SSL_OP_NO_COMPRESSION);
    assert_false(SSL_CTX_get_options(ctx) & SSL_OP_IGNORE_UNEXPECTED_EOF);
    assert_true(SSL_CTX_get_mode(ctx) & SSL_MODE_RELEASE_BUFFERS);
    assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
    tls_context_free(ctx);
}

static void alpn_takes_our_names_and_refuses_foreign_ones(void **state)
{
    static const struct {
        const char *first, *second, *chosen; /* NULL: refused */
    } rows[] = {
        {NULL, NULL, ""},           {"smtp", NULL, "smtp"}, {"esmtp", NULL, "esmtp"},
        {"esmtp", "smtp", "smtp"},  {"h2", "smtp", "smtp"}, {"http/1.1", NULL, NULL},
        {"h2", "http/1.1", NULL},   {"smt", NULL, NULL},    {"smtps", NULL, NULL},
        {"imap", "esmtp", "esmtp"}, {"SMTP", NULL, NULL},
    };
    struct peer_service s;
    SSL_CTX *ctx;

    peer_service(&s, "mx", PATHS("ec.pem"));
    ctx = peer_build(&s, NULL, 0);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct peer_wish wish = {.alpn = rows[i / 2].first, .alpn2 = rows[i / 2].second};
        struct peer_outcome o;

        wish.max = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
        o = peer_shake(ctx, &wish);
        if (rows[i / 2].chosen == NULL) {
            assert_false(o.ok);
            assert_int_equal(o.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
            assert_string_equal(o.error, "no shared ALPN protocol");
        } else {
            assert_true(o.ok);
            assert_string_equal(o.alpn, rows[i / 2].chosen);
        }
        SSL_SESSION_free(o.session);
    }
    tls_context_free(ctx);
}

static void server_name_picks_the_certificate(void **state)
{
    static const struct {
        const char *sni, *cn;
    } rows[] = {
        {NULL, "first"},
        {"mail.first.example", "first"},
        {"mail.second.example", "second"},
        {"MAIL.Second.EXAMPLE", "second"},
        {"a.wild.example", "wild"},
        {"named.wild.example", "second"}, /* exact before wildcard */
        {"a.b.wild.example", "first"},
        {"wild.example", "first"},
        {"unknown.example", "first"},
        {"only.cn.example", "only.cn.example"},
        {"ignored-cn", "first"},
    };
    struct peer_service s;
    SSL_CTX *ctx;

    peer_pair("first.pem", "EC", "first", "DNS:mail.first.example");
    peer_pair("second.pem", "EC", "second", "DNS:mail.second.example,DNS:named.wild.example");
    peer_pair("wild.pem", "EC", "wild", "DNS:*.wild.example");
    peer_pair("cn.pem", "EC", "only.cn.example", NULL);
    peer_service(&s, "mx", PATHS("first.pem", "second.pem", "wild.pem", "cn.pem"));
    ctx = peer_build(&s, NULL, 0);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct peer_wish wish = {.sni = rows[i / 2].sni};
        struct peer_outcome o;

        wish.max = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
        o = peer_shake(ctx, &wish);
        assert_true(o.ok);
        assert_string_equal(o.cn, rows[i / 2].cn);
        SSL_SESSION_free(o.session);
    }
    tls_context_free(ctx);
}

/* A session keeps its context, and all that hangs on it, beyond the snapshot's end. */
static void context_lives_as_long_as_its_sessions(void **state)
{
    struct peer_service s;
    SSL_CTX *ctx;
    SSL *ssl;

    peer_service(&s, "mx", PATHS("first.pem", "second.pem"));
    ctx = peer_build(&s, NULL, 0);
    ssl = SSL_new(ctx);
    tls_context_free(ctx);
    assert_true(peer_can(SSL_get_SSL_CTX(ssl), &(struct peer_wish){.sni = "mail.second.example"}));
    SSL_free(ssl);
}

static void rsa_and_ecdsa_serve_side_by_side(void **state)
{
    static const struct {
        const char *sigalgs, *sni, *cn;
    } rows[] = {
        {"ECDSA+SHA256", "two.example", "two-ec"},
        {"RSA-PSS+SHA256:RSA+SHA256", "two.example", "two-rsa"},
        {"ECDSA+SHA256:RSA-PSS+SHA256", "first.example", "first"},
        {"ed25519", "two.example", "two-ed"},
    };
    struct peer_service s;
    SSL_CTX *ctx;

    peer_pair("one.pem", "EC", "first", "DNS:first.example");
    peer_pair("two-rsa.pem", "RSA", "two-rsa", "DNS:two.example,DNS:*.two.example");
    peer_pair("two-ec.pem", "EC", "two-ec", "DNS:*.two.example,DNS:TWO.example");
    peer_pair("two-ed.pem", "ED25519", "two-ed", "DNS:*.two.example,DNS:two.example");
    peer_service(&s, "mx", PATHS("one.pem", "two-rsa.pem", "two-ec.pem", "two-ed.pem"));
    ctx = peer_build(&s, NULL, 0);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct peer_wish wish = {.sigalgs = rows[i / 2].sigalgs, .sni = rows[i / 2].sni};
        struct peer_outcome o;

        wish.max = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
        o = peer_shake(ctx, &wish);
        assert_true(o.ok);
        assert_string_equal(o.cn, rows[i / 2].cn);
        SSL_SESSION_free(o.session);
    }
    tls_context_free(ctx);
}

static void chain_is_sent_in_order(void **state)
{
    EVP_PKEY *root = peer_key("EC"), *middle = peer_key("EC"), *leaf = peer_key("EC");
    char *chain =
        peer_join(peer_x509_pem(peer_x509(leaf, "leaf", "DNS:a.example", -1, 9, "middle", middle)),
                  peer_x509_pem(peer_x509(middle, "middle", NULL, -1, 9, "root", root)));
    char *wrong =
        peer_join(peer_x509_pem(peer_x509(leaf, "leaf", "DNS:a.example", -1, 9, "middle", middle)),
                  peer_x509_pem(peer_x509(root, "root", NULL, -1, 9, NULL, NULL)));
    STACK_OF(X509) *sent = NULL;
    struct peer_service s;
    char *complaints;
    SSL_CTX *ctx;

    peer_file("chain.pem", chain);
    peer_file("chain.key", peer_key_pem(leaf, NULL));
    peer_service(&s, "mx", PATHS("chain.pem"));
    s.certificate[0].key = "chain.key";
    complaints = peer_complaints(&s, &ctx);
    assert_string_equal(complaints, "");
    free(complaints);
    assert_int_equal(SSL_CTX_get0_chain_certs(ctx, &sent), 1);
    assert_int_equal(sk_X509_num(sent), 1);
    tls_context_free(ctx);

    peer_file("chain.pem", wrong);
    complaints = peer_complaints(&s, &ctx);
    assert_non_null(
        strstr(complaints, "certificate 2 of chain.pem is not the issuer of the one before"));
    free(complaints);
    tls_context_free(ctx);
    EVP_PKEY_free(root);
    EVP_PKEY_free(middle);
    EVP_PKEY_free(leaf);
}

static void complaints_about(const struct peer_service *s, bool is_refused, const char *words)
{
    SSL_CTX *ctx;
    char *text = peer_complaints(s, &ctx);

    if ((ctx == NULL) != is_refused || strstr(text, words) == NULL)
        fail_msg("expected `%s` in: %s", words, text);
    assert_int_equal(ERR_peek_error(), 0);
    free(text);
    tls_context_free(ctx);
}

static void passphrase_opens_a_key_and_nothing_prompts(void **state)
{
    EVP_PKEY *key = peer_key("EC");
    struct peer_service s;

    peer_file("enc.pem", peer_x509_pem(peer_x509(key, "enc", NULL, -1, 9, NULL, NULL)));
    peer_file("enc.key", peer_key_pem(key, "open sesame"));
    peer_file("enc.pass", strdup("open sesame\n"));
    peer_service(&s, "mx", PATHS("enc.pem"));
    s.certificate[0].key = "enc.key";
    complaints_about(&s, true,
                     "test.ini:2: [service mx] certificate: the key in enc.key is encrypted");
    s.certificate[0].passphrase = "enc.pass";
    complaints_about(&s, false, "");
    peer_file("enc.pass", strdup("open sesame\r\n"));
    complaints_about(&s, false, "");
    peer_file("enc.pass", strdup("wrong"));
    complaints_about(&s, true, "the passphrase in enc.pass does not open the key in enc.key");
    peer_file("enc.pass", strdup("\n"));
    complaints_about(&s, true, "enc.pass holds a passphrase of 0 octets");
    s.certificate[0].passphrase = "none.pass";
    complaints_about(&s, true, "none.pass: no such file");
    EVP_PKEY_free(key);
}

static void unusable_files_are_explained(void **state)
{
    EVP_PKEY *key = peer_key("EC"), *other = peer_key("EC");
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    struct peer_service s;
    char *pem;

    peer_service(&s, "mx", PATHS("gone.pem"));
    complaints_about(&s, true, "certificate: gone.pem: no such file");
    peer_file("a.pem", strdup(""));
    s.certificate[0].chain = s.certificate[0].key = "a.pem";
    complaints_about(&s, true, "a.pem is no PEM file");
    peer_file("a.pem", strdup("\x30\x82\x01\x02 DER"));
    complaints_about(&s, true, "a.pem is no PEM file");
    peer_file("a.pem", peer_key_pem(key, NULL));
    complaints_about(&s, true, "a.pem holds no certificate");
    peer_file("a.pem", peer_x509_pem(peer_x509(key, "a", NULL, -1, 9, NULL, NULL)));
    complaints_about(&s, true, "a.pem holds no private key");
    peer_file("b.pem", peer_key_pem(other, NULL));
    s.certificate[0].key = "b.pem";
    complaints_about(&s, true, "the key in b.pem does not belong to the certificate in a.pem");

    peer_file("a.pem", peer_join(peer_x509_pem(peer_x509(key, "ca", NULL, -1, 9, NULL, NULL)),
                                 peer_x509_pem(peer_x509(other, "a", NULL, -1, 9, "ca", key))));
    complaints_about(&s, true, "the key in b.pem belongs to certificate 2 of a.pem");

    pem = peer_x509_pem(peer_x509(other, "a", NULL, -1, 9, NULL, NULL));
    memcpy(strchr(pem, '\n') + 20, "@@@@", 4);
    peer_file("a.pem", pem);
    complaints_about(&s, true, "a.pem: certificate 1 is broken");
    pem = peer_key_pem(other, NULL);
    memcpy(strchr(pem, '\n') + 20, "@@@@", 4);
    peer_file("b.pem", pem);
    peer_file("a.pem", peer_x509_pem(peer_x509(other, "a", NULL, -1, 9, NULL, NULL)));
    complaints_about(&s, true, "the key in b.pem is broken");

    peer_file("b.pem", peer_key_pem(small, NULL));
    peer_file("a.pem", peer_x509_pem(peer_x509(small, "a", NULL, -1, 9, NULL, NULL)));
    complaints_about(&s, true, "a.pem can't be used with this tls_profile: its key is too small");
    s.service.tls_profile = TLS_PROFILE_OLD;
    complaints_about(&s, false, "");

    peer_file("b.pem", peer_key_pem(key, NULL));
    peer_file("a.pem", peer_x509_pem(peer_x509(key, "a", NULL, -9, -1, NULL, NULL)));
    complaints_about(&s, false, "the certificate in a.pem has expired on ");
    peer_file("a.pem", peer_x509_pem(peer_x509(key, "a", NULL, 1, 9, NULL, NULL)));
    complaints_about(&s, false, "the certificate in a.pem is not valid before ");
    s.service.certificate_count = 0;
    complaints_about(&s, true, "TLS needs a certificate");
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(small);
}

static void all_bad_certificates_are_named_at_once(void **state)
{
    struct peer_service s;
    SSL_CTX *ctx;
    char *text;

    peer_service(&s, "mx", PATHS("gone1.pem", "ec.pem", "gone2.pem"));
    text = peer_complaints(&s, &ctx);
    assert_null(ctx);
    assert_non_null(strstr(text, "test.ini:2: [service mx] certificate: gone1.pem"));
    assert_non_null(strstr(text, "test.ini:4: [service mx] certificate: gone2.pem"));
    free(text);
}

static void certificate_that_nobody_will_see_is_warned_of(void **state)
{
    struct peer_service s;

    peer_pair("x.pem", "EC", "x", "DNS:x.example,DNS:y.example");
    peer_pair("y.pem", "RSA", "y", "DNS:y.example");
    peer_service(&s, "mx", PATHS("x.pem", "y.pem"));
    complaints_about(&s, false, "y.pem is not used for y.example");
}

static int start(void **state)
{
    if (!tls_library_start())
        return -1;
    peer_pair("ec.pem", "EC", "ec", "DNS:ec.example");
    peer_pair("rsa.pem", "RSA", "rsa", "DNS:rsa.example");
    return 0;
}

static int stop(void **state)
{
    EVP_PKEY *rsa = peer_key("RSA");

    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa); /* peer_key's own */
    peer_files_clear();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_and_versions_meet_as_written),
        cmocka_unit_test(old_profile_prefers_its_best_cipher),
        cmocka_unit_test(options_keep_truncation_visible_and_renegotiation_out),
        cmocka_unit_test(alpn_takes_our_names_and_refuses_foreign_ones),
        cmocka_unit_test(server_name_picks_the_certificate),
        cmocka_unit_test(context_lives_as_long_as_its_sessions),
        cmocka_unit_test(rsa_and_ecdsa_serve_side_by_side),
        cmocka_unit_test(chain_is_sent_in_order),
        cmocka_unit_test(passphrase_opens_a_key_and_nothing_prompts),
        cmocka_unit_test(unusable_files_are_explained),
        cmocka_unit_test(all_bad_certificates_are_named_at_once),
        cmocka_unit_test(certificate_that_nobody_will_see_is_warned_of),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
