/* SPDX-License-Identifier: ISC */
/* A descriptor with or without TLS as one pipe of clear octets. The only file that reads or writes
 * a peer's socket or calls SSL_read_ex and SSL_write_ex. */
#ifndef STARTTLSD_STREAM_H
#define STARTTLSD_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "proxy/buffer.h"
#include "proxy/record_bio.h"
#include "proxy/scratch.h"

enum stream_failure {
    STREAM_WELL,
    STREAM_BROKEN,       /* the connection: reset, unreachable, timed out by the kernel */
    STREAM_BAD_TLS,      /* what came in records, or too much of it before TLS was up */
    STREAM_OUT_OF_MEMORY /* ours: the pool is empty */
};

/* Between two calls a stream holds octets only where it must: */
struct stream {
    int fd; /* -1: none */
    enum side side;
    SSL *ssl; /* NULL: clear */
    struct scratch *scratch;
    struct record_state records;
    struct buffer window; /* clear octets shown to the module and not taken */
    struct buffer sealed; /* ciphertext not yet opened: a partial record, or more than the budget */
    struct buffer out;    /* what the peer would not take; ciphertext with TLS */
    bool is_wire_eof;     /* the socket has nothing more to come */
    bool is_eof;          /* and all of it has been shown */
    bool is_closed_in_order; /* TLS: by close_notify (RFC 8446, section 6.1); clear: always */
    bool is_mute;    /* backend: it takes no more octets, but its last word may still be read */
    bool is_starved; /* the pool is empty: input is lost, but the peer can still be told */
    enum stream_failure failed;     /* anything but STREAM_WELL: it can only be closed now */
    uint32_t shaken;                /* octets of the wire that the handshake has taken */
    uint64_t octets_in, octets_out; /* clear */
    const char *failure; /* why, in words; in the scratch, until the next failure of any stream */
};

enum stream_result {
    STREAM_AGAIN,  /* that was all: wait for readiness */
    STREAM_MORE,   /* the budget is spent, and octets may wait where no poll will announce them */
    STREAM_EOF,    /* the peer will send no more; *in is the last of it */
    STREAM_FAILED, /* the reason stands in `failure`; nothing can be read any more */
};

/* A stream over a connected, non-blocking socket, taken. */
void stream_open(struct stream *s, struct scratch *scratch, enum side side, int fd);

/* Closes the socket, gives everything back. A stream without socket stays as it is. */
void stream_close(struct stream *s);

/* The same, and the peer gets a reset: it must take nothing for whole that was not. */
void stream_reset(struct stream *s);

/*
 * Show the window: what was kept, and what the peer has sent since.
 *
 * is_ready  the socket has been announced readable; without it no system call is spent
 * is_bulk   content is under way: read up to READ_BUDGET octets of the wire, else about one record
 * in        set to the window; borrowed, in the scratch, valid until the next call for any stream.
 *           What is not taken of it must be handed to stream_keep
 */
MUST_CHECK enum stream_result stream_read(struct stream *s, bool is_ready, bool is_bulk,
                                          struct span *in);

/* Keep `rest`, the end of the window, for the next stream_read. False: the pool is empty. */
MUST_CHECK bool stream_keep(struct stream *s, struct span rest);

/* The same for octets that are no clear text but records, in front of stream_start_tls. */
MUST_CHECK bool stream_keep_sealed(struct stream *s, struct span rest);

/* Collect octets to be written by stream_flush, in order. is_stable: they stay where they are until
 * then. */
void stream_put(struct stream *s, struct span octets, bool is_stable);

/* Write what was collected and what was left over; what the socket does not take stays in `out`.
 * False: the connection is broken, or the pool empty: `failed` tells which. */
bool stream_flush(struct stream *s);

/*
 * Give the input back and begin TLS. What came in clear has no memory left to be found in.
 *
 * ssl  taken in any case, in the role it is to play; NULL: there was no memory for it
 */
MUST_CHECK bool stream_start_tls(struct stream *s, SSL *ssl);

enum handshake {
    HANDSHAKE_DONE,
    HANDSHAKE_AGAIN, /* wait for readiness */
    HANDSHAKE_MORE,  /* the budget is spent, and records are here that no poll will announce */
    HANDSHAKE_FAILED /* `failure` tells why; the alert has been sent */
};

/* One step of the handshake. is_ready: as for stream_read. */
MUST_CHECK enum handshake stream_handshake(struct stream *s, bool is_ready);

/* Ciphertext is here that no poll will announce. */
static inline bool stream_has_sealed(const struct stream *s)
{
    return s->sealed.len > 0;
}

/* With TLS 1.3 a peer's message about the connection itself may come in several records; until the
 * last is there OpenSSL writes nothing. */
static inline bool stream_can_write(const struct stream *s)
{
    return s->ssl == NULL || !SSL_in_init(s->ssl);
}

static inline bool stream_has_out(const struct stream *s)
{
    return s->out.len > 0;
}

/* Write what was collected, and say that it was the last: close_notify, and FIN once `out` is empty
 * (call it again when it is). */
void stream_finish(struct stream *s);

/* Write what was collected, TLS's own last word behind it, for a stream that is to be closed now. */
void stream_part(struct stream *s);

/* The peer has reset the connection, or the kernel has given it up. Takes nothing from the socket:
 * for a stream that is not to be read. True: `failed` tells it too. */
MUST_CHECK bool stream_is_reset(struct stream *s);

/* Read and forget. False: the peer has closed, or nothing can come any more. */
MUST_CHECK bool stream_discard(struct stream *s, size_t *discarded);

#endif
