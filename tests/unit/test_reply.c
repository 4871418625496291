/* SPDX-License-Identifier: ISC */
/* Lines of SMTP replies, taken apart and put together; the table of modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/protocol.h"
#include "protocols/reply.h"

static const struct {
    const char *text;
    unsigned code; /* 0: no reply */
    bool is_last;
} row[] = {
    {"250 ok", 250, true},
    {"250-ok", 250, false},
    {"250", 250, true},
    {"250 ", 250, true},
    {"250-", 250, false},
    {"199 x", 0},
    {"200 x", 200, true},
    {"599 x", 599, true},
    {"571 x", 571, true},
    {"600 x", 0},
    {"000 x", 0},
    {"25 ok", 0},
    {"25", 0},
    {"", 0},
    {"2500 x", 0},
    {"250\tx", 0},
    {"250_x", 0},
    {" 250 x", 0},
    {"2a0 x", 0},
    {"25a x", 0},
    {"a50 x", 0},
    {"250+x", 0},
    {"25: x", 0},
    {"2/0 x", 0},
};

static void replies_have_a_code_and_a_separator(void **state)
{
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct reply_line reply;

        assert_int_equal(reply_line_parse(span_of(row[i].text), &reply), row[i].code != 0);
        if (row[i].code == 0)
            continue;
        assert_int_equal(reply.code, row[i].code);
        assert_int_equal(reply.is_last, row[i].is_last);
    }
}

static void parts_are_joined(void **state)
{
    const struct span part[] = {SPAN("220 "), SPAN(""), {NULL, 0}, SPAN("mx"), SPAN("\r\n")};
    char space[8];
    struct span whole = reply_join(space, sizeof(space), part, 5);

    assert_int_equal(whole.len, 8);
    assert_memory_equal(whole.data, "220 mx\r\n", 8);
}

static void modules_are_found_by_name(void **state)
{
    const struct protocol *protocol;

    for (size_t i = 0; (protocol = protocol_at(i)) != NULL; i++)
        assert_ptr_equal(protocol_find(span_of(protocol->name)), protocol);
    assert_ptr_equal(protocol_find(span_of("pop3")), &pop3_protocol);
    assert_ptr_equal(protocol_find(span_of("SMTP")), &smtp_protocol);
    assert_null(protocol_find(span_of("smt")));
    assert_null(protocol_find(span_of("")));
    assert_ptr_equal(protocol_at(0), &smtp_protocol);
    assert_null(protocol_at(SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_have_a_code_and_a_separator),
        cmocka_unit_test(parts_are_joined),
        cmocka_unit_test(modules_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
