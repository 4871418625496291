/* SPDX-License-Identifier: ISC */
/* IMAP's client role alone: the approach, CAPABILITY, LOGOUT. */
#include "protocols/imap_probe.h"

#include <assert.h>

#include "protocols/imap_approach.h"
#include "protocols/imap_client.h"
#include "protocols/learned.h"
#include "protocols/line.h"
#include "protocols/word.h"

enum phase { PHASE_APPROACH, PHASE_CAPABILITY, PHASE_LOGOUT };

static const struct probe_injected injected = {SPAN("b STARTTLS\r\nx NOOP\r\n"),
                                               SPAN("x NOOP\r\n")};

static_assert(IMAP_CLIENT_LINE_MAX <= PROBE_WINDOW, "a probe sees all of a line");
static_assert(IMAP_APPROACH_SPACE <= sizeof(((struct probe *)NULL)->command), "and has room");

void imap_probe_init(struct probe *p, const struct probe_wish *wish)
{
    static const struct client_identity nobody = {.client = {.family = ADDRESS_NONE}};

    *p = probe_blank(wish);
    if (wish->learns && wish->tells_identity)
        p->approach.identity = &nobody;
}

/* All that can be known is known. */
static struct probe_step finish(struct probe *p, size_t take)
{
    p->phase = PHASE_LOGOUT;
    p->reply_len = 0;
    return probe_healthy(take, (struct span)SPAN("e LOGOUT\r\n"));
}

static void learn(struct learned *to, struct span list)
{
    struct span word;

    while ((word = word_next(&list)).len > 0)
        learned_add(to, word);
}

/* Behind a good greeting. */
static struct span early(const struct probe *p, struct span window)
{
    size_t len = 0;
    struct imap_hearing h = {.answer_len = &len};

    if (p->approach.phase != APPROACH_AT_GREETING ||
        imap_client_hear(&h, window) != IMAP_HEARD_UNTAGGED ||
        h.response.kind != IMAP_RESPONSE_STATUS || h.response.status != IMAP_STATUS_OK)
        return (struct span){0};
    return span_skip(window, h.take);
}

/* Be it a BYE. */
static bool is_greeting(struct span window)
{
    struct imap_response r;
    struct line line;

    if (line_find(window, IMAP_CLIENT_LINE_MAX, &line) != LINE_FOUND || line.is_dirty)
        return false;
    r = imap_response_parse(line.text);
    return r.kind == IMAP_RESPONSE_STATUS && r.tag.len == 0;
}

/* The greeting may have its list already; otherwise it is asked for. */
static void overhear_offers(struct probe *p, struct span window)
{
    struct line line;

    if (p->approach.phase > APPROACH_AT_OFFERS || !probe_is_on_its_way(p))
        return;
    while (line_find(window, IMAP_CLIENT_LINE_MAX, &line) == LINE_FOUND && !line.is_dirty) {
        learn(&p->clear, imap_response_parse(line.text).capabilities);
        window = span_skip(window, line.take);
    }
    p->clear.is_known = p->clear.len > 0;
}

static struct probe_step approach(struct probe *p, struct span window)
{
    struct approach_step step;

    if (probe_has_injected(p))
        return finish(p, 0);
    p->has_greeted = p->has_greeted || is_greeting(window);
    probe_overhear(p, window, early(p, window));
    overhear_offers(p, window);
    step = imap_approach_step(&p->approach, window, p->command);
    if (step.state != APPROACH_READY)
        return probe_approached(p, &step, window, &injected);
    if (!p->wish.learns)
        return finish(p, step.take);
    p->phase = PHASE_CAPABILITY;
    return probe_going(step.take, (struct span)SPAN("d CAPABILITY\r\n"));
}

static struct probe_step learned(struct probe *p, const struct imap_hearing *h, struct span window)
{
    if (h->take < window.len)
        return probe_sick(window.len, "it talks before it is asked");
    probe_keep(p->answer, h->line);
    p->learned.is_known = h->response.status == IMAP_STATUS_OK && p->learned.len > 0;
    return finish(p, h->take);
}

static struct probe_step capabilities(struct probe *p, struct span window)
{
    struct imap_hearing h = {.tag = 'd', .answer_len = &p->reply_len};

    for (;;) {
        switch (imap_client_hear(&h, window)) {
        case IMAP_HEARD_PARTIAL: return probe_going(h.take, (struct span){0});
        case IMAP_HEARD_WRONG: return probe_sick(window.len, h.why);
        case IMAP_HEARD_ANSWER: return learned(p, &h, window);
        case IMAP_HEARD_UNTAGGED: break;
        }
        if (h.response.kind == IMAP_RESPONSE_CAPABILITY)
            learn(&p->learned, h.response.capabilities);
    }
}

/* One line behind the goodbye: is it over? */
static bool is_parted(struct probe *p, const struct imap_response *r, struct span line)
{
    const bool is_ours = r->tag.len == 1 && r->tag.data[0] == 'e';

    if (r->kind == IMAP_RESPONSE_CAPABILITY || r->kind == IMAP_RESPONSE_DATA ||
        (r->kind == IMAP_RESPONSE_STATUS && r->tag.len == 0 && r->status != IMAP_STATUS_BAD))
        return false;
    if (probe_hear_farewell(p, line, is_ours))
        return true;
    if (r->tag.len == 1 && r->tag.data[0] == 'x')
        p->farewell = PROBE_FAREWELL_OTHER; /* nobody else has this tag */
    return is_ours || p->farewell == PROBE_FAREWELL_OTHER;
}

static struct probe_step goodbye(struct probe *p, struct span window)
{
    struct imap_response r;
    struct line line;
    size_t take = 0;

    for (;;) {
        switch (line_find(span_skip(window, take), IMAP_CLIENT_LINE_MAX, &line)) {
        case LINE_PARTIAL: return probe_going(take, (struct span){0});
        case LINE_TOO_LONG: return probe_over(window.len);
        case LINE_FOUND: break;
        }
        take += line.take;
        p->reply_len += line.take;
        r = (struct imap_response){.kind = IMAP_RESPONSE_BAD};
        if (!line.is_dirty)
            r = imap_response_parse(line.text);
        if (is_parted(p, &r, line.text) || p->reply_len > IMAP_CLIENT_ANSWER_MAX)
            return probe_over(window.len);
    }
}

struct probe_step imap_probe_step(struct probe *p, struct span window)
{
    switch ((enum phase)p->phase) {
    case PHASE_APPROACH: return approach(p, window);
    case PHASE_CAPABILITY: return capabilities(p, window);
    case PHASE_LOGOUT: break;
    }
    return goodbye(p, window);
}
