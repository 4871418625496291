/* SPDX-License-Identifier: ISC */
/* Several workers in one process: what they count together, and who comes first. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "proxy/quota.h"

#define WORKERS 3
#define PLACES  8

struct worker {
    int reader; /* of its board, for whom it is to be told */
    struct tally *tally;
    struct quotas *quotas;
    struct quota *mx;
};

struct fixture {
    struct ev_loop *loop;
    struct worker worker[WORKERS];
    struct quota_place place[PLACES];
    int turns[PLACES]; /* whose turn came, in order */
    int turn_count;
};

/* One of the fixture's, as the context of its turn. */
static struct fixture *f;

static void on_turn(void *context)
{
    f->turns[f->turn_count++] = (int)((struct quota_place *)context - f->place);
}

static void tell(uint32_t of, bool is_alive)
{
    for (uint32_t w = 0; w < WORKERS; w++)
        if (w != of)
            tally_set(f->worker[w].tally, of, is_alive ? dup(f->worker[of].reader) : -1);
}

/* A blank board for its life. */
static void bear(uint32_t w)
{
    struct worker *worker = &f->worker[w];
    int writer;

    worker->tally = tally_new(w, WORKERS);
    worker->quotas = quotas_new(f->loop, worker->tally);
    assert_non_null(worker->quotas);
    assert_false(tally_is_told(worker->tally));
    assert_true(board_make(TALLY_ROWS, 0, &writer, &worker->reader));
    tally_set(worker->tally, w, writer);
    assert_true(tally_is_told(worker->tally));
    worker->mx = quota_get(worker->quotas, "mx");
    assert_non_null(worker->mx);
}

static void bury(uint32_t w)
{
    struct worker *worker = &f->worker[w];

    quotas_free(worker->quotas);
    tally_free(worker->tally);
    close(worker->reader);
    *worker = (struct worker){.reader = -1};
}

static int begin(void **state)
{
    static struct fixture fixture;

    f = &fixture;
    fixture = (struct fixture){.loop = ev_loop_new(0)};
    for (uint32_t w = 0; w < WORKERS; w++)
        bear(w);
    for (uint32_t w = 0; w < WORKERS; w++)
        tell(w, true);
    for (int i = 0; i < PLACES; i++)
        f->place[i] = (struct quota_place){.on_turn = on_turn, .context = &f->place[i]};
    return 0;
}

static int end(void **state)
{
    for (uint32_t w = 0; w < WORKERS; w++)
        if (f->worker[w].quotas != NULL)
            bury(w);
    ev_loop_destroy(f->loop);
    return 0;
}

static void set_limit(uint32_t max)
{
    for (uint32_t w = 0; w < WORKERS; w++)
        quota_set_connections(f->worker[w].mx, max);
}

static void enter(uint32_t worker, int place, enum quota_state expected)
{
    assert_int_equal(quota_enter(f->worker[worker].mx, &f->place[place]), expected);
    assert_int_equal(f->place[place].state, expected);
}

static void leave(uint32_t worker, int place)
{
    quota_leave(f->worker[worker].mx, &f->place[place]);
    assert_int_equal(f->place[place].state, QUOTA_OUT);
}

static void on_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    ev_break(loop, EVBREAK_ALL);
}

/* The workers look at each other's boards for so long. */
static void wait_ms(int ms)
{
    ev_timer timer;

    ev_now_update(f->loop);
    ev_timer_init(&timer, on_time, ms / 1000., 0.);
    ev_timer_start(f->loop, &timer);
    ev_run(f->loop, 0);
}

/* These had their turn since the last time, in this order; -1 ends them. */
static void expect_turns(const int *turns)
{
    for (int i = 0; i < f->turn_count || turns[i] >= 0; i++)
        assert_int_equal(i < f->turn_count ? f->turns[i] : -1, turns[i]);
    f->turn_count = 0;
}

#define EXPECT_TURNS(...) expect_turns((const int[]){__VA_ARGS__, -1})
#define EXPECT_NO_TURN()  expect_turns((const int[]){-1})

/* ---- sums ---- */

static void sessions_are_summed_by_the_services_name(void **state)
{
    struct quota *imap[WORKERS];

    /* Rows in another order in each worker. */
    imap[0] = quota_get(f->worker[0].quotas, "imap");
    imap[2] = quota_get(f->worker[2].quotas, "other");
    imap[2] = quota_get(f->worker[2].quotas, "imap");
    quota_add_session(f->worker[0].mx);
    quota_add_session(f->worker[1].mx);
    quota_add_session(imap[0]);
    for (int i = 0; i < 5; i++)
        quota_add_session(imap[2]);
    assert_int_equal(quota_sessions(f->worker[1].mx), 2);
    assert_int_equal(quota_sessions(imap[0]), 6);
    assert_int_equal(quota_sessions(imap[2]), 6);
    quota_drop_session(imap[2]);
    assert_int_equal(quota_sessions(imap[0]), 5);
}

