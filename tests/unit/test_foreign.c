/* SPDX-License-Identifier: ISC */
/* Peers that speak no mail protocol are told from those that do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocols/foreign.h"

static void request_lines(void **state)
{
    static const struct {
        struct span line;
        bool is_http;
    } row[] = {
        {SPAN("GET / HTTP/1.1"), true},
        {SPAN("get /"), true},
        {SPAN("POST\t/x HTTP/1.0"), true},
        {SPAN("OPTIONS * HTTP/1.1"), true},
        {SPAN("CONNECT host:25 HTTP/1.1"), true},
        {SPAN("GET http://mx.example/"), true},
        {SPAN("GET HTTPS://mx.example/"), true},
        {SPAN("TRACE x HTTP/2"), true},
        {SPAN("GET"), false},
        {SPAN("GET "), false},
        {SPAN("GET x"), false},
        {SPAN("GETS / HTTP/1.1"), false},
        {SPAN(" GET / HTTP/1.1"), false},
        {SPAN("DELETE 1"), false},
        {SPAN("HEAD HTTP/1.1"), false},
        {SPAN("NOOP / HTTP/1.1"), false},
        {SPAN(""), false},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (foreign_is_http(row[i].line) != row[i].is_http)
            fail_msg("%s", row[i].line.data);
    assert_false(foreign_is_http((struct span){0}));
}

static void client_hellos(void **state)
{
    assert_true(foreign_is_client_hello((struct span)SPAN("\x16\x03\x01\x02")));
    assert_true(foreign_is_client_hello((struct span)SPAN("\x16\x03")));
    assert_false(foreign_is_client_hello((struct span)SPAN("\x16")));
    assert_false(foreign_is_client_hello((struct span)SPAN("\x16\x02\x01")));
    assert_false(foreign_is_client_hello((struct span)SPAN("\x17\x03\x01")));
    assert_false(foreign_is_client_hello((struct span){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_lines),
        cmocka_unit_test(client_hellos),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
