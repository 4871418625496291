/* SPDX-License-Identifier: ISC */
/* The table of modules: a new protocol is one row. */
#include "protocols/protocol.h"

static const struct protocol *const modules[] = {
    &smtp_protocol,
    &imap_protocol,
    &pop3_protocol,
};

#define MODULES (sizeof(modules) / sizeof(modules[0]))

const struct protocol *protocol_find(struct span name)
{
    for (size_t i = 0; i < MODULES; i++)
        if (span_equals(name, span_of(modules[i]->name)))
            return modules[i];
    return NULL;
}

const struct protocol *protocol_at(size_t index)
{
    return index < MODULES ? modules[index] : NULL;
}
