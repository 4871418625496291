/* SPDX-License-Identifier: ISC */
/* A key as it was written: complaints about it, its field, its words. */
#include "config/setting.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void parse_complain(const struct parse *p, const char *remedy, const char *what, ...)
{
    const struct setting *s = p->setting;
    char text[512];
    va_list arguments;

    va_start(arguments, what);
    vsnprintf(text, sizeof(text), what, arguments);
    va_end(arguments);
    diagnosis_error(p->d, s->origin, s->section, s->key->name, remedy, "%s", text);
}

void *parse_field(const struct parse *p, size_t size)
{
    assert(p->setting->key->size == size);
    return (char *)p->base + p->setting->key->field;
}

size_t *parse_count_field(const struct parse *p)
{
    return (size_t *)(void *)((char *)p->base + p->setting->key->count_field);
}

const char *path_resolve(const char *path, const char *named_by, struct arena *arena)
{
    const char *slash = named_by == NULL ? NULL : strrchr(named_by, '/');

    if (path[0] == '/' || slash == NULL)
        return arena_copy(arena, span_of(path));
    return arena_print(arena, "%.*s/%s", (int)(slash - named_by), named_by, path);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span word_take(struct span *rest)
{
    struct span word;

    while (rest->len > 0 && is_blank(rest->data[0]))
        *rest = span_skip(*rest, 1);
    word = (struct span){rest->data, 0};
    while (word.len < rest->len && !is_blank(word.data[word.len]))
        word.len++;
    *rest = span_skip(*rest, word.len);
    return word;
}

struct walk walk_begin(const struct parse *p)
{
    return (struct walk){.at = *p, .rest = span_of(p->setting->text)};
}

bool walk_next(struct walk *w)
{
    while ((w->word = word_take(&w->rest)).len == 0) {
        if (w->at.setting->more == NULL)
            return false;
        w->at.setting = w->at.setting->more;
        w->rest = span_of(w->at.setting->text);
    }
    return true;
}
