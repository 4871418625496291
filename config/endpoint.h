/* SPDX-License-Identifier: ISC */
/* Places to listen on and to connect to, as text: nothing is looked up. */
#ifndef STARTTLSD_ENDPOINT_H
#define STARTTLSD_ENDPOINT_H

#include "config/arena.h"
#include "config/config.h"

/*
 * Read ADDRESS:PORT, [V6]:PORT, and *:PORT (is_listen) or NAME:PORT (else) into *e, all but its
 * origin.
 *
 * NULL, or what is wrong, as the rest of a sentence that begins with the text; *remedy is set then.
 */
MUST_CHECK const char *endpoint_parse(struct endpoint *e, struct span text, bool is_listen,
                                      struct arena *arena, const char **remedy);

/* A connection that one of them takes, the other would take too. */
bool endpoint_overlap(const struct endpoint *a, const struct endpoint *b);

/* A client that comes to `listen` has an address of a family in which `backend` may have one. */
bool endpoint_may_meet(const struct endpoint *listen, const struct endpoint *backend);

/* Only this machine can mean it. */
bool endpoint_is_loopback(const struct endpoint *e);

/* Every address of a family, or of both. */
bool endpoint_is_wildcard(const struct endpoint *e);

/* Letters, digits, hyphens and underscores between dots. */
bool endpoint_is_name(struct span text);

/* The same, and octets above 127 (RFC 6531). */
bool endpoint_is_domain(struct span text);

#endif
