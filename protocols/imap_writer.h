/* SPDX-License-Identifier: ISC */
/* Puts a command together for a backend, in our own words. Where it holds literals it goes out in
 * parts, each but the first when the backend has asked for it; every part is written by the same
 * walk through the command, so nothing is kept between them. */
#ifndef STARTTLSD_IMAP_WRITER_H
#define STARTTLSD_IMAP_WRITER_H

#include "protocols/imap_token.h"

/* A backend with a fixed buffer takes the rest of a longer line for the next command. Clients send
 * lines of 1000 octets at most (RFC 2683, section 3.2.1.5); what is free text has no need of so many. */
#define IMAP_LINE_PASS_MAX ((size_t)998)
#define IMAP_TEXT_PASS_MAX ((size_t)510)

/* What is longer goes as a literal: so short lines have no end that somebody might cut off. */
#define IMAP_QUOTED_MAX ((size_t)255)

struct imap_writer {
    char *space;
    size_t size, len;
    bool is_full;    /* something did not fit */
    unsigned wanted; /* the part that is written; all others are passed over */
    unsigned part;   /* the part that the walk has come to */
};

void imap_write(struct imap_writer *w, struct span octets);

/* A string between quotes; octets that no quoted string holds become `?`. */
void imap_write_quoted(struct imap_writer *w, const struct imap_token *token);

/* An atom or a string: as it was written if every server can read that, else as a literal, before
 * whose octets a part ends. */
void imap_write_string(struct imap_writer *w, const struct imap_token *token);

/* A part ends here: the line end, and what follows is for the next. */
void imap_write_break(struct imap_writer *w);

static inline bool imap_writer_is_last(const struct imap_writer *w)
{
    return w->part == w->wanted;
}

static inline struct span imap_written(const struct imap_writer *w)
{
    return (struct span){w->space, w->len};
}

#endif
