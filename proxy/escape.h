/* SPDX-License-Identifier: ISC */
/* Texts of strangers inside quotes, as a log line or JSON has them: nothing in them acts on a
 * terminal, ends the quotes, or looks like what it is not. */
#ifndef STARTTLSD_ESCAPE_H
#define STARTTLSD_ESCAPE_H

#include "protocols/span.h"

#define ESCAPE_UNIT 20 /* four octets as \xNN */

/*
 * The character, or the octet that is none, at the head of `text`, as it stands inside quotes.
 *
 * text     not empty
 * is_json  RFC 8259, section 7; else as the log has it, where `=` is escaped too
 * taken    set to its octets in `text`
 *
 * The octets put into `unit`, without a NUL.
 */
MUST_CHECK size_t escape_next(struct span text, bool is_json, char unit[ESCAPE_UNIT],
                              size_t *taken);

/* In the log: without quotes it would be misread. */
MUST_CHECK bool escape_is_needed(struct span text);

/* In place: what would act on a terminal, line ends too, and what is no UTF-8 becomes `?`. */
void escape_disarm(char *text, size_t len);

#endif
