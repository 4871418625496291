/* SPDX-License-Identifier: ISC */
/* Fingerprints of certificates and keys, as text and as octets. */
#ifndef STARTTLSD_FINGERPRINT_H
#define STARTTLSD_FINGERPRINT_H

#include "config/config.h"

/* Room for one as text: what it is of, 64 digits. */
#define FINGERPRINT_TEXT_MAX 80

/*
 * Read cert-sha256:HEX or key-sha256:HEX into *f; digits of either case, colons between octets or
 * not.
 *
 * NULL, or what is wrong, as the rest of a sentence that begins with the text.
 */
MUST_CHECK const char *fingerprint_parse(struct fingerprint *f, struct span text);

/* As it would be written. */
const char *fingerprint_text(const struct fingerprint *f, char space[FINGERPRINT_TEXT_MAX]);

#endif
