/* SPDX-License-Identifier: ISC */
/* The arguments of MAIL and RCPT: who may be written to, and AUTH= parameters that must not pass.
 */
#ifndef STARTTLSD_SMTP_ENVELOPE_H
#define STARTTLSD_SMTP_ENVELOPE_H

#include "protocols/protocol.h"

/* Is `text` (a RCPT command without line end) addressed to one of the domains, in the one exact
 * form that no two readers can understand differently (DESIGN, section 5, "No open relay")?
 * is_utf8: the backend speaks SMTPUTF8, so that octets above 127 stay what they are. */
MUST_CHECK bool smtp_rcpt_is_ours(struct span text, const struct words *domains, bool is_utf8);

/* Does `text` (a MAIL without line end) say BODY=8BITMIME or BINARYMIME, to every reader?
 * is_utf8: as above */
MUST_CHECK bool smtp_mail_is_eight_bit(struct span text, bool is_utf8);

/* Does it ask for an extension with which commands have other replies than we expect (PRDR)? */
MUST_CHECK bool smtp_mail_changes_replies(struct span text);

/*
 * Is `text` (a MAIL or RCPT without line end) of a form of which no piece is a command, wherever a
 * backend with a fixed buffer cuts it behind the first SMTP_COMMAND_PASS_MAX octets? The path ends
 * within these and hides nothing; parameters follow, none of which ends with a verb.
 *
 * is_utf8  as above
 */
MUST_CHECK bool smtp_envelope_is_exact(struct span text, bool is_utf8);

enum smtp_mail_result {
    SMTP_MAIL_CLEAN, /* no AUTH= that anybody could see */
    SMTP_MAIL_AUTH,  /* the first AUTH parameter stands at `at` */
    SMTP_MAIL_BAD,   /* an AUTH= where some readers see a parameter and others do not */
};

/*
 * Look for AUTH parameters (RFC 4954, section 5) in `text`, a MAIL command without line end.
 *
 * at  set with AUTH: octets before it and its leading blanks
 */
MUST_CHECK enum smtp_mail_result smtp_mail_check(struct span text, size_t *at);

/* Octets at the front of `parameters` up to the next AUTH parameter and its leading blanks; all, if
 * there is none. */
size_t smtp_mail_keep(struct span parameters);

/* Octets of the AUTH parameters at the front, blanks before and between them included; 0: there are
 * none. */
size_t smtp_mail_drop(struct span parameters);

#endif
