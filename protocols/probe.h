/* SPDX-License-Identifier: ISC */
/* The client role alone: what is this backend? And the steps that every module's probe takes, in
 * words. */
#ifndef STARTTLSD_PROBE_H
#define STARTTLSD_PROBE_H

#include "protocols/approach.h"

/* A harmless command where an attacker's would stand (CVE-2011-0411): nobody has asked for it, so it
 * must not be answered behind the handshake. */
enum probe_injection {
    PROBE_INJECT_NOTHING,
    PROBE_INJECT_AT_ONCE, /* in one text with STARTTLS */
    PROBE_INJECT_BEHIND,  /* behind the go-ahead, before the handshake */
};

struct probe_wish {
    const char *hostname; /* to say EHLO with; outlives the probe */
    bool starts_tls;      /* ask for STARTTLS, if it is announced */
    bool needs_tls;       /* and be content with nothing less */
    bool tells_identity;  /* with learns: sessions have to tell it who their clients are */
    bool learns;          /* ask for its capabilities too, behind TLS where that is wished for */
    bool tries_relay;     /* and whether it would relay for our address; implies learns */
    bool doubts_refusal;  /* at that, however clear: another sender may be welcome */
    enum probe_injection injection; /* with starts_tls; implies needs_tls, and that behind the
                                       handshake nothing is said but the goodbye */
};

enum probe_relay {
    PROBE_RELAY_UNKNOWN,  /* not tried, or refused for a reason that may be another */
    PROBE_RELAY_REFUSED,  /* it said that it does not relay for us */
    PROBE_RELAY_ACCEPTED, /* it took a recipient that is not its own */
};

/* What came behind our goodbye, so far. */
enum probe_farewell {
    PROBE_FAREWELL_NONE,  /* nothing that can be told from the one or the other */
    PROBE_FAREWELL_GOOD,  /* the goodbye's own answer, and nothing in front of it */
    PROBE_FAREWELL_OTHER, /* an answer to something else: to what was injected, or to a PROXY header
                             in front of all, taken for a command; that may even come with the
                             greeting, before any goodbye (SICK) */
};

enum probe_state {
    PROBE_GOING,     /* send `text`, if any; again with more octets */
    PROBE_START_TLS, /* send `text`, if any, in the clear; shake hands, then probe_secured(), and
                        call again with an empty window */
    PROBE_HEALTHY, /* once, when all that was wished for is known: send `text`, go on if you like to
                      hear the goodbye */
    PROBE_SICK,    /* it will not serve us; `why` */
    PROBE_OVER,    /* behind HEALTHY: `farewell` is what it is. It may be known without, if the
                      connection ends or time is over */
};

struct probe_step {
    enum probe_state state;
    size_t take;      /* octets of the window now dealt with */
    struct span text; /* to be sent; constant, or inside the probe */
    const char *why;  /* PROBE_SICK: a constant */
};

/* A probe decides within a window of this size. */
#define PROBE_WINDOW ((size_t)8 * 1024)

/* A reply for people to read: its first line, printable ASCII, cut. */
#define PROBE_TEXT 128

/* One look at one backend; embedded in its owner, who may read what stands before `wish`. */
struct probe {
    struct learned learned; /* behind TLS, or in the clear where there is none */
    struct learned clear;   /* on the way to STARTTLS */
    enum probe_relay relay;
    enum probe_farewell farewell;
    char greeting[PROBE_TEXT];
    char answer[PROBE_TEXT]; /* the one that decided: on relaying, why nothing was learned, or why
                                nobody is served */
    char tls_answer[PROBE_TEXT];      /* to STARTTLS */
    char farewell_answer[PROBE_TEXT]; /* the first behind our goodbye */

    bool has_greeted;  /* in words of its protocol, be they friendly or not; the module sets it */
    bool offers_tls;   /* STARTTLS was announced, in the clear */
    bool is_injecting; /* SICK: it talks in the clear behind its go-ahead for TLS */

    struct probe_wish wish;
    struct approach approach;
    unsigned phase;     /* the module's own, and all that follows */
    unsigned code;      /* of the reply under way; 0: none */
    size_t reply_len;   /* its octets so far */
    unsigned attempt;   /* at being relayed for */
    unsigned refusals;  /* among them, for good */
    unsigned farewells; /* answers behind our goodbye */
    bool is_clear;      /* the reply under way speaks of relaying */
    bool is_trusting;   /* it announces that it takes identities from us */
    char command[320];
};

/* Blank. A probe tells nobody's identity. */
static inline struct probe probe_blank(const struct probe_wish *wish)
{
    return (struct probe){
        .wish = *wish,
        .approach = approach_init(wish->hostname, NULL, wish->starts_tls,
                                  wish->needs_tls || wish->injection != PROBE_INJECT_NOTHING),
    };
}

/* The owner has shaken hands. */
static inline void probe_secured(struct probe *p)
{
    p->approach.is_secure = true;
}

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

/* What an attacker would put in, as the module's own: `at_once` has STARTTLS in front. */
struct probe_injected {
    struct span at_once, behind;
};

/* A step of the approach in this window, as the probe's: any but READY. */
MUST_CHECK struct probe_step probe_approached(struct probe *p, const struct approach_step *step,
                                              struct span window,
                                              const struct probe_injected *injected);

/* Is the handshake done behind a command that was put in? Then only the goodbye is left to say. */
static inline bool probe_has_injected(const struct probe *p)
{
    return p->wish.injection != PROBE_INJECT_NOTHING && p->approach.phase == APPROACH_AT_HANDSHAKE;
}

/* Is it on its way to STARTTLS? What is announced there is read as it passes: the approach keeps no
 * words, since sessions need none. */
static inline bool probe_is_on_its_way(const struct probe *p)
{
    return p->wish.starts_tls && !p->approach.is_secure;
}

/*
 * What the approach is about to read, for people.
 *
 * early  what stands behind the greeting in its window
 */
void probe_overhear(struct probe *p, struct span window, struct span early);

/*
 * One answer behind our goodbye. True: PROBE_OVER, without injection with the first. A command that
 * was put in is proved by a second alone: a server may answer its goodbye in words of its own.
 *
 * line    or what is none
 * is_own  it is as the goodbye's own would be
 */
bool probe_hear_farewell(struct probe *p, struct span line, bool is_own);

/* The first line of `text`, for people to read. */
void probe_keep(char to[PROBE_TEXT], struct span text);

#endif
