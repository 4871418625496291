/* SPDX-License-Identifier: ISC */
/* The filter that content passes (DESIGN, section 5). bare_newline = normalize: lone CR and lone LF
 * become CRLF, NUL goes, and a dot alone on a line that is not the end is doubled. reject: what
 * would have to be altered is refused. pass: nothing is altered; only the end is looked for.
 *
 * "Alone on a line" is meant for every reader. One that strips the eighth bit before it looks
 * (sendmail, asked by BODY=7BIT) finds CR in 0x8d. One with a buffer for a line takes what comes
 * behind it for another line: a dot that ends a line longer than all servers hold is followed by a
 * blank. */
#include "protocols/smtp_content.h"

#include "protocols/line.h"

/* Searches look no further ahead than this: an octet may be looked at again after each short piece.
 */
#define CONTENT_BLOCK ((size_t)1024)

#define ORDINARY_BLOCK 64

/* Every server holds a line of so many octets (RFC 5321, section 4.5.3.1.6, less its end). */
#define LINE_HELD 998

void smtp_content_init(struct smtp_content *c, enum bare_newline bare_newline, bool is_seven_bit)
{
    *c = (struct smtp_content){
        .at = CONTENT_AFTER_CRLF,
        .bare_newline = bare_newline,
        .is_seven_bit = is_seven_bit && bare_newline != BARE_NEWLINE_PASS,
    };
}

/* As the reader sees it that strips, if there may be one. */
static char folded(const struct smtp_content *c, char octet)
{
    return (char)(c->is_seven_bit ? octet & 0x7f : octet);
}

static bool ends_line(char octet)
{
    return octet == '\r' || octet == '\n' || octet == '\0';
}

/* These octets have been passed on. */
static void count(struct smtp_content *c, struct span passed)
{
    char last;

    if (passed.len == 0)
        return;
    last = passed.data[passed.len - 1];
    c->line = last == '\n' ? 0 : c->line + (unsigned)passed.len;
    if (c->line > 2 * LINE_HELD)
        c->line = 2 * LINE_HELD;
    if (folded(c, last) != '\0') /* to some it is not there */
        c->ends_with_dot = folded(c, last) == '.';
}

static struct smtp_content_piece pass(struct smtp_content *c, struct span window, size_t take,
                                      enum smtp_content_at at)
{
    c->at = at;
    count(c, span_first(window, take));
    return (struct smtp_content_piece){.kind = CONTENT_PASS, .take = take};
}

static struct smtp_content_piece edit(struct smtp_content *c, size_t take, struct span text,
                                      enum smtp_content_at at)
{
    if (c->bare_newline == BARE_NEWLINE_REJECT)
        return (struct smtp_content_piece){.kind = CONTENT_REFUSE};
    c->at = at;
    count(c, text);
    return (struct smtp_content_piece){.kind = CONTENT_EDIT, .take = take, .text = text};
}

/* The last octet is a dot that begins a line to a reader whose buffer was full before it. */
static bool is_dot_cut_off(const struct smtp_content *c)
{
    return c->line > LINE_HELD && c->ends_with_dot;
}

/* An end of line, as it is or as it becomes. */
static struct smtp_content_piece end_line(struct smtp_content *c, struct span window, size_t take)
{
    enum smtp_content_at at = take == 2 ? CONTENT_AFTER_CRLF : CONTENT_AFTER_BREAK;

    if (is_dot_cut_off(c))
        return edit(c, take, (struct span)SPAN(" \r\n"), at);
    return take == 2 ? pass(c, window, take, at) : edit(c, take, LINE_END, at);
}

static struct smtp_content_piece undecided(void)
{
    return (struct smtp_content_piece){.kind = CONTENT_MORE};
}

/* A dot that begins a line. */
static struct smtp_content_piece at_dot(struct smtp_content *c, struct span w)
{
    if (w.len < 2)
        return undecided();
    if (w.data[0] == '.' && w.data[1] == '\0')
        return edit(c, 1, (struct span){0}, CONTENT_AFTER_DOT);
    if (!ends_line(folded(c, w.data[1])))
        return pass(c, w, 1, CONTENT_IN_LINE);
    if (w.data[0] != '.')
        return edit(c, 1, (struct span)SPAN(".\xae"), CONTENT_IN_LINE);
    if (c->at == CONTENT_AFTER_CRLF && w.data[1] == '\r') {
        if (w.len < 3)
            return undecided();
        if (w.data[2] == '\n')
            return (struct smtp_content_piece){.kind = CONTENT_END, .take = 3};
    }
    return edit(c, 1, (struct span)SPAN(".."), CONTENT_IN_LINE);
}

