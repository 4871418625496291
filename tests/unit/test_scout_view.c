/* SPDX-License-Identifier: ISC */
/* What the scout asks a backend, and when: a small server in the same loop keeps what it hears. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/deadline.h"
#include "proxy/scout_view.h"

/* ---- The server ---- */

#define CONNECTIONS_MAX 32

static struct server {
    struct ev_loop *loop;
    ev_io listener;
    uint16_t port;
    const char *ehlo; /* the reply; NULL: it closes instead */
    struct {
        ev_io io;
        char heard[512];
        size_t len, line;
    } connection[CONNECTIONS_MAX];
    size_t count;
} server;

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void hang_up(ev_io *io)
{
    ev_io_stop(server.loop, io);
    close(io->fd);
}

static void on_heard(struct ev_loop *loop, ev_io *io, int events)
{
    size_t i = (size_t)((uintptr_t)io->data);
    char *heard = server.connection[i].heard;
    size_t *len = &server.connection[i].len, *line = &server.connection[i].line;
    ssize_t n = read(io->fd, heard + *len, sizeof server.connection[i].heard - 1 - *len);

    if (n <= 0) {
        hang_up(io);
        return;
    }
    for (*len += (size_t)n; *line < *len && heard[*len - 1] == '\n'; *line = *len) {
        bool is_hello = memcmp(heard + *line, "EHLO", 4) == 0;

        if (is_hello && server.ehlo == NULL) {
            hang_up(io);
            return;
        }
        say(io->fd, is_hello ? server.ehlo : "221 bye\r\n");
    }
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
    int fd = accept(io->fd, NULL, NULL);
    size_t i = server.count++;

    assert_true(fd >= 0 && i < CONNECTIONS_MAX);
    memset(server.connection[i].heard, 0, sizeof server.connection[i].heard);
    server.connection[i].len = server.connection[i].line = 0;
    ev_io_init(&server.connection[i].io, on_heard, fd, EV_READ);
    server.connection[i].io.data = (void *)(uintptr_t)i;
    ev_io_start(loop, &server.connection[i].io);
    say(fd, "220 x\r\n");
}

static void serve(const char *ehlo)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    server =
        (struct server){.loop = ev_loop_new(EVFLAG_AUTO), .port = ntohs(a.sin_port), .ehlo = ehlo};
    ev_io_init(&server.listener, on_connection, fd, EV_READ);
    ev_io_start(server.loop, &server.listener);
}

static bool heard(size_t i, const char *text)
{
    return i < server.count && strcmp(server.connection[i].heard, text) == 0;
}

#define LOOK      "QUIT\r\n"
#define FULL_LOOK "EHLO gate.example\r\nQUIT\r\n"

/* ---- The view ---- */

#define WORKERS 2

static bool read_ini(void *context, const char *path, struct span *text, const char **error)
{
    *text = span_of(context);
    return true;
}

static void on_settled(void *context)
{
}

static struct scout_line line;
static const char *health_interval;
static struct board *board;           /* the reader's end of the last view's */
static struct board *worker[WORKERS]; /* the writer's ends of what workers tell it */

/* The scout's end of a new board. */
static struct board *open_worker(int w)
{
    int writer, reader;

    assert_true(board_make(0, 1, &writer, &reader));
    board_close(worker[w]);
    worker[w] = board_open_writer(writer, 0, 1);
    return board_open_reader(reader, 0, 1);
}

/* A view of one backend. */
static struct scout_view *view(const char *policy, const struct scout_view *old)
{
    char ini[512];
    const struct config_source source = {read_ini, ini};
    struct diagnosis *d = diagnosis_new();
    struct config *config;
    struct scout_view *v;
    struct bundle *bundle;
    struct board **experience = calloc(WORKERS, sizeof *experience);
    int writer, reader;

    snprintf(ini, sizeof ini,
             "[starttlsd]\nhostname = gate.example\nhealth_interval = %s\n[service s]\n"
             "protocol = smtp\nlisten = 127.0.0.1:2525\nrelay = backend\ncertificate = /x\n"
             "backend = 127.0.0.1:%u\npolicy = %s\n",
             health_interval, (unsigned)server.port, policy);
    config = config_load("/x.ini", &source, "gate.example", d);
    diagnosis_print(d, stderr);
    assert_non_null(config);
    bundle = bundle_open(bundle_build(config, &source, "gate.example", 1, false));
    assert_non_null(bundle);
    assert_true(board_make(0, 1, &writer, &reader));
    board_close(board);
    board = board_open_reader(reader, 0, 1);
    for (int w = 0; w < WORKERS; w++)
        experience[w] = open_worker(w);
    v = scout_view_new(server.loop, bundle, board_open_writer(writer, 0, 1), experience, WORKERS,
                       old, &line);
    assert_non_null(v);
    bundle_close(bundle);
    config_free(config);
    diagnosis_free(d);
    return v;
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    ev_break(loop, EVBREAK_ALL);
}

