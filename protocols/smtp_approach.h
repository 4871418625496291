/* SPDX-License-Identifier: ISC */
/* SMTP's way to where a client may be heard (struct approach): the greeting, STARTTLS (RFC 3207),
 * XCLIENT (http://www.postfix.org/XCLIENT_README.html). */
#ifndef STARTTLSD_SMTP_APPROACH_H
#define STARTTLSD_SMTP_APPROACH_H

#include "protocols/approach.h"

/* Octets of the longest command that is composed: EHLO with a name, XCLIENT with all attributes. */
#define SMTP_APPROACH_SPACE ((size_t)320)

/*
 * What the backend has said so far: replies are judged, and taken, when they are whole.
 *
 * space  of SMTP_APPROACH_SPACE octets, for `text`
 */
MUST_CHECK struct approach_step smtp_approach_step(struct approach *a, struct span window,
                                                   char *space);

/* Does this line of a reply to EHLO, without its code, say that the backend takes identities from us?
 */
MUST_CHECK bool smtp_approach_is_trust(struct span capability);

#define SMTP_APPROACH_NO_XCLIENT "it does not announce XCLIENT with ADDR"

#endif
