/* SPDX-License-Identifier: ISC */
/* No second envelope (CVE-2023-51764 and its family): what the backend gets of every combination of
 * CR, LF and NUL around a dot, in every cut and with every `bare_newline`, is read by a strict server
 * and by lenient ones. All must find the messages that the client has sent, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/player.h"

#define ENVELOPE "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"

static const struct policy policies[] = {
    {.hostname = "mx", .relay = RELAY_BACKEND, .bare_newline = BARE_NEWLINE_NORMALIZE},
    {.hostname = "mx", .relay = RELAY_BACKEND, .bare_newline = BARE_NEWLINE_REJECT},
    {.hostname = "mx", .relay = RELAY_BACKEND, .bare_newline = BARE_NEWLINE_PASS},
};

/* What a server takes for the end of a line before the dot, and behind it. CRLF is one to each. */
struct reader {
    bool begins_lf, begins_cr, ends_lf, ends_cr, drops_nul;
    bool is_7bit;  /* drops the eighth bit first (sendmail's SevenBitInput) */
    size_t buffer; /* for a line: the rest of a longer one is another to it; 0: no limit */
};

#define READERS 32

static const struct reader strict = {0};

static struct reader reader_at(unsigned n, const struct reader *like)
{
    return (struct reader){n & 1, n & 2, n & 4, n & 8, n & 16, like->is_7bit, like->buffer};
}

static bool has(struct span s, size_t at, const char *what)
{
    struct span rest = span_skip(s, at), w = span_of(what);

    return rest.len >= w.len && memcmp(rest.data, w.data, w.len) == 0;
}

/* What stands behind the end of the content; false: it has none. */
static bool behind_content(const struct reader *r, struct span s, struct span *rest)
{
    size_t start = 0;

    for (size_t i = 0; i < s.len; i++) {
        bool begins = i == 0 || (i >= 2 && has(s, i - 2, "\r\n")) ||
                      (r->begins_lf && s.data[i - 1] == '\n') ||
                      (r->begins_cr && s.data[i - 1] == '\r');

        if (begins || (r->buffer > 0 && i - start == r->buffer - 1)) /* as fgets() reads */
            start = i;
        begins = start == i;
        if (s.data[i] != '.' || !begins)
            continue;
        *rest = span_skip(s, has(s, i + 1, "\r\n") ? i + 3 : i + 2);
        if (has(s, i + 1, "\r\n") || (r->ends_lf && has(s, i + 1, "\n")) ||
            (r->ends_cr && has(s, i + 1, "\r")))
            return true;
    }
    return false;
}

/* What the reader makes of it before it reads. */
static struct octets copy(const struct reader *r, struct span s)
{
    struct octets o = {malloc(s.len), 0};

    assert_true(o.data != NULL || s.len == 0);
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != '\0' || !r->drops_nul)
            o.data[o.len++] = (char)(r->is_7bit ? s.data[i] & 0x7f : s.data[i]);
    return o;
}

/* How many messages are begun in what the backend got: the first, and what comes behind its end. */
static unsigned envelopes(const struct reader *r, struct span got)
{
    struct octets o = copy(r, got);
    struct span rest = {o.data, o.len};
    unsigned count = 0;

    while (has(rest, 0, ENVELOPE)) {
        count++;
        if (!behind_content(r, span_skip(rest, sizeof(ENVELOPE) - 1), &rest))
            rest = (struct span){0};
    }
    assert_int_equal(rest.len, 0);
    octets_clear(&o);
    return count;
}

/* CR, LF and NUL, up to three of them, those of up to two first. */
#define BREAKS       40
#define SHORT_BREAKS 13

static size_t break_at(unsigned n, char *text)
{
    static const char octets[] = {'\r', '\n', '\0'};
    size_t len = 0;
    unsigned count = 1;

    for (; n >= count; len++, count *= 3)
        n -= count;
    for (size_t i = 0; i < len; i++, n /= 3)
        text[i] = octets[n % 3];
    return len;
}

static void enter_content(struct player *p, const struct policy *policy)
{
    static const char answers[] = "250 a\r\n250 b\r\n354 c\r\n";

    player_init(p, &smtp_protocol, policy, true);
    player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(p, SIDE_BACKEND, "220 x\r\n", 7);
    octets_clear(&p->received[SIDE_BACKEND]);
    player_feed(p, SIDE_CLIENT, ENVELOPE, sizeof(ENVELOPE) - 1);
    player_feed(p, SIDE_BACKEND, answers, sizeof(answers) - 1);
}

/* Nothing is altered, or nothing is left that two readers might take for two things. */
static void judge_octets(const struct player *p, struct span got, struct span sent)
{
    if (p->policy->bare_newline != BARE_NEWLINE_NORMALIZE) {
        assert_true(got.len <= sent.len);
        assert_memory_equal(got.data, sent.data, (uint32_t)got.len);
        return;
    }
    for (size_t i = 0; i < got.len; i++) {
        assert_int_not_equal(got.data[i], '\0');
        assert_true(got.data[i] != '\n' || (i > 0 && got.data[i - 1] == '\r'));
        assert_true(got.data[i] != '\r' || has(got, i + 1, "\n"));
    }
}

