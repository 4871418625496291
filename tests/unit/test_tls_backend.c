/* SPDX-License-Identifier: ISC */
/* Towards backends: who is believed, who is refused and in which words, what is resumed. By real
 * handshakes over memory. */
#include "proxy/tls_backend.h"
#include "tests/unit/tls_peer.h"

/* ---- a small world of certificates ---- */

/* The clock of all that asks the C library, OpenSSL too. */
static time_t ahead_s;

time_t time(time_t *to)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (to != NULL)
        *to = now.tv_sec + ahead_s;
    return now.tv_sec + ahead_s;
}

static EVP_PKEY *root_key, *middle_key, *leaf_key;

static X509 *make_authority(const char *cn, EVP_PKEY *key, const char *issuer_cn, EVP_PKEY *issuer)
{
    X509 *x = peer_x509(key, cn, NULL, -1, 9, issuer_cn, issuer);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, issuer == NULL ? key : issuer, EVP_sha256()) > 0);
    return x;
}

static char *authority(const char *cn, EVP_PKEY *key, const char *issuer_cn, EVP_PKEY *issuer)
{
    return peer_x509_pem(make_authority(cn, key, issuer_cn, issuer));
}

/* A file with leaf_key, and its certificate signed by the middle authority. */
static void leaf(const char *path, const char *cn, const char *san, int from, int to)
{
    peer_file(path,
              peer_join(peer_x509_pem(peer_x509(leaf_key, cn, san, from, to, "middle", middle_key)),
                        peer_join(authority("middle", middle_key, "root", root_key),
                                  peer_key_pem(leaf_key, NULL))));
}

static X509 *first_certificate(const char *path)
{
    struct span text = {NULL, 0};
    const char *error;
    BIO *bio;
    X509 *x;

    assert_true(peer_read(NULL, path, &text, &error));
    bio = BIO_new_mem_buf(text.data, (int)text.len);
    x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(x);
    return x;
}

static int start(void **state)
{
    EVP_PKEY *small, *other;

    if (!tls_library_start())
        return -1;
    small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    root_key = peer_key("EC");
    middle_key = peer_key("EC");
    leaf_key = peer_key("EC");
    other = peer_key("EC");
    peer_file("root.ca", authority("root", root_key, NULL, NULL));
    peer_file("middle.ca", authority("middle", middle_key, "root", root_key));
    peer_file("other.ca", authority("other", other, NULL, NULL));
    leaf("good.pem", "good", "DNS:mail.example,DNS:*.wild.example,IP:192.0.2.1,IP:2001:db8::1", -1,
         9);
    leaf("cn.pem", "mail.example", NULL, -1, 9);
    leaf("red.pem", "good", "DNS:\033[31m,IP:192.0.2.1", -1, 9);
    leaf("odd.pem", "odd", "DER:3003870101", -1, 9); /* an address of one octet */
    leaf("expired.pem", "good", "DNS:mail.example", -9, -1);
    leaf("early.pem", "good", "DNS:mail.example", 1, 9);
    peer_file("bare.pem", peer_join(peer_x509_pem(peer_x509(leaf_key, "good", "DNS:mail.example",
                                                            -1, 9, "middle", middle_key)),
                                    peer_key_pem(leaf_key, NULL)));
    peer_pair("self.pem", "EC", "appliance", "DNS:mail.example");
    peer_pair("rsa.pem", "RSA", "old", "DNS:mail.example");
    peer_file("small.pem",
              peer_join(peer_x509_pem(peer_x509(small, "mail.example", NULL, -1, 9, NULL, NULL)),
                        peer_key_pem(small, NULL)));
    peer_pair("client.pem", "EC", "gateway", NULL);
    EVP_PKEY_free(other);
    EVP_PKEY_free(small);
    return 0;
}

static int stop(void **state)
{
    EVP_PKEY *rsa = peer_key("RSA");

    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa); /* peer_key's own */
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(middle_key);
    EVP_PKEY_free(leaf_key);
    peer_files_clear();
    return 0;
}

/* ---- our side ---- */

/* A service with two backends of the same host. */
struct ours {
    struct config *config;
    struct tls_backend *tls; /* NULL: refused */
    char *complaints;        /* one a line */
};

