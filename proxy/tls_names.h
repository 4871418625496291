/* SPDX-License-Identifier: ISC */
/* Which certificate serves which name: a table from the subject names of certificates to contexts,
 * made at load and only searched afterwards. */
#ifndef STARTTLSD_TLS_NAMES_H
#define STARTTLSD_TLS_NAMES_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "protocols/span.h"

struct tls_names;

/* NULL: no memory. */
MUST_CHECK struct tls_names *tls_names_new(void);
void tls_names_free(struct tls_names *n);

/* Do both certificates carry the same names? Then they belong side by side in one context. */
MUST_CHECK bool tls_names_same(const X509 *a, const X509 *b);

/*
 * The names of `leaf` lead to `ctx`. A name that is in the table already stays with its context.
 *
 * ctx    borrowed, outlives the table
 * taken  set to one name that stayed with another context, or NULL; borrowed from the table
 *
 * False: no memory.
 */
MUST_CHECK bool tls_names_add(struct tls_names *n, const X509 *leaf, SSL_CTX *ctx,
                              const char **taken);

/* The context for a server name (RFC 6066, section 3): exact, then a wildcard for its first label
 * (RFC 6125, section 6.4.3); NULL if no certificate carries it. ASCII case counts for nothing. */
SSL_CTX *tls_names_find(const struct tls_names *n, struct span server_name);

#endif
