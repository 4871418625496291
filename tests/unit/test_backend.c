/* SPDX-License-Identifier: ISC */
/* Which backend comes next, and what the scout hears of those that were no good. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "proxy/backend.h"

#define BACKENDS 3
#define WORKERS  2

static const struct endpoint backends[BACKENDS] = {
    {.text = "192.0.2.1:25"}, {.text = "192.0.2.2:25"}, {.text = "192.0.2.3:25"}};
static struct service config;
static struct board *scout;
static struct snapshot snapshot;
static const struct address client = {ADDRESS_V4, {198, 51, 100, 1}, 0};

/* Each with its own count, as in one process each. */
static struct worker {
    struct tally *tally;
    struct quotas *quotas;
    struct snapshot_service service;
} worker[WORKERS];
static struct ev_loop *loop;

/* ---- fixture ---- */

static void open_tallies(void)
{
    for (uint32_t w = 0; w < WORKERS; w++)
        worker[w].tally = tally_new(w, WORKERS);
    for (uint32_t w = 0; w < WORKERS; w++) {
        int writer, reader;

        assert_true(board_make(TALLY_ROWS, 0, &writer, &reader));
        tally_set(worker[w].tally, w, writer);
        tally_set(worker[1 - w].tally, w, reader);
        worker[w].quotas = quotas_new(loop, worker[w].tally);
    }
}

static int begin(void **state)
{
    int writer, reader, own_writer, own_reader;

    assert_true(board_make(0, BACKENDS, &writer, &reader));
    assert_true(board_make(0, BACKENDS, &own_writer, &own_reader));
    scout = board_open_writer(writer, 0, BACKENDS);
    snapshot.scout = board_open_reader(reader, 0, BACKENDS);
    snapshot.own = board_open_writer(own_writer, 0, BACKENDS);
    board_close(board_open_reader(own_reader, 0, BACKENDS));
    loop = ev_loop_new(EVFLAG_AUTO);
    open_tallies();
    config = (struct service){.name = "mx", .backend = backends, .backend_count = BACKENDS};
    return 0;
}

static void end_balance(void)
{
    for (uint32_t w = 0; w < WORKERS; w++) {
        backend_pool_free(worker[w].service.pool);
        worker[w].service.pool = NULL;
    }
}

static int end(void **state)
{
    end_balance();
    for (uint32_t w = 0; w < WORKERS; w++) {
        quotas_free(worker[w].quotas);
        tally_free(worker[w].tally);
    }
    ev_loop_destroy(loop);
    board_close(scout);
    board_close(snapshot.scout);
    board_close(snapshot.own);
    return 0;
}

static void set_balance(enum balance balance)
{
    end_balance();
    config.balance = balance;
    for (uint32_t w = 0; w < WORKERS; w++) {
        worker[w].service = (struct snapshot_service){
            .config = &config, .pool = backend_pool_new(&config, worker[w].quotas)};
        assert_non_null(worker[w].service.pool);
    }
}

/* ---- what the board says ---- */

static void put(size_t i, enum backend_health health, uint32_t addresses, uint64_t up_since_ms)
{
    struct board_backend b = {.health = health,
                              .is_resolved = true,
                              .address_count = addresses,
                              .up_since_ms = up_since_ms};

    for (uint32_t a = 0; a < addresses; a++)
        b.address[a].v4.sin_family = AF_INET;
    board_put_backend(scout, i, &b);
}

static void all_up(void)
{
    for (size_t i = 0; i < BACKENDS; i++)
        put(i, BACKEND_UP, 1, 0);
}

static uint32_t failures(size_t backend)
{
    struct board_experience met;

    board_get_experience(snapshot.own, backend, &met);
    return met.failures;
}

/* ---- sessions ---- */

static enum backend_next next(struct backend_try *t, uint32_t w)
{
    return backend_next(t, &snapshot, &worker[w].service, &client);
}

static uint32_t found(struct backend_try *t, uint32_t w)
{
    assert_int_equal(next(t, w), BACKEND_NEXT_FOUND);
    return t->backend;
}

