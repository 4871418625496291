/* SPDX-License-Identifier: ISC */
/* Facts out of chains: who is it, who vouches for it, until when, and what is missing. */
#include "proxy/probe_certificate.h"
#include "tests/unit/tls_peer.h"

static EVP_PKEY *root_key, *between_key, *leaf_key;
static X509 *root, *between, *leaf;
static X509_STORE *trusted, *nobody;

static void extend(X509 *x, EVP_PKEY *issuer, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, issuer, EVP_sha256()) > 0);
}

static X509 *authority(EVP_PKEY *key, const char *cn, const char *issuer_cn, EVP_PKEY *issuer,
                       int to)
{
    X509 *x = peer_x509(key, cn, NULL, -2, to, issuer_cn, issuer);

    extend(x, issuer == NULL ? key : issuer, NID_basic_constraints, "critical,CA:TRUE");
    return x;
}

static int set_up(void **state)
{
    root_key = peer_key("EC");
    between_key = peer_key("EC");
    leaf_key = peer_key("EC");
    root = authority(root_key, "Root", NULL, NULL, 30);
    between = authority(between_key, "Between", "Root", root_key, 30);
    leaf = peer_x509(leaf_key, "mx.example", "DNS:mx.example,DNS:*.mail.example,IP:192.0.2.1", -1,
                     10, "Between", between_key);
    trusted = X509_STORE_new();
    nobody = X509_STORE_new();
    X509_STORE_add_cert(trusted, root);
    return 0;
}

static int tear_down(void **state)
{
    X509_free(root);
    X509_free(between);
    X509_free(leaf);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(between_key);
    EVP_PKEY_free(leaf_key);
    X509_STORE_free(trusted);
    X509_STORE_free(nobody);
    return 0;
}

/* NULL ends the chain. */
static struct probe_certificate read_for(const char *name, X509_STORE *store, bool is_partial,
                                         X509 *first, X509 *second, X509 *third)
{
    X509 *const sent[] = {first, second, third};
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct probe_certificate c;

    for (size_t i = 0; i < 3 && sent[i] != NULL; i++)
        sk_X509_push(chain, sent[i]);
    probe_certificate_read(chain, store, is_partial, name, &c);
    sk_X509_free(chain);
    assert_int_equal(ERR_peek_error(), 0);
    return c;
}

static void a_whole_chain_is_trusted(void **state)
{
    struct probe_certificate c = read_for("mx.example", trusted, false, leaf, between, NULL);
    time_t now = time(NULL);

    assert_true(c.is_shown && c.is_for_name && !c.is_weak && !c.is_disordered);
    assert_int_equal(c.trust, PROBE_TRUSTED);
    assert_string_equal(c.why, "");
    assert_string_equal(c.missing, "");
    assert_string_equal(c.subject, "CN=mx.example");
    assert_string_equal(c.issuer, "CN=Between");
    assert_string_equal(c.names, "mx.example\n*.mail.example\n192.0.2.1\n");
    assert_string_equal(c.key, "ECDSA P-256");
    assert_string_equal(c.signature, "ecdsa-with-SHA256");
    assert_int_equal(c.chain_count, 2);
    assert_string_equal(c.chain[1], "CN=Between");
    assert_true(c.not_after > now + 9 * 86400 && c.not_after < now + 11 * 86400);
    assert_true(c.not_before < now);
}

