/* SPDX-License-Identifier: ISC */
/* Who a client is, as a backend is told. */
#ifndef STARTTLSD_IDENTITY_H
#define STARTTLSD_IDENTITY_H

#include "protocols/address.h"

struct client_identity {
    struct address client; /* ADDRESS_NONE: nobody knows */
    struct address server; /* where it came in */
    char session[17];      /* as in the log */
};

#endif
