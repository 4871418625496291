/* SPDX-License-Identifier: ISC */
/* For tests of `starttlsd probe`: an SMTP server in a process of its own, good or bad in the ways
 * that a test asks for; and a clock that need not be waited for. One connection at a time. */
#ifndef STARTTLSD_TESTS_MAIL_PEER_H
#define STARTTLSD_TESTS_MAIL_PEER_H

#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/tls_peer.h"

/* ---- the clock ---- */

/* Who waits for a peer that is slow: where nothing happens for a while, the clock goes on. */
static bool is_hurried;
static long ahead_ms;

#define MAIL_PAUSE_MS 50
#define MAIL_LEAP_MS  2500

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    int result;

    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))(uintptr_t)dlsym(RTLD_NEXT, "clock_gettime");
    result = real(id, t);
    if (id == CLOCK_MONOTONIC) {
        t->tv_nsec += ahead_ms % 1000 * 1000000;
        t->tv_sec += ahead_ms / 1000 + t->tv_nsec / 1000000000;
        t->tv_nsec %= 1000000000;
    }
    return result;
}

int epoll_wait(int fd, struct epoll_event *event, int count, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    int result;

    if (real == NULL)
        real =
            (int (*)(int, struct epoll_event *, int, int))(uintptr_t)dlsym(RTLD_NEXT, "epoll_wait");
    if (!is_hurried || (timeout >= 0 && timeout <= MAIL_PAUSE_MS))
        return real(fd, event, count, timeout);
    result = real(fd, event, count, MAIL_PAUSE_MS);
    if (result == 0)
        ahead_ms += timeout < 0 || timeout > MAIL_LEAP_MS ? MAIL_LEAP_MS : timeout;
    return result;
}

/* ---- how a server behaves ---- */

enum mail_goodbye {
    MAIL_GOODBYE,
    MAIL_GOODBYE_CLOSES, /* without a word */
    MAIL_GOODBYE_SILENT, /* it stays, too */
    MAIL_GOODBYE_SLOW,   /* later than the scout would wait */
    MAIL_GOODBYE_OWN,    /* in words of its own, and it stays */
    MAIL_GOODBYE_BELOW,  /* in the clear, though TLS is up */
};

enum mail_header {
    MAIL_HEADER_NONE, /* it is a command like others */
    MAIL_HEADER_V1,   /* it waits for one of these, and closes on all else */
    MAIL_HEADER_V2,
};

/* All zero: well, by STARTTLS. */
struct mail_manner {
    bool is_implicit;
    bool is_silent;                 /* it accepts, and says nothing */
    bool hangs_up;                  /* before any word */
    unsigned patience;              /* so many connections; then it answers EHLO with 421. 0: any */
    const char *greeting;           /* NULL: a good one */
    const char *answer_to_tls;      /* NULL: the go-ahead */
    const char *answer_to_injected; /* in place of the go-ahead, if more came with STARTTLS */
    bool lacks_starttls;
    bool remembers;             /* what came in one segment with STARTTLS is executed inside TLS */
    bool sips;                  /* lines where the handshake belongs are, too */
    bool stalls;                /* in the handshake */
    bool closes_in_tls;         /* with the first command */
    bool drips;                 /* its greeting, for ever */
    bool is_slow;               /* five seconds an answer, but the goodbye's */
    bool babbles;               /* in answer to EHLO inside TLS, for ever */
    const char *answer_to_rcpt; /* NULL: it does not relay */
    bool waits_for_tls; /* where the handshake belongs nothing else is read, and nothing said */
    enum mail_goodbye goodbye;
    enum mail_header header;
};

/* What is known of it. */
struct mail_heard {
    unsigned connections, handshakes;
    char verbs[1024]; /* each with a blank behind it, LF behind a connection */
};

struct mail_peer {
    const struct mail_manner *manner;
    struct mail_heard *heard; /* shared with its process */
    SSL_CTX *ctx;
    pid_t pid;
    uint16_t port;
    /* In its process, the connection: */
    int fd;
    SSL *ssl;
    char pending[4096];
    size_t len;
};

/* ---- one connection ---- */