static void run_for(double seconds)
{
    ev_timer timer;

    ev_timer_init(&timer, on_time, seconds, 0.0);
    ev_timer_start(server.loop, &timer);
    ev_run(server.loop, 0);
    ev_timer_stop(server.loop, &timer);
}

/* Its time has come, without waiting for it. */
static void ring(ev_timer *timer)
{
    ev_feed_event(server.loop, timer, EV_TIMER);
}

/* Until the server has heard `text` on its connection `i`; the answer is on the board by then. */
static void wait_for(size_t i, const char *text)
{
    for (int tries = 0; !heard(i, text); tries++) {
        assert_true(tries < 500);
        run_for(0.01);
    }
}

static void is_learned(const char *text)
{
    struct learned l;

    board_get_learned(board, 0, &l);
    assert_int_equal(l.is_known, text != NULL);
    if (text != NULL) {
        assert_int_equal(l.len, strlen(text));
        assert_memory_equal(l.text, text, l.len);
    }
}

static void wait_until(const struct scout_view *v, enum backend_health health)
{
    for (int tries = 0; v->target[0].health != health; tries++) {
        assert_true(tries < 1000);
        run_for(0.01);
    }
}

static int start(void **state)
{
    serve("250-x\r\n250 SIZE 7\r\n");
    scout_line_init(&line, server.loop, NULL, NULL);
    health_interval = "1s";
    return 0;
}

static int stop(void **state)
{
    for (size_t i = 0; i < server.count; i++)
        if (ev_is_active(&server.connection[i].io))
            hang_up(&server.connection[i].io);
    if (ev_is_active(&server.listener))
        hang_up(&server.listener);
    ev_loop_destroy(server.loop);
    board_close(board);
    board = NULL;
    for (int w = 0; w < WORKERS; w++) {
        board_close(worker[w]);
        worker[w] = NULL;
    }
    return 0;
}

/* ---- Claims ---- */

static void enforced_tls_asks_for_no_capabilities(void **state)
{
    struct scout_view *v = view("enforced", NULL);

    scout_view_start(v, on_settled, NULL);
    wait_for(0, LOOK);
    wait_for(1, LOOK);
    is_learned(NULL);
    scout_view_free(v);
}

static void capabilities_are_asked_for_once_and_health_again(void **state)
{
    struct scout_view *v = view("opportunistic", NULL);

    is_learned(NULL);
    scout_view_start(v, on_settled, NULL);
    wait_for(0, FULL_LOOK);
    is_learned("SIZE 7\n");
    ring(&v->target[0].timer);
    wait_for(1, LOOK);
    scout_view_free(v);
}

static void a_reload_keeps_them_until_they_are_old(void **state)
{
    struct scout_view *v = view("opportunistic", NULL), *next;

    scout_view_start(v, on_settled, NULL);
    wait_for(0, FULL_LOOK);
    next = view("opportunistic", v);
    scout_view_free(v);
    is_learned("SIZE 7\n");
    scout_view_start(next, on_settled, NULL);
    ring(&next->target[0].timer);
    wait_for(1, LOOK);
    assert_true(next->target[0].learned_ms > 601000);
    next->target[0].learned_ms -= 601000; /* ten minutes later; sessions do well */
    next->target[0].last_good_ms = next->target[0].last_probe_ms + 1;
    server.ehlo = "250 x\r\n";
    v = view("opportunistic", next);
    scout_view_free(next);
    is_learned("SIZE 7\n");
    scout_view_start(v, on_settled, NULL);
    wait_for(2, FULL_LOOK);
    is_learned("");
    ring(&v->target[0].timer);
    wait_for(3, LOOK);
    scout_view_free(v);
}

static void a_reload_that_needs_them_asks_at_once(void **state)
{
    struct scout_view *v = view("enforced", NULL), *next;

    scout_view_start(v, on_settled, NULL);
    wait_for(0, LOOK);
    next = view("opportunistic", v);
    scout_view_free(v);
    scout_view_start(next, on_settled, NULL);
    run_for(0.3); /* well before the next look at its health */
    assert_true(heard(1, FULL_LOOK));
    scout_view_free(next);
}

