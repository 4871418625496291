/* SPDX-License-Identifier: ISC */
/* `check --backends`: the look that the scout takes, one at a time, with the attempt at being
 * relayed for; and what it means for the clients of a service. */
#include "proxy/check_backends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "protocols/learned.h"
#include "proxy/lookup.h"
#include "proxy/report.h"
#include "proxy/scout_probe.h"

/* A look at one address. */
struct outcome {
    bool is_good;
    char why[160]; /* not good */
    struct probe probe;
    struct scout_tls tls;
};

/* At one service. */
struct look {
    struct report *report;
    struct ev_loop *loop;
    struct scout_space *space;
    const struct service *service;
    struct tls_backend *tls; /* NULL: in the clear */
    struct scout_probe probe;
    struct resolver_answer names; /* of the backend in hand */
    struct outcome outcome[BOARD_ADDRESSES_MAX];
    struct learned common; /* to all backends so far */
};

/* ---- One address ---- */

static void on_done(void *context, bool is_good, const char *why)
{
    struct outcome *o = context;

    o->is_good = is_good;
    strncpy(o->why, is_good ? "" : why, sizeof o->why - 1);
}

static void look_at(struct look *l, size_t backend, union board_address address, struct outcome *o)
{
    const struct probe_wish wish = {.hostname = l->service->policy.hostname,
                                    .learns = true,
                                    .tries_relay = l->service->protocol->has_relay};

    *o = (struct outcome){.is_good = false};
    scout_probe_init(&l->probe, l->loop, l->space, l->service, l->tls, backend);
    l->probe.on_done = on_done;
    l->probe.context = o;
    scout_set_port(&address, l->service->backend[backend].port);
    ev_now_update(l->loop); /* looking its name up may have taken the time that it has */
    scout_probe_start(&l->probe, &wish, &address, 1);
    ev_run(l->loop, 0);
    o->probe = l->probe.probe;
    o->tls = l->probe.secured;
}

static const char *address_text(const union board_address *a, char text[INET6_ADDRSTRLEN])
{
    const void *octets = a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr
                                                     : (const void *)&a->v6.sin6_addr;

    return inet_ntop(a->any.sa_family, octets, text, INET6_ADDRSTRLEN);
}

/* What an administrator can do about TLS that fails, by a part of the reason. */
static const struct {
    const char *reason, *advice;
} remedies[] = {
    {"fingerprint is", "if it is the right one, write backend_verify = fingerprint, and that as"
                       " backend_fingerprint"},
    {"is not for", "if it is the right one, write backend_name as its certificate has it"},
    {"authority", "if it is the right one, name its authority's certificate with backend_ca"},
    {"expired", "renew it, or pin it with backend_verify = fingerprint"},
    {"certificate required", "it wants to see a certificate of ours: write backend_certificate"},
    {"not TLS", "backend_tls = starttls is for ports that begin in the clear"},
    {"no TLS in time", "backend_tls = starttls is for ports that begin in the clear"},
    {"", "servers of old need backend_min_tls = TLSv1, or backend_ciphers"},
};

static void advise_on_tls(struct report *r, const char *why)
{
    size_t i = 0;

    while (strstr(why, remedies[i].reason) == NULL)
        i++;
    report_advice(r, "%s", remedies[i].advice);
}

static void tell_failure(struct report *r, const struct outcome *o, const char *address,
                         bool has_other)
{
    const enum finding verdict = has_other ? FINDING_WARNING : FINDING_PROBLEM;

    if (o->tls.has_failed) {
        report_finding(r, verdict, "%s: %s", address, o->why);
        advise_on_tls(r, o->why);
    } else if (o->probe.greeting[0] == '\0') {
        report_finding(r, verdict, "%s: %s", address, o->why);
        report_advice(r, "does the mail server run there, and may this machine connect to it?");
    } else {
        report_finding(r, verdict, "%s: %s; it greeted: %s", address, o->why, o->probe.greeting);
        report_advice(r,
                      strstr(o->why, "XCLIENT") != NULL
                          ? "let it believe this machine (Postfix: smtpd_authorized_xclient_hosts, "
                            "Dovecot: login_trusted_networks)"
                      : strstr(o->why, "greeting") != NULL
                          ? "is that the port of another protocol? If not, its log should say why"
                          : "its log should say why it does not serve this machine");
    }
    if (has_other)
        report_advice(r, "sessions lose time here before they try the next address");
}

static const char *verified_text(const struct service *service)
{
    switch (service->backend_verify) {
    case BACKEND_VERIFY_FULL: return "chain and name are verified";
    case BACKEND_VERIFY_CHAIN: return "its chain is verified";
    case BACKEND_VERIFY_FINGERPRINT: return "its fingerprint is verified";
    case BACKEND_VERIFY_NONE: break;
    }
    return "whoever it is";
}

