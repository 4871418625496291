/* SPDX-License-Identifier: ISC */
/* After hand-over: octets from one stream to the other, which nobody looks at. One function, called
 * once per direction. */
#ifndef STARTTLSD_RELAY_H
#define STARTTLSD_RELAY_H

#include "proxy/stream.h"

enum relay_result {
    RELAY_AGAIN, /* that was all: wait for readiness */
    RELAY_MORE,  /* the budget is spent, and octets may wait where no poll will announce them */
    RELAY_ENDED, /* `from` has closed its half in good order, and so `to` has been told */
    RELAY_CUT,   /* `from` broke off, maybe in the middle of something */
};

/*
 * Pass on what `from` kept and what it sends now. `failed` of `to` tells whether that is broken.
 *
 * is_ready  as for stream_read
 * to        holds nothing that its peer has yet to take, or it would pile up here
 */
MUST_CHECK enum relay_result relay(struct stream *from, struct stream *to, bool is_ready);

/* Write what `to` still holds. is_last: RELAY_ENDED was told of the other direction, and the end
 * follows behind it. False: it is broken. */
MUST_CHECK bool relay_push(struct stream *to, bool is_last);

#endif
