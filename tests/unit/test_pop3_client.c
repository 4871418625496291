/* SPDX-License-Identifier: ISC */
/* Where a backend's replies begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/pop3_client.h"

static void a_reply_begins_with_its_status(void **state)
{
    static const struct {
        struct span window;
        enum pop3_reply reply;
    } row[] = {
        {SPAN(""), POP3_REPLY_PARTIAL},         {SPAN("+OK"), POP3_REPLY_PARTIAL},
        {SPAN("+OK\r"), POP3_REPLY_PARTIAL},    {SPAN("+OK\r\n"), POP3_REPLY_OK},
        {SPAN("+OK\n"), POP3_REPLY_OK},         {SPAN("+ok x\r\n"), POP3_REPLY_OK},
        {SPAN("+OK, x\r\n"), POP3_REPLY_OK},    {SPAN("+OK<1@x>\r\n"), POP3_REPLY_OK},
        {SPAN("+OKAY\r\n"), POP3_REPLY_BAD},    {SPAN("+OK1\r\n"), POP3_REPLY_BAD},
        {SPAN("-ERR\r\n"), POP3_REPLY_ERR},     {SPAN("-ERR [AUTH] x\r\n"), POP3_REPLY_ERR},
        {SPAN("-err\r\n"), POP3_REPLY_ERR},     {SPAN("-ERRx\r\n"), POP3_REPLY_BAD},
        {SPAN("-\r\n"), POP3_REPLY_BAD},        {SPAN("+\r\n"), POP3_REPLY_CHALLENGE},
        {SPAN("+ \r\n"), POP3_REPLY_CHALLENGE}, {SPAN("+ OK\r\n"), POP3_REPLY_CHALLENGE},
        {SPAN("+x\r\n"), POP3_REPLY_BAD},       {SPAN(" +OK\r\n"), POP3_REPLY_BAD},
        {SPAN("\r\n"), POP3_REPLY_BAD},         {SPAN("220 x\r\n"), POP3_REPLY_BAD},
        {SPAN("* OK x\r\n"), POP3_REPLY_BAD},   {SPAN("+OK a\rb\r\n"), POP3_REPLY_BAD},
        {SPAN("+OK a\0b\r\n"), POP3_REPLY_BAD}, {SPAN("+OK a very long line\r\n"), POP3_REPLY_BAD},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct line line;

        assert_int_equal(pop3_reply_find(row[i].window, 20, &line), row[i].reply);
    }
}

static void nothing_stands_behind_a_greeting(void **state)
{
    static const struct {
        struct span window;
        enum pop3_reply reply;
    } row[] = {
        {SPAN("+OK x\r\n"), POP3_REPLY_OK},         {SPAN("+OK x\r\n+"), POP3_REPLY_BAD},
        {SPAN("+OK x\r\n\r\n"), POP3_REPLY_BAD},    {SPAN("-ERR x\r\n"), POP3_REPLY_ERR},
        {SPAN("-ERR x\r\nfoo"), POP3_REPLY_ERR},    {SPAN("+ x\r\n"), POP3_REPLY_BAD},
        {SPAN("HTTP/1.1 400\r\n"), POP3_REPLY_BAD}, {SPAN("+OK x"), POP3_REPLY_PARTIAL},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct line line;

        assert_int_equal(pop3_greeting_find(row[i].window, &line), row[i].reply);
    }
}

static void a_list_ends_with_its_dot(void **state)
{
    static const struct {
        struct span window;
        enum pop3_list list;
        size_t len;
    } row[] = {
        {SPAN("+OK\r\n"), POP3_LIST_PARTIAL, 0},
        {SPAN("+OK\r\nA\r\n."), POP3_LIST_PARTIAL, 0},
        {SPAN("+OK\r\nA\r\n.\r"), POP3_LIST_PARTIAL, 0},
        {SPAN("+OK\r\n.\r\n"), POP3_LIST_WHOLE, 8},
        {SPAN("+OK\n.\n"), POP3_LIST_WHOLE, 6},
        {SPAN("+OK\r\nA\r\nB C\n.\r\n+OK\r\n"), POP3_LIST_WHOLE, 15},
        {SPAN("+OK\r\n..\r\n..a\r\n.\r\n"), POP3_LIST_WHOLE, 17},
        {SPAN("+OK\r\n\r\n.\r\n"), POP3_LIST_WHOLE, 10},
        {SPAN("+OK\r\n.a\r\n.\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\n. \r\n.\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\nA\rB\r\n.\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\nA\0B\r\n.\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\n.\r\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\n+OK\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\nA\r\n-ERR x\r\n"), POP3_LIST_BAD, 0},
        {SPAN("+OK\r\n+OKAY\r\n-A\r\n.\r\n"), POP3_LIST_WHOLE, 19},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        size_t len = 0;

        assert_int_equal(pop3_list_find(row[i].window, &len), row[i].list);
        if (row[i].list == POP3_LIST_WHOLE)
            assert_int_equal(len, row[i].len);
    }
}

static void a_list_has_a_limit(void **state)
{
    static char window[POP3_LIST_MAX + 1];
    size_t len = 0;

    memset(window, 'A', sizeof window);
    memcpy(window, "+OK\n", 4);
    memcpy(window + POP3_LIST_MAX - 4, "\r\n.\n", 4);
    assert_int_equal(pop3_list_find((struct span){window, POP3_LIST_MAX - 1}, &len),
                     POP3_LIST_PARTIAL);
    assert_int_equal(pop3_list_find((struct span){window, POP3_LIST_MAX}, &len), POP3_LIST_WHOLE);
    assert_int_equal(len, POP3_LIST_MAX);
    memcpy(window + POP3_LIST_MAX - 4, "A\r\n.\n", 5);
    assert_int_equal(pop3_list_find((struct span){window, POP3_LIST_MAX}, &len), POP3_LIST_BAD);
    assert_int_equal(pop3_list_find((struct span){window, POP3_LIST_MAX + 1}, &len), POP3_LIST_BAD);
}

static void its_lines_come_one_by_one(void **state)
{
    static const char *const wanted[] = {"+OK x", "A", "..", "B C"};
    struct span list = SPAN("+OK x\r\nA\n..\r\nB C\r\n.\r\n"), text;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_true(pop3_list_next(&list, &text));
        assert_true(span_equals(text, span_of(wanted[i])));
    }
    assert_false(pop3_list_next(&list, &text));
    assert_int_equal(list.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_begins_with_its_status),
        cmocka_unit_test(nothing_stands_behind_a_greeting),
        cmocka_unit_test(a_list_ends_with_its_dot),
        cmocka_unit_test(a_list_has_a_limit),
        cmocka_unit_test(its_lines_come_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
