/* SPDX-License-Identifier: ISC */
/* Strikes and failed logins are counted alike in all protocols, and one too many is the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/server.h"

static const struct span bye = SPAN("bye\r\n");

static void the_last_strike_ends_the_session(void **state)
{
    static const struct policy policy = {.max_errors = 3};
    static const struct facts facts = {0};
    struct server s = server_blank(&policy, &facts);

    server_strike(&s, bye);
    server_strike(&s, bye);
    assert_int_equal(s.farewell.end, END_NONE);
    server_strike(&s, bye);
    assert_int_equal(s.farewell.end, END_ERRORS);
    assert_ptr_equal(s.farewell.text.data, bye.data);
}

static void a_client_that_was_told_ends_for_want_of_tls(void **state)
{
    static const struct policy policy = {.max_errors = 1};
    static const struct facts facts = {0};
    struct server s = server_blank(&policy, &facts);

    s.is_told = true;
    server_strike(&s, bye);
    assert_int_equal(s.farewell.end, END_TLS_REQUIRED);
}

static void failures_before_tls_count(void **state)
{
    static const struct policy policy = {.max_auth_failures = 3};
    static const struct facts facts = {.is_secure = true, .auth_failures = 2};
    struct server s = server_blank(&policy, &facts);

    assert_true(s.is_secure);
    server_login_failed(&s, bye);
    assert_int_equal(s.farewell.end, END_ERRORS);
}

static void zero_is_no_limit(void **state)
{
    static const struct policy policy = {0};
    static const struct facts facts = {0};
    struct server s = server_blank(&policy, &facts);

    for (int i = 0; i < 1000; i++) {
        server_strike(&s, bye);
        server_login_failed(&s, bye);
    }
    assert_int_equal(s.farewell.end, END_NONE);
}

static void credentials_pass_where_the_administrator_lets_them(void **state)
{
    static const struct {
        struct policy policy;
        bool is_secure, is_alone, may_log_in;
    } row[] = {
        {{.tls = FRONT_STARTTLS, .is_enforced = true}, false, true, false},
        {{.tls = FRONT_STARTTLS, .is_enforced = true}, true, false, true},
        {{.tls = FRONT_STARTTLS}, false, true, false},
        {{.tls = FRONT_STARTTLS, .may_auth_in_clear = true}, false, true, true},
        {{.tls = FRONT_IMPLICIT}, true, false, true},
        {{.tls = FRONT_NONE}, false, false, true},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_int_equal(server_is_alone(&row[i].policy, row[i].is_secure), row[i].is_alone);
        assert_int_equal(server_may_log_in(&row[i].policy, row[i].is_secure), row[i].may_log_in);
    }
}

static void a_refused_exchange_with_a_long_line_is_the_last(void **state)
{
    static const struct policy policy = {0};
    static const struct facts facts = {0};
    struct server s = server_blank(&policy, &facts);

    server_exchange_line(&s, 100, 100);
    server_refused(&s);
    assert_int_equal(s.farewell.end, END_NONE);
    server_exchange_line(&s, 101, 100);
    server_exchange_line(&s, 5, 100);
    assert_int_equal(s.farewell.end, END_NONE);
    server_refused(&s);
    assert_int_equal(s.farewell.end, END_ERRORS);
    assert_int_equal(s.farewell.text.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_strike_ends_the_session),
        cmocka_unit_test(a_client_that_was_told_ends_for_want_of_tls),
        cmocka_unit_test(failures_before_tls_count),
        cmocka_unit_test(zero_is_no_limit),
        cmocka_unit_test(a_refused_exchange_with_a_long_line_is_the_last),
        cmocka_unit_test(credentials_pass_where_the_administrator_lets_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
