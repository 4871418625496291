/* SPDX-License-Identifier: ISC */
/* How much of this machine is ours: processors, memory, descriptors. */
#ifndef STARTTLSD_MACHINE_H
#define STARTTLSD_MACHINE_H

#include <stdint.h>

/* Processors that affinity and the control group's quota leave, at least 1. */
uint32_t machine_cpus(void);

/* Octets of memory that machine and control group leave. */
uint64_t machine_memory(void);

/* Raise the soft limit of descriptors to the hard one; the limit that then holds. */
uint64_t machine_descriptors(void);

#endif
