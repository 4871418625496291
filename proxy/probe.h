/* SPDX-License-Identifier: ISC */
/* `starttlsd probe`: does STARTTLS work there? */
#ifndef STARTTLSD_PROBE_COMMAND_H
#define STARTTLSD_PROBE_COMMAND_H

/* argv[0] is the name. The exit status, as `--help` has it. */
int probe_main(int argc, char **argv);

#endif
