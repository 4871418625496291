/* SPDX-License-Identifier: ISC */
/* What `starttlsd probe` was asked for. */
#ifndef STARTTLSD_PROBE_OPTIONS_H
#define STARTTLSD_PROBE_OPTIONS_H

#include "protocols/protocol.h"

struct probe_options {
    const struct protocol *protocol;
    char host[256];       /* a name, or a numeric address without brackets */
    uint16_t port;        /* written, or the protocol's own for `tls` */
    enum backend_tls tls; /* STARTTLS, or IMPLICIT: --tls, or by the port */
    const char
        *servername; /* what its certificate must be for, and is asked for: --servername, or host */
    const char *ca;  /* a file of authorities; NULL: the system's */
    unsigned expiry_days; /* a certificate with less left is a warning */
    bool versions, relay_test, proxy;
    bool nagios, watch, trace, json;
};

#endif
