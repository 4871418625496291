/* SPDX-License-Identifier: ISC */
/* The checksum of PROXY headers: CRC-32C (RFC 9260, appendix A). */
#ifndef STARTTLSD_CRC32C_H
#define STARTTLSD_CRC32C_H

#include <stdint.h>

#include "protocols/span.h"

/* Of `octets` behind those that gave `crc`; 0 for the first. */
uint32_t crc32c(uint32_t crc, struct span octets);

#endif
