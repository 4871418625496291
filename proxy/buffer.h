/* SPDX-License-Identifier: ISC */
/* Octets that had to stay behind, in blocks borrowed from a pool. Without octets it holds no
 * memory. */
#ifndef STARTTLSD_BUFFER_H
#define STARTTLSD_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/span.h"
#include "proxy/pool.h"

/* Five pages: one block holds the longest TLS record (RFC 8446, section 5.2) and the longest
 * window. */
#define BLOCK_SIZE ((size_t)20480)

struct block {
    struct block *next;
    uint32_t from, to; /* data[from, to) is not yet taken */
    char data[];
};

#define BLOCK_ROOM (BLOCK_SIZE - sizeof(struct block))

/* All zero: empty. */
struct buffer {
    struct block *first, *last;
    size_t len;
};

/* Copy octets to the end. False: the pool is empty; what fitted is in the buffer. */
MUST_CHECK bool buffer_append(struct buffer *b, struct pool *blocks, struct span octets);

/* The octets of the first block, as many as lie together. Valid until the next call that changes b.
 */
struct span buffer_first(const struct buffer *b);

/* Forget the first n octets, n <= len. */
void buffer_drop(struct buffer *b, struct pool *blocks, size_t n);

/* Move everything to `space` (at least b->len octets). */
void buffer_move(struct buffer *b, struct pool *blocks, char *space);

void buffer_clear(struct buffer *b, struct pool *blocks);

#endif
