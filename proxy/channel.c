/* SPDX-License-Identifier: ISC */
/* Typed messages between the master and one child, over SOCK_SEQPACKET with SCM_RIGHTS. Both ends
 * follow the same table, so what one may not send the other does not take. */
#include "proxy/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "proxy/log.h"

/* So many messages wait for a child that does not read; a slower one is taken for dead. */
#define QUEUE_MAX 1024

/* Where the master's talk to one child stands:
 *
 *   FRESH ──START──▶ OPEN ──PREPARE──▶ GIVING ──BUILD──▶ ASKED ──COMMIT──▶ OPEN
 *                      │                  └────────┬───────┘
 *                      └─DRAIN, STOP─▶ ENDING      └──ROLLBACK──▶ OPEN
 */
enum talk { TALK_FRESH = 1, TALK_OPEN = 2, TALK_GIVING = 4, TALK_ASKED = 8, TALK_ENDING = 16 };

/* A child's answer is one that was asked for, and once. */
enum permit { PERMIT_NONE, PERMIT_VOTE, PERMIT_TAKEN, PERMIT_SETTLED };
#define PERMIT_COUNT 4

#define WORKER   (1U << ROLE_WORKER)
#define SCOUT    (1U << ROLE_SCOUT)
#define RESOLVER (1U << ROLE_RESOLVER)

static const struct rule {
    const char *name;
    enum channel_end from;
    unsigned children; /* to, or from, which kinds of child */
    size_t len;        /* exactly */
    unsigned when;     /* talks it fits in */
    enum talk next;    /* 0: stays */
    enum permit gives; /* the child may now answer so */
    enum permit takes; /* the child has now answered */
    size_t fd_min[2];  /* worker; others */
    size_t fd_max[2];
} rules[MESSAGE_COUNT] = {
    [MESSAGE_START] = {"start", CHANNEL_MASTER, WORKER | SCOUT | RESOLVER,
                       sizeof(struct message_start), TALK_FRESH, TALK_OPEN},
    [MESSAGE_TICKETS] = {"tickets", CHANNEL_MASTER, WORKER, sizeof(struct tls_ticket_keys),
                         TALK_OPEN | TALK_GIVING | TALK_ASKED},
    [MESSAGE_TALLY] = {"tally", CHANNEL_MASTER, WORKER, sizeof(struct message_slot),
                       TALK_OPEN | TALK_GIVING | TALK_ASKED, .fd_max = {1, 0}},
    [MESSAGE_PREPARE] = {"prepare", CHANNEL_MASTER, WORKER | SCOUT, sizeof(struct message_prepare),
                         TALK_OPEN, TALK_GIVING, .fd_min = {3, 2}, .fd_max = {3, 2}},
    [MESSAGE_PLACE] = {"place", CHANNEL_MASTER, WORKER, sizeof(struct message_place), TALK_GIVING,
                       .fd_max = {MESSAGE_FDS_MAX, 0}},
    [MESSAGE_EXPERIENCE] = {"experience", CHANNEL_MASTER, SCOUT, sizeof(struct message_slot),
                            TALK_GIVING, .fd_min = {0, 1}, .fd_max = {0, 1}},
    [MESSAGE_BUILD] = {"build", CHANNEL_MASTER, WORKER | SCOUT, sizeof(struct message_generation),
                       TALK_GIVING, TALK_ASKED, .gives = PERMIT_VOTE},
    [MESSAGE_COMMIT] = {"commit", CHANNEL_MASTER, WORKER | SCOUT, sizeof(struct message_generation),
                        TALK_ASKED, TALK_OPEN, .gives = PERMIT_TAKEN},
    [MESSAGE_ROLLBACK] = {"rollback", CHANNEL_MASTER, WORKER | SCOUT,
                          sizeof(struct message_generation), TALK_GIVING | TALK_ASKED, TALK_OPEN},
    [MESSAGE_ADOPT] = {"adopt", CHANNEL_MASTER, WORKER, sizeof(struct message_slot),
                       TALK_OPEN | TALK_GIVING | TALK_ASKED},
    [MESSAGE_GIVE_BACK] = {"give_back", CHANNEL_MASTER, WORKER, sizeof(struct message_slot),
                           TALK_OPEN | TALK_GIVING | TALK_ASKED},
    [MESSAGE_PEER] = {"peer", CHANNEL_MASTER, SCOUT | RESOLVER, 0,
                      TALK_OPEN | TALK_GIVING | TALK_ASKED, .fd_min = {0, 1}, .fd_max = {0, 1}},
    [MESSAGE_DRAIN] = {"drain", CHANNEL_MASTER, WORKER, 0, TALK_OPEN, TALK_ENDING},
    [MESSAGE_STOP] = {"stop", CHANNEL_MASTER, WORKER | SCOUT | RESOLVER, 0, TALK_OPEN | TALK_ENDING,
                      TALK_ENDING},
    [MESSAGE_BUILT] = {"built", CHANNEL_CHILD, WORKER | SCOUT, sizeof(struct message_generation),
                       .takes = PERMIT_VOTE},
    [MESSAGE_REFUSED] = {"refused", CHANNEL_CHILD, WORKER | SCOUT, sizeof(struct message_refused),
                         .takes = PERMIT_VOTE},
    [MESSAGE_TAKEN] = {"taken", CHANNEL_CHILD, WORKER | SCOUT, sizeof(struct message_generation),
                       .takes = PERMIT_TAKEN, .gives = PERMIT_SETTLED},
    [MESSAGE_SETTLED] = {"settled", CHANNEL_CHILD, SCOUT, sizeof(struct message_generation),
                         .takes = PERMIT_SETTLED},
};

