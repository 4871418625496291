/* SPDX-License-Identifier: ISC */
/* Which of several addresses is connected to, when, and from where: against real sockets. Those that
 * never answer have a queue that is full, so that SYNs go unheard. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/dial.h"
#include "proxy/inet.h"

#define LONG_MS  5000
#define SHORT_MS 100
#define SOCKETS  16

static struct ev_loop *loop;
static struct dial dial;
static struct board_backend to;
static int sockets[SOCKETS];
static size_t socket_count;

/* What came of it. */
static struct {
    int fd, error, calls, failures;
    union board_address address;
} got;

static void on_done(void *context, int fd, const union board_address *address)
{
    got.fd = fd;
    got.address = *address;
    got.calls++;
    sockets[socket_count++] = fd;
}

static void on_failed(void *context, const union board_address *address, int error)
{
    assert_true(error != 0);
    assert_int_equal(got.calls, 0);
    got.failures++;
}

static void on_over(void *context, int error)
{
    got.error = error;
    got.calls++;
}

static int keep(int fd)
{
    assert_true(fd >= 0 && socket_count < SOCKETS);
    sockets[socket_count++] = fd;
    return fd;
}

static socklen_t length(const union board_address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

static union board_address address_of(const char *text)
{
    union board_address a = {0};

    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
        a.v4.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1)
        a.v6.sin6_family = AF_INET6;
    return a;
}

/* A socket bound to a port of its own; the address with that port. */
static int bound(const char *text, union board_address *a)
{
    int fd = keep(socket(strchr(text, ':') == NULL ? AF_INET : AF_INET6, SOCK_STREAM, 0));
    socklen_t len;

    *a = address_of(text);
    len = length(a);
    assert_int_equal(bind(fd, &a->any, len), 0);
    assert_int_equal(getsockname(fd, &a->any, &len), 0);
    return fd;
}

static void add(const union board_address *a)
{
    to.address[to.address_count++] = *a;
}

/* ---- three kinds of address ---- */

static int add_listening(const char *text)
{
    union board_address a;
    int fd = bound(text, &a);

    assert_int_equal(listen(fd, 8), 0);
    add(&a);
    return fd;
}

static void add_refusing(const char *text)
{
    union board_address a;

    bound(text, &a); /* nobody listens, and nobody else can */
    add(&a);
}

static void add_silent(const char *text)
{
    union board_address a;
    int fd = bound(text, &a);

    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 3; i++) {
        int filler = keep(socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0));

        (void)!connect(filler, &a.any, length(&a));
    }
    usleep(10000); /* until the queue is full */
    add(&a);
}

/* ---- */

static bool has_v6(void)
{
    union board_address a = address_of("::1");
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, &a.any, length(&a)) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

static const struct dial_from anywhere;

static bool start(uint32_t timeout_ms)
{
    return dial_start(&dial, &to, &anywhere, timeout_ms);
}

static bool start_from(const struct dial_from *from)
{
    return dial_start(&dial, &to, from, LONG_MS);
}

static void on_stop(struct ev_loop *l, ev_timer *timer, int events)
{
    ev_break(l, EVBREAK_ALL);
}

/* Until it has ended, or for so long; the time that it took. */
static double run(double seconds)
{
    const double began = deadline_now();
    ev_timer timer;

    ev_now_update(loop);
    ev_timer_init(&timer, on_stop, seconds, 0.);
    ev_timer_start(loop, &timer);
    while (got.calls == 0 && ev_is_active(&timer))
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &timer);
    return deadline_now() - began;
}

static void is_done_with(size_t index)
{
    assert_int_equal(got.calls, 1);
    assert_true(got.fd >= 0);
    assert_memory_equal(&got.address, &to.address[index], length(&to.address[index]));
}

static int open_dial(void **state)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    got.fd = -1;
    got.error = got.calls = got.failures = 0;
    to = (struct board_backend){.health = BACKEND_UP, .is_resolved = true};
    dial =
        (struct dial){.loop = loop, .on_done = on_done, .on_failed = on_failed, .on_over = on_over};
    return 0;
}

static int close_dial(void **state)
{
    dial_stop(&dial);
    while (socket_count > 0)
        close(sockets[--socket_count]);
    ev_loop_destroy(loop);
    return 0;
}

/* ---- claims ---- */

static void the_first_address_that_answers_is_it(void **state)
{
    add_listening("127.0.0.1");
    add_listening("127.0.0.2");
    assert_true(start(LONG_MS));
    run(1.);
    is_done_with(0);
}

static void a_refusal_leads_to_the_next_at_once(void **state)
{
    add_refusing("127.0.0.1");
    add_refusing("127.0.0.2");
    add_listening("127.0.0.3");
    assert_true(start(LONG_MS));
    run(2.);
    is_done_with(2);
    assert_int_equal(got.failures, 2);
}

