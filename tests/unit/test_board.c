/* SPDX-License-Identifier: ISC */
/* One writer, many readers, none of whom believes anything. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/board.h"

#define LOADS    2
#define BACKENDS 3

/* The first record is backend 0: its sequence number, then its words. */
#define WORD_HEALTH   1
#define WORD_RESOLVED 2
#define WORD_COUNT    3
#define WORD_ADDRESS  4

struct fixture {
    int writer_fd, reader_fd; /* kept, for what a hostile process would do with them */
    struct board *writer, *reader;
    uint32_t *raw; /* the writer's memory, seen past the interface */
    size_t size;
};

static int open_fixture(void **state)
{
    static struct fixture f;
    struct stat st;
    int writer, reader;

    if (!board_make(LOADS, BACKENDS, &writer, &reader))
        return -1;
    f.writer_fd = dup(writer);
    f.reader_fd = dup(reader);
    f.writer = board_open_writer(writer, LOADS, BACKENDS);
    f.reader = board_open_reader(reader, LOADS, BACKENDS);
    fstat(f.writer_fd, &st);
    f.size = (size_t)st.st_size;
    f.raw = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_SHARED, f.writer_fd, 0);
    *state = &f;
    return f.writer == NULL || f.reader == NULL || f.raw == MAP_FAILED;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    board_close(f->writer);
    board_close(f->reader);
    munmap(f->raw, f->size);
    close(f->writer_fd);
    close(f->reader_fd);
    return 0;
}

static struct board_backend example(void)
{
    struct board_backend b = {.health = BACKEND_UP, .is_resolved = true, .address_count = 2};

    b.address[0].v4.sin_family = AF_INET;
    b.address[0].v4.sin_port = htons(25);
    b.address[1].v6.sin6_family = AF_INET6;
    return b;
}

static void begins_unknown_and_unresolved(void **state)
{
    struct fixture *f = *state;
    struct board_backend b;

    for (size_t i = 0; i < BACKENDS; i++) {
        board_get_backend(f->reader, i, &b);
        assert_int_equal(b.health, BACKEND_UNKNOWN);
        assert_false(b.is_resolved);
        assert_int_equal(b.address_count, 0);
    }
}

static void what_is_put_is_got_at_both_ends(void **state)
{
    struct fixture *f = *state;
    struct board_backend in = example(), out;
    struct board_experience met = {7, UINT64_C(1) << 40, 5}, seen;
    struct board_load load = {.service = "mx", .sessions = 11}, carried;

    in.up_since_ms = UINT64_C(1) << 41;
    board_put_backend(f->writer, BACKENDS - 1, &in);
    board_put_experience(f->writer, 1, &met);
    board_put_load(f->writer, LOADS - 1, &load);
    board_get_backend(f->reader, BACKENDS - 1, &out);
    assert_memory_equal(out.address, in.address, sizeof in.address);
    assert_int_equal(out.health, BACKEND_UP);
    assert_true(out.up_since_ms == UINT64_C(1) << 41);
    board_get_experience(f->reader, 1, &seen);
    assert_int_equal(seen.failures, 7);
    assert_true(seen.last_success_ms == UINT64_C(1) << 40);
    board_get_load(f->reader, LOADS - 1, &carried);
    assert_int_equal(carried.sessions, 11);
    board_get_load(f->writer, LOADS - 1, &carried);
    assert_int_equal(carried.sessions, 11);
    board_get_load(f->reader, 0, &carried);
    assert_int_equal(carried.sessions, 0);
}

static void readers_end_cannot_be_written(void **state)
{
    struct fixture *f = *state;

    assert_true(write(f->reader_fd, "x", 1) < 0);
    assert_ptr_equal(mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->reader_fd, 0),
                     MAP_FAILED);
}