static void one_service_is_one_quota_for_all_snapshots(void **state)
{
    struct quotas *all = f->worker[0].quotas;
    struct quota *old = f->worker[0].mx, *again = quota_get(all, "mx");

    assert_ptr_equal(again, old);
    quota_put(again);
    quota_put(old);
    again = quota_get(all, "new");
    assert_ptr_equal(again, old); /* nobody had it */
    again = quota_get(all, "mx");
    assert_ptr_not_equal(again, old);
    quota_put(old);
    quota_put(again);
    /* Back again it is the same, though nobody has either: a name is on the board once. */
    assert_ptr_equal(quota_get(all, "mx"), again);
}

/* A session outlives the snapshots that have its service. */
static void who_shares_a_quota_keeps_its_name(void **state)
{
    struct quotas *all = f->worker[0].quotas;
    struct quota *snapshots = f->worker[0].mx, *sessions = quota_share(snapshots);

    assert_ptr_equal(sessions, snapshots);
    quota_put(snapshots);
    assert_ptr_not_equal(quota_get(all, "new"), sessions);
    assert_string_equal(quota_service(sessions), "mx");
    quota_add_session(sessions);
    assert_int_equal(quota_sessions(f->worker[1].mx), 1);
    quota_drop_session(sessions);
    quota_put(sessions);
    assert_ptr_equal(quota_get(all, "newer"), sessions);
    assert_string_equal(quota_service(sessions), "newer");
}

static void row_with_a_new_name_is_found_by_others(void **state)
{
    struct quota *reader = quota_get(f->worker[1].quotas, "late"), *late;

    quota_add_session(f->worker[0].mx);
    assert_int_equal(quota_sessions(f->worker[1].mx), 1);
    quota_drop_session(f->worker[0].mx);
    assert_int_equal(quota_sessions(reader), 0);
    quota_put(f->worker[0].mx);
    late = quota_get(f->worker[0].quotas, "late");
    quota_add_session(late);
    assert_int_equal(quota_sessions(reader), 1);
    assert_int_equal(quota_sessions(f->worker[1].mx), 0);
}

static void dead_workers_sessions_count_no_more(void **state)
{
    quota_add_session(f->worker[0].mx);
    quota_add_session(f->worker[1].mx);
    quota_add_session(f->worker[1].mx);
    assert_int_equal(quota_sessions(f->worker[0].mx), 3);
    bury(1);
    assert_int_equal(quota_sessions(f->worker[0].mx), 3); /* nobody has said so yet */
    tell(1, false);
    assert_int_equal(quota_sessions(f->worker[0].mx), 1);
    bear(1);
    tell(1, true);
    quota_add_session(f->worker[1].mx);
    assert_int_equal(quota_sessions(f->worker[0].mx), 2);
}

static void there_are_only_so_many_services(void **state)
{
    struct quotas *all = f->worker[0].quotas;
    struct quota *q = NULL;
    char name[32];

    for (int i = 1; i < TALLY_ROWS; i++) { /* one is mx */
        snprintf(name, sizeof name, "service %d", i);
        q = quota_get(all, name);
        assert_non_null(q);
    }
    assert_null(quota_get(all, "one more"));
    quota_put(q);
    assert_non_null(quota_get(all, "one more"));
    assert_null(
        quota_get(f->worker[1].quotas,
                  "a name that is longer than any section's heading may be, with some more"));
}

/* A worker that was taken over can deny service, as it can anyway; nothing more. */
static void hostile_board_is_only_wrong(void **state)
{
    struct board_load wild = {.sessions = UINT32_MAX,
                              .connections = UINT32_MAX,
                              .waiting = UINT32_MAX,
                              .first_waiting_ns = UINT64_MAX};
    struct board *b;
    int writer, reader;

    assert_true(board_make(TALLY_ROWS, 0, &writer, &reader));
    b = board_open_writer(writer, TALLY_ROWS, 0);
    tally_set(f->worker[0].tally, 1, reader);
    set_limit(1);
    quota_add_session(f->worker[0].mx);
    memset(wild.service, 'x', sizeof wild.service); /* a name without an end */
    board_put_load(b, 0, &wild);
    enter(0, 0, QUOTA_IN);
    leave(0, 0);
    strcpy(wild.service, "x");
    for (uint32_t i = 0; i < TALLY_ROWS; i++) /* rows without an end */
        board_put_load(b, i, &wild);
    enter(0, 0, QUOTA_IN);
    leave(0, 0);
    strcpy(wild.service, "mx");
    board_put_load(b, TALLY_ROWS - 1, &wild);
    assert_true(quota_sessions(f->worker[0].mx) == UINT64_C(1) + UINT32_MAX);
    enter(0, 0, QUOTA_OUT);
    board_close(b);
    tally_set(f->worker[0].tally, WORKERS, open("/dev/null", O_RDONLY));
    tally_set(f->worker[0].tally, 1, open("/dev/null", O_RDONLY));
    enter(0, 0, QUOTA_IN);
    leave(0, 0);
}

