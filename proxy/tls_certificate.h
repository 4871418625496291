/* SPDX-License-Identifier: ISC */
/* A certificate, its chain and its key, out of PEM texts in memory, found to belong together. */
#ifndef STARTTLSD_TLS_CERTIFICATE_H
#define STARTTLSD_TLS_CERTIFICATE_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "config/config.h"

struct tls_certificate {
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf, in the order of the file */
    EVP_PKEY *key;
};

/*
 * Read what `where` names. Every complaint goes to `d`, with the line of `key` and `section`; a
 * date that is past, or yet to come, is a warning.
 *
 * c    set on success; the caller clears it
 * key  that names it: `certificate`, `backend_certificate`
 */
MUST_CHECK bool tls_certificate_read(struct tls_certificate *c, const struct certificate *where,
                                     const char *key, const struct config_source *source,
                                     const char *section, struct diagnosis *d);
void tls_certificate_clear(struct tls_certificate *c);

#endif