static void tell_tls(struct report *r, const struct service *service, const struct outcome *o)
{
    if (service->policy.backend_tls == BACKEND_TLS_NONE)
        return;
    if (o->tls.version != NULL) {
        report_finding(r, FINDING_OK, "%s with %s, %s", o->tls.version, o->tls.cipher,
                       verified_text(service));
        return;
    }
    report_finding(r, FINDING_WARNING, "sessions go on without TLS: %s",
                   o->tls.has_failed     ? o->tls.failure
                   : o->probe.offers_tls ? "it refuses STARTTLS"
                                         : "it does not announce STARTTLS");
    if (o->tls.has_failed)
        advise_on_tls(r, o->tls.failure);
}

static void tell_learned(struct report *r, const struct outcome *o)
{
    if (!o->probe.learned.is_known) {
        report_finding(r, FINDING_WARNING, "does not say what it offers: %s", o->probe.answer);
        report_advice(r, "it refused what this machine asked; if clients fare no better, nothing"
                         " passes");
    } else {
        report_list(r, "offers", (struct span){o->probe.learned.text, o->probe.learned.len});
    }
}

/* Why what this machine may do is not what clients may do; NULL: it is. */
static const char *guard_of(const struct service *service)
{
    if (service->policy.relay != RELAY_BACKEND)
        return "`relay` guards it";
    return service->identity != IDENTITY_NONE ? "by `identity` it knows its clients" : NULL;
}

static void tell_relay(struct report *r, const struct service *service, const struct outcome *o)
{
    const char *guard = guard_of(service);

    switch (o->probe.relay) {
    case PROBE_RELAY_REFUSED:
        report_finding(r, FINDING_OK, "does not relay for this machine: %s", o->probe.answer);
        break;
    case PROBE_RELAY_ACCEPTED:
        if (guard != NULL) {
            report_finding(r, FINDING_OK, "would relay for this machine, but %s", guard);
            break;
        }
        report_finding(r, FINDING_PROBLEM, "would relay for this machine: %s", o->probe.answer);
        report_advice(r, "anybody who reaches this service could send through it: write relay ="
                         " login,");
        report_advice(r, "or your domains, or let the backend no longer trust this machine");
        break;
    case PROBE_RELAY_UNKNOWN:
        if (guard != NULL) {
            report_finding(r, FINDING_OK, "if it relays for this machine, %s", guard);
            break;
        }
        report_finding(r, FINDING_WARNING, "may relay for this machine or not: %s",
                       o->probe.answer);
        report_advice(r,
                      "it refused, but perhaps for another reason: look what it lets this machine"
                      " do");
        break;
    }
}

/* ---- One backend, one service ---- */

static void check_backend(struct look *l, size_t index)
{
    const struct endpoint *backend = &l->service->backend[index];
    bool has_good = false;

    report_title(l->report, 1, "backend %s", backend->text);
    lookup_host(backend->host, &l->names);
    if (l->names.count == 0) {
        report_finding(l->report, FINDING_PROBLEM, "%s: %s", backend->host, l->names.error);
        report_advice(l->report, "sessions cannot use it until the name has an address");
    }
    for (uint32_t i = 0; i < l->names.count; i++) {
        look_at(l, index, l->names.address[i], &l->outcome[i]);
        has_good = has_good || l->outcome[i].is_good;
    }
    for (uint32_t i = 0; i < l->names.count; i++) {
        const struct outcome *o = &l->outcome[i];
        char text[INET6_ADDRSTRLEN];
        const char *address = address_text(&l->names.address[i], text);

        if (!o->is_good) {
            tell_failure(l->report, o, address, has_good);
            continue;
        }
        report_finding(l->report, FINDING_OK, "%s: %s", address, o->probe.greeting);
        tell_tls(l->report, l->service, o);
        tell_learned(l->report, o);
        if (l->service->protocol->has_relay && o->probe.answer[0] != '\0' &&
            o->probe.learned.is_known)
            tell_relay(l->report, l->service, o);
        learned_intersect(&l->common, &o->probe.learned);
    }
}

/* In the clear, where a backend may keep its logins to itself. */
static bool has_unused_starttls(const struct look *l)
{
    static const struct span words[] = {SPAN("STARTTLS"), SPAN("STLS")};
    struct span capability;
    size_t at = 0;

    while (l->service->policy.backend_tls == BACKEND_TLS_NONE &&
           learned_next(&l->common, &at, &capability))
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (span_equals(learned_keyword(capability), words[i]))
                return true;
    return false;
}

