/* SPDX-License-Identifier: ISC */
/* What the workers know of each other. Rows are found by the name that is in them, so nobody has to
 * agree on numbers with anybody. */
#include "proxy/tally.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tally {
    uint32_t slot, workers;
    struct board *board[]; /* by worker; NULL: dead, or not here yet */
};

struct tally *tally_new(uint32_t slot, uint32_t workers)
{
    struct tally *t = calloc(1, sizeof *t + workers * sizeof t->board[0]);

    if (t == NULL)
        return NULL;
    t->slot = slot;
    t->workers = workers;
    return t;
}

void tally_free(struct tally *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->workers; i++)
        board_close(t->board[i]);
    free(t);
}

void tally_set(struct tally *t, uint32_t slot, int fd)
{
    if (slot >= t->workers) {
        if (fd >= 0)
            close(fd);
        return;
    }
    board_close(t->board[slot]);
    t->board[slot] = NULL;
    if (fd < 0)
        return;
    t->board[slot] = slot == t->slot ? board_open_writer(fd, TALLY_ROWS, 0)
                                     : board_open_reader(fd, TALLY_ROWS, 0);
}

bool tally_is_told(const struct tally *t)
{
    return t->board[t->slot] != NULL;
}

uint32_t tally_workers(const struct tally *t)
{
    return t->workers;
}

void tally_put(struct tally *t, uint32_t row, const struct board_load *load)
{
    if (t->board[t->slot] != NULL)
        board_put_load(t->board[t->slot], row, load);
}

bool tally_of(const struct tally *t, uint32_t worker, const char *service, uint32_t *row,
              struct board_load *load)
{
    struct board *b = worker == t->slot ? NULL : t->board[worker];

    if (b == NULL)
        return false;
    board_get_load(b, *row, load);
    if (strcmp(load->service, service) == 0)
        return true;
    for (*row = 0; *row < TALLY_ROWS; ++*row) {
        board_get_load(b, *row, load);
        if (strcmp(load->service, service) == 0)
            return true;
        if (load->service[0] == '\0')
            break; /* rows come into use in order */
    }
    *row = 0;
    return false;
}
