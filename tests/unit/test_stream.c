/* SPDX-License-Identifier: ISC */
/* A stream over a socket pair, with OpenSSL's own client at the other end: what is shown, what is
 * kept, what is sent, and what a hostile peer can make it hold. */
#include "tests/unit/stream_ends.h"

/* ---- clear ---- */

static void kept_octets_come_before_new_ones(void **state)
{
    struct ends e;
    struct span in;

    open_ends(&e);
    assert_int_equal(write(e.peer, "EHLO a", 6), 6);
    assert_int_equal(stream_read(&e.stream, true, false, &in), STREAM_AGAIN);
    assert_true(stream_keep(&e.stream, in));
    assert_int_equal(write(e.peer, ".b\r\n", 4), 4);
    shows(&e, STREAM_AGAIN, "EHLO a.b\r\n");
    shows(&e, STREAM_AGAIN, "");
    close_ends(&e);
}

static void last_octets_are_shown_with_the_end(void **state)
{
    struct ends e;
    struct span in;

    open_ends(&e);
    assert_int_equal(write(e.peer, "QUIT\r\n", 6), 6);
    shutdown(e.peer, SHUT_WR);
    shows(&e, STREAM_AGAIN, "QUIT\r\n");
    assert_int_equal(stream_read(&e.stream, true, false, &in), STREAM_EOF);
    assert_true(e.stream.is_closed_in_order);
    close_ends(&e);
}

static void what_the_peer_does_not_take_is_sent_later_in_order(void **state)
{
    enum { SIZE = 700000 };
    struct ends e;
    char *sent = pattern(SIZE), *got = malloc(SIZE);
    size_t have = 0;
    ssize_t n;

    open_ends(&e);
    for (size_t at = 0; at < SIZE; at += 100000)
        stream_put(&e.stream, (struct span){sent + at, 100000}, true);
    assert_true(stream_flush(&e.stream));
    assert_true(stream_has_out(&e.stream));
    while (have < SIZE) {
        n = read(e.peer, got + have, SIZE - have);
        if (n > 0)
            have += (size_t)n;
        assert_true(stream_flush(&e.stream));
    }
    assert_memory_equal(got, sent, SIZE);
    assert_false(stream_has_out(&e.stream));
    free(sent);
    free(got);
    close_ends(&e);
}

static void many_small_pieces_are_one_write(void **state)
{
    struct ends e;
    char got[4096];
    int fd[2];

    open_ends(&e);
    stream_close(&e.stream);
    close(e.peer);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
    stream_open(&e.stream, scratch, SIDE_CLIENT, fd[0]);
    e.peer = fd[1];
    for (int i = 0; i < 500; i++)
        stream_put(&e.stream, (struct span){"ab\r\n", 4}, i % 2 == 0);
    assert_true(stream_flush(&e.stream));
    assert_int_equal(read(e.peer, got, sizeof got), 2000); /* a packet is a write */
    close_ends(&e);
}

static void pieces_of_a_closed_stream_reach_nobody_else(void **state)
{
    struct ends first, second;
    char got[64];

    open_ends(&first);
    open_ends(&second);
    stream_put(&first.stream, (struct span){"secret", 6}, false);
    stream_reset(&first.stream);
    stream_put(&second.stream, (struct span){"own", 3}, false);
    assert_true(stream_flush(&second.stream));
    assert_int_equal(read(second.peer, got, sizeof got), 3);
    close_ends(&first);
    close_ends(&second);
}

/* ---- TLS ---- */

static void bulk_is_read_whole_and_leaves_nothing(void **state)
{
    enum { SIZE = 160000 };
    struct ends e;
    char *sent = pattern(SIZE);
    char *wire;
    size_t have = 0, wire_len, at = 0;

    shake_ends(&e);
    client_writes(&e, sent, SIZE);
    wire_len = client_octets(&e, &wire);
    while (have < SIZE) {
        struct span in;
        ssize_t n = write(e.peer, wire + at, wire_len - at);
        enum stream_result result;

        at += n > 0 ? (size_t)n : 0;
        result = stream_read(&e.stream, true, true, &in);
        assert_true(result == STREAM_AGAIN || result == STREAM_MORE);
        assert_memory_equal(in.data, sent + have, in.len);
        have += in.len;
        assert_true(in.len <= sizeof scratch->window);
    }
    assert_false(stream_has_sealed(&e.stream));
    free(sent);
    close_ends(&e);
}

static void a_record_in_parts_is_opened_when_it_is_whole(void **state)
{
    struct ends e;
    char *wire;
    size_t n;

    shake_ends(&e);
    client_writes(&e, "NOOP\r\n", 6);
    n = client_octets(&e, &wire);
    for (size_t i = 0; i < n - 1; i++) {
        assert_int_equal(write(e.peer, wire + i, 1), 1);
        shows(&e, STREAM_AGAIN, "");
        assert_int_equal(e.stream.sealed.len, i + 1);
    }
    assert_int_equal(write(e.peer, wire + n - 1, 1), 1);
    shows(&e, STREAM_AGAIN, "NOOP\r\n");
    close_ends(&e);
}

