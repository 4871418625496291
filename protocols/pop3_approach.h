/* SPDX-License-Identifier: ISC */
/* POP3's client role, from a backend's greeting to where a client may be heard. */
#ifndef STARTTLSD_POP3_APPROACH_H
#define STARTTLSD_POP3_APPROACH_H

#include "protocols/approach.h"

/* Room for the longest command. */
#define POP3_APPROACH_SPACE ((size_t)128)

/*
 * What the backend has said, and what follows from it. An identity of nobody (ADDRESS_NONE) asks
 * whether it would take one.
 *
 * window  what it said and no step has taken; empty behind a handshake
 * space   of POP3_APPROACH_SPACE octets, for the text
 */
MUST_CHECK struct approach_step pop3_approach_step(struct approach *a, struct span window,
                                                   char *space);

#endif
