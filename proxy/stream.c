/* SPDX-License-Identifier: ISC */
/* Reads one side into the scratch and writes the other at once. With TLS, records pass the scratch
 * too, so that one system call carries many of them. What must wait is kept in blocks; an idle
 * stream has none. */
#include "proxy/stream.h"

#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/stream_tls.h"
#include "proxy/stream_wire.h"

#define PIECE_WORTH_A_COPY 1024 /* smaller pieces lie side by side: one record, one element */

static enum stream_result read_clear(struct stream *s, bool is_ready, bool is_bulk, size_t *len)
{
    struct scratch *scratch = s->scratch;
    const size_t limit = wire_window_max(is_bulk && !pool_is_scarce(scratch->blocks));

    if (is_ready && !s->is_wire_eof && *len < limit) {
        size_t got = wire_receive(s, scratch->window + *len, limit - *len);

        *len += got;
        s->octets_in += got;
    }
    if (s->failed != STREAM_WELL)
        return STREAM_FAILED;
    s->is_closed_in_order = s->is_wire_eof;
    return s->is_wire_eof ? STREAM_EOF : STREAM_AGAIN;
}

enum stream_result stream_read(struct stream *s, bool is_ready, bool is_bulk, struct span *in)
{
    size_t len = s->window.len;
    enum stream_result result;

    assert(len <= sizeof s->scratch->window);
    buffer_move(&s->window, s->scratch->blocks, s->scratch->window);
    if (s->is_eof)
        result = STREAM_EOF;
    else
        result = s->ssl == NULL ? read_clear(s, is_ready, is_bulk, &len)
                                : stream_tls_read(s, is_ready, is_bulk, &len);
    s->is_eof = result == STREAM_EOF;
    *in = (struct span){s->scratch->window, len};
    return result;
}

bool stream_keep(struct stream *s, struct span rest)
{
    assert(s->window.len == 0);
    return buffer_append(&s->window, s->scratch->blocks, rest) || wire_starve(s);
}

/* ---- writing ---- */

static bool flush_clear(struct stream *s, struct gather *g)
{
    size_t sent = 0;
    ssize_t n;

    if (wire_send_out(s) && g->count > 0) {
        n = wire_send(s, g->piece, g->count);
        sent = n > 0 ? (size_t)n : 0;
    }
    for (unsigned i = 0; i < g->count && s->failed == STREAM_WELL; i++) {
        struct span octets = {g->piece[i].iov_base, g->piece[i].iov_len};
        size_t gone = sent < octets.len ? sent : octets.len;

        sent -= gone;
        if (!wire_keep_out(s, span_skip(octets, gone)))
            break;
    }
    return s->failed == STREAM_WELL;
}

static void forget_pieces(struct stream *s)
{
    struct gather *g = &s->scratch->gather[s->side];

    g->count = 0;
    g->staged = 0;
}

bool stream_flush(struct stream *s)
{
    struct gather *g = &s->scratch->gather[s->side];

    if (s->failed == STREAM_WELL && !s->is_mute && s->fd >= 0 && (g->count > 0 || s->out.len > 0)) {
        if (s->ssl == NULL)
            flush_clear(s, g);
        else
            (void)!stream_tls_flush(s, g);
    }
    forget_pieces(s);
    return s->failed == STREAM_WELL;
}

/* The stage continues the last piece, if that is where it ends. */
static struct iovec *stage_piece(struct gather *g)
{
    struct iovec *last = g->count > 0 ? &g->piece[g->count - 1] : NULL;

    if (last != NULL && (char *)last->iov_base + last->iov_len == g->stage + g->staged)
        return last;
    last = &g->piece[g->count++];
    *last = (struct iovec){g->stage + g->staged, 0};
    return last;
}

void stream_put(struct stream *s, struct span octets, bool is_stable)
{
    struct gather *g = &s->scratch->gather[s->side];

    s->octets_out += octets.len;
    while (octets.len > 0) {
        size_t n = octets.len;

        if (g->count == GATHER_PIECES || g->staged == sizeof g->stage)
            stream_flush(s);
        if (is_stable && n > PIECE_WORTH_A_COPY) {
            g->piece[g->count++] = (struct iovec){(void *)(uintptr_t)octets.data, n};
        } else {
            struct iovec *piece = stage_piece(g);

            if (n > sizeof g->stage - g->staged)
                n = sizeof g->stage - g->staged;
            memcpy(g->stage + g->staged, octets.data, n);
            g->staged += n;
            piece->iov_len += n;
        }
        octets = span_skip(octets, n);
    }
}

/* ---- from first to last ---- */

void stream_open(struct stream *s, struct scratch *scratch, enum side side, int fd)
{
    *s = (struct stream){.fd = fd, .side = side, .scratch = scratch};
}

void stream_close(struct stream *s)
{
    if (s->fd < 0)
        return;
    forget_pieces(s); /* or the next session's peer would get them */
    SSL_free(s->ssl);
    s->ssl = NULL;
    buffer_clear(&s->window, s->scratch->blocks);
    buffer_clear(&s->sealed, s->scratch->blocks);
    buffer_clear(&s->out, s->scratch->blocks);
    close(s->fd);
    s->fd = -1;
}

void stream_reset(struct stream *s)
{
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (s->fd >= 0)
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    stream_close(s);
}

void stream_part(struct stream *s)
{
    if (s->ssl != NULL && s->failed == STREAM_WELL && !s->is_mute)
        stream_tls_finish(s);
    else
        stream_flush(s);
    forget_pieces(s);
}

void stream_finish(struct stream *s)
{
    stream_part(s);
    if (s->out.len == 0)
        shutdown(s->fd, SHUT_WR);
}

bool stream_discard(struct stream *s, size_t *discarded)
{
    size_t n = wire_receive(s, s->scratch->sealed, sizeof s->scratch->sealed);

    *discarded += n;
    return !s->is_wire_eof && s->failed == STREAM_WELL;
}
