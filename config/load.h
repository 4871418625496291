/* SPDX-License-Identifier: ISC */
/* A configuration as it was written, beside what it means: for load.c, validate.c and dump.c alone.
 */
#ifndef STARTTLSD_LOAD_H
#define STARTTLSD_LOAD_H

#include "config/arena.h"
#include "config/config.h"
#include "config/setting.h"

enum section_kind { SECTION_GLOBAL, SECTION_DEFAULTS, SECTION_SERVICE };

struct section {
    enum section_kind kind;
    const char *title; /* between the brackets */
    struct origin origin;
    struct setting *first, **end;
    struct section *next;
};

struct named_file {
    const char *path;
    enum config_file_kind kind;
    struct origin origin; /* INI: the include line; the main file: itself */
    struct named_file *next;
};

struct loaded {
    struct config config; /* the first: config_load's result points at it */
    struct arena arena;
    struct section *section, **section_end;
    struct named_file *file, **file_end;
};

/* NULL: not written in that section (which may be NULL itself). */
const struct setting *section_find(const struct section *section, const char *key);

const struct section *loaded_section(const struct loaded *l, enum section_kind kind);
/* The one that `service` was made of. */
const struct section *loaded_service(const struct loaded *l, const struct service *service);

/* Where `key` of `section` was written, there or in [defaults]; NULL: nowhere. */
const struct setting *loaded_find(const struct loaded *l, const struct section *section,
                                  const char *key);

/* The line of it, or of the heading where it should have been. */
struct origin loaded_origin(const struct loaded *l, const struct section *section, const char *key);

#endif
