/* SPDX-License-Identifier: ISC */
/* What was agreed in a handshake, or why there was none, in words for the log,
 * and for backends. */
#ifndef STARTTLSD_TLS_REPORT_H
#define STARTTLSD_TLS_REPORT_H

#include <openssl/ssl.h>

#include "protocols/proxy_header.h"
#include "proxy/log.h"

/* Adds tls= cipher= group= resumed= sni= to a line; nothing if `ssl` is NULL or not that far. */
void tls_report_session(const SSL *ssl, struct log_line *line);

/* Adds backend_tls= backend_cipher=, likewise. */
void tls_report_backend(const SSL *ssl, struct log_line *line);

/* Adds what PROXY headers tell of it; values are borrowed from `ssl`, the common name is in `name`. */
void tls_report_facts(const SSL *ssl, struct proxy_facts *facts, char name[PROXY_VALUE_MAX]);

/* The group of its key exchange, as OpenSSL calls it; NULL: none, or finite-field Diffie-Hellman of
 * numbers without a name. */
const char *tls_report_group(const SSL *ssl);

/* Put words of our own into OpenSSL's error queue, from inside one of its callbacks. */
void tls_report_raise(const char *words);

/* Empty OpenSSL's error queue into one text: the first, most telling reason. Never NULL.
 *
 * errno_text  what the socket said, if OpenSSL has nothing to say; may be NULL */
const char *tls_report_error(const char *errno_text, char *space, size_t size);

#endif
