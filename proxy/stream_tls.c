/* SPDX-License-Identifier: ISC */
/* A stream's TLS: records between the wire and OpenSSL, many for one system call, and the handshake.
 */
#include "proxy/stream_tls.h"

#include <assert.h>

#include <openssl/err.h>

#include "proxy/stream_wire.h"
#include "proxy/tls_report.h"

#define RECORD_PLAIN_MAX   ((size_t)16384)
#define RECORDS_OPENED_MAX 64 /* records a wake-up may open, however small */
/* A hello is 2 KiB with all that clients offer today; OpenSSL would keep 128 KiB of an unfinished
 * one. */
#define HANDSHAKE_OCTETS_MAX 32768

static bool fail_tls(struct stream *s)
{
    char space[sizeof s->scratch->failure];

    return wire_fail(s, STREAM_BAD_TLS, tls_report_error(NULL, space, sizeof space));
}

static bool send_records(struct stream *s)
{
    struct scratch *scratch = s->scratch;
    struct span rest = {scratch->records, scratch->sending};

    scratch->sending = 0;
    if (wire_send_out(s) && rest.len > 0) {
        struct iovec piece = {scratch->records, rest.len};
        ssize_t n = wire_send(s, &piece, 1);

        if (n > 0)
            rest = span_skip(rest, (size_t)n);
    }
    if (s->failed != STREAM_WELL)
        return false;
    return wire_keep_out(s, rest);
}

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

    return buffer_append(&s->sealed, scratch->blocks, rest) || wire_starve(s);
}

/* Records may be left that only this wake-up's budget has kept from OpenSSL. */
static bool is_budget_spent(const struct stream *s)
{
    return s->records.opened >= s->records.opened_max;
}

/* How much of the wire to ask for: in bulk as many whole records as the budget allows, so that a
 * read ends where a record ends, and what is read is opened in the same wake-up. */
static size_t sealed_wanted(const struct stream *s, bool is_bulk)
{
    size_t have = s->scratch->sealed_to, want = RECORD_MAX, record = s->records.record_size;

    if (is_bulk && record > 0 && !pool_is_scarce(s->scratch->blocks)) {
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
        scratch->sealed_to += wire_receive(s, scratch->sealed + scratch->sealed_to, want);
}

static_assert(WINDOW_MAX >= RECORD_PLAIN_MAX, "a record fits behind any limit of the window");

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

enum stream_result stream_tls_read(struct stream *s, bool is_ready, bool is_bulk, size_t *len)
{
    enum stream_result result;

    load_sealed(s);
    if (is_ready && *len < wire_window_max(is_bulk))
        receive_sealed(s, is_bulk);
    result = open_records(s, wire_window_max(is_bulk), len);
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

bool stream_tls_flush(struct stream *s, struct gather *g)
{
    return seal_pieces(s, g) && send_records(s);
}

bool stream_keep_sealed(struct stream *s, struct span rest)
{
    s->shaken += (uint32_t)rest.len;
    return buffer_append(&s->sealed, s->scratch->blocks, rest) || wire_starve(s);
}

bool stream_start_tls(struct stream *s, SSL *ssl)
{
    BIO *bio;

    buffer_clear(&s->window, s->scratch->blocks);
    ERR_clear_error();
    s->records = (struct record_state){.scratch = s->scratch};
    s->ssl = ssl;
    bio = s->ssl == NULL ? NULL : record_bio_new(&s->records);
    if (bio == NULL)
        return wire_fail(s, STREAM_OUT_OF_MEMORY, "out of memory");
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
                wire_fail(s, STREAM_BROKEN, "closed during the handshake");
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
        wire_fail(s, STREAM_BAD_TLS, "handshake too large");
    result = s->failed != STREAM_WELL ? HANDSHAKE_FAILED : shake(s);
    if (s->scratch->sending > 0 && !send_records(s))
        result = HANDSHAKE_FAILED;
    if (!store_sealed(s))
        result = HANDSHAKE_FAILED;
    return result;
}

/* close_notify leaves in one write with the last words. */
void stream_tls_finish(struct stream *s)
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