/* ---- the queue ---- */

static void without_a_limit_nobody_waits(void **state)
{
    for (int i = 0; i < PLACES; i++)
        enter(0, i, QUOTA_IN);
    for (int i = 0; i < PLACES; i++)
        leave(0, i);
    EXPECT_NO_TURN();
}

static void as_many_again_wait_and_no_more(void **state)
{
    set_limit(2);
    enter(0, 0, QUOTA_IN);
    enter(1, 1, QUOTA_IN);
    enter(2, 2, QUOTA_WAITING);
    enter(0, 3, QUOTA_WAITING);
    enter(1, 4, QUOTA_OUT);
    enter(0, 4, QUOTA_OUT);
    leave(0, 3);
    enter(1, 4, QUOTA_WAITING);
    for (int i = 0; i < PLACES; i++)
        if (f->place[i].state != QUOTA_OUT)
            leave(i == 0 || i == 3 ? 0 : i == 2 ? 2 : 1, i);
}

/* Worker 1 has not seen yet that its first may go in. */
static void who_is_about_to_go_in_waits_no_more(void **state)
{
    set_limit(1);
    enter(0, 0, QUOTA_IN);
    enter(1, 1, QUOTA_WAITING);
    enter(0, 2, QUOTA_OUT);
    leave(0, 0);
    enter(0, 2, QUOTA_WAITING);
    enter(2, 3, QUOTA_OUT);
    wait_ms(100);
    EXPECT_TURNS(1);
    leave(1, 1);
    leave(0, 2);
}

static void what_a_worker_frees_goes_to_its_first_at_once(void **state)
{
    set_limit(1);
    enter(0, 0, QUOTA_IN);
    enter(0, 1, QUOTA_WAITING);
    leave(0, 0);
    EXPECT_TURNS(1);
    assert_int_equal(f->place[1].state, QUOTA_IN);
    leave(0, 1);
    EXPECT_NO_TURN();
}

static void first_come_first_served(void **state)
{
    set_limit(3);
    for (int i = 0; i < 3; i++)
        enter(0, i, QUOTA_IN);
    for (int i = 3; i < 6; i++)
        enter(0, i, QUOTA_WAITING);
    leave(0, 4); /* gives up in the middle */
    leave(0, 1);
    EXPECT_TURNS(3);
    enter(0, 6, QUOTA_WAITING); /* nobody is free, and another waits */
    leave(0, 0);
    leave(0, 2);
    EXPECT_TURNS(5, 6);
    enter(0, 7, QUOTA_WAITING);
    leave(0, 7); /* the last gives up */
    leave(0, 3);
    leave(0, 5);
    leave(0, 6);
    EXPECT_NO_TURN();
    enter(0, 7, QUOTA_IN);
    leave(0, 7);
}

static void what_others_free_is_found(void **state)
{
    set_limit(2);
    enter(0, 0, QUOTA_IN);
    enter(0, 3, QUOTA_IN);
    enter(1, 1, QUOTA_WAITING);
    leave(0, 0);
    EXPECT_NO_TURN();           /* they don't know each other */
    enter(1, 2, QUOTA_WAITING); /* behind who has not seen it yet */
    wait_ms(100);
    EXPECT_TURNS(1);
    leave(1, 1);
    EXPECT_TURNS(2);
    leave(1, 2);
    leave(0, 3);
}

/* The elder waits with another worker: what becomes free is his, and no newcomer's either. */
static void order_holds_over_all_workers(void **state)
{
    set_limit(3);
    enter(0, 0, QUOTA_IN);
    enter(0, 1, QUOTA_IN);
    enter(0, 2, QUOTA_IN);
    enter(1, 3, QUOTA_WAITING);
    enter(0, 4, QUOTA_WAITING);
    leave(0, 0);
    EXPECT_NO_TURN(); /* worker 0's own is not the eldest */
    enter(2, 5, QUOTA_WAITING);
    leave(0, 1);
    EXPECT_TURNS(4); /* there is room for both */
    wait_ms(10);
    EXPECT_TURNS(3);
    leave(1, 3);
    wait_ms(100);
    EXPECT_TURNS(5);
    leave(0, 2);
    leave(0, 4);
    leave(2, 5);
}

