/* SPDX-License-Identifier: ISC */
/* A key as it was written, and what all readers of values need of it. */
#ifndef STARTTLSD_SETTING_H
#define STARTTLSD_SETTING_H

#include "config/arena.h"
#include "config/diagnosis.h"
#include "config/schema.h"

/* One line `KEY = TEXT` of a section, or a default. */
struct setting {
    const struct key *key;
    const char *text;    /* never empty, no blanks around it */
    const char *section; /* for complaints */
    struct origin origin;
    struct setting *more; /* the same key once more: lists add up */
    struct setting *next; /* of the section; its `more` are not in this chain */
};

/* A setting on its way into a field. */
struct parse {
    const struct setting *setting;
    void *base; /* struct config or struct service */
    struct arena *arena;
    struct diagnosis *d;
};

/* An error about the setting. remedy and what as in diagnosis_error. */
void parse_complain(const struct parse *p, const char *remedy, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* Where the key's value goes, and where its number, if it is a list. */
void *parse_field(const struct parse *p, size_t size);
size_t *parse_count_field(const struct parse *p);

/* `path`, taken relative to the folder of the file that names it. */
const char *path_resolve(const char *path, const char *named_by, struct arena *arena);

/* Take the next word of `rest`; length 0: there is none. */
struct span word_take(struct span *rest);

/* The words of a setting and its `more`, in their order, each with the line that it stands on. */
struct walk {
    struct parse at; /* the line of the word, for complaints */
    struct span rest;
    struct span word;
};

struct walk walk_begin(const struct parse *p);

/* False: there is no other word. */
bool walk_next(struct walk *w);

#endif
