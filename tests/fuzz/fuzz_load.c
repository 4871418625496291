/* SPDX-License-Identifier: ISC */
/* Any octets as a configuration: no crash, no leak, no NUL taken, and what is taken loads again
 * from its own dump to the same. The octet 0xfe parts the main file from one that it may include as
 * b.ini. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"

struct files {
    struct span main, other;
};

static bool on_read(void *context, const char *path, struct span *text, const char **error)
{
    const struct files *f = context;

    *error = "there is none";
    *text = strcmp(path, "a.ini") == 0 ? f->main : f->other;
    return strcmp(path, "a.ini") == 0 || strcmp(path, "b.ini") == 0;
}

static struct config *load(struct files *files, struct diagnosis *d)
{
    const struct config_source source = {on_read, files};

    return config_load("a.ini", &source, "gate.example.net", d);
}

static char *dump(const struct config *config, size_t *len)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, len);

    assert(to != NULL);
    config_dump(config, to);
    fclose(to);
    return text;
}

/* A line of the dump may be longer than the one it was read from: it names resolved paths, and has
 * blanks around `=`. */
static bool fits(const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        if (len > 199)
            return false;
        text += len + 1;
    }
    return true;
}

static void check_dump(const struct config *config)
{
    struct diagnosis *d = diagnosis_new();
    size_t len, again_len;
    char *text = dump(config, &len), *again_text;
    struct files files = {.main = {text, len}};
    struct config *again;

    if (fits(text)) {
        again = load(&files, d);
        if (again == NULL)
            diagnosis_print(d, stderr);
        assert(again != NULL);
        again_text = dump(again, &again_len);
        assert(len == again_len && memcmp(text, again_text, len) == 0);
        free(again_text);
        config_free(again);
    }
    free(text);
    diagnosis_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *cut = size == 0 ? NULL : memchr(text, 0xfe, size);
    struct files files = {.main = {text, size}};
    struct diagnosis *d = diagnosis_new();
    struct config *config;

    if (cut != NULL) {
        files.main = span_first(files.main, (size_t)(cut - text));
        files.other = span_skip((struct span){text, size}, files.main.len + 1);
    }
    config = load(&files, d);
    assert((config == NULL) == (diagnosis_errors(d) > 0));
    if (config != NULL) {
        assert(files.main.len == 0 || memchr(files.main.data, '\0', files.main.len) == NULL);
        check_dump(config);
    }
    config_free(config);
    diagnosis_free(d);
    return 0;
}
