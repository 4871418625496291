/* SPDX-License-Identifier: ISC */
/* Which address comes next, and what the scout hears of those that were no good. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/backend.h"

#define BACKENDS 2

static const struct service config = {.name = "mx", .backend_count = BACKENDS};
static const struct snapshot_service service = {.config = &config};
static struct snapshot snapshot;
static struct board *scout;

static int open_boards(void **state)
{
    int writer, reader, own_writer, own_reader;

    if (!board_make(0, BACKENDS, &writer, &reader) ||
        !board_make(0, BACKENDS, &own_writer, &own_reader))
        return -1;
    scout = board_open_writer(writer, 0, BACKENDS);
    snapshot.scout = board_open_reader(reader, 0, BACKENDS);
    snapshot.own = board_open_writer(own_writer, 0, BACKENDS);
    board_close(board_open_reader(own_reader, 0, BACKENDS));
    return scout != NULL && snapshot.scout != NULL && snapshot.own != NULL ? 0 : -1;
}

static int close_boards(void **state)
{
    board_close(scout);
    board_close(snapshot.scout);
    board_close(snapshot.own);
    return 0;
}

/* Backend i with so many addresses 127.0.i.1, 127.0.i.2 ... */
static void put(size_t i, enum backend_health health, uint32_t addresses)
{
    struct board_backend b = {.health = health, .is_resolved = true, .address_count = addresses};

    for (uint32_t a = 0; a < addresses; a++) {
        b.address[a].v4.sin_family = AF_INET;
        b.address[a].v4.sin_addr.s_addr = htonl(0x7f000001 + ((uint32_t)i << 8) + a);
    }
    board_put_backend(scout, i, &b);
}

static void expect(struct backend_try *t, const char *address)
{
    union board_address got;
    char text[INET_ADDRSTRLEN];

    assert_int_equal(backend_next(t, &snapshot, &service, &got), BACKEND_NEXT_ADDRESS);
    assert_string_equal(inet_ntop(AF_INET, &got.v4.sin_addr, text, sizeof text), address);
}

static void expect_end(struct backend_try *t, enum backend_next end)
{
    union board_address got;

    assert_int_equal(backend_next(t, &snapshot, &service, &got), end);
}

static uint32_t failures(size_t backend)
{
    struct board_experience met;

    board_get_experience(snapshot.own, backend, &met);
    return met.failures;
}

static void every_address_then_the_next_backend(void **state)
{
    struct backend_try t = {0};

    put(0, BACKEND_UP, 2);
    put(1, BACKEND_UNKNOWN, 1);
    expect(&t, "127.0.0.1");
    expect(&t, "127.0.0.2");
    expect(&t, "127.0.1.1");
    expect_end(&t, BACKEND_NEXT_NONE);
}

static void what_is_down_is_left_out(void **state)
{
    struct backend_try t = {0};

    put(0, BACKEND_DOWN, 1);
    put(1, BACKEND_UP, 1);
    assert_false(backend_all_down(&snapshot, &service));
    expect(&t, "127.0.1.1");
    put(1, BACKEND_DOWN, 1);
    assert_true(backend_all_down(&snapshot, &service));
}

static void what_is_not_resolved_is_asked_for_again(void **state)
{
    static const struct board_backend unresolved = {.health = BACKEND_UNKNOWN};
    struct backend_try t = {0};

    board_put_backend(scout, 0, &unresolved);
    board_put_backend(scout, 1, &unresolved);
    expect_end(&t, BACKEND_NEXT_LATER);
    put(0, BACKEND_UNKNOWN, 1);
    expect(&t, "127.0.0.1");
}

/* Two failures in a row close a backend for everybody, so one session must not be able to. */
static void a_session_counts_as_one_failure_at_most(void **state)
{
    struct backend_try t = {0};

    put(0, BACKEND_UP, 2);
    put(1, BACKEND_UP, 1);
    expect(&t, "127.0.0.1");
    backend_note_failure(&t);
    assert_int_equal(failures(0), 0);
    expect(&t, "127.0.0.2");
    backend_note_failure(&t);
    expect(&t, "127.0.1.1");
    assert_int_equal(failures(0), 1);
    backend_note_success(&t, &snapshot, &service);
    assert_int_equal(failures(0), 1);
    assert_int_equal(failures(1), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_then_the_next_backend),
        cmocka_unit_test(what_is_down_is_left_out),
        cmocka_unit_test(what_is_not_resolved_is_asked_for_again),
        cmocka_unit_test(a_session_counts_as_one_failure_at_most),
    };

    return cmocka_run_group_tests(tests, open_boards, close_boards);
}