/* A session that finds all three, one after the other, and then none. */
static void finds_all_once(enum balance balance)
{
    struct backend_try t = {0};
    uint32_t seen = 0;

    set_balance(balance);
    for (int i = 0; i < BACKENDS; i++)
        seen |= 1u << found(&t, 0);
    assert_int_equal(seen, 7);
    assert_int_equal(next(&t, 0), BACKEND_NEXT_NONE);
    assert_null(t.load);
}

static void failover_is_the_order_of_the_configuration(void **state)
{
    struct backend_try t = {0};

    set_balance(BALANCE_FAILOVER);
    all_up();
    put(0, BACKEND_UNKNOWN, 2, 0);
    for (uint32_t i = 0; i < BACKENDS; i++)
        assert_int_equal(found(&t, 0), i);
    assert_int_equal(next(&t, 0), BACKEND_NEXT_NONE);
}

static void in_every_form_each_is_tried_once(void **state)
{
    all_up();
    finds_all_once(BALANCE_FAILOVER);
    finds_all_once(BALANCE_ROUNDROBIN);
    finds_all_once(BALANCE_LEASTCONN);
    finds_all_once(BALANCE_SOURCE);
}

static void what_is_down_is_left_out(void **state)
{
    struct backend_try t = {0};

    set_balance(BALANCE_FAILOVER);
    all_up();
    put(0, BACKEND_DOWN, 1, 0);
    put(2, BACKEND_DOWN, 1, 0);
    assert_int_equal(found(&t, 0), 1);
    assert_int_equal(next(&t, 0), BACKEND_NEXT_NONE);
    assert_false(backend_all_down(&snapshot, &worker[0].service));
    put(1, BACKEND_DOWN, 1, 0);
    assert_true(backend_all_down(&snapshot, &worker[0].service));
}

static void who_has_no_address_is_left_out(void **state)
{
    struct backend_try t = {0};

    set_balance(BALANCE_FAILOVER);
    all_up();
    put(0, BACKEND_UNKNOWN, 0, 0);
    assert_int_equal(found(&t, 0), 1);
}

static void what_is_not_resolved_is_asked_for_again(void **state)
{
    static const struct board_backend unresolved = {.health = BACKEND_UNKNOWN};
    struct backend_try t = {0};

    set_balance(BALANCE_FAILOVER);
    for (size_t i = 0; i < BACKENDS; i++)
        board_put_backend(scout, i, &unresolved);
    assert_int_equal(next(&t, 0), BACKEND_NEXT_LATER);
    put(1, BACKEND_UNKNOWN, 1, 0);
    assert_int_equal(found(&t, 0), 1);
    assert_int_equal(next(&t, 0), BACKEND_NEXT_NONE);
}

/* Two failures in a row close a backend for everybody, so one session must not be able to. */
static void a_session_counts_as_one_failure_at_most(void **state)
{
    struct backend_try t = {0};

    set_balance(BALANCE_FAILOVER);
    all_up();
    (void)found(&t, 0);
    t.has_failed = true; /* at one address, and at another */
    assert_int_equal(failures(0), 0);
    (void)found(&t, 0);
    assert_int_equal(failures(0), 1);
    backend_note_success(&t, &snapshot, &worker[0].service);
    assert_int_equal(failures(0), 1);
    assert_int_equal(failures(1), 0);
}

static void the_last_one_is_told_of_too(void **state)
{
    struct backend_try t = {0};

    set_balance(BALANCE_FAILOVER);
    put(0, BACKEND_UP, 1, 0);
    put(1, BACKEND_DOWN, 1, 0);
    put(2, BACKEND_DOWN, 1, 0);
    (void)found(&t, 0);
    t.has_failed = true;
    assert_int_equal(next(&t, 0), BACKEND_NEXT_NONE);
    assert_int_equal(failures(0), 1);
    assert_int_equal(next(&t, 0), BACKEND_NEXT_NONE);
    assert_int_equal(failures(0), 1);
}

