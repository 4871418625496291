/* SPDX-License-Identifier: ISC */
/* Smuggling stops here: every run of CR, LF, NUL, dot and letter of up to six octets as content, in
 * every cut and with every `bare_newline`, against a small reference; and what comes out as the
 * most lenient receivers read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/smtp_content.h"
#include "tests/unit/player.h"

#define SPACE ((size_t)64)

struct outcome {
    char octets[4096];
    size_t len;
    bool has_ended, is_refused;
    size_t used; /* of the input, the end included */
};

static void put(struct outcome *o, const char *data, size_t len)
{
    assert_true(len <= sizeof(o->octets) - o->len);
    if (len > 0)
        memcpy(o->octets + o->len, data, len);
    o->len += len;
}

/* The end in the raw octets: CRLF.CRLF, or .CRLF at once. */
static bool find_end(const char *in, size_t len, size_t *used)
{
    *used = len;
    for (size_t i = 0; i + 3 <= len; i++)
        if (memcmp(in + i, ".\r\n", 3) == 0 &&
            (i == 0 || (i >= 2 && memcmp(in + i - 2, "\r\n", 2) == 0))) {
            *used = i + 3;
            return true;
        }
    return false;
}

/* The rule of `normalize`, with the whole input in hand: first the end, then line by line. */
static struct outcome normalized(const char *in, size_t len)
{
    struct outcome o = {0};

    o.has_ended = find_end(in, len, &o.used);
    for (size_t i = 0, end = o.has_ended ? o.used - 3 : len; i < end;) {
        char line[256] = {0};
        size_t n = 0;

        for (; i < end && in[i] != '\r' && in[i] != '\n'; i++)
            if (in[i] != '\0')
                line[n++] = in[i];
        put(&o, line, n);
        if (i == end)
            break;
        if (n == 1 && line[0] == '.')
            put(&o, ".", 1);
        put(&o, "\r\n", 2);
        i += in[i] == '\r' && i + 1 < end && in[i + 1] == '\n' ? 2 : 1;
    }
    if (o.has_ended)
        put(&o, ".\r\n", 3);
    return o;
}

/* The same for a reader that strips the eighth bit: line by line as before, then dots that it would
 * find alone on a line. To some the NUL that 0x80 becomes is not there. */
static struct outcome normalized_in_seven_bits(const char *in, size_t len)
{
    struct outcome lines = {0}, o = {0};
    bool begins_line = true;

    o.has_ended = find_end(in, len, &o.used);
    for (size_t i = 0, end = o.has_ended ? o.used - 3 : len; i < end; i++) {
        if (in[i] == '\r' || in[i] == '\n')
            put(&lines, "\r\n", 2);
        else if (in[i] != '\0' || (i > 0 && in[i - 1] == '\xae'))
            put(&lines, in + i, 1); /* that NUL is enough to double what could be a dot */
        if (in[i] == '\r' && i + 1 < end && in[i + 1] == '\n')
            i++;
    }
    for (size_t i = 0; i < lines.len; i++) {
        char octet = lines.octets[i] & 0x7f, next = lines.octets[i + 1] & 0x7f;
        bool is_last = i + 1 == lines.len;

        if (octet == '.' && begins_line && !is_last &&
            (next == '\r' || next == '\n' || next == '\0'))
            put(&o, ".", 1);
        if (lines.octets[i] != '\0')
            put(&o, lines.octets + i, 1);
        if (octet != '\0')
            begins_line = octet == '\r' || octet == '\n';
    }
    if (o.has_ended)
        put(&o, ".\r\n", 3);
    return o;
}

/* And of the other two: nothing is altered, `reject` stops in front of what is odd. */
static struct outcome unaltered(const char *in, size_t len, bool rejects)
{
    struct outcome o = {0};
    size_t n = 0;

