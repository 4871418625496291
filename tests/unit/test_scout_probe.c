/* SPDX-License-Identifier: ISC */
/* One look over several addresses, and how long it waits, against real sockets. */
#include <arpa/inet.h>

#include "proxy/scout_probe.h"
#include "tests/unit/mail_peer.h"

static struct ev_loop *loop;
static struct scout_space *space;
static struct mail_peer peers[2];
static struct scout_probe look;
static struct scout_observer nobody; /* but one that looks on */
static const struct service service = {
    .name = "test",
    .protocol = &smtp_protocol,
    .policy = {.hostname = "mail.example", .backend_tls = BACKEND_TLS_NONE},
    .connect_timeout_ms = 10000,
    .greeting_timeout_ms = 10000,
};

static struct probe_wish wish = {.hostname = "mail.example"};

static struct {
    unsigned calls;
    bool is_good;
    char why[160];
} got;

static void on_done(void *context, bool is_good, const char *why)
{
    got.calls++;
    got.is_good = is_good;
    snprintf(got.why, sizeof got.why, "%s", why == NULL ? "" : why);
}

/* Seconds that it took, all goodbyes included. */
static double look_at(const struct mail_manner *first, const struct mail_manner *second,
                      const struct scout_observer *observer)
{
    const struct mail_manner *const manner[] = {first, second};
    union board_address address[2];
    uint32_t count = 0;
    double since;

    for (; count < 2 && manner[count] != NULL; count++) {
        mail_peer_start(&peers[count], manner[count], NULL);
        address[count] = (union board_address){
            .v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
        scout_set_port(&address[count], peers[count].port);
    }
    memset(&got, 0, sizeof got);
    scout_probe_init(&look, loop, space, &service, NULL, 0);
    look.on_done = on_done;
    look.observer = observer;
    is_hurried = true;
    ev_now_update(loop);
    since = deadline_now();
    scout_probe_start(&look, &wish, address, count);
    assert_true(scout_probe_is_running(&look));
    ev_run(loop, 0);
    is_hurried = false;
    assert_false(scout_probe_is_running(&look));
    assert_int_equal(got.calls, 1);
    assert_int_equal(pool_used(&space->blocks), 0);
    for (uint32_t i = 0; i < count; i++)
        mail_peer_stop(&peers[i]);
    return deadline_now() - since;
}

static int start(void **state)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    space = scout_space_new(1);
    return loop == NULL || space == NULL;
}

static int stop(void **state)
{
    scout_space_free(space);
    ev_loop_destroy(loop);
    return 0;
}

static const struct mail_manner good = {.greeting = NULL}, silent = {.is_silent = true},
                                closing = {.hangs_up = true},
                                staying = {.goodbye = MAIL_GOODBYE_SILENT};

static void the_next_address_is_tried(void **state)
{
    look_at(&closing, &good, NULL);
    assert_true(got.is_good);
    assert_string_equal(look.probe.greeting, "220 peer ESMTP");
    assert_false(look.is_late);
    look_at(&good, &closing, NULL);
    assert_true(got.is_good);
}

static void what_is_told_is_of_the_last_address(void **state)
{
    look_at(&silent, &closing, NULL);
    assert_false(got.is_good || look.is_late);
    assert_string_equal(got.why, "it closed the connection");
    look_at(&closing, &silent, NULL);
    assert_false(got.is_good);
    assert_true(look.is_late);
    assert_string_equal(got.why, "no greeting in time");
}

static void a_goodbye_is_waited_for_where_somebody_looks_on(void **state)
{
    double seconds = look_at(&staying, NULL, NULL);

    assert_true(got.is_good && look.is_late);
    assert_true(seconds >= 2.0 && seconds < 6.0);
    seconds = look_at(&staying, NULL, &nobody);
    assert_true(got.is_good && look.is_late);
    assert_true(seconds >= 10.0 && seconds < 20.0);
}

/* Half a minute for all answers: the goodbye's is one of them. */
static void a_slow_dialogue_has_less_time_for_the_goodbye(void **state)
{
    const struct mail_manner slow = {
        .is_slow = true, .goodbye = MAIL_GOODBYE_SILENT, .answer_to_rcpt = "250 ok\r\n"};
    double seconds;

    wish.tries_relay = true;
    seconds = look_at(&slow, NULL, &nobody);
    wish.tries_relay = false;
    assert_true(got.is_good && look.is_late);
    assert_true(seconds >= 25.0 && seconds < 31.0);
}

static void no_address_is_no_look(void **state)
{
    const union board_address none = {.any = {.sa_family = AF_UNSPEC}};

    look_at(&silent, NULL, NULL);
    assert_true(look.is_late);
    memset(&got, 0, sizeof got);
    scout_probe_start(&look, &wish, &none, 0);
    assert_int_equal(got.calls, 1);
    assert_string_equal(got.why, "its name has no address");
    assert_false(look.is_late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(what_is_told_is_of_the_last_address),
        cmocka_unit_test(a_goodbye_is_waited_for_where_somebody_looks_on),
        cmocka_unit_test(a_slow_dialogue_has_less_time_for_the_goodbye),
        cmocka_unit_test(no_address_is_no_look),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
