/* SPDX-License-Identifier: ISC */
/* A configuration as a worker runs it: typed values, TLS contexts, boards. Immutable and counted:
 * sessions keep the one that they began with. */
#ifndef STARTTLSD_SNAPSHOT_H
#define STARTTLSD_SNAPSHOT_H

#include <stdint.h>

#include <openssl/ssl.h>

#include "config/config.h"
#include "proxy/board.h"
#include "proxy/bundle.h"
#include "proxy/quota.h"

struct tls_backend;
struct tls_tickets;

struct snapshot_service {
    const struct service *config;
    SSL_CTX *tls;                     /* the first certificate's; it picks others by name itself */
    struct tls_backend *backend_tls;  /* NULL: the backends are spoken to in the clear */
    size_t first_backend;             /* index of its first backend on the boards */
    struct backend_pool *pool;        /* how sessions are spread over them; owned */
    struct quota *quota;              /* what all workers' sessions of it have; counted */
    struct snapshot_learned *learned; /* NULL: a service that needs none (snapshot_learned.h) */
};

struct snapshot {
    uint32_t generation;
    uint32_t references; /* the worker's own, and one a session */
    struct config *config;
    struct snapshot_service *service; /* config->service_count of them */
    struct board *scout;              /* what the backends are; owned */
    struct board *own;                /* what this worker says; owned */
};

/*
 * Build everything that `b` describes; all or nothing.
 *
 * tickets    keys that all contexts share; outlives them
 * quotas     by service; outlive it
 * scout, own the boards, taken in any case
 * error      set on failure, in one line; the caller frees it
 */
MUST_CHECK struct snapshot *snapshot_new(struct bundle *b, struct tls_tickets *tickets,
                                         struct quotas *quotas, struct board *scout,
                                         struct board *own, char **error);

struct snapshot *snapshot_get(struct snapshot *s);
void snapshot_put(struct snapshot *s);

#endif
