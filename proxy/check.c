/* SPDX-License-Identifier: ISC */
/* `starttlsd check`: the configuration as the master would read it, certificates included, and the
 * table of keys; with --backends what stands behind it. Complaints go to stderr, answers to stdout. */
#include "proxy/check.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "proxy/check_backends.h"
#include "proxy/disk.h"
#include "proxy/generation.h"
#include "proxy/hostname.h"
#include "proxy/tls_context.h"

enum { EXIT_GOOD, EXIT_BAD, EXIT_USAGE, EXIT_CANNOT };

static_assert(CONFIG_TICKET_KEYS == TLS_TICKET_KEYS_MAX, "validation counts on these keys");

static const char usage[] =
    "usage: starttlsd check [--config FILE] [--backends | --dump]\n"
    "       starttlsd check --explain KEY\n"
    "       starttlsd check --reference\n"
    "\n"
    "  --config FILE  check this file (" CONFIG_DEFAULT_FILE ")\n"
    "  --backends     look at every backend too: is it there, what does it offer, what will\n"
    "                 clients see, and would it relay for this machine? No mail is sent\n"
    "  --dump         print every key with its value, as a file that loads again\n"
    "  --explain KEY  what a key means and takes\n"
    "  --reference    the same of all keys, in Markdown\n";

struct options {
    const char *config;
    const char *explain;
    bool backends, dump, reference, help;
};

/* False: told on stderr. */
static bool read_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        const char **value = strcmp(option, "--config") == 0    ? &o->config
                             : strcmp(option, "--explain") == 0 ? &o->explain
                                                                : NULL;

        if (strncmp(option, "--config=", 9) == 0) {
            o->config = option + 9;
        } else if (value != NULL && i + 1 < argc) {
            *value = argv[++i];
        } else if (value != NULL) {
            fprintf(stderr, "starttlsd check: %s needs a value\n", option);
            return false;
        } else if (strcmp(option, "--backends") == 0) {
            o->backends = true;
        } else if (strcmp(option, "--dump") == 0) {
            o->dump = true;
        } else if (strcmp(option, "--reference") == 0) {
            o->reference = true;
        } else if (strcmp(option, "--help") == 0) {
            o->help = true;
        } else {
            fprintf(stderr, "starttlsd check: unknown option %s\n", option);
            return false;
        }
    }
    if (o->backends && o->dump)
        fputs("starttlsd check: --dump is for programs, --backends for people\n", stderr);
    return !o->backends || !o->dump;
}

static int look_at_backends(const struct config *config, const struct config_source *source)
{
    fflush(stderr);
    switch (check_backends(config, source, stdout)) {
    case CHECK_BACKENDS_GOOD: return EXIT_GOOD;
    case CHECK_BACKENDS_BAD: return EXIT_BAD;
    case CHECK_BACKENDS_FAILED: break;
    }
    return EXIT_CANNOT;
}

static int check_file(const char *path, const struct options *o)
{
    struct disk_source disk;
    struct config_source source = disk_source(&disk);
    struct diagnosis *d = diagnosis_new();
    struct config *config;
    bool is_sound;
    int status;

    disk_source_init(&disk);
    config = config_examine(path, &source, machine_fqdn(), d);
    is_sound = diagnosis_errors(d) == 0;
    generation_judge(config, &source, d);
    config_advise(config, d);
    diagnosis_print(d, stderr);
    status = diagnosis_errors(d) == 0 ? EXIT_GOOD : EXIT_BAD;
    if (status == EXIT_GOOD && o->dump)
        config_dump(config, stdout);
    else if (status == EXIT_GOOD)
        printf("%s: configuration is good\n", path);
    /* A key that this user may not read says nothing about the backends. */
    if (o->backends && is_sound) {
        int seen = look_at_backends(config, &source);

        status = seen > status ? seen : status;
    }
    config_free(config);
    diagnosis_free(d);
    disk_source_clear(&disk);
    return status;
}

/* A dump is read elsewhere: its relative paths must not depend on where it was made. */
static int run_check(const struct options *o)
{
    char *absolute = o->dump ? realpath(o->config, NULL) : NULL;
    const char *path = absolute != NULL ? absolute : o->config;
    int status = EXIT_CANNOT;

    if (access(path, R_OK) != 0)
        fprintf(stderr, "%s: cannot be read: %s; " CONFIG_FILE_REMEDY "\n", path,
                disk_error(errno));
    else if (!tls_library_start())
        fputs("starttlsd check: OpenSSL does not start\n", stderr);
    else
        status = check_file(path, o);
    free(absolute);
    return status;
}

int check_main(int argc, char **argv)
{
    struct options o = {.config = CONFIG_DEFAULT_FILE};
    int status = EXIT_GOOD;

    if (!read_options(argc, argv, &o)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (o.help)
        fputs(usage, stdout);
    else if (o.reference)
        config_reference(stdout);
    else if (o.explain != NULL)
        status = config_explain(o.explain, stdout, stderr) ? EXIT_GOOD : EXIT_BAD;
    else
        status = run_check(&o);
    if (fflush(stdout) != 0) {
        perror("starttlsd check");
        status = EXIT_CANNOT;
    }
    return status;
}
