/* SPDX-License-Identifier: ISC */
/* Which certificates are in service, and until when, for the log. */
#ifndef STARTTLSD_TLS_EXPIRY_H
#define STARTTLSD_TLS_EXPIRY_H

#include "config/config.h"

/* certificate.loaded for each certificate of each service, and certificate.expiring for those that end
 * within 21 days. What cannot be read is passed over: that was judged before. */
void tls_expiry_log(const struct config *config, const struct config_source *source);

#endif
