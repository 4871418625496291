/* SPDX-License-Identifier: ISC */
/* SMTP's client role, played toward a backend: where its greeting and its replies begin and end.
 * Held by the server machine, whose commands come from the client; smtp_probe.c has commands of its
 * own. */
#ifndef STARTTLSD_SMTP_CLIENT_H
#define STARTTLSD_SMTP_CLIENT_H

#include "protocols/line.h"

/* RFC 5321, section 4.5.3.1.5 says 512; servers in the field say more. */
#define SMTP_REPLY_LINE_MAX ((size_t)4096)

enum smtp_client_state {
    SMTP_CLIENT_GREETING, /* nothing is said before the greeting */
    SMTP_CLIENT_TALKING,  /* greeted: what follows are replies */
};

struct smtp_client {
    enum smtp_client_state state;
    unsigned code; /* of the reply that has begun; 0: none has */
};

void smtp_client_init(struct smtp_client *c);

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

/*
 * The greeting (RFC 5321, section 4.3.1), all its lines.
 *
 * take  always set: these octets are dealt with
 *
 * PARTIAL  it goes on
 * LAST     220: the backend will serve us
 * BAD      it will not (4xx, 5xx), talks garbage, or talks before it is asked
 */
MUST_CHECK enum smtp_client_result smtp_client_greet(struct smtp_client *c, struct span window,
                                                     size_t *take);

#endif
