/* SPDX-License-Identifier: ISC */
/* Tickets by real resumptions: across workers and reloads, across rotation, never across services.
 */
#include <unistd.h>

#include "proxy/tls_tickets.h"
#include "tests/unit/tls_peer.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_VERSION(i) (size_t i = 0; i < 2; i++)

static struct tls_ticket_keys keys;
static struct tls_tickets *tickets;
static struct peer_service mx, submission;

static SSL_CTX *context(const struct peer_service *s, uint32_t lifetime_s)
{
    return peer_build(s, tickets, lifetime_s);
}

/* A first handshake, for its ticket. */
static SSL_SESSION *ticket_of(SSL_CTX *ctx, int version, const char *sni)
{
    struct peer_outcome o = peer_shake(ctx, &(struct peer_wish){.max = version, .sni = sni});

    assert_true(o.ok);
    assert_false(o.is_resumed);
    assert_true(o.has_ticket);
    return o.session;
}

static bool same_ticket(const SSL_SESSION *a, const SSL_SESSION *b)
{
    const unsigned char *ticket_a, *ticket_b;
    size_t len_a, len_b;

    SSL_SESSION_get0_ticket(a, &ticket_a, &len_a);
    SSL_SESSION_get0_ticket(b, &ticket_b, &len_b);
    return len_a == len_b && memcmp(ticket_a, ticket_b, len_a) == 0;
}

/* A second one with it. The session is taken. */
static bool resumes(SSL_CTX *ctx, int version, SSL_SESSION *session, bool *is_renewed)
{
    struct peer_wish wish = {.max = version, .session = session};
    struct peer_outcome o = peer_shake(ctx, &wish);

    assert_true(o.ok); /* whether resumed or not */
    assert_int_equal(o.version, version);
    assert_non_null(strstr(o.log, o.is_resumed ? "resumed=yes" : "resumed=no"));
    if (is_renewed != NULL)
        *is_renewed = o.has_ticket && !same_ticket(session, o.session);
    SSL_SESSION_free(o.session);
    SSL_SESSION_free(session);
    return o.is_resumed;
}

static void rotate(uint32_t keep)
{
    assert_true(tls_ticket_keys_rotate(&keys, keep));
    tls_tickets_set(tickets, &keys);
}

/* Another context of the same service: another worker, or the same after a reload. */
static void ticket_resumes_in_every_context_of_its_service(void **state)
{
    SSL_CTX *one = context(&mx, 7200), *other = context(&mx, 7200);

    for
        EACH_VERSION(i)
        {
            assert_true(resumes(one, versions[i], ticket_of(one, versions[i], NULL), NULL));
            assert_true(resumes(other, versions[i], ticket_of(one, versions[i], NULL), NULL));
        }
    tls_context_free(one);
    tls_context_free(other);
}

static void ticket_of_a_second_certificate_resumes(void **state)
{
    SSL_CTX *ctx = context(&mx, 7200);

    for
        EACH_VERSION(i)
        {
            SSL_SESSION *session = ticket_of(ctx, versions[i], "b.example");
            struct peer_wish wish = {.max = versions[i], .sni = "b.example", .session = session};
            struct peer_outcome o = peer_shake(ctx, &wish);

            assert_true(o.is_resumed);
            assert_non_null(strstr(o.log, "sni=b.example"));
            SSL_SESSION_free(o.session);
            SSL_SESSION_free(session);
        }
    tls_context_free(ctx);
}

static void ticket_of_one_service_opens_no_other(void **state)
{
    SSL_CTX *one = context(&mx, 7200), *other = context(&submission, 7200);

    for
        EACH_VERSION(i)
        {
            assert_false(resumes(other, versions[i], ticket_of(one, versions[i], NULL), NULL));
            /* nor by way of a name that both serve */
            assert_false(
                resumes(other, versions[i], ticket_of(one, versions[i], "b.example"), NULL));
        }
    tls_context_free(one);
    tls_context_free(other);
}

static void older_key_opens_and_renews(void **state)
{
    SSL_CTX *ctx = context(&mx, 7200);

    for
        EACH_VERSION(i)
        {
            SSL_SESSION *session = ticket_of(ctx, versions[i], NULL);
            bool is_renewed;

            rotate(3);
            rotate(3);
            assert_true(resumes(ctx, versions[i], session, &is_renewed));
            assert_true(is_renewed);
        }
    tls_context_free(ctx);
}

