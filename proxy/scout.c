/* SPDX-License-Identifier: ISC */
/* The scout's process: generations in two phases, and its line to the resolver. What it finds out:
 * scout_view.c. */
#include "proxy/scout.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/bundle.h"
#include "proxy/log.h"
#include "proxy/scout_view.h"

struct scout {
    struct channel *channel;
    struct ev_loop *loop;
    struct scout_line line;
    struct scout_view *current, *built;
    uint32_t workers;

    struct message_prepare coming;
    int bundle, board;         /* what PREPARE brought */
    struct board **experience; /* what came after it, by worker */
    int status;
};

static void leave(struct scout *s, int status)
{
    s->status = status;
    ev_break(s->loop, EVBREAK_ALL);
}

static void tell(struct scout *s, enum message_kind kind, const void *data)
{
    if (!channel_send(s->channel, kind, data, NULL, 0))
        leave(s, 3);
}

static void forget_coming(struct scout *s)
{
    if (s->bundle >= 0)
        close(fd_take(&s->bundle));
    if (s->board >= 0)
        close(fd_take(&s->board));
    for (uint32_t i = 0; s->experience != NULL && i < s->workers; i++)
        board_close(s->experience[i]);
    free(s->experience);
    s->experience = NULL;
    scout_view_free(s->built);
    s->built = NULL;
}

static void prepare(struct scout *s, struct message *m)
{
    s->coming = m->data.prepare;
    s->bundle = fd_take(&m->fd[0]);
    s->board = fd_take(&m->fd[1]);
    s->experience = calloc(s->workers, sizeof(struct board *));
}

static void add_experience(struct scout *s, struct message *m)
{
    uint32_t worker = m->data.slot.slot;

    if (s->experience == NULL || worker >= s->workers || s->experience[worker] != NULL)
        return; /* without it the scout has its own eyes still */
    s->experience[worker] = board_open_reader(fd_take(&m->fd[0]), 0, s->coming.backends);
}

static bool build(struct scout *s)
{
    struct bundle *bundle = bundle_open(fd_take(&s->bundle));
    struct board *board = board_open_writer(fd_take(&s->board), 0, s->coming.backends);

    if (bundle == NULL || board == NULL || s->experience == NULL) {
        bundle_close(bundle);
        board_close(board);
        return false;
    }
    s->built =
        scout_view_new(s->loop, bundle, board, s->experience, s->workers, s->current, &s->line);
    s->experience = NULL; /* the view's now */
    bundle_close(bundle);
    return s->built != NULL && s->built->target_count == s->coming.backends;
}

static void answer_build(struct scout *s)
{
    struct message_generation built = {s->coming.generation};
    struct message_refused refused = {.generation = s->coming.generation,
                                      .text = "the scout could not build the configuration"};

    if (build(s))
        tell(s, MESSAGE_BUILT, &built);
    else
        tell(s, MESSAGE_REFUSED, &refused);
}

static void on_settled(void *context)
{
    struct scout *s = context;
    struct message_generation settled = {s->current->generation};

    tell(s, MESSAGE_SETTLED, &settled);
}

static void commit(struct scout *s)
{
    struct message_generation taken = {s->coming.generation};

    scout_view_free(s->current);
    s->current = s->built;
    s->built = NULL;
    log_configure(s->current->config->log_format, s->current->config->log_level);
    tell(s, MESSAGE_TAKEN, &taken);
    scout_view_start(s->current, on_settled, s);
}

static void on_line(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct scout *s = watcher->data;

    if (s->current != NULL)
        scout_names_read(&s->current->names);
    else
        scout_line_set(&s->line, -1); /* nothing was asked: it can only have ended */
}

static void set_line(struct scout *s, struct message *m)
{
    scout_line_set(&s->line, fd_take(&m->fd[0]));
    if (s->current == NULL)
        return;
    scout_names_lost(&s->current->names);
    scout_names_start(&s->current->names);
}

static void on_message(void *context, struct message *m)
{
    struct scout *s = context;

    switch (m->kind) {
    case MESSAGE_PREPARE: prepare(s, m); break;
    case MESSAGE_EXPERIENCE: add_experience(s, m); break;
    case MESSAGE_BUILD: answer_build(s); break;
    case MESSAGE_COMMIT: commit(s); break;
    case MESSAGE_ROLLBACK: forget_coming(s); break;
    case MESSAGE_PEER: set_line(s, m); break;
    case MESSAGE_STOP: leave(s, 0); break;
    case MESSAGE_START:
    case MESSAGE_TICKETS:
    case MESSAGE_TALLY:
    case MESSAGE_PLACE:
    case MESSAGE_ADOPT:
    case MESSAGE_GIVE_BACK:
    case MESSAGE_DRAIN:
    case MESSAGE_BUILT:
    case MESSAGE_REFUSED:
    case MESSAGE_TAKEN:
    case MESSAGE_SETTLED: break; /* the channel's table lets no master say these to a scout */
    }
}

static void on_end(void *context, enum channel_result why)
{
    leave(context, why == CHANNEL_BROKEN ? 3 : 0);
}

int scout_run(struct channel *channel, const struct message_start *start)
{
    struct scout s = {.channel = channel,
                      .loop = ev_loop_new(EVFLAG_AUTO),
                      .workers = start->workers,
                      .bundle = -1,
                      .board = -1};

    if (s.loop == NULL)
        return 3;
    scout_line_init(&s.line, s.loop, on_line, &s);
    channel_watch(channel, s.loop, on_message, on_end, &s);
    ev_run(s.loop, 0);
    channel_unwatch(channel);
    forget_coming(&s);
    scout_view_free(s.current);
    scout_line_set(&s.line, -1);
    ev_loop_destroy(s.loop);
    return s.status;
}
