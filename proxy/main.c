/* SPDX-License-Identifier: ISC */
/* The command line: which subcommand, what for, how to be called. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "config/config.h"
#include "proxy/check.h"
#include "proxy/master.h"
#include "proxy/probe.h"
#include "proxy/role.h"

enum { EXIT_GOOD = 0, EXIT_USAGE = 2 };

static const char run_help[] =
    "usage: starttlsd run [--config FILE] [--no-cage]\n"
    "\n"
    "Serve, in the foreground, until SIGTERM (drain) or SIGINT (stop). SIGHUP reloads.\n"
    "\n"
    "  --config FILE  the configuration; " CONFIG_DEFAULT_FILE " unless given\n"
    "  --no-cage      children keep the root directory and can be traced: for debuggers\n"
    "                 and sanitizers only\n";

static int run_main(int argc, char **argv)
{
    const char *config = CONFIG_DEFAULT_FILE;
    bool is_caged = true;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(run_help, stdout);
            return EXIT_GOOD;
        }
        if (strcmp(argv[i], "--no-cage") == 0) {
            is_caged = false;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            config = argv[++i];
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            config = argv[i] + 9;
        } else {
            fprintf(stderr, "starttlsd run: what is %s?\n%s", argv[i], run_help);
            return EXIT_USAGE;
        }
    }
    return master_run(config, is_caged);
}

static int version_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") != 0) {
        fprintf(stderr, "usage: starttlsd version\n");
        return EXIT_USAGE;
    }
    if (argc > 1)
        printf("usage: starttlsd version\n");
    else
        printf("starttlsd %s, %s\n", STARTTLSD_VERSION, OpenSSL_version(OPENSSL_VERSION));
    return EXIT_GOOD;
}

static int help_main(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the name */
    const char *help;                  /* NULL: not for people */
} commands[] = {
    {"run", run_main, "serve, in the foreground"},
    {"check", check_main, "is the configuration good? What does a key mean?"},
    {"probe", probe_main, "does STARTTLS work there? Any server, any mail protocol"},
    {"version", version_main, "this version, and OpenSSL's"},
    {"help", help_main, "this text; `starttlsd COMMAND --help` says more"},
    {"--help", help_main, NULL},
    {"-h", help_main, NULL},
    {"--version", version_main, NULL},
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: starttlsd COMMAND\n\nThe STARTTLS gateway for mail servers.\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].help != NULL)
            fprintf(to, "  %-9s%s\n", commands[i].name, commands[i].help);
}

static int help_main(int argc, char **argv)
{
    print_help(stdout);
    return EXIT_GOOD;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "--role") == 0)
        return role_main(argc, argv);
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "starttlsd: there is no command %s\n\n", argv[1]);
    print_help(stderr);
    return EXIT_USAGE;
}
