/* SPDX-License-Identifier: ISC */
/* Places to listen on and to connect to, names and domains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/endpoint.h"

static void places_that_are_understood(void **state)
{
    static const struct {
        const char *text;
        bool is_listen;
        const char *host;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:25", true, "127.0.0.1", 25},
        {"[::]:65535", true, "::", 65535},
        {"*:1", true, "*", 1},
        {"0.0.0.0:25", true, "0.0.0.0", 25},
        {"192.0.2.1:00025", false, "192.0.2.1", 25},
        {"[2001:db8::1]:25", false, "2001:db8::1", 25},
        {"mail.example.net:25", false, "mail.example.net", 25},
        {"mail:25", false, "mail", 25},
        {"mail_1.local:25", false, "mail_1.local", 25},
        {"3com.example:25", false, "3com.example", 25},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena = {NULL};
        struct endpoint e = {0};
        const char *remedy;

        assert_null(endpoint_parse(&e, span_of(rows[i].text), rows[i].is_listen, &arena, &remedy));
        assert_string_equal(e.text, rows[i].text);
        assert_string_equal(e.host, rows[i].host);
        assert_int_equal(e.port, rows[i].port);
        arena_clear(&arena);
    }
}

static void places_that_are_refused(void **state)
{
    static const struct {
        const char *text;
        bool is_listen;
    } rows[] = {
        {"", true},
        {":", true},
        {":25", true},
        {"25", true},
        {"*", true},
        {"*:", true},
        {"**:25", true},
        {"127.1:25", true},
        {"[]:25", true},
        {"[::1]25", true},
        {"[::1]:25x", true},
        {"127.0.0.1:-1", true},
        {"a:25", true},
        {"[a]:25", true},
        {"127.0.0.1:+5", true},
        {"[*]:25", true},
        {"[127.0.0.1]:25", false},
        {":25", false},
        {"a.:25", false},
        {".a:25", false},
        {"a:000025", false},
        {"127.0.0.256:25", false},
        {"1:25", false},
        {"[::]:25", false},
        {"a b:25", false},
        {"fe80::1:25", false},
        {"a/b:25", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena = {NULL};
        struct endpoint e = {0};
        const char *remedy = NULL;

        assert_non_null(
            endpoint_parse(&e, span_of(rows[i].text), rows[i].is_listen, &arena, &remedy));
        assert_non_null(remedy);
        arena_clear(&arena);
    }
}

static struct endpoint place(const char *text, struct arena *arena)
{
    struct endpoint e = {0};
    const char *remedy;

    assert_null(endpoint_parse(&e, span_of(text), true, arena, &remedy));
    return e;
}

static void places_overlap_where_one_connection_fits_both(void **state)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"127.0.0.1:25", "127.0.0.1:25", true},
        {"127.0.0.1:25", "127.0.0.1:26", false},
        {"127.0.0.1:25", "127.0.0.2:25", false},
        {"*:25", "127.0.0.1:25", true},
        {"*:25", "[::1]:25", true},
        {"0.0.0.0:25", "127.0.0.1:25", true},
        {"0.0.0.0:25", "[::1]:25", false},
        {"[::]:25", "[::1]:25", true},
        {"[::1]:25", "[0:0:0::1]:25", true},
        {"*:25", "*:25", true},
        {"*:25", "*:26", false},
        {"[::]:25", "0.0.0.0:25", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena = {NULL};
        struct endpoint a = place(rows[i].a, &arena), b = place(rows[i].b, &arena);

        assert_int_equal(endpoint_overlap(&a, &b), rows[i].overlap);
        assert_int_equal(endpoint_overlap(&b, &a), rows[i].overlap);
        arena_clear(&arena);
    }
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void names_and_domains(void **state)
{
    static const struct {
        const char *text;
        bool is_name, is_domain;
    } rows[] = {
        {"a", true, true},
        {"mail.example.net", true, true},
        {"xn--bcher-kva.example", true, true},
        {"b\xc3\xbc"
         "cher.example",
         false, true},
        {"", false, false},
        {".", false, false},
        {"a.", false, false},
        {".a", false, false},
        {"a..b", false, false},
        {"a b", false, false},
        {"a@b", false, false},
        {"a%b", false, false},
        {"[192.0.2.1]", false, false},
        {L63 ".a", true, true},
        {L63 "a.a", false, false},
        {L63 "." L63 "." L63 "." L63, false, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(endpoint_is_name(span_of(rows[i].text)), rows[i].is_name);
        assert_int_equal(endpoint_is_domain(span_of(rows[i].text)), rows[i].is_domain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_that_are_understood),
        cmocka_unit_test(places_that_are_refused),
        cmocka_unit_test(places_overlap_where_one_connection_fits_both),
        cmocka_unit_test(names_and_domains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
