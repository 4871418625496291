/* SPDX-License-Identifier: ISC */
/* An address of the Internet as octets and as text. */
#ifndef STARTTLSD_ADDRESS_H
#define STARTTLSD_ADDRESS_H

#include <stdint.h>

#include "protocols/span.h"

enum address_family { ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6 };

struct address {
    enum address_family family;
    unsigned char octets[16]; /* IPv4: the first four */
    uint16_t port;
};

/* `ffff:…:ffff`, with the four numbers that may stand at its end. */
#define ADDRESS_TEXT_MAX ((size_t)45)

/* The address without its port, IPv6 as RFC 5952 wants it. Octets written; 0: it is none.
 *
 * space  ADDRESS_TEXT_MAX octets */
size_t address_write(const struct address *a, char *space);

/* The whole of `text` is an address of that family: four decimal numbers without leading zeros, or
 * RFC 4291, section 2.2. Leaves the port as it is. */
MUST_CHECK bool address_read(struct span text, enum address_family family, struct address *a);

/* The same address in the other family's terms, where that can be: IPv4 as `::ffff:…` (RFC 4291,
 * section 2.5.5.2), and what is so mapped as IPv4. */
struct address address_mapped(const struct address *a);
struct address address_unmapped(const struct address *a);

/* A decimal number of a port, without sign or leading zero. */
MUST_CHECK bool address_read_port(struct span text, uint16_t *port);

/* The same as text: octets written to `space` of ADDRESS_PORT_TEXT_MAX. */
#define ADDRESS_PORT_TEXT_MAX ((size_t)5)
size_t address_write_port(uint16_t port, char *space);

#endif
