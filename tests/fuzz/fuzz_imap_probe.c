/* SPDX-License-Identifier: ISC */
/* Any octets as an IMAP backend that is looked at: the probe takes no more than there is, decides
 * within its window, says nothing but CAPABILITY and LOGOUT, and what it has learned may lie on a
 * board. The first octet is the wish, the second how the rest is cut. */
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

/* In this order, each once. */
static void check_said(struct span text, const struct probe_wish *wish, size_t commands)
{
    bool is_first = commands == 0 && wish->learns;

    assert(span_equals(text, is_first ? (struct span)SPAN("a CAPABILITY\r\n")
                                      : (struct span)SPAN("b LOGOUT\r\n")));
    assert(commands < (wish->learns ? 2u : 1u));
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
    wish.learns = data[0] % 2 == 1;
    imap_probe_init(&p, &wish);
    while (given < size && (step.state == PROBE_GOING || step.state == PROBE_HEALTHY)) {
        size_t piece = 1 + (data[1] * (given + 1)) % 97;
        char *exact;

        given = piece < size - given ? given + piece : size;
        exact = malloc(given - taken);
        memcpy(exact, rest + taken, given - taken);
        step = imap_probe_step(&p, (struct span){exact, given - taken});
        assert(step.take <= given - taken);
        taken += step.take;
        assert(given - taken < PROBE_WINDOW);
        if (step.text.len > 0)
            check_said(step.text, &wish, commands++);
        assert((step.state == PROBE_SICK) == (step.why != NULL));
        assert(!is_healthy || step.state == PROBE_GOING || step.state == PROBE_OVER);
        assert(step.state != PROBE_OVER || is_healthy);
        is_healthy = is_healthy || step.state == PROBE_HEALTHY;
        free(exact);
    }
    check_learned(&p.learned);
    check_text(p.greeting);
    check_text(p.answer);
    return 0;
}
