/* SPDX-License-Identifier: ISC */
/* IMAP's client role alone: greeting, CAPABILITY, LOGOUT. */
#include "protocols/imap_probe.h"

#include "protocols/imap_response.h"
#include "protocols/learned.h"
#include "protocols/line.h"
#include "protocols/probe.h"
#include "protocols/word.h"

enum phase { PHASE_GREETING, PHASE_CAPABILITY, PHASE_LOGOUT };

/* Octets of an answer with all that is said before it. */
#define ANSWER_MAX WINDOW_MAX

void imap_probe_init(struct probe *p, const struct probe_wish *wish)
{
    *p = probe_blank(wish);
}

/* All that can be known is known. */
static struct probe_step finish(struct probe *p, size_t take)
{
    p->phase = PHASE_LOGOUT;
    p->reply_len = 0;
    return probe_healthy(take, (struct span)SPAN("b LOGOUT\r\n"));
}

static void learn(struct probe *p, struct span list)
{
    struct span word;

    while ((word = word_next(&list)).len > 0)
        learned_add(&p->learned, word);
}

/* take: the whole window, with the greeting in front */
static struct probe_step greeted(struct probe *p, const struct imap_response *r,
                                 const struct line *line, size_t take)
{
    probe_keep(p->greeting, line->text);
    if (line->is_dirty || r->kind != IMAP_RESPONSE_STATUS || r->tag.len > 0 ||
        r->status != IMAP_STATUS_OK)
        return probe_sick(take, "its greeting is no OK");
    if (line->take < take)
        return probe_sick(take, "it talks before it is asked");
    if (!p->wish.learns)
        return finish(p, take);
    p->phase = PHASE_CAPABILITY;
    return probe_going(take, (struct span)SPAN("a CAPABILITY\r\n"));
}

/* Literals in what it says unasked would have to be counted: nobody needs them here. */
static bool is_sound(const struct imap_response *r, const struct line *line)
{
    return !line->is_dirty && r->kind != IMAP_RESPONSE_BAD &&
           r->kind != IMAP_RESPONSE_CONTINUATION && !r->has_literal;
}

/* A line behind CAPABILITY. False: it decides nothing. */
static bool is_decided(struct probe *p, const struct imap_response *r, const struct line *line,
                       size_t take, struct probe_step *step)
{
    if (r->kind == IMAP_RESPONSE_CAPABILITY && !p->learned.is_known)
        learn(p, r->capabilities);
    if (r->kind != IMAP_RESPONSE_STATUS)
        return false;
    if (r->tag.len == 0 && r->status == IMAP_STATUS_BYE) {
        *step = probe_sick(take, "it answers CAPABILITY with BYE");
    } else if (r->tag.len == 0) {
        return false;
    } else if (!span_equals(r->tag, (struct span)SPAN("a"))) {
        *step = probe_sick(take, "what it says is no answer");
    } else {
        probe_keep(p->answer, line->text);
        p->learned.is_known = r->status == IMAP_STATUS_OK && p->learned.len > 0;
        *step = finish(p, take);
    }
    return true;
}

/* A line behind LOGOUT: its answer ends all. */
static bool is_goodbye(const struct imap_response *r)
{
    return r->kind == IMAP_RESPONSE_BAD || (r->kind == IMAP_RESPONSE_STATUS && r->tag.len > 0);
}

/* The line at `take`, which moves behind it. False: on to the next one. */
static bool read_line(struct probe *p, struct span window, const struct line *line, size_t *take,
                      struct probe_step *step)
{
    struct imap_response r = imap_response_parse(line->text);

    *take += line->take;
    p->reply_len += line->take;
    if (p->phase == PHASE_GREETING) {
        *step = greeted(p, &r, line, window.len);
        return true;
    }
    if (p->phase == PHASE_LOGOUT) {
        *step = probe_over(window.len);
        return is_goodbye(&r) || p->reply_len > ANSWER_MAX;
    }
    *step = probe_sick(window.len, "what it says is no answer");
    if (!is_sound(&r, line) || p->reply_len > ANSWER_MAX)
        return true;
    if (!is_decided(p, &r, line, *take, step))
        return false;
    if (*take < window.len)
        *step = probe_sick(window.len, "it talks before it is asked");
    return true;
}

struct probe_step imap_probe_step(struct probe *p, struct span window)
{
    struct probe_step step;
    struct line line;
    size_t take = 0;

    for (;;) {
        switch (line_find(span_skip(window, take), PROBE_WINDOW, &line)) {
        case LINE_PARTIAL: return probe_going(take, (struct span){0});
        case LINE_TOO_LONG:
            return p->phase == PHASE_LOGOUT ? probe_over(window.len)
                                            : probe_sick(window.len, "its line has no end");
        case LINE_FOUND: break;
        }
        if (read_line(p, window, &line, &take, &step))
            return step;
    }
}