/* The same where nothing may be altered: CRLF.CRLF is the end, and all else is content. */
static struct smtp_content_piece unaltered(struct smtp_content *c, struct span w)
{
    static const char end[] = ".\r\n";
    size_t n = 0;

    if (c->at == CONTENT_AFTER_CRLF) {
        while (n < w.len && n < 3 && w.data[n] == end[n])
            n++;
        if (n == 3)
            return (struct smtp_content_piece){.kind = CONTENT_END, .take = 3};
        if (n == w.len)
            return undecided();
    }
    if (w.data[0] != '\r')
        return pass(c, w, 1, CONTENT_IN_LINE);
    if (w.len < 2)
        return undecided();
    return w.data[1] == '\n' ? pass(c, w, 2, CONTENT_AFTER_CRLF) : pass(c, w, 1, CONTENT_IN_LINE);
}

/* The smallest piece at the front of a window that is not empty. A CR is never taken before what
 * follows it is known, so an LF at the front is a lone one. */
static struct smtp_content_piece smallest(struct smtp_content *c, struct span w)
{
    bool begins_line = c->at != CONTENT_IN_LINE;
    char octet = folded(c, w.data[0]);

    if (c->bare_newline == BARE_NEWLINE_PASS)
        return unaltered(c, w);
    if (w.data[0] == '\0')
        return edit(c, 1, (struct span){0},
                    c->at == CONTENT_AFTER_CRLF ? CONTENT_AFTER_BREAK : c->at);
    if (c->at == CONTENT_AFTER_DOT)
        return edit(c, 0, ends_line(octet) ? (struct span)SPAN("..") : (struct span)SPAN("."),
                    CONTENT_IN_LINE);
    if (w.data[0] == '\n')
        return end_line(c, w, 1);
    if (w.data[0] == '\r' && w.len < 2)
        return undecided();
    if (w.data[0] == '\r')
        return end_line(c, w, w.data[1] == '\n' ? 2 : 1);
    if (octet == '.' && begins_line)
        return at_dot(c, w);
    if (ends_line(octet) && is_dot_cut_off(c))
        return edit(c, 0, (struct span)SPAN(" "), CONTENT_IN_LINE);
    if (octet == '\r' || octet == '\n')
        return pass(c, w, 1, CONTENT_AFTER_BREAK);
    if (octet == '\0')
        return pass(c, w, 1, c->at == CONTENT_AFTER_CRLF ? CONTENT_AFTER_BREAK : c->at);
    return pass(c, w, 1, CONTENT_IN_LINE);
}

/* Up to the first octet that ends a line to anybody. */
static size_t up_to_end(const struct smtp_content *c, struct span w)
{
    const char *stop;

    if (c->is_seven_bit) {
        size_t len = 0;

        while (len < w.len && !ends_line((char)(w.data[len] & 0x7f)))
            len++;
        return len;
    }
    if ((stop = memchr(w.data, '\n', w.len)) != NULL)
        w.len = (size_t)(stop - w.data);
    if ((stop = memchr(w.data, '\r', w.len)) != NULL)
        w.len = (size_t)(stop - w.data);
    if ((stop = memchr(w.data, '\0', w.len)) != NULL)
        w.len = (size_t)(stop - w.data);
    return w.len;
}

/* Octets at the front that mean nothing to us: up to the end of a line, or a dot that begins one. */
static size_t plain(const struct smtp_content *c, struct span w)
{
    if (w.len == 0 || c->at == CONTENT_AFTER_DOT ||
        (c->at != CONTENT_IN_LINE && folded(c, w.data[0]) == '.'))
        return 0;
    return up_to_end(c, span_first(w, CONTENT_BLOCK));
}

static bool is_ordinary(char octet, const struct smtp_content *c)
{
    return !ends_line(octet) && octet != '.' && !(c->is_seven_bit && (octet & 0x80) != 0);
}

/* Octets at the front that pass as they are, in bulk: CR and LF in pairs only, no NUL, no line that
 * begins with a dot or is long, and seven bits where eight are not safe. One pass without a branch
 * an octet, which compilers turn into vector instructions; what it does not vouch for, and the last
 * octets of a window, go the way of smallest(). last_lf: behind these of them there is no LF. */
