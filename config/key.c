/* SPDX-License-Identifier: ISC */
/* Questions about the rows of the table of keys. */
#include "config/config.h"
#include "config/nearest.h"
#include "config/schema.h"

/* Their meaning is settled, so a file that has them is told the truth: not "unknown". */
static const char *const later_global[] = {
    "log_users", "metrics", "ticket_keys", "certificate_watch", NULL,
};
static const char *const later_service[] = {
    "ciphers",
    "ciphersuites",
    "groups",
    "sni",
    "client_certificate",
    "client_ca",
    "client_crl",
    "max_sessions_per_client",
    "session_rate_per_client",
    "limit_exempt",
    NULL,
};

const struct key *key_find(enum key_section section, const char *name)
{
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++)
        if (key->section == section && strcmp(key->name, name) == 0)
            break;
    return key;
}

bool key_applies(const struct key *key, const struct service *service)
{
    const bool has_tls = service->policy.backend_tls != BACKEND_TLS_NONE;
    const bool is_enforced = has_tls && service->policy.is_backend_enforced;

    switch (key->needs) {
    case NEEDS_NOTHING: break;
    case NEEDS_STARTTLS: return service->policy.tls == FRONT_STARTTLS;
    case NEEDS_TLS: return service->policy.tls != FRONT_NONE;
    case NEEDS_RELAY: return service->protocol == NULL || service->protocol->has_relay;
    case NEEDS_BACKEND_TLS: return has_tls;
    case NEEDS_BACKEND_ENFORCED: return is_enforced;
    case NEEDS_CHAIN:
        return is_enforced && (service->backend_verify == BACKEND_VERIFY_FULL ||
                               service->backend_verify == BACKEND_VERIFY_CHAIN);
    case NEEDS_FINGERPRINT:
        return is_enforced && service->backend_verify == BACKEND_VERIFY_FINGERPRINT;
    }
    return true;
}

const char *key_condition(enum key_needs needs)
{
    switch (needs) {
    case NEEDS_NOTHING:
    case NEEDS_STARTTLS:
    case NEEDS_TLS: break;
    case NEEDS_RELAY: return "protocol";
    case NEEDS_BACKEND_TLS: return "backend_tls";
    case NEEDS_BACKEND_ENFORCED: return "backend_policy";
    case NEEDS_CHAIN:
    case NEEDS_FINGERPRINT: return "backend_verify";
    }
    return "tls";
}

const char *key_protocol_preset(const struct key *key, const struct protocol *protocol)
{
    const char *text = NULL;

    if (key->protocol_preset != 0)
        memcpy(&text, (const char *)protocol + key->protocol_preset, sizeof(text));
    return text;
}

bool key_is_list(const struct key *key)
{
    switch (key->type) {
    case TYPE_LISTEN:
    case TYPE_BACKEND:
    case TYPE_CERTIFICATES:
    case TYPE_FINGERPRINTS:
    case TYPE_CIPHERS:
    case TYPE_SOURCES:
    case TYPE_WORDS:
    case TYPE_CAPABILITIES:
    case TYPE_COMMANDS:
    case TYPE_NETWORKS:
    case TYPE_PEERS:
    case TYPE_RELAY: return true;
    case TYPE_COUNT:
    case TYPE_DURATION:
    case TYPE_CHOICE:
    case TYPE_NAME:
    case TYPE_HOSTNAME:
    case TYPE_TEXT:
    case TYPE_PATH:
    case TYPE_LOG:
    case TYPE_CERTIFICATE:
    case TYPE_PROTOCOL: break;
    }
    return false;
}

const char *key_nearest(enum key_section section, const char *name)
{
    struct nearest best = NEAREST_NONE;
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++)
        if (key->section == section)
            nearest_consider(&best, key->name, name);
    return best.name;
}

bool key_comes_later(enum key_section section, const char *name)
{
    const char *const *later = section == KEY_GLOBAL ? later_global : later_service;

    for (; *later != NULL; later++)
        if (strcmp(*later, name) == 0)
            return true;
    return false;
}