/* keys: lines of its section */
static struct ours try_ours(const char *host, const char *keys)
{
    struct diagnosis *d = diagnosis_new();
    struct ours o = {NULL};
    size_t size;
    FILE *f = open_memstream(&o.complaints, &size);
    char *ini;

    assert_true(asprintf(&ini,
                         "[service mx]\nprotocol = smtp\nlisten = 127.0.0.1:2525\ntls = none\n"
                         "relay = backend\nbackend_tls = implicit\nbackend = %s:25 %s:26\n%s\n",
                         host, host, keys) > 0);
    peer_file("test.ini", ini);
    o.config = config_load("test.ini", &peer_source, "gate.example", d);
    if (o.config != NULL)
        o.tls = tls_backend_new(o.config, &o.config->service[0], &peer_source, d);
    diagnosis_print(d, f);
    fclose(f);
    assert_true((o.tls == NULL) == (diagnosis_errors(d) > 0));
    assert_int_equal(ERR_peek_error(), 0);
    diagnosis_free(d);
    return o;
}

static void ours_free(struct ours *o)
{
    tls_backend_free(o->tls);
    config_free(o->config);
    free(o->complaints);
}

static struct ours ours(const char *host, const char *keys)
{
    struct ours o = try_ours(host, keys);

    if (o.tls == NULL)
        fail_msg("%s: %s: %s", host, keys, o.complaints);
    return o;
}

#define FULL "backend_ca = root.ca\n"
#define NONE "backend_verify = none\n"

/* backend_fingerprint, as the configuration and the log write it; the caller's to free. */
static char *pin_text(const char *file, bool is_key)
{
    X509 *x = first_certificate(file);
    unsigned char digest[32], *der = NULL;
    char *text = malloc(80);
    int len = is_key ? i2d_PUBKEY(X509_get0_pubkey(x), &der) : i2d_X509(x, &der);

    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, digest, NULL), 1);
    OPENSSL_free(der);
    X509_free(x);
    len = sprintf(text, "%s-sha256:", is_key ? "key" : "cert");
    for (size_t i = 0; i < sizeof digest; i++)
        len += sprintf(text + len, "%02x", digest[i]);
    return text;
}

/* To be pasted. */
static char *pinned(char *first, char *second)
{
    char *text;

    assert_true(asprintf(&text, "backend_verify = fingerprint\nbackend_fingerprint = %s %s\n",
                         first, second == NULL ? "" : second) > 0);
    free(first);
    free(second);
    return text;
}

/* ---- their side ---- */

struct theirs {
    const char *file; /* chain and key */
    int min, max;
    const char *ciphers;
    const char *dh; /* a named group; NULL: one that suits the key */
    bool asks;      /* for a client's certificate */
    bool is_stern;  /* and ends without one */
};

static int on_any_client(X509_STORE_CTX *store, void *context)
{
    return 1;
}

static EVP_PKEY *dh_group(const char *name)
{
    char text[16];
    OSSL_PARAM param[] = {OSSL_PARAM_utf8_string("group", text, 0), OSSL_PARAM_END};
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    EVP_PKEY *group = NULL;

    snprintf(text, sizeof text, "%s", name);
    param[0].data_size = strlen(text);
    assert_int_equal(EVP_PKEY_paramgen_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(c, param), 1);
    assert_int_equal(EVP_PKEY_paramgen(c, &group), 1);
    EVP_PKEY_CTX_free(c);
    return group;
}

