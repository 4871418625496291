/* SPDX-License-Identifier: ISC */
/* A stream's socket: octets in and out as they are on the wire, and how a stream fails. */
#include "proxy/stream_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

bool wire_fail(struct stream *s, enum stream_failure kind, const char *reason)
{
    if (s->failed == STREAM_WELL) {
        snprintf(s->scratch->failure, sizeof s->scratch->failure, "%s", reason);
        s->failure = s->scratch->failure;
        s->failed = kind;
    }
    return false;
}

bool wire_fail_errno(struct stream *s, int error)
{
    char space[64];

    return wire_fail(s, STREAM_BROKEN, strerror_r(error, space, sizeof space));
}

static const char pool_is_empty[] = "buffer pool is empty";

bool wire_starve(struct stream *s)
{
    s->is_starved = true;
    s->failure = pool_is_empty;
    return false;
}

bool wire_keep_out(struct stream *s, struct span octets)
{
    if (s->is_mute)
        return true;
    return buffer_append(&s->out, s->scratch->blocks, octets) ||
           wire_fail(s, STREAM_OUT_OF_MEMORY, pool_is_empty);
}

size_t wire_window_max(bool is_bulk)
{
    return is_bulk ? READ_BUDGET : WINDOW_MAX;
}

ssize_t wire_send(struct stream *s, struct iovec *piece, unsigned count)
{
    struct msghdr message = {.msg_iov = piece, .msg_iovlen = count};
    ssize_t n;

    do {
        if (count == 1)
            n = send(s->fd, piece->iov_base, piece->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    /* A backend that closes on us has often said why (`552 too big`): the reply waits to be read. */
    if (s->side == SIDE_BACKEND) {
        s->is_mute = true;
        buffer_clear(&s->out, s->scratch->blocks);
        return 0;
    }
    wire_fail_errno(s, errno);
    return -1;
}

bool wire_send_out(struct stream *s)
{
    while (s->out.len > 0) {
        struct span octets = buffer_first(&s->out);
        struct iovec piece = {(void *)(uintptr_t)octets.data, octets.len};
        ssize_t n = wire_send(s, &piece, 1);

        if (n < 0 || s->is_mute)
            return false;
        buffer_drop(&s->out, s->scratch->blocks, (size_t)n);
        if ((size_t)n < octets.len)
            return false;
    }
    return true;
}

size_t wire_receive(struct stream *s, char *to, size_t room)
{
    ssize_t n;

    do {
        n = recv(s->fd, to, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        return (size_t)n;
    if (n == 0)
        s->is_wire_eof = true;
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        wire_fail_errno(s, errno);
    return 0;
}

/* Neither octets nor a FIN in front of the reset hide it here, as they would from recv; and
 * SO_ERROR would show errors that TCP gets over. */
bool stream_is_reset(struct stream *s)
{
    struct pollfd p = {.fd = s->fd};

    if (poll(&p, 1, 0) > 0)
        wire_fail_errno(s, ECONNRESET);
    return s->failed != STREAM_WELL;
}
