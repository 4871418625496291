/* SPDX-License-Identifier: ISC */
/* When a reload is over. The children are the test's own: channels that answer when they are told
 * to, and processes that only wait to be killed. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/reload.h"

enum { WORKER_1, WORKER_2, SCOUT, CHILDREN };

static struct master {
    char ini[40];
    struct crew crew;
    struct places places;
    struct reload reload;
    pid_t pid[CHILDREN];
    struct channel *end[CHILDREN]; /* the children's */
    int begun, ended;
} master;

static struct member *member(int who)
{
    return who == SCOUT ? &master.crew.scout : &master.crew.worker[who];
}

static void on_begin(void *context)
{
    master.begun++;
}

static void on_end(void *context)
{
    master.ended++;
}

static void on_vote(void *context, struct member *m, const char *refusal)
{
    reload_vote(&master.reload, m, refusal);
    reload_resume(&master.reload);
}

static void on_step(void *context, struct member *m)
{
    reload_resume(&master.reload);
}

static void on_death(void *context, struct member *m, int status)
{
    on_vote(context, m, "it died");
}

static void on_message(void *context, struct message *m)
{
    struct child *c = context;

    c->on_message(c, m);
}

static void on_channel_end(void *context, enum channel_result why)
{
    fail();
}

/* The next message of that kind, and what came before it. */
static void hear(int who, enum message_kind kind)
{
    struct message m = {.kind = MESSAGE_COUNT};

    while (m.kind != kind) {
        assert_int_equal(channel_read(master.end[who], &m), CHANNEL_MESSAGE);
        channel_release(&m);
    }
}

static bool hears_nothing(int who)
{
    struct message m;

    return channel_read(master.end[who], &m) == CHANNEL_AGAIN;
}

static void say(int who, enum message_kind kind)
{
    struct message_generation generation = {master.reload.generations};

    assert_true(channel_send(master.end[who], kind, &generation, NULL, 0));
    ev_run(master.crew.loop, EVRUN_NOWAIT);
}

static _Noreturn void wait_to_be_killed(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test has no tear-down */
    for (;;)
        pause();
}

