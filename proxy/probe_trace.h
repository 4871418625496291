/* SPDX-License-Identifier: ISC */
/* `starttlsd probe --trace`: the dialogue on stderr, line by line as it is held. */
#ifndef STARTTLSD_PROBE_TRACE_H
#define STARTTLSD_PROBE_TRACE_H

#include "proxy/board.h"
#include "proxy/probe_facts.h"

void probe_trace_title(const char *title, const union board_address *address, uint16_t port);
void probe_trace_connected(double ms);
void probe_trace_secured(const struct probe_visit_facts *f);
void probe_trace_failed(const char *why);

/* Octets that no terminal should get are escaped. */
void probe_trace_text(bool is_ours, struct span text);

#endif
