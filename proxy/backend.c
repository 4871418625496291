/* SPDX-License-Identifier: ISC */
/* Chooses backend addresses from the board and connects; keeps no socket. */
#include "proxy/backend.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

static size_t board_index(const struct backend_try *t, const struct snapshot_service *service)
{
    return service->first_backend + t->backend;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void tell_failure(const struct backend_try *t, const struct snapshot *snapshot,
                         const struct snapshot_service *service)
{
    struct board_experience met;

    board_get_experience(snapshot->own, board_index(t, service), &met);
    if (met.failures < UINT32_MAX)
        met.failures++;
    met.last_failure_ms = now_ms();
    board_put_experience(snapshot->own, board_index(t, service), &met);
}

/* Leave the backend in hand for the next one. */
static void next_backend(struct backend_try *t, const struct snapshot *snapshot,
                         const struct snapshot_service *service)
{
    if (t->has_failed)
        tell_failure(t, snapshot, service);
    t->backend++;
    t->address = 0;
    t->has_failed = false;
}

enum backend_next backend_next(struct backend_try *t, const struct snapshot *snapshot,
                               const struct snapshot_service *service, union board_address *address)
{
    enum backend_next without = BACKEND_NEXT_NONE;
    struct board_backend seen;

    for (; t->backend < service->config->backend_count; next_backend(t, snapshot, service)) {
        board_get_backend(snapshot->scout, board_index(t, service), &seen);
        if (seen.health == BACKEND_DOWN && t->address == 0)
            continue;
        if (!seen.is_resolved && t->tries == 0)
            without = BACKEND_NEXT_LATER;
        if (t->address < seen.address_count) {
            *address = seen.address[t->address++];
            t->tries++;
            return BACKEND_NEXT_ADDRESS;
        }
    }
    if (without == BACKEND_NEXT_LATER)
        t->backend = t->address = 0;
    return without;
}

void backend_note_failure(struct backend_try *t)
{
    t->has_failed = true;
}

void backend_note_success(const struct backend_try *t, const struct snapshot *snapshot,
                          const struct snapshot_service *service)
{
    struct board_experience met;

    board_get_experience(snapshot->own, board_index(t, service), &met);
    met.failures = 0;
    met.last_success_ms = now_ms();
    board_put_experience(snapshot->own, board_index(t, service), &met);
}

bool backend_all_down(const struct snapshot *snapshot, const struct snapshot_service *service)
{
    struct board_backend seen;

    for (size_t i = 0; i < service->config->backend_count; i++) {
        board_get_backend(snapshot->scout, service->first_backend + i, &seen);
        if (seen.health != BACKEND_DOWN)
            return false;
    }
    return true;
}

/* As the listeners' sockets (listener.c): a dead peer is found within minutes, whatever the kernel's default. */
static void keep_alive(int fd)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 300},
        {IPPROTO_TCP, TCP_KEEPINTVL, 30},
        {IPPROTO_TCP, TCP_KEEPCNT, 5},
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                   sizeof options[i].value);
}

int backend_connect(const union board_address *address)
{
    static const int yes = 1;
    socklen_t len = address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    keep_alive(fd);
    if (connect(fd, &address->any, len) < 0 && errno != EINPROGRESS) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int backend_connect_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}
