/* SPDX-License-Identifier: ISC */
/* What a server has shown of itself in a handshake, read without believing any of it. */
#ifndef STARTTLSD_PROBE_CERTIFICATE_H
#define STARTTLSD_PROBE_CERTIFICATE_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "proxy/probe_facts.h"

/*
 * chain       as SSL_get_peer_cert_chain has it on the client's side, the leaf first; NULL: none
 * trusted     the authorities
 * is_partial  whoever is among them is trusted, root or not (--ca)
 * name        that it must be for: a host name, or a numeric address
 * c           set whole
 */
void probe_certificate_read(STACK_OF(X509) * chain, X509_STORE *trusted, bool is_partial,
                            const char *name, struct probe_certificate *c);

#endif
