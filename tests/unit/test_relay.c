/* SPDX-License-Identifier: ISC */
/* The tunnel's two directions, between a client with TLS and a backend without: octets whole and in
 * order, ends handed on, broken ones not, and nothing kept where nothing is stuck. */
#include "proxy/relay.h"
#include "tests/unit/stream_ends.h"

struct tunnel {
    struct ends client, backend;
};

static void open_tunnel(struct tunnel *t)
{
    shake_ends(&t->client);
    client_receives(&t->client);
    open_ends(&t->backend);
    t->backend.stream.side = SIDE_BACKEND;
}

static void close_tunnel(struct tunnel *t)
{
    close_ends(&t->backend);
    close_ends(&t->client);
}

static enum relay_result up(struct tunnel *t)
{
    return relay(&t->client.stream, &t->backend.stream, true);
}

static enum relay_result down(struct tunnel *t)
{
    return relay(&t->backend.stream, &t->client.stream, true);
}

static void client_says(struct tunnel *t, const char *text)
{
    client_writes(&t->client, text, strlen(text));
    client_sends(&t->client);
}

/* What has come to the client, after its last octet too. */
static void client_hears(struct tunnel *t, const char *text, bool is_end)
{
    char got[64];
    size_t n = 0;

    client_receives(&t->client);
    if (text[0] != '\0')
        assert_int_equal(SSL_read_ex(t->client.client, got, sizeof got, &n), 1);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
    assert_int_equal(SSL_read_ex(t->client.client, got, sizeof got, &n), 0);
    assert_int_equal(SSL_get_error(t->client.client, 0),
                     is_end ? SSL_ERROR_ZERO_RETURN : SSL_ERROR_WANT_READ);
}

static void backend_hears(struct tunnel *t, const char *text, bool is_end)
{
    char got[64];

    assert_int_equal(read(t->backend.peer, got, sizeof got), (ssize_t)strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_int_equal(read(t->backend.peer, got, 1), is_end ? 0 : -1);
}

static void octets_pass_both_ways_and_nothing_stays(void **state)
{
    struct tunnel t;

    open_tunnel(&t);
    client_says(&t, "a SELECT INBOX\r\nb");
    assert_int_equal(up(&t), RELAY_AGAIN);
    backend_hears(&t, "a SELECT INBOX\r\nb", false);
    assert_int_equal(write(t.backend.peer, "* 0 EXISTS\r\n\n.", 14), 14);
    assert_int_equal(down(&t), RELAY_AGAIN);
    client_hears(&t, "* 0 EXISTS\r\n\n.", false);
    assert_int_equal(pool_used(&blocks), 0);
    close_tunnel(&t);
}

static void what_was_kept_goes_first(void **state)
{
    struct tunnel t;

    open_tunnel(&t);
    assert_true(stream_keep(&t.client.stream, span_of("b SELECT ")));
    client_says(&t, "INBOX");
    assert_int_equal(up(&t), RELAY_AGAIN);
    backend_hears(&t, "b SELECT INBOX", false);
    assert_int_equal(pool_used(&blocks), 0);
    close_tunnel(&t);
}

static void a_good_end_is_handed_on_and_the_other_way_stays_open(void **state)
{
    struct tunnel t;

    open_tunnel(&t);
    client_says(&t, "LOGOUT");
    SSL_shutdown(t.client.client);
    client_sends(&t.client);
    assert_int_equal(up(&t), RELAY_ENDED);
    backend_hears(&t, "LOGOUT", true);
    assert_int_equal(write(t.backend.peer, "BYE", 3), 3);
    assert_int_equal(down(&t), RELAY_AGAIN);
    shutdown(t.backend.peer, SHUT_WR);
    assert_int_equal(down(&t), RELAY_ENDED);
    client_hears(&t, "BYE", true);
    close_tunnel(&t);
}

static void a_plain_end_of_tls_is_cut_and_not_handed_on(void **state)
{
    struct tunnel t;

    open_tunnel(&t);
    client_says(&t, "APPEND");
    shutdown(t.client.peer, SHUT_WR);
    assert_int_equal(up(&t), RELAY_AGAIN);
    assert_int_equal(up(&t), RELAY_CUT);
    assert_int_equal(t.client.stream.failed, STREAM_WELL);
    backend_hears(&t, "APPEND", false);
    close_tunnel(&t);
}

static void the_end_waits_behind_what_is_stuck(void **state)
{
    enum { SIZE = 1000000 };
    static char got[SIZE];
    struct tunnel t;
    char *sent = pattern(SIZE);
    size_t have = 0, written = 0;
    ssize_t n;

    open_tunnel(&t);
    while (!stream_has_out(&t.backend.stream)) {
        client_writes(&t.client, sent + written, 10000);
        client_sends(&t.client);
        written += 10000;
        assert_true(up(&t) == RELAY_AGAIN && written < SIZE);
    }
    SSL_shutdown(t.client.client);
    client_sends(&t.client);
    assert_int_equal(up(&t), RELAY_ENDED);
    while ((n = read(t.backend.peer, got + have, SIZE - have)) != 0) {
        if (n > 0)
            have += (size_t)n;
        assert_true(relay_push(&t.backend.stream, true));
    }
    assert_int_equal(have, written);
    assert_memory_equal(got, sent, have);
    assert_int_equal(pool_used(&blocks), 0);
    free(sent);
    close_tunnel(&t);
}

static void a_backend_that_takes_nothing_more_has_not_ended_well(void **state)
{
    struct tunnel t;

    open_tunnel(&t);
    assert_int_equal(write(t.backend.peer, "why", 3), 3);
    close(t.backend.peer);
    t.backend.peer = dup(t.client.peer); /* for close_ends */
    client_says(&t, "NOOP");
    assert_int_equal(up(&t), RELAY_AGAIN);
    assert_true(t.backend.stream.is_mute);
    assert_int_equal(down(&t), RELAY_AGAIN);
    client_hears(&t, "why", false);
    assert_int_equal(down(&t), RELAY_CUT);
    client_hears(&t, "", false);
    close_tunnel(&t);
}

static void bulk_is_one_read_and_one_write(void **state)
{
    enum { SIZE = 120000 };
    static char got[SIZE + 1];
    struct tunnel t;
    char *sent = pattern(SIZE);
    const int room = 4 * SIZE;

    open_tunnel(&t);
    setsockopt(t.backend.peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(t.client.stream.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    assert_int_equal(write(t.backend.peer, sent, SIZE), SIZE);
    assert_int_equal(down(&t), RELAY_AGAIN);
    assert_int_equal(t.backend.stream.octets_in, SIZE);
    assert_int_equal(pool_used(&blocks), 0);
    client_receives(&t.client);
    for (size_t have = 0, n; have < SIZE; have += n) {
        assert_int_equal(SSL_read_ex(t.client.client, got + have, SIZE - have, &n), 1);
    }
    assert_memory_equal(got, sent, SIZE);
    free(sent);
    close_tunnel(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_pass_both_ways_and_nothing_stays),
        cmocka_unit_test(what_was_kept_goes_first),
        cmocka_unit_test(a_good_end_is_handed_on_and_the_other_way_stays_open),
        cmocka_unit_test(a_plain_end_of_tls_is_cut_and_not_handed_on),
        cmocka_unit_test(the_end_waits_behind_what_is_stuck),
        cmocka_unit_test(a_backend_that_takes_nothing_more_has_not_ended_well),
        cmocka_unit_test(bulk_is_one_read_and_one_write),
    };

    return cmocka_run_group_tests(tests, start_ends, stop_ends);
}
