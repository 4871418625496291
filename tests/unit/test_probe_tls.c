/* SPDX-License-Identifier: ISC */
/* A context that agrees with servers of any age, and refuses none: by handshakes over memory. */
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/probe_tls.h"
#include "tests/unit/tls_peer.h"

#define NAME "mx.example"

static char folder[] = "/tmp/starttlsd-probe-tls-XXXXXX", ca[64], conf[64];
static EVP_PKEY *leaf_key;
static X509 *leaf;
static struct probe_tls *tls;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void write_leaf(void)
{
    char *pem;

    X509_up_ref(leaf);
    pem = peer_x509_pem(leaf);
    write_file(ca, pem);
    free(pem);
}

static void make_leaf(const char *type, int to)
{
    EVP_PKEY_free(leaf_key);
    X509_free(leaf);
    leaf_key = peer_key(type);
    leaf = peer_x509(leaf_key, NAME, "DNS:" NAME, -9, to, NULL, NULL);
    write_leaf();
}

static struct probe_tls *make(const char *name)
{
    char why[160] = "";
    struct probe_tls *t = probe_tls_new(ca, name, why, sizeof why);

    assert_string_equal(why, "");
    assert_non_null(t);
    return t;
}

static int start(void **state)
{
    make_leaf("EC", 9);
    tls = make(NAME);
    return 0;
}

static int stop(void **state)
{
    probe_tls_free(tls);
    EVP_PKEY_free(leaf_key);
    X509_free(leaf);
    leaf_key = NULL;
    leaf = NULL;
    unlink(ca);
    return 0;
}

/* ---- handshakes ---- */

static SSL_CTX *server(int min, int max, const char *ciphers, const char *groups)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf_key), 1);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, min), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, max), 1);
    SSL_CTX_set_dh_auto(ctx, 1);
    if (ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, ciphers), 1);
    if (groups != NULL)
        assert_int_equal(SSL_CTX_set1_groups_list(ctx, peer_macro(groups)), 1);
    return ctx;
}

/* What came of it, and was found. */
struct outcome {
    bool ok;
    char sni[64];
    struct probe_visit_facts f;
    struct probe_certificate c;
};

static struct outcome shake(struct probe_tls *t, SSL_CTX *ctx, unsigned version, bool resumes)
{
    struct outcome o = {.ok = false};
    SSL *client = probe_tls_ssl(t, version, resumes), *theirs = SSL_new(ctx);
    const char *sni;
    BIO *near, *far;
    char octet;

    assert_non_null(client);
    assert_true(BIO_new_bio_pair(&near, 65536, &far, 65536));
    SSL_set_bio(client, near, near);
    SSL_set_bio(theirs, far, far);
    for (int i = 0; i < 6; i++) {
        SSL_do_handshake(client);
        SSL_accept(theirs);
    }
    SSL_read(client, &octet, 1); /* tickets */
    o.ok = SSL_is_init_finished(client) && SSL_is_init_finished(theirs);
    sni = SSL_get_servername(theirs, TLSEXT_NAMETYPE_host_name);
    snprintf(o.sni, sizeof o.sni, "%s", sni == NULL ? "" : sni);
    if (o.ok) {
        probe_tls_agreed(client, &o.f);
        probe_tls_certificate(t, client, &o.c);
    }
    SSL_free(client); /* without close_notify */
    SSL_free(theirs);
    ERR_clear_error();
    return o;
}

static struct outcome shake_once(SSL_CTX *ctx, unsigned version)
{
    struct outcome o = shake(tls, ctx, version, false);

    SSL_CTX_free(ctx);
    return o;
}

