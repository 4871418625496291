/* SPDX-License-Identifier: ISC */
/* SMTP command lines: the verb, by a table of all that we know, and what stands behind it. */
#ifndef STARTTLSD_SMTP_VERB_H
#define STARTTLSD_SMTP_VERB_H

#include "protocols/span.h"

/* What we read as one line; the rest of a longer one is skipped. */
#define SMTP_COMMAND_LINE_MAX ((size_t)4096)

/* What a backend gets of it, line end included: RFC 5321, section 4.5.3.1.4, says 512, and a buffer of
 * that size holds less. And what extensions may add to MAIL and RCPT (RFC 3461 and others). */
#define SMTP_COMMAND_PASS_MAX ((size_t)510)
#define SMTP_EXTENSIONS_MAX   ((size_t)1024)

enum smtp_verb {
    VERB_UNKNOWN,
    VERB_EHLO,
    VERB_HELO,
    VERB_MAIL,
    VERB_RCPT,
    VERB_DATA,
    VERB_BDAT,
    VERB_RSET,
    VERB_NOOP,
    VERB_QUIT,
    VERB_HELP,
    VERB_VRFY,
    VERB_EXPN,
    VERB_AUTH,
    VERB_BURL,
    VERB_ETRN,
    VERB_STARTTLS,
    VERB_SPOOF,   /* XCLIENT, XFORWARD, PROXY: a claim to another's identity */
    VERB_ALLOWED, /* none that we know, but the administrator lets it pass (allow_commands) */
    VERB_HTTP,    /* a browser, or a browser that was made to talk to us */
};

struct smtp_command {
    enum smtp_verb verb;
    struct span word;     /* as it was written */
    struct span argument; /* without blanks around it */
};

/* A line without its end. Verbs stand at octet 0, in any case, followed by a blank or by nothing.
 */
struct smtp_command smtp_command_parse(struct span text);

/* protocol.h: veto. */
const char *smtp_verb_veto(struct span verb);

/*
 * Is this a line to every reader? Control characters are in no command but for HTAB, and some end a
 * line to somebody. So do some of eight bits to a reader that strips the eighth.
 *
 * is_utf8  the backend speaks SMTPUTF8: there they are parts of letters
 */
bool smtp_is_clean(struct span text, bool is_utf8);

/* Would a reader that begins somewhere in this word find a verb, ours or another server's? */
bool smtp_ends_with_verb(struct span word);

/* What every reader's numbers can hold: a backend that counts in 32 bits must not see 5 in
 * 4294967301. */
#define SMTP_CHUNK_MAX ((size_t)0x7fffffff)

struct smtp_chunk {
    size_t size; /* octets, SMTP_CHUNK_MAX at most */
    bool is_last;
    bool is_exact; /* nothing stands there that the RFC does not know */
};

/* BDAT's argument (RFC 3030, section 2). False: nobody can say how long the chunk is. */
MUST_CHECK bool smtp_chunk_parse(struct span argument, struct smtp_chunk *chunk);

#endif
