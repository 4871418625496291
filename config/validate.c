/* SPDX-License-Identifier: ISC */
/* Rules between keys: what is required, what contradicts, what an administrator should know. */
#include "config/validate.h"

#include "config/endpoint.h"
#include "config/value.h"

/* The line of `key`, or of the heading where it should have been. */
static struct origin origin_of(const struct loaded *l, const struct section *s, const char *key)
{
    const struct setting *written = loaded_find(l, s, key);

    return written != NULL ? written->origin : s->origin;
}

static void require_keys(const struct loaded *l, const struct section *s,
                         const struct service *service, struct diagnosis *d)
{
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++)
        if (key->is_required && key_applies(key, service->policy.tls) &&
            loaded_find(l, s, key->name) == NULL)
            diagnosis_error(d, s->origin, s->title, key->name,
                            "write it here or under [defaults] (`starttlsd check --explain` tells "
                            "what it takes)",
                            "required, and not written");
}

static void require_relay(const struct loaded *l, const struct section *s,
                          const struct service *service, struct diagnosis *d)
{
    if (service->protocol != &smtp_protocol || service->identity != IDENTITY_NONE ||
        loaded_find(l, s, "relay") != NULL)
        return;
    diagnosis_error(d, s->origin, s->title, "relay",
                    "list the domains that you take mail for (relay = example.com example.net), or "
                    "write `relay = backend` if the backend relays nothing for starttlsd's address",
                    "required, and not written: the backend sees every client come from "
                    "starttlsd's own address, and a backend that trusts this address would send "
                    "anybody's mail to anywhere (an open relay)");
}

static enum tls_version profile_floor(enum tls_profile profile)
{
    switch (profile) {
    case TLS_PROFILE_INTERMEDIATE: return TLS_VERSION_1_2;
    case TLS_PROFILE_MODERN: return TLS_VERSION_1_3;
    case TLS_PROFILE_OLD: break;
    }
    return TLS_VERSION_1_0;
}

static void check_versions(const struct loaded *l, const struct section *s,
                           const struct service *service, struct diagnosis *d)
{
    enum tls_version floor = profile_floor(service->tls_profile);
    enum tls_version least = service->min_tls == TLS_VERSION_PROFILE ? floor : service->min_tls;

    if (service->max_tls != TLS_VERSION_PROFILE && service->max_tls < least) {
        const char *by = service->min_tls != TLS_VERSION_PROFILE ? "min_tls" : "tls_profile";

        diagnosis_error(d, origin_of(l, s, "max_tls"), s->title, "max_tls",
                        "lower that, or raise `max_tls`",
                        "no version is left: it is below what `%s` asks for", by);
    }
    if (least < floor)
        diagnosis_warning(d, origin_of(l, s, "min_tls"), s->title, "min_tls",
                          "fine for devices that know no better; else remove the line",
                          "below the floor of `tls_profile`, so that the weak ciphers of the "
                          "profile `old` are accepted too");
}

/* Listeners of this service against all before them, of this service and of earlier ones. */
static void check_listeners(const struct loaded *l, const struct section *s,
                            const struct service *service, struct diagnosis *d)
{
    const struct config *config = &l->config;

    for (size_t i = 0; i < service->listen_count; i++) {
        const struct endpoint *mine = &service->listen[i];

        for (const struct service *other = config->service; other <= service; other++) {
            size_t count = other == service ? i : other->listen_count;

            for (size_t j = 0; j < count; j++)
                if (endpoint_overlap(mine, &other->listen[j]))
                    diagnosis_error(d, mine->origin, s->title, "listen",
                                    "give each service addresses of its own",
                                    "`%s` is taken by `%s` of [service %s] in %s:%d", mine->text,
                                    other->listen[j].text, other->name,
                                    other->listen[j].origin.file, other->listen[j].origin.line);
        }
    }
}

/* Mail for a backend that is one of our own listeners would go round in circles. */
static void check_loop(const struct loaded *l, const struct section *s,
                       const struct service *service, struct diagnosis *d)
{
    const struct config *config = &l->config;

    for (size_t i = 0; i < service->backend_count; i++) {
        const struct endpoint *backend = &service->backend[i];

        for (size_t j = 0; j < config->service_count; j++)
            for (size_t k = 0; k < config->service[j].listen_count; k++) {
                const struct endpoint *ours = &config->service[j].listen[k];

                if (backend->port != ours->port ||
                    (endpoint_is_wildcard(ours) ? !endpoint_is_loopback(backend)
                                                : !endpoint_overlap(backend, ours)))
                    continue;
                diagnosis_error(d, backend->origin, s->title, "backend",
                                "name the mail server behind; on this machine it needs another "
                                "port",
                                "`%s` is where starttlsd itself listens (%s:%d)", backend->text,
                                ours->origin.file, ours->origin.line);
            }
    }
}

/* A key stays for CONFIG_TICKET_KEYS rotations, in the last of which it may still have been the
 * newest. */
static void check_tickets(const struct loaded *l, struct diagnosis *d)
{
    const struct config *config = &l->config;
    const struct section *s = loaded_section(l, SECTION_GLOBAL);
    uint64_t longest = (uint64_t)config->ticket_rotation_ms * (CONFIG_TICKET_KEYS - 1);
    const char *key =
        section_find(s, "ticket_lifetime") != NULL ? "ticket_lifetime" : "ticket_rotation";
    char lifetime[VALUE_DURATION_MAX], rotation[VALUE_DURATION_MAX];

    if (s == NULL || config->ticket_lifetime_ms <= longest)
        return;
    diagnosis_error(d, origin_of(l, s, key), s->title, key,
                    "shorten `ticket_lifetime` or lengthen `ticket_rotation`",
                    "tickets of %s outlive their keys: %d are kept, and a new one is made every %s",
                    value_duration(config->ticket_lifetime_ms, lifetime), CONFIG_TICKET_KEYS,
                    value_duration(config->ticket_rotation_ms, rotation));
}

void validate(const struct loaded *l, struct diagnosis *d)
{
    const struct config *config = &l->config;

    check_tickets(l, d);
    /* A file that could not be read has said enough. */
    if (config->service_count == 0 && diagnosis_errors(d) == 0)
        diagnosis_error(d, (struct origin){l->file->path, 0}, NULL, NULL,
                        "write one: [service NAME] with protocol, listen, certificate and backend",
                        "no service, so that there is nothing to do");
    for (size_t i = 0; i < config->service_count; i++) {
        const struct service *service = &config->service[i];
        const struct section *s = loaded_service(l, service);

        require_keys(l, s, service, d);
        require_relay(l, s, service, d);
        check_versions(l, s, service, d);
        check_listeners(l, s, service, d);
        check_loop(l, s, service, d);
    }
}
