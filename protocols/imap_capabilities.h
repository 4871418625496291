/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can: the backend's capabilities, less those that end at
 * us, and STARTTLS where it is ours to offer. */
#ifndef STARTTLSD_IMAP_CAPABILITIES_H
#define STARTTLSD_IMAP_CAPABILITIES_H

#include "protocols/protocol.h"

/* Who is told. */
struct imap_listener {
    const struct policy *policy;
    bool is_secure;
    bool is_logged_in; /* what we keep back before login may pass now */
};

/*
 * A backend's list as the client gets it, a blank before each word. What does not fit is left out.
 *
 * list   words with blanks between them
 * space  of `size` octets
 */
struct span imap_capabilities_rewrite(const struct imap_listener *to, struct span list, char *space,
                                      size_t size);

/* Our own, before any backend was asked; in the same form. */
struct span imap_capabilities_own(const struct policy *policy, const struct learned *learned,
                                  char *space, size_t size);

/* struct protocol's `announced`. */
struct span imap_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size);

/* struct protocol's `takes_logins`. */
bool imap_capabilities_takes_logins(const struct policy *policy, const struct learned *learned);

/* Does the backend's list have SASL-IR (RFC 4959)? */
bool imap_capabilities_has_initial(struct span list);

/* Has the administrator taken the mechanism out? */
bool imap_capabilities_is_hidden(const struct policy *policy, struct span mechanism);

#endif