static inline void mail_say(struct mail_peer *p, const char *text)
{
    if (p->ssl != NULL)
        (void)!SSL_write(p->ssl, text, (int)strlen(text));
    else
        (void)!send(p->fd, text, strlen(text), MSG_NOSIGNAL);
}

/* False: the end. */
static inline bool mail_read(struct mail_peer *p)
{
    const int room = (int)(sizeof p->pending - p->len);
    char *to = p->pending + p->len;
    const ssize_t n =
        p->ssl != NULL ? SSL_read(p->ssl, to, room) : recv(p->fd, to, (size_t)room, 0);

    if (n > 0)
        p->len += (size_t)n;
    return n > 0;
}

static inline bool mail_line(struct mail_peer *p, char line[4096])
{
    char *lf;
    size_t n;

    while ((lf = memchr(p->pending, '\n', p->len)) == NULL)
        if (!mail_read(p))
            return false;
    n = (size_t)(lf - p->pending) + 1;
    memcpy(line, p->pending, n);
    line[n - 1] = '\0';
    p->len -= n;
    memmove(p->pending, p->pending + n, p->len);
    return true;
}

static inline void mail_note(struct mail_peer *p, const char *line)
{
    char *to = p->heard->verbs + strlen(p->heard->verbs);
    const size_t room = sizeof p->heard->verbs - strlen(p->heard->verbs);

    snprintf(to, room, *line == '\n' ? "\n" : "%.*s ", (int)strcspn(line, " \r"), line);
}

static inline bool mail_secure(struct mail_peer *p)
{
    char first = 22;

    if (p->manner->waits_for_tls)
        (void)!recv(p->fd, &first, 1, MSG_PEEK);
    if (p->manner->stalls || first != 22) {
        while (mail_read(p))
            p->len = 0;
        return false;
    }
    p->ssl = SSL_new(p->ctx);
    SSL_set_fd(p->ssl, p->fd);
    if (SSL_accept(p->ssl) != 1)
        return false;
    p->heard->handshakes++;
    return true;
}

/* All that comes before what begins a handshake. */
static inline void mail_sip(struct mail_peer *p)
{
    while (recv(p->fd, p->pending + p->len, 1, MSG_PEEK) == 1 && p->pending[p->len] != 22)
        p->len += (size_t)recv(p->fd, p->pending + p->len, 1, 0);
}

static inline bool mail_start_tls(struct mail_peer *p)
{
    const struct mail_manner *m = p->manner;
    const char *other =
        m->answer_to_injected != NULL && p->len > 0 ? m->answer_to_injected : m->answer_to_tls;

    mail_say(p, other != NULL ? other : "220 go ahead\r\n");
    if (other != NULL)
        return true;
    if (!m->remembers)
        p->len = 0;
    if (m->sips)
        mail_sip(p);
    return mail_secure(p);
}

static inline bool mail_goodbye(struct mail_peer *p)
{
    const enum mail_goodbye goodbye = p->manner->goodbye;

    if (goodbye == MAIL_GOODBYE_OWN)
        mail_say(p, "250 so long\r\n");
    if (goodbye == MAIL_GOODBYE_BELOW)
        (void)!send(p->fd, "221 bye\r\n", 9, MSG_NOSIGNAL);
    while ((goodbye == MAIL_GOODBYE_SILENT || goodbye == MAIL_GOODBYE_OWN) && mail_read(p))
        p->len = 0;
    if (goodbye == MAIL_GOODBYE_SLOW)
        poll(NULL, 0, MAIL_PAUSE_MS * 3 / 2);
    if (goodbye == MAIL_GOODBYE || goodbye == MAIL_GOODBYE_SLOW)
        mail_say(p, "221 bye\r\n");
    return false;
}

static inline bool mail_hello(struct mail_peer *p)
{
    if (p->manner->patience > 0 && p->heard->connections > p->manner->patience) {
        mail_say(p, "421 too many\r\n");
        return false;
    }
    if (p->ssl == NULL && !p->manner->is_implicit) {
        mail_say(p, p->manner->lacks_starttls ? "250 peer\r\n" : "250-peer\r\n250 STARTTLS\r\n");
        return true;
    }
    while (p->manner->babbles) {
        struct pollfd closed = {.fd = p->fd, .events = POLLIN};

        mail_say(p, "250-peer\r\n");
        if (poll(&closed, 1, 0) > 0)
            return false;
    }
    mail_say(p, "250-peer\r\n250 AUTH PLAIN\r\n");
    return true;
}

