/* SPDX-License-Identifier: ISC */
/* Builds a worker's snapshot out of a bundle, with no file within reach, and lets go of it when the
 * last session has. */
#include "proxy/snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/learned.h"
#include "proxy/backend.h"
#include "proxy/snapshot_learned.h"
#include "proxy/tls_backend.h"
#include "proxy/tls_context.h"

static void snapshot_clear(struct snapshot *s)
{
    for (size_t i = 0; s->service != NULL && i < s->config->service_count; i++) {
        if (s->service[i].tls != NULL)
            tls_context_free(s->service[i].tls);
        tls_backend_free(s->service[i].backend_tls);
        backend_pool_free(s->service[i].pool);
        free(s->service[i].learned);
        if (s->service[i].quota != NULL)
            quota_put(s->service[i].quota);
    }
    free(s->service);
    if (s->config != NULL)
        config_free(s->config);
    if (s->scout != NULL)
        board_close(s->scout);
    if (s->own != NULL)
        board_close(s->own);
}

/* Every service, so that all complaints are known; false if there was one. */
static bool build_services(struct snapshot *s, const struct config_source *source,
                           struct tls_tickets *tickets, struct quotas *quotas, struct diagnosis *d)
{
    const struct config *config = s->config;
    size_t backends = 0;

    s->service = calloc(config->service_count + 1, sizeof *s->service);
    if (s->service == NULL)
        return false;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct service *c = &config->service[i];

        s->service[i] = (struct snapshot_service){
            .config = c,
            .first_backend = backends,
            .quota = quota_get(quotas, c->name),
            .pool = backend_pool_new(c, quotas),
        };
        if (s->service[i].quota == NULL || s->service[i].pool == NULL)
            diagnosis_error(d, c->origin, c->name, NULL, "restart starttlsd, or merge services",
                            "more services, or backends with `balance = leastconn`, than a worker "
                            "can count, old ones with sessions included");
        backends += c->backend_count;
        if (policy_learns(&c->policy)) {
            s->service[i].learned = snapshot_learned_new(c->backend_count);
            if (s->service[i].learned == NULL)
                return false;
        }
        if (c->policy.tls != FRONT_NONE)
            s->service[i].tls =
                tls_context_new(config, c, source, tickets, config->ticket_lifetime_ms / 1000, d);
        if (c->policy.backend_tls != BACKEND_TLS_NONE)
            s->service[i].backend_tls = tls_backend_new(config, c, source, d);
    }
    return diagnosis_errors(d) == 0;
}

static bool build(struct snapshot *s, struct bundle *b, struct tls_tickets *tickets,
                  struct quotas *quotas, struct diagnosis *d)
{
    const struct config_source source = bundle_source(b);

    s->generation = bundle_generation(b);
    s->config = config_load(bundle_main_path(b), &source, bundle_fqdn(b), d);
    return s->config != NULL && build_services(s, &source, tickets, quotas, d);
}

/* The first error, and how many more there are. NULL: no memory. */
static char *summary(const struct diagnosis *d)
{
    size_t errors = diagnosis_errors(d);
    bool is_error = false;
    const char *first = "no memory";
    char *text;
    int done;

    for (size_t i = 0; i < diagnosis_count(d) && !is_error; i++) {
        const char *line = diagnosis_line(d, i, &is_error);

        if (is_error)
            first = line;
    }
    if (errors > 1)
        done = asprintf(&text, "%s (and %zu more)", first, errors - 1);
    else
        done = asprintf(&text, "%s", first);
    return done < 0 ? NULL : text;
}

struct snapshot *snapshot_new(struct bundle *b, struct tls_tickets *tickets, struct quotas *quotas,
                              struct board *scout, struct board *own, char **error)
{
    struct snapshot blank = {.references = 1, .scout = scout, .own = own};
    struct snapshot *s = malloc(sizeof *s);
    struct diagnosis *d = diagnosis_new();

    if (s != NULL)
        *s = blank;
    if (s == NULL || !build(s, b, tickets, quotas, d)) {
        *error = summary(d);
        snapshot_clear(s == NULL ? &blank : s);
        free(s);
        s = NULL;
    }
    diagnosis_free(d);
    return s;
}

struct snapshot *snapshot_get(struct snapshot *s)
{
    assert(s->references > 0 && s->references < UINT32_MAX);
    s->references++;
    return s;
}

void snapshot_put(struct snapshot *s)
{
    assert(s->references > 0);
    if (--s->references > 0)
        return;
    snapshot_clear(s);
    free(s);
}
