/* SPDX-License-Identifier: ISC */
/* What backends announce: a list of lines in one piece of memory, so that it can lie on a board. */
#include "protocols/learned.h"

#include "protocols/word.h"

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < ' ' || s.data[i] > '~')
            return false;
    return true;
}

struct span learned_keyword(struct span capability)
{
    return word_next(&capability);
}

bool learned_next(const struct learned *l, size_t *at, struct span *capability)
{
    const struct span rest = span_skip((struct span){l->text, l->len}, *at);
    const char *lf = rest.len == 0 ? NULL : memchr(rest.data, '\n', rest.len);

    if (lf == NULL)
        return false;
    *capability = span_first(rest, (size_t)(lf - rest.data));
    *at += capability->len + 1;
    return true;
}

static bool find(const struct learned *l, struct span keyword, struct span *capability)
{
    size_t at = 0;

    while (learned_next(l, &at, capability))
        if (span_equals(learned_keyword(*capability), keyword))
            return true;
    return false;
}

/* There is room. */
static void append(struct learned *l, struct span s)
{
    memcpy(l->text + l->len, s.data, s.len);
    l->len = (uint16_t)(l->len + s.len);
}

void learned_add(struct learned *l, struct span capability)
{
    struct span same;

    while (capability.len > 0 && capability.data[0] == ' ')
        capability = span_skip(capability, 1);
    while (capability.len > 0 && capability.data[capability.len - 1] == ' ')
        capability = span_first(capability, capability.len - 1);
    if (capability.len == 0 || capability.len >= sizeof l->text - l->len ||
        !is_printable(capability) || find(l, learned_keyword(capability), &same))
        return;
    append(l, capability);
    append(l, (struct span)SPAN("\n"));
}

static bool has_word(struct span text, struct span word)
{
    struct span other;

    while ((other = word_next(&text)).len > 0)
        if (span_equals(other, word))
            return true;
    return false;
}

static bool is_number(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
    return true;
}

/* What `a` and `b`, of the same keyword, have in common: no longer than `a`, so there is room where
 * `a` came from. */
static void add_common(struct learned *to, struct span a, struct span b)
{
    const size_t before = to->len;
    bool has_common = false, is_numeric = true;
    struct span word, others;

    append(to, word_next(&a));
    (void)word_next(&b);
    others = b;
    if (word_next(&others).len == 0)
        a.len = 0; /* without parameters it stands for itself */
    while ((word = word_next(&a)).len > 0) {
        is_numeric = is_numeric && is_number(word);
        if (!has_word(b, word))
            continue;
        append(to, (struct span)SPAN(" "));
        append(to, word);
        has_common = true;
    }
    if (has_common || is_numeric)
        append(to, (struct span)SPAN("\n"));
    else
        to->len = (uint16_t)before;
}

void learned_intersect(struct learned *into, const struct learned *other)
{
    struct learned common = {.is_known = true};
    struct span a, b;
    size_t at = 0;

    if (!other->is_known)
        return;
    if (!into->is_known) {
        *into = *other;
        return;
    }
    while (learned_next(into, &at, &a))
        if (find(other, learned_keyword(a), &b))
            add_common(&common, a, b);
    *into = common;
}