static void start_child(int who)
{
    static const struct message_start start = {0};
    struct member *m = member(who);
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
    m->child.loop = master.crew.loop;
    m->child.channel = channel_new(fd[0], CHANNEL_MASTER, m->child.role);
    master.end[who] = channel_new(fd[1], CHANNEL_CHILD, m->child.role);
    channel_watch(m->child.channel, master.crew.loop, on_message, on_channel_end, &m->child);
    master.pid[who] = fork();
    if (master.pid[who] == 0)
        wait_to_be_killed();
    m->child.pid = master.pid[who];
    m->state = MEMBER_READY;
    child_send(&m->child, MESSAGE_START, &start, NULL, 0);
    hear(who, MESSAGE_START);
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void write_ini(void)
{
    FILE *file;

    snprintf(master.ini, sizeof master.ini, "/tmp/starttlsd-reload-XXXXXX");
    file = fdopen(mkstemp(master.ini), "w");
    assert_non_null(file);
    fprintf(file,
            "[service a]\nprotocol = smtp\ntls = none\nrelay = backend\n"
            "listen = 127.0.0.1:%u\nbackend = 127.0.0.1:1\n",
            free_port());
    fclose(file);
}

static struct generation *first_generation(void)
{
    struct diagnosis *d = diagnosis_new();
    struct generation *g = generation_load(master.ini, "gate.example", 1, d);

    if (g == NULL || !generation_open(g, &master.places, d))
        diagnosis_print(d, stderr);
    assert_int_equal(diagnosis_errors(d), 0);
    diagnosis_free(d);
    return g;
}

static int set_up(void **state)
{
    master = (struct master){.places.workers = 2};
    write_ini();
    master.crew = (struct crew){.loop = ev_loop_new(EVFLAG_AUTO),
                                .root = -1,
                                .workers = 2,
                                .current = first_generation(),
                                .on_vote = on_vote,
                                .on_step = on_step,
                                .on_death = on_death};
    master.reload = (struct reload){.config_path = master.ini,
                                    .fqdn = "gate.example",
                                    .crew = &master.crew,
                                    .places = &master.places,
                                    .started_with = master.crew.current->config,
                                    .generations = 1,
                                    .on_begin = on_begin,
                                    .on_end = on_end};
    reload_init(&master.reload);
    assert_true(crew_init(&master.crew));
    for (int who = 0; who < CHILDREN; who++)
        start_child(who);
    return 0;
}

static int tear_down(void **state)
{
    for (int who = 0; who < CHILDREN; who++) {
        channel_free(member(who)->child.channel);
        channel_free(master.end[who]);
        kill(master.pid[who], SIGKILL);
        waitpid(master.pid[who], NULL, 0);
    }
    reload_abandon(&master.reload);
    crew_clear(&master.crew);
    if (master.crew.current->config == master.reload.started_with)
        master.crew.current->config = NULL;
    config_free(master.reload.started_with);
    generation_free(master.crew.current, &master.places);
    ev_loop_destroy(master.crew.loop);
    unlink(master.ini);
    return 0;
}

static void vote_by_all(void)
{
    for (int who = 0; who < CHILDREN; who++) {
        hear(who, MESSAGE_BUILD);
        assert_int_equal(master.crew.current->number, master.reload.generations - 1);
        say(who, MESSAGE_BUILT);
    }
    assert_int_equal(master.crew.current->number, master.reload.generations);
    for (int who = 0; who < CHILDREN; who++)
        hear(who, MESSAGE_COMMIT);
}

/* ---- Claims ---- */

static void a_reload_is_over_when_all_have_taken_it(void **state)
{
    reload_request(&master.reload);
    vote_by_all();
    say(SCOUT, MESSAGE_TAKEN);
    say(SCOUT, MESSAGE_SETTLED);
    say(WORKER_1, MESSAGE_TAKEN);
    assert_int_equal(master.ended, 0);
    say(WORKER_2, MESSAGE_TAKEN);
    assert_int_equal(master.ended, 1);
}

static void names_without_an_answer_are_not_waited_for(void **state)
{
    reload_request(&master.reload);
    vote_by_all();
    for (int who = 0; who < CHILDREN; who++)
        say(who, MESSAGE_TAKEN);
    assert_int_equal(master.ended, 1);
}

static void the_next_reload_waits_until_this_one_is_over(void **state)
{
    reload_request(&master.reload);
    vote_by_all();
    reload_request(&master.reload);
    say(SCOUT, MESSAGE_TAKEN);
    say(WORKER_1, MESSAGE_TAKEN);
    assert_int_equal(master.begun, 1);
    assert_true(hears_nothing(WORKER_1));
    say(WORKER_2, MESSAGE_TAKEN);
    assert_int_equal(master.ended, 1);
    assert_int_equal(master.begun, 2);
    vote_by_all();
}

static void a_child_that_dies_need_not_take_it(void **state)
{
    struct child *doomed = &member(WORKER_2)->child;

    reload_request(&master.reload);
    vote_by_all();
    say(SCOUT, MESSAGE_TAKEN);
    say(WORKER_1, MESSAGE_TAKEN);
    doomed->on_death(doomed, SIGKILL);
    assert_int_equal(master.ended, 1);
}

static void a_child_that_does_not_take_it_is_killed(void **state)
{
    int status;

    reload_request(&master.reload);
    vote_by_all();
    say(SCOUT, MESSAGE_TAKEN);
    say(WORKER_1, MESSAGE_TAKEN);
    ev_invoke(master.crew.loop, &master.reload.silence, EV_TIMER);
    assert_int_equal(master.ended, 1);
    assert_int_equal(waitpid(master.pid[WORKER_2], &status, 0), master.pid[WORKER_2]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(waitpid(master.pid[WORKER_1], &status, WNOHANG), 0);
    assert_int_equal(waitpid(master.pid[SCOUT], &status, WNOHANG), 0);
}

static void a_refusal_changes_nothing(void **state)
{
    struct message_refused refused = {.generation = 2, .text = "no"};

    reload_request(&master.reload);
    hear(WORKER_1, MESSAGE_BUILD);
    say(WORKER_1, MESSAGE_BUILT);
    hear(WORKER_2, MESSAGE_BUILD);
    assert_true(channel_send(master.end[WORKER_2], MESSAGE_REFUSED, &refused, NULL, 0));
    ev_run(master.crew.loop, EVRUN_NOWAIT);
    assert_int_equal(master.ended, 1);
    assert_int_equal(master.crew.current->number, 1);
    for (int who = 0; who < CHILDREN; who++)
        hear(who, MESSAGE_ROLLBACK);
}

static void a_stop_waits_for_nobody(void **state)
{
    reload_request(&master.reload);
    vote_by_all();
    reload_abandon(&master.reload);
    assert_int_equal(master.ended, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reload_is_over_when_all_have_taken_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_without_an_answer_are_not_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_next_reload_waits_until_this_one_is_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_child_that_dies_need_not_take_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_that_does_not_take_it_is_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_waits_for_nobody, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
