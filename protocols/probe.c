/* SPDX-License-Identifier: ISC */
/* The client role alone: what is the same in every protocol. */
#include "protocols/probe.h"

struct probe_step probe_approached(struct probe *p, const struct approach_step *step,
                                   struct span window, const struct probe_injected *injected)
{
    struct probe_step next = probe_going(step->take, step->text);

    p->offers_tls = p->offers_tls || (p->approach.offers & APPROACH_OFFERS_TLS) != 0;
    p->is_injecting = step->note == NOTE_BACKEND_INJECTION;
    switch (step->state) {
    case APPROACH_GOING:
        if (p->wish.injection == PROBE_INJECT_AT_ONCE && step->text.len > 0 &&
            p->approach.phase == APPROACH_AT_STARTTLS)
            next.text = injected->at_once;
        break;
    case APPROACH_START_TLS:
        next.state = PROBE_START_TLS;
        if (p->wish.injection == PROBE_INJECT_BEHIND)
            next.text = injected->behind;
        break;
    case APPROACH_UNUSABLE: probe_keep(p->answer, window); return probe_sick(step->take, step->why);
    case APPROACH_READY: break;
    }
    return next;
}

void probe_keep(char to[PROBE_TEXT], struct span text)
{
    size_t len = 0;

    for (; len < text.len && len < PROBE_TEXT - 1; len++) {
        char c = text.data[len];

        if (c == '\r' || c == '\n')
            break;
        to[len] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    to[len] = '\0';
}

bool probe_hear_farewell(struct probe *p, struct span line, bool is_own)
{
    const bool is_injected = p->wish.injection != PROBE_INJECT_NOTHING;
    const bool is_first = p->farewells++ == 0;

    if (is_first)
        probe_keep(p->farewell_answer, line);
    if (is_first && is_own)
        p->farewell = PROBE_FAREWELL_GOOD;
    else if (!is_first || !is_injected)
        p->farewell = PROBE_FAREWELL_OTHER;
    return !is_first || !is_injected;
}

void probe_overhear(struct probe *p, struct span window, struct span early)
{
    if (p->approach.phase == APPROACH_AT_GREETING)
        probe_keep(p->greeting, window);
    if (p->approach.phase == APPROACH_AT_STARTTLS)
        probe_keep(p->tls_answer, window);
    if (early.len > 0)
        (void)probe_hear_farewell(p, early, false);
}
