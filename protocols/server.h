/* SPDX-License-Identifier: ISC */
/* What the server machine of every protocol keeps, and counts in the same way. Embedded in each;
 * nobody outside protocols/ includes this. */
#ifndef STARTTLSD_SERVER_H
#define STARTTLSD_SERVER_H

#include "protocols/protocol.h"

/* Octets of what the administrator wrote that fit in our own greeting. */
#define SERVER_GREETING_MAX ((size_t)256)

/* Said, then the session ends: at the next step, whatever it is about. */
struct farewell {
    enum end end; /* END_NONE: no such thing */
    struct span text;
};

struct server {
    const struct policy *policy;
    const struct learned *learned;          /* as facts.learned */
    const struct client_identity *identity; /* as facts.identity */
    struct farewell farewell;
    unsigned errors; /* of the client, so far */
    unsigned auth_failures;
    bool is_secure;   /* TLS with the client is up */
    bool is_told;     /* that it must start TLS */
    bool is_draining; /* goodbye when nothing is lost by it */
    bool is_eof;      /* the client will send no more */
    bool is_doubtful; /* a line has passed that some backend reads as two */
    char *space;      /* the event's */
};

/* Of a blank machine. */
struct server server_blank(const struct policy *policy, const struct facts *facts);

/* `end`, or the better reason: the client was told that it must start TLS, and did not. */
enum end server_without_tls(const struct server *s, enum end end);

/* The client has made a mistake; one too many ends the session with `last_words`. */
void server_strike(struct server *s, struct span last_words);

/* The backend has refused a login for what was in it; likewise. */
void server_login_failed(struct server *s, struct span last_words);

/* A line of `len` octets, its end included, of a SASL exchange passes, or a login's literal and what
 * is behind it. RFC 4954 grants it 12288; a backend with a buffer for `max` reads the rest of a longer
 * one as a command. */
void server_exchange_line(struct server *s, size_t len, size_t max);

/* Something is refused. If the backend may owe a reply too many, this may be it, and the session
 * ends: every later one would be paired with the wrong command. */
void server_refused(struct server *s);

/* The client is not in the clear where only STARTTLS makes it secure: we speak alone. */
static inline bool server_is_alone(const struct policy *policy, bool is_secure)
{
    return policy->tls == FRONT_STARTTLS && !is_secure;
}

/* May credentials pass here? */
static inline bool server_may_log_in(const struct policy *policy, bool is_secure)
{
    return !server_is_alone(policy, is_secure) ||
           (policy->may_auth_in_clear && !policy->is_enforced);
}

/* Has the administrator allowed the verb (allow_commands)? */
MUST_CHECK bool server_allows(const struct policy *policy, struct span verb);

#endif
