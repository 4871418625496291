/* SPDX-License-Identifier: ISC */
/* The verdicts that every module gives, in words. */
#ifndef STARTTLSD_VERDICT_H
#define STARTTLSD_VERDICT_H

#include "protocols/protocol.h"

static inline struct verdict verdict_more(size_t take)
{
    return (struct verdict){.kind = VERDICT_MORE, .take = take};
}

static inline struct verdict verdict_hold(void)
{
    return (struct verdict){.kind = VERDICT_HOLD};
}

static inline struct verdict verdict_forward(enum side to, size_t take)
{
    return (struct verdict){.kind = VERDICT_FORWARD, .to = to, .take = take};
}

static inline struct verdict verdict_send(enum side to, size_t take, struct span text)
{
    return (struct verdict){.kind = VERDICT_SEND, .to = to, .take = take, .text = text};
}

/* `text` goes to `to` in front of the tunnel; without one the taken octets do, to the other side. */
static inline struct verdict verdict_tunnel(enum side to, size_t take, struct span text)
{
    return (struct verdict){
        .kind = VERDICT_TUNNEL, .to = to, .note = NOTE_AUTH_OK, .take = take, .text = text};
}

static inline struct verdict verdict_connect(void)
{
    return (struct verdict){.kind = VERDICT_CONNECT};
}

/* why: a constant, for people to read */
static inline struct verdict verdict_next_backend(size_t take, enum end end, const char *why)
{
    return (struct verdict){
        .kind = VERDICT_NEXT_BACKEND, .end = end, .take = take, .text = span_of(why)};
}

/* `text`, a farewell or nothing, goes to the client, and both sides end in good order. */
static inline struct verdict verdict_close(size_t take, enum end end, struct span text)
{
    return (struct verdict){
        .kind = VERDICT_CLOSE, .to = SIDE_CLIENT, .end = end, .take = take, .text = text};
}

/* The same, and what it was about. */
static inline struct verdict verdict_close_noted(size_t take, enum end end, struct span text,
                                                 enum note note)
{
    struct verdict v = verdict_close(take, end, text);

    v.note = note;
    return v;
}

#endif
