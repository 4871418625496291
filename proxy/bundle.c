/* SPDX-License-Identifier: ISC */
/* INI text, all files it names and resolved values as one sealed memory file:
 *
 *   header │ one entry a file: where its path and its text lie │ paths and texts, the FQDN
 *
 * Every path, and the FQDN, ends with a NUL. The reader believes nothing: all is checked before any
 * of it is used. */
#include "proxy/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "proxy/log.h"

#define MAGIC      "starttlsd bundle"
#define BUNDLE_MAX ((size_t)256 * 1024 * 1024)
#define FILES_MAX  65536U
#define SEALS      (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct header {
    char magic[16]; /* without its NUL */
    uint32_t size;  /* of the whole */
    uint32_t generation;
    uint32_t files;
    uint32_t fqdn; /* offset */
};

struct entry {
    uint32_t path;      /* offset */
    uint32_t text, len; /* offset, octets */
};

struct bundle {
    unsigned char *data; /* a mapping of `size` octets */
    size_t size;
    const struct header *header;
    const struct entry *entry;
};

/* A bundle being put together; the caller's memory is plain, since the master holds these octets
 * anyway. */
struct build {
    unsigned char *data;
    size_t len, space;
    bool is_full;
};

static uint32_t append(struct build *b, const void *data, size_t len)
{
    size_t at = b->len;

    if (b->is_full || len > b->space - b->len) {
        b->is_full = true;
        return 0;
    }
    if (len > 0)
        memcpy(b->data + at, data, len);
    b->len += len;
    return (uint32_t)at;
}

static bool is_wanted(enum config_file_kind kind, bool with_secrets)
{
    /* One file may hold a certificate and its key, so nothing of a front's passes without secrets. */
    return with_secrets || kind == CONFIG_FILE_INI || kind == CONFIG_FILE_BACKEND;
}

/* The same path may be named more than once. */
static bool is_repeated(const struct config *config, size_t index, const char *path)
{
    enum config_file_kind kind;
    struct origin origin;

    for (size_t i = 0; i < index; i++)
        if (strcmp(config_file_at(config, i, &kind, &origin), path) == 0)
            return true;
    return false;
}

/* Lay it out in `b`: with a space of 0 it only counts, in `need`. */
static bool lay_out(struct build *b, const struct config *config,
                    const struct config_source *source, const char *fqdn, uint32_t generation,
                    bool with_secrets, size_t *need)
{
    size_t total = config_file_count(config), entries = 0;
    struct header header = {.generation = generation};
    struct entry entry;

    memcpy(header.magic, MAGIC, sizeof header.magic);
    *need = sizeof header + total * sizeof entry + strlen(fqdn) + 1;
    b->len = b->space == 0 ? 0 : sizeof header + total * sizeof entry;
    for (size_t i = 0; i < total; i++) {
        enum config_file_kind kind;
        struct origin origin;
        const char *path = config_file_at(config, i, &kind, &origin), *error;
        struct span text;

        if (!is_wanted(kind, with_secrets) || is_repeated(config, i, path))
            continue;
        if (!source->read(source->context, path, &text, &error)) {
            errno = EIO;
            return false;
        }
        *need += strlen(path) + 1 + text.len;
        if (b->space == 0)
            continue;
        entry.path = append(b, path, strlen(path) + 1);
        entry.text = append(b, text.data, text.len);
        entry.len = (uint32_t)text.len;
        memcpy(b->data + sizeof header + entries++ * sizeof entry, &entry, sizeof entry);
    }
    if (b->space == 0)
        return true;
    header.fqdn = append(b, fqdn, strlen(fqdn) + 1);
    header.size = (uint32_t)b->len;
    header.files = (uint32_t)entries;
    memcpy(b->data, &header, sizeof header);
    return !b->is_full;
}

