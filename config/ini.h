/* SPDX-License-Identifier: ISC */
/* One INI file to headings and settings, with the lines they stand on. */
#ifndef STARTTLSD_INI_H
#define STARTTLSD_INI_H

#include "config/diagnosis.h"
#include "protocols/span.h"

/* What inih as packaged can hold. */
#define INI_LINE_OCTETS    199
#define INI_SECTION_OCTETS 49

/* Who hears of them. Texts are borrowed for the call. */
struct ini_sink {
    /* `[TITLE]`; words of it are separated by single blanks. */
    void (*on_section)(void *context, const char *title, int line);
    /* `NAME = VALUE`; neither is empty. */
    void (*on_setting)(void *context, const char *name, const char *value, int line);
    void *context;
};

/*
 * Read `text`. A line that is neither blank, comment, heading nor setting, or that inih would cut
 * or read otherwise than it looks, is told to `d` and passed over.
 */
void ini_read(struct span text, const char *file, const struct ini_sink *sink, struct diagnosis *d);

#endif
