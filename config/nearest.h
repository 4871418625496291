/* SPDX-License-Identifier: ISC */
/* The known word that is nearest to an unknown one, if near enough for a slip of the hand. */
#ifndef STARTTLSD_NEAREST_H
#define STARTTLSD_NEAREST_H

#include <stddef.h>
#include <stdint.h>

struct nearest {
    const char *name; /* NULL: none is near enough */
    size_t distance;
};

#define NEAREST_NONE                                                                               \
    {                                                                                              \
        NULL, SIZE_MAX                                                                             \
    }

/* `candidate` in the place of *best, if it is nearer to `name`. */
void nearest_consider(struct nearest *best, const char *candidate, const char *name);

/* Of `words`, NULL-ended; or NULL. */
const char *word_nearest(const char *const *words, const char *name);

#endif
