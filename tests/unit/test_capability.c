/* SPDX-License-Identifier: ISC */
/* Where capabilities come from while no backend is asked, and how a filtered list is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/capability.h"
#include "protocols/learned.h"
#include "protocols/word.h"

static const struct span fallback[] = {SPAN("TOP"), SPAN("UIDL")};

static void expect_source(const struct policy *policy, const struct learned *learned,
                          const char *const *want)
{
    struct capability_source source = {
        .policy = policy, .learned = learned, .fallback = fallback, .fallback_count = 2};
    struct span got;

    for (; *want != NULL; want++) {
        assert_true(capability_next(&source, &got));
        assert_int_equal(got.len, strlen(*want));
        assert_memory_equal(got.data, *want, got.len);
    }
    assert_false(capability_next(&source, &got));
}

static void the_administrator_comes_first(void **state)
{
    static const char *const own[] = {"SASL=PLAIN,LOGIN", "UIDL"};
    static const struct policy written = {.capabilities = {own, 2}}, silent = {0};
    struct learned learned = {.is_known = true}, unknown = {0};

    learned_add(&learned, (struct span)SPAN("SIZE 10"));
    expect_source(&written, &learned, (const char *const[]){"SASL PLAIN LOGIN", "UIDL", NULL});
    expect_source(&silent, &learned, (const char *const[]){"SIZE 10", NULL});
    expect_source(&silent, &unknown, (const char *const[]){"TOP", "UIDL", NULL});
    expect_source(&silent, NULL, (const char *const[]){"TOP", "UIDL", NULL});
}

/* With `size` octets of room, no octet more. */
static void expect_written(size_t size, const char *want)
{
    static const struct span two[] = {SPAN("LONG"), SPAN("ER")};
    char *space = malloc(size);
    struct capability_writer w = {
        .space = space, .size = size, .prefix = SPAN(" "), .end = SPAN("\n")};
    struct span got;

    capability_write_text(&w, (struct span)SPAN("A"));
    capability_write(&w, two, 2);
    capability_write_mechanisms(&w, (struct span)SPAN("SASL"), (struct span)SPAN(" "),
                                (struct span)SPAN(" PLAIN\t EXTERNAL  LOGIN X-PLUS A,B =C "),
                                false);
    capability_write_mechanisms(&w, (struct span)SPAN("AUTH"), (struct span)SPAN("="),
                                (struct span)SPAN("ANONYMOUS NTLM"), false);
    capability_write_text(&w, (struct span)SPAN("B"));
    got = capability_written(&w);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
    free(space);
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    expect_written(100, " A\n LONGER\n SASL PLAIN LOGIN\n B\n");
    expect_written(32, " A\n LONGER\n SASL PLAIN LOGIN\n B\n");
    expect_written(31, " A\n LONGER\n SASL PLAIN LOGIN\n");
    expect_written(28, " A\n LONGER\n B\n");
    expect_written(10, " A\n B\n");
    expect_written(5, " A\n");
    expect_written(2, "");
}

static void keywords_are_hidden_in_any_case(void **state)
{
    static const char *const words[] = {"Chunking", "X"};
    static const struct policy policy = {.hide_capabilities = {words, 2}};

    assert_true(capability_is_hidden(&policy, (struct span)SPAN("CHUNKING")));
    assert_true(capability_is_hidden(&policy, (struct span)SPAN("x")));
    assert_false(capability_is_hidden(&policy, (struct span)SPAN("CHUNKIN")));
    assert_true(capability_is_among((struct span)SPAN("top"), fallback, 2));
    assert_false(capability_is_among((struct span)SPAN("top"), fallback, 0));
}

static void words_are_what_blanks_separate(void **state)
{
    struct span rest = SPAN(" \t one\v\ftwo ");

    assert_true(span_equals(word_next(&rest), (struct span)SPAN("one")));
    assert_true(span_equals(word_next(&rest), (struct span)SPAN("two")));
    assert_int_equal(word_next(&rest).len, 0);
    assert_int_equal(rest.len, 0);
    assert_true(span_equals(word_trim((struct span)SPAN(" \ta b\f")), (struct span)SPAN("a b")));
    assert_int_equal(word_trim((struct span)SPAN("  ")).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_administrator_comes_first),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
        cmocka_unit_test(keywords_are_hidden_in_any_case),
        cmocka_unit_test(words_are_what_blanks_separate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
