/* SPDX-License-Identifier: ISC */
/* What all backends of a service announce. The scout's board says when there is something new, so
 * that a session that opens reads two numbers for each backend. */
#include "proxy/snapshot_learned.h"

#include <stdlib.h>

#include "protocols/learned.h"

/* Zeroed, it is up to date with a fresh board: version 0, nothing known. */
struct snapshot_learned {
    struct learned common;
    uint32_t version[]; /* of both its records on the board, by backend of the service */
};

struct snapshot_learned *snapshot_learned_new(size_t backends)
{
    struct snapshot_learned *l;

    return calloc(1, sizeof *l + backends * sizeof l->version[0]);
}

/* The versions are taken first: what is written in between is seen the next time. */
static bool has_changed(struct snapshot_learned *l, const struct board *board, size_t first,
                        size_t count)
{
    bool has = false;

    for (size_t i = 0; i < count; i++) {
        uint32_t version =
            board_learned_version(board, first + i) + board_backend_version(board, first + i);

        has = has || version != l->version[i];
        l->version[i] = version;
    }
    return has;
}

/* Of all that a session may be given to. One that nobody has asked yet, or that does not say, may lack
 * anything: then nothing is known. */
static struct learned intersect(struct board *board, size_t first, size_t count)
{
    struct learned common = {.is_known = false}, seen;

    for (size_t i = 0; i < count; i++) {
        if (board_see_backend(board, first + i)->health == BACKEND_DOWN)
            continue;
        board_get_learned(board, first + i, &seen);
        if (!seen.is_known)
            return (struct learned){.is_known = false};
        learned_intersect(&common, &seen);
    }
    return common;
}

const struct learned *snapshot_learned(const struct snapshot *s,
                                       const struct snapshot_service *service)
{
    struct snapshot_learned *l = service->learned;
    const size_t first = service->first_backend, count = service->config->backend_count;

    if (l == NULL)
        return NULL;
    if (has_changed(l, s->scout, first, count))
        l->common = intersect(s->scout, first, count);
    return l->common.is_known ? &l->common : NULL;
}