static SSL_CTX *server(const struct theirs *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct span text = {NULL, 0};
    const char *error;
    BIO *bio;
    X509 *x;
    EVP_PKEY *key;

    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, t->min == 0 ? TLS1_VERSION : t->min);
    SSL_CTX_set_max_proto_version(ctx, t->max);
    SSL_CTX_set_dh_auto(ctx, t->dh == NULL);
    if (t->dh != NULL)
        assert_int_equal(SSL_CTX_set0_tmp_dh_pkey(ctx, dh_group(t->dh)), 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"x", 1);
    if (t->ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, t->ciphers), 1);
    assert_true(peer_read(NULL, t->file, &text, &error));
    bio = BIO_new_mem_buf(text.data, (int)text.len);
    x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
    X509_free(x);
    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        assert_int_equal(SSL_CTX_add0_chain_cert(ctx, x), 1);
    (void)BIO_reset(bio);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    EVP_PKEY_free(key);
    BIO_free(bio);
    if (t->asks) {
        SSL_CTX_set_verify(
            ctx, SSL_VERIFY_PEER | (t->is_stern ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
        SSL_CTX_set_cert_verify_callback(ctx, on_any_client, NULL);
    }
    SSL_CTX_set_info_callback(ctx, peer_on_info);
    ERR_clear_error();
    return ctx;
}

struct met {
    bool ok, is_resumed;
    int version, alert; /* alert: what the server got, or 0 */
    char why[160];      /* in our words */
    char cipher[64], sni[64], client[64];
};

/* Shake hands until nothing moves; tickets and alerts are read. */
static void shake(SSL *client, SSL *far, struct met *m)
{
    char octet;

    peer_alert = 0;
    for (int i = 0; i < 6; i++) {
        ERR_clear_error();
        if (SSL_do_handshake(client) <= 0 && ERR_peek_error() != 0)
            tls_report_error(NULL, m->why, sizeof m->why);
        ERR_clear_error();
        SSL_accept(far);
    }
    ERR_clear_error();
    if (SSL_is_init_finished(client) && SSL_read(client, &octet, 1) <= 0 && ERR_peek_error() != 0)
        tls_report_error(NULL, m->why, sizeof m->why);
    ERR_clear_error();
    m->alert = peer_alert;
    m->ok = SSL_is_init_finished(client) && SSL_is_init_finished(far) && m->why[0] == '\0';
}

static void note(struct met *m, SSL *client, SSL *far)
{
    const char *sni = SSL_get_servername(far, TLSEXT_NAMETYPE_host_name);
    X509 *x = SSL_get1_peer_certificate(far);

    snprintf(m->sni, sizeof m->sni, "%s", sni == NULL ? "" : sni);
    if (x != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, m->client,
                                  sizeof m->client);
    X509_free(x);
    m->is_resumed = SSL_session_reused(client) == 1;
    m->version = SSL_version(client);
    snprintf(m->cipher, sizeof m->cipher, "%s", SSL_get_cipher_name(client));
}

static void join(SSL *client, SSL *far)
{
    BIO *near_end, *far_end;

    assert_true(BIO_new_bio_pair(&near_end, 65536, &far_end, 65536));
    SSL_set_bio(client, near_end, near_end);
    SSL_set_bio(far, far_end, far_end);
}

static struct met meet(struct tls_backend *b, size_t backend, SSL_CTX *ctx)
{
    struct met m = {.ok = false};
    SSL *client = tls_backend_ssl(b, backend), *far = SSL_new(ctx);

    assert_non_null(client);
    join(client, far);
    shake(client, far, &m);
    note(&m, client, far);
    if (m.ok) {
        SSL_shutdown(client); /* a session that ends in an error is not resumed */
        SSL_shutdown(far);
    }
    SSL_free(client);
    SSL_free(far);
    return m;
}

/* One meeting of new acquaintances. */
static struct met meet_once(const char *host, const char *keys, const struct theirs *t)
{
    struct ours o = ours(host, keys);
    SSL_CTX *ctx = server(t);
    struct met m = meet(o.tls, 0, ctx);

    SSL_CTX_free(ctx);
    ours_free(&o);
    return m;
}

/* why: how the words begin; NULL: all is well. */
static void judged(const char *what, const struct met *m, const char *why)
{
    if (m->ok != (why == NULL) || (why != NULL && strncmp(m->why, why, strlen(why)) != 0))
        fail_msg("%s: %s", what, m->ok ? "met" : m->why);
}

/* ---- who is believed ---- */

#define OTHER    "backend_ca = other.ca\n"
#define MIDDLE   "backend_ca = middle.ca\n"
#define SELF     "backend_ca = self.pem\n"
#define CHAIN    "backend_verify = chain\n"
#define NAMED(n) "backend_name = " n "\n"

static void chain_and_name_are_what_they_must_be(void **state)
{
    static const struct {
        const char *what, *host, *keys, *file;
        const char *why; /* it begins so; NULL: all is well */
        int alert;
    } rows[] = {
        {"full", "mail.example", FULL, "good.pem", NULL, 0},
        {"case", "MAIL.example", FULL, "good.pem", NULL, 0},
        {"wildcard", "a.wild.example", FULL, "good.pem", NULL, 0},
        {"wildcard, two labels", "a.b.wild.example", FULL, "good.pem",
         "its certificate is not for a.b.wild.example, but for mail.example, *.wild.example, "
         "192.0.2.1, 2001:db8::1",
         SSL_AD_BAD_CERTIFICATE},
        {"backend_name", "10.0.0.1", FULL NAMED("mail.example"), "good.pem", NULL, 0},
        {"wrong name", "mx.example", FULL, "good.pem",
         "its certificate is not for mx.example, but for mail.example", SSL_AD_BAD_CERTIFICATE},
        {"wrong backend_name", "mail.example", FULL NAMED("mx.example"), "good.pem",
         "its certificate is not for mx.example", SSL_AD_BAD_CERTIFICATE},
        {"common name alone", "mail.example", FULL, "cn.pem", NULL, 0},
        {"wrong common name", "mx.example", FULL, "cn.pem",
         "its certificate is not for mx.example, but for /CN=mail.example", SSL_AD_BAD_CERTIFICATE},
        {"terminal", "mail.example", FULL, "red.pem",
         "its certificate is not for mail.example, but for ?[31m, 192.0.2.1",
         SSL_AD_BAD_CERTIFICATE},
        {"no address", "mail.example", FULL, "odd.pem",
         "its certificate is not for mail.example, but for /CN=odd", SSL_AD_BAD_CERTIFICATE},
        {"IPv4", "192.0.2.1", FULL, "good.pem", NULL, 0},
        {"IPv6", "[2001:db8::1]", FULL, "good.pem", NULL, 0},
        {"wrong IPv4", "192.0.2.2", FULL, "good.pem",
         "its certificate is not for 192.0.2.2, but for mail.example", SSL_AD_BAD_CERTIFICATE},
        {"IPv4, common name alone", "192.0.2.1", FULL, "cn.pem",
         "its certificate is not for 192.0.2.1", SSL_AD_BAD_CERTIFICATE},
        {"chain", "mx.example", CHAIN FULL, "good.pem", NULL, 0},
        {"expired", "mail.example", FULL, "expired.pem", "its certificate has expired 20",
         SSL_AD_CERTIFICATE_EXPIRED},
        {"expired, chain", "mail.example", CHAIN FULL, "expired.pem",
         "its certificate has expired 20", SSL_AD_CERTIFICATE_EXPIRED},
        {"not yet", "mail.example", FULL, "early.pem", "its certificate is not valid before 20",
         SSL_AD_BAD_CERTIFICATE},
        {"unknown authority", "mail.example", CHAIN OTHER, "good.pem",
         "its chain leads to no trusted authority, it ends before /CN=root", SSL_AD_UNKNOWN_CA},
        {"intermediate missing", "mail.example", FULL, "bare.pem",
         "its chain leads to no trusted authority, it ends before /CN=middle", SSL_AD_UNKNOWN_CA},
        {"intermediate trusted", "mail.example", MIDDLE, "bare.pem", NULL, 0},
        {"self-signed", "mail.example", FULL, "self.pem",
         "its certificate is self-signed; its fingerprint is cert-sha256:", SSL_AD_UNKNOWN_CA},
        {"self-signed, trusted", "mail.example", SELF, "self.pem", NULL, 0},
        {"none: self-signed", "mail.example", NONE, "self.pem", NULL, 0},
        {"none: expired", "mx.example", NONE, "expired.pem", NULL, 0},
        {"opportunistic", "mx.example", "backend_policy = opportunistic\n", "expired.pem", NULL, 0},
    };

    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct theirs t = {.file = rows[i / 2].file,
                           .max = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION};
        struct met m = meet_once(rows[i / 2].host, rows[i / 2].keys, &t);

        judged(rows[i / 2].what, &m, rows[i / 2].why);
        assert_int_equal(m.alert, rows[i / 2].alert);
    }
}

