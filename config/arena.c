/* SPDX-License-Identifier: ISC */
/* Memory that is freed all at once. One malloc a piece: configurations are small, and so a
 * sanitizer sees each border. */
#include "config/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_piece {
    struct arena_piece *before;
    max_align_t data[];
};

static _Noreturn void out_of_memory(void)
{
    fputs("starttlsd: out of memory for the configuration\n", stderr);
    abort();
}

void *arena_take(struct arena *a, size_t size)
{
    struct arena_piece *piece = NULL;

    if (size <= SIZE_MAX - sizeof(*piece))
        piece = calloc(1, sizeof(*piece) + size);
    if (piece == NULL)
        out_of_memory();
    piece->before = a->last;
    a->last = piece;
    return piece->data;
}

char *arena_copy(struct arena *a, struct span text)
{
    char *copy = arena_take(a, text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    return copy;
}

char *arena_print(struct arena *a, const char *format, ...)
{
    va_list arguments;
    char *text;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0)
        out_of_memory();
    text = arena_take(a, (size_t)len + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return text;
}

void arena_clear(struct arena *a)
{
    while (a->last != NULL) {
        struct arena_piece *piece = a->last;

        a->last = piece->before;
        free(piece);
    }
}
