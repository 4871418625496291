/* SPDX-License-Identifier: ISC */
/* Reads one side, writes the other at once, and hands on that there is no more. Whether a side is to
 * be read at all is for the session to say. */
#include "proxy/relay.h"

enum relay_result relay(struct stream *from, struct stream *to, bool is_ready)
{
    struct span octets;
    enum stream_result result = stream_read(from, is_ready, true, &octets);

    if (result == STREAM_FAILED)
        return RELAY_CUT;
    stream_put(to, octets, true);
    /* TLS that ends without close_notify may have been cut by anybody (RFC 8446, section 6.1); and a
     * backend that refused our octets has reset the connection, whatever it is read to the end as. */
    if (result == STREAM_EOF && from->is_closed_in_order && !from->is_mute) {
        stream_finish(to);
        return RELAY_ENDED;
    }
    (void)stream_flush(to);
    if (result == STREAM_EOF)
        return RELAY_CUT;
    return result == STREAM_MORE ? RELAY_MORE : RELAY_AGAIN;
}

bool relay_push(struct stream *to, bool is_last)
{
    if (is_last && stream_has_out(to))
        stream_finish(to);
    else
        (void)stream_flush(to);
    return to->failed == STREAM_WELL;
}
