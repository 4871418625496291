/* SPDX-License-Identifier: ISC */
/* Dialogues as tables: who says what, and what both sides must have received by the end of the
 * turn. */
#include "tests/unit/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/player.h"

#define SHOWN_MAX ((size_t)1000)

static void show(const char *what, const char *data, size_t len)
{
    fprintf(stderr, "  %-14s \"", what);
    for (size_t i = 0; i < len && i < SHOWN_MAX; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c >= ' ' && c < 127)
            fputc(c, stderr);
        else
            fprintf(stderr, c == '\r' ? "\\r" : c == '\n' ? "\\n" : "\\x%02x", c);
    }
    fprintf(stderr, len > SHOWN_MAX ? "\" and on, %zu octets\n" : "\"\n", len);
}

static bool equals(const struct octets *got, struct span want)
{
    return got->len == want.len && (want.len == 0 || memcmp(got->data, want.data, want.len) == 0);
}

static void check(const struct player *p, const struct turn *t, size_t index, size_t cut)
{
    unsigned waiting = t->waiting == 0 ? 0 : 1 + p->protocol->waiting(p->machine);
    bool is_right = equals(&p->received[SIDE_CLIENT], t->to[SIDE_CLIENT]) &&
                    equals(&p->received[SIDE_BACKEND], t->to[SIDE_BACKEND]) &&
                    p->outcome == t->outcome && p->end == t->end && p->notes == t->notes &&
                    waiting == t->waiting && (t->failure == END_NONE || p->failure == t->failure);

    if (is_right)
        return;
    fprintf(stderr, "turn %zu, cut %zu:\n", index, cut);
    show("input", t->input.data, t->input.len);
    for (int side = 0; side < 2; side++) {
        show(side == SIDE_CLIENT ? "client wants" : "backend wants", t->to[side].data,
             t->to[side].len);
        show("and gets", p->received[side].data, p->received[side].len);
    }
    fprintf(
        stderr,
        "  outcome %d, wanted %d; end %d, wanted %d; notes %x, wanted %x; waiting %u, wanted %u; "
        "failure %d, wanted %d\n",
        p->outcome, t->outcome, p->end, t->end, p->notes, t->notes, waiting, t->waiting, p->failure,
        t->failure);
    fail_msg("turn %zu came out wrong", index);
}

static void forget(struct player *p)
{
    octets_clear(&p->received[SIDE_CLIENT]);
    octets_clear(&p->received[SIDE_BACKEND]);
    p->notes = 0;
    p->failure = END_NONE;
    if (!player_is_over(p))
        p->outcome = VERDICT_MORE;
}

/* What the backend of PLAY_FROM_GATE says. */
static struct span greeting_of(const struct protocol *protocol)
{
    static const struct {
        const char *protocol;
        struct span greeting;
    } greetings[] = {
        {"smtp", SPAN("220 x\r\n")},
        {"imap", SPAN("* OK x\r\n")},
        {"pop3", SPAN("+OK x\r\n")},
        {"managesieve", SPAN("\"SASL\" \"PLAIN\"\r\nOK \"x\"\r\n")},
    };

    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++)
        if (strcmp(greetings[i].protocol, protocol->name) == 0)
            return greetings[i].greeting;
    fail_msg("no greeting for %s", protocol->name);
    return (struct span){0};
}

static void begin(struct player *p, const struct stage *stage)
{
    const struct facts facts = {.is_secure = stage->policy->tls == FRONT_IMPLICIT,
                                .learned = stage->learned,
                                .identity = stage->identity};
    const struct span greeting = greeting_of(stage->protocol);

    player_begin(p, stage->protocol, stage->policy, &facts);
    switch (stage->from) {
    case PLAY_FROM_ACCEPT: return;
    case PLAY_FROM_GREETING: player_event(p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE); break;
    case PLAY_FROM_SECURED:
    case PLAY_FROM_GATE:
        player_event(p, stage->policy->tls == FRONT_NONE ? EVENT_CONNECTED : EVENT_SECURED,
                     SIDE_CLIENT, END_NONE);
        assert_int_equal(p->outcome, VERDICT_CONNECT);
        break;
    }
    if (stage->from == PLAY_FROM_GATE) {
        player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        player_feed(p, SIDE_BACKEND, greeting.data, greeting.len);
        assert_int_equal(p->notes, 1u << NOTE_NONE | 1u << NOTE_GREETED);
    }
    forget(p);
}

static void play_cut(const struct stage *stage, const struct turn *turn, size_t count, size_t cut)
{
    struct player p;

    begin(&p, stage);
    for (size_t i = 0; i < count; i++) {
        const struct turn *t = &turn[i];
        size_t piece = cut == 0 || t->is_at_once ? t->input.len : cut;

        if (t->kind != EVENT_BYTES)
            player_event(&p, t->kind, t->side, t->reason);
        for (size_t at = 0; at < t->input.len; at += piece)
            player_feed(&p, t->side, t->input.data + at,
                        piece < t->input.len - at ? piece : t->input.len - at);
        p.notes &= ~(1u << NOTE_NONE);
        check(&p, t, i, cut);
        forget(&p);
    }
    player_clear(&p);
}

void play_turns(const struct stage *stage, const struct turn *turn, size_t count)
{
    for (size_t cut = 0; cut <= 3; cut++)
        play_cut(stage, turn, count, cut);
}

void play_ends(const struct stage *stage, const struct turn *beginning, size_t count,
               const struct turn *end, size_t end_count)
{
    struct turn turn[16];

    assert_true(count < sizeof turn / sizeof turn[0]);
    memcpy(turn, beginning, count * sizeof turn[0]);
    for (size_t i = 0; i < end_count; i++) {
        turn[count] = end[i];
        play_turns(stage, turn, count + 1);
    }
}
