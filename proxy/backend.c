/* SPDX-License-Identifier: ISC */
/* Chooses backends with the board's help, and tells the scout what became of them. */
#include "proxy/backend.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the pool ---- */

/* Counted beside services, by a name that none of them can have. */
static struct quota *count_backend(struct quotas *quotas, const struct service *service,
                                   const struct endpoint *backend)
{
    const uint64_t key = spread_hash(spread_hash(0, service->name), backend->text);
    char name[BOARD_SERVICE_MAX];

    snprintf(name, sizeof name, "@%016llx", (unsigned long long)key);
    return quota_get(quotas, name);
}

static bool count_backends(struct backend_pool *p, const struct service *service,
                           struct quotas *quotas)
{
    for (size_t i = 0; i < service->backend_count; i++) {
        p->load[i] = count_backend(quotas, service, &service->backend[i]);
        if (p->load[i] == NULL)
            return false;
    }
    return true;
}

struct backend_pool *backend_pool_new(const struct service *service, struct quotas *quotas)
{
    const size_t backends = service->backend_count;
    struct backend_pool *p = calloc(1, sizeof *p + backends * sizeof p->load[0]);
    uint32_t begin = 0;

    assert(backends > 0 && backends <= SPREAD_BACKENDS_MAX);
    if (p == NULL)
        return NULL;
    p->backends = backends;
    (void)!getrandom(&begin, sizeof begin, 0); /* without it all workers begin alike, no more */
    spread_init(&p->spread, backends, begin);
    p->from = dial_from_texts(service->backend_source_v4, service->backend_source_v6);
    if (service->balance != BALANCE_LEASTCONN || count_backends(p, service, quotas))
        return p;
    backend_pool_free(p);
    return NULL;
}

void backend_pool_free(struct backend_pool *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->backends; i++)
        if (p->load[i] != NULL)
            quota_put(p->load[i]);
    free(p);
}

/* ---- the choice ---- */

struct candidates {
    struct spread_choice choice[SPREAD_BACKENDS_MAX];
    size_t count;
    bool is_any_unresolved;
};

static bool has_tried(const struct backend_try *t, size_t backend)
{
    return (t->tried >> backend & 1) != 0;
}

/* Those that may be tried now. */
static void gather(struct candidates *c, const struct backend_try *t,
                   const struct snapshot *snapshot, const struct snapshot_service *service)
{
    const struct service *config = service->config;
    struct quota *const *load = service->pool->load;
    const uint64_t now = now_ms();

    c->count = 0;
    c->is_any_unresolved = false;
    for (uint32_t i = 0; i < config->backend_count; i++) {
        const struct board_backend *seen =
            board_see_backend(snapshot->scout, service->first_backend + i);

        if (has_tried(t, i) || seen->health == BACKEND_DOWN)
            continue;
        if (!seen->is_resolved)
            c->is_any_unresolved = true;
        if (seen->address_count == 0)
            continue;
        c->choice[c->count++] = (struct spread_choice){
            .backend = i,
            .share = spread_share(seen->up_since_ms, now),
            .connections = load[i] == NULL ? 0 : quota_sessions(load[i]),
            .text = config->backend[i].text,
        };
    }
}

static size_t choose(const struct candidates *c, const struct snapshot_service *service,
                     const struct address *client)
{
    struct spread *spread = &service->pool->spread;
    struct address source;

    switch (service->config->balance) {
    case BALANCE_FAILOVER: return 0;
    case BALANCE_ROUNDROBIN: return spread_in_turn(spread, c->choice, c->count);
    case BALANCE_LEASTCONN: return spread_by_connections(spread, c->choice, c->count);
    case BALANCE_SOURCE:
        source = address_mapped(client);
        return spread_by_source(source.octets, c->choice, c->count);
    }
    return 0;
}

/* From here on it counts, so that those who come at the same time go elsewhere. */
static void take(struct backend_try *t, const struct snapshot_service *service, uint32_t backend)
{
    struct quota *load = service->pool->load[backend];

    t->tried |= UINT64_C(1) << backend;
    t->backend = backend;
    if (load == NULL)
        return;
    t->load = quota_share(load);
    quota_add_session(load);
}

static size_t board_index(const struct backend_try *t, const struct snapshot_service *service)
{
    return service->first_backend + t->backend;
}

/* Two failures in a row close a backend for everybody: one session counts as one at most, however
 * many addresses it met. */
static void tell_failure(struct backend_try *t, const struct snapshot *snapshot,
                         const struct snapshot_service *service)
{
    struct board_experience met;

    t->has_failed = false;
    board_get_experience(snapshot->own, board_index(t, service), &met);
    if (met.failures < UINT32_MAX)
        met.failures++;
    met.last_failure_ms = now_ms();
    board_put_experience(snapshot->own, board_index(t, service), &met);
}

enum backend_next backend_next(struct backend_try *t, const struct snapshot *snapshot,
                               const struct snapshot_service *service, const struct address *client)
{
    struct candidates c;

    if (t->has_failed)
        tell_failure(t, snapshot, service);
    backend_let_go(t);
    gather(&c, t, snapshot, service);
    if (c.count == 0)
        return c.is_any_unresolved && t->tried == 0 ? BACKEND_NEXT_LATER : BACKEND_NEXT_NONE;
    take(t, service, c.choice[choose(&c, service, client)].backend);
    return BACKEND_NEXT_FOUND;
}

const struct board_backend *backend_in_hand(const struct backend_try *t,
                                            const struct snapshot *snapshot,
                                            const struct snapshot_service *service)
{
    return board_see_backend(snapshot->scout, board_index(t, service));
}

void backend_let_go(struct backend_try *t)
{
    if (t->load == NULL)
        return;
    quota_drop_session(t->load);
    quota_put(t->load);
    t->load = NULL;
}

void backend_note_success(struct backend_try *t, const struct snapshot *snapshot,
                          const struct snapshot_service *service)
{
    struct board_experience met;

    t->has_failed = false;
    board_get_experience(snapshot->own, board_index(t, service), &met);
    met.failures = 0;
    met.last_success_ms = now_ms();
    board_put_experience(snapshot->own, board_index(t, service), &met);
}

bool backend_all_down(const struct snapshot *snapshot, const struct snapshot_service *service)
{
    for (size_t i = 0; i < service->config->backend_count; i++)
        if (board_see_backend(snapshot->scout, service->first_backend + i)->health != BACKEND_DOWN)
            return false;
    return true;
}
