/* SPDX-License-Identifier: ISC */
/* One child process as the master sees it. Nothing is inherited but what is meant to be: exec gives
 * it a fresh memory, and it is handed its own descriptors at fixed numbers. */
#include "proxy/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"

/* Children that log in bursts never wait and seldom drop (DESIGN, section 2). */
#define LOG_BUFFER (4 * 1024 * 1024)

/* A child that has closed its channel has so long to end by itself. */
#define GRACE_SECONDS 5.0

extern char **environ;

/* What a child may know of the master's environment. */
static const char *const passed[] = {
    "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "OPENSSL_CONF=",
    "RES_OPTIONS=",  "LOCALDOMAIN=",   "MALLOC_",       "LLVM_PROFILE_FILE="};
#define PASSED_MAX 32

static void choose_environment(char *chosen[PASSED_MAX + 1])
{
    size_t count = 0;

    for (char **e = environ; *e != NULL && count < PASSED_MAX; e++)
        for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
            if (strncmp(*e, passed[i], strlen(passed[i])) == 0) {
                chosen[count++] = *e;
                break;
            }
    chosen[count] = NULL;
}

void child_title(const struct child *c, char *space, size_t size)
{
    if (c->role == ROLE_WORKER)
        snprintf(space, size, "worker %u", c->slot + 1);
    else
        snprintf(space, size, "%s", role_name(c->role));
}

/* A pair of sockets, both above the numbers that a child's descriptors are moved to. */
static bool make_pair(int *ours, int *theirs)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return false;
    *ours = pair[0];
    *theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, ROLE_FD_END);
    close(pair[1]);
    if (*theirs >= 0)
        return true;
    close(*ours);
    *ours = -1;
    return false;
}

static void widen(int fd)
{
    const int size = LOG_BUFFER;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

/* After fork: only what is safe in a signal handler. Signals of the terminal and of service
 * managers that signal the whole group are for the master: it tells us what to do. */
static _Noreturn void become(int channel, int log, int root, char *const argv[],
                             char *const environment[])
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    static const int normal[] = {SIGCHLD, SIGALRM};
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    for (size_t i = 0; i < sizeof normal / sizeof *normal; i++)
        signal(normal[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(channel, ROLE_FD_CHANNEL) < 0 || dup2(log, ROLE_FD_LOG) < 0 ||
        (root >= 0 && dup2(root, ROLE_FD_ROOT) < 0))
        _exit(126);
    if (root < 0)
        close(ROLE_FD_ROOT);
    (void)close_range(ROLE_FD_END, ~0U, 0); /* Linux 5.9; all of ours are close-on-exec anyway */
    execve("/proc/self/exe", argv, environment);
    _exit(127);
}

/* Blocked signals: between fork and exec the master's handlers would speak to the master's own
 * loop. */
static pid_t spawn(int channel, int log, int root, char *const argv[], char *const environment[])
{
    sigset_t all, before;
    pid_t pid;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        become(channel, log, root, argv, environment);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

void child_kill(struct child *c)
{
    if (c->pid > 0)
        kill(c->pid, SIGKILL);
}

static void on_grace(struct ev_loop *loop, ev_timer *watcher, int events)
{
    child_kill(watcher->data);
}

static void on_channel_message(void *context, struct message *m)
{
    struct child *c = context;

    c->on_message(c, m);
}

static void on_channel_end(void *context, enum channel_result why)
{
    struct child *c = context;

    c->is_mute = true;
    if (why == CHANNEL_BROKEN)
        child_kill(c);
    else
        ev_timer_start(c->loop, &c->grace);
}

static void on_log(struct ev_loop *loop, ev_io *watcher, int events)
{
    if (!log_forward(watcher->fd))
        ev_io_stop(loop, watcher);
}

static void close_all(struct child *c)
{
    ev_io_stop(c->loop, &c->log_watcher);
    ev_child_stop(c->loop, &c->exit_watcher);
    ev_timer_stop(c->loop, &c->grace);
    channel_free(c->channel);
    c->channel = NULL;
    close(c->log_fd);
    c->log_fd = -1;
}

/* What it still said before it died comes first: a refusal, and the lines that tell why it ended.
 */
static void on_exit_status(struct ev_loop *loop, ev_child *watcher, int events)
{
    struct child *c = watcher->data;
    struct message m;

    c->pid = 0; /* it has been waited for: the number may be another's by now */
    for (int calls = 0; calls < 1000 && ev_is_active(&c->log_watcher); calls++)
        if (!log_forward(c->log_fd))
            break;
    while (!c->is_mute && channel_read(c->channel, &m) == CHANNEL_MESSAGE) {
        c->on_message(c, &m);
        channel_release(&m);
    }
    close_all(c);
    c->on_death(c, watcher->rstatus);
}

bool child_start(struct child *c, struct ev_loop *loop, int root)
{
    char title[64], name[48], option[] = "--role", role[16];
    char *const argv[] = {title, option, role, NULL};
    char *environment[PASSED_MAX + 1];
    int channel = -1, log = -1, channel_child = -1, log_child = -1, root_child = -1;
    bool ok = false;

    child_title(c, name, sizeof name);
    snprintf(title, sizeof title, "starttlsd: %s", name);
    snprintf(role, sizeof role, "%s", role_name(c->role));
    choose_environment(environment);

    if (!make_pair(&channel, &channel_child) || !make_pair(&log, &log_child) ||
        (root >= 0 && (root_child = fcntl(root, F_DUPFD_CLOEXEC, ROLE_FD_END)) < 0))
        goto out;
    widen(log_child);
    c->channel = channel_new(channel, CHANNEL_MASTER, c->role);
    channel = -1; /* the channel owns it now */
    if (c->channel == NULL)
        goto out;
    c->pid = spawn(channel_child, log_child, root_child, argv, environment);
    if (c->pid < 0)
        goto out;

    c->loop = loop;
    c->is_mute = false;
    c->log_fd = log;
    log = -1;
    channel_watch(c->channel, loop, on_channel_message, on_channel_end, c);
    ev_io_init(&c->log_watcher, on_log, c->log_fd, EV_READ);
    ev_child_init(&c->exit_watcher, on_exit_status, c->pid, 0);
    ev_timer_init(&c->grace, on_grace, GRACE_SECONDS, 0.0);
    c->exit_watcher.data = c;
    c->grace.data = c;
    ev_io_start(loop, &c->log_watcher);
    ev_child_start(loop, &c->exit_watcher);
    ok = true;
out:
    if (!ok) {
        log_errno(LEVEL_ERROR, "worker.failed", "role", role, NULL);
        channel_free(c->channel);
        c->channel = NULL;
        c->pid = 0;
    }
    for (size_t i = 0; i < 5; i++) {
        const int fd[] = {channel, log, channel_child, log_child, root_child};

        if (fd[i] >= 0)
            close(fd[i]);
    }
    return ok;
}

void child_send(struct child *c, enum message_kind kind, const void *data, const int *fd,
                size_t fd_count)
{
    if (c->pid == 0 || c->is_mute)
        return;
    /* A timer, or a late word from another child, may still want to tell it something. */
    if (channel_is_ending(c->channel) && kind != MESSAGE_STOP)
        return;
    if (channel_send(c->channel, kind, data, fd, fd_count))
        return;
    c->is_mute = true;
    child_kill(c);
}
