/* SPDX-License-Identifier: ISC */
/* Who may come in, by address: `allow`, `deny` and `accept_proxy`. */
#ifndef STARTTLSD_ADMISSION_H
#define STARTTLSD_ADMISSION_H

#include "config/config.h"
#include "protocols/address.h"

/* What `allow` and `deny` say of this client, the latter first. One without an address is in no
 * network. */
bool admission_allows(const struct service *service, const struct address *client);

/* This peer (ADDRESS_NONE: on a UNIX socket) must begin with a PROXY header: it is no client. */
bool admission_needs_header(const struct service *service, const struct address *peer);

#endif
