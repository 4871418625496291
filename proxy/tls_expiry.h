/* SPDX-License-Identifier: ISC */
/* Which certificates are in service, and until when, for the log. */
#ifndef STARTTLSD_TLS_EXPIRY_H
#define STARTTLSD_TLS_EXPIRY_H

#include "config/config.h"

struct tls_expiry;

/* Note all certificates of a configuration, which outlives what is returned. What can't be read is
 * passed over: that was judged before. NULL: no memory. */
MUST_CHECK struct tls_expiry *tls_expiry_new(const struct config *config,
                                             const struct config_source *source);
void tls_expiry_free(struct tls_expiry *e);

/* Now that they are in service: certificate.loaded for each of each service, certificate.expiring
 * for those that end within 21 days. */
void tls_expiry_tell(const struct tls_expiry *e);

#endif