/* RFC 8446, appendix C.4: a client should use no ticket twice, so it needs another each time. */
static void each_resumption_brings_the_next_ticket(void **state)
{
    SSL_CTX *ctx = context(&mx, 7200);
    SSL_SESSION *session = ticket_of(ctx, TLS1_3_VERSION, NULL);
    bool is_renewed;

    assert_true(resumes(ctx, TLS1_3_VERSION, session, &is_renewed));
    assert_true(is_renewed);
    /* TLS 1.2 says nothing like that, and a new one would cost octets. */
    session = ticket_of(ctx, TLS1_2_VERSION, NULL);
    assert_true(resumes(ctx, TLS1_2_VERSION, session, &is_renewed));
    assert_false(is_renewed);
    tls_context_free(ctx);
}

static void key_that_left_opens_nothing(void **state)
{
    SSL_CTX *ctx = context(&mx, 7200);

    for
        EACH_VERSION(i)
        {
            SSL_SESSION *session = ticket_of(ctx, versions[i], NULL);

            rotate(2);
            rotate(2);
            assert_int_equal(keys.count, 2);
            assert_false(resumes(ctx, versions[i], session, NULL));
        }
    tls_context_free(ctx);
}

static void tickets_end_with_their_lifetime(void **state)
{
    SSL_CTX *ctx = context(&mx, 1);
    SSL_SESSION *old[2];

    for
        EACH_VERSION(i)
    old[i] = ticket_of(ctx, versions[i], NULL);
    sleep(3); /* OpenSSL counts whole seconds */
    for
        EACH_VERSION(i)
        {
            SSL_SESSION_set_timeout(old[i], 1000); /* or the client itself would not try */
            assert_false(resumes(ctx, versions[i], old[i], NULL));
        }
    tls_context_free(ctx);
}

static void no_tickets_where_none_are_wanted_or_none_can_be_made(void **state)
{
    static const struct tls_ticket_keys none = {.count = 0};
    struct tls_tickets *empty = tls_tickets_new();
    SSL_CTX *off = context(&mx, 0), *keyless = peer_build(&mx, empty, 7200);

    tls_tickets_set(empty, &none);
    for
        EACH_VERSION(i)
        {
            struct peer_outcome o = peer_shake(off, &(struct peer_wish){.max = versions[i]});

            assert_true(o.ok);
            assert_false(o.has_ticket);
            SSL_SESSION_free(o.session);
            o = peer_shake(keyless, &(struct peer_wish){.max = versions[i]});
            assert_true(o.ok);
            assert_false(o.has_ticket);
            SSL_SESSION_free(o.session);
        }
    tls_context_free(off);
    tls_context_free(keyless);
    tls_tickets_free(empty);
}

static void rotation_puts_a_fresh_key_in_front(void **state)
{
    struct tls_ticket_keys k = {.count = 0}, before;

    for (uint32_t i = 1; i <= 12; i++) {
        before = k;
        assert_true(tls_ticket_keys_rotate(&k, 100));
        assert_int_equal(k.count, i < TLS_TICKET_KEYS_MAX ? i : TLS_TICKET_KEYS_MAX);
        assert_memory_equal(k.key + 1, before.key, (k.count - 1) * sizeof *k.key);
        assert_memory_not_equal(k.key, before.key, sizeof *k.key);
    }
    assert_true(tls_ticket_keys_rotate(&k, 2));
    assert_int_equal(k.count, 2);
    for (size_t i = 2; i < TLS_TICKET_KEYS_MAX; i++) /* the old ones are gone */
        assert_memory_equal(&k.key[i], &(struct tls_ticket_key){{0}}, sizeof *k.key);
    assert_true(tls_ticket_keys_rotate(&k, 0));
    assert_int_equal(k.count, 1);
}

static int start(void **state)
{
    if (!tls_library_start())
        return -1;
    peer_pair("a.pem", "EC", "a", "DNS:a.example");
    peer_pair("b.pem", "EC", "b", "DNS:b.example");
    peer_service(&mx, "mx", PATHS("a.pem", "b.pem"));
    peer_service(&submission, "submission", PATHS("a.pem", "b.pem"));
    tickets = tls_tickets_new();
    if (tickets == NULL)
        return -1;
    rotate(3);
    return 0;
}

static int stop(void **state)
{
    tls_tickets_free(tickets);
    peer_files_clear();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticket_resumes_in_every_context_of_its_service),
        cmocka_unit_test(ticket_of_a_second_certificate_resumes),
        cmocka_unit_test(ticket_of_one_service_opens_no_other),
        cmocka_unit_test(older_key_opens_and_renews),
        cmocka_unit_test(each_resumption_brings_the_next_ticket),
        cmocka_unit_test(key_that_left_opens_nothing),
        cmocka_unit_test(tickets_end_with_their_lifetime),
        cmocka_unit_test(no_tickets_where_none_are_wanted_or_none_can_be_made),
        cmocka_unit_test(rotation_puts_a_fresh_key_in_front),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
