/* SPDX-License-Identifier: ISC */
/* Slips of the hand: which known word may have been meant? */
#include "config/nearest.h"

#include "protocols/span.h"

#define WORD_MAX 31 /* longer ones resemble nothing we know */

/* Insertions, deletions and exchanges of one octet that lead from a to b (Levenshtein), case
 * folded. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t best = diagonal + (ascii_lower(a[i]) == ascii_lower(b[j]) ? 0 : 1);

            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[b_len];
}

void nearest_consider(struct nearest *best, const char *candidate, const char *name)
{
    size_t d;

    if (strlen(name) > WORD_MAX || strlen(candidate) > WORD_MAX)
        return;
    d = distance(name, candidate);
    if (d <= 1 + strlen(candidate) / 4 && d < strlen(candidate) && d < best->distance)
        *best = (struct nearest){candidate, d};
}

const char *word_nearest(const char *const *words, const char *name)
{
    struct nearest best = NEAREST_NONE;

    for (; *words != NULL; words++)
        nearest_consider(&best, *words, name);
    return best.name;
}
