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
    const struct learned *learned;
    const struct client_identity *identity;
    void *machine;
    char *space;               /* of the events; of its exact size too */
    struct octets window[2];   /* by side: what it sent and no step has taken */
    struct octets received[2]; /* by side: what was sent to it */
    bool is_held[2];
    bool has_new[2];           /* the window is to be shown, again if it was held */
    bool has_closed[2];        /* it will send no more */
    bool has_ended[2];         /* and that was told */
    bool is_shaking;           /* START_TLS, client: nobody reads */
    bool is_backend_shaking;   /* START_TLS, backend: likewise */
    bool is_tls_hopeless;      /* of the backend that is connected next */
    bool is_connecting;        /* a backend is looked for: the client is not read */
    bool is_connected;         /* the backend in hand is read */
    bool is_tunnel;            /* the machine sees nothing any more */
    enum verdict_kind outcome; /* CONNECT to RESET; else MORE */
    enum end end;
    enum end failure;       /* NEXT_BACKEND: what the module holds against it */
    unsigned notes;         /* a bit each */
    unsigned auth_failures; /* as the session counts them */
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

/* The same, in a block of the new size again. */
static inline void octets_grow(struct octets *o, const char *data, size_t len)
{
    char *fresh = malloc(o->len + len);

    PROMISE(fresh != NULL || o->len + len == 0);
    if (o->len > 0)
        memcpy(fresh, o->data, o->len);
    if (len > 0)
        memcpy(fresh + o->len, data, len);
    free(o->data);
    *o = (struct octets){fresh, o->len + len};
}

static inline void octets_clear(struct octets *o)
{
    free(o->data);
    *o = (struct octets){0};
}

static inline void player_begin(struct player *p, const struct protocol *protocol,
                                const struct policy *policy, const struct facts *facts)
{
    *p = (struct player){.protocol = protocol,
                         .policy = policy,
                         .learned = facts->learned,
                         .identity = facts->identity,
                         .outcome = VERDICT_MORE};
    p->machine = malloc(protocol->size);
    p->space = malloc(EVENT_SPACE);
    PROMISE(p->machine != NULL && p->space != NULL);
    memset(p->machine, 0xa5, protocol->size); /* "zeroed or not" */
    protocol->init(p->machine, policy, facts);
}

static inline void player_init(struct player *p, const struct protocol *protocol,
                               const struct policy *policy, bool is_secure)
{
    const struct facts facts = {.is_secure = is_secure};

    player_begin(p, protocol, policy, &facts);
}

static inline void player_clear(struct player *p)
{
    for (int side = 0; side < 2; side++) {
        octets_clear(&p->window[side]);
        octets_clear(&p->received[side]);
    }
    free(p->machine);
    free(p->space);
}

static inline bool player_is_over(const struct player *p)
{
    return p->outcome == VERDICT_CLOSE || p->outcome == VERDICT_RESET;
}

/* Octets of this side are welcome now. */
static inline bool player_reads(const struct player *p, enum side side)
{
    if (player_is_over(p) || p->is_tunnel || p->is_shaking || p->is_held[side] ||
        p->has_ended[side])
        return false;
    return side == SIDE_CLIENT ? !p->is_connecting : p->is_connected && !p->is_backend_shaking;
}

static inline void player_leave_backend(struct player *p)
{
    p->is_connected = p->is_backend_shaking = p->has_new[SIDE_BACKEND] = false;
    p->is_held[SIDE_BACKEND] = p->has_closed[SIDE_BACKEND] = false;
    octets_clear(&p->window[SIDE_BACKEND]);
}

/* The backend in hand is given up: another is looked for, or the same without TLS. */
static inline void player_next_backend(struct player *p)
{
    p->outcome = VERDICT_NEXT_BACKEND;
    p->is_connecting = true;
    p->is_tls_hopeless = p->is_backend_shaking && !p->policy->is_backend_enforced;
    player_leave_backend(p);
}

static inline void player_take(struct player *p, enum side side, size_t take)
{
    struct octets rest = p->window[side];

    if (take == 0)
        return;
    p->window[side] = (struct octets){0};
    octets_set(&p->window[side], rest.data + take, rest.len - take);
    free(rest.data);
    p->is_held[side_other(side)] = false;
}

