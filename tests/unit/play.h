/* SPDX-License-Identifier: ISC */
/* Dialogues as tables: who says what, and what both sides must have received by the end of the
 * turn. */
#ifndef STARTTLSD_TEST_PLAY_H
#define STARTTLSD_TEST_PLAY_H

#include "protocols/protocol.h"

/* A turn, made of these in designated initialisers:  {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")}
 */
struct turn {
    enum event_kind kind;
    enum side side;
    struct span input;
    enum end reason;
    struct span to[2]; /* by side: all that it gets, and no octet more */
    enum verdict_kind outcome;
    enum end end;
    enum end failure; /* NEXT_BACKEND: what is held against this one; END_NONE: not asked */
    unsigned notes;
    unsigned waiting; /* the machine waits for this at the end of the turn, plus 1; 0: not asked */
    bool is_at_once;  /* the point is what shares a window: never cut */
};

#define CLIENT(text)       .kind = EVENT_BYTES, .side = SIDE_CLIENT, .input = SPAN(text)
#define BACKEND(text)      .kind = EVENT_BYTES, .side = SIDE_BACKEND, .input = SPAN(text)
#define EVENT(what, who)   .kind = EVENT_##what, .side = SIDE_##who
#define TO_CLIENT(text)    .to[SIDE_CLIENT] = SPAN(text)
#define TO_BACKEND(text)   .to[SIDE_BACKEND] = SPAN(text)
#define CLOSES(why)        .outcome = VERDICT_CLOSE, .end = END_##why
#define RESETS(why)        .outcome = VERDICT_RESET, .end = END_##why
#define CONNECTS           .outcome = VERDICT_CONNECT
#define TRIES_NEXT         .outcome = VERDICT_NEXT_BACKEND
#define TRIES_NEXT_AS(why) TRIES_NEXT, .failure = END_##why
#define STARTS_TLS         .outcome = VERDICT_START_TLS
#define TUNNELS            .outcome = VERDICT_TUNNEL
#define NOTES(which)       .notes = 1u << NOTE_##which
#define NOTES_2(a, b)      .notes = 1u << NOTE_##a | 1u << NOTE_##b
#define WAITS_FOR(whom)    .waiting = 1 + WAITING_##whom
#define AT_ONCE            .is_at_once = true

enum play_from {
    PLAY_FROM_ACCEPT,   /* nothing is said; with implicit TLS its handshake is over */
    PLAY_FROM_GREETING, /* ours is said; SMTP: the preamble */
    PLAY_FROM_SECURED,  /* TLS is up, or not wanted, and a backend is to be connected */
    PLAY_FROM_GATE,     /* the backend has greeted, with x for its name */
};

/* The module that is played; others than SMTP's define it before they include this. */
#ifndef PLAYED
#define PLAYED &smtp_protocol
#endif

/* Where a dialogue takes place. */
struct stage {
    const struct protocol *protocol;
    const struct policy *policy;
    const struct learned *learned; /* of the backends; NULL: nothing */
    enum play_from from;
    const struct client_identity *identity; /* NULL: nobody knows */
};

/* Play the dialogue whole, byte by byte, and in twos and threes; each must come out as the table
 * says. */
void play_turns(const struct stage *stage, const struct turn *turn, size_t count);

#define PLAY_KNOWING(learned, policy, from, dialogue)                                              \
    play_turns(&(const struct stage){PLAYED, policy, learned, from}, dialogue,                     \
               sizeof(dialogue) / sizeof((dialogue)[0]))

#define PLAY(policy, from, dialogue) PLAY_KNOWING(NULL, policy, from, dialogue)

/* Of a client that is known. */
#define PLAY_AS(identity, policy, from, dialogue)                                                  \
    play_turns(&(const struct stage){PLAYED, policy, NULL, from, identity}, dialogue,              \
               sizeof(dialogue) / sizeof((dialogue)[0]))

/* Many dialogues of `length` turns each, one behind the other in a table. */
#define PLAY_EACH(policy, from, table, length)                                                     \
    for (size_t i_ = 0; i_ < sizeof(table) / sizeof((table)[0]); i_ += (length))                   \
    play_turns(&(const struct stage){PLAYED, policy, NULL, from}, (table) + i_, length)

/* One beginning, and each of these turns as its last. */
void play_ends(const struct stage *stage, const struct turn *beginning, size_t count,
               const struct turn *end, size_t end_count);

#define PLAY_ENDS(policy, from, beginning, ends)                                                   \
    play_ends(&(const struct stage){PLAYED, policy, NULL, from}, beginning,                        \
              sizeof(beginning) / sizeof((beginning)[0]), ends, sizeof(ends) / sizeof((ends)[0]))

#endif
