/* SPDX-License-Identifier: ISC */
/* The filter of mail content against the rule, written down plainly with the whole input in hand. The
 * first octet picks `bare_newline` and how many bits count, the second how the rest is cut. */
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

/* Each break as CRLF, without NUL. For seven bits one behind what could be a dot stays to be seen: it
 * is enough to have that doubled. */
static struct octets lines_of(struct span in, bool is_seven_bit)
{
    struct octets out = {0};

    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] == '\r' || in.data[i] == '\n')
            octets_add(&out, "\r\n", 2);
        else if (in.data[i] != '\0' || (is_seven_bit && i > 0 && in.data[i - 1] == '\xae'))
            octets_add(&out, in.data + i, 1);
        if (in.data[i] == '\r' && i + 1 < in.len && in.data[i + 1] == '\n')
            i++;
    }
    return out;
}

static bool ends_line(char octet)
{
    return octet == '\r' || octet == '\n' || octet == '\0';
}

/* A dot alone on a line is doubled, one that ends a long line hidden from small buffers: as a reader
 * sees them that strips the eighth bit, or none. */
static struct octets normalized(struct span in, bool is_seven_bit)
{
    size_t end = true_end(in), length = 0;
    struct octets lines = lines_of(end == 0 ? in : span_first(in, end - 3), is_seven_bit);
    struct octets out = {0};
    char mask = (char)(is_seven_bit ? 0x7f : 0xff);
    bool begins = true, ends_with_dot = false;

    for (size_t i = 0; i < lines.len; i++) {
        char octet = lines.data[i], seen = octet & mask;

        if (ends_line(seen) && octet != '\0' && length > 998 && ends_with_dot) {
            octets_add(&out, " ", 1);
            ends_with_dot = false;
        }
        if (seen == '.' && begins && i + 1 < lines.len && ends_line(lines.data[i + 1] & mask)) {
            octets_add(&out, ".", 1);
            length++;
        }
        if (octet != '\0')
            octets_add(&out, &octet, 1);
        length = octet == '\n' ? 0 : length + (octet != '\0');
        if (seen == '\0')
            continue;
        begins = seen == '\r' || seen == '\n';
        ends_with_dot = seen == '.';
    }
    if (end != 0)
        octets_add(&out, ".\r\n", 3);
    octets_clear(&lines);
    return out;
}

static struct outcome filter(struct span in, enum bare_newline bare_newline, bool is_seven_bit,
                             size_t cut)
{
    struct outcome o = {0};
    struct smtp_content c;
    char space[64];
    size_t given = 0;

    smtp_content_init(&c, bare_newline, is_seven_bit);
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
    bool is_seven_bit;
    size_t end;

    if (size < 2)
        return 0;
    bare_newline = (enum bare_newline)(data[0] % 3);
    in = (struct span){(const char *)data + 2, size - 2};
    end = true_end(in);
    is_seven_bit = data[0] / 3 % 2 == 1;
    want = normalized(in, is_seven_bit);
    got = filter(in, bare_newline, is_seven_bit, data[1]);
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
