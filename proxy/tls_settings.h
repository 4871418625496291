/* SPDX-License-Identifier: ISC */
/* Versions, ciphers and constants of an SSL_CTX, for clients and for backends alike. */
#ifndef STARTTLSD_TLS_SETTINGS_H
#define STARTTLSD_TLS_SETTINGS_H

#include <openssl/ssl.h>

#include "config/config.h"

/* What does not depend on the configuration: first, since openssl.cnf has had its say. */
void tls_settings_constants(SSL_CTX *ctx);

/* In the server's role. False: OpenSSL refuses it, its queue says why. */
MUST_CHECK bool tls_settings_front(SSL_CTX *ctx, enum tls_profile profile, enum tls_version min,
                                   enum tls_version max);

/* In the client's. A `min` below TLS 1.2 means a server of old, and brings all that it may need. */
MUST_CHECK bool tls_settings_backend(SSL_CTX *ctx, enum tls_version min);

#endif
