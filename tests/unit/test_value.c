/* SPDX-License-Identifier: ISC */
/* Text to typed values, one key at a time; what is refused has its row in test_load.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/fingerprint.h"
#include "config/value.h"

/* Read `text` as `key` of that section into `base`; the complaints. */
static size_t parse(enum key_section section, const char *key, const char *text, void *base,
                    struct arena *arena)
{
    const struct setting setting = {
        .key = key_find(section, key), .text = text, .section = "test", .origin = {"/a/b.ini", 1}};
    struct diagnosis *d = diagnosis_new();
    const struct parse p = {&setting, base, arena, d};
    size_t errors;
    bool ok;

    assert_non_null(setting.key);
    ok = value_parse(&p);
    errors = diagnosis_errors(d);
    assert_int_equal(ok, errors == 0);
    diagnosis_free(d);
    return errors;
}

static void lengths_of_time_have_units(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms; /* 0: refused */
    } rows[] = {
        {"1000ms", 1000},
        {"1500ms", 1500},
        {"1s", 1000},
        {"90s", 90000},
        {"5m", 300000},
        {"12h", 43200000},
        {"7d", 604800000},
        {"off", CONFIG_OFF},
        {"999ms", 0},
        {"0s", 0},
        {"7d1s", 0},
        {"604801s", 0},
        {"5", 0},
        {"", 0},
        {"s", 0},
        {"-5s", 0},
        {"+5s", 0},
        {"5S", 0},
        {"5 s", 0},
        {"0x5s", 0},
        {"1.5h", 0},
        {"4294967296s", 0},
        {"18446744073709551616ms", 0},
        {"Off", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct service service = {.idle_timeout_ms = 42};
        struct arena arena = {NULL};

        assert_int_equal(parse(KEY_SERVICE, "idle_timeout", rows[i].text, &service, &arena),
                         rows[i].ms == 0);
        assert_int_equal(service.idle_timeout_ms, rows[i].ms == 0 ? 42 : rows[i].ms);
        arena_clear(&arena);
    }
}

