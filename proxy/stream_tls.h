/* SPDX-License-Identifier: ISC */
/* Between the files named stream*.c: what a stream does otherwise where it has TLS. */
#ifndef STARTTLSD_STREAM_TLS_H
#define STARTTLSD_STREAM_TLS_H

#include "proxy/stream.h"

/* As stream_read, to the window's end at `len`, which moves. */
enum stream_result stream_tls_read(struct stream *s, bool is_ready, bool is_bulk, size_t *len);

/* Write what was collected, in records. False: failed. */
bool stream_tls_flush(struct stream *s, struct gather *g);

/* The same, with close_notify as the last of them: one write with the last words. */
void stream_tls_finish(struct stream *s);

#endif