static void an_outage_ends_what_was_known(void **state)
{
    struct scout_view *v = view("opportunistic", NULL);

    scout_view_start(v, on_settled, NULL);
    wait_for(0, FULL_LOOK);
    is_learned("SIZE 7\n");
    server.ehlo = NULL; /* a light look would not tell */
    v->target[0].learned_ms = 0;
    ring(&v->target[0].timer);
    for (int tries = 0; v->target[0].streak == 0; tries++) {
        assert_true(tries < 500);
        run_for(0.01);
    }
    ring(&v->target[0].timer);
    wait_until(v, BACKEND_DOWN);
    is_learned(NULL);
    server.ehlo = "250-x\r\n250 DSN\r\n";
    ring(&v->target[0].timer);
    wait_until(v, BACKEND_UP);
    is_learned("DSN\n");
    scout_view_free(v);
}

static void who_is_back_by_a_session_is_asked_at_once(void **state)
{
    struct board_experience met = {.failures = 2, .last_failure_ms = UINT64_MAX};
    struct scout_view *v;

    health_interval = "1h";
    v = view("opportunistic", NULL);
    scout_view_start(v, on_settled, NULL);
    wait_for(0, FULL_LOOK);
    v->target[0].looks_in_doubt = 20; /* the next look is an hour away */
    board_put_experience(worker[0], 0, &met);
    ring(&v->tick);
    wait_until(v, BACKEND_DOWN);
    is_learned(NULL);
    met = (struct board_experience){.last_success_ms = UINT64_MAX};
    board_put_experience(worker[0], 0, &met);
    ring(&v->tick);
    wait_until(v, BACKEND_UP);
    wait_for(1, FULL_LOOK);
    is_learned("SIZE 7\n");
    scout_view_free(v);
}

static void no_worker_alone_brings_it_down_where_another_succeeds(void **state)
{
    struct board_experience bad = {.failures = 2}, good = {0};
    struct scout_view *v = view("enforced", NULL);
    uint64_t now = (uint64_t)(deadline_now() * 1000);

    scout_view_start(v, on_settled, NULL);
    wait_until(v, BACKEND_UP);
    v->target[0].last_good_ms = now - 50;
    bad.last_failure_ms = now - 20;
    good.last_success_ms = now - 10;
    board_put_experience(worker[0], 0, &bad);
    board_put_experience(worker[1], 0, &good);
    ring(&v->tick);
    run_for(0.01);
    assert_int_equal(v->target[0].health, BACKEND_UP);
    assert_int_equal(v->target[0].up_since_ms, 0); /* nor was it down in between */
    bad = (struct board_experience){.failures = 4, .last_failure_ms = now};
    board_put_experience(worker[0], 0, &bad);
    ring(&v->tick);
    wait_until(v, BACKEND_DOWN);
    scout_view_free(v);
}

static void a_reload_keeps_since_when_it_is_up(void **state)
{
    struct board_experience met = {.failures = 2, .last_failure_ms = UINT64_MAX};
    struct scout_view *v = view("enforced", NULL), *next;
    struct board_backend seen;

    scout_view_start(v, on_settled, NULL);
    wait_until(v, BACKEND_UP);
    board_get_backend(board, 0, &seen);
    assert_int_equal(seen.up_since_ms, 0);
    board_put_experience(worker[0], 0, &met);
    ring(&v->tick);
    wait_until(v, BACKEND_DOWN);
    ring(&v->target[0].timer);
    wait_until(v, BACKEND_UP);
    board_get_backend(board, 0, &seen);
    assert_true(seen.up_since_ms > 0 && seen.up_since_ms == v->target[0].up_since_ms);
    next = view("enforced", v);
    scout_view_free(v);
    assert_int_equal(next->target[0].up_since_ms, seen.up_since_ms);
    board_get_backend(board, 0, &seen);
    assert_int_equal(next->target[0].up_since_ms, seen.up_since_ms);
    scout_view_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(enforced_tls_asks_for_no_capabilities, start, stop),
        cmocka_unit_test_setup_teardown(capabilities_are_asked_for_once_and_health_again, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_reload_keeps_them_until_they_are_old, start, stop),
        cmocka_unit_test_setup_teardown(a_reload_that_needs_them_asks_at_once, start, stop),
        cmocka_unit_test_setup_teardown(an_outage_ends_what_was_known, start, stop),
        cmocka_unit_test_setup_teardown(who_is_back_by_a_session_is_asked_at_once, start, stop),
        cmocka_unit_test_setup_teardown(no_worker_alone_brings_it_down_where_another_succeeds,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_reload_keeps_since_when_it_is_up, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
