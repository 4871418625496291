/* SPDX-License-Identifier: ISC */
/* POP3's client role alone. One command at a time, and no login. */
#include "protocols/pop3_probe.h"

#include <assert.h>

#include "protocols/learned.h"
#include "protocols/pop3_approach.h"
#include "protocols/pop3_client.h"
#include "protocols/probe.h"

/* APPROACH ──▶ CAPA ──▶ QUIT. What was not wished for is left out. */
enum phase {
    PHASE_APPROACH,
    PHASE_CAPA,
    PHASE_QUIT,
};

static const struct probe_injected injected = {SPAN("STLS\r\nNOOP\r\n"), SPAN("NOOP\r\n")};

static_assert(POP3_LIST_MAX <= PROBE_WINDOW, "a probe sees all of a list");
static_assert(POP3_APPROACH_SPACE <= sizeof(((struct probe *)NULL)->command), "and has room");

void pop3_probe_init(struct probe *p, const struct probe_wish *wish)
{
    static const struct client_identity nobody = {.client = {.family = ADDRESS_NONE}};

    *p = probe_blank(wish);
    if (wish->learns && wish->tells_identity)
        p->approach.identity = &nobody;
}

/* All that can be known is known. */
static struct probe_step finish(struct probe *p, size_t take)
{
    p->phase = PHASE_QUIT;
    return probe_healthy(take, (struct span)SPAN("QUIT\r\n"));
}

/* Without CAPA it has the commands of RFC 1939, and of these USER and PASS are the ones to be
 * announced. A temporary refusal says nothing. */
static void learn(struct learned *to, enum pop3_reply reply, struct span window)
{
    struct span text = {0};

    if (span_starts(window, (struct span)SPAN("-ERR [SYS/")))
        return;
    to->is_known = true;
    if (reply == POP3_REPLY_ERR) {
        learned_add(to, (struct span)SPAN("USER"));
        return;
    }
    for (bool is_first = true; pop3_list_next(&window, &text); is_first = false)
        if (!is_first)
            learned_add(to, text);
}

/* Behind a good greeting. */
static struct span early(const struct probe *p, struct span window)
{
    struct line line;

    if (p->approach.phase != APPROACH_AT_GREETING ||
        pop3_reply_find(window, POP3_REPLY_LINE_MAX, &line) != POP3_REPLY_OK)
        return (struct span){0};
    return span_skip(window, line.take);
}

/* Be it an -ERR. */
static bool is_greeting(struct span window)
{
    struct line line;
    const enum pop3_reply reply = pop3_reply_find(window, POP3_REPLY_LINE_MAX, &line);

    return reply == POP3_REPLY_OK || reply == POP3_REPLY_ERR;
}

static void overhear_offers(struct probe *p, struct span window)
{
    enum pop3_reply reply;
    const char *why;

    if (p->approach.phase != APPROACH_AT_OFFERS || !probe_is_on_its_way(p))
        return;
    reply = pop3_capa_find(window, &why);
    if (reply == POP3_REPLY_OK || reply == POP3_REPLY_ERR)
        learn(&p->clear, reply, window);
}

static struct probe_step approach(struct probe *p, struct span window)
{
    struct approach_step step;

    if (probe_has_injected(p))
        return finish(p, 0);
    p->has_greeted = p->has_greeted || is_greeting(window);
    probe_overhear(p, window, early(p, window));
    overhear_offers(p, window);
    step = pop3_approach_step(&p->approach, window, p->command);
    if (step.state != APPROACH_READY)
        return probe_approached(p, &step, window, &injected);
    if (!p->wish.learns && !p->wish.tries_relay)
        return finish(p, step.take);
    p->phase = PHASE_CAPA;
    return probe_going(step.take, (struct span)SPAN("CAPA\r\n"));
}

static struct probe_step capabilities(struct probe *p, struct span window)
{
    const char *why;
    const enum pop3_reply reply = pop3_capa_find(window, &why);

    switch (reply) {
    case POP3_REPLY_PARTIAL: return probe_going(0, (struct span){0});
    case POP3_REPLY_OK: break;
    case POP3_REPLY_ERR: probe_keep(p->answer, window); break;
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: return probe_sick(window.len, why);
    }
    learn(&p->learned, reply, window);
    return finish(p, window.len);
}

/* An `+OK` may be for anything: behind an injection a second answer decides, or the end of the
 * connection, or of the owner's time. */
static struct probe_step goodbye(struct probe *p, struct span window)
{
    size_t take = 0;

    for (;;) {
        const struct span rest = span_skip(window, take);
        struct line line;
        enum pop3_reply reply = pop3_reply_find(rest, POP3_REPLY_LINE_MAX, &line);

        if (reply == POP3_REPLY_PARTIAL)
            return probe_going(take, (struct span){0});
        if (probe_hear_farewell(p, rest, reply == POP3_REPLY_OK) || reply == POP3_REPLY_BAD)
            return probe_over(window.len);
        take += line.take;
    }
}

struct probe_step pop3_probe_step(struct probe *p, struct span window)
{
    switch ((enum phase)p->phase) {
    case PHASE_APPROACH: return approach(p, window);
    case PHASE_CAPA: return capabilities(p, window);
    case PHASE_QUIT: break;
    }
    return goodbye(p, window);
}
