/* SPDX-License-Identifier: ISC */
/* The worker's one area that octets pass through. It belongs to one stream at a time, for one call;
 * what must outlive the call goes to a buffer, in blocks of `blocks`. */
#ifndef STARTTLSD_SCRATCH_H
#define STARTTLSD_SCRATCH_H

#include <stddef.h>
#include <sys/uio.h>

#include "protocols/protocol.h"
#include "proxy/pool.h"

/* Longest TLS record on the wire: header and TLSCiphertext (RFC 5246, section 6.2.3, the longer
 * one). */
#define RECORD_MAX ((size_t)5 + 16384 + 2048)

/* Octets that one wake-up of one session may read from the wire: its neighbours' patience. */
#define READ_BUDGET (8 * RECORD_MAX)

/* Writes to one side, collected in a wake-up: references to the window, and small pieces side by
 * side. */
#define GATHER_PIECES 32
struct gather {
    struct iovec piece[GATHER_PIECES];
    unsigned count;
    size_t staged;
    char stage[65536]; /* content that needs an edit on every line comes all this way */
};

struct scratch {
    struct pool *blocks;
    struct gather gather[2]; /* by side */

    /* Clear text in front of the module. */
    _Alignas(max_align_t) char window[READ_BUDGET + WINDOW_MAX];

    /* Off the wire: sealed[sealed_from, sealed_to) are records read, not yet opened. */
    size_t sealed_from, sealed_to;
    char sealed[READ_BUDGET + RECORD_MAX];

    /* For the wire: records[0, sending). */
    size_t sending;
    char records[READ_BUDGET + 2 * RECORD_MAX];

    char space[EVENT_SPACE]; /* for the module's texts */
    char failure[160];       /* the reason of the last failure, see stream.h */
};

#endif
