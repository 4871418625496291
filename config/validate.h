/* SPDX-License-Identifier: ISC */
/* Rules between keys. */
#ifndef STARTTLSD_VALIDATE_H
#define STARTTLSD_VALIDATE_H

#include "config/load.h"

/* Every broken rule is told to `d`. A key whose own value was refused is taken for written. */
void validate(const struct loaded *l, struct diagnosis *d);

#endif
