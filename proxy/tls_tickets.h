/* SPDX-License-Identifier: ISC */
/* Keys for session tickets (RFC 5077, RFC 8446 section 4.6.1): made and rotated by the master,
 * handed to workers over their channels, never in a bundle. */
#ifndef STARTTLSD_TLS_TICKETS_H
#define STARTTLSD_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "protocols/span.h"

/* As nginx's 80-octet files: name, HMAC secret, AES-256 key. */
struct tls_ticket_key {
    unsigned char name[16];
    unsigned char hmac[32];
    unsigned char aes[32];
};

/* The newest encrypts; all decrypt. Enough that a ticket lives ticket_lifetime under any rotation
 * that validation allows. */
#define TLS_TICKET_KEYS_MAX 8

struct tls_ticket_keys {
    uint32_t count;
    struct tls_ticket_key key[TLS_TICKET_KEYS_MAX]; /* newest first */
};

/* Master: put a fresh random key in front; the oldest leaves when there are more than `keep`.
 * False: no randomness. */
MUST_CHECK bool tls_ticket_keys_rotate(struct tls_ticket_keys *keys, uint32_t keep);

struct tls_tickets; /* a worker's set, in locked memory; contexts refer to it */
struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets *t);
void tls_tickets_set(struct tls_tickets *t, const struct tls_ticket_keys *keys);

/* One stateless ticket a handshake, valid for `lifetime_s`. t outlives ctx. */
MUST_CHECK bool tls_tickets_attach(struct tls_tickets *t, SSL_CTX *ctx, uint32_t lifetime_s);

#endif
