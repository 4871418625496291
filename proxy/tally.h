/* SPDX-License-Identifier: ISC */
/* What the workers know of each other: a board each, on which one says of every service how many
 * sessions and connections it has.
 *
 * A tally is a worker's for one life, and no snapshot's: sessions of older configurations count as
 * long as they live, and those of a dead worker go with its board, which the master takes back from
 * the others at once. */
#ifndef STARTTLSD_TALLY_H
#define STARTTLSD_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/board.h"

/* Services of one worker, those of older configurations that still have sessions included. */
#define TALLY_ROWS 4096

struct tally;

/* slot: which of the `workers` we are. NULL: no memory. */
MUST_CHECK struct tally *tally_new(uint32_t slot, uint32_t workers);
void tally_free(struct tally *t);

/* The board of worker `slot`: our own end if it is ours, else a reader's. fd: taken; -1: that worker
 * is dead. */
void tally_set(struct tally *t, uint32_t slot, int fd);

/* Our own board is here: without it nobody would hear of our sessions. */
bool tally_is_told(const struct tally *t);

uint32_t tally_workers(const struct tally *t);

void tally_put(struct tally *t, uint32_t row, const struct board_load *load);

/*
 * What another worker says of `service`.
 *
 * row  where it was found the last time, or 0; set to where it is
 *
 * False: it says nothing of it, it is dead, or it is we.
 */
MUST_CHECK bool tally_of(const struct tally *t, uint32_t worker, const char *service, uint32_t *row,
                         struct board_load *load);

#endif
