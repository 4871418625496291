/* SPDX-License-Identifier: ISC */
/* Cuts lines out of a window. Knows no protocol: what a line means is for the caller. */
#ifndef STARTTLSD_LINE_H
#define STARTTLSD_LINE_H

#include "protocols/span.h"

/* What our own lines end with, whatever ended those that we were given. */
#define LINE_END ((struct span)SPAN("\r\n"))

enum line_result {
    LINE_PARTIAL,  /* no end yet, and still within the limit */
    LINE_FOUND,    /* `line` is set */
    LINE_TOO_LONG, /* `limit` octets and no end among them */
};

struct line {
    struct span text; /* without its end; inside the window */
    size_t take;      /* octets of the window, the end included */
    bool is_crlf;     /* ends with CRLF, not with a lone LF */
    bool is_dirty;    /* CR or NUL inside: two readers may disagree on where it ends */
};

/*
 * The line at the front of the window.
 *
 * limit  octets that a line may have, its end included; the result does not depend on what is
 * behind
 */
MUST_CHECK enum line_result line_find(struct span window, size_t limit, struct line *line);

#endif
