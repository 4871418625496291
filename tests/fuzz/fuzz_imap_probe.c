/* SPDX-License-Identifier: ISC */
/* Any octets as an IMAP backend that is looked at: the probe takes no more than there is, decides
 * within its window, says nothing but what leads to TLS, ID, CAPABILITY and LOGOUT, and what it has learned
 * may lie on a board. The first octet is the wish, the second how the rest is cut. TLS, where it is
 * asked for, succeeds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocols/imap_probe.h"
#include "protocols/learned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_learned(const struct learned *l)
{
    struct span line;
    size_t at = 0;

    assert(l->len <= LEARNED_MAX && (l->len == 0 || l->text[l->len - 1] == '\n'));
    while (learned_next(l, &at, &line)) {
        assert(line.len > 0);
        for (size_t i = 0; i < line.len; i++) /* one word each */
            assert(line.data[i] > ' ' && line.data[i] <= '~');
    }
    assert(at == l->len);
}

static void check_text(const char text[PROBE_TEXT])
{
    assert(memchr(text, '\0', PROBE_TEXT) != NULL);
    for (const char *c = text; *c != '\0'; c++)
        assert(*c >= ' ' && *c <= '~');
}

/* In the order of their tags, each once, and behind TLS from the beginning. */
static void check_said(struct span text, const struct probe *p, char *last_tag)
{
    const enum probe_injection injection = p->wish.injection;
    const struct span known[] = {
        SPAN("a CAPABILITY\r\n"),
        span_of(injection == PROBE_INJECT_AT_ONCE ? "b STARTTLS\r\nx NOOP\r\n" : "b STARTTLS\r\n"),
        SPAN("c ID NIL\r\n"),
        SPAN("d CAPABILITY\r\n"),
        SPAN("e LOGOUT\r\n"),
    };
    bool is_known = false;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known = is_known || span_equals(text, known[i]);
    /* Behind an injection nothing is said but the goodbye. */
    assert(injection == PROBE_INJECT_NOTHING || !p->approach.is_secure || text.data[0] == 'e');
    assert(is_known && text.data[0] > *last_tag);
    *last_tag = text.data[0];
    assert(*last_tag > 'b' || p->wish.starts_tls);
    assert(*last_tag != 'b' || !p->approach.is_secure);
    assert(*last_tag != 'd' || p->wish.learns);
    assert(*last_tag != 'c' || (p->wish.learns && p->wish.tells_identity));
    assert(*last_tag < 'c' || !p->wish.needs_tls || p->approach.is_secure);
}

static void check_step(const struct probe_step *step, size_t window, const struct probe *p,
                       char *last_tag)
{
    assert(step->take <= window);
    assert(step->state != PROBE_GOING || window - step->take < PROBE_WINDOW);
    assert((step->state == PROBE_SICK) == (step->why != NULL));
    assert(!p->is_injecting || step->state == PROBE_SICK);
    if (step->state == PROBE_START_TLS)
        assert(span_equals(step->text,
                           span_of(p->wish.injection == PROBE_INJECT_BEHIND ? "x NOOP\r\n" : "")));
    else if (step->text.len > 0)
        check_said(step->text, p, last_tag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *rest = (const char *)data + 2;
    struct probe_wish wish = {.hostname = "gate.example"};
    struct probe_step step = {.state = PROBE_GOING};
    size_t taken = 0, given = 0;
    char last_tag = '\0';
    bool is_healthy = false;
    struct probe p;

    if (size < 2)
        return 0;
    size -= 2;
    wish.learns = data[0] % 2 == 1;
    wish.starts_tls = data[0] / 2 % 2 == 1;
    wish.needs_tls = data[0] / 4 % 2 == 1 && wish.starts_tls;
    wish.tells_identity = data[0] / 8 % 2 == 1;
    wish.injection = (enum probe_injection)(data[0] / 16 % 8 % 3);
    imap_probe_init(&p, &wish);
    while (given < size && (step.state == PROBE_GOING || step.state == PROBE_HEALTHY)) {
        size_t piece = 1 + (data[1] * (given + 1)) % 97;
        const char *lf = memchr(rest + given, '\n', size - given);
        char *exact;

        given = piece < size - given ? given + piece : size;
        if (lf != NULL && lf < rest + given && data[0] < 128)
            given = (size_t)(lf - rest) + 1; /* else TLS would never be reached */
        exact = malloc(given - taken);
        memcpy(exact, rest + taken, given - taken);
        step = imap_probe_step(&p, (struct span){exact, given - taken});
        check_step(&step, given - taken, &p, &last_tag);
        taken += step.take;
        if (step.state == PROBE_START_TLS) {
            assert(taken == given && p.offers_tls && last_tag == 'b');
            probe_secured(&p);
            last_tag = '\0';
            step = imap_probe_step(&p, (struct span){exact, 0});
            check_step(&step, 0, &p, &last_tag);
            assert(step.text.len > 0);
        }
        assert(!is_healthy || step.state == PROBE_GOING || step.state == PROBE_OVER);
        assert(step.state != PROBE_OVER || is_healthy);
        is_healthy = is_healthy || step.state == PROBE_HEALTHY;
        free(exact);
    }
    assert(p.farewell != PROBE_FAREWELL_GOOD || is_healthy);
    assert(p.farewell != PROBE_FAREWELL_OTHER || is_healthy || step.state == PROBE_SICK);
    check_learned(&p.learned);
    check_learned(&p.clear);
    check_text(p.greeting);
    check_text(p.answer);
    check_text(p.tls_answer);
    check_text(p.farewell_answer);
    return 0;
}