static void names_are_matched_as_clients_do(void **state)
{
    static const struct {
        const char *name;
        bool is_for;
    } rows[] = {{"mx.example", true},        {"MX.Example", true},  {"a.mail.example", true},
                {"a.b.mail.example", false}, {"example", false},    {"192.0.2.1", true},
                {"192.0.2.2", false},        {"2001:db8::1", false}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(read_for(rows[i].name, trusted, false, leaf, NULL, NULL).is_for_name,
                         rows[i].is_for);
}

static void the_common_name_counts_without_other_names(void **state)
{
    X509 *x = peer_x509(leaf_key, "old server", NULL, -1, 10, NULL, NULL);
    struct probe_certificate c = read_for("old.example", nobody, false, x, NULL, NULL);

    assert_string_equal(c.names, "old server\n");
    assert_false(c.is_for_name);
    X509_free(x);
    x = peer_x509(leaf_key, "old.example", NULL, -1, 10, NULL, NULL);
    c = read_for("old.example", nobody, false, x, NULL, NULL);
    assert_true(c.is_for_name && c.is_by_common_name);
    X509_free(x);
    assert_false(read_for("mx.example", nobody, false, leaf, NULL, NULL).is_by_common_name);
}

static void an_address_as_a_name_is_told_as_one(void **state)
{
    X509 *x = peer_x509(leaf_key, "a", "DNS:192.0.2.1,DNS:2001:db8::1,DNS:a.example,IP:192.0.2.2",
                        -1, 10, NULL, NULL);
    struct probe_certificate c = read_for("192.0.2.1", nobody, false, x, NULL, NULL);

    assert_false(c.is_for_name);
    assert_string_equal(c.names, "DNS:192.0.2.1\nDNS:2001:db8::1\na.example\n192.0.2.2\n");
    X509_free(x);
}

static void dates_that_are_none_are_not_guessed(void **state)
{
    X509 *x = peer_x509(leaf_key, "mx.example", "DNS:mx.example", -1, 10, NULL, NULL);

    assert_true(read_for("mx.example", nobody, false, x, NULL, NULL).is_dated);
    ASN1_STRING_set(X509_getm_notAfter(x), "no such day!!", -1);
    assert_false(read_for("mx.example", nobody, false, x, NULL, NULL).is_dated);
    X509_free(x);
}

static void what_is_missing_has_a_name(void **state)
{
    struct probe_certificate c = read_for("mx.example", trusted, false, leaf, NULL, NULL);

    assert_int_equal(c.trust, PROBE_ISSUER_MISSING);
    assert_string_equal(c.missing, "CN=Between");
    c = read_for("mx.example", nobody, false, leaf, between, NULL);
    assert_int_equal(c.trust, PROBE_ISSUER_UNKNOWN);
    assert_string_equal(c.missing, "CN=Root");
    c = read_for("mx.example", nobody, false, leaf, between, root);
    assert_int_equal(c.trust, PROBE_ISSUER_UNKNOWN);
    assert_string_equal(c.missing, "CN=Root");
    assert_string_not_equal(c.why, "");
    /* A root that is sent makes up for nothing. */
    c = read_for("mx.example", trusted, false, leaf, root, NULL);
    assert_int_equal(c.trust, PROBE_ISSUER_MISSING);
    assert_string_equal(c.missing, "CN=Between");
    assert_true(c.is_disordered);
}

static void whoever_was_named_is_trusted(void **state)
{
    X509_STORE *store = X509_STORE_new();

    X509_STORE_add_cert(store, between);
    assert_int_equal(read_for("mx.example", store, true, leaf, NULL, NULL).trust, PROBE_TRUSTED);
    assert_int_not_equal(read_for("mx.example", store, false, leaf, NULL, NULL).trust,
                         PROBE_TRUSTED);
    X509_STORE_free(store);
}

static void order_is_seen(void **state)
{
    assert_true(read_for("mx.example", trusted, false, leaf, root, between).is_disordered);
    assert_int_equal(read_for("mx.example", trusted, false, leaf, root, between).trust,
                     PROBE_TRUSTED); /* clients sort it out */
}

static void who_vouches_for_itself(void **state)
{
    X509 *x = peer_x509(leaf_key, "self.example", "DNS:self.example", -1, 10, NULL, NULL);

    assert_int_equal(read_for("self.example", trusted, false, x, NULL, NULL).trust,
                     PROBE_SELF_SIGNED);
    X509_free(x);
}

static void dates_count_for_all_of_the_chain(void **state)
{
    X509 *past = peer_x509(leaf_key, "mx.example", "DNS:mx.example", -9, -1, "Root", root_key);
    X509 *future = peer_x509(leaf_key, "mx.example", "DNS:mx.example", 1, 9, "Root", root_key);
    X509 *old = authority(between_key, "Between", "Root", root_key, -1);
    struct probe_certificate c = read_for("mx.example", trusted, false, past, NULL, NULL);

    assert_int_equal(c.trust, PROBE_EXPIRED);
    assert_string_equal(c.why, "certificate has expired");
    assert_true(c.not_after < time(NULL));
    c = read_for("mx.example", trusted, false, future, NULL, NULL);
    assert_int_equal(c.trust, PROBE_EXPIRED);
    assert_string_equal(c.why, "certificate is not yet valid");
    assert_int_equal(read_for("mx.example", trusted, false, leaf, old, NULL).trust, PROBE_EXPIRED);
    /* Whom nobody knows is a stranger first. */
    assert_int_equal(read_for("mx.example", nobody, false, leaf, old, NULL).trust,
                     PROBE_ISSUER_UNKNOWN);
    X509_free(past);
    X509_free(future);
    X509_free(old);
}

static void weak_keys_and_signatures(void **state)
{
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    X509 *x = peer_x509(small, "a.example", NULL, -1, 9, "Root", root_key);
    struct probe_certificate c = read_for("a.example", trusted, false, x, NULL, NULL);

    assert_true(c.is_weak);
    assert_string_equal(c.key, "RSA 1024");
    assert_int_equal(c.trust, PROBE_TRUSTED); /* it is another question */
    X509_free(x);
    x = peer_x509(leaf_key, "a.example", NULL, -1, 9, "Root", root_key);
    assert_true(X509_sign(x, root_key, EVP_sha1()) > 0);
    c = read_for("a.example", trusted, false, x, NULL, NULL);
    assert_true(c.is_weak);
    assert_string_equal(c.signature, "ecdsa-with-SHA1");
    X509_free(x);
    x = peer_x509(small, "a.example", NULL, -1, 9, NULL, NULL);
    c = read_for("a.example", trusted, false, x, NULL, NULL);
    assert_true(c.is_weak);
    assert_int_equal(c.trust, PROBE_SELF_SIGNED);
    X509_free(x);
    /* By its own word it is nobody's. */
    x = peer_x509(leaf_key, "a.example", NULL, -1, 9, NULL, NULL);
    assert_true(X509_sign(x, leaf_key, EVP_sha1()) > 0);
    assert_false(read_for("a.example", trusted, false, x, NULL, NULL).is_weak);
    X509_free(x);
    EVP_PKEY_free(small);
}

/* Its own key is good, but clients at OpenSSL's level 2 refuse it nevertheless. */
static void a_weak_authority_is_not_trusted(void **state)
{
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    X509 *weak = authority(small, "Weak", "Root", root_key, 9);
    X509 *x = peer_x509(leaf_key, "mx.example", "DNS:mx.example", -1, 9, "Weak", small);
    struct probe_certificate c = read_for("mx.example", trusted, false, x, weak, NULL);

    assert_int_equal(c.trust, PROBE_DISTRUSTED);
    assert_string_equal(c.why, "CA certificate key too weak");
    assert_false(c.is_weak);
    X509_free(weak);
    weak = authority(between_key, "Between", "Root", root_key, 9);
    assert_true(X509_sign(weak, root_key, EVP_sha1()) > 0);
    c = read_for("mx.example", trusted, false, leaf, weak, NULL);
    assert_int_equal(c.trust, PROBE_DISTRUSTED);
    assert_string_equal(c.why, "CA signature digest algorithm too weak");
    X509_free(weak);
    X509_free(x);
    EVP_PKEY_free(small);
}

static void keys_have_their_plain_names(void **state)
{
    static const struct {
        const char *type;
        size_t bits;
        const char *curve, *name;
    } rows[] = {{"RSA", 2048, NULL, "RSA 2048"},
                {"EC", 0, "P-384", "ECDSA P-384"},
                {"EC", 0, "brainpoolP256r1", "ECDSA brainpoolP256r1"},
                {"ED25519", 0, NULL, "Ed25519"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        EVP_PKEY *key = rows[i].curve != NULL
                            ? EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type, rows[i].curve)
                            : EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type, rows[i].bits);
        X509 *x = peer_x509(key, "a.example", NULL, -1, 9, "Root", root_key);

        assert_string_equal(read_for("a.example", trusted, false, x, NULL, NULL).key, rows[i].name);
        X509_free(x);
        EVP_PKEY_free(key);
    }
}

