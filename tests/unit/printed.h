/* SPDX-License-Identifier: ISC */
/* What was printed to memory, for claims about it. Each takes `seen`, and frees it. Include behind cmocka.h. */
#ifndef STARTTLSD_PRINTED_H
#define STARTTLSD_PRINTED_H

#include <stdlib.h>
#include <string.h>

static inline void printed_is(char *seen, const char *text)
{
    assert_string_equal(seen, text);
    free(seen);
}

static inline void printed_has(char *seen, const char *part)
{
    if (strstr(seen, part) == NULL)
        fail_msg("no '%s' in: %s", part, seen);
    free(seen);
}

#endif
