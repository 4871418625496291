/* SPDX-License-Identifier: ISC */
/* Files from the disk: whole, once, and nothing but files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/disk.h"
#include "proxy/hostname.h"

static char folder[] = "/tmp/test_disk.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

static void put_file(size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        putc('x', f);
    fclose(f);
}

static void a_file_is_read_whole_up_to_the_limit(void **state)
{
    static const struct {
        size_t len;
        bool ok;
    } rows[] = {{0, true},
                {1, true},
                {5000, true},
                {DISK_FILE_OCTETS, true},
                {DISK_FILE_OCTETS + 1, false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct disk_source disk;
        struct config_source source = disk_source(&disk);
        const char *error = NULL;
        struct span text = {NULL, 0};

        disk_source_init(&disk);
        put_file(rows[i].len);
        assert_int_equal(source.read(source.context, path, &text, &error), rows[i].ok);
        if (rows[i].ok)
            assert_int_equal(text.len, rows[i].len);
        else
            assert_string_equal(error, "it is larger than 1 MiB");
        disk_source_clear(&disk);
    }
}

/* What was judged is what is used: a file that changes in between is not read again. */
static void a_file_is_read_once(void **state)
{
    struct disk_source disk;
    struct config_source source = disk_source(&disk);
    const char *error = NULL;
    struct span first, second;

    disk_source_init(&disk);
    put_file(7);
    assert_true(source.read(source.context, path, &first, &error));
    put_file(9);
    assert_true(source.read(source.context, path, &second, &error));
    assert_int_equal(second.len, 7);
    assert_ptr_equal(first.data, second.data);
    disk_source_clear(&disk);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
    struct disk_source disk;
    struct config_source source = disk_source(&disk);
    const char *error = NULL;
    struct span text;

    disk_source_init(&disk);
    unlink(path);
    assert_false(source.read(source.context, path, &text, &error));
    assert_string_equal(error, "No such file or directory");
    assert_false(source.read(source.context, folder, &text, &error));
    assert_string_equal(error, "it is a directory");
    assert_false(source.read(source.context, "/dev/zero", &text, &error));
    assert_string_equal(error, "it is no regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10); /* a FIFO without a writer would hold us for ever */
    assert_false(source.read(source.context, path, &text, &error));
    alarm(0);
    assert_string_equal(error, "it is no regular file");
    unlink(path);
    put_file(0);
    disk_source_clear(&disk);
}

/* Of whom root's files are kept from, most know no other way. */
static void who_may_not_read_is_told_how(void **state)
{
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0);
    assert_string_equal(disk_error(EACCES), "Permission denied (try sudo)");
    assert_string_equal(disk_error(ENOENT), "No such file or directory");
    if (getuid() != 0)
        return;
    assert_int_equal(seteuid(0), 0);
    assert_string_equal(disk_error(EACCES), "Permission denied");
}

static void the_machine_has_a_name(void **state)
{
    const char *name = machine_fqdn();

    assert_true(strlen(name) > 0);
    assert_ptr_equal(machine_fqdn(), name);
}

/* What CONFIG_SYSTEM_CA reads; the caller's to free. NULL: *error. */
static char *authorities(const char **error)
{
    struct disk_source disk;
    struct config_source source = disk_source(&disk);
    struct span text = {NULL, 0};
    char *copy = NULL;

    disk_source_init(&disk);
    if (source.read(source.context, CONFIG_SYSTEM_CA, &text, error))
        copy = strndup(text.data, text.len);
    disk_source_clear(&disk);
    return copy;
}

static void authorities_come_from_where_openssl_looks(void **state)
{
    char link[96], other[96];
    const char *error = NULL;
    char *text;

    put_file(3);
    setenv("SSL_CERT_FILE", path, 1);
    text = authorities(&error);
    assert_string_equal(text, "xxx");
    free(text);
    setenv("SSL_CERT_FILE", "/gone.pem", 1);
    assert_null(authorities(&error));
    assert_string_equal(error, "No such file or directory");
    unsetenv("SSL_CERT_FILE");

    setenv("SSL_CERT_DIR", folder, 1);
    assert_null(authorities(&error));
    assert_string_equal(error, "there are none where OpenSSL looks for them");
    snprintf(link, sizeof link, "%s/0a775a30.0", folder);
    snprintf(other, sizeof other, "%s/0a775a30.1", folder);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(symlink("gone", other), 0);
    text = authorities(&error);
    assert_string_equal(text, "xxx\n");
    free(text);
    unlink(link);
    unlink(other);
    setenv("SSL_CERT_DIR", "/gone", 1);
    assert_null(authorities(&error));
    assert_string_equal(error, "No such file or directory");
    unsetenv("SSL_CERT_DIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_up_to_the_limit),
        cmocka_unit_test(a_file_is_read_once),
        cmocka_unit_test(what_is_no_file_is_refused_at_once),
        cmocka_unit_test(who_may_not_read_is_told_how),
        cmocka_unit_test(the_machine_has_a_name),
        cmocka_unit_test(authorities_come_from_where_openssl_looks),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
