/* SPDX-License-Identifier: ISC */
/* Networks, as text and as bits: no names, nothing is looked up. */
#ifndef STARTTLSD_NETWORK_H
#define STARTTLSD_NETWORK_H

#include "config/config.h"

/* Room for a network as text: eight groups, a slash, three digits. */
#define NETWORK_TEXT_MAX 48

#define NETWORK_REMEDY_MAX 128

/*
 * Read ADDRESS or ADDRESS/PREFIX into *n. An IPv4 network and its mapped form (::ffff:192.0.2.0/120)
 * are the same.
 *
 * NULL, or what is wrong, as the rest of a sentence that begins with the text; `remedy` is filled
 * then.
 */
MUST_CHECK const char *network_parse(struct network *n, struct span text,
                                     char remedy[NETWORK_REMEDY_MAX]);

/* IPv4 addresses in their mapped form. ::/0 is all of IPv6 and nothing of IPv4, however that is
 * written. */
bool network_contains(const struct network *n, const unsigned char address[16]);

/* All addresses of a family. */
bool network_is_everywhere(const struct network *n);

/* As it would be written; a single address without its prefix. */
const char *network_text(const struct network *n, char space[NETWORK_TEXT_MAX]);

#endif
