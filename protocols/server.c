/* SPDX-License-Identifier: ISC */
/* What the server machine of every protocol keeps, and counts in the same way. */
#include "protocols/server.h"

struct server server_blank(const struct policy *policy, const struct facts *facts)
{
    return (struct server){
        .policy = policy,
        .learned = facts->learned,
        .identity = facts->identity,
        .is_secure = facts->is_secure,
        .auth_failures = facts->auth_failures,
    };
}

enum end server_without_tls(const struct server *s, enum end end)
{
    return s->is_told ? END_TLS_REQUIRED : end;
}

static bool is_one_too_many(unsigned count, unsigned max)
{
    return max > 0 && count >= max;
}

void server_strike(struct server *s, struct span last_words)
{
    s->errors++;
    if (is_one_too_many(s->errors, s->policy->max_errors))
        s->farewell =
            (struct farewell){.end = server_without_tls(s, END_ERRORS), .text = last_words};
}

void server_login_failed(struct server *s, struct span last_words)
{
    s->auth_failures++;
    if (is_one_too_many(s->auth_failures, s->policy->max_auth_failures))
        s->farewell = (struct farewell){.end = END_ERRORS, .text = last_words};
}

void server_exchange_line(struct server *s, size_t len, size_t max)
{
    s->is_doubtful = s->is_doubtful || len > max;
}

void server_refused(struct server *s)
{
    if (s->is_doubtful && s->farewell.end == END_NONE)
        s->farewell.end = END_ERRORS;
}

bool server_allows(const struct policy *policy, struct span verb)
{
    for (size_t i = 0; i < policy->allow_commands.count; i++)
        if (span_equals(verb, span_of(policy->allow_commands.word[i])))
            return true;
    return false;
}
