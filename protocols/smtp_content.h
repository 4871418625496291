/* SPDX-License-Identifier: ISC */
/* What may pass between DATA's 354 and the end of the message, so that no two readers can disagree
 * on where that is: only CRLF.CRLF ends content, and in what passes nothing else looks like an end
 * to anybody. */
#ifndef STARTTLSD_SMTP_CONTENT_H
#define STARTTLSD_SMTP_CONTENT_H

#include "protocols/protocol.h"

enum smtp_content_at {
    CONTENT_IN_LINE,
    CONTENT_AFTER_CRLF,  /* the raw octets just before are CRLF: a true end may begin here */
    CONTENT_AFTER_BREAK, /* a line begins here, but after something else: no true end */
    CONTENT_AFTER_DOT,   /* a dot that begins a line, then NUL; the dot is taken, but not yet passed
                            on */
};

struct smtp_content {
    enum smtp_content_at at;
    enum bare_newline bare_newline;
    bool is_seven_bit;  /* some readers strip the eighth bit before they look */
    unsigned line;      /* octets of the line so far, as it is passed on */
    bool ends_with_dot; /* the last of them */
};

enum smtp_content_kind {
    CONTENT_MORE,   /* undecided on all that is not taken: three octets at most */
    CONTENT_PASS,   /* the taken octets pass as they are */
    CONTENT_EDIT,   /* `text` passes instead of the taken octets */
    CONTENT_END,    /* as PASS, and with them the content ends */
    CONTENT_REFUSE, /* BARE_NEWLINE_REJECT: here is a lone CR, a lone LF or a NUL */
};

struct smtp_content_piece {
    enum smtp_content_kind kind;
    size_t take;
    struct span text; /* inside `space` */
};

/*
 * Content begins as if after CRLF: `.` CRLF at once is an empty message.
 *
 * is_seven_bit  nobody has promised to keep eight bits (RFC 6152)
 */
void smtp_content_init(struct smtp_content *c, enum bare_newline bare_newline, bool is_seven_bit);

/*
 * The longest piece at the front of the window that passes unchanged; else a short one that does
 * not. Time is linear in what is taken, whatever a sender contrives.
 *
 * space  for edited octets; `size` at least 64
 */
MUST_CHECK struct smtp_content_piece smtp_content_next(struct smtp_content *c, struct span window,
                                                       char *space, size_t size);

#endif
