/* SPDX-License-Identifier: ISC */
/* `starttlsd check --backends`: are the backends there, what can they do, would they relay for us? */
#ifndef STARTTLSD_CHECK_BACKENDS_H
#define STARTTLSD_CHECK_BACKENDS_H

#include "config/config.h"

enum check_backends {
    CHECK_BACKENDS_GOOD,   /* warnings, if anything */
    CHECK_BACKENDS_BAD,    /* there is a problem */
    CHECK_BACKENDS_FAILED, /* it could not be found out; told on stderr */
};

/* Look at every address of every backend, one after the other, and tell `to` what was found. It
 * blocks, each look no longer than a few times ten seconds. The configuration is without errors; what
 * is wrong with the files that TLS needs has been told. */
MUST_CHECK enum check_backends check_backends(const struct config *config,
                                              const struct config_source *source, FILE *to);

#endif
