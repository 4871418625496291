/* SPDX-License-Identifier: ISC */
/* Reads one side into the scratch and writes the other at once. With TLS, records pass the scratch
 * too, so that one system call carries many of them. What must wait is kept in blocks; an idle
 * stream has none. */
#include "proxy/stream.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "proxy/tls_report.h"

#define RECORD_PLAIN_MAX   ((size_t)16384)
#define RECORDS_OPENED_MAX 64 /* records a wake-up may open, however small */
/* A hello is 2 KiB with all that clients offer today; OpenSSL would keep 128 KiB of an unfinished
 * one. */
#define HANDSHAKE_OCTETS_MAX 32768
#define PIECE_WORTH_A_COPY   1024 /* smaller pieces lie side by side: one record, one element */

static bool fail(struct stream *s, enum stream_failure kind, const char *reason)
{
    if (s->failed == STREAM_WELL) {
        snprintf(s->scratch->failure, sizeof s->scratch->failure, "%s", reason);
        s->failure = s->scratch->failure;
        s->failed = kind;
    }
    return false;
}

static bool fail_errno(struct stream *s, int error)
{
    char space[64];

    return fail(s, STREAM_BROKEN, strerror_r(error, space, sizeof space));
}

static bool fail_tls(struct stream *s)
{
    char space[sizeof s->scratch->failure];

    return fail(s, STREAM_BAD_TLS, tls_report_error(NULL, space, sizeof space));
}

static const char pool_is_empty[] = "buffer pool is empty";

static bool starve(struct stream *s)
{
    s->is_starved = true;
    s->failure = pool_is_empty;
    return false;
}

static bool keep_out(struct stream *s, struct span octets)
{
    if (s->is_mute)
        return true;
    return buffer_append(&s->out, s->scratch->blocks, octets) ||
           fail(s, STREAM_OUT_OF_MEMORY, pool_is_empty);
}

/* ---- the socket ---- */

static ssize_t send_pieces(struct stream *s, struct iovec *piece, unsigned count)
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
    fail_errno(s, errno);
    return -1;
}

/* Returns whether nothing is left over. */
static bool send_out(struct stream *s)
{
    while (s->out.len > 0) {
        struct span octets = buffer_first(&s->out);
        struct iovec piece = {(void *)(uintptr_t)octets.data, octets.len};
        ssize_t n = send_pieces(s, &piece, 1);

        if (n < 0 || s->is_mute)
            return false;
        buffer_drop(&s->out, s->scratch->blocks, (size_t)n);
        if ((size_t)n < octets.len)
            return false;
    }
    return true;
}

static bool send_records(struct stream *s)
{
    struct scratch *scratch = s->scratch;
    struct span rest = {scratch->records, scratch->sending};

    scratch->sending = 0;
    if (send_out(s) && rest.len > 0) {
        struct iovec piece = {scratch->records, rest.len};
        ssize_t n = send_pieces(s, &piece, 1);

        if (n > 0)
            rest = span_skip(rest, (size_t)n);
    }
    if (s->failed != STREAM_WELL)
        return false;
    return keep_out(s, rest);
}

/* Octets read; sets is_wire_eof or fails. */
static size_t receive(struct stream *s, char *to, size_t room)
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
        fail_errno(s, errno);
    return 0;
}

/* Neither octets nor a FIN in front of the reset hide it here, as they would from recv; and
 * SO_ERROR would show errors that TCP gets over. */
bool stream_is_reset(struct stream *s)
{
    struct pollfd p = {.fd = s->fd};

    if (poll(&p, 1, 0) > 0)
        fail_errno(s, ECONNRESET);
    return s->failed != STREAM_WELL;
}

/* ---- reading ---- */

static void load_sealed(struct stream *s)
{
    struct scratch *scratch = s->scratch;

    scratch->sealed_from = 0;
    scratch->sealed_to = s->sealed.len;
    scratch->sending = 0;
    buffer_move(&s->sealed, scratch->blocks, scratch->sealed);
    s->records.opened = 0;
    s->records.opened_max = RECORDS_OPENED_MAX;
    s->records.sending_limit = RECORDS_UNASKED_MAX;
}

static bool store_sealed(struct stream *s)
{
    struct scratch *scratch = s->scratch;
    struct span rest = {scratch->sealed + scratch->sealed_from,
                        scratch->sealed_to - scratch->sealed_from};

    return buffer_append(&s->sealed, scratch->blocks, rest) || starve(s);
}

