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

static struct probe_step approach(struct probe *p, struct span window)
{
    struct approach_step step;

    if (p->approach.phase == 0)
        probe_keep(p->greeting, window);
    step = pop3_approach_step(&p->approach, window, p->command);
    if (step.state != APPROACH_READY)
        return probe_approached(p, &step);
    if (!p->wish.learns && !p->wish.tries_relay)
        return finish(p, step.take);
    p->phase = PHASE_CAPA;
    return probe_going(step.take, (struct span)SPAN("CAPA\r\n"));
}

static void learn(struct probe *p, struct span list)
{
    struct span text = {0};

    for (bool is_first = true; pop3_list_next(&list, &text); is_first = false)
        if (!is_first)
            learned_add(&p->learned, text);
    p->learned.is_known = true;
}

/* Without CAPA it has the commands of RFC 1939, and of these USER and PASS are the ones to be
 * announced. A temporary refusal says nothing. */
static void refused(struct probe *p, struct span reply)
{
    probe_keep(p->answer, reply);
    p->learned.is_known = !span_starts(reply, (struct span)SPAN("-ERR [SYS/"));
    if (p->learned.is_known)
        learned_add(&p->learned, (struct span)SPAN("USER"));
}

static struct probe_step capabilities(struct probe *p, struct span window)
{
    const char *why;

    switch (pop3_capa_find(window, &why)) {
    case POP3_REPLY_PARTIAL: return probe_going(0, (struct span){0});
    case POP3_REPLY_OK: learn(p, window); break;
    case POP3_REPLY_ERR: refused(p, window); break;
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: return probe_sick(window.len, why);
    }
    return finish(p, window.len);
}

/* Whatever it says to the goodbye, it is over with the line. */
static struct probe_step goodbye(struct span window)
{
    struct line line;

    if (line_find(window, POP3_REPLY_LINE_MAX, &line) == LINE_PARTIAL)
        return probe_going(0, (struct span){0});
    return probe_over(window.len);
}

struct probe_step pop3_probe_step(struct probe *p, struct span window)
{
    switch ((enum phase)p->phase) {
    case PHASE_APPROACH: return approach(p, window);
    case PHASE_CAPA: return capabilities(p, window);
    case PHASE_QUIT: break;
    }
    return goodbye(window);
}