    o.has_ended = find_end(in, len, &o.used);
    for (; n < o.used && !o.is_refused; n++)
        o.is_refused =
            rejects && (in[n] == '\0' || (in[n] == '\n' && (n == 0 || in[n - 1] != '\r')) ||
                        (in[n] == '\r' && n + 1 < len && in[n + 1] != '\n'));
    put(&o, in, o.is_refused ? n - 1 : n);
    o.has_ended = o.has_ended && !o.is_refused;
    return o;
}

/* The filter, with a first window of `cut` octets. */
static struct outcome filter_for(bool is_seven_bit, enum bare_newline mode, const char *in,
                                 size_t len, size_t cut, size_t piece)
{
    struct smtp_content c;
    struct outcome o = {0};
    char space[SPACE];

    smtp_content_init(&c, mode, is_seven_bit);
    for (size_t given = cut; !o.has_ended && !o.is_refused;
         given = piece < len - given ? given + piece : len) {
        for (bool again = true; again && !o.has_ended;) {
            struct octets window = {0};
            struct smtp_content_piece p;

            octets_set(&window, in + o.used, given - o.used);
            p = smtp_content_next(&c, (struct span){window.data, window.len}, space, SPACE);
            assert_true(p.take <= window.len);
            o.is_refused = p.kind == CONTENT_REFUSE;
            if (p.kind == CONTENT_EDIT)
                put(&o, p.text.data, p.text.len);
            else if (p.kind != CONTENT_MORE)
                put(&o, window.data, p.take);
            again = p.kind != CONTENT_MORE && !o.is_refused;
            assert_true(p.kind != CONTENT_MORE || window.len - p.take <= 3);
            assert_true(!again || p.take > 0 || p.text.len > 0);
            o.used += p.take;
            o.has_ended = p.kind == CONTENT_END;
            octets_clear(&window);
        }
        if (given == len)
            break;
    }
    return o;
}

static struct outcome filter(enum bare_newline mode, const char *in, size_t len, size_t cut,
                             size_t piece)
{
    return filter_for(false, mode, in, len, cut, piece);
}

/* Would a receiver that takes any of CR, LF, CRLF around a dot for the end stop before our end
 * does? */
static bool ends_early(const struct outcome *o)
{
    size_t end = o->has_ended ? o->len - 3 : o->len;
    bool begins_line = true;

    for (size_t i = 0; i < end; i++) {
        bool is_break = o->octets[i] == '\r' || o->octets[i] == '\n';

        if (o->octets[i] == '\0')
            return true;
        if (o->octets[i] == '\r' && (i + 1 >= o->len || o->octets[i + 1] != '\n'))
            return true; /* a lone CR came out */
        if (o->octets[i] == '\n' && (i == 0 || o->octets[i - 1] != '\r'))
            return true;
        if (begins_line && o->octets[i] == '.' && i + 1 < o->len &&
            (o->octets[i + 1] == '\r' || o->octets[i + 1] == '\n'))
            return true;
        begins_line = is_break;
    }
    return false;
}

static void agree(const struct outcome *got, const struct outcome *want)
{
    assert_int_equal(got->has_ended, want->has_ended);
    assert_int_equal(got->is_refused, want->is_refused);
    if (got->has_ended) {
        assert_int_equal(got->used, want->used);
        assert_int_equal(got->len, want->len);
    }
    /* Without an end the last octets may still wait for what decides them. */
    assert_true(got->len <= want->len && want->len - got->len <= 4);
    assert_memory_equal(got->octets, want->octets, (uint32_t)got->len);
}

static void compare(const char *in, size_t len, size_t cut, size_t piece)
{
    struct outcome got = filter(BARE_NEWLINE_NORMALIZE, in, len, cut, piece);
    struct outcome want = normalized(in, len);

    assert_false(ends_early(&got));
    agree(&got, &want);
    got = filter(BARE_NEWLINE_REJECT, in, len, cut, piece);
    want = unaltered(in, len, true);
    assert_false(ends_early(&got));
    agree(&got, &want);
    got = filter(BARE_NEWLINE_PASS, in, len, cut, piece);
    want = unaltered(in, len, false);
    agree(&got, &want);
}

