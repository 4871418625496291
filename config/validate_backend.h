/* SPDX-License-Identifier: ISC */
/* Rules between the keys of the way to a backend: validate.c's, in a file of their own. */
#ifndef STARTTLSD_VALIDATE_BACKEND_H
#define STARTTLSD_VALIDATE_BACKEND_H

#include "config/load.h"

void validate_backend(const struct loaded *l, const struct section *s,
                      const struct service *service, struct diagnosis *d);

/* Complain of `w`, a key about TLS towards backends that means nothing in this service: the nearest
 * reason. */
void validate_backend_needs(const struct section *s, const struct service *service,
                            const struct setting *w, struct diagnosis *d);

#endif
