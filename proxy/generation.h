/* SPDX-License-Identifier: ISC */
/* One configuration as the master holds it: what children are given to build a snapshot from. */
#ifndef STARTTLSD_GENERATION_H
#define STARTTLSD_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "proxy/listener.h"

struct tls_expiry;

struct generation_board {
    int writer, reader;
};

struct generation_place {
    struct place *place;
    uint32_t service;
};

struct generation {
    uint32_t number;
    struct config *config;
    struct tls_expiry *expiry; /* to be told when it is in service */
    int bundle;                /* for workers */
    int public_bundle;         /* for the scout: no secrets */
    struct generation_board scout;
    struct generation_board *worker;
    uint32_t workers;
    struct generation_place *place;
    size_t place_count;
};

/* What only OpenSSL, the system's users and its files can judge; the rest config_load has judged. The same
 * for `check`, a start and a reload. config may be incomplete (config_examine). */
void generation_judge(const struct config *config, const struct config_source *source,
                      struct diagnosis *d);

/* Read and judge the file at `path` and all that it names, certificates included. NULL: complaints
 * in `d`. */
MUST_CHECK struct generation *generation_load(const char *path, const char *fqdn, uint32_t number,
                                              struct diagnosis *d);

/* Make its boards and listen on its addresses. False: complaints in `d`; nothing is left behind. */
MUST_CHECK bool generation_open(struct generation *g, struct places *places, struct diagnosis *d);

/* Listen no more, for as far as it is up to the master. */
void generation_close_places(struct generation *g, struct places *places);

/* places  may be NULL if it was never opened. What no other generation listens on is closed. */
void generation_free(struct generation *g, struct places *places);

#endif
