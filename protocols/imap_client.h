/* SPDX-License-Identifier: ISC */
/* IMAP's client role, played toward a backend before any client is heard: the answer to a command of
 * our own, line by line. Such an answer needs no literals, and is not long. */
#ifndef STARTTLSD_IMAP_CLIENT_H
#define STARTTLSD_IMAP_CLIENT_H

#include "protocols/imap_response.h"

/* Octets of a line, its end included; and of an answer with all that is said before it. */
#define IMAP_CLIENT_LINE_MAX   ((size_t)8 * 1024)
#define IMAP_CLIENT_ANSWER_MAX ((size_t)16 * 1024)

enum imap_heard {
    IMAP_HEARD_PARTIAL,  /* no line yet: again when the window has grown */
    IMAP_HEARD_UNTAGGED, /* OK, NO, BAD, a list of capabilities, or other data */
    IMAP_HEARD_ANSWER,   /* OK, NO or BAD with the command's tag */
    IMAP_HEARD_WRONG,    /* `why` */
};

/* Where the reading of an answer stands. */
struct imap_hearing {
    char tag;                      /* of the command */
    size_t *answer_len;            /* octets of the answer so far, kept by the caller; 0 at first */
    size_t take;                   /* octets of the window that were heard; 0 at first */
    struct span line;              /* UNTAGGED, ANSWER: without its end */
    struct imap_response response; /* the same, taken apart */
    const char *why;               /* WRONG: a constant */
};

/* The next line of the window. */
MUST_CHECK enum imap_heard imap_client_hear(struct imap_hearing *h, struct span window);

/* The line at the front of the window, as the greeting of a backend that has just been connected and
 * knows nothing else to say: PARTIAL, UNTAGGED or WRONG. */
MUST_CHECK enum imap_heard imap_client_greeting(struct imap_hearing *h, struct span window);

#endif
