/* SPDX-License-Identifier: ISC */
/* IMAP's client role, played toward a backend: what a line of its is (RFC 9051, section 7). */
#ifndef STARTTLSD_IMAP_RESPONSE_H
#define STARTTLSD_IMAP_RESPONSE_H

#include "protocols/imap_token.h"

enum imap_response_kind {
    IMAP_RESPONSE_BAD,          /* no line that a server may say before login */
    IMAP_RESPONSE_CONTINUATION, /* `+` */
    IMAP_RESPONSE_STATUS,       /* tagged or not */
    IMAP_RESPONSE_CAPABILITY,
    IMAP_RESPONSE_DATA, /* untagged, anything else */
};

enum imap_status {
    IMAP_STATUS_OK,
    IMAP_STATUS_NO,
    IMAP_STATUS_BAD,
    IMAP_STATUS_BYE,
    IMAP_STATUS_PREAUTH,
};

struct imap_response {
    enum imap_response_kind kind;
    struct span tag; /* STATUS; empty: untagged */
    enum imap_status status;
    struct span code;         /* STATUS: the word between brackets; empty: none */
    struct span capabilities; /* the list, wherever it stands; its data is NULL if there is none */
    struct span text;         /* STATUS: what follows */
    struct imap_literal literal; /* DATA */
    bool has_literal;            /* and so many octets follow the line, which are no lines */
};

/*
 * A line without its end, clean of CR and NUL.
 *
 * Readers disagree on an announcement of a literal where no string can be: some wait for octets,
 * others read the next line. No server needs one there, so such lines are BAD.
 */
struct imap_response imap_response_parse(struct span line);

/* The rest of DATA's line behind a literal. False: it is none. */
MUST_CHECK bool imap_response_continue(struct span line, struct imap_response *response);

#endif
