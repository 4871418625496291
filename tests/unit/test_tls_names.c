/* SPDX-License-Identifier: ISC */
/* The table from names to contexts, without a handshake. */
#include "proxy/tls_names.h"
#include "tests/unit/tls_peer.h"

static SSL_CTX *ctx[3];
static EVP_PKEY *key;

static X509 *named(const char *cn, const char *san)
{
    return peer_x509(key, cn, san, -1, 1, NULL, NULL);
}

/* Adds the names of a certificate and says which one was taken. */
static const char *add(struct tls_names *n, const char *cn, const char *san, SSL_CTX *to)
{
    X509 *x = named(cn, san);
    const char *taken;

    assert_true(tls_names_add(n, x, to, &taken));
    X509_free(x);
    return taken;
}

static SSL_CTX *find(const struct tls_names *n, const char *name)
{
    return tls_names_find(n, span_of(name));
}

static void exact_then_wildcard_then_nothing(void **state)
{
    struct tls_names *n = tls_names_new();

    assert_null(add(n, "x", "DNS:mail.a.example,DNS:*.b.example", ctx[0]));
    assert_null(add(n, "x", "DNS:mail.b.example,DNS:c.example,DNS:f*.d.example", ctx[1]));
    assert_ptr_equal(find(n, "mail.a.example"), ctx[0]);
    assert_ptr_equal(find(n, "mail.b.example"), ctx[1]);
    assert_ptr_equal(find(n, "other.b.example"), ctx[0]);
    assert_ptr_equal(find(n, "OTHER.B.Example"), ctx[0]);
    assert_ptr_equal(find(n, "c.example."), ctx[1]);
    assert_null(find(n, "b.example"));
    assert_null(find(n, ".b.example"));
    assert_null(find(n, "a.other.b.example"));
    assert_null(find(n, "foo.d.example")); /* only a whole label may be a wildcard */
    assert_null(find(n, "example"));
    assert_null(find(n, ""));
    assert_null(find(n, "."));
    tls_names_free(n);
}

static void common_name_counts_only_without_dns_names(void **state)
{
    struct tls_names *n = tls_names_new();

    assert_null(add(n, "cn.example", "DNS:san.example", ctx[0]));
    assert_null(find(n, "cn.example"));
    assert_null(add(n, "cn.example", "IP:192.0.2.1,email:a@b.example", ctx[1]));
    assert_ptr_equal(find(n, "cn.example"), ctx[1]);
    assert_null(find(n, "192.0.2.1"));
    assert_null(add(n, "plain.example", NULL, ctx[2]));
    assert_ptr_equal(find(n, "plain.example"), ctx[2]);
    tls_names_free(n);
}

static void first_certificate_keeps_a_name(void **state)
{
    struct tls_names *n = tls_names_new();

    assert_null(add(n, "x", "DNS:a.example", ctx[0]));
    assert_null(add(n, "x", "DNS:a.example", ctx[0])); /* the other type of key */
    assert_string_equal(add(n, "x", "DNS:b.example,DNS:A.example", ctx[1]), "a.example");
    assert_ptr_equal(find(n, "a.example"), ctx[0]);
    assert_ptr_equal(find(n, "b.example"), ctx[1]);
    tls_names_free(n);
}

static void names_that_are_none_are_left_out(void **state)
{
    struct tls_names *n = tls_names_new();
    char name[300], longest[256];

    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(longest, name, 255);
    longest[255] = '\0';
    assert_null(find(n, name));
    assert_null(find(n, longest));
    assert_null(tls_names_find(n, (struct span){"a\0b", 3}));
    assert_null(tls_names_find(n, (struct span){NULL, 0}));
    tls_names_free(n);
}

static void many_names_are_all_found(void **state)
{
    struct tls_names *n = tls_names_new();
    char name[64];

    for (unsigned int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "DNS:n%u.example", i * 7919 % 300);
        assert_null(add(n, "x", name, ctx[i * 7919 % 300 % 3]));
    }
    for (unsigned int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        assert_ptr_equal(find(n, name), ctx[i % 3]);
    }
    tls_names_free(n);
}

static void same_names_in_any_order_and_case(void **state)
{
    X509 *a = named("x", "DNS:a.example,DNS:*.b.example"),
         *b = named("y", "DNS:*.B.example,DNS:A.example");
    X509 *c = named("x", "DNS:a.example"), *d = named("a.example", NULL);

    assert_true(tls_names_same(a, b));
    assert_false(tls_names_same(a, c));
    assert_true(tls_names_same(c, d));
    X509_free(a);
    X509_free(b);
    X509_free(c);
    X509_free(d);
}

static int start(void **state)
{
    key = peer_key("EC");
    for (size_t i = 0; i < 3; i++)
        ctx[i] = SSL_CTX_new(TLS_server_method());
    return key == NULL ? -1 : 0;
}

static int stop(void **state)
{
    EVP_PKEY_free(key);
    for (size_t i = 0; i < 3; i++)
        SSL_CTX_free(ctx[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_then_wildcard_then_nothing),
        cmocka_unit_test(common_name_counts_only_without_dns_names),
        cmocka_unit_test(first_certificate_keeps_a_name),
        cmocka_unit_test(names_that_are_none_are_left_out),
        cmocka_unit_test(many_names_are_all_found),
        cmocka_unit_test(same_names_in_any_order_and_case),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
