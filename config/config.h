/* SPDX-License-Identifier: ISC */
/* The INI file as typed values. Made by config_load, never changed afterwards: a reload makes a new
 * one. */
#ifndef STARTTLSD_CONFIG_H
#define STARTTLSD_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "config/diagnosis.h"
#include "protocols/protocol.h"

#define CONFIG_DEFAULT_FILE "/etc/starttlsd/starttlsd.ini"

/* No limit, no time-out: the word `off`. */
#define CONFIG_OFF UINT32_MAX

/* Ticket keys that are kept: validation makes sure that no ticket outlives its own. */
#define CONFIG_TICKET_KEYS 8

/* Backends of a service: as many as a set of bits has room for. */
#define CONFIG_BACKENDS_MAX 64

/* A place to listen on or to connect to; the host stays text, config/ looks up no names. */
struct endpoint {
    const char *text; /* as written */
    const char *host; /* without brackets; "*": any address of both families */
    uint16_t port;
    struct origin origin;
};

struct certificate {
    const char *chain;      /* path, relative ones made relative to the file that names them */
    const char *key;        /* path; equals chain if the key is in the same file */
    const char *passphrase; /* path of a file, or NULL */
    struct origin origin;
};

enum tls_profile { TLS_PROFILE_INTERMEDIATE, TLS_PROFILE_MODERN, TLS_PROFILE_OLD };
enum tls_version {
    TLS_VERSION_PROFILE,
    TLS_VERSION_1_0,
    TLS_VERSION_1_1,
    TLS_VERSION_1_2,
    TLS_VERSION_1_3
};
enum balance { BALANCE_FAILOVER, BALANCE_ROUNDROBIN, BALANCE_LEASTCONN, BALANCE_SOURCE };
enum backend_verify {
    BACKEND_VERIFY_FULL, /* the chain, and the name */
    BACKEND_VERIFY_CHAIN,
    BACKEND_VERIFY_FINGERPRINT,
    BACKEND_VERIFY_NONE
};
enum identity {
    IDENTITY_NONE,
    IDENTITY_PROXY_V1,
    IDENTITY_PROXY_V2,
    IDENTITY_XCLIENT,
    IDENTITY_ID,
    IDENTITY_TRANSPARENT
};
enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };
enum log_format { LOG_LOGFMT, LOG_JSON };
enum log_level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

/* Addresses that share their first bits; IPv4 as its mapped form (::ffff:a.b.c.d), with 96 more. */
struct network {
    unsigned char address[16]; /* the bits behind the prefix are 0 */
    unsigned prefix;           /* bits, 0 to 128 */
};

/* What a backend's certificate, or its key, must be. */
struct fingerprint {
    bool is_key; /* of the SubjectPublicKeyInfo; else of the whole certificate, both as DER */
    unsigned char sha256[32];
};

struct service {
    const char *name;
    struct origin origin; /* of its section */
    const struct protocol *protocol;
    struct policy policy;

    const struct endpoint *listen;
    size_t listen_count;
    const struct certificate *certificate;
    size_t certificate_count;
    enum tls_profile tls_profile;
    enum tls_version min_tls, max_tls;

    const struct endpoint *backend;
    size_t backend_count;
    enum balance balance;
    uint32_t backend_max_connections;   /* of all workers together; CONFIG_OFF: no limit */
    enum backend_verify backend_verify; /* NONE wherever nothing is verified */
    const char *backend_ca;             /* path; NULL: the system's, or the chain is not verified */
    const char *backend_name;           /* NULL: the host of the backend */
    const struct fingerprint *backend_fingerprint; /* BACKEND_VERIFY_FINGERPRINT: one of them */
    size_t backend_fingerprint_count;
    const struct certificate *backend_certificate;
    size_t backend_certificate_count; /* 0 or 1 */
    enum tls_version backend_min_tls;
    const char *backend_ciphers;                       /* OpenSSL's list; NULL: not written */
    const char *backend_source_v4, *backend_source_v6; /* numeric text; NULL: any */
    enum identity identity;

