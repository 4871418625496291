/* SPDX-License-Identifier: ISC */
/* SASL (RFC 4422) as far as a proxy has to do with it: which mechanisms may pass a TLS terminator,
 * and which lines of an exchange nobody can take for a command. */
#ifndef STARTTLSD_SASL_H
#define STARTTLSD_SASL_H

#include "protocols/span.h"

/* RFC 4954, section 4, grants a line of an exchange 12288 octets, its end included; a buffer of that
 * size holds less. */
#define SASL_LINE_MAX ((size_t)12286)

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

#endif
