/* SPDX-License-Identifier: ISC */
/* IMAP commands before login: tag and verb, by a table of all that we know, and whether the
 * arguments are what the verb takes. */
#ifndef STARTTLSD_IMAP_COMMAND_H
#define STARTTLSD_IMAP_COMMAND_H

#include "protocols/imap_token.h"

enum imap_verb {
    IMAP_UNKNOWN,
    IMAP_CAPABILITY,
    IMAP_NOOP,
    IMAP_LOGOUT,
    IMAP_ID,
    IMAP_LOGIN,
    IMAP_AUTHENTICATE,
    IMAP_STARTTLS,
    IMAP_LANGUAGE,
    IMAP_ALLOWED, /* none that we know, but the administrator lets it pass (allow_commands) */
};

static inline bool imap_is_login(enum imap_verb verb)
{
    return verb == IMAP_LOGIN || verb == IMAP_AUTHENTICATE;
}

struct imap_command {
    struct span tag; /* empty: no valid one */
    enum imap_verb verb;
    struct span word; /* the verb, as it was written */
    struct span rest; /* all behind it, blanks too */
};

/* A frame's text. The verb stands behind the tag and one SP, in any case of letters. */
struct imap_command imap_command_parse(struct span text, const struct policy *policy);

/* protocol.h: veto. */
const char *imap_command_veto(struct span verb);

/* ---- arguments, from `rest` ---- */

enum imap_arguments {
    IMAP_ARGUMENTS_GOOD,
    IMAP_ARGUMENTS_PENDING, /* good so far, and a literal comes next */
    IMAP_ARGUMENTS_BAD,
};

/* LOGIN: name and password. Where a string holds CR, LF or NUL, no server can want it: BAD. */
MUST_CHECK enum imap_arguments imap_login_parse(struct span rest, struct imap_token argument[2]);

struct imap_authenticate {
    struct span mechanism;
    struct span response; /* the initial one (RFC 4959); empty: none */
};

MUST_CHECK enum imap_arguments imap_authenticate_parse(struct span rest,
                                                       struct imap_authenticate *argument);

/* LANGUAGE, and what the administrator allows: printable ASCII, every quote closed, no literal. */
MUST_CHECK enum imap_arguments imap_plain_parse(struct span rest);

#endif
