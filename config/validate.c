/* SPDX-License-Identifier: ISC */
/* Rules between keys: what is required, what contradicts, what an administrator should know. */
#include "config/validate.h"

#include <string.h>

#include "config/endpoint.h"
#include "config/network.h"
#include "config/validate_backend.h"
#include "config/value.h"

static void require_keys(const struct loaded *l, const struct section *s,
                         const struct service *service, struct diagnosis *d)
{
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++)
        if (key->is_required && key_applies(key, service) && loaded_find(l, s, key->name) == NULL)
            diagnosis_error(d, s->origin, s->title, key->name,
                            "write it here or under [defaults] (`starttlsd check --explain` tells "
                            "what it takes)",
                            "required, and not written");
}

static const char *tls_word(enum front_tls tls)
{
    switch (tls) {
    case FRONT_STARTTLS: break;
    case FRONT_IMPLICIT: return "implicit";
    case FRONT_NONE: return "none";
    }
    return "starttls";
}

/* An error where it would promise what nobody keeps. */
static void complain_applicable(const struct section *s, const struct service *service,
                                const struct setting *w, struct diagnosis *d)
{
    const char *tls = tls_word(service->policy.tls);

    switch (w->key->needs) {
    case NEEDS_NOTHING: return;
    case NEEDS_STARTTLS:
        diagnosis_error(d, w->origin, s->title, w->key->name,
                        "remove the line, or write `tls = starttls`",
                        "means nothing with `tls = %s`: it is about clients that have not started "
                        "TLS yet",
                        tls);
        return;
    case NEEDS_TLS:
        diagnosis_warning(d, w->origin, s->title, w->key->name,
                          "remove the line, or write another `tls`",
                          "has no effect with `tls = %s`", tls);
        return;
    case NEEDS_RELAY:
        diagnosis_error(d, w->origin, s->title, w->key->name,
                        "remove the line, or put it under [defaults] if it is for other services",
                        "means nothing with `protocol = %s`: it is about mail that clients hand in",
                        service->protocol->name);
        return;
    case NEEDS_BACKEND_TLS:
    case NEEDS_BACKEND_ENFORCED:
    case NEEDS_CHAIN:
    case NEEDS_FINGERPRINT: validate_backend_needs(s, service, w, d); return;
    }
}

/* Keys of the service itself that its `tls` or `protocol` leaves without meaning. What it has from
 * [defaults] is meant for others. */
static void check_applicable(const struct section *s, const struct service *service,
                             struct diagnosis *d)
{
    for (const struct setting *w = s->first; w != NULL; w = w->next)
        if (!key_applies(w->key, service))
            complain_applicable(s, service, w, d);
}

/* What is said of plaintext, and who hears it. */
static void check_plaintext(const struct section *s, const struct service *service,
                            struct diagnosis *d)
{
    const struct policy *policy = &service->policy;
    const struct setting *capabilities = section_find(s, "capabilities");
    const struct setting *auth = section_find(s, "plaintext_auth");

    for (size_t i = 0; policy->tls == FRONT_NONE && i < service->listen_count; i++)
        if (!endpoint_is_loopback(&service->listen[i]))
            diagnosis_warning(d, service->listen[i].origin, s->title, "listen",
                              "listen on 127.0.0.1 or [::1], or write another `tls`",
                              "with `tls = none` passwords and mail can be read on their way to "
                              "`%s`",
                              service->listen[i].text);
    if (auth != NULL && policy->tls == FRONT_STARTTLS && policy->is_enforced &&
        policy->may_auth_in_clear)
        diagnosis_warning(d, auth->origin, s->title, "plaintext_auth",
                          "remove the line, or write `policy = opportunistic`",
                          "has no effect: with `policy = enforced` nothing is done for a client "
                          "before it has started TLS");
    if (capabilities != NULL && (policy->tls != FRONT_STARTTLS || policy->is_enforced))
        diagnosis_warning(d, capabilities->origin, s->title, "capabilities",
                          "remove the line; `hide_capabilities` takes out what the backend "
                          "announces",
                          "has no effect: it is for clients that have not started TLS, with "
                          "`policy = opportunistic`");
}

/* `tls = starttls` where clients begin with TLS: both sides would wait for the other to speak. */
static void check_ports(const struct section *s, const struct service *service, struct diagnosis *d)
{
    if (service->protocol == NULL || service->policy.tls != FRONT_STARTTLS)
        return;
    for (size_t i = 0; i < service->listen_count; i++)
        if (service->listen[i].port == service->protocol->implicit_port)
            diagnosis_warning(d, service->listen[i].origin, s->title, "listen",
                              "write `tls = implicit`",
                              "clients of port %u begin with TLS at once (RFC 8314), and would "
                              "hang with `tls = starttls`",
                              service->listen[i].port);
}

