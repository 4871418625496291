/* SPDX-License-Identifier: ISC */
/* One event, one line. A child hands its lines to the master over a channel; the master writes
 * them. */
#ifndef STARTTLSD_LOG_H
#define STARTTLSD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "protocols/span.h"

/* Longest line; what does not fit is cut, and the line says `cut=yes`. */
#define LOG_LINE_MAX 2048

/* A line under way: on the stack, between log_begin and log_end. Fields appear in the order of the
 * calls. */
struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
    enum log_level level;
    bool is_wanted; /* the level is logged at all; the other calls are cheap otherwise */
    bool is_cut;
};

/* Until then, lines go to stderr as logfmt from LEVEL_INFO on. */
void log_configure(enum log_format format, enum log_level level);

/* Child: lines go to this descriptor (SOCK_SEQPACKET, non-blocking; first octet is '0' + level). A
 * line that finds it full is dropped and counted; a later line carries dropped=N. */
void log_to_channel(int fd);

/* Master: where lines end up. A file is opened at once, and again by log_reopen. False: it can't
 * be, errno. */
MUST_CHECK bool log_to_target(enum log_target target, const char *facility, const char *file);
MUST_CHECK bool log_reopen(void);

/* Master: read what children have sent on `fd` (log_to_channel's other end) and write it. At most
 * 64 lines a call. False: the child has closed it. */
MUST_CHECK bool log_forward(int fd);

void log_begin(struct log_line *line, enum log_level level, const char *event);
/* NULL or empty text: the field is left out. Peer octets only ever enter through these two. */
void log_text(struct log_line *line, const char *name, const char *value);
void log_span(struct log_line *line, const char *name, struct span value);
void log_number(struct log_line *line, const char *name, uint64_t value);
/* Seconds with three decimals. */
void log_seconds(struct log_line *line, const char *name, double value);
void log_end(struct log_line *line);

/* A whole line at once: pairs of name and text, ended by NULL. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* log_event with `error=` strerror(errno) as its last field. */
void log_errno(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
