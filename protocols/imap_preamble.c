/* SPDX-License-Identifier: ISC */
/* IMAP before TLS: we speak alone. Where TLS is enforced nothing of what is said here survives; where
 * it is not, a command that needs a backend waits for one. */
#include "protocols/imap_capabilities.h"
#include "protocols/imap_machine.h"
#include "protocols/reply.h"
#include "protocols/verdict.h"

/* A list of capabilities at most; the space that is left holds all else. */
#define LIST_MAX (EVENT_SPACE / 2)

static struct verdict say(const struct imap_server *s, size_t take, const struct span *part,
                          size_t count)
{
    return verdict_send(SIDE_CLIENT, take,
                        reply_join(s->base.space + LIST_MAX, EVENT_SPACE - LIST_MAX, part, count));
}

static struct span own_capabilities(const struct imap_server *s)
{
    return imap_capabilities_own(s->base.policy, s->base.learned, s->base.space, LIST_MAX);
}

static struct verdict greet(const struct imap_server *s, size_t take, const char *begin,
                            struct span list, const char *end)
{
    const struct policy *policy = s->base.policy;
    const char *words = policy->greeting == NULL ? policy->hostname : policy->greeting;
    const struct span part[] = {
        span_of(begin),
        list,
        span_of(end),
        span_first(span_of(words), SERVER_GREETING_MAX),
        span_of(policy->greeting == NULL ? " ready\r\n" : "\r\n"),
    };

    return say(s, take, part, sizeof part / sizeof *part);
}

struct verdict imap_preamble_greet(const struct imap_server *s)
{
    return greet(s, 0, "* OK [CAPABILITY", own_capabilities(s), "] ");
}

struct verdict imap_greet(const struct imap_server *s, size_t take)
{
    return greet(s, take, "* OK ", (struct span){0}, "");
}

static struct verdict done(const struct imap_server *s, struct span tag, size_t take)
{
    const struct span part[] = {tag, SPAN(" OK Done\r\n")};

    return say(s, take, part, 2);
}

static struct verdict capability(const struct imap_server *s, struct span tag, size_t take)
{
    const struct span part[] = {SPAN("* CAPABILITY"), own_capabilities(s), LINE_END, tag,
                                SPAN(" OK Done\r\n")};

    return say(s, take, part, sizeof part / sizeof *part);
}

static struct verdict id(const struct imap_server *s, struct span tag, size_t take)
{
    const struct span part[] = {SPAN("* ID NIL\r\n"), tag, SPAN(" OK Done\r\n")};

    return say(s, take, part, 3);
}

static struct verdict logout(const struct imap_server *s, struct span tag, size_t take)
{
    const struct span part[] = {SPAN("* BYE Logging out\r\n"), tag, SPAN(" OK Done\r\n")};
    struct verdict v = say(s, take, part, 3);

    v.kind = VERDICT_CLOSE;
    v.end = server_without_tls(&s->base, END_CLIENT_QUIT);
    return v;
}

struct verdict imap_preamble_run(struct imap_server *s, const struct imap_command *command,
                                 size_t take)
{
    switch (command->verb) {
    case IMAP_CAPABILITY: return capability(s, command->tag, take);
    case IMAP_NOOP: return done(s, command->tag, take);
    case IMAP_ID: return id(s, command->tag, take);
    case IMAP_LOGOUT: return logout(s, command->tag, take);
    case IMAP_LOGIN:
    case IMAP_AUTHENTICATE:
    case IMAP_LANGUAGE:
    case IMAP_ALLOWED:
    case IMAP_STARTTLS: /* goes another way */
    case IMAP_UNKNOWN: break;
    }
    s->phase = IMAP_CONNECTING; /* the command stays where it is until a backend is there */
    return verdict_connect();
}
