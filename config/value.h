/* SPDX-License-Identifier: ISC */
/* Text to typed values, one key at a time. */
#ifndef STARTTLSD_VALUE_H
#define STARTTLSD_VALUE_H

#include "config/setting.h"

/* Read the setting and its `more` into its field. False: there was an error, told to the diagnosis,
 * and the field is as it was. */
bool value_parse(const struct parse *p);

/* A length of time as it would be written: 90s, 2m. */
#define VALUE_DURATION_MAX 16
const char *value_duration(uint32_t ms, char space[VALUE_DURATION_MAX]);

#endif
