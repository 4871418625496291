/* SPDX-License-Identifier: ISC */
/* `starttlsd check`: is the configuration good? */
#ifndef STARTTLSD_CHECK_H
#define STARTTLSD_CHECK_H

/* argv[0] is "check". The exit status: 0 good, 1 errors in the configuration, 2 usage, 3 could not
 * run. */
int check_main(int argc, char **argv);

#endif