/* On the wire: the kind, then its data. */
struct packet {
    uint32_t kind;
    unsigned char data[MESSAGE_DATA_MAX];
};
static_assert(sizeof(((struct message *)0)->data) == MESSAGE_DATA_MAX, "every kind's data fits");

/* A message that waits for the socket; its descriptors are duplicates. */
struct waiting_message {
    struct waiting_message *next;
    enum message_kind kind;
    size_t fd_count;
    int fd[MESSAGE_FDS_MAX];
    unsigned char data[]; /* rules[kind].len octets */
};

struct channel {
    int fd;
    enum channel_end end;
    enum role child;
    enum talk talk;
    uint32_t owed[PERMIT_COUNT]; /* answers the child may still give */

    struct waiting_message *first, **last;
    size_t waiting;

    struct ev_loop *loop; /* NULL: not watched */
    ev_io reader, writer;
    void (*on_message)(void *context, struct message *m);
    void (*on_end)(void *context, enum channel_result why);
    void *context;
};

/* Does the table allow this message, from that end, now? If so, the talk has moved on. */
static bool follow(struct channel *c, enum message_kind kind, enum channel_end from, size_t len,
                   size_t fds)
{
    const struct rule *r = &rules[kind];
    size_t column = c->child == ROLE_WORKER ? 0 : 1;

    if (r->from != from || (r->children & 1U << c->child) == 0 || len != r->len ||
        fds < r->fd_min[column] || fds > r->fd_max[column])
        return false;
    if (from == CHANNEL_MASTER && (r->when & (unsigned)c->talk) == 0)
        return false;
    if (r->takes != PERMIT_NONE && c->owed[r->takes] == 0)
        return false;
    if (r->takes != PERMIT_NONE)
        c->owed[r->takes]--;
    if (r->gives != PERMIT_NONE)
        c->owed[r->gives]++;
    if (r->next != 0)
        c->talk = r->next;
    return true;
}

struct channel *channel_new(int fd, enum channel_end end, enum role child)
{
    struct channel *c = calloc(1, sizeof *c);

    if (c == NULL) {
        close(fd);
        return NULL;
    }
    *c = (struct channel){.fd = fd, .end = end, .child = child, .talk = TALK_FRESH};
    c->last = &c->first;
    return c;
}

static void drop_first(struct channel *c)
{
    struct waiting_message *w = c->first;

    c->first = w->next;
    if (c->first == NULL)
        c->last = &c->first;
    c->waiting--;
    for (size_t i = 0; i < w->fd_count; i++)
        close(w->fd[i]);
    OPENSSL_cleanse(w->data, rules[w->kind].len); /* it may be ticket keys */
    free(w);
}

void channel_unwatch(struct channel *c)
{
    if (c->loop == NULL)
        return;
    ev_io_stop(c->loop, &c->reader);
    ev_io_stop(c->loop, &c->writer);
    c->loop = NULL;
}

void channel_free(struct channel *c)
{
    if (c == NULL)
        return;
    channel_unwatch(c);
    while (c->first != NULL)
        drop_first(c);
    close(c->fd);
    free(c);
}

/* 1: sent; 0: the socket is full; -1: the other end is gone. */
static int transmit(struct channel *c, enum message_kind kind, const void *data, const int *fd,
                    size_t fd_count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
    } control;
    struct packet packet = {.kind = (uint32_t)kind};
    struct iovec part = {&packet, offsetof(struct packet, data) + rules[kind].len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    if (rules[kind].len > 0)
        memcpy(packet.data, data, rules[kind].len);
    if (fd_count > 0) {
        struct cmsghdr *rights = &control.align;

        memset(&control, 0, sizeof control);
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fd, sizeof(int) * fd_count);
    }
    do
        n = sendmsg(c->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    OPENSSL_cleanse(&packet, sizeof packet);
    if (n >= 0)
        return 1;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
}

