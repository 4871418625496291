/* SPDX-License-Identifier: ISC */
/* ManageSieve's client role: from a backend's greeting to where a client may be heard, and the probe
 * that goes the same way. */
#include "tests/example_protocol/managesieve.h"

static const struct span starttls = SPAN("STARTTLS\r\n"), capability = SPAN("CAPABILITY\r\n");

/* GREETING ─▶ STARTTLS ─▶ HANDSHAKE ─▶ OFFERS. What is not wanted is left out; refused STARTTLS goes
 * on to OFFERS too. READY always has a list of capabilities at the front of the window. */
static struct approach_step ask(struct approach *a, enum approach_phase phase, size_t take,
                                struct span command)
{
    a->phase = phase;
    return approach_going(take, command);
}

static struct approach_step refuse(size_t take, const char *why)
{
    return approach_unusable(take, END_BACKEND_REFUSED, why);
}

/* The list as a whole, and that nothing follows: nobody has asked for more. */
static enum sieve_reply list_alone(struct span window, size_t *take)
{
    const enum sieve_reply reply = sieve_list_find(window, take);

    return reply == SIEVE_REPLY_OK && *take < window.len ? SIEVE_REPLY_BAD : reply;
}

static struct approach_step greeted(struct approach *a, struct span window)
{
    size_t take;

    switch (list_alone(window, &take)) {
    case SIEVE_REPLY_PARTIAL: return approach_going(0, (struct span){0});
    case SIEVE_REPLY_OK: break;
    case SIEVE_REPLY_NO:
    case SIEVE_REPLY_BYE:
    case SIEVE_REPLY_STRING:
    case SIEVE_REPLY_BAD: return refuse(window.len, "its greeting is no list and OK");
    }
    if (!sieve_list_offers_tls(window))
        return a->needs_tls ? approach_unusable(window.len, END_BACKEND_TLS_FAILED,
                                                "it does not announce STARTTLS")
                            : approach_ready(take);
    a->offers |= APPROACH_OFFERS_TLS;
    return a->starts_tls ? ask(a, APPROACH_AT_STARTTLS, take, starttls) : approach_ready(take);
}

static struct approach_step started(struct approach *a, struct span window)
{
    size_t take;

    switch (sieve_reply_find(window, &take)) {
    case SIEVE_REPLY_PARTIAL: return approach_going(0, (struct span){0});
    case SIEVE_REPLY_OK:
        if (take < window.len)
            return approach_injected(window.len);
        return approach_start_tls(a, take);
    case SIEVE_REPLY_NO:
        if (take < window.len)
            break;
        return a->needs_tls ? approach_unusable(take, END_BACKEND_TLS_FAILED, "it refuses STARTTLS")
                            : ask(a, APPROACH_AT_OFFERS, take, capability);
    case SIEVE_REPLY_BYE:
    case SIEVE_REPLY_STRING:
    case SIEVE_REPLY_BAD: break;
    }
    return refuse(window.len, "its answer to STARTTLS is none");
}

/* Behind a handshake it comes by itself (RFC 5804, section 2.2), and proves that the server, too,
 * thinks it good. */
static struct approach_step offered(struct span window)
{
    size_t take;

    switch (list_alone(window, &take)) {
    case SIEVE_REPLY_PARTIAL: return approach_going(0, (struct span){0});
    case SIEVE_REPLY_OK: return approach_ready(take);
    case SIEVE_REPLY_NO:
    case SIEVE_REPLY_BYE:
    case SIEVE_REPLY_STRING:
    case SIEVE_REPLY_BAD: break;
    }
    return refuse(window.len, "its list of capabilities is none");
}

struct approach_step sieve_approach_step(struct approach *a, struct span window)
{
    switch (a->phase) {
    case APPROACH_AT_GREETING: return greeted(a, window);
    case APPROACH_AT_STARTTLS: return started(a, window);
    case APPROACH_AT_HANDSHAKE: return ask(a, APPROACH_AT_OFFERS, 0, (struct span){0});
    case APPROACH_AT_OFFERS:
    case APPROACH_AT_IDENTITY: break; /* there is no word for who the client is */
    }
    return offered(window);
}

/* ---- the probe: the approach, LOGOUT ---- */

enum probe_phase { PHASE_APPROACH, PHASE_LIST, PHASE_LOGOUT };

static const struct probe_injected injected = {SPAN("STARTTLS\r\nNOOP\r\n"), SPAN("NOOP\r\n")};

void sieve_probe_init(struct probe *p, const struct probe_wish *wish)
{
    *p = probe_blank(wish);
}

static struct probe_step finish(struct probe *p, enum probe_phase phase, size_t take)
{
    p->phase = phase;
    return probe_healthy(take, (struct span)SPAN("LOGOUT\r\n"));
}

/* The greeting's list, which a clear session learns from; and what stands behind it. */
static struct span overhear_greeting(struct probe *p, struct span window)
{
    enum sieve_reply reply;
    size_t take;

    if (p->approach.phase != APPROACH_AT_GREETING)
        return (struct span){0};
    reply = sieve_list_find(window, &take);
    p->has_greeted = reply == SIEVE_REPLY_OK || reply == SIEVE_REPLY_NO || reply == SIEVE_REPLY_BYE;
    if (reply != SIEVE_REPLY_OK)
        return (struct span){0};
    if (probe_is_on_its_way(p))
        sieve_list_learn(window, &p->clear);
    return span_skip(window, take);
}

static struct probe_step approach(struct probe *p, struct span window)
{
    struct approach_step step;

    if (probe_has_injected(p))
        return finish(p, PHASE_LIST, 0);
    probe_overhear(p, window, overhear_greeting(p, window));
    step = sieve_approach_step(&p->approach, window);
    if (step.state != APPROACH_READY)
        return probe_approached(p, &step, window, &injected);
    if (p->wish.learns)
        sieve_list_learn(window, &p->learned);
    return finish(p, PHASE_LOGOUT, step.take);
}

/* The list that comes by itself behind a handshake is no answer to anything. */
static struct probe_step pass_list(struct probe *p, struct span window)
{
    size_t take;
    const enum sieve_reply reply = sieve_list_find(window, &take);

    if (reply == SIEVE_REPLY_PARTIAL)
        return probe_going(0, (struct span){0});
    p->phase = PHASE_LOGOUT;
    return reply == SIEVE_REPLY_OK ? probe_going(take, (struct span){0}) : probe_over(window.len);
}

static struct probe_step goodbye(struct probe *p, struct span window)
{
    size_t take = 0, len;

    for (;;) {
        const struct span rest = span_skip(window, take);
        const enum sieve_reply reply = sieve_reply_find(rest, &len);

        if (reply == SIEVE_REPLY_PARTIAL)
            return probe_going(take, (struct span){0});
        if (probe_hear_farewell(p, rest, reply == SIEVE_REPLY_OK) || reply == SIEVE_REPLY_BAD)
            return probe_over(window.len);
        take += len;
    }
}

struct probe_step sieve_probe_step(struct probe *p, struct span window)
{
    switch ((enum probe_phase)p->phase) {
    case PHASE_APPROACH: return approach(p, window);
    case PHASE_LIST: return pass_list(p, window);
    case PHASE_LOGOUT: break;
    }
    return goodbye(p, window);
}
