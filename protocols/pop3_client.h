/* SPDX-License-Identifier: ISC */
/* POP3's client role, played toward a backend: where its replies begin and end. Without a state of
 * its own: a reply is looked at when all of it is there. */
#ifndef STARTTLSD_POP3_CLIENT_H
#define STARTTLSD_POP3_CLIENT_H

#include "protocols/line.h"

/* RFC 2449, section 4, says 512; servers in the field say more. */
#define POP3_REPLY_LINE_MAX ((size_t)4096)

/* Octets of a reply of many lines, all that may come before a login: capabilities, mechanisms,
 * languages. */
#define POP3_LIST_MAX ((size_t)8 * 1024)

enum pop3_reply {
    POP3_REPLY_PARTIAL, /* undecided: again when the window has grown */
    POP3_REPLY_OK,
    POP3_REPLY_ERR,
    POP3_REPLY_CHALLENGE, /* `+` alone or with a blank: of a SASL exchange (RFC 5034, section 4) */
    POP3_REPLY_BAD,       /* no reply */
};

/*
 * The line at the front of the window, as the first of a reply.
 *
 * limit  octets that it may have, its end included
 * line   set with OK, ERR and CHALLENGE
 */
MUST_CHECK enum pop3_reply pop3_reply_find(struct span window, size_t limit, struct line *line);

/* The same of a backend that has just been connected, which knows nothing to say but its greeting:
 * PARTIAL, OK, ERR or BAD. */
MUST_CHECK enum pop3_reply pop3_greeting_find(struct span window, struct line *line);

enum pop3_list {
    POP3_LIST_PARTIAL,
    POP3_LIST_WHOLE,
    POP3_LIST_BAD, /* longer than POP3_LIST_MAX, or not everybody finds its end where we do */
};

/* All of a reply of many lines, from its `+OK` to the dot (RFC 1939, section 3). len: set with WHOLE */
MUST_CHECK enum pop3_list pop3_list_find(struct span window, size_t *len);

/* The next line of a list that was found whole, without its end; the first is the `+OK`. False: only
 * the dot is left. */
MUST_CHECK bool pop3_list_next(struct span *list, struct span *text);

/* The whole window as the reply to a CAPA of our own: PARTIAL; OK, a list; ERR; or what is none, and
 * *why, a constant. */
MUST_CHECK enum pop3_reply pop3_capa_find(struct span window, const char **why);

#endif