static void pin_is_the_trust(void **state)
{
    static const struct {
        const char *what, *file;
        struct {
            const char *of;
            bool is_key;
        } pin[2];
        const char *why;
    } rows[] = {
        {"certificate", "good.pem", {{"good.pem", false}}, NULL},
        {"key", "good.pem", {{"good.pem", true}}, NULL},
        {"key, renewed and expired", "expired.pem", {{"good.pem", true}}, NULL},
        {"the old one", "expired.pem", {{"good.pem", false}}, "its fingerprint is cert-sha256:"},
        {"one of two", "self.pem", {{"good.pem", false}, {"self.pem", false}}, NULL},
        {"one of two kinds", "good.pem", {{"self.pem", false}, {"good.pem", true}}, NULL},
        {"small key", "small.pem", {{"small.pem", false}}, NULL},
        {"wrong", "self.pem", {{"good.pem", false}}, "its fingerprint is cert-sha256:"},
        {"wrong key", "self.pem", {{"good.pem", true}}, "its fingerprint is key-sha256:"},
    };

    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct theirs t = {.file = rows[i / 2].file,
                           .max = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION};
        const char *second = rows[i / 2].pin[1].of;
        char *keys = pinned(pin_text(rows[i / 2].pin[0].of, rows[i / 2].pin[0].is_key),
                            second == NULL ? NULL : pin_text(second, rows[i / 2].pin[1].is_key));
        struct met m = meet_once("anything.example", keys, &t);

        free(keys);
        judged(rows[i / 2].what, &m, rows[i / 2].why);
        assert_int_equal(m.alert, m.ok ? 0 : SSL_AD_BAD_CERTIFICATE);
    }
}

