/* SPDX-License-Identifier: ISC */
/* The TLS of `starttlsd probe`: it takes whatever a server has, refuses nothing, and sees what was
 * agreed. No word of weight is ever said inside it. */
#ifndef STARTTLSD_PROBE_TLS_H
#define STARTTLSD_PROBE_TLS_H

#include <openssl/ssl.h>

#include "proxy/probe_facts.h"

struct probe_tls;

/*
 * ca    a file of authorities; NULL: the system's
 * name  that servers are asked for, and must have: a host name, or a numeric address; outlives it
 * why   set where NULL is returned, as a sentence
 */
MUST_CHECK struct probe_tls *probe_tls_new(const char *ca, const char *name, char *why,
                                           size_t size);
void probe_tls_free(struct probe_tls *t);

/*
 * A connection in the client's role. NULL: no memory.
 *
 * version  PROBE_TLSV1 and so on, and no other; PROBE_VERSIONS: any
 * resumes  with the session that was kept, if there is one
 */
MUST_CHECK SSL *probe_tls_ssl(struct probe_tls *t, unsigned version, bool resumes);

/* Does our own OpenSSL have it? */
MUST_CHECK bool probe_tls_has_version(struct probe_tls *t, unsigned version);

/* The newest that a server has given us; false: none that could be resumed. */
MUST_CHECK bool probe_tls_has_session(const struct probe_tls *t);
void probe_tls_drop_session(struct probe_tls *t);

/* Has the server that was connected to last asked for a certificate of ours? */
MUST_CHECK bool probe_tls_was_asked(const struct probe_tls *t);

/* Sets version, cipher, group, and is_resumed. */
void probe_tls_agreed(const SSL *ssl, struct probe_visit_facts *f);

void probe_tls_certificate(const struct probe_tls *t, const SSL *ssl, struct probe_certificate *c);

#endif
