/* SPDX-License-Identifier: ISC */
/* What must stay behind comes out in order, and an empty buffer holds no block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/buffer.h"

static struct pool blocks;

static int make_pool(void **state)
{
    return pool_init(&blocks, BLOCK_SIZE, 8, 2) ? 0 : -1;
}

static int drop_pool(void **state)
{
    assert_int_equal(pool_used(&blocks), 0);
    pool_clear(&blocks);
    return 0;
}

static void fill(char *to, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(i * 31 + seed);
}

static void octets_come_out_in_order_across_blocks(void **state)
{
    enum { SIZE = 70000 };
    char *in = malloc(SIZE), *out = malloc(SIZE);
    struct buffer b = {0};

    fill(in, SIZE, 7);
    for (size_t at = 0; at < SIZE; at += 7000)
        assert_true(buffer_append(&b, &blocks, (struct span){in + at, 7000}));
    assert_int_equal(b.len, SIZE);
    assert_int_equal(pool_used(&blocks), (SIZE + BLOCK_ROOM - 1) / BLOCK_ROOM);
    assert_memory_equal(buffer_first(&b).data, in, BLOCK_ROOM);
    buffer_drop(&b, &blocks, 12345);
    buffer_move(&b, &blocks, out);
    assert_memory_equal(out, in + 12345, SIZE - 12345);
    assert_int_equal(pool_used(&blocks), 0);
    assert_null(b.first);
    free(in);
    free(out);
}

static void empty_buffer_holds_no_block(void **state)
{
    struct buffer b = {0};

    assert_true(buffer_append(&b, &blocks, (struct span){"x", 1}));
    assert_int_equal(pool_used(&blocks), 1);
    buffer_drop(&b, &blocks, 1);
    assert_int_equal(pool_used(&blocks), 0);
    assert_int_equal(buffer_first(&b).len, 0);
    buffer_clear(&b, &blocks);
}

static void empty_pool_is_an_answer(void **state)
{
    char *octets = calloc(9, BLOCK_ROOM);
    struct buffer b = {0};

    assert_false(buffer_append(&b, &blocks, (struct span){octets, 9 * BLOCK_ROOM}));
    assert_int_equal(b.len, 8 * BLOCK_ROOM);
    assert_null(pool_get(&blocks));
    buffer_clear(&b, &blocks);
    free(octets);
}

static void take_all(void *object[8])
{
    for (int i = 0; i < 8; i++) {
        object[i] = pool_get(&blocks);
        memset(object[i], 0xaa, BLOCK_SIZE);
    }
}

static void put_all(void *object[8])
{
    for (int i = 0; i < 8; i++)
        pool_put(&blocks, object[i]);
}

static bool is_warm(const void *object)
{
    return *(const unsigned char *)object == 0xaa;
}

/* The fixture keeps two warm. */
static void the_longest_unused_blocks_give_their_memory_back(void **state)
{
    void *object[8];
    int warm = 0;

    take_all(object);
    put_all(object);
    for (int i = 0; i < 8; i++) {
        object[i] = pool_get(&blocks);
        if (is_warm(object[i])) {
            assert_int_equal(warm, i); /* all warm ones come first */
            warm++;
        }
    }
    assert_in_range(warm, 2, 4);
    put_all(object);
}

static void the_block_in_use_stays_warm(void **state)
{
    void *object[8];

    take_all(object);
    put_all(object);
    object[0] = pool_get(&blocks);
    for (int i = 0; i < 100; i++) {
        memset(object[0], 0xaa, BLOCK_SIZE);
        pool_put(&blocks, object[0]);
        object[0] = pool_get(&blocks);
        assert_true(is_warm(object[0]));
    }
    pool_put(&blocks, object[0]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_come_out_in_order_across_blocks),
        cmocka_unit_test(empty_buffer_holds_no_block),
        cmocka_unit_test(empty_pool_is_an_answer),
        cmocka_unit_test(the_longest_unused_blocks_give_their_memory_back),
        cmocka_unit_test(the_block_in_use_stays_warm),
    };

    return cmocka_run_group_tests(tests, make_pool, drop_pool);
}
