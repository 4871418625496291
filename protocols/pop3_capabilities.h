/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can: the backend's capabilities (RFC 2449), less those
 * that end at us, and STLS where it is ours to offer. */
#ifndef STARTTLSD_POP3_CAPABILITIES_H
#define STARTTLSD_POP3_CAPABILITIES_H

#include "protocols/protocol.h"

enum pop3_capabilities {
    POP3_CAPABILITIES, /* the reply to CAPA */
    POP3_MECHANISMS,   /* to AUTH without argument */
    POP3_OTHER_LIST,   /* passes as it is */
};

/*
 * A list of the backend's as the client gets it.
 *
 * reply  found whole by pop3_list_find
 * space  of `size` octets, EVENT_SPACE at least
 */
struct span pop3_capabilities_rewrite(struct span reply, enum pop3_capabilities kind,
                                      const struct policy *policy, bool is_secure, char *space,
                                      size_t size);

/* Our own reply to CAPA in the clear, without a backend's. */
struct span pop3_capabilities_reply(const struct policy *policy, const struct learned *learned,
                                    char *space, size_t size);

/* struct protocol's `announced`. */
struct span pop3_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size);

/* struct protocol's `takes_logins`. */
bool pop3_capabilities_takes_logins(const struct policy *policy, const struct learned *learned);

#endif
