/* SPDX-License-Identifier: ISC */
/* Where an IMAP command ends, and what words are in it: rows, and every short text against a second
 * reading of the grammar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/imap_token.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    struct span line;
    bool is_literal, is_waiting, is_huge;
    uint32_t size;
    size_t header;
} literals[] = {
    {SPAN("a LOGIN {5}"), true, true, false, 5, 3},
    {SPAN("{0}"), true, true, false, 0, 3},
    {SPAN("{12+}"), true, false, false, 12, 5},
    {SPAN("{12-}"), true, false, false, 12, 5},
    {SPAN("~{7+}"), true, false, false, 7, 4},
    {SPAN("x{007}"), true, true, false, 7, 5},
    {SPAN("\"open {5}"), true, true, false, 5, 3},
    {SPAN("{4294967295}"), true, true, false, UINT32_MAX, 12},
    {SPAN("{4294967296}"), true, true, true, 0, 12},
    {SPAN("{99999999999999999999+}"), true, false, true, 0, 23},
    {SPAN("")},
    {SPAN("}")},
    {SPAN("{}")},
    {SPAN("{+}")},
    {SPAN("{-5}")},
    {SPAN("{5+-}")},
    {SPAN("{ 5}")},
    {SPAN("{5} ")},
    {SPAN("{5}x")},
    {SPAN("5}")},
    {SPAN("+}")},
    {SPAN("{5a}")},
    {SPAN("\"{5}\"")},
};

static void a_literal_is_announced_by_the_end_of_a_line(void **state)
{
    for (size_t i = 0; i < COUNT(literals); i++) {
        struct imap_literal l = {0};

        assert_int_equal(imap_literal_find(literals[i].line, &l), literals[i].is_literal);
        assert_int_equal(l.is_waiting, literals[i].is_waiting);
        assert_int_equal(l.is_huge, literals[i].is_huge);
        assert_int_equal(l.header, literals[i].header);
        if (!l.is_huge)
            assert_int_equal(l.size, literals[i].size);
    }
}

static const struct {
    struct span window;
    unsigned invited;
    enum imap_frame_result result;
    size_t take, text;
    bool is_dirty;
} frames[] = {
    {SPAN(""), 0, IMAP_FRAME_PARTIAL},
    {SPAN("a NOOP"), 0, IMAP_FRAME_PARTIAL},
    {SPAN("a NOOP\r"), 0, IMAP_FRAME_PARTIAL},
    {SPAN("a NOOP\r\n"), 0, IMAP_FRAME_WHOLE, 8, 6},
    {SPAN("a NOOP\nb"), 0, IMAP_FRAME_WHOLE, 7, 6},
    {SPAN("a NO\rOP\r\n"), 0, IMAP_FRAME_WHOLE, 9, 7, true},
    {SPAN("a NO\0OP\r\n"), 0, IMAP_FRAME_WHOLE, 9, 7, true},
    {SPAN("a {1}\r\n"), 0, IMAP_FRAME_INVITE, 7, 5},
    {SPAN("a {1}\r\nx\r\n"), 0, IMAP_FRAME_INVITE, 7, 5},
    {SPAN("a {1}\r\n"), 1, IMAP_FRAME_PARTIAL},
    {SPAN("a {1}\r\nx"), 1, IMAP_FRAME_PARTIAL},
    {SPAN("a {1}\r\nx\r\n"), 1, IMAP_FRAME_WHOLE, 10, 8},
    {SPAN("a {1}\nx\n"), 1, IMAP_FRAME_WHOLE, 8, 7},
    {SPAN("a {1}\r\n\n\r\n"), 1, IMAP_FRAME_WHOLE, 10, 8},
    {SPAN("a {1}\r\n\r {1}\r\ny\r\n"), 1, IMAP_FRAME_INVITE, 14, 12},
    {SPAN("a {1}\r\nx {1}\r\ny\r\n"), 2, IMAP_FRAME_WHOLE, 17, 15},
    {SPAN("a {1+}\r\nx {1-}\r\n\0\r\n"), 0, IMAP_FRAME_WHOLE, 19, 17},
    {SPAN("a {1+}\r\nx {1}\r\ny\r\n"), 0, IMAP_FRAME_INVITE, 15, 13},
    {SPAN("a {0}\r\n\r\n"), 1, IMAP_FRAME_WHOLE, 9, 7},
    {SPAN("a {1}\r\r\nx"), 0, IMAP_FRAME_WHOLE, 8, 6, true},
    {SPAN("a {16377}\r\n"), 0, IMAP_FRAME_TOO_LARGE, 11, 9},
    {SPAN("a {16373}\r\n"), 0, IMAP_FRAME_INVITE, 11, 9},
    {SPAN("a {16374}\r\n"), 0, IMAP_FRAME_TOO_LARGE, 11, 9},
    {SPAN("a {4294967296}\r\n"), 0, IMAP_FRAME_TOO_LARGE, 16, 14},
    {SPAN("a {16373+}\r\n"), 0, IMAP_FRAME_LOST, 12, 10},
    {SPAN("a {16372+}\r\n"), 0, IMAP_FRAME_PARTIAL},
    {SPAN("a {4294967297+}\r\nx\r\n"), 0, IMAP_FRAME_LOST, 17, 15},
};

static void a_command_ends_behind_its_literals(void **state)
{
    for (size_t i = 0; i < COUNT(frames); i++) {
        char *window = malloc(frames[i].window.len);
        struct imap_frame frame;

        assert_true(window != NULL || frames[i].window.len == 0);
        memcpy(window, frames[i].window.data, frames[i].window.len);
        assert_int_equal(
            imap_frame_find((struct span){window, frames[i].window.len}, frames[i].invited, &frame),
            frames[i].result);
        if (frames[i].result != IMAP_FRAME_PARTIAL) {
            assert_int_equal(frame.take, frames[i].take);
            assert_int_equal(frame.text.len, frames[i].text);
            assert_int_equal(frame.is_dirty, frames[i].is_dirty);
        }
        free(window);
    }
}

static void a_command_without_end_is_too_long(void **state)
{
    static char window[IMAP_COMMAND_MAX + 2];
    struct imap_frame frame;

    memset(window, 'a', sizeof window);
    assert_int_equal(imap_frame_find((struct span){window, IMAP_COMMAND_MAX - 1}, 0, &frame),
                     IMAP_FRAME_PARTIAL);
    for (size_t len = IMAP_COMMAND_MAX; len <= sizeof window; len++) {
        window[IMAP_COMMAND_MAX] = '\n';
        assert_int_equal(imap_frame_find((struct span){window, len}, 0, &frame),
                         IMAP_FRAME_TOO_LONG);
        assert_int_equal(frame.text.len, IMAP_COMMAND_MAX);
    }
    window[IMAP_COMMAND_MAX - 1] = '\n';
    assert_int_equal(imap_frame_find((struct span){window, sizeof window}, 0, &frame),
                     IMAP_FRAME_WHOLE);
    memcpy(window, "a {16372+}\r\n", 12); /* and no room for the line end */
    memset(window + 12, 'a', sizeof window - 12);
    assert_int_equal(imap_frame_find((struct span){window, IMAP_COMMAND_MAX}, 0, &frame),
                     IMAP_FRAME_TOO_LONG);
}