/* By write(), not by a mapping: F_SEAL_WRITE is refused while one is there. */
static int seal(const unsigned char *data, size_t len)
{
    int fd = memfd_create("starttlsd bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            goto failed;
        data += n;
        len -= (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
failed:
    close(fd);
    return -1;
}

int bundle_build(const struct config *config, const struct config_source *source, const char *fqdn,
                 uint32_t generation, bool with_secrets)
{
    struct build b = {0};
    size_t need;
    int fd = -1;

    if (!lay_out(&b, config, source, fqdn, generation, with_secrets, &need))
        return -1;
    if (need > BUNDLE_MAX) {
        errno = EFBIG;
        return -1;
    }
    b = (struct build){.data = calloc(1, need), .space = need};
    if (b.data == NULL)
        return -1;
    if (lay_out(&b, config, source, fqdn, generation, with_secrets, &need))
        fd = seal(b.data, b.len);
    OPENSSL_cleanse(b.data, b.space);
    free(b.data);
    return fd;
}

/* A text that begins at `offset` and ends with a NUL inside the bundle. */
static bool is_string(const struct bundle *b, uint32_t offset)
{
    return offset < b->size && memchr(b->data + offset, '\0', b->size - offset) != NULL;
}

static bool is_valid(const struct bundle *b)
{
    const struct header *h = b->header;

    if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0 || h->size != b->size || h->files == 0 ||
        h->files > FILES_MAX || h->files * sizeof(struct entry) > b->size - sizeof *h)
        return false;
    if (!is_string(b, h->fqdn))
        return false;
    for (uint32_t i = 0; i < h->files; i++) {
        const struct entry *e = &b->entry[i];

        if (!is_string(b, e->path) || e->text > b->size || e->len > b->size - e->text)
            return false;
    }
    return true;
}

/* All of `fd` into locked memory that no dump holds. Locking may be forbidden: then it is not. */
static bool load(struct bundle *b, int fd)
{
    struct stat st;
    size_t done = 0;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
        st.st_size < (off_t)sizeof(struct header) || st.st_size > (off_t)BUNDLE_MAX) {
        errno = EINVAL;
        return false;
    }
    b->size = (size_t)st.st_size;
    b->data = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->data == MAP_FAILED) {
        b->data = NULL;
        return false;
    }
    (void)mlock(b->data, b->size);
    (void)madvise(b->data, b->size, MADV_DONTDUMP);
    while (done < b->size) {
        ssize_t n = pread(fd, b->data + done, b->size - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    b->header = (const struct header *)(const void *)b->data;
    b->entry = (const struct entry *)(const void *)(b->data + sizeof *b->header);
    return true;
}

struct bundle *bundle_open(int fd)
{
    struct bundle *b = calloc(1, sizeof *b);

    if (b == NULL || !load(b, fd)) {
        log_errno(LEVEL_ERROR, "bundle.failed", NULL);
        goto failed;
    }
    if (!is_valid(b)) {
        log_event(LEVEL_ERROR, "bundle.failed", "error", "not a bundle", NULL);
        goto failed;
    }
    close(fd);
    return b;
failed:
    close(fd);
    bundle_close(b);
    return NULL;
}

void bundle_close(struct bundle *b)
{
    if (b == NULL)
        return;
    if (b->data != NULL) {
        OPENSSL_cleanse(b->data, b->size);
        munmap(b->data, b->size);
    }
    free(b);
}

const char *bundle_main_path(const struct bundle *b)
{
    return (const char *)b->data + b->entry[0].path;
}

const char *bundle_fqdn(const struct bundle *b)
{
    return (const char *)b->data + b->header->fqdn;
}

uint32_t bundle_generation(const struct bundle *b)
{
    return b->header->generation;
}

struct span bundle_file(const struct bundle *b, const char *path)
{
    for (uint32_t i = 0; i < b->header->files; i++) {
        const struct entry *e = &b->entry[i];

        if (strcmp((const char *)b->data + e->path, path) == 0)
            return (struct span){(const char *)b->data + e->text, e->len};
    }
    return (struct span){NULL, 0};
}

static bool read_file(void *context, const char *path, struct span *text, const char **error)
{
    *text = bundle_file(context, path);
    if (text->data != NULL)
        return true;
    *error = "not in the bundle";
    return false;
}

struct config_source bundle_source(struct bundle *b)
{
    return (struct config_source){read_file, b};
}
