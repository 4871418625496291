/* SPDX-License-Identifier: ISC */
/* Any octets as a backend that is looked at: the probe takes no more than there is, decides within
 * its window, says whole commands and never DATA, and what it has learned may lie on a board. The
 * first octet is the wish, the second how the rest is cut. TLS, where it is asked for, succeeds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocols/learned.h"
#include "protocols/smtp_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_learned(const struct learned *l)
{
    struct learned same = *l;
    struct span line;
    size_t at = 0;

    assert(l->len <= LEARNED_MAX && (l->len == 0 || l->text[l->len - 1] == '\n'));
    for (size_t i = 0; i < l->len; i++)
        assert(l->text[i] == '\n' || (l->text[i] >= ' ' && l->text[i] <= '~'));
    while (learned_next(l, &at, &line))
        assert(line.len > 0 && learned_keyword(line).len > 0);
    assert(at == l->len);
    learned_intersect(&same, l);
    assert(same.is_known == l->is_known && same.len <= l->len);
}

/* Behind an injection nothing is said but the goodbye. */
static void check_said(const struct probe *p, struct span text)
{
    static const struct span quit = SPAN("QUIT\r\n"), ehlo = SPAN("EHLO gate.example\r\n"),
                             start = SPAN("STARTTLS\r\n"), noop = SPAN("NOOP\r\n"),
                             at_once = SPAN("STARTTLS\r\nNOOP\r\n");

    switch (p->wish.starts_tls ? p->wish.injection : PROBE_INJECT_NOTHING) {
    case PROBE_INJECT_NOTHING: break;
    case PROBE_INJECT_AT_ONCE:
        assert(span_equals(text, p->approach.is_secure ? quit : ehlo) ||
               span_equals(text, at_once));
        return;
    case PROBE_INJECT_BEHIND:
        assert(span_equals(text, p->approach.is_secure ? quit : ehlo) || span_equals(text, start) ||
               span_equals(text, noop));
        return;
    }
    assert(text.len >= 6 && memcmp(text.data + text.len - 2, "\r\n", 2) == 0);
    assert(memchr(text.data, '\n', text.len) == text.data + text.len - 1);
    assert(memcmp(text.data, "DATA", 4) != 0 && memcmp(text.data, "XCLIENT", 7) != 0);
}

/* What may be said of it at any time. */
static void check_step(const struct probe *p, const struct probe_step *step, size_t window,
                       bool is_healthy)
{
    assert(step->take <= window);
    assert(step->state != PROBE_GOING || window - step->take < PROBE_WINDOW);
    assert((step->state == PROBE_SICK) == (step->why != NULL));
    assert(step->state != PROBE_HEALTHY || !is_healthy);
    assert(step->state != PROBE_SICK || !is_healthy);
    assert(step->state != PROBE_OVER || is_healthy);
    assert(!p->is_injecting || step->state == PROBE_SICK);
    assert(p->farewell != PROBE_FAREWELL_GOOD || is_healthy);
    assert(p->farewell != PROBE_FAREWELL_OTHER || is_healthy || step->state == PROBE_SICK);
    if (step->text.len > 0)
        check_said(p, step->text);
}

static void check_text(const char text[PROBE_TEXT])
{
    assert(memchr(text, '\0', PROBE_TEXT) != NULL);
    for (const char *c = text; *c != '\0'; c++)
        assert(*c >= ' ' && *c <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *rest = (const char *)data + 2;
    struct probe_wish wish = {.hostname = "gate.example"};
    struct probe_step step = {.state = PROBE_GOING};
    size_t taken = 0, given = 0, commands = 0;
    bool is_healthy = false;
    struct probe p;

    if (size < 2)
        return 0;
    size -= 2;
    wish.learns = data[0] % 3 == 1;
    wish.tries_relay = data[0] % 3 == 2;
    wish.starts_tls = data[0] / 3 % 2 == 1;
    wish.needs_tls = data[0] / 6 % 2 == 1;
    wish.injection = (enum probe_injection)(data[0] / 12 % 3);
    smtp_probe_init(&p, &wish);
    while (given < size && (step.state == PROBE_GOING || step.state == PROBE_HEALTHY)) {
        size_t piece = 1 + (data[1] * (given + 1)) % 97;
        char *exact;

        given = piece < size - given ? given + piece : size;
        exact = malloc(given - taken);
        memcpy(exact, rest + taken, given - taken);
        step = smtp_probe_step(&p, (struct span){exact, given - taken});
        check_step(&p, &step, given - taken, is_healthy);
        taken += step.take;
        if (step.state == PROBE_START_TLS) {
            assert(wish.starts_tls && !p.approach.is_secure && p.offers_tls && taken == given);
            assert((step.text.len > 0) == (wish.injection == PROBE_INJECT_BEHIND));
            probe_secured(&p);
            step = smtp_probe_step(&p, (struct span){exact, 0});
            check_step(&p, &step, 0, is_healthy);
            assert(step.state ==
                   (wish.injection == PROBE_INJECT_NOTHING ? PROBE_GOING : PROBE_HEALTHY));
        }
        commands += step.text.len > 0;
        assert(commands < 32);
        assert(step.state != PROBE_HEALTHY || !wish.starts_tls || !wish.needs_tls ||
               p.approach.is_secure);
        is_healthy = is_healthy || step.state == PROBE_HEALTHY;
        free(exact);
    }
    check_learned(&p.learned);
    check_learned(&p.clear);
    check_text(p.greeting);
    check_text(p.answer);
    check_text(p.tls_answer);
    check_text(p.farewell_answer);
    return 0;
}
