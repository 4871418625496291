/* SPDX-License-Identifier: ISC */
/* Shared memory with one writer. Each record has a sequence number of its own, odd while it is
 * being written (a seqlock); all octets that are shared are atomic words, so that a race is only
 * ever an old value. */
#include "proxy/board.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/log.h"

#define TRIES       64      /* then the writer is stopped in mid-write, or hostile */
#define RECORDS_MAX 1000000 /* loads and backends alike */

/* A board is its records, one after another, table by table; each on cache lines of
 * its own. */
struct record {
    _Alignas(64) _Atomic uint32_t sequence;
    _Atomic uint32_t word[];
};

enum table { TABLE_BACKEND, TABLE_LEARNED, TABLE_EXPERIENCE, TABLE_LOAD };
#define TABLE_COUNT 4

static const size_t value_size[TABLE_COUNT] = {
    [TABLE_BACKEND] = sizeof(struct board_backend),
    [TABLE_LEARNED] = sizeof(struct learned),
    [TABLE_EXPERIENCE] = sizeof(struct board_experience),
    [TABLE_LOAD] = sizeof(struct board_load),
};
static_assert(sizeof(struct board_backend) % 4 == 0, "copied by words");
static_assert(sizeof(struct learned) % 4 == 0, "copied by words");
static_assert(sizeof(struct board_experience) % 4 == 0, "copied by words");
static_assert(sizeof(struct board_load) % 4 == 0, "copied by words");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "a lock would lie in one process only");

struct board {
    unsigned char *data;
    size_t size;
    uint32_t count[TABLE_COUNT];
    unsigned char *last[TABLE_COUNT]; /* reader: the last good value of each record */
};

static size_t stride(enum table t)
{
    return (sizeof(_Atomic uint32_t) + value_size[t] + 63) / 64 * 64;
}

static void count_records(uint32_t count[TABLE_COUNT], uint32_t loads, uint32_t backends)
{
    count[TABLE_BACKEND] = backends;
    count[TABLE_LEARNED] = backends;
    count[TABLE_EXPERIENCE] = backends;
    count[TABLE_LOAD] = loads;
}

static size_t board_size(uint32_t loads, uint32_t backends)
{
    uint32_t count[TABLE_COUNT];
    size_t size = 64; /* never empty, so it can always be mapped */

    count_records(count, loads, backends);
    for (enum table t = 0; t < TABLE_COUNT; t++)
        size += count[t] * stride(t);
    return size;
}

static struct record *record(const struct board *b, enum table t, size_t index)
{
    size_t offset = 0;

    assert(index < b->count[t]);
    for (enum table before = 0; before < t; before++)
        offset += b->count[before] * stride(before);
    return (struct record *)(void *)(b->data + offset + index * stride(t));
}

