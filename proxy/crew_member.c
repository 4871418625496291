/* SPDX-License-Identifier: ISC */
/* What one child is told: generations, and what workers must know of each other. */
#include "proxy/crew_member.h"

#include <unistd.h>

#include "proxy/board.h"
#include "proxy/log.h"
#include "proxy/tally.h"

static void send_places(struct member *m, const struct generation *g)
{
    for (size_t i = 0; i < g->place_count; i++) {
        const struct place *p = g->place[i].place;
        struct message_place place = {.place = p->number, .service = g->place[i].service};

        for (place.first = 0; place.first < p->count; place.first += MESSAGE_FDS_MAX) {
            uint32_t left = p->count - place.first;

            child_send(&m->child, MESSAGE_PLACE, &place, p->fd + place.first,
                       left < MESSAGE_FDS_MAX ? left : MESSAGE_FDS_MAX);
        }
    }
}

void member_offer(struct member *m, const struct generation *g)
{
    struct message_prepare prepare = {g->number, (uint32_t)g->config->service_count,
                                      (uint32_t)g->config->backend_total};
    struct message_generation build = {g->number};

    if (m->child.role == ROLE_WORKER) {
        const int fd[] = {g->bundle, g->scout.reader, g->worker[m->child.slot].writer};

        child_send(&m->child, MESSAGE_PREPARE, &prepare, fd, 3);
        send_places(m, g);
    } else {
        const int fd[] = {g->public_bundle, g->scout.writer};

        child_send(&m->child, MESSAGE_PREPARE, &prepare, fd, 2);
        for (uint32_t i = 0; i < g->workers; i++) {
            struct message_slot slot = {i};

            child_send(&m->child, MESSAGE_EXPERIENCE, &slot, &g->worker[i].reader, 1);
        }
    }
    child_send(&m->child, MESSAGE_BUILD, &build, NULL, 0);
    m->offered = g->number;
    m->is_asked = true;
}

void member_close_offer(struct member *m, enum message_kind kind)
{
    struct message_generation generation = {m->offered};

    if (m->offered == 0)
        return;
    child_send(&m->child, kind, &generation, NULL, 0);
    if (kind == MESSAGE_COMMIT)
        m->taking = m->offered;
    m->offered = 0;
}

/* What worker `of` counts, or that it is dead. */
static void tell_tally(struct member *to, const struct member *of)
{
    struct message_slot slot = {of->child.slot};

    if (to != of && member_is_running(to))
        child_send(&to->child, MESSAGE_TALLY, &slot, &of->tally.reader,
                   of->tally.reader >= 0 ? 1 : 0);
}

bool member_open_tally(struct member *m)
{
    if (board_make(TALLY_ROWS, 0, &m->tally.writer, &m->tally.reader))
        return true;
    log_errno(LEVEL_ERROR, "worker.failed", "role", "worker", NULL);
    return false;
}

void member_share_tally(struct member *m)
{
    struct message_slot own = {m->child.slot};

    child_send(&m->child, MESSAGE_TALLY, &own, &m->tally.writer, 1);
    close(fd_take(&m->tally.writer));
    for (uint32_t i = 0; i < m->crew->workers; i++) {
        struct member *other = &m->crew->worker[i];

        tell_tally(other, m);
        if (member_is_running(other))
            tell_tally(m, other);
    }
}

void member_close_tally(struct member *m)
{
    if (m->tally.writer >= 0)
        close(fd_take(&m->tally.writer));
    if (m->tally.reader < 0)
        return;
    close(fd_take(&m->tally.reader));
    for (uint32_t i = 0; i < m->crew->workers; i++)
        tell_tally(&m->crew->worker[i], m);
}