static void close_notify_is_told_from_a_plain_end(void **state)
{
    struct ends e;

    for (int in_order = 0; in_order < 2; in_order++) {
        shake_ends(&e);
        client_writes(&e, "QUIT\r\n", 6);
        if (in_order)
            SSL_shutdown(e.client);
        client_sends(&e);
        shutdown(e.peer, SHUT_WR);
        shows(&e, in_order ? STREAM_EOF : STREAM_AGAIN, "QUIT\r\n");
        shows(&e, STREAM_EOF, "");
        assert_int_equal(e.stream.is_closed_in_order, in_order);
        /* Replies still reach a client that has only closed its half. */
        stream_put(&e.stream, (struct span){"221\r\n", 5}, false);
        assert_true(stream_flush(&e.stream));
        close_ends(&e);
    }
}

static void replies_of_a_wake_up_are_one_record(void **state)
{
    struct ends e;
    char got[16384];
    size_t n;

    shake_ends(&e);
    for (int i = 0; i < 100; i++)
        stream_put(&e.stream, (struct span){"250 2.1.5 Ok\r\n", 14}, false);
    assert_true(stream_flush(&e.stream));
    client_receives(&e);
    assert_int_equal(SSL_read_ex(e.client, got, sizeof got, &n), 1);
    assert_int_equal(n, 1400); /* SSL_read_ex returns one record at most */
    close_ends(&e);
}

static void tiny_records_cost_their_sender_a_turn(void **state)
{
    struct ends e;
    struct span in;

    shake_ends(&e);
    for (int i = 0; i < 200; i++)
        client_writes(&e, "x", 1);
    client_sends(&e);
    for (int left = 200; left > 0; left -= 64) {
        enum stream_result expected = left > 64 ? STREAM_MORE : STREAM_AGAIN;

        assert_int_equal(stream_read(&e.stream, true, true, &in), expected);
        assert_int_equal(in.len, left > 64 ? 64 : left);
    }
    close_ends(&e);
}

static void a_client_hello_in_tiny_records_is_answered(void **state)
{
    struct ends e;
    char *hello, wire[16384];
    enum handshake result;
    int turns = 0;
    size_t n;

    open_ends(&e);
    e.client = SSL_new(client_ctx);
    e.in = BIO_new(BIO_s_mem());
    e.out = BIO_new(BIO_s_mem());
    SSL_set_bio(e.client, e.in, e.out);
    SSL_set_connect_state(e.client);
    SSL_do_handshake(e.client);
    n = client_octets(&e, &hello);
    assert_true(n > 5 + 128);
    assert_true(6 * n < sizeof wire);
    for (size_t i = 0; i < n - 5; i++) {
        memcpy(wire + 6 * i, "\x16\x03\x01\x00\x01", 5);
        wire[6 * i + 5] = hello[5 + i];
    }
    assert_int_equal(write(e.peer, wire, 6 * (n - 5)), 6 * (n - 5));
    assert_true(stream_start_tls(&e.stream, tls_context_ssl(server_ctx)));
    result = stream_handshake(&e.stream, true);
    while (result == HANDSHAKE_MORE && turns++ < 100)
        result = stream_handshake(&e.stream, false);
    assert_int_equal(result, HANDSHAKE_AGAIN);
    assert_true(turns > 0);
    assert_int_equal(read(e.peer, wire, 5), 5); /* the server's flight */
    close_ends(&e);
}

/* Towards a backend: its greeting may come in one segment with the end of the handshake, and no poll
 * will announce it. */
static void it_plays_the_clients_role_too(void **state)
{
    struct ends e;
    char got[16];
    size_t n;

    shake_ends_as(&e, ssl_in_client_role(), tls_context_ssl(server_ctx));
    client_writes(&e, "220 hello\r\n", 11);
    client_sends(&e);
    shows(&e, STREAM_AGAIN, "220 hello\r\n");
    stream_put(&e.stream, (struct span)SPAN("QUIT\r\n"), true);
    stream_part(&e.stream);
    client_receives(&e);
    assert_int_equal(SSL_read_ex(e.client, got, sizeof got, &n), 1);
    assert_memory_equal(got, "QUIT\r\n", 6);
    assert_int_equal(SSL_read_ex(e.client, got, sizeof got, &n), 0);
    assert_int_equal(SSL_get_error(e.client, 0), SSL_ERROR_ZERO_RETURN);
    close_ends(&e);
}

