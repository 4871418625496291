/* SPDX-License-Identifier: ISC */
/* Loads configurations from memory, and compares what is said of them. For unit tests alone: cmocka
 * comes first. */
#ifndef STARTTLSD_TEST_LOADING_H
#define STARTTLSD_TEST_LOADING_H

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"

/* A disk in memory. Texts are copied to blocks of their exact size, so that ASan sees a read
 * beyond. */
struct memory {
    struct {
        const char *path;
        struct span text;
    } file[4];
    char *copy[16];
    size_t copies;
};

static inline bool on_read(void *context, const char *path, struct span *text, const char **error)
{
    struct memory *m = context;

    for (size_t i = 0; i < 4 && m->file[i].path != NULL; i++)
        if (strcmp(m->file[i].path, path) == 0) {
            struct span original = m->file[i].text;
            char *copy = malloc(original.len > 0 ? original.len : 1);

            assert_non_null(copy);
            if (original.len > 0)
                memcpy(copy, original.data, original.len);
            assert_true(m->copies < 16);
            m->copy[m->copies++] = copy;
            *text = (struct span){copy, original.len};
            return true;
        }
    *error = "No such file or directory";
    return false;
}

/* A load, and what to give back afterwards. The texts die at once: a configuration keeps none of
 * them. */
struct run {
    struct diagnosis *d;
    struct config *config;
};

static inline struct run load(struct memory *m)
{
    const struct config_source source = {on_read, m};
    struct run r = {.d = diagnosis_new()};

    r.config = config_load(m->file[0].path, &source, "gate.example.net", r.d);
    while (m->copies > 0)
        free(m->copy[--m->copies]);
    return r;
}

static inline struct run load_text(struct span text)
{
    struct memory m = {{{"a.ini", text}}};

    return load(&m);
}

static inline void end(struct run r)
{
    config_free(r.config);
    diagnosis_free(r.d);
}

#define SERVICE                                                                                    \
    "[service mx]\nprotocol = smtp\nlisten = 127.0.0.1:2525\nbackend = 192.0.2.10:25\n"            \
    "certificate = mail.pem\nrelay = backend\n" /* six lines */

/* `wrong` is the whole complaint, and the only one, about `text`. */
struct row {
    struct span text;
    const char *wrong;
};

#define ROW(text, wrong)                                                                           \
    {                                                                                              \
        SPAN(text), wrong                                                                          \
    }

/* is_error: the file is refused; else it loads, and the complaint is a warning. */
static inline void each_is_answered(const struct row *row, size_t count, bool is_error)
{
    for (size_t i = 0; i < count; i++) {
        struct run r = load_text(row[i].text);
        bool was_error = !is_error;

        if (diagnosis_count(r.d) != 1 ||
            strcmp(diagnosis_line(r.d, 0, &was_error), row[i].wrong) != 0 ||
            was_error != is_error || (r.config == NULL) != is_error) {
            print_error("row %zu, expected:\n%s\n", i, row[i].wrong);
            diagnosis_print(r.d, stderr);
            fail();
        }
        end(r);
    }
}

#endif
