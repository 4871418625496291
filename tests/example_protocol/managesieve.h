/* SPDX-License-Identifier: ISC */
/* ManageSieve (RFC 5804), a module made for docs/protocols.md: what its files share. In the product
 * the last line would stand in protocols/protocol.h. */
#ifndef STARTTLSD_MANAGESIEVE_H
#define STARTTLSD_MANAGESIEVE_H

#include "protocols/approach.h"
#include "protocols/probe.h"
#include "protocols/protocol.h"

/* ---- managesieve_text.c: what is said ---- */

/* Octets of a command or a line of a reply, its literals included; and of a list of capabilities with
 * the reply behind it. */
#define SIEVE_MAX PROBE_WINDOW

enum sieve_found {
    SIEVE_PARTIAL, /* undecided: again when the window has grown */
    SIEVE_FOUND,
    SIEVE_BAD, /* too long, or not everybody would see its end where we do */
};

/* A line, and on behind each literal at its end (section 1.2). */
struct sieve_sentence {
    struct span text; /* without the last CRLF; inside the window */
    size_t take;      /* octets of the window */
};

/* The sentence at the front of the window. from: clients write literals as {n+}, servers as {n} */
MUST_CHECK enum sieve_found sieve_sentence_find(struct span window, enum side from,
                                                struct sieve_sentence *s);

/* The string, quoted or literal, at the front of *rest, which moves behind it. False: there is none. */
MUST_CHECK bool sieve_string_next(struct span *rest, struct span *string);

enum sieve_reply {
    SIEVE_REPLY_PARTIAL,
    SIEVE_REPLY_OK,
    SIEVE_REPLY_NO,
    SIEVE_REPLY_BYE,
    SIEVE_REPLY_STRING, /* a capability or a challenge: what follows belongs to it */
    SIEVE_REPLY_BAD,    /* no reply */
};

/* The line of a reply at the front of the window, of `take` octets. */
MUST_CHECK enum sieve_reply sieve_reply_find(struct span window, size_t *take);

/* The list of capabilities at the front of the window, up to the OK, NO or BYE behind it; `take`
 * octets in all. Never STRING. */
MUST_CHECK enum sieve_reply sieve_list_find(struct span window, size_t *take);

/* ---- managesieve_capability.c: what this service can ---- */

/* A list that was found, as a client may see it. space: EVENT_SPACE octets */
struct span sieve_list_rewrite(struct span list, const struct policy *policy, bool is_secure,
                               char *space);

/* Our own, in the clear, while there is no backend; and `end`, the reply behind it. */
struct span sieve_list_own(const struct policy *policy, const struct learned *learned,
                           struct span end, char *space);

/* Does the list offer STARTTLS? */
MUST_CHECK bool sieve_list_offers_tls(struct span list);

void sieve_list_learn(struct span list, struct learned *learned);

/* struct protocol's functions of these names. */
struct span sieve_announced(const struct policy *policy, const struct learned *learned,
                            bool is_secure, char *space, size_t size);
bool sieve_takes_logins(const struct policy *policy, const struct learned *learned);

/* ---- managesieve_client.c: the client role ---- */

MUST_CHECK struct approach_step sieve_approach_step(struct approach *a, struct span window);
void sieve_probe_init(struct probe *p, const struct probe_wish *wish);
MUST_CHECK struct probe_step sieve_probe_step(struct probe *p, struct span window);

/* ---- managesieve.c: the server role, and the row of the registry ---- */

extern const struct protocol managesieve_protocol;

#endif
