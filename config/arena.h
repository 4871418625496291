/* SPDX-License-Identifier: ISC */
/* Memory that is freed all at once: the pieces of one configuration, or of one list of complaints.
 */
#ifndef STARTTLSD_ARENA_H
#define STARTTLSD_ARENA_H

#include "protocols/span.h"

struct arena {
    struct arena_piece *last; /* NULL: empty */
};

/* Zeroed and aligned for anything. Never NULL: memory that runs out here ends the process. */
void *arena_take(struct arena *a, size_t size);

/* As C strings. */
char *arena_copy(struct arena *a, struct span text);
char *arena_print(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

void arena_clear(struct arena *a);

#endif
