/* SPDX-License-Identifier: ISC */
/* Who gets how many of the sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/spread.h"

#define BACKENDS 4

static struct spread spread;
static struct spread_choice choice[BACKENDS];
static size_t got[BACKENDS];

static const char *const text[BACKENDS] = {"192.0.2.1:25", "192.0.2.2:25", "mx.example.net:25",
                                           "[2001:db8::1]:25"};

static int begin(void **state)
{
    spread_init(&spread, BACKENDS, 0);
    for (uint32_t i = 0; i < BACKENDS; i++) {
        choice[i] = (struct spread_choice){i, SPREAD_FULL_SHARE, 0, text[i]};
        got[i] = 0;
    }
    return 0;
}

/* Round robin among the first `count`. */
static void take_turns(size_t count, size_t times)
{
    memset(got, 0, sizeof got);
    while (times-- > 0)
        got[choice[spread_in_turn(&spread, choice, count)].backend]++;
}

/* Sessions that stay, by fewest connections. */
static void hold(size_t count, size_t times)
{
    while (times-- > 0)
        choice[spread_by_connections(&spread, choice, count)].connections++;
}

static void each_has_its_turn(void **state)
{
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < BACKENDS; i++)
            assert_int_equal(spread_in_turn(&spread, choice, BACKENDS), i);
}

static void whoever_begins_is_drawn_by_lot(void **state)
{
    for (uint32_t random = 0; random < 9; random++) {
        spread_init(&spread, BACKENDS, random);
        assert_int_equal(spread_in_turn(&spread, choice, BACKENDS), random % BACKENDS);
        spread_init(&spread, BACKENDS, random);
        assert_int_equal(spread_by_connections(&spread, choice, BACKENDS), random % BACKENDS);
    }
}

/* A third of a share, among three: one of seven. Nobody else gets more than another. */
static void a_small_share_has_fewer_turns(void **state)
{
    choice[1].share = SPREAD_FULL_SHARE / 3;
    take_turns(3, 700);
    assert_int_equal(got[0], 300);
    assert_int_equal(got[1], 100);
    assert_int_equal(got[2], 300);
}

static void turns_are_even_whoever_is_away(void **state)
{
    take_turns(3, 99);
    choice[1] = choice[2]; /* 1 is away */
    take_turns(2, 100);
    assert_int_equal(got[0], 50);
    assert_int_equal(got[2], 50);
}

static void who_is_alone_gets_all_with_the_smallest_share(void **state)
{
    choice[0].share = 1;
    take_turns(1, 10);
    assert_int_equal(got[0], 10);
    assert_int_equal(spread_by_connections(&spread, choice, 1), 0);
}

static void fewest_connections_come_first(void **state)
{
    choice[0].connections = 5;
    choice[1].connections = 3;
    choice[2].connections = 4;
    hold(3, 6);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(choice[i].connections, 6);
}

/* Short sessions: there is never one open when the next one comes. */
static void equals_have_their_turns(void **state)
{
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(spread_by_connections(&spread, choice, 3), i % 3);
}

static void connections_are_measured_by_the_share(void **state)
{
    choice[0].share = SPREAD_FULL_SHARE / 4;
    hold(2, 50);
    assert_int_equal(choice[0].connections, 10);
    assert_int_equal(choice[1].connections, 40);
}

static void a_share_grows_for_thirty_seconds(void **state)
{
    assert_int_equal(spread_share(0, 1000000), SPREAD_FULL_SHARE);
    assert_int_equal(spread_share(1000000, 1000000), 1);
    assert_int_equal(spread_share(1000000, 1003000), SPREAD_FULL_SHARE / 10);
    assert_int_equal(spread_share(1000000, 1015000), SPREAD_FULL_SHARE / 2);
    assert_int_equal(spread_share(1000000, 1030000), SPREAD_FULL_SHARE);
    assert_int_equal(spread_share(1000000, 9000000), SPREAD_FULL_SHARE);
    assert_int_equal(spread_share(UINT64_MAX, 1000000), 1);
}

/* Half a minute with a hundred sessions a second. */
static void a_newcomer_gets_its_part_little_by_little(void **state)
{
    size_t early = 0, all = 0;

    for (uint64_t ms = 0; ms < SPREAD_FULL_SHARE; ms += 10) {
        choice[1].share = spread_share(500, 500 + ms);
        if (spread_in_turn(&spread, choice, 2) != 1)
            continue;
        early += ms < SPREAD_FULL_SHARE / 2;
        all++;
    }
    assert_in_range(early, 280, 290); /* of s/(1+s), which is its part when its share is s: ... */
    assert_in_range(all, 915, 925);   /* ... 1/2 - ln 3/2 and 1 - ln 2 of all 3000 */
}

static size_t by_source(uint32_t client, size_t count)
{
    unsigned char address[16] = {[10] = 0xff, [11] = 0xff, 198, 51};

    address[14] = (unsigned char)(client >> 8);
    address[15] = (unsigned char)client;
    return choice[spread_by_source(address, choice, count)].backend;
}

static void sources_are_spread_evenly(void **state)
{
    for (uint32_t client = 0; client < 4000; client++)
        got[by_source(client, BACKENDS)]++;
    for (size_t i = 0; i < BACKENDS; i++)
        assert_in_range(got[i], 900, 1100);
}

static void who_goes_takes_none_but_his_own_clients(void **state)
{
    size_t before[1000];

    for (uint32_t client = 0; client < 1000; client++)
        before[client] = by_source(client, BACKENDS);
    choice[1] = choice[3]; /* 1 is away */
    for (uint32_t client = 0; client < 1000; client++) {
        size_t now = by_source(client, BACKENDS - 1);

        got[now] += before[client] == 1;
        assert_true(before[client] == 1 || now == before[client]);
    }
    assert_int_equal(got[1], 0);
    for (size_t i = 0; i < BACKENDS; i++)
        assert_true(i == 1 || got[i] > 50); /* they go everywhere */
}

static void a_network_of_ipv6_is_one_source(void **state)
{
    unsigned char a[16] = {0x20, 1, 0x0d, 0xb8, 1, 2, 3, 4, 5},
                  b[16] = {0x20, 1, 0x0d, 0xb8, 1, 2, 3, 4};
    size_t first = spread_by_source(a, choice, BACKENDS);
    bool is_same = true;

    assert_int_equal(spread_by_source(b, choice, BACKENDS), first);
    for (a[7] = 5; a[7] < 50; a[7]++)
        is_same = is_same && spread_by_source(a, choice, BACKENDS) == first;
    assert_false(is_same);
}

/* Other machines, and other versions, must choose alike. */
static void the_choice_is_for_ever(void **state)
{
    static const size_t expected[16] = {3, 3, 1, 0, 2, 3, 2, 1, 0, 1, 2, 3, 3, 3, 0, 2};

    for (uint32_t client = 0; client < 16; client++)
        assert_int_equal(by_source(client, BACKENDS), expected[client]);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(each_has_its_turn),
        TEST(whoever_begins_is_drawn_by_lot),
        TEST(a_small_share_has_fewer_turns),
        TEST(turns_are_even_whoever_is_away),
        TEST(who_is_alone_gets_all_with_the_smallest_share),
        TEST(fewest_connections_come_first),
        TEST(equals_have_their_turns),
        TEST(connections_are_measured_by_the_share),
        TEST(a_share_grows_for_thirty_seconds),
        TEST(a_newcomer_gets_its_part_little_by_little),
        TEST(sources_are_spread_evenly),
        TEST(who_goes_takes_none_but_his_own_clients),
        TEST(a_network_of_ipv6_is_one_source),
        TEST(the_choice_is_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
