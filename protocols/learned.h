/* SPDX-License-Identifier: ISC */
/* What backends announce (struct learned), line by line: put together, read, and what several of
 * them have in common. */
#ifndef STARTTLSD_LEARNED_H
#define STARTTLSD_LEARNED_H

#include "protocols/protocol.h"

/* Does a service with this policy want to know what its backends announce? What they say inside TLS
 * is passed on; before TLS the module has to say it for them. */
static inline bool policy_learns(const struct policy *policy)
{
    return policy->tls == FRONT_STARTTLS && !policy->is_enforced && policy->capabilities.count == 0;
}

/* One more capability, without the blanks around it. Left out: what is empty or not printable ASCII,
 * what does not fit, and a second one with the same keyword. */
void learned_add(struct learned *l, struct span capability);

/* The line at *at, which moves on; start with 0. False: there is none. */
MUST_CHECK bool learned_next(const struct learned *l, size_t *at, struct span *capability);

/* The first word of a capability: up to a blank, or its end. */
struct span learned_keyword(struct span capability);

/*
 * Leave in `into` what both announce: keywords that both have, with the parameters that both have,
 * in the order of `into`. One that has only other parameters goes, but where these are numbers the
 * keyword stays alone (RFC 1870, section 3: SIZE needs none). What is not known leaves the other as
 * it is.
 */
void learned_intersect(struct learned *into, const struct learned *other);

#endif
