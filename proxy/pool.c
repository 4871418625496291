/* SPDX-License-Identifier: ISC */
/* Objects of one size: a stack of free indices over one reservation of address space. */
#include "proxy/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

/* The first object that nobody has had yet, behind the last that somebody has. To poison all that follow
 * takes a tenth of a second at the start of every worker under a sanitizer. */
static void poison_next(const struct pool *p)
{
    if (p->made < p->ceiling)
        POISON(p->base + (size_t)p->made * p->size, p->size);
}

bool pool_init(struct pool *p, size_t size, uint32_t ceiling, uint32_t warm)
{
    void *base;

    *p = (struct pool){.size = (size + 15) & ~(size_t)15, .ceiling = ceiling, .warm = warm};
    p->free_ = calloc(ceiling, sizeof *p->free_);
    if (p->free_ == NULL)
        return false;
    base = mmap(NULL, p->size * ceiling, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        free(p->free_);
        return false;
    }
    p->base = base;
    poison_next(p);
    return true;
}

void pool_clear(struct pool *p)
{
    if (p->base == NULL)
        return;
    UNPOISON(p->base, p->size * (p->made < p->ceiling ? (size_t)p->made + 1 : p->ceiling));
    munmap(p->base, p->size * p->ceiling);
    free(p->free_);
    *p = (struct pool){0};
}

void *pool_get(struct pool *p)
{
    uint32_t index;
    void *object;

    if (p->free_count > 0) {
        index = p->free_[--p->free_count];
        if (p->cold > p->free_count)
            p->cold = p->free_count;
    } else if (p->made < p->ceiling) {
        index = p->made++;
        poison_next(p);
    } else {
        return NULL;
    }
    if (pool_used(p) > p->peak)
        p->peak = pool_used(p);
    object = p->base + (size_t)index * p->size;
    UNPOISON(object, p->size);
    return object;
}

/* Give the pages of all free objects but the latest `warm` back; in one go, so that a peak that comes and
 * goes does not pay for it each time. */
static void cool(struct pool *p)
{
    for (; p->free_count - p->cold > p->warm; p->cold++)
        madvise(p->base + (size_t)p->free_[p->cold] * p->size, p->size, MADV_DONTNEED);
}

void pool_put(struct pool *p, void *object)
{
    size_t offset = (size_t)((unsigned char *)object - p->base);

    assert(offset % p->size == 0 && offset / p->size < p->made && p->free_count < p->made);
    POISON(object, p->size);
    p->free_[p->free_count++] = (uint32_t)(offset / p->size);
    if (p->free_count - p->cold > 2 * p->warm)
        cool(p);
}
