/* SPDX-License-Identifier: ISC */
/* A queue of octets in blocks of a pool. */
#include "proxy/buffer.h"

#include <assert.h>

static struct block *add_block(struct buffer *b, struct pool *blocks)
{
    struct block *block = pool_get(blocks);

    if (block == NULL)
        return NULL;
    block->next = NULL;
    block->from = block->to = 0;
    if (b->last == NULL)
        b->first = block;
    else
        b->last->next = block;
    b->last = block;
    return block;
}

bool buffer_append(struct buffer *b, struct pool *blocks, struct span octets)
{
    while (octets.len > 0) {
        struct block *block = b->last;
        size_t n;

        if (block == NULL || block->to == BLOCK_ROOM)
            block = add_block(b, blocks);
        if (block == NULL)
            return false;
        n = BLOCK_ROOM - block->to;
        if (n > octets.len)
            n = octets.len;
        memcpy(block->data + block->to, octets.data, n);
        block->to += (uint32_t)n;
        b->len += n;
        octets = span_skip(octets, n);
    }
    return true;
}

struct span buffer_first(const struct buffer *b)
{
    const struct block *block = b->first;

    if (block == NULL)
        return (struct span){NULL, 0};
    return (struct span){block->data + block->from, block->to - block->from};
}

void buffer_drop(struct buffer *b, struct pool *blocks, size_t n)
{
    assert(n <= b->len);
    while (n > 0) {
        struct block *block = b->first;
        size_t here = block->to - block->from;

        if (n < here) {
            block->from += (uint32_t)n;
            b->len -= n;
            return;
        }
        n -= here;
        b->len -= here;
        b->first = block->next;
        if (b->first == NULL)
            b->last = NULL;
        pool_put(blocks, block);
    }
}

void buffer_move(struct buffer *b, struct pool *blocks, char *space)
{
    while (b->len > 0) {
        struct span octets = buffer_first(b);

        memcpy(space, octets.data, octets.len);
        space += octets.len;
        buffer_drop(b, blocks, octets.len);
    }
}

void buffer_clear(struct buffer *b, struct pool *blocks)
{
    buffer_drop(b, blocks, b->len);
}