/* The header that it met spoke for this machine and of no TLS; those of clients say that they use it. */
static bool may_offer_clients_more(const struct service *service)
{
    return service->identity == IDENTITY_PROXY_V2 &&
           service->policy.backend_tls == BACKEND_TLS_NONE && service->policy.tls != FRONT_NONE &&
           !service->protocol->has_relay;
}

static void tell_no_logins(struct look *l)
{
    const bool takes_mail = l->service->protocol->has_relay;

    if (may_offer_clients_more(l->service)) {
        report_finding(l->report, FINDING_WARNING, "no way for this machine to log in");
        report_advice(l->report, "clients may have one: `identity` tells of their TLS, and Dovecot"
                                 " takes");
        report_advice(l->report, "passwords then; log in once to see");
        return;
    }
    report_finding(l->report, FINDING_PROBLEM, "%sno way to log in",
                   takes_mail ? "relay = login, and " : "");
    report_advice(l->report, takes_mail
                                 ? "nobody can send mail here: let the backend offer AUTH to this"
                                   " machine"
                                 : "nobody can read mail here: let the backend take passwords from"
                                   " this machine");
    if (!takes_mail)
        report_advice(l->report, "without TLS (Dovecot: login_trusted_networks)");
    if (has_unused_starttls(l))
        report_advice(l->report, "or write backend_tls = starttls: inside TLS it may offer more");
    if (takes_mail)
        report_advice(l->report,
                      "or name the domains it takes mail for, as in relay = example.org");
}

/* Inside TLS the backend that a client meets may offer more. */
static void tell_clients(struct look *l)
{
    const struct policy *policy = &l->service->policy;
    const struct protocol *protocol = l->service->protocol;
    const bool is_secure = policy->tls != FRONT_NONE;
    char space[2 * LEARNED_MAX];

    if (!l->common.is_known && policy->tls != FRONT_STARTTLS)
        return;
    report_title(l->report, 1, "clients are offered%s",
                 l->service->backend_count > 1 ? ", whichever backend they meet" : "");
    if (policy->tls == FRONT_STARTTLS)
        report_list(l->report, "before TLS",
                    protocol->announced(policy, &l->common, false, space, sizeof space));
    if (!l->common.is_known)
        return;
    report_list(l->report, is_secure ? "inside TLS" : "in the clear",
                protocol->announced(policy, &l->common, is_secure, space, sizeof space));
    if ((!protocol->has_relay || policy->relay == RELAY_LOGIN) &&
        !protocol->takes_logins(policy, &l->common))
        tell_no_logins(l);
}

/* False: its TLS cannot be made, and why has been told with the configuration's other faults. */
static bool set_tls(struct look *l, const struct config *config, const struct config_source *source)
{
    struct diagnosis *d;

    if (l->service->policy.backend_tls == BACKEND_TLS_NONE)
        return true;
    d = diagnosis_new();
    l->tls = tls_backend_new(config, l->service, source, d);
    diagnosis_free(d);
    return l->tls != NULL;
}

static void check_service(struct look *l, const struct config *config,
                          const struct config_source *source)
{
    report_title(l->report, 0, "service %s", l->service->name);
    if (!set_tls(l, config, source)) {
        report_finding(l->report, FINDING_PROBLEM, "its backends cannot be met by TLS: see above");
        return;
    }
    for (size_t i = 0; i < l->service->backend_count; i++)
        check_backend(l, i);
    tell_clients(l);
    tls_backend_free(l->tls);
}

enum check_backends check_backends(const struct config *config, const struct config_source *source,
                                   FILE *to)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct scout_space *space = scout_space_new(1);
    struct look *l = malloc(sizeof *l);
    bool is_done = loop != NULL && space != NULL && l != NULL;
    struct report r;

    report_init(&r, to);
    for (size_t i = 0; is_done && i < config->service_count; i++) {
        *l = (struct look){
            .report = &r, .loop = loop, .space = space, .service = &config->service[i]};
        check_service(l, config, source);
    }
    free(l);
    scout_space_free(space);
    if (loop != NULL)
        ev_loop_destroy(loop);
    if (!is_done) {
        fprintf(stderr, "starttlsd check: %s\n", strerror(ENOMEM));
        return CHECK_BACKENDS_FAILED;
    }
    fprintf(to, "\nbackends: %u problem%s, %u warning%s\n", r.count[FINDING_PROBLEM],
            r.count[FINDING_PROBLEM] == 1 ? "" : "s", r.count[FINDING_WARNING],
            r.count[FINDING_WARNING] == 1 ? "" : "s");
    return r.count[FINDING_PROBLEM] > 0 ? CHECK_BACKENDS_BAD : CHECK_BACKENDS_GOOD;
}
