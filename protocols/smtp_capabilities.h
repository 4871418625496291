/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can: the backend's extensions, less those that end at us,
 * and STARTTLS where it is ours to offer. */
#ifndef STARTTLSD_SMTP_CAPABILITIES_H
#define STARTTLSD_SMTP_CAPABILITIES_H

#include "protocols/protocol.h"

/*
 * The backend's reply to EHLO as the client gets it. Lines that do not fit are left out.
 *
 * reply  whole, and checked line by line
 * space  of `size` octets
 */
struct span smtp_capabilities_rewrite(struct span reply, const struct policy *policy,
                                      bool is_secure, char *space, size_t size);

/* Our own reply to EHLO, before any backend was asked. */
struct span smtp_capabilities_reply(const struct policy *policy, const struct learned *learned,
                                    char *space, size_t size);

/* struct protocol's `announced`. */
struct span smtp_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size);

/* struct protocol's `takes_logins`. */
bool smtp_capabilities_takes_logins(const struct policy *policy, const struct learned *learned);

/* What a backend's reply to EHLO offers, as far as the administrator lets it pass. */
struct smtp_offers {
    bool chunking;  /* RFC 3030: BDAT */
    bool eight_bit; /* 8BITMIME, RFC 6152 */
    bool utf8;      /* SMTPUTF8, RFC 6531: commands in eight bits */
    bool dsn;       /* RFC 3461: longer MAIL and RCPT */
    size_t size;    /* RFC 1870: octets of a message; 0: not said */
};

struct smtp_offers smtp_capabilities_offers(struct span reply, const struct policy *policy);

#endif
