/* SPDX-License-Identifier: ISC */
/* A line of a server: what it is, its code, and where its capabilities stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/imap_response.h"

static const struct {
    struct span line;
    enum imap_response_kind kind;
    enum imap_status status;
    const char *tag, *code, *capabilities;
} row[] = {
    {SPAN("+"), IMAP_RESPONSE_CONTINUATION},
    {SPAN("+ "), IMAP_RESPONSE_CONTINUATION},
    {SPAN("+ VXNlcg=="), IMAP_RESPONSE_CONTINUATION},
    {SPAN("* OK"), IMAP_RESPONSE_STATUS, IMAP_STATUS_OK},
    {SPAN("* OK hi [CAPABILITY X]"), IMAP_RESPONSE_STATUS, IMAP_STATUS_OK},
    {SPAN("* ok [ALERT] x"), IMAP_RESPONSE_STATUS, IMAP_STATUS_OK, .code = "ALERT"},
    {SPAN("* NO [UNAVAILABLE"), IMAP_RESPONSE_STATUS, IMAP_STATUS_NO, .code = "UNAVAILABLE"},
    {SPAN("* BYE []"), IMAP_RESPONSE_STATUS, IMAP_STATUS_BYE},
    {SPAN("* PREAUTH x"), IMAP_RESPONSE_STATUS, IMAP_STATUS_PREAUTH},
    {SPAN("a1 OK [CAPABILITY A B] x"), IMAP_RESPONSE_STATUS, IMAP_STATUS_OK, "a1", "CAPABILITY",
     " A B"},
    {SPAN("a1 NO  [capability A]"), IMAP_RESPONSE_STATUS, IMAP_STATUS_NO, "a1", "capability", " A"},
    {SPAN("* OK [CAPABILITY]"), IMAP_RESPONSE_STATUS, IMAP_STATUS_OK, .code = "CAPABILITY",
     .capabilities = ""},
    {SPAN("] BAD"), IMAP_RESPONSE_STATUS, IMAP_STATUS_BAD, "]"},
    {SPAN("OK OK"), IMAP_RESPONSE_STATUS, IMAP_STATUS_OK, "OK"},
    {SPAN("* CAPABILITY"), IMAP_RESPONSE_CAPABILITY, .capabilities = ""},
    {SPAN("* Capability A  B "), IMAP_RESPONSE_CAPABILITY, .capabilities = " A  B "},
    {SPAN("* ID NIL"), IMAP_RESPONSE_DATA},
    {SPAN("* 5 EXISTS"), IMAP_RESPONSE_DATA},
    {SPAN("* OKAY"), IMAP_RESPONSE_DATA},
    {SPAN("* CAPABILITYX"), IMAP_RESPONSE_DATA},
    {SPAN("* X {5}"), IMAP_RESPONSE_DATA},
    {SPAN("")},
    {SPAN("*")},
    {SPAN("* ")},
    {SPAN("*  OK")},
    {SPAN("*OK")},
    {SPAN(" * OK")},
    {SPAN("++ x")},
    {SPAN("+OK x")},
    {SPAN("a")},
    {SPAN("a ")},
    {SPAN("a  OK")},
    {SPAN("a BYE")},
    {SPAN("a PREAUTH")},
    {SPAN("a CAPABILITY")},
    {SPAN("a+ OK")},
    {SPAN("a* OK")},
    {SPAN("* \"X\" y")},
    {SPAN("* OK [CAPABILITY A")},
    {SPAN("a OK [CAPABILITY")},
    {SPAN("* OK x {5}")},
    {SPAN("a NO x{5+}")},
    {SPAN("+ {5}")},
    {SPAN("* CAPABILITY A {5}")},
    {SPAN("* X y{5}")},
    {SPAN("* X \"y {5}")},
    {SPAN("* X {4294967296}")},
};

static void compare(size_t i, struct span got, const char *wanted)
{
    if (!span_equals(got, span_of(wanted)))
        fail_msg("row %zu: %.*s instead of %s", i, (int)got.len, got.data, wanted);
}

static void a_line_is_what_it_begins_with(void **state)
{
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct imap_response r = imap_response_parse(row[i].line);

        if (r.kind != row[i].kind || r.status != row[i].status)
            fail_msg("row %zu: kind %d, status %d", i, r.kind, r.status);
        compare(i, r.tag, row[i].tag);
        compare(i, r.code, row[i].code);
        compare(i, r.capabilities, row[i].capabilities);
        assert_int_equal(r.capabilities.data != NULL, row[i].capabilities != NULL);
        /* Whoever rewrites the list cuts the line there. */
        if (r.capabilities.data != NULL)
            assert_true(r.capabilities.data > row[i].line.data &&
                        r.capabilities.data + r.capabilities.len <=
                            row[i].line.data + row[i].line.len);
    }
}

static const struct {
    struct span line;
    bool is_good, has_literal;
} rest[] = {
    {SPAN(""), true},
    {SPAN(")"), true},
    {SPAN(" \"x\")"), true},
    {SPAN(" {5}"), true, true},
    {SPAN("{5}"), true, true},
    {SPAN(" ({0}"), true, true},
    {SPAN(" ~{5}"), true, true},
    {SPAN("x {5}"), true, true},
    {SPAN("x {5+}"), false},
    {SPAN("x {0-}"), false},
    {SPAN(" \"\\\"\" {5}"), true, true},
    {SPAN(" \"{5}"), false},
    {SPAN(" \"\\\" {5}"), false},
    {SPAN("x{5}"), false},
    {SPAN("x~{5}"), false},
    {SPAN(" {99999999999}"), false},
    {SPAN(" {5} "), true},
    {SPAN("a OK {5"), true},
};

static void a_line_goes_on_behind_a_literal(void **state)
{
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        struct imap_response r = {.kind = IMAP_RESPONSE_DATA};
        bool is_good = imap_response_continue(rest[i].line, &r);

        if (is_good != rest[i].is_good || (is_good && r.has_literal != rest[i].has_literal))
            fail_msg("row %zu: good %d, literal %d", i, is_good, r.has_literal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_what_it_begins_with),
        cmocka_unit_test(a_line_goes_on_behind_a_literal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
