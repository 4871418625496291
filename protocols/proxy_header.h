/* SPDX-License-Identifier: ISC */
/* The PROXY protocol, versions 1 and 2: how a load balancer says who its client is. Section numbers
 * are those of HAProxy's proxy-protocol.txt. */
#ifndef STARTTLSD_PROXY_HEADER_H
#define STARTTLSD_PROXY_HEADER_H

#include "protocols/address.h"

/* ---- read ---- */

/* No longer header is read; the longest in use carry a client's certificate. */
#define PROXY_HEADER_MAX ((size_t)16 + 4096)

enum proxy_result {
    PROXY_MORE, /* so far it may become a header */
    PROXY_GOOD, /* `header` is set */
    PROXY_BAD,  /* `why` of it is set, and nothing else */
};

enum proxy_subject {
    PROXY_PEER,    /* the sender itself, or a client that it cannot name: whoever is connected */
    PROXY_CLIENT,  /* the client at `client`, which came in at `server` */
    PROXY_UNNAMED, /* a client without an address: it came over a UNIX socket */
};

struct proxy_header {
    enum proxy_subject subject;
    struct address client, server; /* of one family, mapped addresses as they were said */
    size_t take;                   /* octets of the header */
    const char *why;               /* PROXY_BAD: for the log; a constant */
};

/*
 * The header at the front of a connection.
 *
 * window  all that has come so far; the result does not depend on what stands behind the header, and
 *         a whole header is never MORE
 */
MUST_CHECK enum proxy_result proxy_header_parse(struct span window, struct proxy_header *header);

/* ---- written ---- */

/* Room for any header that is built here. */
#define PROXY_SPACE 2048

/* Longer values are left out whole: a name that is cut may be another's. */
#define PROXY_VALUE_MAX 255

/* What version 2 tells beside the addresses; empty values are left out. */
struct proxy_facts {
    struct span unique_id; /* up to 128 octets (section 2.2.5) */
    struct span alpn;      /* the protocol that the client's TLS agreed on */
    struct span authority; /* the server name it asked for */
    bool is_secure;        /* it came by TLS, and so: */
    struct span version, cipher;
    bool has_certificate;    /* it has shown one, and that was verified */
    bool is_resumed;         /* not on this connection, but when the TLS session began */
    struct span common_name; /* of its subject */
};

/* Addresses of different families go as IPv6, mapped (section 4.2 wants one family). Both must be
 * addresses. Composed in `space`. */
struct span proxy_header_v1(const struct address *client, const struct address *server,
                            char space[PROXY_SPACE]);
struct span proxy_header_v2(const struct address *client, const struct address *server,
                            const struct proxy_facts *facts, char space[PROXY_SPACE]);

/* Version 2's LOCAL: the sender speaks for itself. A constant. */
struct span proxy_header_local(void);

#endif
