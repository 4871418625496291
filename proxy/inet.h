/* SPDX-License-Identifier: ISC */
/* Addresses between the kernel's form and ours. */
#ifndef STARTTLSD_INET_H
#define STARTTLSD_INET_H

#include "protocols/address.h"
#include "proxy/board.h"

/* Mapped IPv4 addresses, of dual-stack sockets, become IPv4; what is none of the Internet becomes
 * ADDRESS_NONE. */
struct address inet_read(const union board_address *a);

/* ADDRESS_NONE becomes AF_UNSPEC. */
union board_address inet_write(const struct address *a);

/* Our end of a connected socket, likewise. */
struct address inet_local(int fd);

#endif
