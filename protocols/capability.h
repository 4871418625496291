/* SPDX-License-Identifier: ISC */
/* What clients are told that a service can, as far as it is alike in all protocols: where the
 * capabilities come from while no backend is asked, and how a filtered list is written. */
#ifndef STARTTLSD_CAPABILITY_H
#define STARTTLSD_CAPABILITY_H

#include "protocols/protocol.h"

/* Has the administrator taken the keyword out (hide_capabilities)? */
MUST_CHECK bool capability_is_hidden(const struct policy *policy, struct span keyword);

/* Is the word, in any case of letters, on the list? */
MUST_CHECK bool capability_is_among(struct span word, const struct span *list, size_t count);

/* ---- the source ---- */

/* Octets of a word of the administrator's that count. */
#define CAPABILITY_WORD_MAX ((size_t)256)

/* Capabilities one by one, with their parameters behind blanks: what the administrator wrote, else
 * what was learned of the backends, else what can do no harm. */
struct capability_source {
    const struct policy *policy;
    const struct learned *learned; /* NULL, or nothing known: the fallback */
    const struct span *fallback;
    size_t fallback_count;
    size_t at; /* 0 to begin with */
    char word[CAPABILITY_WORD_MAX];
};

/* The next one; valid until the next call. False: there is none. */
MUST_CHECK bool capability_next(struct capability_source *source, struct span *capability);

/* ---- the writer ---- */

/* A list in the caller's space, one entry behind the other. An entry that does not fit is left out,
 * whole. */
struct capability_writer {
    char *space;
    size_t size, len;
    struct span prefix, end; /* in front of each entry, and behind it */
    size_t last;             /* where the last one begins, with its prefix */
};

/* An entry of several parts. */
void capability_write(struct capability_writer *w, const struct span *part, size_t count);

/* One of a single part. */
static inline void capability_write_text(struct capability_writer *w, struct span text)
{
    capability_write(w, &text, 1);
}

/*
 * `keyword`, `separator`, and the mechanisms that may pass with a blank between them; if none may,
 * nothing.
 *
 * list           mechanisms, separated by blanks
 * may_add_layer  as sasl_may_pass says
 */
void capability_write_mechanisms(struct capability_writer *w, struct span keyword,
                                 struct span separator, struct span list, bool may_add_layer);

static inline struct span capability_written(const struct capability_writer *w)
{
    return (struct span){w->space, w->len};
}

#endif