/* What `side` sent and no step has taken. */
static inline void player_pass(struct player *p, enum side side)
{
    octets_add(&p->received[side_other(side)], p->window[side].data, p->window[side].len);
    octets_clear(&p->window[side]);
}

static inline void player_enter_tunnel(struct player *p, enum side side, const struct verdict *v)
{
    struct octets *window = &p->window[side];

    PROMISE(v->take > 0 && p->is_connected && !p->is_connecting);
    if (v->text.len > 0)
        octets_add(&p->received[v->to], v->text.data, v->text.len);
    else
        octets_add(&p->received[side_other(side)], window->data, v->take);
    player_take(p, side, v->take);
    p->outcome = v->kind;
    p->is_tunnel = true;
    player_pass(p, SIDE_CLIENT);
    player_pass(p, SIDE_BACKEND);
}

static inline void player_start_tls(struct player *p, enum side side, const struct verdict *v)
{
    PROMISE(v->take == p->window[side].len); /* nothing from the clear goes on */
    p->outcome = v->kind;
    if (v->to == SIDE_BACKEND) {
        PROMISE(side == SIDE_BACKEND && p->is_connecting && p->is_connected && v->text.len == 0);
        p->is_backend_shaking = true;
        return;
    }
    PROMISE(side == SIDE_CLIENT && v->text.len > 0);
    octets_add(&p->received[SIDE_CLIENT], v->text.data, v->text.len);
    p->is_shaking = true;
    p->is_tls_hopeless = false; /* all backends are there again */
    player_leave_backend(p);
}

/* Carry out a verdict of a step about `side`. True: step again. */
static inline bool player_obey(struct player *p, enum side side, const struct verdict *v)
{
    struct octets *window = &p->window[side];

    PROMISE(v->take <= window->len);
    p->notes |= 1u << v->note;
    if (v->note == NOTE_AUTH_FAILED)
        p->auth_failures++;
    if (v->note == NOTE_GREETED)
        p->is_connecting = false;
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
    case VERDICT_START_TLS: player_start_tls(p, side, v); break;
    case VERDICT_CONNECT:
        PROMISE(v->take == 0 && !p->is_connecting && !p->is_connected);
        p->outcome = v->kind;
        p->is_connecting = true;
        break;
    case VERDICT_NEXT_BACKEND:
        PROMISE(side == SIDE_BACKEND && p->is_connecting && p->is_connected);
        PROMISE(v->end == END_BACKEND_REFUSED || v->end == END_BACKEND_TLS_FAILED);
        PROMISE(v->text.len > 0);
        p->failure = v->end;
        player_next_backend(p);
        return false;
    case VERDICT_TUNNEL: player_enter_tunnel(p, side, v); return false;
    case VERDICT_CLOSE:
    case VERDICT_RESET:
        PROMISE(v->end != END_NONE);
        PROMISE(v->to == SIDE_CLIENT || (v->kind == VERDICT_CLOSE && !p->is_connecting));
        octets_add(&p->received[v->to], v->text.data, v->text.len);
        p->outcome = v->kind;
        p->end = v->end;
        break;
    }
    player_take(p, side, v->take);
    p->is_held[side] = v->kind == VERDICT_HOLD;
    p->has_new[side] = v->kind == VERDICT_HOLD || v->kind == VERDICT_CONNECT; /* still unread */
    return v->kind == VERDICT_FORWARD || v->kind == VERDICT_SEND;
}

/* All steps that the window of `side` is good for. */
static inline void player_show(struct player *p, enum side side)
{
    const struct event event = {.kind = EVENT_BYTES, .side = side, .space = p->space};
    const struct octets *w = &p->window[side];
    size_t most = 4 * w->len + 1000; /* steps are paid for by octets */
    bool again = true;

    for (size_t n = 0; again && !player_is_over(p) && !p->is_tunnel; n++) {
        struct verdict v = p->protocol->step(p->machine, &event, (struct span){w->data, w->len});

        PROMISE(n < most);
        p->steps++;
        again = player_obey(p, side, &v);
    }
    PROMISE(!player_reads(p, side) || p->window[side].len < WINDOW_MAX);
    if (!p->is_tunnel)
        p->protocol->waiting(p->machine);
}

