/* SPDX-License-Identifier: ISC */
/* What clients are told that a service can: the source while no backend is asked, and the writer. */
#include "protocols/capability.h"

#include "protocols/learned.h"
#include "protocols/sasl.h"
#include "protocols/word.h"

bool capability_is_hidden(const struct policy *policy, struct span keyword)
{
    for (size_t i = 0; i < policy->hide_capabilities.count; i++)
        if (span_equals(keyword, span_of(policy->hide_capabilities.word[i])))
            return true;
    return false;
}

bool capability_is_among(struct span word, const struct span *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equals(word, list[i]))
            return true;
    return false;
}

/* ---- the source ---- */

/* `KEYWORD=PARAM,PARAM`, as a word of the configuration must be written, is `KEYWORD PARAM PARAM`. */
static struct span spread(struct capability_source *source, struct span word)
{
    word = span_first(word, sizeof source->word);
    for (size_t i = 0; i < word.len; i++)
        source->word[i] = (char)(word.data[i] == '=' || word.data[i] == ',' ? ' ' : word.data[i]);
    return (struct span){source->word, word.len};
}

bool capability_next(struct capability_source *source, struct span *capability)
{
    const struct words *own = &source->policy->capabilities;

    if (own->count > 0) {
        if (source->at == own->count)
            return false;
        *capability = spread(source, span_of(own->word[source->at++]));
        return true;
    }
    if (source->learned != NULL && source->learned->is_known)
        return learned_next(source->learned, &source->at, capability);
    if (source->at == source->fallback_count)
        return false;
    *capability = source->fallback[source->at++];
    return true;
}

/* ---- the writer ---- */

static void write_octets(struct capability_writer *w, struct span octets)
{
    if (octets.len > 0)
        memcpy(w->space + w->len, octets.data, octets.len);
    w->len += octets.len;
}

/* What is written between the prefix and the end is up to the caller. False: no room, and nothing is
 * written. */
static bool begin(struct capability_writer *w, size_t len)
{
    if (w->prefix.len + len + w->end.len > w->size - w->len)
        return false;
    w->last = w->len;
    write_octets(w, w->prefix);
    return true;
}

void capability_write(struct capability_writer *w, const struct span *part, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += part[i].len;
    if (!begin(w, len))
        return;
    for (size_t i = 0; i < count; i++)
        write_octets(w, part[i]);
    write_octets(w, w->end);
}

/* The next of the list that may pass. What is no name of one, clients may read as several. */
static struct span next_mechanism(struct span *list, bool may_add_layer)
{
    struct span word;

    do
        word = word_next(list);
    while (word.len > 0 && !(sasl_is_mechanism(word) && sasl_may_pass(word, may_add_layer)));
    return word;
}

void capability_write_mechanisms(struct capability_writer *w, struct span keyword,
                                 struct span separator, struct span list, bool may_add_layer)
{
    struct span rest = list, word;
    size_t kept = 0;

    while ((word = next_mechanism(&rest, may_add_layer)).len > 0)
        kept += separator.len + word.len;
    if (kept == 0 || !begin(w, keyword.len + kept))
        return;
    write_octets(w, keyword);
    while ((word = next_mechanism(&list, may_add_layer)).len > 0) {
        write_octets(w, separator);
        write_octets(w, word);
        separator = (struct span)SPAN(" ");
    }
    write_octets(w, w->end);
}
