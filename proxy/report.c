/* SPDX-License-Identifier: ISC */
/* A report to a person, in columns: verdicts and labels stand on the left, texts and advice begin
 * at the same place. */
#include "proxy/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDENT "    "
#define WIDTH  100

/* Of verdicts and labels; the longest (`in the clear`) leaves a blank behind it. */
#define LABEL_COLUMN 13

static const struct {
    const char *name, *colour;
} verdicts[] = {
    [FINDING_OK] = {"ok", "\033[32m"},
    [FINDING_WARNING] = {"warning", "\033[33m"},
    [FINDING_PROBLEM] = {"problem", "\033[31m"},
};

const char *finding_word(enum finding verdict)
{
    return verdicts[verdict].name;
}

void report_init(struct report *r, FILE *to)
{
    const char *no_colour = getenv("NO_COLOR");

    *r = (struct report){
        .to = to,
        .is_coloured = isatty(fileno(to)) && (no_colour == NULL || *no_colour == '\0'),
    };
}

void report_title(struct report *r, unsigned depth, const char *text, ...)
{
    va_list values;

    fprintf(r->to, "%s", depth == 0 ? "\n" : "  ");
    va_start(values, text);
    vfprintf(r->to, text, values);
    va_end(values);
    fputc('\n', r->to);
}

/* Behind a label: folded at blanks, each line as far in as the first. A word of its own may be too
 * long. */
static void write_folded(struct report *r, const char *text)
{
    const size_t width = WIDTH - (sizeof INDENT - 1 + LABEL_COLUMN);

    for (;;) {
        size_t len = strlen(text), at = width;

        if (len <= width)
            break;
        while (at > 0 && text[at] != ' ')
            at--;
        if (at == 0)
            at = strcspn(text, " ");
        if (text[at] == '\0')
            break;
        fprintf(r->to, "%.*s\n" INDENT "%*s", (int)at, text, LABEL_COLUMN, "");
        text += at + 1;
    }
    fprintf(r->to, "%s\n", text);
}

void report_finding(struct report *r, enum finding verdict, const char *text, ...)
{
    va_list values;

    r->count[verdict]++;
    fprintf(r->to, INDENT "%s%-*s%s", r->is_coloured ? verdicts[verdict].colour : "", LABEL_COLUMN,
            verdicts[verdict].name, r->is_coloured ? "\033[0m" : "");
    va_start(values, text);
    vfprintf(r->to, text, values);
    va_end(values);
    fputc('\n', r->to);
}

void report_advice(struct report *r, const char *text, ...)
{
    char space[1024];
    va_list values;

    va_start(values, text);
    vsnprintf(space, sizeof space, text, values);
    va_end(values);
    fprintf(r->to, INDENT "%*s", LABEL_COLUMN, "");
    write_folded(r, space);
}

void report_fact(struct report *r, const char *label, const char *text, ...)
{
    va_list values;

    fprintf(r->to, INDENT "%-*s", LABEL_COLUMN, label);
    va_start(values, text);
    vfprintf(r->to, text, values);
    va_end(values);
    fputc('\n', r->to);
}

void report_list(struct report *r, const char *label, struct span lines)
{
    size_t column = sizeof INDENT - 1 + LABEL_COLUMN;
    bool is_first = true;

    fprintf(r->to, INDENT "%-*s", LABEL_COLUMN, label);
    while (lines.len > 0) {
        const char *lf = memchr(lines.data, '\n', lines.len);
        size_t len = lf == NULL ? lines.len : (size_t)(lf - lines.data);

        if (!is_first && column + 2 + len > WIDTH) {
            fprintf(r->to, ",\n" INDENT "%*s", LABEL_COLUMN, "");
            column = sizeof INDENT - 1 + LABEL_COLUMN;
        } else if (!is_first) {
            fputs(", ", r->to);
            column += 2;
        }
        fwrite(lines.data, 1, len, r->to);
        column += len;
        lines = span_skip(lines, len + 1);
        is_first = false;
    }
    fputs(is_first ? "nothing\n" : "\n", r->to);
}