bool board_make(uint32_t loads, uint32_t backends, int *writer, int *reader)
{
    char path[64];

    *writer = *reader = -1;
    if (loads > RECORDS_MAX || backends > RECORDS_MAX) {
        errno = EFBIG;
        return false;
    }
    *writer = memfd_create("starttlsd board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*writer < 0 || ftruncate(*writer, (off_t)board_size(loads, backends)) < 0 ||
        fcntl(*writer, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        goto failed;
    /* Opened anew: a duplicate would share the right to write. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", *writer);
    *reader = open(path, O_RDONLY | O_CLOEXEC);
    if (*reader >= 0)
        return true;
failed:
    if (*writer >= 0)
        close(*writer);
    *writer = -1;
    return false;
}

void board_close(struct board *b)
{
    if (b == NULL)
        return;
    for (enum table t = 0; t < TABLE_COUNT; t++)
        free(b->last[t]);
    if (b->data != NULL)
        munmap(b->data, b->size);
    free(b);
}

/* Map it and look at its size; what it holds is judged with every read. */
static struct board *map(int fd, uint32_t loads, uint32_t backends, int protection)
{
    struct board *b = calloc(1, sizeof *b);
    const int sealed = F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;
    void *data;

    if (b == NULL)
        goto failed;
    if (loads > RECORDS_MAX || backends > RECORDS_MAX || seals < 0 || (seals & sealed) != sealed ||
        fstat(fd, &st) < 0 || st.st_size != (off_t)board_size(loads, backends)) {
        errno = EINVAL;
        goto failed;
    }
    data = mmap(NULL, (size_t)st.st_size, protection, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        goto failed;
    b->data = data;
    b->size = (size_t)st.st_size;
    count_records(b->count, loads, backends);
    close(fd);
    return b;
failed:
    log_errno(LEVEL_ERROR, "board.failed", NULL);
    free(b);
    close(fd);
    return NULL;
}

struct board *board_open_writer(int fd, uint32_t loads, uint32_t backends)
{
    return map(fd, loads, backends, PROT_READ | PROT_WRITE);
}

struct board *board_open_reader(int fd, uint32_t loads, uint32_t backends)
{
    struct board *b = map(fd, loads, backends, PROT_READ);

    if (b == NULL)
        return NULL;
    for (enum table t = 0; t < TABLE_COUNT; t++) {
        b->last[t] = calloc(b->count[t] + 1, value_size[t]);
        if (b->last[t] == NULL) {
            log_errno(LEVEL_ERROR, "board.failed", NULL);
            board_close(b);
            return NULL;
        }
    }
    return b;
}

static void put(struct board *b, enum table t, size_t index, const void *value)
{
    struct record *r = record(b, t, index);
    /* It is odd already where a predecessor died in mid-write. */
    uint32_t odd = atomic_load_explicit(&r->sequence, memory_order_relaxed) | 1;

    atomic_store_explicit(&r->sequence, odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < value_size[t] / 4; i++) {
        uint32_t word;

        memcpy(&word, (const unsigned char *)value + i * 4, 4);
        atomic_store_explicit(&r->word[i], word, memory_order_relaxed);
    }
    atomic_store_explicit(&r->sequence, odd + 1, memory_order_release);
}

/* False: torn at every try. */
static bool copy(const struct board *b, enum table t, size_t index, void *value)
{
    struct record *r = record(b, t, index);

    for (int tries = 0; tries < TRIES; tries++) {
        uint32_t before = atomic_load_explicit(&r->sequence, memory_order_acquire);

        if (before % 2 != 0)
            continue;
        for (size_t i = 0; i < value_size[t] / 4; i++) {
            uint32_t word = atomic_load_explicit(&r->word[i], memory_order_relaxed);

            memcpy((unsigned char *)value + i * 4, &word, 4);
        }
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&r->sequence, memory_order_relaxed) == before)
            return true;
    }
    return false;
}

/* The value as it is now if it is whole and `is_sane`, else the last one that was. The writer's own
 * end has no copies: nobody else writes what it reads. */
static void get(struct board *b, enum table t, size_t index, void *value,
                bool (*is_sane)(const void *value))
{
    unsigned char *last = b->last[t] == NULL ? NULL : b->last[t] + index * value_size[t];

    if (copy(b, t, index, value) && is_sane(value)) {
        if (last != NULL)
            memcpy(last, value, value_size[t]);
    } else if (last != NULL) {
        memcpy(value, last, value_size[t]);
    } else {
        memset(value, 0, value_size[t]);
    }
}

static bool is_sane_backend(const void *value)
{
    struct {
        uint32_t health;
        unsigned char is_resolved;
    } raw;
    const struct board_backend *b = value;

    /* Looked at as octets: an enum or a bool out of its range must not even be read as one. */
    memcpy(&raw.health, &b->health, sizeof raw.health);
    memcpy(&raw.is_resolved, &b->is_resolved, sizeof raw.is_resolved);
    if (raw.health > BACKEND_DOWN || raw.is_resolved > 1 || b->address_count > BOARD_ADDRESSES_MAX)
        return false;
    for (uint32_t i = 0; i < b->address_count; i++)
        if (b->address[i].any.sa_family != AF_INET && b->address[i].any.sa_family != AF_INET6)
            return false;
    return true;
}

static bool is_sane_learned(const void *value)
{
    const struct learned *l = value;
    unsigned char is_known;

    memcpy(&is_known, &l->is_known, 1); /* as an octet: see above */
    if (is_known > 1 || l->len > LEARNED_MAX || (l->len > 0 && l->text[l->len - 1] != '\n'))
        return false;
    for (size_t i = 0; i < l->len; i++)
        if (l->text[i] != '\n' && (l->text[i] < ' ' || l->text[i] > '~'))
            return false;
    return true;
}

static bool is_sane_load(const void *value)
{
    const struct board_load *l = value;

    return memchr(l->service, '\0', sizeof l->service) != NULL; /* any count is one */
}

static bool is_sane_number(const void *value)
{
    return true; /* any count and any time is one; who compares times takes a future one as now */
}

void board_put_backend(struct board *b, size_t backend, const struct board_backend *value)
{
    put(b, TABLE_BACKEND, backend, value);
}

void board_get_backend(struct board *b, size_t backend, struct board_backend *value)
{
    get(b, TABLE_BACKEND, backend, value, is_sane_backend);
}

const struct board_backend *board_see_backend(struct board *b, size_t backend)
{
    struct board_backend now;

    assert(b->last[TABLE_BACKEND] != NULL);
    board_get_backend(b, backend, &now);
    return (const void *)(b->last[TABLE_BACKEND] + backend * sizeof now);
}

void board_put_learned(struct board *b, size_t backend, const struct learned *value)
{
    put(b, TABLE_LEARNED, backend, value);
}

void board_get_learned(struct board *b, size_t backend, struct learned *value)
{
    get(b, TABLE_LEARNED, backend, value, is_sane_learned);
}

static uint32_t version(const struct board *b, enum table t, size_t backend)
{
    return atomic_load_explicit(&record(b, t, backend)->sequence, memory_order_relaxed);
}

uint32_t board_backend_version(const struct board *b, size_t backend)
{
    return version(b, TABLE_BACKEND, backend);
}

uint32_t board_learned_version(const struct board *b, size_t backend)
{
    return version(b, TABLE_LEARNED, backend);
}

void board_put_experience(struct board *b, size_t backend, const struct board_experience *value)
{
    put(b, TABLE_EXPERIENCE, backend, value);
}

void board_get_experience(struct board *b, size_t backend, struct board_experience *value)
{
    get(b, TABLE_EXPERIENCE, backend, value, is_sane_number);
}

void board_put_load(struct board *b, size_t row, const struct board_load *value)
{
    put(b, TABLE_LOAD, row, value);
}

void board_get_load(struct board *b, size_t row, struct board_load *value)
{
    get(b, TABLE_LOAD, row, value, is_sane_load);
}