    const struct network *accept_proxy; /* whose connections begin with a PROXY header */
    size_t accept_proxy_count;
    bool accept_proxy_unix;             /* and those over UNIX sockets */
    const struct network *allow, *deny; /* of clients; no `allow`: all but `deny` */
    size_t allow_count, deny_count;
    uint32_t max_sessions; /* of all workers together; CONFIG_OFF: no limit */

    uint32_t preamble_timeout_ms, handshake_timeout_ms;
    uint32_t connect_timeout_ms, greeting_timeout_ms;
    uint32_t login_timeout_ms, backend_timeout_ms, idle_timeout_ms;
};

struct config {
    uint32_t workers;         /* 0: auto */
    const char *user, *group; /* NULL: not written, the default applies */
    const char *chroot;       /* NULL: a directory made at start */
    const char *hostname;     /* NULL: the machine's; each policy.hostname is set in any case */
    enum log_target log_target;
    const char *log_facility; /* syslog: "mail" unless written */
    const char *log_file;
    enum log_format log_format;
    enum log_level log_level;
    uint32_t max_sessions; /* 0: by what the machine allows */
    uint32_t drain_timeout_ms;
    uint32_t resolve_interval_ms, health_interval_ms;
    uint32_t ticket_rotation_ms, ticket_lifetime_ms;

    const struct service *service;
    size_t service_count;
    size_t backend_total; /* of all services; a backend's index counts through them in order */
};

/* No path: the authorities that the system trusts, as one text of PEM blocks. */
#define CONFIG_SYSTEM_CA "<the system's authorities>"

/* Where texts come from: the disk in the master, a bundle in a caged child. */
struct config_source {
    /*
     * The whole of the file at `path`, or CONFIG_SYSTEM_CA.
     *
     * text   set; owned by the source, valid as long as the source is
     * error  set on failure: why, in words
     */
    bool (*read)(void *context, const char *path, struct span *text, const char **error);
    void *context;
};

/*
 * Read the file at `path`, and what it includes, from `source`. Every complaint goes to `d`. NULL
 * if there was an error; warnings alone do not stop it.
 *
 * fqdn  the machine's name, for services that write no hostname; copied
 */
MUST_CHECK struct config *config_load(const char *path, const struct config_source *source,
                                      const char *fqdn, struct diagnosis *d);

/* The same, for those who only ask: what could be understood, even if there was an error. Never
 * NULL, and not fit to run: what was refused keeps its default, or is missing. */
struct config *config_examine(const char *path, const struct config_source *source,
                              const char *fqdn, struct diagnosis *d);

/* What to do about a main file that is not there. */
#define CONFIG_FILE_REMEDY "write it, or name another with --config"

/* For those who ask, what would be noise at every start: warnings alone. */
void config_advise(const struct config *config, struct diagnosis *d);

void config_free(struct config *config);

/* All INI files that were read, the main one first, then the paths of other files that values name
 * (certificates, keys, passphrases), and CONFIG_SYSTEM_CA: what a bundle must carry. A file that is named for two purposes
 * is of the later kind. */
enum config_file_kind {
    CONFIG_FILE_INI,
    CONFIG_FILE_PUBLIC,  /* certificates that clients see */
    CONFIG_FILE_BACKEND, /* what a TLS client of the backends needs, keys and passphrases too */
    CONFIG_FILE_SECRET,  /* keys and passphrases of certificates that clients see */
};
size_t config_file_count(const struct config *config);
const char *config_file_at(const struct config *config, size_t index, enum config_file_kind *kind,
                           struct origin *origin);

/* Where `key` of `service` (NULL: [starttlsd]) was written; .file NULL: nowhere, it is the default.
 */
struct origin config_origin(const struct config *config, const struct service *service,
                            const char *key);

/* `check --dump`: the whole configuration with every default, as an INI file that loads again. */
void config_dump(const struct config *config, FILE *to);

/* `check --explain KEY`: from the table. False: no such key; the nearest one has been named on
 * `errors`. */
MUST_CHECK bool config_explain(const char *key, FILE *to, FILE *errors);

/* The whole table as Markdown, for docs/configuration.md. */
void config_reference(FILE *to);

#endif