static void silence_leads_to_the_next_when_the_time_is_over(void **state)
{
    double took;

    add_silent("127.0.0.1");
    add_listening("127.0.0.2");
    assert_true(start(SHORT_MS));
    took = run(2.);
    assert_true(took > 0.09);
    is_done_with(1);
}

static void the_last_failure_is_told(void **state)
{
    add_silent("127.0.0.1");
    add_refusing("127.0.0.2");
    assert_true(start(SHORT_MS));
    run(2.);
    assert_int_equal(got.calls, 1);
    assert_int_equal(got.error, ECONNREFUSED);
}

static void without_an_address_nothing_begins(void **state)
{
    assert_false(start(LONG_MS));
    assert_int_equal(dial.error, 0);
    assert_int_equal(got.calls, 0);
}

static void the_other_family_joins_in_after_250_ms(void **state)
{
    double took;

    if (!has_v6())
        skip();
    add_silent("::1");
    add_listening("127.0.0.1");
    assert_true(start(LONG_MS));
    took = run(2.);
    assert_true(took > 0.24 && took < 2.);
    is_done_with(1);
}

/* The resolver's order decides who is first (RFC 8305, section 4). */
static void whichever_family_was_named_first_begins(void **state)
{
    if (!has_v6())
        skip();
    add_listening("127.0.0.1");
    add_listening("::1");
    assert_true(start(LONG_MS));
    run(1.);
    is_done_with(0);
}

static void behind_a_failure_the_other_family_has_its_turn(void **state)
{
    if (!has_v6())
        skip();
    add_refusing("::1");
    add_silent("::1");
    add_listening("127.0.0.1");
    assert_true(start(LONG_MS));
    assert_true(run(1.) < 0.24);
    is_done_with(2);
}

/* Each family goes through its own addresses: one that is cut off does not keep the other. */
static void a_silent_family_does_not_delay_the_other(void **state)
{
    if (!has_v6())
        skip();
    add_silent("::1");
    add_silent("::1");
    add_refusing("127.0.0.1");
    add_refusing("127.0.0.2");
    add_listening("127.0.0.3");
    assert_true(start(LONG_MS));
    run(2.);
    is_done_with(4);
}

/* Whoever connected and then said no does not end it, and who lost the race may still be good. */
static void it_goes_on_where_it_was(void **state)
{
    add_listening("127.0.0.1");
    add_refusing("127.0.0.2");
    add_listening("127.0.0.3");
    assert_true(start(LONG_MS));
    run(1.);
    is_done_with(0);
    got.calls = 0;
    assert_true(dial_go_on(&dial));
    run(1.);
    is_done_with(2);
    assert_false(dial_go_on(&dial));
    assert_int_equal(dial.error, 0);
}

static void the_same_once_more_and_then_on(void **state)
{
    add_refusing("127.0.0.1");
    add_listening("127.0.0.2");
    add_listening("127.0.0.3");
    assert_true(start(LONG_MS));
    run(1.);
    is_done_with(1);
    got.calls = 0;
    assert_true(dial_again(&dial));
    run(1.);
    is_done_with(1);
    got.calls = 0;
    assert_true(dial_go_on(&dial));
    run(1.);
    is_done_with(2);
}

static void who_lost_the_race_is_not_forgotten(void **state)
{
    if (!has_v6())
        skip();
    add_silent("::1");
    add_listening("127.0.0.1");
    assert_true(start(LONG_MS));
    run(1.);
    is_done_with(1);
    got.calls = 0;
    dial.timeout_ms = SHORT_MS;
    assert_true(dial_go_on(&dial));
    run(1.);
    assert_int_equal(got.calls, 1);
    assert_int_equal(got.error, ETIMEDOUT);
}

static void the_backend_sees_where_we_come_from(void **state)
{
    const struct dial_from from = dial_from_texts("127.0.0.9", NULL);
    union board_address seen;
    socklen_t len = sizeof seen;
    int listener = add_listening("127.0.0.1");

    assert_true(start_from(&from));
    run(1.);
    is_done_with(0);
    keep(accept(listener, &seen.any, &len));
    assert_int_equal(seen.v4.sin_addr.s_addr, from.v4.v4.sin_addr.s_addr);
    assert_int_not_equal(seen.v4.sin_port, 0);
}

/* It is not the backend's fault. */
static void a_source_that_is_not_ours_is_our_shortage(void **state)
{
    const struct dial_from from = dial_from_texts("192.0.2.1", NULL);

    add_listening("127.0.0.1");
    assert_false(start_from(&from));
    assert_int_equal(dial.error, EADDRNOTAVAIL);
    assert_true(dial_is_our_shortage(dial.error));
    assert_false(dial_is_our_shortage(ECONNREFUSED));
}

