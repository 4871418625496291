/* SPDX-License-Identifier: ISC */
/* Between the files named stream*.c: a stream's socket, and how a stream fails. */
#ifndef STARTTLSD_STREAM_WIRE_H
#define STARTTLSD_STREAM_WIRE_H

#include <sys/socket.h>
#include <sys/types.h>

#include "proxy/stream.h"

/* The stream can only be closed now; the first reason stands. Always false. */
bool wire_fail(struct stream *s, enum stream_failure kind, const char *reason);
bool wire_fail_errno(struct stream *s, int error);

/* The pool is empty, and input is lost. Always false. */
bool wire_starve(struct stream *s);

/* How far the window may be filled: who does not take what is there gets no more of it to keep. */
size_t wire_window_max(bool is_bulk);

/* Octets sent, 0 if the socket takes none; -1: failed. */
ssize_t wire_send(struct stream *s, struct iovec *piece, unsigned count);

/* What was left over. Returns whether nothing of it is left. */
bool wire_send_out(struct stream *s);

/* What the socket did not take. False: failed. */
bool wire_keep_out(struct stream *s, struct span octets);

/* Octets read; sets is_wire_eof or fails. */
size_t wire_receive(struct stream *s, char *to, size_t room);

#endif