static void compare_in_seven_bits(const char *in, size_t len, size_t cut, size_t piece)
{
    struct outcome want = normalized_in_seven_bits(in, len);
    struct outcome got = filter_for(true, BARE_NEWLINE_NORMALIZE, in, len, cut, piece);

    agree(&got, &want);
    got = filter_for(true, BARE_NEWLINE_REJECT, in, len, cut, piece);
    assert_true(got.len <= len);
    assert_memory_equal(got.octets, in, (uint32_t)got.len);
    if (got.has_ended)
        agree(&got, &want); /* nothing had to be altered */
    if (got.is_refused)
        assert_true(want.len != len || memcmp(want.octets, in, len) != 0);
    got = filter_for(true, BARE_NEWLINE_PASS, in, len, cut, piece);
    want = unaltered(in, len, false);
    agree(&got, &want);
}

/* All that ends a line, or is nothing, to a reader of seven bits. */
static void every_short_content_in_seven_bits(void **state)
{
    static const char alphabet[] = {'\r', '\n', '.', '\x8d', '\x8a', '\xae', '\x80', '\0', 'x'};
    const size_t letters = sizeof(alphabet);

    for (size_t len = 1, count = letters; len <= 5; len++, count *= letters)
        for (size_t n = 0; n < count; n++) {
            char in[8];
            size_t rest = n;

            for (size_t i = 0; i < len; i++, rest /= letters)
                in[i] = alphabet[rest % letters];
            compare_in_seven_bits(in, len, 1, 1);
            compare_in_seven_bits(in, len, len, len);
            compare_in_seven_bits(in, len, (len + 1) / 2, len);
        }
}

static void every_short_content(void **state)
{
    static const char alphabet[] = {'\r', '\n', '.', '\0', 'x'};

    for (size_t len = 1, count = 5; len <= 6; len++, count *= 5)
        for (size_t n = 0; n < count; n++) {
            char in[8 + 16];
            size_t rest = n;

            for (size_t i = 0; i < len; i++, rest /= 5)
                in[i] = alphabet[rest % 5];
            for (size_t cut = 1; cut <= len; cut++)
                compare(in, len, cut, len);
            compare(in, len, 1, 1);
        }
}

/* Each break around a dot, in the middle of a message, with a second envelope behind it. */
static void every_break_around_a_dot(void **state)
{
    static const struct span breaks[] = {
        SPAN("\r\n"),   SPAN("\n"),     SPAN("\r"),     SPAN("\n\r"),     SPAN("\r\r\n"),
        SPAN("\0\r\n"), SPAN("\r\0\n"), SPAN("\r\n\0"), SPAN("\n\0"),     SPAN("\r\0"),
        SPAN("\n\n"),   SPAN("\r\r"),   SPAN("\0"),     SPAN("\0\n\0\n"), SPAN("\r\n\r\n"),
    };
    const size_t count = sizeof(breaks) / sizeof(breaks[0]);

    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++) {
            struct octets in = {0};

            octets_add(&in, "body", 4);
            octets_add(&in, breaks[a].data, breaks[a].len);
            octets_add(&in, ".", 1);
            octets_add(&in, breaks[b].data, breaks[b].len);
            octets_add(&in, "MAIL FROM:<eve>\r\n.\r\n", 20);
            for (size_t cut = 1; cut <= in.len; cut++)
                compare(in.data, in.len, cut, in.len);
            compare(in.data, in.len, 1, 1);
            compare(in.data, in.len, 2, 2);
            octets_clear(&in);
        }
}

/* What a block of ordinary text meets at its borders: each trap at every distance from its begin.
 */
