/* SPDX-License-Identifier: ISC */
/* IMAP's client role, from a backend's greeting to where a client may be heard. */
#ifndef STARTTLSD_IMAP_APPROACH_H
#define STARTTLSD_IMAP_APPROACH_H

#include "protocols/approach.h"

/* Room for the longest command. */
#define IMAP_APPROACH_SPACE ((size_t)256)

/*
 * What the backend has said, and what follows from it. An identity of nobody (ADDRESS_NONE) asks
 * whether it would take one.
 *
 * window  what it said and no step has taken; empty behind a handshake
 * space   of IMAP_APPROACH_SPACE octets, for the text
 */
MUST_CHECK struct approach_step imap_approach_step(struct approach *a, struct span window,
                                                   char *space);

#endif
