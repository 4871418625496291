/* SPDX-License-Identifier: ISC */
/* The client role, from a backend's first octet to where a client may be heard: its greeting,
 * STARTTLS, who the client is. Each module plays it in its own words (smtp_approach.c and so on),
 * for sessions and for probes. Nothing that is said in it ever reaches a client, but for a greeting
 * with which all is done. */
#ifndef STARTTLSD_APPROACH_H
#define STARTTLSD_APPROACH_H

#include "protocols/identity.h"
#include "protocols/protocol.h"
#include "protocols/verdict.h"

/* Whose end is awaited. What is not wanted is left out; OFFERS may come again behind the handshake. */
enum approach_phase {
    APPROACH_AT_GREETING,
    APPROACH_AT_OFFERS, /* what it can do: EHLO, CAPABILITY, CAPA */
    APPROACH_AT_STARTTLS,
    APPROACH_AT_HANDSHAKE,
    APPROACH_AT_IDENTITY, /* XCLIENT, ID */
};

/* STARTTLS: among what each module finds announced. */
#define APPROACH_OFFERS_TLS 1u

struct approach {
    /* What is wanted; see approach_init. */
    const char *hostname;
    const struct client_identity *identity;
    bool starts_tls, needs_tls;

    bool is_secure; /* set by the owner: the handshake that was asked for is done */

    enum approach_phase phase;
    unsigned code;    /* of the reply under way; 0: none; the module's own, and all that follows */
    size_t reply_len; /* its octets so far */
    unsigned offers;  /* what it has announced, as the module's bits */
};

enum approach_state {
    APPROACH_GOING,     /* send `text`, if any; again with more octets */
    APPROACH_START_TLS, /* shake hands, set is_secure, and call again with an empty window */
    APPROACH_READY,     /* what follows is between the backend and whoever wants it */
    APPROACH_UNUSABLE,  /* this backend will not serve us: `end` and `why` */
};

struct approach_step {
    enum approach_state state;
    enum note note;
    enum end end;     /* APPROACH_UNUSABLE: END_BACKEND_REFUSED, END_BACKEND_TLS_FAILED */
    size_t take;      /* octets of the window now dealt with */
    struct span text; /* to be sent; constant, or inside the caller's space */
    const char *why;  /* APPROACH_UNUSABLE: a constant, for people to read */
};

/*
 * Blank.
 *
 * hostname    what we call ourselves where a client must; outlives it
 * identity    to be told by the protocol's own means; outlives it; NULL: nothing is told
 * starts_tls  ask for STARTTLS, if it is announced
 * needs_tls   and be content with nothing less
 */
static inline struct approach approach_init(const char *hostname,
                                            const struct client_identity *identity, bool starts_tls,
                                            bool needs_tls)
{
    return (struct approach){.hostname = hostname,
                             .identity = identity,
                             .starts_tls = starts_tls,
                             .needs_tls = starts_tls && needs_tls};
}

/* Blank, of a session's backend that has been connected; and the verdict on that. */
static inline struct verdict approach_begin(struct approach *a, const struct policy *policy,
                                            const struct client_identity *identity,
                                            const struct event *connected)
{
    const bool starts_tls =
        policy->backend_tls == BACKEND_TLS_STARTTLS && !connected->is_tls_hopeless;
    const bool is_known = identity != NULL && identity->client.family != ADDRESS_NONE;

    *a = approach_init(policy->hostname, policy->tells_identity ? identity : NULL, starts_tls,
                       policy->is_backend_enforced);
    if (policy->tells_identity && !is_known)
        return verdict_next_backend(0, END_BACKEND_REFUSED, "nobody knows who the client is");
    return verdict_more(0);
}

/* Nothing is to be done but to read the greeting: it is the client's, where it has had none of
 * ours. */
static inline bool approach_is_greeting_alone(const struct approach *a)
{
    return !a->starts_tls && a->identity == NULL;
}

static inline struct approach_step approach_going(size_t take, struct span text)
{
    return (struct approach_step){.state = APPROACH_GOING, .take = take, .text = text};
}

static inline struct approach_step approach_start_tls(struct approach *a, size_t take)
{
    a->phase = APPROACH_AT_HANDSHAKE;
    return (struct approach_step){.state = APPROACH_START_TLS, .take = take};
}

static inline struct approach_step approach_ready(size_t take)
{
    return (struct approach_step){.state = APPROACH_READY, .take = take};
}

static inline struct approach_step approach_unusable(size_t take, enum end end, const char *why)
{
    return (struct approach_step){.state = APPROACH_UNUSABLE, .end = end, .take = take, .why = why};
}

/* Octets behind the go-ahead for TLS (the backend's side of CVE-2011-0411). */
static inline struct approach_step approach_injected(size_t take)
{
    struct approach_step step =
        approach_unusable(take, END_BACKEND_TLS_FAILED, "it talks behind its go-ahead for TLS");

    step.note = NOTE_BACKEND_INJECTION;
    return step;
}

/* Any step but READY, as a session's verdict. */
static inline struct verdict approach_verdict(const struct approach_step *step)
{
    struct verdict v = verdict_more(step->take);

    switch (step->state) {
    case APPROACH_GOING:
        if (step->text.len > 0)
            v = verdict_send(SIDE_BACKEND, step->take, step->text);
        break;
    case APPROACH_START_TLS:
        v.kind = VERDICT_START_TLS;
        v.to = SIDE_BACKEND;
        break;
    case APPROACH_UNUSABLE: v = verdict_next_backend(step->take, step->end, step->why); break;
    case APPROACH_READY: break;
    }
    v.note = step->note;
    return v;
}

#endif
