/* SPDX-License-Identifier: ISC */
/* Two ends that keep to one table, and what happens to an end that does not. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/channel.h"
#include "proxy/log.h"

struct pair {
    struct channel *master, *child;
    int raw[2]; /* duplicates of the sockets: [1] sends to the master, [0] to the child, what it
                   likes */
};

static struct pair open_pair(enum role role)
{
    struct pair p;
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
    p.raw[0] = dup(fd[0]);
    p.raw[1] = dup(fd[1]);
    p.master = channel_new(fd[0], CHANNEL_MASTER, role);
    p.child = channel_new(fd[1], CHANNEL_CHILD, role);
    return p;
}

static void close_pair(struct pair *p)
{
    channel_free(p->master);
    channel_free(p->child);
    close(p->raw[0]);
    close(p->raw[1]);
}

static enum channel_result hear(struct channel *c)
{
    struct message m;
    enum channel_result result = channel_read(c, &m);

    if (result == CHANNEL_MESSAGE)
        channel_release(&m);
    return result;
}

static void say(struct channel *from, enum message_kind kind, const void *data, size_t fds)
{
    int fd[8] = {2, 2, 2, 2, 2, 2, 2, 2};

    assert_true(channel_send(from, kind, data, fd, fds));
}

static const struct message_start start = {.slot = 1, .workers = 2};
static const struct message_prepare prepare = {1, 1, 1};
static const struct message_generation first = {1};

/* As far as the offer of a generation. */
static void offer(struct pair *p)
{
    say(p->master, MESSAGE_START, &start, 0);
    say(p->master, MESSAGE_PREPARE, &prepare, 3);
    say(p->master, MESSAGE_BUILD, &first, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hear(p->child), CHANNEL_MESSAGE);
}

static void send_raw(int fd, uint32_t kind, size_t len, size_t fds)
{
    unsigned char octets[4 + MESSAGE_DATA_MAX + 64] = {0};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 100)];
    } control = {0};
    struct iovec part = {octets, len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(octets, &kind, sizeof kind);
    if (fds > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int) * fds);
        for (size_t i = 0; i < fds; i++)
            memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &(int){2}, sizeof(int));
    }
    assert_true(sendmsg(fd, &header, 0) >= 0);
}

