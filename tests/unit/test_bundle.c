/* SPDX-License-Identifier: ISC */
/* What goes into a bundle comes out of it; what is no bundle is refused before any of it is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/bundle.h"

#define MAIN   "/etc/t/main.ini"
#define SEALS  (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define SECRET "-----the key-----"

static const struct {
    const char *path, *text;
} files[] = {
    {MAIN, "include = more.ini\n"
           "[service a]\nprotocol = smtp\nlisten = 127.0.0.1:2525\nrelay = backend\n"
           "backend = 127.0.0.1:25\ncertificate = chain.pem key.pem\n"
           "[service b]\nprotocol = smtp\nlisten = 127.0.0.1:2526\nrelay = backend\n"
           "backend = 127.0.0.1:25\ncertificate = both.pem\ncertificate = chain.pem key.pem\n"
           "backend_tls = implicit\nbackend_ca = ca.pem\n"
           "backend_certificate = client.pem client.key\n"},
    {"/etc/t/more.ini", "[starttlsd]\nworkers = 2\n"},
    {"/etc/t/chain.pem", "the chain"},
    {"/etc/t/key.pem", SECRET},
    {"/etc/t/both.pem", "a chain and " SECRET},
    {"/etc/t/ca.pem", "the authorities"},
    {"/etc/t/client.pem", "the chain for backends"},
    {"/etc/t/client.key", "the key for backends"},
};

static bool read_file(void *context, const char *path, struct span *text, const char **error)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(files[i].path, path) == 0) {
            *text = span_of(files[i].text);
            return true;
        }
    *error = "no such file";
    return false;
}

static const struct config_source source = {read_file, NULL};

static int build(bool with_secrets)
{
    struct diagnosis *d = diagnosis_new();
    struct config *config = config_load(MAIN, &source, "mail.example", d);
    int fd;

    if (config == NULL)
        diagnosis_print(d, stderr);
    assert_non_null(config);
    fd = bundle_build(config, &source, "mail.example", 42, with_secrets);
    assert_true(fd >= 0);
    config_free(config);
    diagnosis_free(d);
    return fd;
}

static bool span_is(struct span s, const char *text)
{
    return s.data != NULL && s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

static void every_file_comes_out_as_it_went_in(void **state)
{
    struct bundle *b = bundle_open(build(true));

    assert_non_null(b);
    assert_string_equal(bundle_main_path(b), MAIN);
    assert_string_equal(bundle_fqdn(b), "mail.example");
    assert_int_equal(bundle_generation(b), 42);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_true(span_is(bundle_file(b, files[i].path), files[i].text));
    assert_null(bundle_file(b, "/etc/passwd").data);
    bundle_close(b);
}

static void configuration_loads_from_it(void **state)
{
    struct bundle *b = bundle_open(build(false));
    struct config_source from = bundle_source(b);
    struct diagnosis *d = diagnosis_new();
    struct config *config = config_load(bundle_main_path(b), &from, bundle_fqdn(b), d);

    assert_non_null(config);
    assert_int_equal(config->service_count, 2);
    assert_int_equal(config->workers, 2);
    bundle_close(b); /* the configuration stands without it */
    assert_string_equal(config->service[1].name, "b");
    config_free(config);
    diagnosis_free(d);
}

static size_t slurp(int fd, unsigned char **data)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    *data = malloc((size_t)st.st_size);
    assert_int_equal(pread(fd, *data, (size_t)st.st_size, 0), st.st_size);
    return (size_t)st.st_size;
}

static void scouts_bundle_holds_no_secret(void **state)
{
    unsigned char *data;
    int fd = build(false);
    size_t len = slurp(fd, &data);

    assert_null(memmem(data, len, SECRET, strlen(SECRET)));
    assert_non_null(memmem(data, len, "[service b]", 11));
    free(data);
    close(fd);
}

static void scouts_bundle_holds_what_a_client_of_backends_needs(void **state)
{
    static const char *const paths[] = {"/etc/t/ca.pem", "/etc/t/client.pem", "/etc/t/client.key"};
    struct bundle *b = bundle_open(build(false));

    assert_non_null(b);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_true(bundle_file(b, paths[i]).len > 0);
    assert_null(bundle_file(b, "/etc/t/chain.pem").data); /* some put a key into it */
    bundle_close(b);
}

static void nobody_can_change_it(void **state)
{
    int fd = build(true);

    assert_int_equal(fcntl(fd, F_GET_SEALS) & SEALS, SEALS);
    assert_true(pwrite(fd, "x", 1, 0) < 0);
    assert_true(ftruncate(fd, 1) < 0);
    close(fd);
}

static int memory_file(const unsigned char *data, size_t len, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* Opened or not, it must not be read beyond its end: the address sanitizer watches. */
static void use(int fd)
{
    struct bundle *b = bundle_open(fd);

    if (b == NULL)
        return;
    (void)strlen(bundle_main_path(b));
    (void)strlen(bundle_fqdn(b));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct span text = bundle_file(b, files[i].path);
        unsigned sum = 0;

        for (size_t k = 0; k < text.len; k++)
            sum += (unsigned char)text.data[k];
        (void)sum;
    }
    bundle_close(b);
}

static void no_octet_of_the_tables_can_lead_outside(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    unsigned char *data;
    int good = build(true);
    size_t len = slurp(good, &data), tables = 32 + sizeof files / sizeof *files * 12;

    for (size_t at = 0; at < tables; at++)
        for (size_t v = 0; v < sizeof values; v++) {
            unsigned char before = data[at];

            data[at] = values[v];
            use(memory_file(data, len, SEALS));
            data[at] = before;
        }
    for (size_t cut = 0; cut < len; cut += 1 + cut / 16)
        assert_null(bundle_open(memory_file(data, cut, SEALS)));
    free(data);
    close(good);
}

static void last_text_must_end_inside(void **state)
{
    unsigned char *data;
    int good = build(true);
    size_t len = slurp(good, &data);

    assert_int_equal(data[len - 1], '\0'); /* the FQDN's */
    data[len - 1] = 'x';
    assert_null(bundle_open(memory_file(data, len, SEALS)));
    free(data);
    close(good);
}

static void what_is_not_sealed_is_no_bundle(void **state)
{
    unsigned char *data;
    int good = build(true);
    size_t len = slurp(good, &data);

    assert_null(bundle_open(memory_file(data, len, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)));
    assert_null(bundle_open(memory_file(data, len, F_SEAL_WRITE)));
    assert_null(bundle_open(open("/dev/zero", O_RDONLY)));
    free(data);
    close(good);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_comes_out_as_it_went_in),
        cmocka_unit_test(configuration_loads_from_it),
        cmocka_unit_test(scouts_bundle_holds_no_secret),
        cmocka_unit_test(scouts_bundle_holds_what_a_client_of_backends_needs),
        cmocka_unit_test(nobody_can_change_it),
        cmocka_unit_test(no_octet_of_the_tables_can_lead_outside),
        cmocka_unit_test(last_text_must_end_inside),
        cmocka_unit_test(what_is_not_sealed_is_no_bundle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