/* An elder elsewhere keeps one connection for himself, not all. */
static void who_comes_new_has_what_elders_leave(void **state)
{
    set_limit(3);
    for (int i = 0; i < 3; i++)
        enter(0, i, QUOTA_IN);
    enter(1, 3, QUOTA_WAITING);
    leave(0, 0);
    enter(2, 4, QUOTA_WAITING);
    leave(0, 1);
    leave(0, 2);
    enter(0, 5, QUOTA_IN);
    enter(0, 6, QUOTA_WAITING);
    wait_ms(10);
    EXPECT_TURNS(3, 4);
    leave(0, 5);
    EXPECT_TURNS(6);
    leave(0, 6);
    leave(1, 3);
    leave(2, 4);
}

/* Worker 1 hangs with somebody in its queue. */
static void stuck_worker_holds_up_nobody_for_ever(void **state)
{
    struct board_load stuck = {.service = "mx", .waiting = 1};
    struct timespec now;
    struct board *b;
    int writer, reader;

    clock_gettime(CLOCK_MONOTONIC, &now);
    stuck.first_waiting_ns = ((uint64_t)now.tv_sec * 1000 - QUOTA_WAIT_MS) * 1000000;
    assert_true(board_make(TALLY_ROWS, 0, &writer, &reader));
    b = board_open_writer(writer, TALLY_ROWS, 0);
    board_put_load(b, 0, &stuck);
    tally_set(f->worker[0].tally, 1, reader);
    set_limit(2);
    enter(0, 0, QUOTA_IN);
    stuck.first_waiting_ns += UINT64_C(4000) * 1000000;
    board_put_load(b, 0, &stuck);
    enter(0, 1, QUOTA_WAITING);
    wait_ms(100);
    EXPECT_NO_TURN();
    leave(0, 1);
    leave(0, 0);
    board_close(b);
}

static void dead_workers_connections_are_free(void **state)
{
    set_limit(1);
    enter(1, 0, QUOTA_IN);
    enter(0, 1, QUOTA_WAITING);
    bury(1);
    tell(1, false);
    wait_ms(100);
    EXPECT_TURNS(1);
    leave(0, 1);
}

static void new_limit_is_everybodys_at_once(void **state)
{
    set_limit(1);
    enter(0, 0, QUOTA_IN);
    enter(0, 1, QUOTA_WAITING);
    quota_set_connections(f->worker[0].mx, 3);
    EXPECT_TURNS(1);
    enter(0, 2, QUOTA_IN);
    enter(0, 3, QUOTA_WAITING);
    enter(0, 4, QUOTA_WAITING);
    quota_set_connections(f->worker[0].mx, 1);
    leave(0, 0);
    leave(0, 1);
    EXPECT_NO_TURN(); /* there are as many as there may be now */
    quota_set_connections(f->worker[0].mx, CONFIG_OFF);
    EXPECT_TURNS(3, 4);
    leave(0, 2);
    leave(0, 3);
    leave(0, 4);
}

static void when_nobody_waits_nobody_looks(void **state)
{
    set_limit(1);
    enter(0, 0, QUOTA_IN);
    enter(0, 1, QUOTA_WAITING);
    assert_int_not_equal(ev_run(f->loop, EVRUN_NOWAIT), 0); /* a watcher is active */
    leave(0, 1);
    assert_int_equal(ev_run(f->loop, EVRUN_NOWAIT), 0);
    enter(0, 1, QUOTA_WAITING);
    leave(0, 0);
    assert_int_equal(ev_run(f->loop, EVRUN_NOWAIT), 0);
    leave(0, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(sessions_are_summed_by_the_services_name),
        TEST(one_service_is_one_quota_for_all_snapshots),
        TEST(who_shares_a_quota_keeps_its_name),
        TEST(row_with_a_new_name_is_found_by_others),
        TEST(dead_workers_sessions_count_no_more),
        TEST(there_are_only_so_many_services),
        TEST(hostile_board_is_only_wrong),
        TEST(without_a_limit_nobody_waits),
        TEST(as_many_again_wait_and_no_more),
        TEST(who_is_about_to_go_in_waits_no_more),
        TEST(what_a_worker_frees_goes_to_its_first_at_once),
        TEST(first_come_first_served),
        TEST(what_others_free_is_found),
        TEST(order_holds_over_all_workers),
        TEST(who_comes_new_has_what_elders_leave),
        TEST(stuck_worker_holds_up_nobody_for_ever),
        TEST(dead_workers_connections_are_free),
        TEST(new_limit_is_everybodys_at_once),
        TEST(when_nobody_waits_nobody_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