/* A digest of one kind is none of the other. */
static void pin_of_a_key_matches_no_certificate(void **state)
{
    char *of_certificate = pin_text("good.pem", false), *as_key, *keys;

    assert_true(asprintf(&as_key, "key%s", of_certificate + strlen("cert")) > 0);
    free(of_certificate);
    keys = pinned(as_key, NULL);
    assert_false(meet_once("mail.example", keys, &(struct theirs){.file = "good.pem"}).ok);
    free(keys);
}

/* What the log says can be pasted into the configuration. */
static void seen_pin_is_told_whole(void **state)
{
    const struct theirs t = {.file = "self.pem"};
    char *seen = pin_text("self.pem", false), *keys = pinned(pin_text("good.pem", false), NULL);
    struct met m = meet_once("mail.example", keys, &t);

    assert_string_equal(strstr(m.why, "cert-"), seen);
    m = meet_once("mail.example", FULL, &t);
    assert_string_equal(strstr(m.why, "cert-"), seen);
    free(keys);
    keys = pinned(strdup(strstr(m.why, "cert-")), NULL);
    assert_true(meet_once("mail.example", keys, &t).ok);
    free(keys);
    free(seen);
}

static void names_are_asked_for_and_addresses_are_not(void **state)
{
    static const struct {
        const char *host, *keys, *sni;
    } rows[] = {
        {"mail.example", "", "mail.example"},
        {"192.0.2.1", "", ""},
        {"[2001:db8::1]", "", ""},
        {"192.0.2.1", NAMED("mx.example"), "mx.example"},
        {"mail.example", NAMED("192.0.2.1"), ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct met m;
        char *keys;

        assert_true(asprintf(&keys, NONE "%s", rows[i].keys) > 0);
        m = meet_once(rows[i].host, keys, &(struct theirs){.file = "good.pem"});
        free(keys);
        assert_true(m.ok);
        assert_string_equal(m.sni, rows[i].sni);
    }
}

/* ---- versions and ciphers ---- */

#define FLOOR(v)   NONE "backend_min_tls = " v "\n"
#define CIPHERS(c) NONE "backend_ciphers = " c "\n"

static void servers_of_old_are_met_where_allowed(void **state)
{
    static const struct {
        const char *what, *keys;
        struct theirs theirs;
        int version;     /* agreed; 0: none */
        const char *why; /* part of it */
    } rows[] = {
        {"today", NONE, {"rsa.pem"}, TLS1_3_VERSION, ""},
        {"floor 1.3", FLOOR("TLSv1.3"), {"rsa.pem", 0, TLS1_2_VERSION}, 0, "version"},
        {"CBC", NONE, {"rsa.pem", 0, TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA"}, TLS1_2_VERSION, ""},
        {"kRSA", NONE, {"rsa.pem", 0, TLS1_2_VERSION, "AES128-SHA"}, 0, "handshake failure"},
        {"kRSA, written",
         CIPHERS("AES128-SHA"),
         {"rsa.pem", 0, TLS1_2_VERSION, "AES128-SHA"},
         TLS1_2_VERSION,
         ""},
        {"small DH",
         NONE,
         {"small.pem", 0, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256"},
         0,
         "its Diffie-Hellman group is too small"},
        {"small DH, written",
         CIPHERS("DHE-RSA-AES128-GCM-SHA256 @SECLEVEL=0"),
         {"small.pem", 0, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256"},
         TLS1_2_VERSION,
         ""},
        {"large DH",
         NONE,
         {"rsa.pem", 0, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", "ffdhe4096"},
         TLS1_2_VERSION,
         ""},
        {"huge DH",
         NONE,
         {"rsa.pem", 0, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", "ffdhe6144"},
         0,
         "its Diffie-Hellman group is too small"},
        {"1.0", NONE, {"rsa.pem", 0, TLS1_VERSION}, 0, "version"},
        {"1.0, allowed", FLOOR("TLSv1"), {"rsa.pem", 0, TLS1_VERSION}, TLS1_VERSION, ""},
        {"1.0, kRSA",
         FLOOR("TLSv1"),
         {"small.pem", 0, TLS1_VERSION, "AES128-SHA"},
         TLS1_VERSION,
         ""},
        {"1.0, DHE",
         FLOOR("TLSv1"),
         {"small.pem", 0, TLS1_VERSION, "DHE-RSA-AES128-SHA"},
         TLS1_VERSION,
         ""},
        {"1.1, 1.0 allowed",
         FLOOR("TLSv1"),
         {"rsa.pem", TLS1_1_VERSION, TLS1_1_VERSION},
         TLS1_1_VERSION,
         ""},
        {"1.0, 1.1 allowed", FLOOR("TLSv1.1"), {"rsa.pem", 0, TLS1_VERSION}, 0, "version"},
        {"today, 1.0 allowed", FLOOR("TLSv1"), {"rsa.pem"}, TLS1_3_VERSION, ""},
        {"nothing anonymous",
         FLOOR("TLSv1"),
         {"rsa.pem", 0, TLS1_2_VERSION, "aNULL"},
         0,
         "handshake"},
        {"nothing anonymous, whatever is written",
         CIPHERS("ALL @SECLEVEL=0"),
         {"rsa.pem", 0, TLS1_2_VERSION, "aNULL:@SECLEVEL=0"},
         0,
         "handshake"},
        {"nothing in clear",
         FLOOR("TLSv1"),
         {"rsa.pem", 0, TLS1_2_VERSION, "eNULL"},
         0,
         "handshake"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct met m = meet_once("mail.example", rows[i].keys, &rows[i].theirs);

        if (m.ok != (rows[i].version != 0) || (m.ok && m.version != rows[i].version) ||
            strstr(m.why, rows[i].why) == NULL)
            fail_msg("%s: %s %x", rows[i].what, m.why, (unsigned)m.version);
    }
}

/* A floor of old takes the key that a pin names, and a chain whose keys are small. */
static void small_keys_are_judged_by_the_floor(void **state)
{
    const struct theirs t = {.file = "small.pem", .max = TLS1_2_VERSION};
    struct met m;

    m = meet_once("mail.example", "backend_ca = small.pem\n", &t);
    judged("today", &m, "its key is too small");
    m = meet_once("mail.example", "backend_ca = small.pem\nbackend_min_tls = TLSv1\n", &t);
    judged("of old", &m, NULL);
}

static void constants_are_the_same_as_in_front(void **state)
{
    struct ours o = ours("mail.example", FULL);
    SSL *ssl = tls_backend_ssl(o.tls, 0);

    assert_true(SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION);
    assert_true(SSL_get_options(ssl) & SSL_OP_NO_COMPRESSION);
    assert_false(SSL_get_options(ssl) & SSL_OP_IGNORE_UNEXPECTED_EOF);
    assert_false(SSL_get_options(ssl) & SSL_OP_LEGACY_SERVER_CONNECT);
    assert_true(SSL_get_mode(ssl) & SSL_MODE_RELEASE_BUFFERS);
    SSL_free(ssl);
    ours_free(&o);
    o = ours("mail.example", "backend_ca = root.ca\nbackend_min_tls = TLSv1.1\n");
    ssl = tls_backend_ssl(o.tls, 0);
    assert_true(SSL_get_options(ssl) & SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_free(ssl);
    ours_free(&o);
}

/* ---- our own certificate ---- */

static void certificate_is_shown_to_who_asks(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct theirs t = {.file = "good.pem", .max = version, .asks = true};
        struct met m;

        m = meet_once("mail.example", FULL, &t);
        assert_true(m.ok);
        assert_string_equal(m.client, "");
        t.is_stern = true;
        m = meet_once("mail.example", FULL, &t);
        judged("without one", &m, "peer sent alert");
        m = meet_once("mail.example", FULL "backend_certificate = client.pem\n", &t);
        assert_true(m.ok);
        assert_string_equal(m.client, "gateway");
    }
}

/* ---- sessions ---- */

static void sessions_are_resumed_by_backend(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *ctx = server(&(struct theirs){.file = "good.pem", .max = version});
        struct ours o = ours("mail.example", FULL);
        struct met m;

        assert_false(meet(o.tls, 0, ctx).is_resumed);
        for (int i = 0; i < 3; i++) {
            m = meet(o.tls, 0, ctx);
            assert_true(m.ok);
            assert_true(m.is_resumed);
            assert_int_equal(m.version, version);
        }
        m = meet(o.tls, 1, ctx); /* another machine, which has not been verified yet */
        assert_true(m.ok);
        assert_false(m.is_resumed);
        assert_true(meet(o.tls, 1, ctx).is_resumed);
        ours_free(&o);
        SSL_CTX_free(ctx);
    }
}

/* Who has taken the backend's place cannot resume what it does not know, and is judged. */
static void no_session_makes_up_for_verification(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *right = server(&(struct theirs){.file = "good.pem", .max = version});
        SSL_CTX *wrong = server(&(struct theirs){.file = "self.pem", .max = version});
        struct ours o = ours("mail.example", FULL);

        assert_true(meet(o.tls, 0, right).ok);
        for (int i = 0; i < 2; i++) { /* nor has it left anything behind */
            struct met m = meet(o.tls, 0, wrong);

            judged("wrong", &m, "its certificate is self-signed");
            assert_false(m.is_resumed);
        }
        ours_free(&o);
        SSL_CTX_free(right);
        SSL_CTX_free(wrong);
    }
}

/* A service that verifies nothing gathers sessions with anybody: they are its own. */
static void sessions_stay_with_their_service(void **state)
{
    SSL_CTX *wrong = server(&(struct theirs){.file = "self.pem"});
    struct ours careless = ours("mail.example", NONE), careful = ours("mail.example", FULL);
    struct met m;

    assert_true(meet(careless.tls, 0, wrong).ok);
    assert_true(meet(careless.tls, 0, wrong).is_resumed);
    m = meet(careful.tls, 0, wrong);
    assert_false(m.ok);
    assert_false(m.is_resumed);
    ours_free(&careless);
    ours_free(&careful);
    SSL_CTX_free(wrong);
}

/* However often they are resumed: what was verified once is not believed for longer than that. */
static void sessions_are_verified_anew_in_time(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *ctx = server(&(struct theirs){.file = "good.pem", .max = version});
        struct ours o = ours("mail.example", FULL);

        assert_false(meet(o.tls, 0, ctx).is_resumed);
        for (int i = 0; i < 3; i++) {
            ahead_s += 1800;
            assert_true(meet(o.tls, 0, ctx).is_resumed);
        }
        ahead_s += 1800;
        assert_false(meet(o.tls, 0, ctx).is_resumed);
        assert_true(meet(o.tls, 0, ctx).is_resumed);
        ahead_s = 0;
        ours_free(&o);
        SSL_CTX_free(ctx);
    }
}

/* A tunnel has let go of its snapshot; the server sends one more ticket. */
static void connection_outlives_the_snapshot(void **state)
{
    SSL_CTX *ctx = server(&(struct theirs){.file = "good.pem", .min = TLS1_3_VERSION});
    SSL *client, *far = SSL_new(ctx);
    struct ours o = ours("mail.example", FULL);
    struct met m = {.ok = false};
    char octets[4];

    client = tls_backend_ssl(o.tls, 1);
    join(client, far);
    shake(client, far, &m);
    assert_true(m.ok);
    ours_free(&o);
    assert_int_equal(SSL_new_session_ticket(far), 1);
    assert_int_equal(SSL_write(far, "abc", 4), 4);
    assert_int_equal(SSL_read(client, octets, 4), 4);
    assert_string_equal(octets, "abc");
    assert_int_equal(SSL_write(client, "def", 4), 4);
    SSL_free(client);
    SSL_free(far);
    SSL_CTX_free(ctx);
}

/* ---- what is built, and what is refused ---- */

static X509_STORE *store_of(const struct ours *o)
{
    SSL *ssl = tls_backend_ssl(o->tls, 0);
    X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));

    SSL_free(ssl);
    return store;
}

static void same_authorities_are_read_once(void **state)
{
    struct ours first, second, third;

    peer_file(CONFIG_SYSTEM_CA, authority("root", root_key, NULL, NULL));
    first = ours("mail.example", "");
    second = ours("mail.example", CHAIN);
    third = ours("mail.example", OTHER);
    assert_ptr_equal(store_of(&first), store_of(&second));
    assert_ptr_not_equal(store_of(&first), store_of(&third));
    ours_free(&first);
    first = ours("mail.example", ""); /* a reload */
    assert_ptr_equal(store_of(&first), store_of(&second));
    ours_free(&first);
    ours_free(&second);
    ours_free(&third);
    assert_true(meet_once("mail.example", "", &(struct theirs){.file = "good.pem"}).ok);
}

static void complaints_about(const char *keys, const char *words)
{
    struct ours o = try_ours("mail.example", keys);

    if (o.tls != NULL || strstr(o.complaints, words) == NULL)
        fail_msg("expected `%s` in: %s", words, o.complaints);
    ours_free(&o);
}

static void unusable_settings_are_explained(void **state)
{
    char *pem;

    complaints_about(
        "backend_ca = gone.ca\n",
        "test.ini:8: [service mx] backend_ca: gone.ca: no such file; name a file with");
    peer_file("bad.ca", strdup("nothing\n"));
    complaints_about("backend_ca = bad.ca\n", "backend_ca: bad.ca: holds no certificate");
    peer_file("bad.ca", strdup(""));
    complaints_about("backend_ca = bad.ca\n", "backend_ca: bad.ca: holds no certificate");
    pem = authority("root", root_key, NULL, NULL);
    memcpy(strchr(pem, '\n') + 20, "@@@@", 4);
    peer_file("bad.ca", peer_join(authority("root", root_key, NULL, NULL), pem));
    complaints_about("backend_ca = bad.ca\n", "backend_ca: bad.ca: certificate 2 is broken");
    complaints_about(CIPHERS("NOTHING"), "test.ini:9: [service mx] backend_ciphers: OpenSSL has "
                                         "none of NOTHING; ask");
    complaints_about(NONE "backend_certificate = root.ca gone.key\n",
                     "test.ini:9: [service mx] backend_certificate: gone.key: no such file");
}

static void all_faults_are_named_at_once(void **state)
{
    struct ours o = try_ours("mail.example", "backend_ca = gone.ca\nbackend_ciphers = NOTHING\n");

    assert_non_null(strstr(o.complaints, "backend_ca: "));
    assert_non_null(strstr(o.complaints, "backend_ciphers: "));
    ours_free(&o);
}

static void missing_authorities_of_the_system_are_told(void **state)
{
    complaints_about("", "test.ini:1: [service mx] backend_ca: the system's authorities: no such "
                         "file; name a file with the backend's authority");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_authorities_of_the_system_are_told), /* first: they come later */
        cmocka_unit_test(chain_and_name_are_what_they_must_be),
        cmocka_unit_test(pin_is_the_trust),
        cmocka_unit_test(pin_of_a_key_matches_no_certificate),
        cmocka_unit_test(seen_pin_is_told_whole),
        cmocka_unit_test(names_are_asked_for_and_addresses_are_not),
        cmocka_unit_test(servers_of_old_are_met_where_allowed),
        cmocka_unit_test(small_keys_are_judged_by_the_floor),
        cmocka_unit_test(constants_are_the_same_as_in_front),
        cmocka_unit_test(certificate_is_shown_to_who_asks),
        cmocka_unit_test(sessions_are_resumed_by_backend),
        cmocka_unit_test(no_session_makes_up_for_verification),
        cmocka_unit_test(sessions_stay_with_their_service),
        cmocka_unit_test(sessions_are_verified_anew_in_time),
        cmocka_unit_test(connection_outlives_the_snapshot),
        cmocka_unit_test(same_authorities_are_read_once),
        cmocka_unit_test(unusable_settings_are_explained),
        cmocka_unit_test(all_faults_are_named_at_once),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
