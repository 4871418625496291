/* SPDX-License-Identifier: ISC */
/* Peers that speak no mail protocol: browsers, pages that make a browser talk to us, and clients
 * that begin TLS where STARTTLS is spoken. They understand no reply, so they get none. */
#ifndef STARTTLSD_FOREIGN_H
#define STARTTLSD_FOREIGN_H

#include "protocols/span.h"

/* Is the line, without its end, one of HTTP (RFC 9112, section 3)? A verb alone is not enough: a
 * target or a version must follow. */
MUST_CHECK bool foreign_is_http(struct span line);

/* Is this word, in any case of letters, a verb of HTTP? */
MUST_CHECK bool foreign_is_http_verb(struct span word);

/* Does the window begin with a TLS record of a handshake (RFC 8446, section 5.1)? It decides with
 * the window's second octet. */
MUST_CHECK bool foreign_is_client_hello(struct span window);

#endif
