/* SPDX-License-Identifier: ISC */
/* Objects of one size with a ceiling. Address space is reserved once; pages come with use. */
#ifndef STARTTLSD_POOL_H
#define STARTTLSD_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/span.h"

struct pool {
    unsigned char *base;
    size_t size;      /* of one object; a multiple of 16 */
    uint32_t ceiling; /* objects at most */
    uint32_t made;    /* objects [0, made) have been handed out at least once */
    uint32_t free_count;
    uint32_t peak;   /* of pool_used, ever */
    uint32_t warm;   /* so many free ones keep their memory, and for a while twice as many */
    uint32_t *free_; /* indices of the free ones; the last in is the first out */
    uint32_t cold;   /* free_[0, cold) have given their pages back */
};

/*
 * warm  free objects that keep their pages; many more give them back, the longest unused first, where
 *       `size` is a multiple of the page (with large pages they keep them)
 */
MUST_CHECK bool pool_init(struct pool *p, size_t size, uint32_t ceiling, uint32_t warm);
void pool_clear(struct pool *p);

/* Uninitialised memory; NULL: the ceiling is reached. */
MUST_CHECK void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *object);

/* Objects that somebody has now. */
static inline uint32_t pool_used(const struct pool *p)
{
    return p->made - p->free_count;
}

/* More than half of them: not for all at once, and not for long. */
static inline bool pool_is_scarce(const struct pool *p)
{
    return pool_used(p) > p->ceiling / 2;
}

#endif