static void judge(const struct player *p, struct span content, const struct reader *like)
{
    struct span got = {p->received[SIDE_BACKEND].data, p->received[SIDE_BACKEND].len}, rest;
    bool is_whole = behind_content(&strict, content, &rest);
    unsigned sent = is_whole && has(rest, 0, ENVELOPE) ? 2 : 1;

    if (p->outcome == VERDICT_RESET) {
        assert_int_equal(p->policy->bare_newline, BARE_NEWLINE_REJECT);
        sent = 1;
    }
    judge_octets(p, span_skip(got, sizeof(ENVELOPE) - 1), content);
    for (unsigned n = 0; n < READERS; n++) {
        struct reader reader = reader_at(n, like);

        if (p->policy->bare_newline == BARE_NEWLINE_PASS &&
            (n > 0 || like->is_7bit || like->buffer > 0))
            break; /* the backend is known to be strict */
        assert_int_equal(envelopes(&reader, got), sent);
        if (p->outcome == VERDICT_RESET) /* nobody takes the piece for a whole message */
            assert_false(behind_content(&reader, span_skip(got, sizeof(ENVELOPE) - 1), &rest));
    }
}

/* In two pieces; cut 0: octet by octet. */
static void smuggle(const struct policy *policy, struct span content, size_t cut,
                    const struct reader *like)
{
    struct player p;

    enter_content(&p, policy);
    for (size_t at = 0; at < content.len; at += cut == 0 ? 1 : cut) {
        struct span piece = span_skip(content, at);

        if (cut == 0)
            piece = span_first(piece, 1);
        else if (at == 0)
            piece = span_first(piece, cut);
        player_feed(&p, SIDE_CLIENT, piece.data, piece.len);
        if (cut > 0 && at > 0)
            break;
    }
    judge(&p, content, like);
    player_clear(&p);
}

static void smuggle_in_every_cut(struct span content, size_t from, size_t to,
                                 const struct reader *like)
{
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        for (size_t cut = from; cut <= to; cut++)
            smuggle(&policies[i], content, cut, like);
        smuggle(&policies[i], content, 0, like);
    }
}

static void every_break_around_a_dot(void **state)
{
    for (unsigned a = 0; a < BREAKS; a++)
        for (unsigned b = 0; b < BREAKS; b++) {
            char text[128] = "hello";
            size_t len = 5;

            len += break_at(a, text + len);
            text[len++] = '.';
            len += break_at(b, text + len);
            memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
            smuggle_in_every_cut((struct span){text, len + sizeof(ENVELOPE) - 1}, 5, len + 1,
                                 &strict);
        }
}

/* At the very begin, where content stands as if behind a CRLF. */
static void every_break_at_the_begin(void **state)
{
    for (unsigned a = 0; a < SHORT_BREAKS; a++)
        for (unsigned b = 0; b < SHORT_BREAKS; b++) {
            char text[128];
            size_t len = break_at(a, text);

            text[len++] = '.';
            len += break_at(b, text + len);
            memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
            smuggle_in_every_cut((struct span){text, len + sizeof(ENVELOPE) - 1}, 1, len + 1,
                                 &strict);
        }
}

/* Two dots: what is done to the first must not make an end of the second. */
static void every_break_between_two_dots(void **state)
{
    for (unsigned n = 0; n < SHORT_BREAKS * SHORT_BREAKS * SHORT_BREAKS; n++) {
        char text[128] = "x";
        size_t len = 1;

        len += break_at(n % SHORT_BREAKS, text + len);
        text[len++] = '.';
        len += break_at(n / SHORT_BREAKS % SHORT_BREAKS, text + len);
        text[len++] = '.';
        len += break_at(n / SHORT_BREAKS / SHORT_BREAKS, text + len);
        memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
        smuggle_in_every_cut((struct span){text, len + sizeof(ENVELOPE) - 1}, len - 1, len,
                             &strict);
    }
}

/* A server that drops the eighth bit finds line ends and dots where nobody else does. */
static void no_eighth_bit_hides_an_end(void **state)
{
    static const struct reader like = {.is_7bit = true};
    static const char octets[] = {'\r', '\n', (char)0x8d, (char)0x8a};

    for (unsigned n = 0; n < 20 * 20 * 2; n++) {
        char text[128] = "x";
        size_t len = 1;

        for (unsigned side = 0, rest = n / 2; side < 2; side++, rest /= 20) {
            unsigned pick = rest % 20;

            if (side == 1)
                text[len++] = (char)(n % 2 == 0 ? 0xae : '.');
            text[len++] = octets[pick % 4];
            if (pick >= 4)
                text[len++] = octets[pick / 4 - 1];
        }
        memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
        smuggle_in_every_cut((struct span){text, len + sizeof(ENVELOPE) - 1}, 1, len + 1, &like);
    }
}

/* A server with a fixed buffer for a line, and room for what RFC 5321, section 4.5.3.1.6, asks for,
 * takes the rest of a longer one for a line of its own. */
