/* SPDX-License-Identifier: ISC */
/* What `starttlsd probe` was asked for. */
#ifndef STARTTLSD_PROBE_OPTIONS_H
#define STARTTLSD_PROBE_OPTIONS_H

#include "protocols/protocol.h"

#define PROBE_WATCH_SECONDS 60

struct probe_options {
    const struct protocol *protocol;
    char host[256]; /* a name without a dot at its end, or a numeric address without brackets */
    uint16_t port;  /* written, or the protocol's own for `tls` */
    enum backend_tls tls; /* STARTTLS, or IMPLICIT: --tls, or by the port */
    const char
        *servername; /* what its certificate must be for, and is asked for: --servername, or host */
    const char *ca;  /* a file of authorities; NULL: the system's */
    unsigned expiry_days; /* a certificate with less left is a warning */
    bool versions, relay_test, proxy;
    bool nagios, watch, trace, json;
    bool help; /* nothing else is asked for; all else may be unset */
};

extern const char probe_usage[];

/*
 * Read the command line into *o, which borrows from it and may point into itself.
 *
 * argv[0]  the subcommand
 * why      false: which word is wrong, and what to write, as a sentence
 */
MUST_CHECK bool probe_options_read(struct probe_options *o, int argc, char **argv, char *why,
                                   size_t size);

/* The host is an address, or --servername is: nothing that a name could be compared with. */
MUST_CHECK bool probe_options_has_name(const struct probe_options *o);

/* HOST:PORT as it could be written, with brackets where they belong. */
#define PROBE_PLACE_MAX 272
const char *probe_options_place(const struct probe_options *o, char space[PROBE_PLACE_MAX]);

#endif
