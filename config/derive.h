/* SPDX-License-Identifier: ISC */
/* What follows from a service's keys together. */
#ifndef STARTTLSD_DERIVE_H
#define STARTTLSD_DERIVE_H

#include "config/config.h"

/* Behind the last value: set what nobody writes, and take away what nobody uses. */
void derive(struct service *service);

#endif
