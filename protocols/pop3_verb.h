/* SPDX-License-Identifier: ISC */
/* POP3 command lines: the verb, by a table of all that we know, and what stands behind it. */
#ifndef STARTTLSD_POP3_VERB_H
#define STARTTLSD_POP3_VERB_H

#include "protocols/protocol.h"

/* What we read as one line; the rest of a longer one is skipped. */
#define POP3_COMMAND_LINE_MAX ((size_t)4096)

/* What a backend gets of it, line end included: RFC 2449, section 4, says 255, and a buffer of that
 * size holds less. */
#define POP3_COMMAND_PASS_MAX ((size_t)253)

enum pop3_verb {
    VERB_UNKNOWN,
    VERB_CAPA,
    VERB_AUTH,
    VERB_USER,
    VERB_PASS,
    VERB_APOP,
    VERB_QUIT,
    VERB_STLS,
    VERB_UTF8,
    VERB_LANG,
    VERB_NOOP,
    VERB_ALLOWED, /* none that we know, but the administrator lets it pass (allow_commands) */
    VERB_MAILBOX, /* has a meaning only behind the login, where we read nothing any more */
    VERB_SPOOF,   /* XCLIENT and the like: a claim to another's identity */
};

struct pop3_command {
    enum pop3_verb verb;
    struct span word;     /* in the RFC's letters, where we know it */
    struct span argument; /* of USER and PASS all behind the blank; else without blanks around it */
    struct span capability; /* with which it stands and falls; empty: none */
    bool is_well_formed;    /* as far as there must be an argument or none, and of what octets */
};

/* A line without its end. Verbs stand at octet 0, in any case, followed by a blank or by nothing.
 */
struct pop3_command pop3_command_parse(struct span text);

/* Is this a line to every reader? Control characters are in no command but for HTAB, and some end a
 * line to somebody. */
bool pop3_is_clean(struct span text);

/*
 * Would a reader that strips the eighth bit, or knows it as ISO 8859 or UTF-8, find the end of a
 * line in it, and a verb behind that: ours, another server's, or one that the administrator has
 * allowed? Such octets are parts of letters in UTF-8, and passwords have them.
 */
MUST_CHECK bool pop3_hides_command(struct span text, const struct policy *policy);

/* Would it find the end of a line, whatever is behind it? Then it answers twice. */
MUST_CHECK bool pop3_may_be_split(struct span text);

/* protocol.h: veto. */
const char *pop3_verb_veto(struct span verb);

/* Would a reader that begins somewhere in this word find a verb, ours or another server's? */
bool pop3_ends_with_verb(struct span word);

#endif
