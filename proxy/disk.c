/* SPDX-License-Identifier: ISC */
/* Configuration files from the disk. */
#include "proxy/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

struct disk_file {
    struct disk_file *before;
    char *path;
    char *text;
    size_t len;
    size_t size; /* of the allocation */
};

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

/* The whole of `fd` into f->text, whose size is one more than it may have. NULL: good. */
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

/* Non-blocking, so that a FIFO named by mistake is refused instead of waited for. */
static const char *read_file(struct disk_file *f)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *error = NULL;
    struct stat st;

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) != 0)
        error = strerror(errno);
    else if (S_ISDIR(st.st_mode))
        error = "it is a directory";
    else if (!S_ISREG(st.st_mode))
        error = "it is no regular file";
    else if (st.st_size > (off_t)DISK_FILE_OCTETS)
        error = "it is larger than 1 MiB";
    if (error == NULL) {
        f->size = (size_t)st.st_size + 1;
        f->text = malloc(f->size);
        error = f->text == NULL ? strerror(ENOMEM) : read_all(fd, f);
    }
    close(fd);
    return error;
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
    *error = f == NULL || f->path == NULL ? strerror(ENOMEM) : read_file(f);
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
