/* SPDX-License-Identifier: ISC */
/* JSON as a parser wants it: commas, brackets, escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/json.h"

static char *text;
static size_t size;

static struct json begin(void)
{
    return (struct json){.to = open_memstream(&text, &size)};
}

static void assert_written(struct json *j, const char *expected)
{
    fclose(j->to);
    assert_string_equal(text, expected);
    free(text);
}

static void members_and_items_are_parted_by_commas(void **state)
{
    struct json j = begin();

    json_begin(&j, NULL, '{');
    json_begin(&j, "empty", '[');
    json_end(&j, ']');
    json_begin(&j, "list", '[');
    json_integer(&j, NULL, -3);
    json_begin(&j, NULL, '{');
    json_bool(&j, "a", true);
    json_end(&j, '}');
    json_null(&j, NULL);
    json_end(&j, ']');
    json_number(&j, "n", 1.25);
    json_text(&j, "t", NULL);
    json_end(&j, '}');
    assert_written(&j, "{\"empty\":[],\"list\":[-3,{\"a\":true},null],\"n\":1.250,\"t\":null}");
}

static void every_octet_has_a_way_to_be_written(void **state)
{
    struct json j = begin();

    json_span(&j, NULL, (struct span)SPAN("a\"\\/=\b\n\0\x7f\xc3\xa4\xff"));
    assert_written(&j, "\"a\\\"\\\\/=\\u0008\\u000a\\u0000\\u007f\xc3\xa4\\ufffd\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_items_are_parted_by_commas),
        cmocka_unit_test(every_octet_has_a_way_to_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
