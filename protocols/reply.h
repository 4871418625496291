/* SPDX-License-Identifier: ISC */
/* SMTP replies: one line taken apart, and lines put together in the caller's space. */
#ifndef STARTTLSD_REPLY_H
#define STARTTLSD_REPLY_H

#include "protocols/span.h"

struct reply_line {
    unsigned code; /* 200 to 599 */
    bool is_last;  /* no further line belongs to this reply */
};

/*
 * `text` as a line of a reply (RFC 5321, section 4.2.1): a code, then a blank, a hyphen or the end.
 * The second digit may go beyond the RFC's 5: servers in the field do. False: no such line.
 */
MUST_CHECK bool reply_line_parse(struct span text, struct reply_line *reply);

/*
 * The parts, one behind the other.
 *
 * space  of `size` octets, which the caller has made sure is enough
 */
struct span reply_join(char *space, size_t size, const struct span *part, size_t count);

#endif