/* Records may be left that only this wake-up's budget has kept from OpenSSL. */
static bool is_budget_spent(const struct stream *s)
{
    return s->records.opened >= s->records.opened_max;
}

/* What is read may have to be kept: not by all at once. */
static bool is_scarce(const struct pool *blocks)
{
    return pool_used(blocks) > blocks->ceiling / 2;
}

/* How much of the wire to ask for: in bulk as many whole records as the budget allows, so that a
 * read ends where a record ends, and what is read is opened in the same wake-up. */
static size_t sealed_wanted(const struct stream *s, bool is_bulk)
{
    size_t have = s->scratch->sealed_to, want = RECORD_MAX, record = s->records.record_size;

    if (is_bulk && record > 0 && !is_scarce(s->scratch->blocks)) {
        want = RECORDS_OPENED_MAX * record;
        if (want > READ_BUDGET)
            want = READ_BUDGET / record * record;
    }
    if (want < RECORD_MAX)
        want = RECORD_MAX;
    return want > have ? want - have : 0;
}

static void receive_sealed(struct stream *s, bool is_bulk)
{
    struct scratch *scratch = s->scratch;
    size_t want = sealed_wanted(s, is_bulk);

    if (!s->is_wire_eof && want > 0)
        scratch->sealed_to += receive(s, scratch->sealed + scratch->sealed_to, want);
}

static_assert(WINDOW_MAX >= RECORD_PLAIN_MAX, "a record fits behind any limit of the window");

/* How far the window may be filled: who does not take what is there gets no more of it to keep. */
static size_t window_max(bool is_bulk)
{
    return is_bulk ? READ_BUDGET : WINDOW_MAX;
}

/* Open records into the window up to `limit`, the last one whole. Returns what is to be said of the
 * input. */
static enum stream_result open_records(struct stream *s, size_t limit, size_t *len)
{
    struct scratch *scratch = s->scratch;
    size_t got;

    while (*len < limit) {
        ERR_clear_error();
        if (SSL_read_ex(s->ssl, scratch->window + *len, sizeof scratch->window - *len, &got) == 1) {
            *len += got;
            s->octets_in += got;
            continue;
        }
        switch (SSL_get_error(s->ssl, 0)) {
        case SSL_ERROR_WANT_READ: return is_budget_spent(s) ? STREAM_MORE : STREAM_AGAIN;
        case SSL_ERROR_WANT_WRITE: return STREAM_MORE;
        case SSL_ERROR_ZERO_RETURN: s->is_closed_in_order = true; return STREAM_EOF;
        default: fail_tls(s); return STREAM_FAILED;
        }
    }
    return STREAM_MORE;
}

static enum stream_result read_tls(struct stream *s, bool is_ready, bool is_bulk, size_t *len)
{
    enum stream_result result;

    load_sealed(s);
    if (is_ready && *len < window_max(is_bulk))
        receive_sealed(s, is_bulk);
    result = open_records(s, window_max(is_bulk), len);
    /* An alert or a KeyUpdate's answer goes out even if the read failed. */
    if (s->scratch->sending > 0 && !send_records(s))
        return STREAM_FAILED;
    if (!store_sealed(s) || s->failed != STREAM_WELL)
        return STREAM_FAILED;
    if (result == STREAM_MORE && s->sealed.len == 0)
        result = STREAM_AGAIN;
    if (result == STREAM_AGAIN && s->is_wire_eof)
        result = STREAM_EOF; /* without close_notify; a partial record is lost with it */
    return result;
}

static enum stream_result read_clear(struct stream *s, bool is_ready, bool is_bulk, size_t *len)
{
    struct scratch *scratch = s->scratch;
    const size_t limit = window_max(is_bulk && !is_scarce(scratch->blocks));

