/* SPDX-License-Identifier: ISC */
/* Any octets as a POP3 backend that is looked at: the probe takes no more than there is, decides
 * within its window, and says CAPA, STLS, XCLIENT, CAPA again and QUIT, as far as they are wished for. How the
 * rest is cut, which the second octet says, changes nothing of what it finds. TLS, where it is asked
 * for, succeeds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocols/learned.h"
#include "protocols/pop3_probe.h"
#include "protocols/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct finding {
    struct probe probe;
    enum probe_state state;
    char said[40];
    size_t said_len;
};

static void check_text(const char text[PROBE_TEXT])
{
    assert(memchr(text, '\0', PROBE_TEXT) != NULL);
    for (const char *c = text; *c != '\0'; c++)
        assert(*c >= ' ' && *c <= '~');
}

/* The front of what may be said at most: without STLS the approach's CAPA may be the last. */
static void check_said(const struct finding *f)
{
    const struct probe_wish *wish = &f->probe.wish;
    const struct span said = {f->said, f->said_len};
    const bool injects = wish->starts_tls && wish->injection != PROBE_INJECT_NOTHING;
    const bool tells = wish->learns && wish->tells_identity;
    const struct span part[] = {
        span_of(wish->starts_tls ? "CAPA\r\n" : ""),
        span_of(f->probe.offers_tls ? "STLS\r\n" : ""),
        span_of(injects && f->probe.offers_tls ? "NOOP\r\n" : ""),
        span_of(f->probe.approach.is_secure && !tells && !injects ? "CAPA\r\n" : ""),
        span_of(tells && !injects ? "XCLIENT\r\n" : ""),
        span_of(wish->learns && !injects ? "CAPA\r\n" : ""),
        SPAN("QUIT\r\n"),
    };
    char most[48];

    assert(span_starts(reply_join(most, sizeof most, part, 7), said));
    assert(!(wish->needs_tls || injects) || f->probe.approach.is_secure ||
           f->said_len <= (injects ? 18 : 12));
}

static void check_learned(const struct learned *l)
{
    struct span line;
    size_t at = 0;

    assert(l->len <= LEARNED_MAX && (l->is_known || l->len == 0));
    for (size_t i = 0; i < l->len; i++)
        assert(l->text[i] == '\n' || (l->text[i] >= ' ' && l->text[i] <= '~'));
    while (learned_next(l, &at, &line))
        assert(learned_keyword(line).len > 0);
    assert(at == l->len);
}

static void check(const struct finding *f)
{
    check_said(f);
    check_learned(&f->probe.learned);
    check_learned(&f->probe.clear);
    check_text(f->probe.greeting);
    check_text(f->probe.answer);
    check_text(f->probe.tls_answer);
    check_text(f->probe.farewell_answer);
    assert(!f->probe.is_injecting || f->state == PROBE_SICK);
}

static struct probe_step hear(struct finding *f, const char *data, size_t len)
{
    char *exact = malloc(len);
    struct probe_step step;

    if (len > 0)
        memcpy(exact, data, len);
    step = pop3_probe_step(&f->probe, (struct span){exact, len});
    free(exact);
    assert(step.take <= len);
    assert(step.state == PROBE_SICK || step.state == PROBE_OVER || len - step.take < PROBE_WINDOW);
    assert((step.state == PROBE_SICK) == (step.why != NULL));
    assert(step.text.len <= sizeof f->said - f->said_len);
    if (step.text.len > 0)
        memcpy(f->said + f->said_len, step.text.data, step.text.len);
    f->said_len += step.text.len;
    return step;
}

/* It hears `text` octet by octet, or in pieces of so many. */
static void look(struct finding *f, unsigned wishes, struct span text, size_t piece)
{
    const struct probe_wish wish = {.hostname = "gate.example",
                                    .learns = (wishes & 1) != 0,
                                    .starts_tls = (wishes & 2) != 0,
                                    .needs_tls = (wishes & 6) == 6,
                                    .tells_identity = (wishes & 8) != 0,
                                    .injection = (enum probe_injection)(wishes / 16 % 3)};
    size_t taken = 0, given = 0;

    *f = (struct finding){.state = PROBE_GOING};
    pop3_probe_init(&f->probe, &wish);
    while (given < text.len && (f->state == PROBE_GOING || f->state == PROBE_HEALTHY)) {
        struct probe_step step;

        given = piece < text.len - given ? given + piece : text.len;
        step = hear(f, text.data + taken, given - taken);
        taken += step.take;
        if (step.state == PROBE_START_TLS) {
            assert(wish.starts_tls && taken == given && !f->probe.approach.is_secure);
            probe_secured(&f->probe);
            step = hear(f, NULL, 0);
            assert(step.text.len > 0);
            assert((step.state == PROBE_HEALTHY) == (wish.injection != PROBE_INJECT_NOTHING));
        }
        assert(step.state != PROBE_HEALTHY || f->state != PROBE_HEALTHY);
        if (f->state != PROBE_HEALTHY || step.state != PROBE_GOING)
            f->state = step.state;
    }
    check(f);
}

static bool is_same(const struct learned *a, const struct learned *b)
{
    return a->is_known == b->is_known && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct finding a, b;

    if (size < 2)
        return 0;
    look(&a, data[0], (struct span){(const char *)data + 2, size - 2}, 1);
    look(&b, data[0], (struct span){(const char *)data + 2, size - 2}, 1 + data[1] % 97u);
    /* Who talks before it is asked is found out where that shares a window alone. */
    if (b.state == PROBE_SICK || a.state == PROBE_SICK)
        return 0;
    assert(is_same(&a.probe.learned, &b.probe.learned) && is_same(&a.probe.clear, &b.probe.clear));
    assert(strcmp(a.probe.tls_answer, b.probe.tls_answer) == 0);
    assert(a.probe.farewell == b.probe.farewell);
    assert(strcmp(a.probe.farewell_answer, b.probe.farewell_answer) == 0);
    return 0;
}
