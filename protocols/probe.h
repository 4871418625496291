/* SPDX-License-Identifier: ISC */
/* The steps that every module's probe takes, in words. */
#ifndef STARTTLSD_PROBE_H
#define STARTTLSD_PROBE_H

#include "protocols/protocol.h"

static inline struct probe_step probe_going(size_t take, struct span text)
{
    return (struct probe_step){.state = PROBE_GOING, .take = take, .text = text};
}

static inline struct probe_step probe_sick(size_t take, const char *why)
{
    return (struct probe_step){.state = PROBE_SICK, .take = take, .why = why};
}

static inline struct probe_step probe_healthy(size_t take, struct span text)
{
    return (struct probe_step){.state = PROBE_HEALTHY, .take = take, .text = text};
}

static inline struct probe_step probe_over(size_t take)
{
    return (struct probe_step){.state = PROBE_OVER, .take = take};
}

/* The first line of `text`, for people to read. */
static inline void probe_keep(char to[PROBE_TEXT], struct span text)
{
    size_t len = 0;

    for (; len < text.len && len < PROBE_TEXT - 1; len++) {
        char c = text.data[len];

        if (c == '\r' || c == '\n')
            break;
        to[len] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    to[len] = '\0';
}

#endif
