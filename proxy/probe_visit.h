/* SPDX-License-Identifier: ISC */
/* One connection of `starttlsd probe`, by the way that the scout takes. */
#ifndef STARTTLSD_PROBE_VISIT_H
#define STARTTLSD_PROBE_VISIT_H

#include "config/config.h"
#include "proxy/board.h"
#include "proxy/probe_facts.h"
#include "proxy/probe_options.h"
#include "proxy/probe_tls.h"

/* What a visit is for. */
struct probe_errand {
    const char *title; /* for --trace */
    uint16_t port;
    enum backend_tls tls;
    unsigned version;     /* PROBE_TLSV1 and so on, and no other; PROBE_VERSIONS: any */
    enum identity header; /* what goes in front of all: IDENTITY_NONE, or a PROXY header */
    bool resumes;         /* with the session of a visit before */
    bool learns;
    bool tries_relay;
    enum probe_injection injection;
};

struct probe_visitor; /* loop and memory, for one visit after another */

/* Both outlive it. NULL: no memory. */
MUST_CHECK struct probe_visitor *probe_visitor_new(const struct probe_options *o,
                                                   struct probe_tls *tls);
void probe_visitor_free(struct probe_visitor *v);

/*
 * Blocks, at most 10 s for a connection, for each answer, and 30 s for all of them.
 *
 * address  without port
 * f        set whole
 * c        likewise, if it came to TLS; NULL: nobody asks
 */
void probe_visit(struct probe_visitor *v, const union board_address *address,
                 const struct probe_errand *errand, struct probe_visit_facts *f,
                 struct probe_certificate *c);

#endif
