/* SPDX-License-Identifier: ISC */
/* SMTP's client role, played toward a backend: where its replies begin and end. What is asked comes
 * from elsewhere: smtp_approach.c, then the client or smtp_probe.c. */
#ifndef STARTTLSD_SMTP_CLIENT_H
#define STARTTLSD_SMTP_CLIENT_H

#include "protocols/line.h"

/* RFC 5321, section 4.5.3.1.5 says 512; servers in the field say more. */
#define SMTP_REPLY_LINE_MAX ((size_t)4096)

/* Blank: all zero. */
struct smtp_client {
    unsigned code; /* of the reply that has begun; 0: none has */
};

enum smtp_client_result {
    SMTP_CLIENT_PARTIAL, /* undecided: again when the window has grown */
    SMTP_CLIENT_LINE,    /* a line, and more of this reply follow */
    SMTP_CLIENT_LAST,    /* the last line of a reply, or the whole of it */
    SMTP_CLIENT_BAD,     /* no reply, or one whose lines differ in their code */
};

/*
 * The reply's line at the front of the window; `code` becomes its code. To ask twice does no harm:
 * the reply is over only when smtp_client_next says so.
 *
 * line  set with LINE and LAST
 */
MUST_CHECK enum smtp_client_result smtp_client_line(struct smtp_client *c, struct span window,
                                                    struct line *line);

/* The same for all lines that are left of the reply: PARTIAL, LAST (its length in `len`), BAD. */
MUST_CHECK enum smtp_client_result smtp_client_whole(struct smtp_client *c, struct span window,
                                                     size_t *len);

/* The last line has been dealt with: what follows is another reply. */
void smtp_client_next(struct smtp_client *c);

#endif
