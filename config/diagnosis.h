/* SPDX-License-Identifier: ISC */
/* Every complaint about a configuration: file, line, key, what is wrong, the remedy. All of a run
 * together. */
#ifndef STARTTLSD_DIAGNOSIS_H
#define STARTTLSD_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct origin {
    const char *file; /* as the administrator wrote it; NULL: a default, nobody wrote it */
    int line;         /* 1 for the first; 0: the file as a whole */
};

struct diagnosis;

/* Never NULL: memory that runs out here ends the process. */
struct diagnosis *diagnosis_new(void);
void diagnosis_free(struct diagnosis *d);

/*
 * Note an error, or a warning. All texts are copied.
 *
 * section  "service submission", or NULL
 * key      or NULL
 * what     what is wrong, a clause without full stop
 * remedy   what to do, the same; NULL: nothing to add
 */
void diagnosis_error(struct diagnosis *d, struct origin origin, const char *section,
                     const char *key, const char *remedy, const char *what, ...)
    __attribute__((format(printf, 6, 7)));
void diagnosis_warning(struct diagnosis *d, struct origin origin, const char *section,
                       const char *key, const char *remedy, const char *what, ...)
    __attribute__((format(printf, 6, 7)));

size_t diagnosis_errors(const struct diagnosis *d);
size_t diagnosis_count(const struct diagnosis *d);

/* Entry `index` as one line without newline: `FILE:LINE: [SECTION] KEY: what; remedy`. Borrowed. */
const char *diagnosis_line(const struct diagnosis *d, size_t index, bool *is_error);

/* All of them, one a line, errors and warnings in the order of file and line. */
void diagnosis_print(const struct diagnosis *d, FILE *to);

#endif
