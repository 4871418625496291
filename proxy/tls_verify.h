/* SPDX-License-Identifier: ISC */
/* Is the backend the one that it must be? Asked inside the handshake, so that nothing is ever said
 * to a wrong one. */
#ifndef STARTTLSD_TLS_VERIFY_H
#define STARTTLSD_TLS_VERIFY_H

#include <openssl/ssl.h>

#include "config/config.h"

struct tls_verify {
    enum backend_verify mode;
    struct fingerprint *pin; /* BACKEND_VERIFY_FINGERPRINT: one of them is its own */
    size_t pin_count;
};

/* v outlives ctx; authorities are the context's, the name is the connection's (tls_verify_name). A
 * failure lies in words in OpenSSL's queue, where tls_report_error finds it. */
void tls_verify_attach(SSL_CTX *ctx, struct tls_verify *v);

/* What the peer is called: a host name, or a numeric address. It is asked for by name (SNI), unless
 * it is an address (RFC 6066, section 3), and with BACKEND_VERIFY_FULL its certificate must carry
 * it. False: no memory. */
MUST_CHECK bool tls_verify_name(SSL *ssl, const struct tls_verify *v, const char *name);

#endif
