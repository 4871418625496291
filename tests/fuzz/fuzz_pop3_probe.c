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
    const struct span part[] = {
        span_of(wish->starts_tls ? "CAPA\r\n" : ""),
        span_of(f->probe.offers_tls ? "STLS\r\n" : ""),
        span_of(f->probe.approach.is_secure && !(wish->learns && wish->tells_identity) ? "CAPA\r\n"
                                                                                       : ""),
        span_of(wish->learns && wish->tells_identity ? "XCLIENT\r\n" : ""),
        span_of(wish->learns ? "CAPA\r\n" : ""),
        SPAN("QUIT\r\n"),
    };
    char most[48];

    assert(span_starts(reply_join(most, sizeof most, part, 6), said));
    assert(!wish->needs_tls || f->probe.approach.is_secure || f->said_len <= 12);
}

static void check(const struct finding *f)
{
    const struct learned *l = &f->probe.learned;
    struct span line;
    size_t at = 0;

    check_said(f);
    assert(l->len <= LEARNED_MAX && (l->is_known || l->len == 0));
    for (size_t i = 0; i < l->len; i++)
        assert(l->text[i] == '\n' || (l->text[i] >= ' ' && l->text[i] <= '~'));
    while (learned_next(l, &at, &line))
        assert(learned_keyword(line).len > 0);
    assert(at == l->len);
    check_text(f->probe.greeting);
    check_text(f->probe.answer);
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
                                    .tells_identity = (wishes & 8) != 0};
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
        }
        assert(step.state != PROBE_HEALTHY || f->state != PROBE_HEALTHY);
        if (f->state != PROBE_HEALTHY || step.state != PROBE_GOING)
            f->state = step.state;
    }
    check(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct finding a, b;

    if (size < 2)
        return 0;
    look(&a, data[0], (struct span){(const char *)data + 2, size - 2}, 1);
    look(&b, data[0], (struct span){(const char *)data + 2, size - 2}, 1 + data[1] % 97u);
    /* Who talks before it is asked is found out where that shares a window alone. */
    if (b.state != PROBE_SICK && a.state != PROBE_SICK)
        assert(a.probe.learned.len == b.probe.learned.len &&
               memcmp(a.probe.learned.text, b.probe.learned.text, a.probe.learned.len) == 0);
    return 0;
}
