/* SPDX-License-Identifier: ISC */
/* Lines out of a window: where they end, what is inside, and when they are too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/line.h"

static const struct {
    struct span window;
    enum line_result result;
    size_t text, take;
    bool is_crlf, is_dirty;
} row[] = {
    {SPAN(""), LINE_PARTIAL},
    {SPAN("a"), LINE_PARTIAL},
    {SPAN("a\r"), LINE_PARTIAL},
    {SPAN("\n"), LINE_FOUND, 0, 1},
    {SPAN("\r\n"), LINE_FOUND, 0, 2, true},
    {SPAN("a\nb"), LINE_FOUND, 1, 2},
    {SPAN("a\r\nb\r\n"), LINE_FOUND, 1, 3, true},
    {SPAN("a\r\r\n"), LINE_FOUND, 2, 4, true, true},
    {SPAN("\ra\n"), LINE_FOUND, 2, 3, false, true},
    {SPAN("a\0\n"), LINE_FOUND, 2, 3, false, true},
    {SPAN("\0\r\n"), LINE_FOUND, 1, 3, true, true},
    {SPAN("1234567\n"), LINE_FOUND, 7, 8},
    {SPAN("123456\r\n"), LINE_FOUND, 6, 8, true},
    {SPAN("1234567"), LINE_PARTIAL},
    {SPAN("12345678"), LINE_TOO_LONG},
    {SPAN("12345678\n"), LINE_TOO_LONG},
    {SPAN("1234567\r\n"), LINE_TOO_LONG},
};

static void lines_end_where_they_end(void **state)
{
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char *exact = malloc(row[i].window.len);
        struct line line;
        enum line_result result;

        if (row[i].window.len > 0)
            memcpy(exact, row[i].window.data, row[i].window.len);
        result = line_find((struct span){exact, row[i].window.len}, 8, &line);
        assert_int_equal(result, row[i].result);
        if (result == LINE_FOUND) {
            assert_ptr_equal(line.text.data, exact);
            assert_int_equal(line.text.len, row[i].text);
            assert_int_equal(line.take, row[i].take);
            assert_int_equal(line.is_crlf, row[i].is_crlf);
            assert_int_equal(line.is_dirty, row[i].is_dirty);
        }
        free(exact);
    }
}

static void an_empty_window_may_have_no_address(void **state)
{
    struct line line;

    assert_int_equal(line_find((struct span){0}, 8, &line), LINE_PARTIAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_where_they_end),
        cmocka_unit_test(an_empty_window_may_have_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