/* One of the events that come once, with an empty window. */
static inline void player_tell(struct player *p, enum event_kind kind, enum side side,
                               enum end reason)
{
    const struct event event = {.kind = kind,
                                .side = side,
                                .reason = reason,
                                .is_tls_hopeless = kind == EVENT_CONNECTED && p->is_tls_hopeless,
                                .space = p->space};
    struct verdict v = p->protocol->step(p->machine, &event, (struct span){"", 0});
    bool was_held = p->is_held[side], had_new = p->has_new[side];

    PROMISE(v.take == 0 && v.kind != VERDICT_FORWARD && v.kind != VERDICT_HOLD &&
            v.kind != VERDICT_TUNNEL);
    player_obey(p, side, &v);
    if (player_is_over(p))
        return;
    p->is_held[side] = was_held;
    p->has_new[side] = had_new;
    p->protocol->waiting(p->machine);
}

/* `side` has closed, and all that it sent has been shown. */
static inline void player_tell_eof(struct player *p, enum side side)
{
    if (side == SIDE_BACKEND && p->is_connecting) {
        player_next_backend(p);
        return;
    }
    p->has_ended[side] = true;
    player_tell(p, EVENT_EOF, side, END_NONE);
}

/* What one side says may release the other: on until nothing is left to be shown. */
static inline void player_run(struct player *p)
{
    for (int turn = 0;; turn++) {
        bool is_idle = true;

        PROMISE(turn < 1000); /* else the two sides keep each other awake */
        for (int i = 0; i < 2; i++) {
            enum side side = i == 0 ? SIDE_BACKEND : SIDE_CLIENT;

            if (player_reads(p, side) && p->has_new[side]) {
                player_show(p, side);
                is_idle = false;
            }
            if (player_reads(p, side) && !p->has_new[side] && p->has_closed[side]) {
                player_tell_eof(p, side);
                is_idle = false;
            }
        }
        if (is_idle)
            return;
    }
}

/* `side` sent something. */
static inline void player_feed(struct player *p, enum side side, const char *data, size_t len)
{
    if (player_is_over(p) || p->has_closed[side] || (side == SIDE_BACKEND && !p->is_connected))
        return;
    octets_grow(&p->window[side], data, len);
    p->has_new[side] = true;
    if (p->is_tunnel)
        player_pass(p, side);
    else
        player_run(p);
}

/* The handshake with `side` is over. */
static inline void player_secured(struct player *p, enum side side)
{
    const struct facts facts = {.is_secure = true,
                                .auth_failures = p->auth_failures,
                                .learned = p->learned,
                                .identity = p->identity};

    octets_clear(&p->window[side]);
    p->has_new[side] = false;
    if (side == SIDE_BACKEND) {
        PROMISE(p->is_backend_shaking);
        p->is_backend_shaking = false;
        p->outcome = VERDICT_MORE;
    } else {
        p->is_shaking = false;
        p->protocol->init(p->machine, p->policy, &facts);
    }
    player_tell(p, EVENT_SECURED, side, END_NONE);
}

/* What happens to the session, which tells the module when it may know. */
static inline void player_event(struct player *p, enum event_kind kind, enum side side,
                                enum end reason)
{
    if (player_is_over(p) || p->is_tunnel)
        return;
    switch (kind) {
    case EVENT_BYTES: return;
    case EVENT_EOF:
        p->has_closed[side] = side == SIDE_CLIENT || p->is_connected;
        if (side == SIDE_BACKEND && p->is_backend_shaking)
            player_next_backend(p);
        break;
    case EVENT_LOST:
        if (p->is_connecting) {
            player_next_backend(p);
        } else if (p->is_connected && !p->has_ended[side]) {
            p->has_ended[side] = true;
            player_tell(p, kind, side, reason);
        }
        break;
    case EVENT_CONNECTED:
        p->is_connected = side == SIDE_BACKEND;
        p->outcome = VERDICT_MORE;
        player_tell(p, kind, side, reason);
        break;
    case EVENT_SECURED: player_secured(p, side); break;
    case EVENT_DEADLINE:
        if (p->is_connecting)
            player_next_backend(p);
        else
            player_tell(p, kind, side, reason);
        break;
    case EVENT_BACKEND_FAILED:
    case EVENT_BUSY:
    case EVENT_DRAIN:
    case EVENT_STOP:
    case EVENT_ERROR: player_tell(p, kind, side, reason); break;
    }
    player_run(p);
}

#endif