static bool queue(struct channel *c, enum message_kind kind, const void *data, const int *fd,
                  size_t fd_count)
{
    struct waiting_message *w;

    if (c->waiting == QUEUE_MAX)
        return false;
    w = malloc(sizeof *w + rules[kind].len);
    if (w == NULL)
        return false;
    w->next = NULL;
    w->kind = kind;
    w->fd_count = 0;
    if (rules[kind].len > 0)
        memcpy(w->data, data, rules[kind].len);
    *c->last = w;
    c->last = &w->next;
    c->waiting++;
    while (w->fd_count < fd_count) {
        int copy = fcntl(fd[w->fd_count], F_DUPFD_CLOEXEC, 0);

        if (copy < 0)
            return false; /* the caller gives the channel up, and the queue with it */
        w->fd[w->fd_count++] = copy;
    }
    if (c->loop != NULL)
        ev_io_start(c->loop, &c->writer);
    return true;
}

bool channel_is_ending(const struct channel *c)
{
    return c->talk == TALK_ENDING;
}

bool channel_send(struct channel *c, enum message_kind kind, const void *data, const int *fd,
                  size_t fd_count)
{
    bool is_legal = follow(c, kind, c->end, rules[kind].len, fd_count);
    int sent = 0;

    assert(is_legal); /* our own code keeps to the table */
    if (c->first == NULL)
        sent = transmit(c, kind, data, fd, fd_count);
    return sent > 0 || (sent == 0 && queue(c, kind, data, fd, fd_count));
}

void channel_release(struct message *m)
{
    for (size_t i = 0; i < m->fd_count; i++)
        if (m->fd[i] >= 0)
            close(m->fd[i]);
    OPENSSL_cleanse(&m->data, sizeof m->data);
    m->fd_count = 0;
}

/* All descriptors that came along, however they were packed; more than we have room for are closed.
 */
static void take_descriptors(struct msghdr *header, struct message *m)
{
    m->fd_count = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(header); h != NULL; h = CMSG_NXTHDR(header, h)) {
        size_t count;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (m->fd_count < MESSAGE_FDS_MAX)
                m->fd[m->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

static enum channel_result broken(struct channel *c, const char *reason)
{
    log_event(LEVEL_ERROR, "channel.broken", "role", role_name(c->child), "reason", reason, NULL);
    return CHANNEL_BROKEN;
}

enum channel_result channel_read(struct channel *c, struct message *m)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
    } control;
    struct packet packet;
    struct iovec part = {&packet, sizeof packet};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    size_t len;
    ssize_t n;

    m->fd_count = 0;
    do
        n = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return CHANNEL_AGAIN;
    if (n < 0 && errno != ECONNRESET)
        return broken(c, strerror(errno));
    if (n <= 0)
        return CHANNEL_CLOSED; /* ECONNRESET: it died with messages of ours unread */

    take_descriptors(&header, m);
    len = (size_t)n;
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || len < offsetof(struct packet, data) ||
        packet.kind >= MESSAGE_COUNT ||
        !follow(c, (enum message_kind)packet.kind,
                c->end == CHANNEL_MASTER ? CHANNEL_CHILD : CHANNEL_MASTER,
                len - offsetof(struct packet, data), m->fd_count)) {
        channel_release(m);
        return broken(c, "a message that the table does not allow");
    }
    m->kind = (enum message_kind)packet.kind;
    memset(&m->data, 0, sizeof m->data);
    memcpy(&m->data, packet.data, len - offsetof(struct packet, data));
    OPENSSL_cleanse(&packet, sizeof packet);
    if (m->kind == MESSAGE_REFUSED)
        m->data.refused.text[sizeof m->data.refused.text - 1] = '\0';
    return CHANNEL_MESSAGE;
}

static void end(struct channel *c, enum channel_result why)
{
    channel_unwatch(c);
    c->on_end(c->context, why);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct channel *c = watcher->data;
    struct message m;
    enum channel_result result;

    while ((result = channel_read(c, &m)) == CHANNEL_MESSAGE) {
        c->on_message(c->context, &m);
        channel_release(&m);
        if (c->loop == NULL)
            return; /* its loop has been left meanwhile */
    }
    if (result != CHANNEL_AGAIN)
        end(c, result);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct channel *c = watcher->data;

    while (c->first != NULL) {
        struct waiting_message *w = c->first;
        int sent = transmit(c, w->kind, w->data, w->fd, w->fd_count);

        if (sent == 0)
            return;
        if (sent < 0) {
            end(c, CHANNEL_CLOSED);
            return;
        }
        drop_first(c);
    }
    ev_io_stop(loop, &c->writer);
}

void channel_watch(struct channel *c, struct ev_loop *loop,
                   void (*on_message)(void *context, struct message *m),
                   void (*on_end)(void *context, enum channel_result why), void *context)
{
    c->loop = loop;
    c->on_message = on_message;
    c->on_end = on_end;
    c->context = context;
    ev_io_init(&c->reader, on_readable, c->fd, EV_READ);
    ev_io_init(&c->writer, on_writable, c->fd, EV_WRITE);
    c->reader.data = c;
    c->writer.data = c;
    ev_io_start(loop, &c->reader);
    if (c->first != NULL)
        ev_io_start(loop, &c->writer);
}
