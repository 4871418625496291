/* SPDX-License-Identifier: ISC */
/* Any octets as a POP3 backend that is looked at: the probe takes no more than there is, decides
 * within its window, and says CAPA and QUIT, each once at most. How the rest is cut, which the second
 * octet says, changes nothing of what it finds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocols/learned.h"
#include "protocols/pop3_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct finding {
    struct probe probe;
    enum probe_state state;
    char said[16];
    size_t said_len;
};

static void check_text(const char text[PROBE_TEXT])
{
    assert(memchr(text, '\0', PROBE_TEXT) != NULL);
    for (const char *c = text; *c != '\0'; c++)
        assert(*c >= ' ' && *c <= '~');
}

static void check(const struct finding *f)
{
    static const char *const dialogues[] = {"", "CAPA\r\n", "QUIT\r\n", "CAPA\r\nQUIT\r\n"};
    const struct learned *l = &f->probe.learned;
    struct span line;
    size_t at = 0;
    bool is_known = false;

    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++)
        is_known = is_known || (f->said_len == strlen(dialogues[i]) &&
                                memcmp(f->said, dialogues[i], f->said_len) == 0);
    assert(is_known);
    assert(l->len <= LEARNED_MAX && (l->is_known || l->len == 0));
    for (size_t i = 0; i < l->len; i++)
        assert(l->text[i] == '\n' || (l->text[i] >= ' ' && l->text[i] <= '~'));
    while (learned_next(l, &at, &line))
        assert(learned_keyword(line).len > 0);
    assert(at == l->len);
    check_text(f->probe.greeting);
    check_text(f->probe.answer);
}

/* It hears `text` octet by octet, or in pieces of so many. */
static void look(struct finding *f, bool learns, struct span text, size_t piece)
{
    const struct probe_wish wish = {.hostname = "gate.example", .learns = learns};
    size_t taken = 0, given = 0;

    *f = (struct finding){.state = PROBE_GOING};
    pop3_probe_init(&f->probe, &wish);
    while (given < text.len && (f->state == PROBE_GOING || f->state == PROBE_HEALTHY)) {
        struct probe_step step;
        char *exact;

        given = piece < text.len - given ? given + piece : text.len;
        exact = malloc(given - taken);
        memcpy(exact, text.data + taken, given - taken);
        step = pop3_probe_step(&f->probe, (struct span){exact, given - taken});
        free(exact);
        assert(step.take <= given - taken);
        taken += step.take;
        assert(step.state == PROBE_SICK || step.state == PROBE_OVER ||
               given - taken < PROBE_WINDOW);
        assert((step.state == PROBE_SICK) == (step.why != NULL));
        assert(step.text.len <= sizeof f->said - f->said_len);
        if (step.text.len > 0)
            memcpy(f->said + f->said_len, step.text.data, step.text.len);
        f->said_len += step.text.len;
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
    look(&a, data[0] & 1, (struct span){(const char *)data + 2, size - 2}, 1);
    look(&b, data[0] & 1, (struct span){(const char *)data + 2, size - 2}, 1 + data[1] % 97u);
    /* Who talks before it is asked is found out where that shares a window alone. */
    if (b.state != PROBE_SICK && a.state != PROBE_SICK)
        assert(a.probe.learned.len == b.probe.learned.len &&
               memcmp(a.probe.learned.text, b.probe.learned.text, a.probe.learned.len) == 0);
    return 0;
}