static int count_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void message_arrives_whole_with_its_descriptors(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);
    int before = count_open();
    struct message m;

    say(p.master, MESSAGE_START, &start, 0);
    assert_int_equal(channel_read(p.child, &m), CHANNEL_MESSAGE);
    assert_int_equal(m.kind, MESSAGE_START);
    assert_memory_equal(&m.data.start, &start, sizeof start);
    channel_release(&m);

    say(p.master, MESSAGE_PREPARE, &prepare, 3);
    assert_int_equal(channel_read(p.child, &m), CHANNEL_MESSAGE);
    assert_int_equal(m.fd_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fcntl(m.fd[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(count_open(), before + 3);
    channel_release(&m);
    assert_int_equal(count_open(), before); /* nobody kept one */
    assert_int_equal(hear(p.child), CHANNEL_AGAIN);
    close_pair(&p);
}

static void child_answers_what_it_was_asked_once(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);

    offer(&p);
    say(p.child, MESSAGE_BUILT, &first, 0);
    assert_int_equal(hear(p.master), CHANNEL_MESSAGE);
    send_raw(p.raw[1], MESSAGE_BUILT, 4 + sizeof first, 0);
    assert_int_equal(hear(p.master), CHANNEL_BROKEN);
    close_pair(&p);
}

static void late_answer_to_a_withdrawn_offer_is_no_breach(void **state)
{
    struct pair p = open_pair(ROLE_SCOUT);
    struct message_refused refused = {.generation = 1};

    say(p.master, MESSAGE_START, &start, 0);
    say(p.master, MESSAGE_PREPARE, &prepare, 2);
    say(p.master, MESSAGE_BUILD, &first, 0);
    say(p.master, MESSAGE_ROLLBACK, &first, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hear(p.child), CHANNEL_MESSAGE);
    memset(refused.text, 'x', sizeof refused.text);
    say(p.child, MESSAGE_REFUSED, &refused, 0);
    {
        struct message m;

        assert_int_equal(channel_read(p.master, &m), CHANNEL_MESSAGE);
        assert_int_equal(strlen(m.data.refused.text), sizeof refused.text - 1); /* ended for us */
        channel_release(&m);
    }
    close_pair(&p);
}

/* What a child that was taken over might try on the master. */
static void hostile_child_is_found_out(void **state)
{
    static const struct {
        uint32_t kind;
        size_t len, fds;
    } tries[] = {
        {MESSAGE_TAKEN, 4 + sizeof first, 0},            /* nothing was committed */
        {MESSAGE_SETTLED, 4 + sizeof first, 0},          /* the scout's word */
        {MESSAGE_BUILT, 4 + sizeof first, 1},            /* with a descriptor */
        {MESSAGE_BUILT, 4 + sizeof first, 64},           /* with many */
        {MESSAGE_BUILT, 4 + sizeof first, 100},          /* with more than there is room for */
        {MESSAGE_BUILT, 4 + sizeof first - 1, 0},        /* too short */
        {MESSAGE_BUILT, 4 + sizeof first + 1, 0},        /* too long */
        {MESSAGE_REFUSED, 4 + 5, 0},                     /* cut */
        {MESSAGE_REFUSED, 4 + MESSAGE_DATA_MAX + 64, 0}, /* longer than any */
        {MESSAGE_COUNT, 4, 0},                           /* no such kind */
        {UINT32_MAX, 4, 0},
        {MESSAGE_STOP, 4, 0}, /* the master's word */
        {MESSAGE_PREPARE, 4 + sizeof prepare, 3},
        {MESSAGE_BUILT, 3, 0}, /* not even a kind */
    };

    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct pair p = open_pair(ROLE_WORKER);
        int before = count_open();

        offer(&p);
        send_raw(p.raw[1], tries[i].kind, tries[i].len, tries[i].fds);
        assert_int_equal(hear(p.master), CHANNEL_BROKEN);
        assert_int_equal(count_open(), before); /* and it left nothing behind */
        close_pair(&p);
    }
}

static void child_trusts_no_master_that_breaks_the_table(void **state)
{
    static const struct {
        enum role role;
        uint32_t kind;
        size_t len, fds;
    } tries[] = {
        {ROLE_WORKER, MESSAGE_TICKETS, 4 + sizeof(struct tls_ticket_keys), 0}, /* before START */
        {ROLE_WORKER, MESSAGE_COMMIT, 4 + sizeof first, 0},
        {ROLE_WORKER, MESSAGE_BUILT, 4 + sizeof first, 0},
        {ROLE_RESOLVER, MESSAGE_PREPARE, 4 + sizeof prepare, 2},
        {ROLE_SCOUT, MESSAGE_START, 4 + sizeof start, 1},
    };

    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct pair p = open_pair(tries[i].role);

        send_raw(p.raw[0], tries[i].kind, tries[i].len, tries[i].fds);
        assert_int_equal(hear(p.child), CHANNEL_BROKEN);
        close_pair(&p);
    }
}

static void ticket_keys_and_tallies_go_to_workers_alone(void **state)
{
    static const struct {
        uint32_t kind;
        size_t len, fds;
    } tries[] = {
        {MESSAGE_TICKETS, 4 + sizeof(struct tls_ticket_keys), 0},
        {MESSAGE_TALLY, 4 + sizeof(struct message_slot), 1},
        {MESSAGE_TALLY, 4 + sizeof(struct message_slot), 0},
    };

    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct pair p = open_pair(ROLE_SCOUT);

        say(p.master, MESSAGE_START, &start, 0);
        assert_int_equal(hear(p.child), CHANNEL_MESSAGE);
        send_raw(p.raw[0], tries[i].kind, tries[i].len, tries[i].fds);
        assert_int_equal(hear(p.child), CHANNEL_BROKEN);
        close_pair(&p);
    }
}

