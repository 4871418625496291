/* SPDX-License-Identifier: ISC */
/* Authorities by which backends are judged. Reading the system's takes milliseconds and megabytes,
 * so the same text is read once, for all services and over reloads. */
#ifndef STARTTLSD_TLS_TRUST_H
#define STARTTLSD_TLS_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include "protocols/span.h"

struct tls_trust; /* counted */

/*
 * The authorities in `pem`, read now if nobody holds the same ones.
 *
 * why  set on failure: what is wrong with them, as the rest of a sentence
 */
MUST_CHECK struct tls_trust *tls_trust_get(struct span pem, char *why, size_t size);
void tls_trust_put(struct tls_trust *t);

/* Borrowed; who keeps it beyond tls_trust_put counts a reference of its own. */
X509_STORE *tls_trust_store(const struct tls_trust *t);

#endif
