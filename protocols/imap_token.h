/* SPDX-License-Identifier: ISC */
/* IMAP's words (RFC 9051, section 9): where a command with its literals ends, and the atoms and
 * strings in it. Knows no command. */
#ifndef STARTTLSD_IMAP_TOKEN_H
#define STARTTLSD_IMAP_TOKEN_H

#include <stdint.h>

#include "protocols/protocol.h"

/* A command with all its literals is read in one piece. */
#define IMAP_COMMAND_MAX WINDOW_MAX

/* ---- characters ---- */

/* ATOM-CHAR: in no need of quotes anywhere. */
bool imap_is_atom_char(char c);

/* 1*<any ASTRING-CHAR except "+">, and of a length that can be kept. */
#define IMAP_TAG_MAX ((size_t)64)
MUST_CHECK bool imap_is_tag(struct span word);

/* Printable ASCII and SP alone. */
MUST_CHECK bool imap_is_printable(struct span text);

/* ---- literals ---- */

struct imap_literal {
    uint32_t size;
    bool is_huge;    /* more than a number can be (RFC 9051: 2^32-1): `size` means nothing */
    bool is_waiting; /* `{n}`: whoever sends it waits for a go-ahead; not so `{n+}` (RFC 7888) */
    size_t header;   /* octets from the brace on */
};

/* Does the line, without its end, announce a literal with its last octets? Every reader who counts
 * literals at all looks for them there, whatever stands before them. */
MUST_CHECK bool imap_literal_find(struct span line, struct imap_literal *literal);

/* ---- a command out of a window ---- */

enum imap_frame_result {
    IMAP_FRAME_PARTIAL,   /* again when the window has grown */
    IMAP_FRAME_INVITE,    /* so far; the client waits to be asked for the literal that comes next */
    IMAP_FRAME_WHOLE,     /* a command, and all its literals */
    IMAP_FRAME_TOO_LARGE, /* the client waits to be asked for a literal beyond the limit */
    IMAP_FRAME_LOST,      /* such a literal is on its way, unasked: where it ends is not known */
    IMAP_FRAME_TOO_LONG,  /* IMAP_COMMAND_MAX octets, and the line under way has no end */
};

struct imap_frame {
    struct span text; /* without the last line end; inside the window */
    size_t take;      /* octets of the window, the last line end included */
    bool is_dirty;    /* CR or NUL inside, but for literals */
};

/*
 * The command at the front of the window. The result does not depend on what is behind it.
 *
 * invited  literals of this command that the client has been asked for
 * frame    set with all results but PARTIAL; with TOO_LONG, `text` is the part that was seen, and
 *          `take` what stands before the line under way
 */
MUST_CHECK enum imap_frame_result imap_frame_find(struct span window, unsigned invited,
                                                  struct imap_frame *frame);

/* ---- words of a command ---- */

enum imap_token_kind {
    IMAP_TOKEN_ATOM, /* what needs no quotes; wider than the RFC's, since people write such passwords */
    IMAP_TOKEN_QUOTED,  /* between quotes, escapes as they were written */
    IMAP_TOKEN_LITERAL, /* its octets */
    IMAP_TOKEN_OPEN,
    IMAP_TOKEN_CLOSE,
    IMAP_TOKEN_PENDING, /* a literal that the client has not been asked for yet */
    IMAP_TOKEN_BAD,     /* or nothing */
};

struct imap_token {
    enum imap_token_kind kind;
    struct span text;
};

/* The token at the front of *rest (a frame's text, or a part of it), which moves behind it. */
struct imap_token imap_token_next(struct span *rest);

/* Exactly one SP at the front of *rest, which moves behind it. */
MUST_CHECK bool imap_space_next(struct span *rest);

/*
 * What an atom or a string says, without escapes.
 *
 * to  room for token->text.len octets; NULL: they are only counted
 */
size_t imap_token_octets(const struct imap_token *token, char *to);

#endif
