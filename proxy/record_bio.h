/* SPDX-License-Identifier: ISC */
/* OpenSSL's side of the scratch: whole records in, batches out. It touches no socket. */
#ifndef STARTTLSD_RECORD_BIO_H
#define STARTTLSD_RECORD_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>

#include "proxy/scratch.h"

/* What OpenSSL may leave in scratch->records unasked (alerts, KeyUpdates, a handshake's flight): an
 * unread flood of KeyUpdates must not grow memory. stream.c raises it while it writes itself. */
#define RECORDS_UNASKED_MAX ((size_t)32768)

/* The state between two calls, one a stream. */
struct record_state {
    struct scratch *scratch;
    size_t record_left;   /* octets of the record in hand that OpenSSL has not fetched */
    size_t sending_limit; /* scratch->sending never passes it */
    uint16_t
        record_size; /* of the last whole record on the wire: what a read should be a multiple of */
    uint16_t opened; /* records begun in this wake-up, for the budget */
    uint16_t opened_max; /* no further one is begun beyond */
};

/* Before the first record_bio_new, after tls_library_start. */
MUST_CHECK bool record_bio_start(void);

/* A BIO over `state`, which outlives it. NULL: no memory. */
MUST_CHECK BIO *record_bio_new(struct record_state *state);

#endif