/* While a generation is under way too: workers die when they like. */
static void tally_comes_at_any_time_with_one_board_or_none(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);

    offer(&p);
    say(p.master, MESSAGE_TALLY, &(struct message_slot){1}, 1);
    say(p.master, MESSAGE_TALLY, &(struct message_slot){1}, 0);
    assert_int_equal(hear(p.child), CHANNEL_MESSAGE);
    assert_int_equal(hear(p.child), CHANNEL_MESSAGE);
    send_raw(p.raw[0], MESSAGE_TALLY, 4 + sizeof(struct message_slot), 2);
    assert_int_equal(hear(p.child), CHANNEL_BROKEN);
    close_pair(&p);
}

/* child_send() asks before it speaks: nothing but another STOP fits behind an end. */
static void an_ending_child_is_known(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);

    say(p.master, MESSAGE_START, &start, 0);
    assert_false(channel_is_ending(p.master));
    say(p.master, MESSAGE_DRAIN, NULL, 0);
    assert_true(channel_is_ending(p.master));
    say(p.master, MESSAGE_STOP, NULL, 0);
    say(p.master, MESSAGE_STOP, NULL, 0);
    assert_true(channel_is_ending(p.master));
    close_pair(&p);
}

static void closed_end_is_told_from_a_broken_one(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);

    channel_free(p.child);
    p.child = NULL;
    close(p.raw[1]);
    p.raw[1] = dup(p.raw[0]);
    assert_int_equal(hear(p.master), CHANNEL_CLOSED);
    assert_false(channel_send(p.master, MESSAGE_START, &start, NULL, 0));
    close_pair(&p);
}

struct reader {
    struct ev_loop *loop;
    uint32_t next, last;
    bool is_wrong;
};

static void on_adopt(void *context, struct message *m)
{
    struct reader *r = context;

    if (m->kind == MESSAGE_START)
        return;
    r->is_wrong |= m->kind != MESSAGE_ADOPT || m->data.slot.slot != r->next++;
    if (r->next == r->last)
        ev_break(r->loop, EVBREAK_ALL);
}

static void on_nothing(void *context, struct message *m)
{
}

static void on_end(void *context, enum channel_result why)
{
    fail();
}

/* More than the socket takes: what waited comes later, in order, with nothing lost. */
static void slow_child_gets_everything_in_order(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);
    struct reader r = {.loop = ev_loop_new(0), .last = 900};

    channel_watch(p.master, r.loop, on_nothing, on_end, NULL);
    say(p.master, MESSAGE_START, &start, 0);
    for (uint32_t i = 0; i < r.last; i++)
        say(p.master, MESSAGE_ADOPT, &(struct message_slot){i}, 0);
    channel_watch(p.child, r.loop, on_adopt, on_end, &r);
    ev_run(r.loop, 0);
    assert_int_equal(r.next, r.last);
    assert_false(r.is_wrong);
    close_pair(&p);
    ev_loop_destroy(r.loop);
}

static void child_that_never_reads_is_given_up(void **state)
{
    struct pair p = open_pair(ROLE_WORKER);
    int sent = 0;

    say(p.master, MESSAGE_START, &start, 0);
    while (channel_send(p.master, MESSAGE_ADOPT, &(struct message_slot){0}, NULL, 0))
        assert_true(++sent < 100000);
    close_pair(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_arrives_whole_with_its_descriptors),
        cmocka_unit_test(child_answers_what_it_was_asked_once),
        cmocka_unit_test(late_answer_to_a_withdrawn_offer_is_no_breach),
        cmocka_unit_test(hostile_child_is_found_out),
        cmocka_unit_test(child_trusts_no_master_that_breaks_the_table),
        cmocka_unit_test(ticket_keys_and_tallies_go_to_workers_alone),
        cmocka_unit_test(tally_comes_at_any_time_with_one_board_or_none),
        cmocka_unit_test(an_ending_child_is_known),
        cmocka_unit_test(closed_end_is_told_from_a_broken_one),
        cmocka_unit_test(slow_child_gets_everything_in_order),
        cmocka_unit_test(child_that_never_reads_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
