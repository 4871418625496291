/* SPDX-License-Identifier: ISC */
/* POP3's client role alone. One command at a time, and no login. */
#include "protocols/pop3_probe.h"

#include <assert.h>

#include "protocols/learned.h"
#include "protocols/pop3_client.h"
#include "protocols/probe.h"

/* GREETING ──▶ CAPA ──▶ QUIT. What was not wished for is left out. */
enum phase {
    PHASE_GREETING,
    PHASE_CAPA,
    PHASE_QUIT,
};

static_assert(POP3_LIST_MAX <= PROBE_WINDOW, "a probe sees all of a list");

void pop3_probe_init(struct probe *p, const struct probe_wish *wish)
{
    *p = probe_blank(wish);
}

/* All that can be known is known. */
static struct probe_step finish(struct probe *p, size_t take)
{
    p->phase = PHASE_QUIT;
    return probe_healthy(take, (struct span)SPAN("QUIT\r\n"));
}

static struct probe_step greeting(struct probe *p, struct span window)
{
    struct line line;
    enum pop3_reply reply = pop3_greeting_find(window, &line);

    if (reply == POP3_REPLY_PARTIAL)
        return probe_going(0, (struct span){0});
    probe_keep(p->greeting, window);
    if (reply != POP3_REPLY_OK)
        return probe_sick(window.len, "its greeting is no +OK");
    if (!p->wish.learns && !p->wish.tries_relay)
        return finish(p, line.take);
    p->phase = PHASE_CAPA;
    return probe_going(line.take, (struct span)SPAN("CAPA\r\n"));
}

/* Without CAPA it has the commands of RFC 1939, and of these USER and PASS are the ones to be
 * announced. A temporary refusal says nothing. */
static struct probe_step refused(struct probe *p, struct span window, const struct line *line)
{
    if (line->take < window.len)
        return probe_sick(window.len, "it talks before it is asked");
    probe_keep(p->answer, window);
    p->learned.is_known = !span_starts(line->text, (struct span)SPAN("-ERR [SYS/"));
    if (p->learned.is_known)
        learned_add(&p->learned, (struct span)SPAN("USER"));
    return finish(p, line->take);
}

static struct probe_step listed(struct probe *p, struct span window)
{
    struct span list, text;
    size_t len;

    switch (pop3_list_find(window, &len)) {
    case POP3_LIST_PARTIAL: return probe_going(0, (struct span){0});
    case POP3_LIST_BAD: return probe_sick(window.len, "its list of capabilities is none");
    case POP3_LIST_WHOLE: break;
    }
    if (len < window.len)
        return probe_sick(window.len, "it talks before it is asked");
    list = span_first(window, len);
    for (bool is_first = true; pop3_list_next(&list, &text); is_first = false)
        if (!is_first)
            learned_add(&p->learned, text);
    p->learned.is_known = true;
    return finish(p, len);
}

static struct probe_step capabilities(struct probe *p, struct span window)
{
    struct line line;

    switch (pop3_reply_find(window, POP3_REPLY_LINE_MAX, &line)) {
    case POP3_REPLY_PARTIAL: return probe_going(0, (struct span){0});
    case POP3_REPLY_OK: return listed(p, window);
    case POP3_REPLY_ERR: return refused(p, window, &line);
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: break;
    }
    return probe_sick(window.len, "what it says is no reply");
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
    case PHASE_GREETING: return greeting(p, window);
    case PHASE_CAPA: return capabilities(p, window);
    case PHASE_QUIT: break;
    }
    return goodbye(window);
}
