/* SPDX-License-Identifier: ISC */
/* What a child process is, and what it finds at which descriptor. */
#ifndef STARTTLSD_ROLE_H
#define STARTTLSD_ROLE_H

enum role { ROLE_WORKER, ROLE_SCOUT, ROLE_RESOLVER };
#define ROLE_COUNT 3

/* A child is born with these, its standard ones, and no others. */
enum {
    ROLE_FD_CHANNEL = 3,
    ROLE_FD_LOG = 4,
    ROLE_FD_ROOT = 5, /* the directory that becomes its root; only where it gets one */
    ROLE_FD_END = 6
};

const char *role_name(enum role role);

/* The child's whole life: `--role NAME` of the command line, started by child.c. The exit status.
 */
int role_main(int argc, char **argv);

#endif