static void our_shortage_outlives_other_failures(void **state)
{
    const struct dial_from from = dial_from_texts("192.0.2.1", NULL);

    if (!has_v6())
        skip();
    add_listening("127.0.0.1");
    add_refusing("::1");
    assert_true(start_from(&from));
    run(1.);
    assert_int_equal(got.error, EADDRNOTAVAIL);
}

static void without_descriptors_nothing_begins(void **state)
{
    struct rlimit old, none;

    add_listening("127.0.0.1");
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    assert_false(start(LONG_MS));
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(dial.error, EMFILE);
    assert_true(dial_is_our_shortage(EMFILE));
}

static struct dial_from client_at(const char *text)
{
    const union board_address a = address_of(text);
    const struct address client = inet_read(&a);

    return dial_from_client(&client);
}

/* From our own address it would be another client. */
static void a_client_of_one_family_is_never_shown_by_the_other(void **state)
{
    const struct dial_from from = client_at("127.0.0.9");

    if (!has_v6())
        skip();
    add_listening("::1");
    assert_false(start_from(&from));
    assert_int_equal(dial.error, DIAL_LEFT_OUT);
    assert_int_equal(got.failures, 0);
}

static void a_client_without_an_address_is_shown_to_nobody(void **state)
{
    const struct address nobody = {0};
    const struct dial_from from = dial_from_client(&nobody);

    add_listening("127.0.0.1");
    assert_false(start_from(&from));
    assert_int_equal(dial.error, DIAL_LEFT_OUT);
}

static void is_shown_to_nobody(const char *client)
{
    const struct dial_from from = client_at(client);

    assert_false(start_from(&from));
    assert_int_equal(dial.error, DIAL_LEFT_OUT);
}

/* What balancers may say, and what the kernel takes for `no matter which`. */
static void an_address_that_no_host_has_is_shown_to_nobody(void **state)
{
    if (geteuid() != 0)
        skip();
    add_listening("127.0.0.1");
    is_shown_to_nobody("0.0.0.0");
    is_shown_to_nobody("224.0.0.5");
    is_shown_to_nobody("255.255.255.255");
    is_shown_to_nobody("127.255.255.255");
}

static void nor_is_one_of_ipv6(void **state)
{
    if (geteuid() != 0 || !has_v6())
        skip();
    add_listening("::1");
    is_shown_to_nobody("::");
    is_shown_to_nobody("ff02::1");
    is_shown_to_nobody("fe80::1");
}

/* The kernel would send into nowhere, and wait for an answer. */
static void from_the_loopback_of_ipv6_nothing_is_sent_away(void **state)
{
    const union board_address elsewhere = address_of("2001:db8::1");

    add(&elsewhere);
    is_shown_to_nobody("::1");
}

/* Names move while they are dialled. */
static void addresses_may_go_meanwhile(void **state)
{
    add_refusing("127.0.0.1");
    add_listening("127.0.0.2");
    assert_true(start(LONG_MS));
    to.address_count = 0;
    run(1.);
    assert_int_equal(got.calls, 1);
    assert_int_equal(got.error, ECONNREFUSED);
}

static void stopped_it_says_nothing(void **state)
{
    struct dial blank = {0};

    dial_stop(&blank);
    add_listening("127.0.0.1");
    assert_true(start(LONG_MS));
    dial_stop(&dial);
    run(0.05);
    assert_int_equal(got.calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_dial, close_dial)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_first_address_that_answers_is_it),
        TEST(a_refusal_leads_to_the_next_at_once),
        TEST(silence_leads_to_the_next_when_the_time_is_over),
        TEST(the_last_failure_is_told),
        TEST(without_an_address_nothing_begins),
        TEST(the_other_family_joins_in_after_250_ms),
        TEST(whichever_family_was_named_first_begins),
        TEST(behind_a_failure_the_other_family_has_its_turn),
        TEST(a_silent_family_does_not_delay_the_other),
        TEST(it_goes_on_where_it_was),
        TEST(the_same_once_more_and_then_on),
        TEST(who_lost_the_race_is_not_forgotten),
        TEST(the_backend_sees_where_we_come_from),
        TEST(a_source_that_is_not_ours_is_our_shortage),
        TEST(our_shortage_outlives_other_failures),
        TEST(without_descriptors_nothing_begins),
        TEST(a_client_of_one_family_is_never_shown_by_the_other),
        TEST(a_client_without_an_address_is_shown_to_nobody),
        TEST(an_address_that_no_host_has_is_shown_to_nobody),
        TEST(nor_is_one_of_ipv6),
        TEST(from_the_loopback_of_ipv6_nothing_is_sent_away),
        TEST(addresses_may_go_meanwhile),
        TEST(stopped_it_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