static void a_length_of_time_is_written_in_its_largest_unit(void **state)
{
    static const struct {
        uint32_t ms;
        const char *text;
    } rows[] = {
        {0, "0s"},        {1, "1ms"},        {1500, "1500ms"},
        {60000, "1m"},    {90000, "90s"},    {3600000, "1h"},
        {86400000, "1d"}, {90000000, "25h"}, {UINT32_MAX, "4294967295ms"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char space[VALUE_DURATION_MAX];

        assert_string_equal(value_duration(rows[i].ms, space), rows[i].text);
    }
}

static void a_log_goes_to_one_of_three_places(void **state)
{
    static const struct {
        const char *text;
        enum log_target target;
        const char *facility, *file;
    } rows[] = {
        {"stderr", LOG_TO_STDERR, NULL, NULL},
        {"syslog", LOG_TO_SYSLOG, "mail", NULL},
        {"syslog:local7", LOG_TO_SYSLOG, "local7", NULL},
        {"/var/log/x", LOG_TO_FILE, NULL, "/var/log/x"},
        {"./x", LOG_TO_FILE, NULL, "/a/./x"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config config = {0};
        struct arena arena = {NULL};

        assert_int_equal(parse(KEY_GLOBAL, "log", rows[i].text, &config, &arena), 0);
        assert_int_equal(config.log_target, rows[i].target);
        if (rows[i].facility != NULL)
            assert_string_equal(config.log_facility, rows[i].facility);
        if (rows[i].file != NULL)
            assert_string_equal(config.log_file, rows[i].file);
        arena_clear(&arena);
    }
}

#define HEX(separator)                                                                             \
    "00" separator "01" separator "7f" separator "80" separator "aB" separator "Ff" separator      \
    "00" separator "01" separator "7f" separator "80" separator "aB" separator "Ff" separator      \
    "00" separator "01" separator "7f" separator "80" separator "aB" separator "Ff" separator      \
    "00" separator "01" separator "7f" separator "80" separator "aB" separator "Ff" separator      \
    "00" separator "01" separator "7f" separator "80" separator "aB" separator "Ff" separator      \
    "10" separator "01"

static void a_fingerprint_is_32_octets(void **state)
{
    static const unsigned char octets[] = {0x00, 0x01, 0x7f, 0x80, 0xab, 0xff};
    struct service service = {0};
    struct arena arena = {NULL};
    char space[FINGERPRINT_TEXT_MAX];

    assert_int_equal(parse(KEY_SERVICE, "backend_fingerprint",
                           "cert-sha256:" HEX("") "  key-sha256:" HEX(":"), &service, &arena),
                     0);
    assert_int_equal(service.backend_fingerprint_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct fingerprint *f = &service.backend_fingerprint[i];

        assert_int_equal(f->is_key, i == 1);
        for (size_t k = 0; k < 30; k++)
            assert_int_equal(f->sha256[k], octets[k % 6]);
        assert_int_equal(f->sha256[30], 0x10);
        assert_int_equal(f->sha256[31], 0x01);
    }
    assert_string_equal(fingerprint_text(&service.backend_fingerprint[1], space),
                        "key-sha256:00017f80abff00017f80abff00017f80abff00017f80abff"
                        "00017f80abff1001");
    arena_clear(&arena);
}

static void the_words_of_a_list_of_ciphers_are_joined(void **state)
{
    struct service service = {0};
    struct arena arena = {NULL};

    assert_int_equal(parse(KEY_SERVICE, "backend_ciphers",
                           "ECDHE+AESGCM:!aNULL  AES128-SHA @SECLEVEL=0", &service, &arena),
                     0);
    assert_string_equal(service.backend_ciphers, "ECDHE+AESGCM:!aNULL:AES128-SHA:@SECLEVEL=0");
    arena_clear(&arena);
}

static void connections_come_from_an_address_of_each_family(void **state)
{
    struct service service = {.backend_source_v4 = "192.0.2.99"};
    struct arena arena = {NULL};

    assert_int_equal(parse(KEY_SERVICE, "backend_source", "2001:db8::1", &service, &arena), 0);
    assert_null(service.backend_source_v4); /* a key replaces what [defaults] gave */
    assert_string_equal(service.backend_source_v6, "2001:db8::1");
    assert_int_equal(parse(KEY_SERVICE, "backend_source", "::1 192.0.2.1", &service, &arena), 0);
    assert_string_equal(service.backend_source_v4, "192.0.2.1");
    assert_string_equal(service.backend_source_v6, "::1");
    arena_clear(&arena);
}

static void balancers_come_from_networks_or_sockets(void **state)
{
    struct service service = {0};
    struct arena arena = {NULL};

    assert_int_equal(parse(KEY_SERVICE, "accept_proxy", "192.0.2.0/24 unix ::1", &service, &arena),
                     0);
    assert_true(service.accept_proxy_unix);
    assert_int_equal(service.accept_proxy_count, 2);
    assert_int_equal(service.accept_proxy[0].prefix, 120);
    assert_int_equal(service.accept_proxy[1].prefix, 128);
    assert_int_equal(parse(KEY_SERVICE, "accept_proxy", "unix", &service, &arena), 0);
    assert_int_equal(service.accept_proxy_count, 0);
    assert_int_equal(parse(KEY_SERVICE, "accept_proxy", "::1", &service, &arena), 0);
    assert_false(service.accept_proxy_unix);
    arena_clear(&arena);
}

/* The table's own texts: every default is one that could be written. */
static void every_default_is_a_value(void **state)
{
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        union {
            struct config config;
            struct service service;
        } base = {0};
        struct arena arena = {NULL};

        if (key->preset != NULL)
            assert_int_equal(parse(key->section, key->name, key->preset, &base, &arena), 0);
        arena_clear(&arena);
    }
}

static void a_slip_finds_its_neighbour(void **state)
{
    static const struct {
        const char *written, *meant;
    } rows[] = {
        {"backnd", "backend"},
        {"listne", "listen"},
        {"certficate", "certificate"},
        {"LISTEN", "listen"},
        {"idle_timout", "idle_timeout"},
        {"max_error", "max_errors"},
        {"relays", "relay"},
        {"x", NULL},
        {"", NULL},
        {"something_else_entirely_that_is_longer_than_any_key", NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *near = key_nearest(KEY_SERVICE, rows[i].written);

        if (rows[i].meant == NULL)
            assert_null(near);
        else
            assert_string_equal(near, rows[i].meant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_of_time_have_units),
        cmocka_unit_test(a_length_of_time_is_written_in_its_largest_unit),
        cmocka_unit_test(a_log_goes_to_one_of_three_places),
        cmocka_unit_test(a_fingerprint_is_32_octets),
        cmocka_unit_test(the_words_of_a_list_of_ciphers_are_joined),
        cmocka_unit_test(connections_come_from_an_address_of_each_family),
        cmocka_unit_test(balancers_come_from_networks_or_sockets),
        cmocka_unit_test(every_default_is_a_value),
        cmocka_unit_test(a_slip_finds_its_neighbour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