static const struct {
    struct span text;
    enum imap_token_kind kind;
    struct span token;
    size_t left;
} tokens[] = {
    {SPAN("abc def"), IMAP_TOKEN_ATOM, SPAN("abc"), 4},
    {SPAN("a%*]\xe9"), IMAP_TOKEN_ATOM, SPAN("a%*]\xe9"), 0},
    {SPAN("a(b"), IMAP_TOKEN_ATOM, SPAN("a"), 2},
    {SPAN("a{5}"), IMAP_TOKEN_ATOM, SPAN("a"), 3},
    {SPAN("a\"b"), IMAP_TOKEN_ATOM, SPAN("a"), 2},
    {SPAN("a\\"), IMAP_TOKEN_ATOM, SPAN("a"), 1},
    {SPAN("\"\" x"), IMAP_TOKEN_QUOTED, SPAN(""), 2},
    {SPAN("\"a b\""), IMAP_TOKEN_QUOTED, SPAN("a b"), 0},
    {SPAN("\"a\\\"b\"c"), IMAP_TOKEN_QUOTED, SPAN("a\\\"b"), 1},
    {SPAN("\"\\\\\"\""), IMAP_TOKEN_QUOTED, SPAN("\\\\"), 1},
    {SPAN("\"{5}\""), IMAP_TOKEN_QUOTED, SPAN("{5}"), 0},
    {SPAN("\"a"), IMAP_TOKEN_BAD},
    {SPAN("\"a\\"), IMAP_TOKEN_BAD},
    {SPAN("\"a\\\""), IMAP_TOKEN_BAD},
    {SPAN("\"\\a\""), IMAP_TOKEN_BAD},
    {SPAN("\"a\r\nb\""), IMAP_TOKEN_BAD},
    {SPAN("\"{3}\r\na\"b\""), IMAP_TOKEN_BAD},
    {SPAN("{1}"), IMAP_TOKEN_PENDING, SPAN(""), 0},
    {SPAN("{1+}"), IMAP_TOKEN_BAD},
    {SPAN("{1}\r\nab"), IMAP_TOKEN_LITERAL, SPAN("a"), 1},
    {SPAN("{3+}\n\r\n\"\""), IMAP_TOKEN_LITERAL, SPAN("\r\n\""), 1},
    {SPAN("{0-}\r\n x"), IMAP_TOKEN_LITERAL, SPAN(""), 2},
    {SPAN("{5}\r\nab"), IMAP_TOKEN_BAD},
    {SPAN("{} x"), IMAP_TOKEN_BAD},
    {SPAN("{ {5}"), IMAP_TOKEN_BAD},
    {SPAN("~{5}"), IMAP_TOKEN_ATOM, SPAN("~"), 3},
    {SPAN("(a"), IMAP_TOKEN_OPEN, SPAN("("), 1},
    {SPAN(")"), IMAP_TOKEN_CLOSE, SPAN(")"), 0},
    {SPAN(" a"), IMAP_TOKEN_BAD},
    {SPAN("\ta"), IMAP_TOKEN_BAD},
    {SPAN("\x7f"), IMAP_TOKEN_BAD},
    {SPAN(""), IMAP_TOKEN_BAD},
};

