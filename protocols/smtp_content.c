/* SPDX-License-Identifier: ISC */
/* The filter that content passes (DESIGN, section 5). bare_newline = normalize: lone CR and lone LF
 * become CRLF, NUL goes, and a dot alone on a line that is not the end is doubled. reject: what
 * would have to be altered is refused. pass: nothing is altered; only the end is looked for. */
#include "protocols/smtp_content.h"

#include "protocols/line.h"

/* Searches look no further ahead than this: an octet may be looked at again after each short piece.
 */
#define CONTENT_BLOCK ((size_t)1024)

#define ORDINARY_BLOCK 64

void smtp_content_init(struct smtp_content *c, enum bare_newline bare_newline)
{
    *c = (struct smtp_content){CONTENT_AFTER_CRLF, bare_newline};
}

static struct smtp_content_piece pass(struct smtp_content *c, size_t take, enum smtp_content_at at)
{
    c->at = at;
    return (struct smtp_content_piece){.kind = CONTENT_PASS, .take = take};
}

static struct smtp_content_piece edit(struct smtp_content *c, size_t take, struct span text,
                                      enum smtp_content_at at)
{
    if (c->bare_newline == BARE_NEWLINE_REJECT)
        return (struct smtp_content_piece){.kind = CONTENT_REFUSE};
    c->at = at;
    return (struct smtp_content_piece){.kind = CONTENT_EDIT, .take = take, .text = text};
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
    if (w.data[1] == '\0')
        return edit(c, 1, (struct span){0}, CONTENT_AFTER_DOT);
    if (w.data[1] != '\r' && w.data[1] != '\n')
        return pass(c, 1, CONTENT_IN_LINE);
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
        return pass(c, 1, CONTENT_IN_LINE);
    if (w.len < 2)
        return undecided();
    return w.data[1] == '\n' ? pass(c, 2, CONTENT_AFTER_CRLF) : pass(c, 1, CONTENT_IN_LINE);
}

/* The smallest piece at the front of a window that is not empty. A CR is never taken before what
 * follows it is known, so an LF at the front is a lone one. */
static struct smtp_content_piece smallest(struct smtp_content *c, struct span w)
{
    bool begins_line = c->at != CONTENT_IN_LINE;

    if (c->bare_newline == BARE_NEWLINE_PASS)
        return unaltered(c, w);
    if (w.data[0] == '\0') {
        if (c->at == CONTENT_AFTER_CRLF)
            c->at = CONTENT_AFTER_BREAK;
        return edit(c, 1, (struct span){0}, c->at);
    }
    if (c->at == CONTENT_AFTER_DOT) {
        if (w.data[0] == '\r' || w.data[0] == '\n')
            return edit(c, 0, (struct span)SPAN(".."), CONTENT_IN_LINE);
        return edit(c, 0, (struct span)SPAN("."), CONTENT_IN_LINE);
    }
    if (w.data[0] == '\n')
        return edit(c, 1, LINE_END, CONTENT_AFTER_BREAK);
    if (w.data[0] == '\r') {
        if (w.len < 2)
            return undecided();
        if (w.data[1] == '\n')
            return pass(c, 2, CONTENT_AFTER_CRLF);
        return edit(c, 1, LINE_END, CONTENT_AFTER_BREAK);
    }
    if (w.data[0] == '.' && begins_line)
        return at_dot(c, w);
    return pass(c, 1, CONTENT_IN_LINE);
}

/* Octets at the front that mean nothing to us: up to CR, LF, NUL, or a dot that begins a line. */
static size_t plain(const struct smtp_content *c, struct span w)
{
    size_t len = w.len < CONTENT_BLOCK ? w.len : CONTENT_BLOCK;
    const char *stop;

    if (len == 0 || c->at == CONTENT_AFTER_DOT || (c->at != CONTENT_IN_LINE && w.data[0] == '.'))
        return 0;
    if ((stop = memchr(w.data, '\n', len)) != NULL)
        len = (size_t)(stop - w.data);
    if ((stop = memchr(w.data, '\r', len)) != NULL)
        len = (size_t)(stop - w.data);
    if ((stop = memchr(w.data, '\0', len)) != NULL)
        len = (size_t)(stop - w.data);
    return len;
}

/* Octets at the front that pass as they are, in bulk: CR and LF in pairs only, no NUL, no line that
 * begins with a dot. One pass without a branch an octet, which compilers turn into vector
 * instructions; what it does not vouch for, and the last octets of a window, go the way of
 * smallest(). */
static size_t ordinary(struct span w)
{
    size_t n = 1;

    if (w.len <= ORDINARY_BLOCK || w.data[0] == '\r' || w.data[0] == '\n' || w.data[0] == '\0' ||
        w.data[0] == '.')
        return 0;
    while (w.len - n >= ORDINARY_BLOCK) {
        const char *p = w.data + n;
        unsigned char odd = 0;

        for (int i = 0; i < ORDINARY_BLOCK; i++) {
            unsigned lone = (p[i] == '\n') ^ (p[i - 1] == '\r');
            unsigned dot = (p[i] == '.') & (p[i - 1] == '\n');

            odd |= (unsigned char)(lone | dot | (p[i] == '\0'));
        }
        if (odd != 0)
            break;
        n += ORDINARY_BLOCK;
    }
    if (n == 1)
        return 0;
    return w.data[n - 1] == '\r' ? n - 1 : n; /* its LF is not here */
}

/* Input that needs one edit often needs many (LF on every line): go on in `space` while there is
 * room. */
static struct smtp_content_piece gather(struct smtp_content *c, struct span window, char *space,
                                        size_t size)
{
    struct smtp_content_piece all = {.kind = CONTENT_EDIT, .text = {space, 0}};

    while (all.take < window.len && size - all.text.len >= 2) {
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
        size_t run = c->at == CONTENT_AFTER_DOT ? 0 : ordinary(rest);
        struct smtp_content before;
        struct smtp_content_piece piece;

        if (run > 0) {
            c->at = rest.data[run - 1] == '\n' ? CONTENT_AFTER_CRLF : CONTENT_IN_LINE;
            passed += run;
            continue;
        }
        run = plain(c, rest);
        if (run > 0) {
            c->at = CONTENT_IN_LINE;
            passed += run;
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