static void a_purpose_that_is_not_a_servers(void **state)
{
    X509 *x = peer_x509(leaf_key, "mx.example", "DNS:mx.example", -1, 9, "Root", root_key);
    struct probe_certificate c;

    extend(x, root_key, NID_ext_key_usage, "clientAuth");
    c = read_for("mx.example", trusted, false, x, NULL, NULL);
    assert_int_equal(c.trust, PROBE_DISTRUSTED);
    assert_string_equal(c.why, "unsuitable certificate purpose");
    X509_free(x);
}

static void no_name_moves_a_terminal(void **state)
{
    X509 *x = peer_x509(leaf_key, "\x1b[2J\xc3\xa4\n", NULL, -1, 9, NULL, NULL);
    struct probe_certificate c = read_for("a.example", nobody, false, x, NULL, NULL);
    const char *const texts[] = {c.subject, c.issuer, c.chain[0]};

    for (size_t i = 0; i < 3; i++)
        for (const char *at = texts[i]; *at != '\0'; at++)
            assert_in_range(*at, ' ', '~');
    assert_string_equal(c.names, "?[2J???\n");
    X509_free(x);
}

/* As `openssl x509 -pubkey | openssl pkey -pubin -outform DER | sha256sum` has it. */
static void the_digest_is_of_the_whole_key_info(void **state)
{
    struct probe_certificate c = read_for("mx.example", trusted, false, leaf, NULL, NULL);
    unsigned char *der = NULL, digest[32];
    int len = i2d_PUBKEY(leaf_key, &der);

    assert_true(len > 0);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, digest, NULL), 1);
    assert_memory_equal(c.spki_sha256, digest, 32);
    OPENSSL_free(der);
}