static void no_long_line_hides_an_end(void **state)
{
    static const size_t buffers[] = {1001, 1002, 1024, 2048, 2500, 4096, 8192};

    for (size_t b = 0; b < sizeof(buffers) / sizeof(buffers[0]); b++)
        for (size_t line = buffers[b] - 2; line <= buffers[b] + 1; line++) {
            const struct reader like = {.buffer = buffers[b]};
            char text[8400];
            size_t len = line;

            memset(text, 'A', len);
            memcpy(text + len, ".\r\n", 3);
            len += 3;
            memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
            smuggle_in_every_cut((struct span){text, len + sizeof(ENVELOPE) - 1}, line, len, &like);
        }
}

/* The same server may do both. */
static void nor_do_both_together(void **state)
{
    static const struct reader like = {.is_7bit = true, .buffer = 1024};
    static const char *const ends[] = {"\x8d\x8a", "\x8a", "\x8d\n", "\x80\r\n", "\x80\x8d\x8a"};

    for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]); e++)
        for (int dot = 0; dot < 2; dot++) {
            char text[1200];
            size_t len = like.buffer - 1;

            memset(text, 'A', len);
            text[len++] = (char)(dot == 0 ? '.' : 0xae);
            memcpy(text + len, ends[e], strlen(ends[e]));
            len += strlen(ends[e]);
            memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
            smuggle_in_every_cut((struct span){text, len + sizeof(ENVELOPE) - 1}, 1022, len, &like);
        }
}

/* Commands: whatever ends a line to somebody, no verb of another's identity stands behind it. */
static void no_break_hides_a_command(void **state)
{
    static const char *const heads[] = {
        "",       "NOOP",   "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "AUTH PLAIN AAAA",
        "EHLO x", "BDAT 0", "BDAT 3 LAST"};
    static const char spoof[] = "XCLIENT ADDR=192.0.2.1\r\nNOOP\r\n";

    for (size_t h = 0; h < sizeof(heads) / sizeof(heads[0]); h++)
        for (unsigned b = 1; b < BREAKS; b++) {
            struct player p;
            const struct octets *got;
            char text[64];

            player_init(&p, &smtp_protocol, &policies[0], true);
            player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
            player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
            player_feed(&p, SIDE_BACKEND, "220 x\r\n", 7);
            player_feed(&p, SIDE_CLIENT, heads[h], strlen(heads[h]));
            player_feed(&p, SIDE_CLIENT, text, break_at(b, text));
            player_feed(&p, SIDE_CLIENT, spoof, sizeof(spoof) - 1);
            player_feed(&p, SIDE_BACKEND, "334 \r\n", 6);
            got = &p.received[SIDE_BACKEND];
            for (size_t i = 0; i + 7 <= got->len; i++)
                assert_memory_not_equal(got->data + i, "XCLIENT", 7);
            player_clear(&p);
        }
}

/* RFC 3030: a chunk is counted, never read. */
static void a_chunk_is_not_read(void **state)
{
    static const char opening[] = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    static const char answers[] = "250-x\r\n250 CHUNKING\r\n250 a\r\n250 b\r\n";

    for (unsigned n = 0; n < BREAKS * BREAKS; n++)
        for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
            struct player p;
            char text[128] = "BDAT ?? LAST\r\n";
            size_t head = strlen(text), len = head, cut;

            len += break_at(n % BREAKS, text + len);
            text[len++] = '.';
            len += break_at(n / BREAKS, text + len);
            memcpy(text + len, ENVELOPE, sizeof(ENVELOPE) - 1);
            len += sizeof(ENVELOPE) - 1;
            text[5] = (char)('0' + (len - head) / 10);
            text[6] = (char)('0' + (len - head) % 10);
            cut = head + n % (len - head);
            memcpy(text + len, "NOOP\r\n", 6);
            player_init(&p, &smtp_protocol, &policies[i], true);
            player_event(&p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
            player_event(&p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
            player_feed(&p, SIDE_BACKEND, "220 x\r\n", 7);
            player_feed(&p, SIDE_CLIENT, opening, sizeof(opening) - 1);
            player_feed(&p, SIDE_BACKEND, answers, sizeof(answers) - 1);
            octets_clear(&p.received[SIDE_BACKEND]);
            player_feed(&p, SIDE_CLIENT, text, cut);
            player_feed(&p, SIDE_CLIENT, text + cut, len + 6 - cut);
            assert_int_equal(p.received[SIDE_BACKEND].len, len);
            assert_memory_equal(p.received[SIDE_BACKEND].data, text, (uint32_t)len);
            player_clear(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_break_around_a_dot),
        cmocka_unit_test(every_break_at_the_begin),
        cmocka_unit_test(every_break_between_two_dots),
        cmocka_unit_test(no_eighth_bit_hides_an_end),
        cmocka_unit_test(no_long_line_hides_an_end),
        cmocka_unit_test(nor_do_both_together),
        cmocka_unit_test(no_break_hides_a_command),
        cmocka_unit_test(a_chunk_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
