/* SPDX-License-Identifier: ISC */
/* SASL (RFC 4422) as far as a proxy has to do with it: which mechanisms may pass a TLS terminator,
 * and which lines of an exchange nobody can take for a command. */
#ifndef STARTTLSD_SASL_H
#define STARTTLSD_SASL_H

#include "protocols/line.h"

/* RFC 4954, section 4, grants a line of an exchange 12288 octets, its end included; a buffer of that
 * size holds less. */
#define SASL_LINE_MAX ((size_t)12286)

/* What a client says to cancel an exchange, as a line (RFC 4954, section 4; RFC 9051, 6.2.2; RFC 5034,
 * section 4). */
#define SASL_CANCEL ((struct span)SPAN("*\r\n"))

/* The mechanism that an argument of AUTH names, and the initial response behind it; each may be
 * missing. */
struct span sasl_mechanism(struct span argument, struct span *response);

/* Is it a mechanism's name (RFC 4422, section 3.1)? */
MUST_CHECK bool sasl_is_mechanism(struct span word);

/*
 * May a client use this mechanism through us?
 *
 * No: channel binding (`-PLUS`) ends at us; EXTERNAL names whoever holds our connection; ANONYMOUS
 * is no login.
 *
 * may_add_layer  false: nor those that may negotiate a security layer, after which nothing could be
 *                read any more
 */
MUST_CHECK bool sasl_may_pass(struct span mechanism, bool may_add_layer);

/* Is it empty, `*`, `=`, or base64 (RFC 4648, section 4) as far as its alphabet goes? */
MUST_CHECK bool sasl_is_response(struct span text);

/* May it stand behind a mechanism's name? Not `*`: to some readers it cancels what has not begun, to
 * others it is a response, and to a third kind none at all. */
MUST_CHECK bool sasl_is_initial(struct span text);

enum sasl_line {
    SASL_PARTIAL,  /* no end yet */
    SASL_RESPONSE, /* `line` is set */
    SASL_BAD,      /* a line that is no response: `line` is set */
    SASL_TOO_LONG, /* no end within SASL_LINE_MAX: skip to it. No response either */
};

/* The line of an exchange at the front of the window. */
MUST_CHECK enum sasl_line sasl_line_find(struct span window, struct line *line);

#endif
