/* SPDX-License-Identifier: ISC */
/* Complaints, kept in the order of file and line. */
#include "config/diagnosis.h"

#include <stdarg.h>

#include "config/arena.h"

/* Nobody reads more; the rest is counted, so that a file that is no INI file costs no memory. */
#define ENTRIES_MAX 500

struct entry {
    size_t file; /* order of first appearance: complaints of one file stay together */
    int line;
    bool is_error;
    const char *text;
};

struct diagnosis {
    struct arena arena;
    const char *file[ENTRIES_MAX];
    size_t file_count;
    struct entry entry[ENTRIES_MAX];
    size_t count;
    size_t errors;
    size_t omitted;
};

struct diagnosis *diagnosis_new(void)
{
    struct arena arena = {NULL};
    struct diagnosis *d = arena_take(&arena, sizeof(*d));

    d->arena = arena;
    return d;
}

void diagnosis_free(struct diagnosis *d)
{
    struct arena arena = {NULL};

    if (d != NULL)
        arena = d->arena; /* d lies in its own arena */
    arena_clear(&arena);
}

/* With at most ENTRIES_MAX entries there can't be more files. */
static size_t file_index(struct diagnosis *d, const char *file)
{
    size_t i;

    if (file == NULL)
        file = "";
    for (i = 0; i < d->file_count; i++)
        if (strcmp(d->file[i], file) == 0)
            return i;
    d->file[d->file_count++] = arena_copy(&d->arena, span_of(file));
    return i;
}

static const char *compose(struct arena *a, struct origin origin, const char *section,
                           const char *key, const char *what, const char *remedy)
{
    char *place = arena_print(a, "%s", "");

    if (origin.file != NULL && origin.line > 0)
        place = arena_print(a, "%s:%d: ", origin.file, origin.line);
    else if (origin.file != NULL)
        place = arena_print(a, "%s: ", origin.file);
    if (section != NULL && key == NULL)
        place = arena_print(a, "%s[%s]: ", place, section);
    else if (section != NULL)
        place = arena_print(a, "%s[%s] %s: ", place, section, key);
    else if (key != NULL)
        place = arena_print(a, "%s%s: ", place, key);
    return arena_print(a, "%s%s%s%s", place, what, remedy == NULL ? "" : "; ",
                       remedy == NULL ? "" : remedy);
}

static void insert(struct diagnosis *d, struct entry new)
{
    size_t at = d->count;

    while (at > 0 && (d->entry[at - 1].file > new.file ||
                      (d->entry[at - 1].file == new.file && d->entry[at - 1].line > new.line))) {
        d->entry[at] = d->entry[at - 1];
        at--;
    }
    d->entry[at] = new;
    d->count++;
}

/* What is looked at twice is told once. */
static bool is_said(const struct diagnosis *d, const char *text)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->entry[i].text, text) == 0)
            return true;
    return false;
}

static void __attribute__((format(printf, 7, 0)))
complain(struct diagnosis *d, bool is_error, struct origin origin, const char *section,
         const char *key, const char *remedy, const char *format, va_list arguments)
{
    char what[1024]; /* longer ones are cut; a line of the file has 199 octets */
    const char *text;

    vsnprintf(what, sizeof(what), format, arguments);
    text = compose(&d->arena, origin, section, key, what, remedy);
    if (is_said(d, text))
        return;
    if (is_error)
        d->errors++;
    if (d->count == ENTRIES_MAX) {
        d->omitted++;
        return;
    }
    insert(d, (struct entry){.file = file_index(d, origin.file),
                             .line = origin.line,
                             .is_error = is_error,
                             .text = text});
}

void diagnosis_error(struct diagnosis *d, struct origin origin, const char *section,
                     const char *key, const char *remedy, const char *what, ...)
{
    va_list arguments;

    va_start(arguments, what);
    complain(d, true, origin, section, key, remedy, what, arguments);
    va_end(arguments);
}

void diagnosis_warning(struct diagnosis *d, struct origin origin, const char *section,
                       const char *key, const char *remedy, const char *what, ...)
{
    va_list arguments;

    va_start(arguments, what);
    complain(d, false, origin, section, key, remedy, what, arguments);
    va_end(arguments);
}

size_t diagnosis_errors(const struct diagnosis *d)
{
    return d->errors;
}

size_t diagnosis_count(const struct diagnosis *d)
{
    return d->count;
}

const char *diagnosis_line(const struct diagnosis *d, size_t index, bool *is_error)
{
    *is_error = d->entry[index].is_error;
    return d->entry[index].text;
}

void diagnosis_print(const struct diagnosis *d, FILE *to)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct entry *e = &d->entry[i];

        fprintf(to, "%s%s\n", e->is_error ? "" : "warning: ", e->text);
    }
    if (d->omitted > 0)
        fprintf(to, "(and %zu more)\n", d->omitted);
}