static void words_are_what_the_grammar_says(void **state)
{
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct span rest = tokens[i].text;
        struct imap_token token = imap_token_next(&rest);

        assert_int_equal(token.kind, tokens[i].kind);
        if (token.kind == IMAP_TOKEN_BAD)
            continue;
        assert_int_equal(rest.len, tokens[i].left);
        assert_int_equal(token.text.len, tokens[i].token.len);
        assert_memory_equal(token.text.data, tokens[i].token.data, token.text.len);
    }
}

static void escapes_are_undone_in_quotes_alone(void **state)
{
    static const struct imap_token quoted = {IMAP_TOKEN_QUOTED, SPAN("a\\\"\\\\b")};
    static const struct imap_token literal = {IMAP_TOKEN_LITERAL, SPAN("a\\\"")};
    char to[8];

    assert_int_equal(imap_token_octets(&quoted, NULL), 4);
    assert_int_equal(imap_token_octets(&quoted, to), 4);
    assert_memory_equal(to, "a\"\\b", 4);
    assert_int_equal(imap_token_octets(&literal, to), 3);
    assert_memory_equal(to, "a\\\"", 3);
}

static void a_tag_has_no_plus_and_an_end(void **state)
{
    static const char *const good[] = {"a", "A0001", "]", ".", "a-b/c", "}"};
    static const char *const bad[] = {"", "*", "+", "a+", "a*", "a(", "\"a\"", "a{", "%", "\\"};
    char tag[IMAP_TAG_MAX + 1];

    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(imap_is_tag(span_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(imap_is_tag(span_of(bad[i])));
    memset(tag, 'a', sizeof tag);
    assert_true(imap_is_tag((struct span){tag, IMAP_TAG_MAX}));
    assert_false(imap_is_tag((struct span){tag, IMAP_TAG_MAX + 1}));
}

/* ---- every short text, read a second time by somebody who knows the grammar alone ---- */

/* Length of the quoted string at the front; 0: none. */
static size_t naive_quoted(const char *s, size_t len)
{
    size_t i = 1;

    if (len == 0 || s[0] != '"')
        return 0;
    while (i < len && s[i] != '"') {
        if (s[i] == '\r' || s[i] == '\n')
            return 0;
        if (s[i] == '\\' && (i + 1 == len || (s[i + 1] != '"' && s[i + 1] != '\\')))
            return 0;
        i += s[i] == '\\' ? 2 : 1;
    }
    return i < len ? i + 1 : 0;
}

/* The announcement of a literal at the front, with its line end; 0: none. Digits are 5 here. */
static size_t naive_header(const char *s, size_t len, size_t *size)
{
    size_t i = 1;

    *size = 0;
    if (len == 0 || s[0] != '{')
        return 0;
    for (; i < len && s[i] == '5'; i++)
        *size = *size * 10 + 5;
    if (i == 1)
        return 0;
    if (i < len && s[i] == '+')
        i++;
    if (i >= len || s[i++] != '}')
        return 0;
    if (i < len && s[i] == '\r')
        i++;
    return i < len && s[i] == '\n' ? i + 1 : 0;
}

static void check_frame(const char *text, size_t len)
{
    struct imap_frame frame;
    size_t at = 0, size;
    bool is_whole = false;
    enum imap_frame_result result = imap_frame_find((struct span){text, len}, 9, &frame);

    while (at < len && !is_whole) {
        size_t lf = at, brace;

        while (lf < len && text[lf] != '\n')
            lf++;
        if (lf == len)
            break;
        for (brace = lf; brace > at && text[brace] != '{';)
            brace--;
        is_whole = naive_header(text + brace, lf + 1 - brace, &size) != lf + 1 - brace;
        at = lf + 1 + (is_whole ? 0 : size);
    }
    assert_int_equal(result == IMAP_FRAME_WHOLE, is_whole);
    if (is_whole)
        assert_int_equal(frame.take, at);
    else
        assert_int_equal(result, IMAP_FRAME_PARTIAL);
}

static void check_token(const char *text, size_t len)
{
    struct span rest = {text, len};
    struct imap_token token = imap_token_next(&rest);
    size_t used = len - rest.len, size, header = naive_header(text, len, &size);

    switch (token.kind) {
    case IMAP_TOKEN_QUOTED:
        assert_int_equal(naive_quoted(text, len), used);
        assert_int_equal(token.text.len, used - 2);
        break;
    case IMAP_TOKEN_LITERAL:
        assert_true(header > 0);
        assert_int_equal(used, header + size);
        assert_int_equal(token.text.len, size);
        break;
    case IMAP_TOKEN_ATOM:
        assert_true(used > 0 && token.text.len == used);
        for (size_t i = 0; i < used; i++)
            assert_non_null(memchr("a}+5", text[i], 4));
        assert_true(rest.len == 0 || memchr("a}+5", rest.data[0], 4) == NULL);
        break;
    case IMAP_TOKEN_OPEN:
    case IMAP_TOKEN_CLOSE: assert_true(used == 1 && (text[0] == '(' || text[0] == ')')); break;
    case IMAP_TOKEN_PENDING:
        assert_true(text[0] == '{' && text[1] == '5' && text[len - 1] == '}' && rest.len == 0);
        break;
    case IMAP_TOKEN_BAD:
        assert_int_equal(naive_quoted(text, len), 0);
        assert_true(header == 0 || size > len - header);
        assert_true(len == 0 || memchr("a}+5()", text[0], 6) == NULL);
        break;
    }
}

static void every_short_text_is_read_as_the_grammar_says(void **state)
{
    static const char letters[] = {'a', '"', '{', '}', '\\', '(', ')', ' ', '\r', '\n', '+', '5'};
    enum { LENGTH = 6 };

    for (size_t len = 0; len <= LENGTH; len++) {
        char *text = malloc(len);
        size_t index[LENGTH] = {0}, at;

        do {
            for (at = 0; at < len; at++)
                text[at] = letters[index[at]];
            check_frame(text, len);
            check_token(text, len);
            for (at = 0; at < len && ++index[at] == sizeof letters; at++)
                index[at] = 0;
        } while (at < len);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_is_announced_by_the_end_of_a_line),
        cmocka_unit_test(a_command_ends_behind_its_literals),
        cmocka_unit_test(a_command_without_end_is_too_long),
        cmocka_unit_test(words_are_what_the_grammar_says),
        cmocka_unit_test(escapes_are_undone_in_quotes_alone),
        cmocka_unit_test(a_tag_has_no_plus_and_an_end),
        cmocka_unit_test(every_short_text_is_read_as_the_grammar_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