static void whatever_is_agreed_on_is_seen(void **state)
{
    static const struct {
        const char *key;
        int version;
        const char *ciphers, *groups;
        const char *name, *cipher, *group;
    } rows[] = {
        {"EC", TLS1_3_VERSION, NULL, NULL, "TLSv1.3", "TLS_", "x25519"},
        {"EC", TLS1_3_VERSION, NULL, "X448", "TLSv1.3", "TLS_", "x448"},
        {"EC", TLS1_3_VERSION, NULL, "ffdhe3072", "TLSv1.3", "TLS_", "ffdhe3072"},
        {"RSA", TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", "P-384", "TLSv1.2", "ECDHE-RSA-AES128-SHA",
         "secp384r1"},
        {"RSA", TLS1_2_VERSION, "DHE-RSA-AES256-GCM-SHA384", NULL, "TLSv1.2",
         "DHE-RSA-AES256-GCM-SHA384", "DH 2048"},
        {"RSA", TLS1_2_VERSION, "AES128-SHA", NULL, "TLSv1.2", "AES128-SHA", ""},
        {"RSA", TLS1_2_VERSION, "CAMELLIA256-SHA", NULL, "TLSv1.2", "CAMELLIA256-SHA", ""},
        {"RSA", TLS1_1_VERSION, NULL, NULL, "TLSv1.1", "ECDHE-RSA-", "x25519"},
        {"RSA", TLS1_VERSION, "AES256-SHA", NULL, "TLSv1", "AES256-SHA", ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outcome o;

        make_leaf(rows[i].key, 9);
        o = shake_once(server(rows[i].version, rows[i].version,
                              rows[i].ciphers == NULL ? "ALL:@SECLEVEL=0" : rows[i].ciphers,
                              rows[i].groups),
                       PROBE_VERSIONS);
        assert_true(o.ok);
        assert_string_equal(o.f.version, rows[i].name);
        assert_memory_equal(o.f.cipher, rows[i].cipher, strlen(rows[i].cipher));
        assert_string_equal(o.f.group, rows[i].group);
        assert_false(o.f.is_resumed);
    }
    make_leaf("EC", 9);
}

static void one_version_is_asked_for_alone(void **state)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};

    for (unsigned has = 0; has < PROBE_VERSIONS; has++)
        for (unsigned asked = 0; asked < PROBE_VERSIONS; asked++) {
            struct outcome o =
                shake_once(server(versions[has], versions[has], "ALL:@SECLEVEL=0", NULL), asked);

            assert_int_equal(o.ok, has == asked);
        }
    for (unsigned i = 0; i < PROBE_VERSIONS; i++)
        assert_true(probe_tls_has_version(tls, i));
}

/* An OpenSSL built without a version has no cipher for it. */
static bool lacks_ciphers;

STACK_OF(SSL_CIPHER) * SSL_get1_supported_ciphers(SSL *ssl)
{
    return lacks_ciphers ? NULL : sk_SSL_CIPHER_dup(SSL_get_ciphers(ssl));
}

static void a_version_that_openssl_lacks_is_known(void **state)
{
    lacks_ciphers = true;
    assert_false(probe_tls_has_version(tls, PROBE_TLSV1));
    lacks_ciphers = false;
    assert_true(probe_tls_has_version(tls, PROBE_TLSV1));
}

/* A hole in what openssl.cnf allows would make OpenSSL offer nothing above it. */
static void no_file_narrows_what_is_asked_for(void **state)
{
    SSL_CTX *ctx = server(TLS1_3_VERSION, TLS1_3_VERSION, NULL, NULL);

    write_file(conf, "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n"
                     "[all]\nProtocol = ALL,-TLSv1.1\nMinProtocol = TLSv1.2\n"
                     "MaxProtocol = TLSv1.2\nCipherString = DEFAULT@SECLEVEL=5\n");
    assert_int_equal(CONF_modules_load_file(conf, NULL, CONF_MFLAGS_DEFAULT_SECTION), 1);
    unlink(conf);
    probe_tls_free(tls);
    tls = make(NAME);
    assert_true(shake_once(ctx, PROBE_VERSIONS).ok);
    for (unsigned i = 0; i < PROBE_VERSIONS; i++) {
        SSL *ssl = probe_tls_ssl(tls, i, false);

        assert_int_equal(SSL_get_options(ssl) & SSL_OP_NO_SSL_MASK, 0);
        assert_int_equal(SSL_get_security_level(ssl), 0);
        SSL_free(ssl);
    }
}

/* ---- sessions ---- */

static void a_session_is_kept_however_the_connection_ended(void **state)
{
    static const int versions[] = {TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        SSL_CTX *ctx = server(versions[i], versions[i], "ALL:@SECLEVEL=0", NULL);

        probe_tls_drop_session(tls);
        assert_false(probe_tls_has_session(tls));
        assert_false(shake(tls, ctx, PROBE_VERSIONS, true).f.is_resumed);
        assert_true(probe_tls_has_session(tls));
        assert_false(shake(tls, ctx, PROBE_VERSIONS, false).f.is_resumed);
        assert_true(shake(tls, ctx, PROBE_VERSIONS, true).f.is_resumed);
        SSL_CTX_free(ctx);
    }
    probe_tls_drop_session(tls);
}

static void a_server_may_give_none(void **state)
{
    SSL_CTX *ctx = server(TLS1_2_VERSION, TLS1_2_VERSION, NULL, NULL);

    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    assert_true(shake_once(ctx, PROBE_VERSIONS).ok);
    assert_false(probe_tls_has_session(tls));
    ctx = server(TLS1_3_VERSION, TLS1_3_VERSION, NULL, NULL);
    SSL_CTX_set_num_tickets(ctx, 0);
    assert_true(shake_once(ctx, PROBE_VERSIONS).ok);
    assert_false(probe_tls_has_session(tls));
}