static void a_long_chain_and_many_names_are_cut(void **state)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    char san[8192] = "DNS:first.example";
    struct probe_certificate c;
    X509 *x;

    for (int i = 0; i < 200; i++)
        snprintf(san + strlen(san), sizeof san - strlen(san), ",DNS:name-%d.example", i);
    x = peer_x509(leaf_key, "a", san, -1, 9, NULL, NULL);
    for (int i = 0; i < 20; i++)
        sk_X509_push(chain, x);
    probe_certificate_read(chain, nobody, false, "name-199.example", &c);
    assert_int_equal(c.chain_count, PROBE_CHAIN_MAX);
    assert_true(strlen(c.names) < sizeof c.names && strlen(c.names) > sizeof c.names - 40);
    assert_int_equal(c.names[strlen(c.names) - 1], '\n');
    assert_true(c.is_for_name);
    sk_X509_free(chain);
    X509_free(x);
}

static void nothing_shown_is_nothing_known(void **state)
{
    struct probe_certificate c;

    probe_certificate_read(NULL, nobody, false, "a.example", &c);
    assert_false(c.is_shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_chain_is_trusted),
        cmocka_unit_test(names_are_matched_as_clients_do),
        cmocka_unit_test(the_common_name_counts_without_other_names),
        cmocka_unit_test(an_address_as_a_name_is_told_as_one),
        cmocka_unit_test(dates_that_are_none_are_not_guessed),
        cmocka_unit_test(what_is_missing_has_a_name),
        cmocka_unit_test(whoever_was_named_is_trusted),
        cmocka_unit_test(order_is_seen),
        cmocka_unit_test(who_vouches_for_itself),
        cmocka_unit_test(dates_count_for_all_of_the_chain),
        cmocka_unit_test(weak_keys_and_signatures),
        cmocka_unit_test(a_weak_authority_is_not_trusted),
        cmocka_unit_test(keys_have_their_plain_names),
        cmocka_unit_test(a_purpose_that_is_not_a_servers),
        cmocka_unit_test(no_name_moves_a_terminal),
        cmocka_unit_test(the_digest_is_of_the_whole_key_info),
        cmocka_unit_test(a_long_chain_and_many_names_are_cut),
        cmocka_unit_test(nothing_shown_is_nothing_known),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
