/* SPDX-License-Identifier: ISC */
/* POP3 command lines taken apart, and verbs that no administrator can let pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/pop3_verb.h"

static void same(struct span got, const char *wanted)
{
    if (got.len != strlen(wanted) || (got.len > 0 && memcmp(got.data, wanted, got.len) != 0))
        fail_msg("'%.*s' instead of '%s'", (int)got.len, got.data, wanted);
}

static void a_line_is_a_verb_and_the_rest(void **state)
{
    static const struct {
        struct span line;
        enum pop3_verb verb;
        const char *word, *argument;
        bool is_well_formed;
    } row[] = {
        {SPAN("CAPA"), VERB_CAPA, "CAPA", "", true},
        {SPAN("capa \t"), VERB_CAPA, "CAPA", "", true},
        {SPAN("CAPA x"), VERB_CAPA, "CAPA", "x", false},
        {SPAN("Auth"), VERB_AUTH, "AUTH", "", true},
        {SPAN("auth  plain  x= "), VERB_AUTH, "AUTH", "plain  x=", true},
        {SPAN("USER a b"), VERB_USER, "USER", "a b", true},
        {SPAN("user  a "), VERB_USER, "USER", " a ", true},
        {SPAN("USER"), VERB_USER, "USER", "", false},
        {SPAN("USER "), VERB_USER, "USER", "", false},
        {SPAN("PASS  "), VERB_PASS, "PASS", " ", true},
        {SPAN("pass\tx\ty\t"), VERB_PASS, "PASS", "x\ty\t", true},
        {SPAN("PASS \xe4\xf6\x85"), VERB_PASS, "PASS", "\xe4\xf6\x85", true},
        {SPAN("APOP a  b "), VERB_APOP, "APOP", "a  b", true},
        {SPAN("APOP\t a b\t"), VERB_APOP, "APOP", "a b", true},
        {SPAN("APOP a\tb"), VERB_APOP, "APOP", "a\tb", false},
        {SPAN("APOP a b\tc"), VERB_APOP, "APOP", "a b\tc", false},
        {SPAN("APOP"), VERB_APOP, "APOP", "", false},
        {SPAN("APOP \xe4 b"), VERB_APOP, "APOP", "\xe4 b", false},
        {SPAN("QUIT"), VERB_QUIT, "QUIT", "", true},
        {SPAN("QUIT now"), VERB_QUIT, "QUIT", "now", false},
        {SPAN("sTLS "), VERB_STLS, "STLS", "", true},
        {SPAN("STLS x"), VERB_STLS, "STLS", "x", false},
        {SPAN("UTF8"), VERB_UTF8, "UTF8", "", true},
        {SPAN("UTF8 USER"), VERB_UTF8, "UTF8", "USER", false},
        {SPAN("lang"), VERB_LANG, "LANG", "", true},
        {SPAN("LANG *"), VERB_LANG, "LANG", "*", true},
        {SPAN("LANG e\tn"), VERB_LANG, "LANG", "e\tn", false},
        {SPAN("AUTH plain\tx="), VERB_AUTH, "AUTH", "plain\tx=", true},
        {SPAN("LANG \x8d"), VERB_LANG, "LANG", "\x8d", false},
        {SPAN("NOOP"), VERB_NOOP, "NOOP", "", true},
        {SPAN("RETR 1"), VERB_MAILBOX, "RETR", "1", true},
        {SPAN("stat"), VERB_MAILBOX, "STAT", "", true},
        {SPAN("XOIP 192.0.2.1"), VERB_SPOOF, "XOIP", "192.0.2.1", true},
        {SPAN("xclient\vADDR=1"), VERB_SPOOF, "XCLIENT", "ADDR=1", true},
        {SPAN("XFOO bar"), VERB_UNKNOWN, "XFOO", "bar", true},
        {SPAN("XFOO b\tr"), VERB_UNKNOWN, "XFOO", "b\tr", false},
        {SPAN(""), VERB_UNKNOWN, "", "", true},
        {SPAN(" NOOP"), VERB_UNKNOWN, "", "NOOP", true},
        {SPAN("NOOPS"), VERB_UNKNOWN, "NOOPS", "", true},
        {SPAN("NOO"), VERB_UNKNOWN, "NOO", "", true},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct pop3_command command = pop3_command_parse(row[i].line);

        assert_int_equal(command.verb, row[i].verb);
        same(command.word, row[i].word);
        same(command.argument, row[i].argument);
        assert_int_equal(command.is_well_formed, row[i].is_well_formed);
    }
}

static void commands_stand_and_fall_with_their_capability(void **state)
{
    static const char *const row[][2] = {
        {"USER a", "USER"}, {"PASS a", "USER"}, {"AUTH", "SASL"}, {"APOP a b", "APOP"},
        {"UTF8", "UTF8"},   {"LANG", "LANG"},   {"CAPA", ""},     {"QUIT", ""},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        same(pop3_command_parse(span_of(row[i][0])).capability, row[i][1]);
}

static void control_characters_are_in_no_line(void **state)
{
    for (int c = 0; c < 256; c++) {
        const char text[] = {'P', 'A', 'S', 'S', ' ', (char)c, 'x'};
        bool is_clean = c == '\t' || (c >= ' ' && c != 0x7f);

        assert_int_equal(pop3_is_clean((struct span){text, sizeof text}), is_clean);
    }
}

static void the_end_of_a_word_may_be_a_verb(void **state)
{
    static const char *const verbs[] = {"xQUIT", "quit", "AAAAxoip", "AxTnD", "abUTF8", "XTOP"};
    static const char *const others[] = {"QUIT=", "QUI", "", "xSTA", "LISTx"};

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        assert_true(pop3_ends_with_verb(span_of(verbs[i])));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pop3_ends_with_verb(span_of(others[i])));
}

static void verbs_that_would_put_us_out_of_step_are_vetoed(void **state)
{
#define OWN   "is a command that starttlsd itself deals with"
#define SPOOF "claims to come from another client"
#define LATER "comes behind the login, where everything passes"
    static const char *const row[][2] = {
        {"CAPA", OWN},
        {"auth", OWN},
        {"User", OWN},
        {"STLS", OWN},
        {"NOOP", OWN},
        {"XCLIENT", SPOOF},
        {"xoip", SPOOF},
        {"FORWARD", SPOOF},
        {"PROXY", SPOOF},
        {"RETR", LATER},
        {"dele", LATER},
        {"TOP", LATER},
        {"XLST", LATER},
        {"GET", "is the word of a browser (HTTP)"},
        {"RPOP", "is a login that starttlsd does not follow (RFC 1081)"},
        {"XTND", "may be followed by octets that are no commands"},
        {"HELP", "has a reply whose end starttlsd does not know"},
        {"STARTTLS", "begins a TLS of its own inside the session"},
    };
    static const char *const others[] = {"XSTATS", "CAP", "X", "TOPS"};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const char *why = pop3_verb_veto(span_of(row[i][0]));

        if (why == NULL)
            fail_msg("%s", row[i][0]);
        assert_string_equal(why, row[i][1]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(pop3_verb_veto(span_of(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_verb_and_the_rest),
        cmocka_unit_test(commands_stand_and_fall_with_their_capability),
        cmocka_unit_test(control_characters_are_in_no_line),
        cmocka_unit_test(the_end_of_a_word_may_be_a_verb),
        cmocka_unit_test(verbs_that_would_put_us_out_of_step_are_vetoed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
