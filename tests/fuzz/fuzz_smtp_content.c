/* SPDX-License-Identifier: ISC */
/* The filter of mail content against the rule, written down plainly with the whole input in hand. The
 * first octet picks `bare_newline`, the second how the rest is cut. */
#include <stdint.h>

#include "protocols/smtp_content.h"
#include "tests/unit/player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct octets out;
    size_t used; /* of the input */
    bool has_ended, is_refused;
};

/* Where the content ends in the raw octets: behind CRLF.CRLF, and it begins as if behind a CRLF. */
static size_t true_end(struct span in)
{
    for (size_t i = 0; i + 3 <= in.len; i++)
        if (memcmp(in.data + i, ".\r\n", 3) == 0 &&
            (i == 0 || (i >= 2 && memcmp(in.data + i - 2, "\r\n", 2) == 0)))
            return i + 3;
    return 0;
}

/* The line at `at`, without NUL, a lone dot doubled, one that ends a long line hidden. Set: where the next one begins; 0: nowhere. */
static void normalize_line(struct octets *out, struct span in, size_t *at)
{
    size_t begin = out->len, i = *at;

    for (; i < in.len && in.data[i] != '\r' && in.data[i] != '\n'; i++)
        if (in.data[i] != '\0')
            octets_add(out, in.data + i, 1);
    *at = 0;
    if (i == in.len)
        return;
    if (out->len == begin + 1 && out->data[begin] == '.')
        octets_add(out, ".", 1);
    if (out->len > begin + 998 && out->data[out->len - 1] == '.') /* alone to a small buffer */
        octets_add(out, " ", 1);
    octets_add(out, "\r\n", 2);
    *at = i + (in.data[i] == '\r' && i + 1 < in.len && in.data[i + 1] == '\n' ? 2 : 1);
}

static struct octets normalized(struct span in)
{
    size_t end = true_end(in), at = 0;
    struct span body = end == 0 ? in : span_first(in, end - 3);
    struct octets out = {0};

    while (body.len > 0 && at < body.len) {
        normalize_line(&out, body, &at);
        if (at == 0)
            break;
    }
    if (end != 0)
        octets_add(&out, ".\r\n", 3);
    return out;
}

static struct outcome filter(struct span in, enum bare_newline bare_newline, size_t cut)
{
    struct outcome o = {0};
    struct smtp_content c;
    char space[64];
    size_t given = 0;

    smtp_content_init(&c, bare_newline, false);
    while (given < in.len && !o.has_ended && !o.is_refused) {
        struct smtp_content_piece piece = {.kind = CONTENT_PASS};

        given = cut == 0 || cut > in.len - given ? in.len : given + cut;
        while (piece.kind == CONTENT_PASS || piece.kind == CONTENT_EDIT) {
            struct octets window = {0};

            octets_set(&window, in.data + o.used, given - o.used);
            piece =
                smtp_content_next(&c, (struct span){window.data, window.len}, space, sizeof(space));
            PROMISE(piece.take <= window.len);
            if (piece.kind == CONTENT_EDIT)
                octets_add(&o.out, piece.text.data, piece.text.len);
            else if (piece.kind == CONTENT_PASS || piece.kind == CONTENT_END)
                octets_add(&o.out, window.data, piece.take);
            if (piece.kind == CONTENT_PASS)
                PROMISE(piece.take > 0);
            o.used += piece.take;
            octets_clear(&window);
        }
        PROMISE(piece.kind != CONTENT_MORE || given - o.used <= 3);
        o.has_ended = piece.kind == CONTENT_END;
        o.is_refused = piece.kind == CONTENT_REFUSE;
    }
    return o;
}

/* got: all of what is wanted, or without an end all but what still waits for its meaning. */
static void compare(const struct octets *got, const struct octets *want, bool is_whole)
{
    PROMISE(got->len <= want->len && want->len - got->len <= (is_whole ? 0 : 4));
    PROMISE(got->len == 0 || memcmp(got->data, want->data, got->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum bare_newline bare_newline;
    struct octets want;
    struct outcome got;
    struct span in;
    size_t end;

    if (size < 2)
        return 0;
    bare_newline = (enum bare_newline)(data[0] % 3);
    in = (struct span){(const char *)data + 2, size - 2};
    end = true_end(in);
    want = normalized(in);
    got = filter(in, bare_newline, data[1]);
    if (bare_newline == BARE_NEWLINE_PASS) {
        octets_set(&want, in.data, end == 0 ? in.len : end);
    } else if (bare_newline == BARE_NEWLINE_REJECT) {
        /* Refused exactly where something would have to be altered; what has passed is as it came. */
        size_t len = end == 0 ? in.len : end;
        bool is_clean = want.len == len && (len == 0 || memcmp(want.data, in.data, len) == 0);

        PROMISE(is_clean ? !got.is_refused : got.is_refused || end == 0);
        octets_set(&want, in.data, len);
    }
    PROMISE(got.is_refused || got.has_ended == (end != 0));
    PROMISE(!got.has_ended || got.used == end);
    if (got.is_refused)
        PROMISE(got.out.len <= want.len &&
                (got.out.len == 0 || memcmp(got.out.data, want.data, got.out.len) == 0));
    else
        compare(&got.out, &want, got.has_ended);
    octets_clear(&want);
    octets_clear(&got.out);
    return 0;
}
