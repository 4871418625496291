/* SPDX-License-Identifier: ISC */
/* Policy to SSL_CTX: certificates, versions, ciphers, ALPN, tickets. Built from memory alone. */
#ifndef STARTTLSD_TLS_CONTEXT_H
#define STARTTLSD_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "config/config.h"
#include "proxy/tls_tickets.h"

/* Once a process, before the cage: library, openssl.cnf, providers, random generator, an allocator
 * that wipes what is freed. */
MUST_CHECK bool tls_library_start(void);

/*
 * The context of a service for its clients. NULL: refused, and each reason is in `d`, with the line
 * of the key. In the master the source is the disk, in a worker the bundle.
 *
 * tickets            NULL: no tickets; else it outlives the context
 * ticket_lifetime_s  0: no tickets
 */
MUST_CHECK SSL_CTX *tls_context_new(const struct config *config, const struct service *service,
                                    const struct config_source *source, struct tls_tickets *tickets,
                                    uint32_t ticket_lifetime_s, struct diagnosis *d);

/* One client's TLS, in the server's role; the caller's. NULL: no memory. */
MUST_CHECK SSL *tls_context_ssl(SSL_CTX *ctx);

/* Frees all that hangs on it. Sessions keep it alive through their SSL objects. */
void tls_context_free(SSL_CTX *ctx);

#endif