/* Sessions of both workers, held; each goes where there are fewest of all. */
static void connections_of_all_workers_count(void **state)
{
    struct backend_try t[12] = {0}, later[4] = {0};
    uint32_t got[BACKENDS] = {0};

    set_balance(BALANCE_LEASTCONN);
    all_up();
    for (uint32_t i = 0; i < 12; i++)
        got[found(&t[i], i / 8)]++; /* eight of the one, four of the other */
    for (uint32_t i = 0; i < BACKENDS; i++)
        assert_int_equal(got[i], 4);
    for (uint32_t i = 0; i < 12; i++)
        if (t[i].backend == 1)
            backend_let_go(&t[i]);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(found(&later[i], 1), 1);
    for (uint32_t i = 0; i < 12; i++)
        backend_let_go(&t[i]);
    for (uint32_t i = 0; i < 4; i++)
        backend_let_go(&later[i]);
}

/* In a tunnel a session has let go of its snapshot. */
static void a_session_counts_longer_than_its_snapshot(void **state)
{
    struct backend_try t = {0}, later = {0};
    uint32_t first;

    set_balance(BALANCE_LEASTCONN);
    all_up();
    put(2, BACKEND_DOWN, 1, 0);
    first = found(&t, 0);
    set_balance(BALANCE_LEASTCONN);
    assert_int_not_equal(found(&later, 1), first);
    backend_let_go(&later);
    backend_let_go(&t);
    backend_let_go(&t); /* no harm */
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A newcomer gets little at first, but all where it is alone. */
static void who_comes_back_starts_slowly(void **state)
{
    static const enum balance balance[] = {BALANCE_ROUNDROBIN, BALANCE_LEASTCONN};

    for (size_t b = 0; b < 2; b++) {
        struct backend_try t[40] = {0}, alone = {0};
        uint32_t got = 0;

        set_balance(balance[b]);
        all_up();
        put(1, BACKEND_UP, 1, now_ms() - 3000); /* a tenth of a share: 4 of 2 * 40 / 2.1 */
        put(2, BACKEND_DOWN, 1, 0);
        for (uint32_t i = 0; i < 40; i++)
            got += found(&t[i], 0) == 1;
        assert_in_range(got, 2, 5);
        put(0, BACKEND_DOWN, 1, 0);
        assert_int_equal(found(&alone, 0), 1);
        backend_let_go(&alone);
        for (uint32_t i = 0; i < 40; i++)
            backend_let_go(&t[i]);
    }
}

static void a_source_stays_where_it_is(void **state)
{
    struct backend_try t = {0}, again = {0}, without = {0};
    uint32_t first, second;

    set_balance(BALANCE_SOURCE);
    all_up();
    first = found(&t, 0);
    second = found(&t, 0);
    assert_int_equal(found(&again, 1), first);
    put(first, BACKEND_DOWN, 1, 0);
    assert_int_equal(found(&without, 1), second);
}

static void the_written_source_is_where_we_come_from(void **state)
{
    const struct dial_from *from;

    config.backend_source_v6 = "2001:db8::7";
    set_balance(BALANCE_FAILOVER);
    from = &worker[0].service.pool->from;
    assert_int_equal(from->v4.any.sa_family, AF_UNSPEC);
    assert_int_equal(from->v6.v6.sin6_family, AF_INET6);
    assert_int_equal(from->v6.v6.sin6_addr.s6_addr[15], 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(failover_is_the_order_of_the_configuration),
        TEST(in_every_form_each_is_tried_once),
        TEST(what_is_down_is_left_out),
        TEST(who_has_no_address_is_left_out),
        TEST(what_is_not_resolved_is_asked_for_again),
        TEST(a_session_counts_as_one_failure_at_most),
        TEST(the_last_one_is_told_of_too),
        TEST(connections_of_all_workers_count),
        TEST(a_session_counts_longer_than_its_snapshot),
        TEST(who_comes_back_starts_slowly),
        TEST(a_source_stays_where_it_is),
        TEST(the_written_source_is_where_we_come_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