static void every_break_around_a_block(void **state)
{
    static const struct span traps[] = {
        SPAN("\r\n.\r\n"),   SPAN("\n.\r\n"),     SPAN("\r\n.\n"),     SPAN("\r.\r"),
        SPAN("\r\n.\0\r\n"), SPAN("\0"),          SPAN("\r"),          SPAN("\n"),
        SPAN("\r\n.x"),      SPAN("\r\n..\r\n"),  SPAN("\r\r\n.\r\n"), SPAN("\n\r\n"),
        SPAN("\r\n\r\n"),    SPAN("\r\n\0.\r\n"),
    };
    char in[256];

    for (size_t t = 0; t < sizeof(traps) / sizeof(traps[0]); t++)
        for (size_t at = 0; at < 140; at++) {
            memset(in, 'x', sizeof(in));
            memcpy(in + at, traps[t].data, traps[t].len);
            compare(in, sizeof(in), sizeof(in), sizeof(in));
            for (size_t cut = at + 1; cut < at + traps[t].len + 2; cut++)
                compare(in, sizeof(in), cut, sizeof(in));
            compare(in, sizeof(in), 65, 65);
            compare(in, sizeof(in), at + 66, 66);
        }
}

static void every_break_of_seven_bits_around_a_block(void **state)
{
    static const struct span traps[] = {
        SPAN("\x8d\x8a.\r\n"),     SPAN("\r\n\xae\r\n"),  SPAN("\x8a.\x8d"),
        SPAN("\x8a\x80.\x80\x8a"), SPAN("\n\xae\x8a"),    SPAN("\x8a.x\x8a"),
        SPAN("\r\n.\x8d\n"),       SPAN("\x8a\r\n.\r\n"), SPAN("\r\n\x80.\r\n"),
        SPAN("\x8a\0.\0\xae\r\n"), SPAN("\r\n.\r\n"),
    };
    char in[256];

    for (size_t t = 0; t < sizeof(traps) / sizeof(traps[0]); t++)
        for (size_t at = 0; at < 140; at++) {
            memset(in, 'x', sizeof(in));
            memcpy(in + at, traps[t].data, traps[t].len);
            compare_in_seven_bits(in, sizeof(in), sizeof(in), sizeof(in));
            for (size_t cut = at + 1; cut < at + traps[t].len + 2; cut++)
                compare_in_seven_bits(in, sizeof(in), cut, sizeof(in));
            compare_in_seven_bits(in, sizeof(in), 65, 65);
        }
}

/* Time is linear in what is taken: hostile megabytes cost few steps, and short ones. */
static void hostile_content_is_cheap(void **state)
{
    static const struct span pattern[] = {SPAN("\n"),    SPAN("\0"),   SPAN("\r"),  SPAN(".\n"),
                                          SPAN(".\0"),   SPAN("\0x"),  SPAN("x\n"), SPAN("\r\n.\n"),
                                          SPAN("\n.\0"), SPAN("x\r\n")};

    for (size_t i = 0; i < sizeof(pattern) / sizeof(pattern[0]); i++) {
        struct octets in = {malloc(1 << 20), 1 << 20};
        struct smtp_content c;
        size_t steps = 0, used = 0;
        char space[384];

        assert_non_null(in.data);
        for (size_t n = 0; n < in.len; n++)
            in.data[n] = pattern[i].data[n % pattern[i].len];
        smtp_content_init(&c, BARE_NEWLINE_NORMALIZE, false);
        for (;; steps++) {
            struct smtp_content_piece p = smtp_content_next(
                &c, (struct span){in.data + used, in.len - used}, space, sizeof(space));

            used += p.take;
            if (p.kind == CONTENT_MORE)
                break;
        }
        assert_true(in.len - used <= 3);
        assert_true(steps < (1 << 20) / 90);
        octets_clear(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_content),
        cmocka_unit_test(every_break_around_a_dot),
        cmocka_unit_test(every_break_around_a_block),
        cmocka_unit_test(every_short_content_in_seven_bits),
        cmocka_unit_test(every_break_of_seven_bits_around_a_block),
        cmocka_unit_test(hostile_content_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
