/* SPDX-License-Identifier: ISC */
/* Capabilities: what is kept of them, and what several backends have in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/learned.h"

/* One capability a line. NULL: not known. */
static struct learned learned_of(const char *text)
{
    struct learned l = {.is_known = text != NULL};

    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, "\n");

        learned_add(&l, (struct span){text, len});
        text += len + (text[len] == '\n');
    }
    return l;
}

static void is_exactly(const struct learned *l, const char *text)
{
    char seen[LEARNED_MAX + 1];

    assert_int_equal(l->is_known, text != NULL);
    memcpy(seen, l->text, l->len);
    seen[l->len] = '\0';
    assert_string_equal(seen, text == NULL ? "" : text);
}

static void only_printable_lines_are_kept(void **state)
{
    static const struct {
        const char *given, *kept;
    } row[] = {
        {"SIZE 1000\nPIPELINING", "SIZE 1000\nPIPELINING\n"},
        {"  SIZE 1000  \n", "SIZE 1000\n"},
        {"\n   \nDSN", "DSN\n"},
        {"A\tB\nC", "C\n"},
        {"A\x01\nB\x7f\nC\xc3\xa4\nD\r\nE", "E\n"},
        {"SIZE 1\nsize 2\nSIZER 3", "SIZE 1\nSIZER 3\n"},
        {"IMAP4rev1\nAUTH=PLAIN\nAUTH=LOGIN", "IMAP4rev1\nAUTH=PLAIN\nAUTH=LOGIN\n"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct learned l = learned_of(row[i].given);

        is_exactly(&l, row[i].kept);
    }
}

static void whole_lines_that_do_not_fit_are_left_out(void **state)
{
    struct learned l = {.is_known = true};
    char line[LEARNED_MAX];

    memset(line, 'a', sizeof line);
    learned_add(&l, (struct span){line, LEARNED_MAX});
    assert_int_equal(l.len, 0);
    learned_add(&l, (struct span){line, LEARNED_MAX - 3}); /* leaves two octets */
    assert_int_equal(l.len, LEARNED_MAX - 2);
    learned_add(&l, (struct span)SPAN("BB"));
    assert_int_equal(l.len, LEARNED_MAX - 2);
    learned_add(&l, (struct span)SPAN("B"));
    assert_int_equal(l.len, LEARNED_MAX);
    assert_memory_equal(l.text + LEARNED_MAX - 3, "\nB\n", 3);
    learned_add(&l, (struct span)SPAN(""));
    assert_int_equal(l.len, LEARNED_MAX);
}

static void lines_come_back_one_by_one(void **state)
{
    const struct learned l = learned_of("SIZE 1000\nAUTH PLAIN LOGIN");
    struct span line;
    size_t at = 0;

    assert_true(learned_next(&l, &at, &line));
    assert_true(span_equals(line, (struct span)SPAN("SIZE 1000")));
    assert_true(span_equals(learned_keyword(line), (struct span)SPAN("SIZE")));
    assert_true(learned_next(&l, &at, &line));
    assert_true(span_equals(line, (struct span)SPAN("AUTH PLAIN LOGIN")));
    assert_false(learned_next(&l, &at, &line));
    assert_false(learned_next(&l, &at, &line));
}

static void several_have_in_common_what_all_have(void **state)
{
    static const struct {
        const char *a, *b, *common;
    } row[] = {
        {"PIPELINING\n8BITMIME\nDSN", "DSN\nPIPELINING", "PIPELINING\nDSN\n"},
        {"Pipelining", "PIPELINING", "Pipelining\n"},
        {"SIZE 1000", "SIZE 1000", "SIZE 1000\n"},
        {"SIZE 1000", "SIZE 2000", "SIZE\n"},
        {"SIZE", "SIZE 2000", "SIZE\n"},
        {"SIZE 1000", "SIZE", "SIZE\n"},
        {"AUTH PLAIN LOGIN X", "AUTH  login   plain", "AUTH PLAIN LOGIN\n"},
        {"AUTH PLAIN", "AUTH LOGIN", ""},
        {"AUTH PLAIN\nDSN", "AUTH LOGIN\nDSN", "DSN\n"},
        {"AUTH PLAIN", "AUTH", "AUTH\n"},
        {"AUTH PLAIN", "AUTHX PLAIN", ""},
        {"EXPIRE 60", "EXPIRE NEVER", "EXPIRE\n"},
        {"EXPIRE NEVER", "EXPIRE 60", ""},
        {"AUTH=PLAIN\nIDLE", "IDLE\nAUTH=LOGIN", "IDLE\n"},
        {"", "DSN", ""},
        {"DSN", "", ""},
        {NULL, "DSN", "DSN\n"},
        {"DSN", NULL, "DSN\n"},
        {NULL, "", ""},
        {NULL, NULL, NULL},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct learned a = learned_of(row[i].a);
        const struct learned b = learned_of(row[i].b);

        learned_intersect(&a, &b);
        is_exactly(&a, row[i].common);
    }
}

static void the_longest_list_is_common_to_itself(void **state)
{
    struct learned l = {.is_known = true}, same;

    for (char c = 'a'; c <= 'z'; c++) {
        char line[38];

        memset(line, c, sizeof line);
        memcpy(line + 10, " 1 2 3", 6);
        learned_add(&l, (struct span){line, sizeof line});
    }
    assert_true(l.len > LEARNED_MAX - 40);
    same = l;
    learned_intersect(&same, &l);
    assert_int_equal(same.len, l.len);
    assert_memory_equal(same.text, l.text, l.len);
}

static void only_who_speaks_in_the_clear_has_to_learn(void **state)
{
    static const char *const word[] = {"SIZE"};
    struct policy p = {.tls = FRONT_STARTTLS, .is_enforced = false};

    assert_true(policy_learns(&p));
    p.capabilities = (struct words){word, 1};
    assert_false(policy_learns(&p));
    p = (struct policy){.tls = FRONT_STARTTLS, .is_enforced = true};
    assert_false(policy_learns(&p));
    p = (struct policy){.tls = FRONT_IMPLICIT};
    assert_false(policy_learns(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_printable_lines_are_kept),
        cmocka_unit_test(whole_lines_that_do_not_fit_are_left_out),
        cmocka_unit_test(lines_come_back_one_by_one),
        cmocka_unit_test(several_have_in_common_what_all_have),
        cmocka_unit_test(the_longest_list_is_common_to_itself),
        cmocka_unit_test(only_who_speaks_in_the_clear_has_to_learn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