/* Five seconds of the other side's hurried clock. */
static inline void mail_linger(const struct mail_peer *p)
{
    if (p->manner->is_slow)
        poll(NULL, 0, MAIL_PAUSE_MS * 5 / 2);
}

/* False: the connection is over. */
static inline bool mail_answer(struct mail_peer *p, const char *line)
{
    const struct mail_manner *m = p->manner;

    if (m->closes_in_tls && p->ssl != NULL)
        return false;
    if (strncmp(line, "QUIT", 4) != 0)
        mail_linger(p);
    if (strncmp(line, "EHLO", 4) == 0)
        return mail_hello(p);
    if (strncmp(line, "STARTTLS", 8) == 0)
        return mail_start_tls(p);
    if (strncmp(line, "QUIT", 4) == 0)
        return mail_goodbye(p);
    if (strncmp(line, "RCPT", 4) == 0)
        mail_say(p, m->answer_to_rcpt != NULL ? m->answer_to_rcpt
                                              : "554 5.7.1 relay access denied\r\n");
    else if (strncmp(line, "NOOP", 4) == 0 || strncmp(line, "MAIL", 4) == 0 ||
             strncmp(line, "RSET", 4) == 0)
        mail_say(p, "250 done\r\n");
    else
        mail_say(p, "500 what?\r\n");
    return true;
}

static inline void mail_drip(struct mail_peer *p)
{
    while (send(p->fd, "2", 1, MSG_NOSIGNAL) == 1) {
        struct pollfd closed = {.fd = p->fd, .events = POLLIN};

        if (poll(&closed, 1, MAIL_PAUSE_MS * 2) > 0)
            return;
    }
}

/* False: it is none that is wanted. */
static inline bool mail_header(struct mail_peer *p)
{
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n";
    char line[4096];

    if (p->manner->header == MAIL_HEADER_V1)
        return mail_line(p, line) && strncmp(line, "PROXY TCP4 127.0.0.1 127.0.0.1 ", 31) == 0;
    while (p->len < 16)
        if (!mail_read(p))
            return false;
    if (memcmp(p->pending, v2, 12) != 0)
        return false;
    p->len -= 16; /* LOCAL, and nothing more */
    memmove(p->pending, p->pending + 16, p->len);
    return true;
}

static inline void mail_talk(struct mail_peer *p)
{
    const struct mail_manner *m = p->manner;
    char line[4096];

    if (m->hangs_up)
        return;
    if (m->is_silent) {
        while (mail_read(p))
            p->len = 0;
        return;
    }
    if (m->drips) {
        mail_drip(p);
        return;
    }
    if (m->header != MAIL_HEADER_NONE && !mail_header(p))
        return;
    if (m->is_implicit && !mail_secure(p))
        return;
    mail_linger(p);
    mail_say(p, m->greeting != NULL ? m->greeting : "220 peer ESMTP\r\n");
    while (mail_line(p, line)) {
        mail_note(p, line);
        if (!mail_answer(p, line))
            return;
    }
}

/* ---- its process ---- */

static inline void mail_serve(struct mail_peer *p, int listener)
{
    static const char last[] = "\n";

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not stop it */
    signal(SIGPIPE, SIG_IGN);
    while ((p->fd = accept(listener, NULL, NULL)) >= 0) {
        p->heard->connections++;
        p->len = 0;
        mail_talk(p);
        mail_note(p, last);
        SSL_free(p->ssl); /* without close_notify */
        p->ssl = NULL;
        close(p->fd);
    }
    _exit(0);
}

/* On a port of its own; ctx: borrowed. */
static inline void mail_peer_start(struct mail_peer *p, const struct mail_manner *manner,
                                   SSL_CTX *ctx)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *p = (struct mail_peer){.manner = manner, .ctx = ctx};
    assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    p->port = ntohs(a.sin_port);
    p->heard =
        mmap(NULL, sizeof *p->heard, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p->heard, MAP_FAILED);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        mail_serve(p, listener);
    close(listener);
}

static inline void mail_peer_stop(struct mail_peer *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    munmap(p->heard, sizeof *p->heard);
}

#endif
