/* SPDX-License-Identifier: ISC */
/* Plays the session core to a protocol module: keeps a window a side, repeats steps, obeys HOLD,
 * carries out verdicts into memory, and checks what every module promises. For unit tests and
 * fuzzers alike, so a broken promise ends the process. */
#ifndef STARTTLSD_TEST_PLAYER_H
#define STARTTLSD_TEST_PLAYER_H

#include <stdio.h>
#include <stdlib.h>

#include "protocols/protocol.h"

#define PROMISE(claim)                                                                             \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #claim);            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Octets in a block of their exact size: a sanitizer sees the first one that is read beyond. */
struct octets {
    char *data;
    size_t len;
};

struct player {
    const struct protocol *protocol;
    const struct policy *policy;
    void *machine;
    struct octets window[2];   /* by side: what it sent and no step has taken */
    struct octets received[2]; /* by side: what was sent to it */
    bool is_held[2];
    enum verdict_kind outcome; /* CONNECT, START_TLS, CLOSE, RESET; else MORE */
    enum end end;
    unsigned notes; /* a bit each */
    size_t steps;
};

static inline void octets_set(struct octets *o, const char *data, size_t len)
{
    char *fresh = malloc(len);

    PROMISE(fresh != NULL || len == 0);
    if (len > 0)
        memcpy(fresh, data, len);
    free(o->data);
    *o = (struct octets){fresh, len};
}

static inline void octets_add(struct octets *o, const char *data, size_t len)
{
    if (len == 0)
        return;
    o->data = realloc(o->data, o->len + len);
    PROMISE(o->data != NULL);
    memcpy(o->data + o->len, data, len);
    o->len += len;
}

static inline void octets_clear(struct octets *o)
{
    free(o->data);
    *o = (struct octets){0};
}

static inline void player_init(struct player *p, const struct protocol *protocol,
                               const struct policy *policy, bool is_secure)
{
    const struct facts facts = {.is_secure = is_secure};

    *p = (struct player){.protocol = protocol, .policy = policy, .outcome = VERDICT_MORE};
    p->machine = malloc(protocol->size);
    PROMISE(p->machine != NULL);
    memset(p->machine, 0xa5, protocol->size); /* "zeroed or not" */
    protocol->init(p->machine, policy, &facts);
}

static inline void player_clear(struct player *p)
{
    for (int side = 0; side < 2; side++) {
        octets_clear(&p->window[side]);
        octets_clear(&p->received[side]);
    }
    free(p->machine);
}

static inline bool player_is_over(const struct player *p)
{
    return p->outcome == VERDICT_CLOSE || p->outcome == VERDICT_RESET;
}

/* Carry out a verdict of a step about `side`. True: step again. */
static inline bool player_obey(struct player *p, enum side side, const struct verdict *v)
{
    struct octets *window = &p->window[side];

    PROMISE(v->take <= window->len);
    p->notes |= 1u << v->note;
    switch (v->kind) {
    case VERDICT_MORE: break;
    case VERDICT_HOLD: PROMISE(v->take == 0); break;
    case VERDICT_FORWARD:
        PROMISE(v->take > 0 && v->to == side_other(side));
        octets_add(&p->received[v->to], window->data, v->take);
        break;
    case VERDICT_SEND:
        PROMISE(v->text.len > 0); /* a step that says nothing is MORE */
        octets_add(&p->received[v->to], v->text.data, v->text.len);
        break;
    case VERDICT_START_TLS:
        PROMISE(v->text.len > 0);
        PROMISE(v->take == window->len); /* nothing from the clear goes on */
        octets_add(&p->received[SIDE_CLIENT], v->text.data, v->text.len);
        p->outcome = v->kind;
        break;
    case VERDICT_CONNECT: p->outcome = v->kind; break;
    case VERDICT_CLOSE:
    case VERDICT_RESET:
        PROMISE(v->end != END_NONE && v->to == SIDE_CLIENT);
        octets_add(&p->received[v->to], v->text.data, v->text.len);
        p->outcome = v->kind;
        p->end = v->end;
        break;
    }
    if (v->take > 0) {
        struct octets rest = *window;

        *window = (struct octets){0};
        octets_set(window, rest.data + v->take, rest.len - v->take);
        free(rest.data);
        p->is_held[side_other(side)] = false;
    }
    p->is_held[side] = v->kind == VERDICT_HOLD;
    return v->kind == VERDICT_FORWARD || v->kind == VERDICT_SEND;
}

/* All steps that `side` is good for; then the other side's, if it need hold no longer. */
static inline void player_pump(struct player *p, enum side side)
{
    for (int turn = 0;; turn++) {
        const struct event event = {.kind = EVENT_BYTES, .side = side};
        bool was_held = p->is_held[side_other(side)], again = true;

        for (size_t n = 0; again && !player_is_over(p); n++) {
            const struct octets *w = &p->window[side];
            struct verdict v =
                p->protocol->step(p->machine, &event, (struct span){w->data, w->len});

            PROMISE(n < 4 * w->len + 1000); /* steps are paid for by octets */
            p->steps++;
            again = player_obey(p, side, &v);
            if (v.kind == VERDICT_CONNECT || v.kind == VERDICT_START_TLS)
                return;
        }
        PROMISE(turn < 1000); /* else the two sides keep each other awake */
        PROMISE(player_is_over(p) || p->is_held[side] || p->window[side].len < WINDOW_MAX);
        side = side_other(side);
        if (player_is_over(p) || !was_held || p->is_held[side])
            return;
        p->protocol->waiting(p->machine);
    }
}

/* `side` sent something. */
static inline void player_feed(struct player *p, enum side side, const char *data, size_t len)
{
    struct octets grown = {0};

    if (player_is_over(p))
        return;
    octets_set(&grown, p->window[side].data, p->window[side].len);
    octets_add(&grown, data, len);
    octets_set(&p->window[side], grown.data, grown.len);
    octets_clear(&grown);
    if (!p->is_held[side])
        player_pump(p, side);
}

/* Any event but EVENT_BYTES. */
static inline void player_event(struct player *p, enum event_kind kind, enum side side,
                                enum end reason)
{
    const struct event event = {.kind = kind, .side = side, .reason = reason};
    const struct facts facts = {.is_secure = true};
    struct verdict v;

    if (player_is_over(p))
        return;
    if (kind == EVENT_SECURED) {
        octets_clear(&p->window[SIDE_CLIENT]);
        p->protocol->init(p->machine, p->policy, &facts);
    }
    if (kind == EVENT_CONNECTED) {
        octets_clear(&p->window[side]);
        p->outcome = VERDICT_MORE;
    }
    v = p->protocol->step(p->machine, &event,
                          (struct span){p->window[side].data, p->window[side].len});
    if (kind == EVENT_EOF || kind == EVENT_LOST || v.kind != VERDICT_MORE)
        player_obey(p, side, &v);
    else
        PROMISE(v.take == 0);
    p->protocol->waiting(p->machine);
}

#endif
