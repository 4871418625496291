/* SPDX-License-Identifier: ISC */
/* Configuration files from the disk, and the system's authorities (CONFIG_SYSTEM_CA): what the
 * master and `check` read from. */
#ifndef STARTTLSD_DISK_H
#define STARTTLSD_DISK_H

#include "config/config.h"

/* Nothing that a configuration names is larger, unless it is named by mistake. */
#define DISK_FILE_OCTETS ((size_t)1024 * 1024)

/* Keeps what it has read: a file is read once, and its text lives as long as the source. */
struct disk_source {
    struct disk_file *last;
};

/* What an errno of opening a file means, with the remedy where another user is one. */
const char *disk_error(int error);

void disk_source_init(struct disk_source *disk);

/* Wipes all texts, since keys are among them. */
void disk_source_clear(struct disk_source *disk);

/* Borrows `disk`. */
struct config_source disk_source(struct disk_source *disk);

#endif
