/* SPDX-License-Identifier: ISC */
/* Configuration files from the disk, and the authorities that the system trusts. */
#include "proxy/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>

struct disk_file {
    struct disk_file *before;
    char *path;
    char *text;
    size_t len;
    size_t size; /* of the allocation */
};

const char *disk_error(int error)
{
    return error == EACCES && geteuid() != 0 ? "Permission denied (try sudo)" : strerror(error);
}

void disk_source_init(struct disk_source *disk)
{
    disk->last = NULL;
}

static void file_free(struct disk_file *f)
{
    if (f == NULL)
        return;
    if (f->text != NULL)
        OPENSSL_cleanse(f->text, f->size);
    free(f->text);
    free(f->path);
    free(f);
}

void disk_source_clear(struct disk_source *disk)
{
    while (disk->last != NULL) {
        struct disk_file *f = disk->last;

        disk->last = f->before;
        file_free(f);
    }
}

/* What `fd` has left into f->text, whose size is one more than it may have. NULL: good. */
static const char *read_all(int fd, struct disk_file *f)
{
    while (f->len < f->size) {
        ssize_t got = read(fd, f->text + f->len, f->size - f->len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return strerror(errno);
        if (got == 0)
            return NULL;
        f->len += (size_t)got;
    }
    return "it changed while it was read";
}

/* A first file gets a block of its own, so that no growth leaves a copy of a key behind. */
static bool grow(struct disk_file *f, size_t more)
{
    char *text = realloc(f->text, f->len + more + 1);

    if (text == NULL)
        return false;
    f->text = text;
    f->size = f->len + more + 1;
    return true;
}

/* The file at `path` behind what is there. Non-blocking, so that a FIFO named by mistake is refused
 * instead of waited for. */
static const char *append_file(struct disk_file *f, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *error = NULL;
    struct stat st;

    if (fd < 0)
        return disk_error(errno);
    if (fstat(fd, &st) != 0)
        error = strerror(errno);
    else if (S_ISDIR(st.st_mode))
        error = "it is a directory";
    else if (!S_ISREG(st.st_mode))
        error = "it is no regular file";
    else if (st.st_size > (off_t)DISK_FILE_OCTETS)
        error = "it is larger than 1 MiB";
    else if (!grow(f, (size_t)st.st_size))
        error = strerror(ENOMEM);
    else
        error = read_all(fd, f);
    close(fd);
    return error;
}

/* ---- the system's authorities ---- */

/* `0a775a30.0`: what c_rehash makes, and OpenSSL looks for, in a folder of certificates. */
static int is_hashed(const struct dirent *entry)
{
    return strlen(entry->d_name) > 9 && strspn(entry->d_name, "0123456789abcdef") == 8 &&
           entry->d_name[8] == '.';
}

/* A link that leads nowhere is not missed. */
static const char *append_folder(struct disk_file *f, const char *folder)
{
    struct dirent **entry;
    int count = scandir(folder, &entry, is_hashed, alphasort);
    const char *error = NULL;
    char path[PATH_MAX];

    if (count < 0)
        return strerror(errno);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        free(entry[i]);
        if (error != NULL || append_file(f, path) != NULL)
            continue;
        if (grow(f, 1))
            f->text[f->len++] = '\n';
        else
            error = strerror(ENOMEM);
    }
    free(entry);
    return error;
}

/* Where OpenSSL would look. Debian has them in one file beside the folder's links, where OpenSSL
 * itself does not look, and an image without links may have that alone. */
static const char *append_authorities(struct disk_file *f)
{
    const char *file = secure_getenv(X509_get_default_cert_file_env());
    const char *folder = secure_getenv(X509_get_default_cert_dir_env());
    const char *const usual[] = {X509_get_default_cert_file(),
                                 "/etc/ssl/certs/ca-certificates.crt"};
    const char *error = NULL;

    if (file != NULL)
        return append_file(f, file);
    for (size_t i = 0; folder == NULL && i < sizeof usual / sizeof *usual; i++)
        if (append_file(f, usual[i]) == NULL)
            return NULL;
    error = append_folder(f, folder == NULL ? X509_get_default_cert_dir() : folder);
    return error == NULL && f->len == 0 ? "there are none where OpenSSL looks for them" : error;
}

static bool on_read(void *context, const char *path, struct span *text, const char **error)
{
    struct disk_source *disk = context;
    struct disk_file *f;

    for (f = disk->last; f != NULL; f = f->before)
        if (strcmp(f->path, path) == 0)
            goto found;
    f = calloc(1, sizeof(*f));
    if (f != NULL)
        f->path = strdup(path);
    if (f == NULL || f->path == NULL)
        *error = strerror(ENOMEM);
    else
        *error = strcmp(path, CONFIG_SYSTEM_CA) == 0 ? append_authorities(f) : append_file(f, path);
    if (*error != NULL) {
        file_free(f);
        return false;
    }
    f->before = disk->last;
    disk->last = f;
found:
    *text = (struct span){f->text, f->len};
    return true;
}

struct config_source disk_source(struct disk_source *disk)
{
    return (struct config_source){on_read, disk};
}
