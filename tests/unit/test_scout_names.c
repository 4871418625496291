/* SPDX-License-Identifier: ISC */
/* What the scout keeps of the resolver's answers, with the resolver played at the other end of the
 * line. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/resolver.h"
#include "proxy/scout_names.h"

static struct ev_loop *loop;
static struct scout_line line;
static struct scout_names names;
static struct scout_name *name;
static int resolver;
static int answers;

static void on_answer(void *context, struct scout_name *answered)
{
    answers++;
}

static void on_line(struct ev_loop *l, ev_io *watcher, int events)
{
    scout_names_read(&names);
}

static int start(void **state)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    resolver = pair[1];
    answers = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    scout_line_init(&line, loop, on_line, NULL);
    scout_line_set(&line, pair[0]);
    scout_names_init(&names, loop, &line);
    names.on_answer = on_answer;
    name = scout_names_add(&names, "mx.example.net");
    assert_non_null(name);
    return 0;
}

static int stop(void **state)
{
    scout_names_clear(&names);
    scout_line_set(&line, -1);
    close(resolver);
    ev_loop_destroy(loop);
    return 0;
}

/* The next question, answered with these addresses (up to NULL), or with none. */
static void answer(const char *const *addresses)
{
    struct resolver_question question;
    struct resolver_answer a = {.error = "no such name"};

    name->due = 0.;
    scout_names_start(&names);
    assert_int_equal(recv(resolver, &question, sizeof question, MSG_DONTWAIT), sizeof question);
    assert_string_equal(question.name, name->host);
    a.id = question.id;
    for (; *addresses != NULL; addresses++) {
        a.address[a.count].v4.sin_family = AF_INET;
        inet_pton(AF_INET, *addresses, &a.address[a.count++].v4.sin_addr);
    }
    assert_int_equal(send(resolver, &a, sizeof a, 0), sizeof a);
    ev_run(loop, EVRUN_ONCE);
}

static void has(size_t index, const char *address)
{
    char text[INET_ADDRSTRLEN];

    assert_true(index < name->count);
    inet_ntop(AF_INET, &name->address[index].v4.sin_addr, text, sizeof text);
    assert_string_equal(text, address);
}

#define ADDRESSES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ADDRESS     ((const char *const[]){NULL})

static void another_order_is_no_move(void **state)
{
    answer(ADDRESSES("192.0.2.1", "192.0.2.2"));
    assert_true(name->has_moved);
    answer(ADDRESSES("192.0.2.2", "192.0.2.1"));
    assert_false(name->has_moved);
    has(0, "192.0.2.2"); /* though the order counts */
    answer(ADDRESSES("192.0.2.2", "192.0.2.3"));
    assert_true(name->has_moved);
    answer(ADDRESSES("192.0.2.2"));
    assert_true(name->has_moved);
    assert_int_equal(name->count, 1);
}

static void a_failure_leaves_the_old_addresses(void **state)
{
    answer(ADDRESSES("192.0.2.1"));
    answer(NO_ADDRESS);
    assert_false(name->has_moved);
    assert_int_equal(name->count, 1);
    has(0, "192.0.2.1");
    answer(ADDRESSES("192.0.2.1"));
    assert_false(name->has_moved);
}

static void a_resolver_that_dies_is_an_answer(void **state)
{
    answer(ADDRESSES("192.0.2.1"));
    name->due = 0.;
    scout_names_start(&names);
    close(resolver);
    resolver = -1;
    ev_run(loop, EVRUN_ONCE);
    assert_int_equal(answers, 2);
    assert_int_equal(line.io.fd, -1);
    has(0, "192.0.2.1");
}

static void an_address_needs_no_answer(void **state)
{
    struct scout_name *literal = scout_names_add(&names, "2001:db8::1");

    assert_true(literal->is_literal && literal->is_answered);
    assert_int_equal(literal->address[0].any.sa_family, AF_INET6);
    assert_false(scout_names_are_settled(&names));
    answer(NO_ADDRESS);
    assert_true(scout_names_are_settled(&names));
    assert_ptr_equal(scout_names_add(&names, "2001:db8::1"), literal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(another_order_is_no_move),
        TEST(a_failure_leaves_the_old_addresses),
        TEST(a_resolver_that_dies_is_an_answer),
        TEST(an_address_needs_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
