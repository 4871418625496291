/* SPDX-License-Identifier: ISC */
/* INI text, all files it names and resolved values as one sealed memory file: all that a caged
 * child ever learns of the file system. */
#ifndef STARTTLSD_BUNDLE_H
#define STARTTLSD_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "protocols/span.h"

struct bundle; /* a received one: its octets in locked memory that is left out of dumps */

/*
 * Make a bundle of `config`'s files, read from `source`.
 *
 * with_secrets  front certificates, keys and passphrases too; the scout gets none. It is a client of
 *               the backends as workers are, and has the keys that belong to that
 * fqdn          what the children use as the machine's name
 * generation    counts the snapshots of this instance
 *
 * A descriptor, sealed, the caller's to close; -1: errno.
 */
MUST_CHECK int bundle_build(const struct config *config, const struct config_source *source,
                            const char *fqdn, uint32_t generation, bool with_secrets);

/* Take the content of `fd` (closed in any case). NULL: not a bundle, or no memory; logged. */
MUST_CHECK struct bundle *bundle_open(int fd);

/* Wipes it. Spans of it die. */
void bundle_close(struct bundle *b);

/* A source for config_load that reads from the bundle. */
struct config_source bundle_source(struct bundle *b);

/* The main INI file's path; the machine's name; the generation. */
const char *bundle_main_path(const struct bundle *b);
const char *bundle_fqdn(const struct bundle *b);
uint32_t bundle_generation(const struct bundle *b);

/* The octets of the file at `path` (as config names it), or a span with NULL. Borrowed from the
 * bundle. */
struct span bundle_file(const struct bundle *b, const char *path);

#endif