static void nobody_can_resize_or_seal_it(void **state)
{
    struct fixture *f = *state;

    assert_true(ftruncate(f->writer_fd, 0) < 0);
    assert_true(ftruncate(f->writer_fd, (off_t)f->size * 2) < 0);
    assert_true(fcntl(f->writer_fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
}

/* Each is one word that no writer of ours would leave there; the sequence stays even. */
static void nonsense_is_not_read(void **state)
{
    static const struct {
        size_t word;
        uint32_t value;
    } nonsense[] = {
        {WORD_HEALTH, BACKEND_DOWN + 1},
        {WORD_HEALTH, UINT32_MAX},
        {WORD_RESOLVED, 2},
        {WORD_RESOLVED, 0xff},
        {WORD_COUNT, BOARD_ADDRESSES_MAX + 1},
        {WORD_COUNT, UINT32_MAX},
        {WORD_ADDRESS, AF_UNIX},
        {WORD_ADDRESS, 0},
    };
    struct fixture *f = *state;
    struct board_backend good = example(), out;

    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        board_put_backend(f->writer, 0, &good);
        board_get_backend(f->reader, 0, &out); /* the last good one */
        f->raw[nonsense[i].word] = nonsense[i].value;
        board_get_backend(f->reader, 0, &out);
        assert_int_equal(out.health, BACKEND_UP);
        assert_int_equal(out.address_count, 2);
        assert_int_equal(out.address[0].any.sa_family, AF_INET);
    }
}

static void load_without_an_end_of_its_name_is_not_read(void **state)
{
    struct fixture *f = *state;
    struct board_load load = {.service = "mx", .sessions = 3}, out;

    board_put_load(f->writer, 0, &load);
    board_get_load(f->reader, 0, &out);
    memset(load.service, 'x', sizeof load.service);
    load.sessions = 4;
    board_put_load(f->writer, 0, &load);
    board_get_load(f->reader, 0, &out);
    assert_string_equal(out.service, "mx");
    assert_int_equal(out.sessions, 3);
}

static void torn_record_gives_the_last_good_one(void **state)
{
    struct fixture *f = *state;
    struct board_backend good = example(), out;

    board_put_backend(f->writer, 0, &good);
    board_get_backend(f->reader, 0, &out);
    f->raw[0]++; /* a writer that stopped in the middle */
    f->raw[WORD_HEALTH] = BACKEND_DOWN;
    board_get_backend(f->reader, 0, &out);
    assert_int_equal(out.health, BACKEND_UP);
}

static void what_is_seen_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct board_backend value = example();
    const struct board_backend *seen = board_see_backend(f->reader, 1);

    assert_int_equal(seen->health, BACKEND_UNKNOWN);
    board_put_backend(f->writer, 1, &value);
    assert_int_equal(seen->health, BACKEND_UNKNOWN);
    assert_ptr_equal(board_see_backend(f->reader, 1), seen);
    assert_int_equal(seen->health, BACKEND_UP);
    assert_int_equal(seen->address_count, 2);
}

static void successor_ends_what_its_predecessor_began(void **state)
{
    struct fixture *f = *state;
    struct board_backend good = example(), out;
    struct board *successor;

    f->raw[0] = 7;
    successor = board_open_writer(dup(f->writer_fd), LOADS, BACKENDS);
    assert_non_null(successor);
    good.health = BACKEND_DOWN;
    board_put_backend(successor, 0, &good);
    assert_int_equal(f->raw[0] % 2, 0);
    board_get_backend(f->reader, 0, &out);
    assert_int_equal(out.health, BACKEND_DOWN);
    board_close(successor);
}

static void only_a_sealed_board_of_that_size_is_opened(void **state)
{
    struct fixture *f = *state;
    int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_null(board_open_reader(dup(f->reader_fd), LOADS + 1, BACKENDS));
    assert_null(board_open_writer(dup(f->writer_fd), LOADS, BACKENDS - 1));
    assert_null(board_open_reader(dup(f->reader_fd), UINT32_MAX, UINT32_MAX));
    assert_null(board_open_writer(dup(f->reader_fd), LOADS, BACKENDS));
    assert_int_equal(ftruncate(loose, (off_t)f->size), 0);
    assert_null(board_open_reader(loose, LOADS, BACKENDS));
    assert_null(board_open_reader(open("/dev/null", O_RDONLY), LOADS, BACKENDS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(begins_unknown_and_unresolved),
        TEST(what_is_put_is_got_at_both_ends),
        TEST(readers_end_cannot_be_written),
        TEST(nobody_can_resize_or_seal_it),
        TEST(nonsense_is_not_read),
        TEST(load_without_an_end_of_its_name_is_not_read),
        TEST(torn_record_gives_the_last_good_one),
        TEST(what_is_seen_stays_where_it_is),
        TEST(successor_ends_what_its_predecessor_began),
        TEST(only_a_sealed_board_of_that_size_is_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