static int add_to_ticket(SSL *ssl, void *context)
{
    static const char much[2000];

    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much, sizeof much);
}

/* Servers with small records send their tickets so. */
static void a_ticket_in_pieces_is_waited_for(void **state)
{
    SSL *server = tls_context_ssl(server_ctx);
    struct ends e;
    char *octets;
    size_t n;

    SSL_CTX_set_session_ticket_cb(server_ctx, add_to_ticket, NULL, NULL);
    SSL_set_max_send_fragment(server, 512);
    shake_ends_as(&e, ssl_in_client_role(), server);
    shows(&e, STREAM_AGAIN, "");
    assert_true(stream_can_write(&e.stream));
    assert_int_equal(SSL_new_session_ticket(server), 1);
    assert_int_equal(SSL_do_handshake(server), 1);
    n = client_octets(&e, &octets);
    assert_true(n > 2000);
    assert_int_equal(write(e.peer, octets, 700), 700);
    shows(&e, STREAM_AGAIN, "");
    assert_false(stream_can_write(&e.stream));
    assert_int_equal(write(e.peer, octets + 700, n - 700), (ssize_t)(n - 700));
    shows(&e, STREAM_AGAIN, "");
    assert_true(stream_can_write(&e.stream));
    SSL_CTX_set_session_ticket_cb(server_ctx, NULL, NULL, NULL);
    close_ends(&e);
}

static void a_hello_without_end_is_not_hoarded(void **state)
{
    /* A handshake message of 128 KiB, announced in its first record (RFC 8446, section 4). */
    static const char first[] = "\x16\x03\x01\x40\x00\x01\x01\xff\xff";
    enum handshake result = HANDSHAKE_AGAIN;
    char record[5 + 16384] = {0};
    struct ends e;

    open_ends(&e);
    assert_true(stream_start_tls(&e.stream, tls_context_ssl(server_ctx)));
    memcpy(record, first, sizeof first - 1);
    for (int i = 0; i < 3 && result == HANDSHAKE_AGAIN; i++) {
        assert_int_equal(write(e.peer, record, sizeof record), sizeof record);
        result = stream_handshake(&e.stream, true);
        memcpy(record + 5, "\0\0\0\0", 4);
    }
    assert_int_equal(result, HANDSHAKE_FAILED);
    assert_string_equal(e.stream.failure, "handshake too large");
    close_ends(&e);
}

static void a_starved_stream_can_still_say_so(void **state)
{
    struct buffer hoard = {0};
    char *octets = pattern(64 * BLOCK_ROOM);
    char got[64];
    size_t n;
    struct ends e;

    shake_ends(&e);
    assert_true(buffer_append(&hoard, &blocks, (struct span){octets, 64 * BLOCK_ROOM}));
    assert_false(stream_keep(&e.stream, (struct span){"EHLO", 4}));
    assert_true(e.stream.is_starved);
    stream_put(&e.stream, (struct span){"421\r\n", 5}, false);
    assert_true(stream_flush(&e.stream));
    client_receives(&e);
    assert_int_equal(SSL_read_ex(e.client, got, sizeof got, &n), 1);
    assert_int_equal(n, 5);
    buffer_clear(&hoard, &blocks);
    free(octets);
    close_ends(&e);
}

static void bulk_is_modest_when_blocks_are_scarce(void **state)
{
    for (int is_clear = 0; is_clear < 2; is_clear++) {
        struct buffer hoard = {0};
        struct ends e;
        struct span in;
        char *sent = pattern(100000);

        if (is_clear) {
            open_ends(&e);
            assert_int_equal(write(e.peer, sent, 100000), 100000);
        } else {
            shake_ends(&e);
            client_writes(&e, sent, 100000);
            client_sends(&e);
        }
        for (int i = 0; i < 33; i++)
            assert_true(buffer_append(&hoard, &blocks, (struct span){sent, BLOCK_ROOM}));
        assert_int_equal(stream_read(&e.stream, true, true, &in), STREAM_AGAIN);
        assert_true(in.len <= WINDOW_MAX);
        buffer_clear(&hoard, &blocks);
        free(sent);
        close_ends(&e);
    }
}

static void a_flood_of_key_updates_does_not_grow_memory(void **state)
{
    struct ends e;
    struct span in;

    shake_ends(&e);
    /* The client asks for an answer to each and reads none of them. */
    for (int i = 0; i < 3000; i++) {
        enum stream_result result;

        if (SSL_key_update(e.client, SSL_KEY_UPDATE_REQUESTED) != 1 ||
            SSL_do_handshake(e.client) != 1)
            break;
        client_sends(&e);
        result = stream_read(&e.stream, true, false, &in);
        assert_true(result == STREAM_AGAIN || result == STREAM_MORE);
        assert_int_equal(in.len, 0);
        assert_true(e.stream.out.len + e.stream.sealed.len < 4 * BLOCK_SIZE);
        if (stream_has_out(&e.stream))
            break; /* the session stops reading here */
    }
    close_ends(&e);
}