    if (is_ready && !s->is_wire_eof && *len < limit) {
        size_t got = receive(s, scratch->window + *len, limit - *len);

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
                                : read_tls(s, is_ready, is_bulk, &len);
    s->is_eof = result == STREAM_EOF;
    *in = (struct span){s->scratch->window, len};
    return result;
}

bool stream_keep(struct stream *s, struct span rest)
{
    assert(s->window.len == 0);
    return buffer_append(&s->window, s->scratch->blocks, rest) || starve(s);
}

/* ---- writing ---- */

static bool flush_clear(struct stream *s, struct gather *g)
{
    size_t sent = 0;
    ssize_t n;

    if (send_out(s) && g->count > 0) {
        n = send_pieces(s, g->piece, g->count);
        sent = n > 0 ? (size_t)n : 0;
    }
    for (unsigned i = 0; i < g->count && s->failed == STREAM_WELL; i++) {
        struct span octets = {g->piece[i].iov_base, g->piece[i].iov_len};
        size_t gone = sent < octets.len ? sent : octets.len;

        sent -= gone;
        if (!keep_out(s, span_skip(octets, gone)))
            break;
    }
    return s->failed == STREAM_WELL;
}

static bool seal(struct stream *s, struct span octets)
{
    struct scratch *scratch = s->scratch;
    size_t taken;

    while (octets.len > 0) {
        size_t n = octets.len < RECORD_PLAIN_MAX ? octets.len : RECORD_PLAIN_MAX;

        if (sizeof scratch->records - scratch->sending < RECORD_MAX + 512 && !send_records(s))
            return false;
        ERR_clear_error();
        if (SSL_write_ex(s->ssl, octets.data, n, &taken) != 1)
            return fail_tls(s);
        octets = span_skip(octets, taken);
    }
    return true;
}

static bool seal_pieces(struct stream *s, struct gather *g)
{
    s->scratch->sending = 0;
    s->records.sending_limit = sizeof s->scratch->records;
    for (unsigned i = 0; i < g->count; i++)
        if (!seal(s, (struct span){g->piece[i].iov_base, g->piece[i].iov_len}))
            return false;
    return true;
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
            (void)!(seal_pieces(s, g) && send_records(s));
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

/* ---- TLS ---- */

bool stream_start_tls(struct stream *s, SSL *ssl)
{
    BIO *bio;

    buffer_clear(&s->window, s->scratch->blocks);
    ERR_clear_error();
    s->records = (struct record_state){.scratch = s->scratch};
    s->ssl = ssl;
    bio = s->ssl == NULL ? NULL : record_bio_new(&s->records);
    if (bio == NULL)
        return fail(s, STREAM_OUT_OF_MEMORY, "out of memory");
    SSL_set_bio(s->ssl, bio, bio);
    return true;
}

static enum handshake shake(struct stream *s)
{
    for (;;) {
        int result;

        ERR_clear_error();
        result = SSL_do_handshake(s->ssl);
        if (result == 1)
            return HANDSHAKE_DONE;
        switch (SSL_get_error(s->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            if (s->is_wire_eof && !is_budget_spent(s)) {
                fail(s, STREAM_BROKEN, "closed during the handshake");
                return HANDSHAKE_FAILED;
            }
            return is_budget_spent(s) ? HANDSHAKE_MORE : HANDSHAKE_AGAIN;
        case SSL_ERROR_WANT_WRITE:
            if (!send_records(s) || s->out.len > 0)
                return s->failed != STREAM_WELL ? HANDSHAKE_FAILED : HANDSHAKE_AGAIN;
            break;
        default: fail_tls(s); return HANDSHAKE_FAILED;
        }
    }
}

enum handshake stream_handshake(struct stream *s, bool is_ready)
{
    enum handshake result;

    size_t before;

    load_sealed(s);
    before = s->scratch->sealed_to;
    if (is_ready)
        receive_sealed(s, false);
    s->shaken += (uint32_t)(s->scratch->sealed_to - before);
    if (s->shaken > HANDSHAKE_OCTETS_MAX)
        fail(s, STREAM_BAD_TLS, "handshake too large");
    result = s->failed != STREAM_WELL ? HANDSHAKE_FAILED : shake(s);
    if (s->scratch->sending > 0 && !send_records(s))
        result = HANDSHAKE_FAILED;
    if (!store_sealed(s))
        result = HANDSHAKE_FAILED;
    return result;
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

/* close_notify leaves in one write with the last words. */
static void finish_tls(struct stream *s)
{
    bool is_due =
        SSL_is_init_finished(s->ssl) && (SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN) == 0;

    if (!seal_pieces(s, &s->scratch->gather[s->side]))
        return;
    ERR_clear_error();
    if (is_due && SSL_shutdown(s->ssl) < 0)
        fail_tls(s);
    else
        (void)!send_records(s);
}

void stream_finish(struct stream *s)
{
    if (s->ssl != NULL && s->failed == STREAM_WELL)
        finish_tls(s);
    else
        stream_flush(s);
    forget_pieces(s);
    if (s->out.len == 0)
        shutdown(s->fd, SHUT_WR);
}

bool stream_discard(struct stream *s, size_t *discarded)
{
    size_t n = receive(s, s->scratch->sealed, sizeof s->scratch->sealed);

    *discarded += n;
    return !s->is_wire_eof && s->failed == STREAM_WELL;
}
