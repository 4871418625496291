/* SPDX-License-Identifier: ISC */
/* Values that are lists: their words add up over all lines of a section. Contracts as
 * value_parse's. */
#ifndef STARTTLSD_LIST_H
#define STARTTLSD_LIST_H

#include "config/setting.h"

/* How many words a setting and its `more` have. */
size_t list_length(const struct setting *setting);

bool list_endpoints(const struct parse *p);
bool list_certificates(const struct parse *p);
bool list_fingerprints(const struct parse *p);
bool list_ciphers(const struct parse *p);
bool list_sources(const struct parse *p);
bool list_words(const struct parse *p);
bool list_capabilities(const struct parse *p);
bool list_commands(const struct parse *p);
bool list_networks(const struct parse *p);
bool list_peers(const struct parse *p);
bool list_relay(const struct parse *p);

#endif
