/* SPDX-License-Identifier: ISC */
/* ID (RFC 2971): who a client says it is. To a backend that trusts us its keys `x-…` would be our
 * word for where the client comes from, so they do not pass. */
#ifndef STARTTLSD_IMAP_ID_H
#define STARTTLSD_IMAP_ID_H

#include "protocols/imap_command.h"
#include "protocols/imap_writer.h"

/* `rest` of the command, within the RFC's limits: 30 pairs, 30 octets a key, 1024 a value. */
MUST_CHECK enum imap_arguments imap_id_parse(struct span rest);

/* The same without keys `x-…`, in quoted strings; NIL if nothing is left. Has been parsed. */
void imap_id_write(struct imap_writer *w, struct span rest);

#endif
