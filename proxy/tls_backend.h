/* SPDX-License-Identifier: ISC */
/* What a service needs to be a TLS client of its backends: context, trust, and sessions to be
 * resumed. Built from memory alone. */
#ifndef STARTTLSD_TLS_BACKEND_H
#define STARTTLSD_TLS_BACKEND_H

#include <openssl/ssl.h>

#include "config/config.h"

struct tls_backend; /* of one service; the snapshot's */

/*
 * NULL: refused, and each reason is in `d`, with the line of the key.
 *
 * service  outlives it
 * source   the disk in the master, the bundle in a worker; of use to this call alone
 */
MUST_CHECK struct tls_backend *tls_backend_new(const struct config *config,
                                               const struct service *service,
                                               const struct config_source *source,
                                               struct diagnosis *d);

/* Connections may live on; the sessions that they get from now on are not kept. NULL: nothing. */
void tls_backend_free(struct tls_backend *b);

/*
 * A connection in the client's role, with name, verification, and a session to be resumed, if there
 * is one. A handshake with a wrong peer fails before anything is said to it; why, tls_report_error
 * knows.
 *
 * backend  its index in the service
 *
 * NULL: no memory.
 */
MUST_CHECK SSL *tls_backend_ssl(struct tls_backend *b, size_t backend);

#endif
