/* SPDX-License-Identifier: ISC */
/* The visits that `starttlsd probe` pays to one address: one connection at a time, each bounded, no
 * more than the options ask for, and none behind a first one that found nobody. */
#ifndef STARTTLSD_PROBE_SURVEY_H
#define STARTTLSD_PROBE_SURVEY_H

#include "proxy/board.h"
#include "proxy/probe_facts.h"
#include "proxy/probe_options.h"

struct probe_survey; /* what all addresses share: loop, scratch, trust */

/* `o` outlives it. `why`: what stands against it, as a sentence (a --ca that can't be read), if NULL
 * is returned. */
MUST_CHECK struct probe_survey *probe_survey_new(const struct probe_options *o, char *why,
                                                 size_t size);
void probe_survey_free(struct probe_survey *s);

/* Blocks until all is known. `f`: set whole. Port and options are those of `o`; with --trace the
 * dialogue goes to stderr as it is held. */
void probe_survey_address(struct probe_survey *s, const union board_address *address,
                          struct probe_facts *f);

#endif
