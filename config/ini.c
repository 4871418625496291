/* SPDX-License-Identifier: ISC */
/*
 * inih under supervision. As packaged it tells its handler no line number, cuts long lines, takes
 * `:` for
 * `=`, indented keys for continuations and ` ;` for a comment inside a value. So it reads through
 * on_line, which counts, strips blanks, and lets through only what inih understands as it looks.
 */
#include "config/ini.h"

#include <ini.h>

#include "config/setting.h"

struct reader {
    struct span rest;
    int line;
    bool owes_newline; /* of the line handed over last, which filled inih's space */
    bool awaits;       /* a setting was handed over, and the handler has not heard of it */
    char section[INI_SECTION_OCTETS + 1]; /* "" before the first */
    const char *file;
    const struct ini_sink *sink;
    struct diagnosis *d;
};

static void complain(struct reader *r, const char *key, const char *remedy, const char *what)
{
    diagnosis_error(r->d, (struct origin){r->file, r->line},
                    r->section[0] == '\0' ? NULL : r->section, key, remedy, "%s", what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = span_skip(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* The next line without its end and the blanks around it. False: there is none. */
static bool next_line(struct reader *r, struct span *line)
{
    const char *end;

    if (r->rest.len == 0)
        return false;
    end = memchr(r->rest.data, '\n', r->rest.len);
    *line = end == NULL ? r->rest : span_first(r->rest, (size_t)(end - r->rest.data));
    r->rest = span_skip(r->rest, line->len + (end == NULL ? 0 : 1));
    *line = trim(*line);
    r->line++;
    return true;
}

static bool has_control(struct span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (((unsigned char)line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f)
            return true;
    return false;
}

static bool has_late_comment(struct span line)
{
    for (size_t i = 1; i < line.len; i++)
        if (line.data[i] == ';' && is_blank(line.data[i - 1]))
            return true;
    return false;
}

/* The words of a title with single blanks between them, so that [service  a] is [service a]. */
static void copy_title(char *to, struct span title)
{
    struct span word;
    size_t len = 0;

    while ((word = word_take(&title)).len > 0) {
        if (len > 0)
            to[len++] = ' ';
        memcpy(to + len, word.data, word.len);
        len += word.len;
    }
    to[len] = '\0';
}

/* `[TITLE]`. The sink hears of it here: inih keeps silent about sections without keys. */
static bool read_heading(struct reader *r, struct span line)
{
    const char *end = memchr(line.data, ']', line.len);
    struct span title;

    if (end == NULL || end != line.data + line.len - 1) {
        complain(r, NULL, "write [NAME] alone on its line",
                 "a section heading that is not closed "
                 "by `]` at the end of the line");
        return false;
    }
    title = trim(span_skip(span_first(line, line.len - 1), 1));
    if (line.len - 2 > INI_SECTION_OCTETS) {
        complain(r, NULL, "choose a shorter name",
                 "a section heading of more than 49 octets between its brackets");
        return false;
    }
    copy_title(r->section, title);
    r->sink->on_section(r->sink->context, r->section, r->line);
    return true;
}

static bool judge_setting(struct reader *r, struct span line)
{
    const char *equals = memchr(line.data, '=', line.len);
    struct span name = trim(span_first(line, equals == NULL ? 0 : (size_t)(equals - line.data)));
    struct span value;
    char key[INI_LINE_OCTETS + 1];

    if (equals == NULL) {
        complain(r, NULL, "write KEY = VALUE; for a comment begin the line with `#`",
                 "a line without `=`");
        return false;
    }
    if (name.len == 0) {
        complain(r, NULL, "write KEY = VALUE", "no key in front of `=`");
        return false;
    }
    memcpy(key, name.data, name.len);
    key[name.len] = '\0';
    if (memchr(name.data, ':', name.len) != NULL) {
        complain(r, NULL, "write KEY = VALUE", "`:` in a key: it separates nothing here");
        return false;
    }
    value = trim(span_skip(line, (size_t)(equals - line.data) + 1));
    if (value.len == 0) {
        complain(r, key, "write one, or remove the line for the default", "no value");
        return false;
    }
    if (value.data[0] == ';') { /* to inih a value, to a reader a comment */
        complain(r, key, "put the comment on a line of its own", "a value that begins with `;`");
        return false;
    }
    return true;
}

static bool judge_line(struct reader *r, struct span line, size_t limit)
{
    if (memchr(line.data, '\0', line.len) != NULL) {
        complain(r, NULL, "save the file as plain text", "a NUL octet");
        return false;
    }
    if (line.data[0] == ';' || line.data[0] == '#')
        return false; /* inih need not see comments, whatever their length */
    if (line.len > limit) {
        diagnosis_error(r->d, (struct origin){r->file, r->line},
                        r->section[0] == '\0' ? NULL : r->section, NULL,
                        "lists may be spread over several lines of the same key",
                        "a line of %zu octets; it can have %zu", line.len, limit);
        return false;
    }
    if (has_control(line)) {
        complain(r, NULL, "remove it", "a control character");
        return false;
    }
    if (has_late_comment(line)) {
        complain(r, NULL, "put the comment on a line of its own",
                 "a `;` behind a blank would cut the line there");
        return false;
    }
    return line.data[0] == '[' ? read_heading(r, line) : judge_setting(r, line);
}

/* Defence against an inih built to other rules than this file knows: no setting is lost in silence.
 */
static void check_heard(struct reader *r)
{
    if (r->awaits)
        complain(r, NULL, "write KEY = VALUE", "inih does not understand the line");
    r->awaits = false;
}

/* inih's fgets: one line, or an empty one in place of what it must not see. A line without its
 * newline makes later versions of inih ask for the rest, and drop it. */
static char *on_line(char *space, int size, void *stream)
{
    struct reader *r = stream;
    size_t limit = size > INI_LINE_OCTETS ? INI_LINE_OCTETS : (size_t)size - 1;
    struct span line;

    if (r->owes_newline) {
        r->owes_newline = false;
        return strcpy(space, "\n");
    }
    check_heard(r);
    if (!next_line(r, &line))
        return NULL;
    if (line.len == 0 || !judge_line(r, line, limit))
        line.len = 0;
    if (line.len > 0)
        memcpy(space, line.data, line.len);
    r->awaits = line.len > 0 && line.data[0] != '[';
    r->owes_newline = line.len == (size_t)size - 1;
    strcpy(space + line.len, r->owes_newline ? "" : "\n");
    return space;
}

/* Comes before the next line is taken, so that the reader still stands on this one. */
static int on_handler(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;

    (void)section; /* the reader knows it, and knows of empty ones too */
    r->awaits = false;
    r->sink->on_setting(r->sink->context, name, value, r->line);
    return 1;
}

void ini_read(struct span text, const char *file, const struct ini_sink *sink, struct diagnosis *d)
{
    struct reader r = {.rest = text, .file = file, .sink = sink, .d = d};

    if (span_starts(text, span_of("\xef\xbb\xbf"))) /* a byte order mark of UTF-8 */
        r.rest = span_skip(text, 3);
    /* A line number is none of its errors that check_heard would not find. */
    if (ini_parse_stream(on_line, &r, on_handler, &r) < 0)
        complain(&r, NULL, NULL, "inih has no memory for the file");
}