static size_t ordinary(const struct smtp_content *c, struct span w, size_t *last_lf)
{
    const unsigned char eighth = c->is_seven_bit ? 0x80 : 0;
    unsigned without_lf = c->line / ORDINARY_BLOCK + 1; /* blocks that the line may be in */
    size_t n = 1;

    *last_lf = 0;
    if (w.len <= ORDINARY_BLOCK || !is_ordinary(w.data[0], c))
        return 0;
    while (w.len - n >= ORDINARY_BLOCK && without_lf < LINE_HELD / ORDINARY_BLOCK - 1) {
        const char *p = w.data + n;
        unsigned char odd = 0, lf = 0;

        for (int i = 0; i < ORDINARY_BLOCK; i++) {
            unsigned lone = (p[i] == '\n') ^ (p[i - 1] == '\r');
            unsigned dot = (p[i] == '.') & (p[i - 1] == '\n');

            odd |= (unsigned char)(lone | dot | (p[i] == '\0') | ((unsigned char)p[i] & eighth));
            lf |= (unsigned char)(p[i] == '\n');
        }
        if (odd != 0)
            break;
        n += ORDINARY_BLOCK;
        *last_lf = lf != 0 ? n : *last_lf;
        without_lf = lf != 0 ? 1 : without_lf + 1;
    }
    if (n == 1)
        return 0;
    return w.data[n - 1] == '\r' ? n - 1 : n; /* its LF is not here */
}

/* The same have been passed on: how long is the line now? */
static void count_ordinary(struct smtp_content *c, struct span passed, size_t last_lf)
{
    size_t line = last_lf < passed.len ? last_lf : passed.len; /* where it begins */

    while (line > 0 && passed.data[line - 1] != '\n')
        line--;
    if (line > 0)
        c->line = 0;
    c->at = line == passed.len ? CONTENT_AFTER_CRLF : CONTENT_IN_LINE;
    count(c, span_skip(passed, line));
}

/* Input that needs one edit often needs many (LF on every line): go on in `space` while there is
 * room. */
static struct smtp_content_piece gather(struct smtp_content *c, struct span window, char *space,
                                        size_t size)
{
    struct smtp_content_piece all = {.kind = CONTENT_EDIT, .text = {space, 0}};

    while (all.take < window.len && size - all.text.len >= 3) {
        struct span rest = span_skip(window, all.take);
        struct smtp_content before = *c;
        struct smtp_content_piece piece = smallest(c, rest);

        if (piece.kind == CONTENT_MORE || piece.kind == CONTENT_END ||
            piece.kind == CONTENT_REFUSE) {
            *c = before;
            break;
        }
        if (piece.kind == CONTENT_PASS)
            piece.text = span_first(rest, piece.take);
        if (piece.text.len > 0)
            memcpy(space + all.text.len, piece.text.data, piece.text.len);
        all.text.len += piece.text.len;
        all.take += piece.take;
    }
    if (all.text.len == 0)
        all.kind = CONTENT_MORE;
    return all;
}

struct smtp_content_piece smtp_content_next(struct smtp_content *c, struct span window, char *space,
                                            size_t size)
{
    size_t passed = 0;
    bool is_refused = false;

    while (passed < window.len) {
        struct span rest = span_skip(window, passed);
        size_t last_lf = 0, run = c->at == CONTENT_AFTER_DOT ? 0 : ordinary(c, rest, &last_lf);
        struct smtp_content before;
        struct smtp_content_piece piece;

        if (run > 0) {
            count_ordinary(c, span_first(rest, run), last_lf);
            passed += run;
            continue;
        }
        run = plain(c, rest);
        if (run > 0) {
            passed += pass(c, rest, run, CONTENT_IN_LINE).take;
            continue;
        }
        before = *c;
        piece = smallest(c, rest);
        if (piece.kind == CONTENT_PASS) {
            passed += piece.take;
            continue;
        }
        if (piece.kind == CONTENT_END)
            return (struct smtp_content_piece){.kind = CONTENT_END, .take = passed + piece.take};
        is_refused = piece.kind == CONTENT_REFUSE;
        *c = before;
        break;
    }
    if (passed > 0)
        return (struct smtp_content_piece){.kind = CONTENT_PASS, .take = passed};
    if (is_refused)
        return (struct smtp_content_piece){.kind = CONTENT_REFUSE};
    return gather(c, window, space, size);
}