static void octets_that_are_no_record_are_refused(void **state)
{
    static const char *const junk[] = {"GET / HTTP/1.0\r\n\r\n", "\x17\x03\x03\xff\xff garbage",
                                       "\x17\x02", "EHLO a\r\n"};
    struct ends e;
    struct span in;

    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        shake_ends(&e);
        assert_true(write(e.peer, junk[i], strlen(junk[i])) > 0);
        shutdown(e.peer, SHUT_WR);
        for (int tries = 0; tries < 3 && !e.stream.failed && !e.stream.is_eof; tries++)
            if (stream_read(&e.stream, true, false, &in) != STREAM_FAILED)
                assert_int_equal(in.len, 0);
        assert_true(e.stream.failed || !e.stream.is_closed_in_order);
        close_ends(&e);
    }
}

static void the_clear_window_ends_with_the_clear_text(void **state)
{
    struct ends e;

    open_ends(&e);
    assert_true(stream_keep(&e.stream, (struct span){"MAIL FROM:<eve@example>\r\n", 25}));
    assert_true(stream_start_tls(&e.stream, tls_context_ssl(server_ctx)));
    assert_int_equal(e.stream.window.len, 0);
    assert_int_equal(pool_used(&blocks), 0);
    close_ends(&e);
}

/* What came in one segment with a PROXY header. */
static void a_hello_read_in_the_clear_is_answered(void **state)
{
    struct ends e;
    struct span in;
    char *hello, flight[5];
    size_t n;

    open_ends(&e);
    e.client = SSL_new(client_ctx);
    e.in = BIO_new(BIO_s_mem());
    e.out = BIO_new(BIO_s_mem());
    SSL_set_bio(e.client, e.in, e.out);
    SSL_set_connect_state(e.client);
    SSL_do_handshake(e.client);
    n = client_octets(&e, &hello);
    assert_int_equal(write(e.peer, hello, n), n);
    assert_int_equal(stream_read(&e.stream, true, false, &in), STREAM_AGAIN);
    assert_int_equal(in.len, n);
    assert_true(stream_keep_sealed(&e.stream, in));
    assert_true(stream_start_tls(&e.stream, tls_context_ssl(server_ctx)));
    assert_true(stream_has_sealed(&e.stream));
    assert_int_equal(stream_handshake(&e.stream, false), HANDSHAKE_AGAIN);
    assert_int_equal(read(e.peer, flight, sizeof flight), sizeof flight);
    close_ends(&e);
}

static void clear_octets_fail_the_handshake(void **state)
{
    struct ends e;

    open_ends(&e);
    assert_true(stream_start_tls(&e.stream, tls_context_ssl(server_ctx)));
    assert_int_equal(write(e.peer, "MAIL FROM:<eve@example>\r\n", 25), 25);
    assert_int_equal(stream_handshake(&e.stream, true), HANDSHAKE_FAILED);
    assert_non_null(e.stream.failure);
    close_ends(&e);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_octets_come_before_new_ones),
        cmocka_unit_test(last_octets_are_shown_with_the_end),
        cmocka_unit_test(what_the_peer_does_not_take_is_sent_later_in_order),
        cmocka_unit_test(many_small_pieces_are_one_write),
        cmocka_unit_test(pieces_of_a_closed_stream_reach_nobody_else),
        cmocka_unit_test(bulk_is_read_whole_and_leaves_nothing),
        cmocka_unit_test(a_record_in_parts_is_opened_when_it_is_whole),
        cmocka_unit_test(close_notify_is_told_from_a_plain_end),
        cmocka_unit_test(replies_of_a_wake_up_are_one_record),
        cmocka_unit_test(tiny_records_cost_their_sender_a_turn),
        cmocka_unit_test(a_client_hello_in_tiny_records_is_answered),
        cmocka_unit_test(a_hello_without_end_is_not_hoarded),
        cmocka_unit_test(a_starved_stream_can_still_say_so),
        cmocka_unit_test(bulk_is_modest_when_blocks_are_scarce),
        cmocka_unit_test(a_flood_of_key_updates_does_not_grow_memory),
        cmocka_unit_test(octets_that_are_no_record_are_refused),
        cmocka_unit_test(it_plays_the_clients_role_too),
        cmocka_unit_test(a_ticket_in_pieces_is_waited_for),
        cmocka_unit_test(the_clear_window_ends_with_the_clear_text),
        cmocka_unit_test(a_hello_read_in_the_clear_is_answered),
        cmocka_unit_test(clear_octets_fail_the_handshake),
    };

    return cmocka_run_group_tests(tests, start_ends, stop_ends);
}
