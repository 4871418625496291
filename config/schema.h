/* SPDX-License-Identifier: ISC */
/* The table of keys: what may be written, where, how it is read, what it means if it is not.
 * Loader, `check`, dump and reference all go by it and cannot drift. */
#ifndef STARTTLSD_SCHEMA_H
#define STARTTLSD_SCHEMA_H

#include <stdint.h>

#include "protocols/protocol.h"

struct service;

enum key_section {
    KEY_GLOBAL,  /* [starttlsd]; fields of struct config */
    KEY_SERVICE, /* [service NAME], [defaults]; fields of struct service */
};

/* In which services a key means something. */
enum key_needs {
    NEEDS_NOTHING,
    NEEDS_STARTTLS, /* by their `tls` */
    NEEDS_TLS,
    NEEDS_RELAY,            /* by their `protocol`: mail is handed in, for whomever it may be */
    NEEDS_BACKEND_TLS,      /* by their `backend_tls` */
    NEEDS_BACKEND_ENFORCED, /* and by their `backend_policy` */
    NEEDS_CHAIN,            /* and by their `backend_verify` */
    NEEDS_FINGERPRINT,
};

enum key_type {
    TYPE_COUNT,        /* uint32_t or unsigned */
    TYPE_DURATION,     /* uint32_t, milliseconds */
    TYPE_CHOICE,       /* an enum, or a bool */
    TYPE_NAME,         /* const char *, one word */
    TYPE_HOSTNAME,     /* const char *, a name that may stand in a greeting */
    TYPE_TEXT,         /* const char *, a line of printable ASCII */
    TYPE_PATH,         /* const char *, made relative to the file that names it */
    TYPE_LOG,          /* log_target and what belongs to it */
    TYPE_PROTOCOL,     /* const struct protocol * */
    TYPE_LISTEN,       /* list of struct endpoint, addresses */
    TYPE_BACKEND,      /* list of struct endpoint, addresses or names */
    TYPE_CERTIFICATES, /* list of struct certificate, one a line */
    TYPE_CERTIFICATE,  /* the same, but one alone */
    TYPE_FINGERPRINTS, /* list of struct fingerprint */
    TYPE_CIPHERS,      /* const char *, words of OpenSSL's list, joined by colons */
    TYPE_SOURCES,      /* backend_source_v4, backend_source_v6 */
    TYPE_WORDS,        /* struct words */
    TYPE_CAPABILITIES, /* struct words, KEYWORD or KEYWORD=PARAMETER,PARAMETER */
    TYPE_COMMANDS,     /* struct words, verbs */
    TYPE_NETWORKS,     /* list of struct network */
    TYPE_PEERS,        /* the same, and accept_proxy_unix */
    TYPE_RELAY,        /* policy.relay and policy.relay_domains */
};

/* A word of a TYPE_CHOICE. Words that are known but cannot be chosen say why. */
struct choice {
    const char *word; /* NULL: end; its refusal, if any, answers all other words */
    unsigned value;
    const char *refusal;
    const char *remedy;
};

struct key {
    enum key_section section;
    const char *name;
    enum key_type type;
    enum key_needs needs;
    bool is_required;        /* where it means something */
    const char *preset;      /* the default, as it would be written; NULL: none */
    const char *preset_note; /* what holds if there is none */
    size_t protocol_preset;  /* in struct protocol: the default where that has its own; 0: none */
    uint32_t min, max;       /* TYPE_COUNT; TYPE_DURATION, in milliseconds */
    const char *word;        /* TYPE_COUNT, TYPE_DURATION: a word instead of a number, or NULL */
    uint32_t word_value;
    const struct choice *choices;
    size_t field, size; /* where it goes */
    size_t count_field; /* lists: where their number goes */
    const char *help;   /* whole sentences */
};

/* In the order of the table: global keys first. NULL behind the last. */
const struct key *key_at(size_t index);

/* NULL: no such key in that kind of section. */
const struct key *key_find(enum key_section section, const char *name);

/* It means something in that service. */
bool key_applies(const struct key *key, const struct service *service);

/* The key by which one of that kind means something or not. */
const char *key_condition(enum key_needs needs);

/* The default that the protocol has of its own, as it would be written; or NULL. */
const char *key_protocol_preset(const struct key *key, const struct protocol *protocol);

/* Its values add up over words and lines. */
bool key_is_list(const struct key *key);

/* The known name nearest to `name` in that kind of section, if near enough for a slip of the hand;
 * or NULL. */
const char *key_nearest(enum key_section section, const char *name);

/* Keys of the design that come with a later version. */
bool key_comes_later(enum key_section section, const char *name);

#endif
