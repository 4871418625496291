/* SPDX-License-Identifier: ISC */
/* The backend's reply to EHLO on its way to the client: extensions that end at us are taken out. */
#ifndef STARTTLSD_SMTP_CAPABILITIES_H
#define STARTTLSD_SMTP_CAPABILITIES_H

#include "protocols/protocol.h"

enum smtp_capabilities_at {
    CAPABILITIES_AT_GREETING, /* the first line: the backend's name, no extension */
    CAPABILITIES_AT_LINE,     /* another line, perhaps behind some to be dropped */
    CAPABILITIES_AT_TEXT,     /* a line that is kept */
    CAPABILITIES_AT_END,      /* its end, perhaps before some to be dropped */
};

struct smtp_capabilities {
    enum smtp_capabilities_at at;
    bool is_last;   /* of the lines that are kept */
    size_t tail;    /* octets to be dropped behind it */
    char prefix[4]; /* code, and the blank or hyphen that it needs now */
};

void smtp_capabilities_init(struct smtp_capabilities *c);

/*
 * The next verdict on a reply that is whole in the window, and has been checked.
 *
 * is_done  set: with this verdict nothing of the reply is left
 */
MUST_CHECK struct verdict smtp_capabilities_step(struct smtp_capabilities *c,
                                                 const struct policy *policy, struct span window,
                                                 bool *is_done);

#endif
