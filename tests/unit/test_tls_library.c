/* SPDX-License-Identifier: ISC */
/* What OpenSSL frees is wiped. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "proxy/tls_context.h"

#define SECRET "a secret of thirty-one octets.."

/* Where the octets were, read after they were freed: malloc keeps its own notes in the first 16 to
 * 32 of them. A sanitizer rightly refuses, so the two tests below do nothing there. */
static bool is_found(uintptr_t address, size_t from, size_t to)
{
#if defined(__SANITIZE_ADDRESS__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return false;
#endif
#endif
    const volatile char *p = (const volatile char *)address;

    for (size_t i = from; i + 1 < to; i++)
        if (p[i] == 's' && p[i + 1] == 'e')
            return true;
    return false;
}

static void fill(char *p, size_t size)
{
    for (size_t i = 0; i + sizeof SECRET <= size; i += sizeof SECRET)
        memcpy(p + i, SECRET, sizeof SECRET);
}

static void freed_memory_is_wiped(void **state)
{
    static const size_t sizes[] = {64, 1000, 17000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = OPENSSL_malloc(sizes[i]), *guard = OPENSSL_malloc(64);
        uintptr_t address = (uintptr_t)p;

        fill(p, sizes[i]);
        OPENSSL_free(p);
        assert_false(is_found(address, 32, sizes[i]));
        OPENSSL_free(guard); /* kept the block from being given back to the kernel */
    }
}

static void memory_left_by_realloc_is_wiped(void **state)
{
    char *p = OPENSSL_malloc(500), *q, *guard = OPENSSL_malloc(64);
    uintptr_t address = (uintptr_t)p;

    fill(p, 500);
    q = OPENSSL_realloc(p, 5000);
    assert_memory_equal(q, SECRET, sizeof SECRET);
    assert_true((uintptr_t)q != address);
    assert_false(is_found(address, 32, 500));
    p = OPENSSL_realloc(q, 100); /* shrunk */
    assert_memory_equal(p, SECRET, sizeof SECRET);
    OPENSSL_free(p);
    p = OPENSSL_realloc(NULL, 10);
    assert_non_null(p);
    assert_null(OPENSSL_realloc(p, 0));
    OPENSSL_free(guard);
}

static void generator_is_seeded(void **state)
{
    assert_int_equal(RAND_status(), 1);
}

static void second_start_is_harmless(void **state)
{
    assert_true(tls_library_start());
}

static int start(void **state)
{
    return tls_library_start() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_is_wiped),
        cmocka_unit_test(memory_left_by_realloc_is_wiped),
        cmocka_unit_test(generator_is_seeded),
        cmocka_unit_test(second_start_is_harmless),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