static void require_relay(const struct loaded *l, const struct section *s,
                          const struct service *service, struct diagnosis *d)
{
    if (service->protocol == NULL || !service->protocol->has_relay ||
        service->identity != IDENTITY_NONE || loaded_find(l, s, "relay") != NULL)
        return;
    diagnosis_error(d, s->origin, s->title, "relay",
                    "write `relay = login` where your users hand in their mail (ports 587 and "
                    "465), your domains where others send mail to you (port 25: relay = "
                    "example.com example.net), or `relay = backend` if the backend relays nothing "
                    "for starttlsd's address",
                    "required, and not written: the backend sees every client come from "
                    "starttlsd's own address, and a backend that trusts this address would send "
                    "anybody's mail to anywhere (an open relay)");
}

/* `yes` is a domain to the letter, and hardly meant as one. */
static void check_relay(const struct loaded *l, const struct section *s,
                        const struct service *service, struct diagnosis *d)
{
    const struct parse p = {.setting = loaded_find(l, s, "relay"), .d = d};
    struct walk w;

    if (p.setting == NULL || service->policy.relay != RELAY_DOMAINS)
        return;
    for (w = walk_begin(&p); walk_next(&w);)
        if (memchr(w.word.data, '.', w.word.len) == NULL &&
            !span_equals(w.word, span_of("localhost")))
            diagnosis_warning(d, w.at.setting->origin, s->title, "relay",
                              "write domains in full, as in example.com, or `login`, or `backend`",
                              "`%.*s` is taken for a domain: mail for USER@%.*s passes",
                              (int)w.word.len, w.word.data, (int)w.word.len, w.word.data);
}

/* Nobody can log in where nobody is told that it is possible. */
static void check_logins(const struct loaded *l, const struct section *s,
                         const struct service *service, struct diagnosis *d)
{
    const struct words *hidden = &service->policy.hide_capabilities;

    for (size_t i = 0; service->policy.relay == RELAY_LOGIN && i < hidden->count; i++)
        if (span_equals(span_of(hidden->word[i]), span_of("AUTH")))
            diagnosis_warning(d, loaded_origin(l, s, "hide_capabilities"), s->title,
                              "hide_capabilities", "take `AUTH` out of the list",
                              "hides `%s`, and with `relay = login` clients must log in",
                              hidden->word[i]);
}

static void check_commands(const struct loaded *l, const struct section *s,
                           const struct service *service, struct diagnosis *d)
{
    const struct setting *written = loaded_find(l, s, "allow_commands");
    const struct parse p = {.setting = written, .d = d};
    struct walk w;

    if (written == NULL || service->protocol == NULL)
        return;
    for (w = walk_begin(&p); walk_next(&w);) {
        const char *why = service->protocol->veto(w.word);

        if (why != NULL)
            diagnosis_error(d, w.at.setting->origin, s->title, "allow_commands",
                            "take it out of the list", "`%.*s` %s", (int)w.word.len, w.word.data,
                            why);
    }
}

/* The other way round than some expect: an exception from `deny` cannot be made by `allow`. */
static void check_networks(const struct loaded *l, const struct section *s,
                           const struct service *service, struct diagnosis *d)
{
    for (size_t i = 0; i < service->allow_count; i++)
        for (size_t j = 0; j < service->deny_count; j++) {
            const struct network *allow = &service->allow[i], *deny = &service->deny[j];
            char inner[NETWORK_TEXT_MAX], outer[NETWORK_TEXT_MAX];

            if (deny->prefix <= allow->prefix && network_contains(deny, allow->address))
                diagnosis_warning(d, loaded_origin(l, s, "allow"), s->title, "allow",
                                  "with `allow` all others are closed anyway; take that out of "
                                  "`deny`",
                                  "`%s` is never let in: `deny` has %s, and wins",
                                  network_text(allow, inner), network_text(deny, outer));
        }
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

        diagnosis_error(d, loaded_origin(l, s, "max_tls"), s->title, "max_tls",
                        "lower that, or raise `max_tls`",
                        "no version is left: it is below what `%s` asks for", by);
    }
    if (least < floor)
        diagnosis_warning(d, loaded_origin(l, s, "min_tls"), s->title, "min_tls",
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
    diagnosis_error(d, loaded_origin(l, s, key), s->title, key,
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
        check_applicable(s, service, d);
        check_plaintext(s, service, d);
        check_ports(s, service, d);
        require_relay(l, s, service, d);
        check_relay(l, s, service, d);
        check_logins(l, s, service, d);
        check_commands(l, s, service, d);
        check_networks(l, s, service, d);
        check_versions(l, s, service, d);
        check_listeners(l, s, service, d);
        check_loop(l, s, service, d);
        validate_backend(l, s, service, d);
    }
}
