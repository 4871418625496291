/* SPDX-License-Identifier: ISC */
/* Which SASL mechanisms may pass a TLS terminator, and which lines nobody can take for a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/sasl.h"

static void mechanisms(void **state)
{
    static const struct {
        const char *name;
        bool with_layer, without;
    } row[] = {
        {"PLAIN", true, true},
        {"LOGIN", true, true},
        {"CRAM-MD5", true, true},
        {"XOAUTH2", true, true},
        {"OAUTHBEARER", true, true},
        {"SCRAM-SHA-1", true, true},
        {"SCRAM-SHA-256", true, true},
        {"SCRAM-SHA-256-PLUS", false, false},
        {"scram-sha-1-Plus", false, false},
        {"GS2-KRB5-PLUS", false, false},
        {"PLUS", true, true},
        {"X-PLUSX", true, true},
        {"EXTERNAL", false, false},
        {"external", false, false},
        {"EXTERNALX", true, true},
        {"ANONYMOUS", false, false},
        {"Anonymous", false, false},
        {"GSSAPI", true, false},
        {"gssapi", true, false},
        {"GSSAPIX", true, true},
        {"GSS-SPNEGO", true, false},
        {"DIGEST-MD5", true, false},
        {"NTLM", true, false},
        {"SRP", true, false},
        {"KERBEROS_V4", true, false},
        {"", false, false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        if (sasl_may_pass(span_of(row[i].name), true) != row[i].with_layer ||
            sasl_may_pass(span_of(row[i].name), false) != row[i].without)
            fail_msg("%s", row[i].name);
}

static void responses(void **state)
{
    static const struct {
        struct span text;
        bool is_one;
    } row[] = {
        {SPAN(""), true},           {SPAN("*"), true},      {SPAN("="), true},
        {SPAN("AbZz09+/=="), true}, {SPAN("MAIL"), true},   {SPAN("**"), false},
        {SPAN("*a"), false},        {SPAN("a*"), false},    {SPAN(" "), false},
        {SPAN("a b"), false},       {SPAN("a "), false},    {SPAN("a-b"), false},
        {SPAN("a_b"), false},       {SPAN("a\0"), false},   {SPAN("a\r"), false},
        {SPAN("a:b"), false},       {SPAN("<a@b>"), false}, {SPAN("\xff"), false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        if (sasl_is_response(row[i].text) != row[i].is_one)
            fail_msg("row %zu", i);
    assert_false(sasl_is_initial((struct span)SPAN("*")));
    assert_true(sasl_is_initial((struct span)SPAN("=")));
    assert_true(sasl_is_initial((struct span)SPAN("")));
    assert_false(sasl_is_initial((struct span)SPAN("a_b")));
}

static void octets_of_base64_and_no_others(void **state)
{
    static const char base64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

    for (int c = 0; c < 256; c++) {
        const char text[] = {'a', (char)c};
        bool wanted = memchr(base64, c, sizeof base64 - 1) != NULL;

        if (sasl_is_response((struct span){text, 2}) != wanted)
            fail_msg("octet %d", c);
    }
}

static void names_of_mechanisms(void **state)
{
    static const struct {
        struct span name;
        bool is_one;
    } row[] = {
        {SPAN("PLAIN"), true},   {SPAN("x_own-1"), true}, {SPAN("ABCDEFGHIJKLMNOPQRST"), true},
        {SPAN(""), false},       {SPAN("PL AIN"), false}, {SPAN("ABCDEFGHIJKLMNOPQRSTU"), false},
        {SPAN("PLAIN="), false}, {SPAN("*"), false},      {SPAN("\xc3\xa4"), false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        assert_int_equal(sasl_is_mechanism(row[i].name), row[i].is_one);
}

static void lines_of_an_exchange(void **state)
{
    static char text[SASL_LINE_MAX + 1];
    struct line line;

    assert_int_equal(sasl_line_find((struct span)SPAN("YQ=="), &line), SASL_PARTIAL);
    assert_int_equal(sasl_line_find((struct span)SPAN("YQ==\r\nx"), &line), SASL_RESPONSE);
    assert_int_equal(line.take, 6);
    assert_int_equal(sasl_line_find((struct span)SPAN("*\n"), &line), SASL_RESPONSE);
    assert_int_equal(sasl_line_find((struct span)SPAN("QUIT x\r\n"), &line), SASL_BAD);
    assert_int_equal(line.take, 8);
    assert_int_equal(sasl_line_find((struct span)SPAN("YQ\r=\r\n"), &line), SASL_BAD);
    memset(text, 'a', sizeof text);
    assert_int_equal(sasl_line_find((struct span){text, SASL_LINE_MAX - 1}, &line), SASL_PARTIAL);
    assert_int_equal(sasl_line_find((struct span){text, SASL_LINE_MAX}, &line), SASL_TOO_LONG);
    text[SASL_LINE_MAX - 1] = '\n';
    assert_int_equal(sasl_line_find((struct span){text, sizeof text}, &line), SASL_RESPONSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mechanisms),
        cmocka_unit_test(responses),
        cmocka_unit_test(names_of_mechanisms),
        cmocka_unit_test(lines_of_an_exchange),
        cmocka_unit_test(octets_of_base64_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
