/* SPDX-License-Identifier: ISC */
/* Names of what is found. */
#include "proxy/probe_facts.h"

const char *const probe_version_names[PROBE_VERSIONS] = {
    [PROBE_TLSV1] = "TLSv1",
    [PROBE_TLSV1_1] = "TLSv1.1",
    [PROBE_TLSV1_2] = "TLSv1.2",
    [PROBE_TLSV1_3] = "TLSv1.3",
};
