/* SPDX-License-Identifier: ISC */
/* The machine's own name. */
#ifndef STARTTLSD_HOSTNAME_H
#define STARTTLSD_HOSTNAME_H

/* The fully qualified name if the resolver knows one, else the host name, else "localhost". Asks
 * the resolver, once and with one try of a second: later calls get the same text.
 * Never NULL. */
const char *machine_fqdn(void);

#endif