/* ---- certificates and names ---- */

static void no_certificate_is_refused(void **state)
{
    struct outcome o;

    probe_tls_free(tls);
    tls = make(NAME);
    o = shake_once(server(TLS1_3_VERSION, 0, NULL, NULL), PROBE_VERSIONS);
    assert_true(o.c.is_shown && o.c.is_for_name);
    assert_int_equal(o.c.trust, PROBE_TRUSTED); /* it is its own --ca */
    make_leaf("EC", -1);
    o = shake_once(server(TLS1_3_VERSION, 0, NULL, NULL), PROBE_VERSIONS);
    assert_true(o.ok && o.c.is_shown);
    assert_int_equal(o.c.trust, PROBE_SELF_SIGNED); /* another one than --ca has */
    assert_true(o.c.not_after < time(NULL));
    make_leaf("EC", 9);
}

/* A leaf that is named itself: by --ca it is trusted, among the system's it would need an issuer. */
static void whoever_is_named_by_ca_is_trusted(void **state)
{
    EVP_PKEY *issuer = peer_key("EC");
    struct outcome o;

    X509_free(leaf);
    leaf = peer_x509(leaf_key, NAME, "DNS:" NAME, -1, 9, "Issuer", issuer);
    write_leaf();
    for (int i = 0; i < 2; i++) {
        const bool is_named = i == 0;
        SSL_CTX *ctx = server(TLS1_3_VERSION, 0, NULL, NULL);
        char why[160];
        struct probe_tls *t;

        setenv("SSL_CERT_FILE", ca, 1);
        t = probe_tls_new(is_named ? ca : NULL, NAME, why, sizeof why);
        assert_non_null(t);
        o = shake(t, ctx, PROBE_VERSIONS, false);
        assert_int_equal(o.c.trust, is_named ? PROBE_TRUSTED : PROBE_ISSUER_MISSING);
        probe_tls_free(t);
        SSL_CTX_free(ctx);
    }
    unsetenv("SSL_CERT_FILE");
    EVP_PKEY_free(issuer);
    make_leaf("EC", 9);
}

/* RFC 6066, section 3. */
static void names_are_asked_for_and_addresses_are_not(void **state)
{
    static const char *const addresses[] = {"192.0.2.1", "2001:db8::1"};
    SSL_CTX *ctx = server(TLS1_2_VERSION, 0, NULL, NULL);

    assert_string_equal(shake(tls, ctx, PROBE_VERSIONS, false).sni, NAME);
    for (size_t i = 0; i < 2; i++) {
        struct probe_tls *t = make(addresses[i]);
        struct outcome o = shake(t, ctx, PROBE_VERSIONS, false);

        assert_true(o.ok);
        assert_string_equal(o.sni, "");
        assert_false(o.c.is_for_name);
        probe_tls_free(t);
    }
    SSL_CTX_free(ctx);
}

static void what_is_wrong_with_authorities_is_a_sentence(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {NULL, "No such file or directory"},
        {"no PEM\n", "holds no certificate"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "certificate 1 is broken"},
    };
    char path[64], why[160];

    snprintf(path, sizeof path, "%s/other.pem", folder);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text != NULL)
            write_file(path, rows[i].text);
        assert_null(probe_tls_new(path, NAME, why, sizeof why));
        assert_memory_equal(why, path, strlen(path));
        assert_non_null(strstr(why, rows[i].why));
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_agreed_on_is_seen),
        cmocka_unit_test(one_version_is_asked_for_alone),
        cmocka_unit_test(a_version_that_openssl_lacks_is_known),
        cmocka_unit_test(a_session_is_kept_however_the_connection_ended),
        cmocka_unit_test(a_server_may_give_none),
        cmocka_unit_test(no_certificate_is_refused),
        cmocka_unit_test(whoever_is_named_by_ca_is_trusted),
        cmocka_unit_test(names_are_asked_for_and_addresses_are_not),
        cmocka_unit_test(what_is_wrong_with_authorities_is_a_sentence),
        cmocka_unit_test(no_file_narrows_what_is_asked_for), /* the last: OpenSSL has read it */
    };
    int failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    snprintf(conf, sizeof conf, "%s/openssl.cnf", folder);
    failed = cmocka_run_group_tests(tests, start, stop);
    rmdir(folder);
    return failed;
}
