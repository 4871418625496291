/* SPDX-License-Identifier: ISC */
/* One configuration as the master holds it. All of it is made before any child hears of it, so that
 * a fault is found while nothing has changed. */
#include "proxy/generation.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/board.h"
#include "proxy/bundle.h"
#include "proxy/disk.h"
#include "proxy/privsep.h"
#include "proxy/tls_backend.h"
#include "proxy/tls_context.h"
#include "proxy/tls_expiry.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void generation_close_places(struct generation *g, struct places *places)
{
    while (g->place_count > 0)
        place_put(places, g->place[--g->place_count].place);
    free(g->place);
    g->place = NULL;
}

static void close_boards(struct generation *g)
{
    close_fd(&g->scout.writer);
    close_fd(&g->scout.reader);
    for (uint32_t i = 0; i < g->workers; i++) {
        close_fd(&g->worker[i].writer);
        close_fd(&g->worker[i].reader);
    }
    free(g->worker);
    g->worker = NULL;
    g->workers = 0;
}

void generation_free(struct generation *g, struct places *places)
{
    if (g == NULL)
        return;
    if (places != NULL)
        generation_close_places(g, places);
    close_boards(g);
    close_fd(&g->bundle);
    close_fd(&g->public_bundle);
    tls_expiry_free(g->expiry);
    config_free(g->config);
    free(g);
}

/* Can the certificates be used? Each service's context is built and thrown away: workers must find
 * no fault. */
static void judge_certificates(const struct config *config, const struct config_source *source,
                               struct diagnosis *d)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct service *s = &config->service[i];

        if (s->protocol != NULL && s->certificate_count > 0)
            tls_context_free(tls_context_new(config, s, source, NULL, 0, d));
    }
}

/* The same towards backends; all at once, so that authorities which services share are read once. */
static void judge_backend_tls(const struct config *config, const struct config_source *source,
                              struct diagnosis *d)
{
    struct tls_backend **b = calloc(config->service_count + 1, sizeof(struct tls_backend *));

    for (size_t i = 0; b != NULL && i < config->service_count; i++)
        if (config->service[i].policy.backend_tls != BACKEND_TLS_NONE)
            b[i] = tls_backend_new(config, &config->service[i], source, d);
    for (size_t i = 0; b != NULL && i < config->service_count; i++)
        tls_backend_free(b[i]);
    free(b);
}

/* There to be written, or to be made; nothing is made yet. */
static bool can_write(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (access(path, W_OK) == 0)
        return true;
    if (errno != ENOENT || slash == NULL || (size_t)(slash - path) >= sizeof folder)
        return false;
    snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
    return access(folder, W_OK | X_OK) == 0;
}

/* Found out now, since after a commit nothing may fail any more. */
static void judge_log(const struct config *config, struct diagnosis *d)
{
    if (config->log_target == LOG_TO_FILE && !can_write(config->log_file))
        diagnosis_error(d, config_origin(config, NULL, "log"), "starttlsd", "log",
                        "make its folder, or write another path", "%s can't be written: %s",
                        config->log_file, strerror(errno));
}

/* As far as this user can tell: only root changes users and roots. */
static void judge_privileges(const struct config *config, struct diagnosis *d)
{
    struct privileges privileges;
    int root;

    if (!privsep_resolve(config, true, &privileges, d) || !privileges.is_root)
        return;
    privsep_judge_rights(config, d);
    root = privsep_root_open(config, d);
    if (root >= 0)
        close(root);
}

void generation_judge(const struct config *config, const struct config_source *source,
                      struct diagnosis *d)
{
    judge_certificates(config, source, d);
    judge_backend_tls(config, source, d);
    judge_log(config, d);
    judge_privileges(config, d);
}

static void out_of(struct diagnosis *d, const char *what)
{
    diagnosis_error(d, (struct origin){0}, NULL, NULL, NULL, "%s could not be made: %s", what,
                    strerror(errno));
}

struct generation *generation_load(const char *path, const char *fqdn, uint32_t number,
                                   struct diagnosis *d)
{
    struct generation *g = malloc(sizeof *g);
    struct disk_source disk;
    struct config_source source;

    if (g == NULL) {
        out_of(d, "a configuration");
        return NULL;
    }
    *g = (struct generation){
        .number = number, .bundle = -1, .public_bundle = -1, .scout = {.writer = -1, .reader = -1}};
    disk_source_init(&disk);
    source = disk_source(&disk);
    g->config = config_load(path, &source, fqdn, d);
    if (g->config != NULL)
        generation_judge(g->config, &source, d);
    if (diagnosis_errors(d) == 0) {
        g->bundle = bundle_build(g->config, &source, fqdn, number, true);
        g->public_bundle = bundle_build(g->config, &source, fqdn, number, false);
        g->expiry = tls_expiry_new(g->config, &source);
        if (g->bundle < 0 || g->public_bundle < 0 || g->expiry == NULL)
            out_of(d, "a bundle");
    }
    disk_source_clear(&disk);
    if (diagnosis_errors(d) == 0)
        return g;
    generation_free(g, NULL);
    return NULL;
}

static bool open_boards(struct generation *g, uint32_t workers, struct diagnosis *d)
{
    uint32_t backends = (uint32_t)g->config->backend_total;

    g->worker = calloc(workers, sizeof *g->worker);
    if (g->worker == NULL || !board_make(0, backends, &g->scout.writer, &g->scout.reader)) {
        out_of(d, "a board");
        return false;
    }
    for (; g->workers < workers; g->workers++) {
        struct generation_board *b = &g->worker[g->workers];

        if (!board_make(0, backends, &b->writer, &b->reader)) {
            out_of(d, "a board");
            return false;
        }
    }
    return true;
}

static bool open_places(struct generation *g, struct places *places, struct diagnosis *d)
{
    size_t total = 0, errors = diagnosis_errors(d);

    for (size_t i = 0; i < g->config->service_count; i++)
        total += g->config->service[i].listen_count;
    g->place = calloc(total + 1, sizeof *g->place);
    if (g->place == NULL) {
        out_of(d, "a table");
        return false;
    }
    for (size_t i = 0; i < g->config->service_count; i++) {
        const struct service *s = &g->config->service[i];
        char section[128];

        snprintf(section, sizeof section, "service %s", s->name);
        for (size_t k = 0; k < s->listen_count; k++) {
            struct place *place = place_get(places, &s->listen[k], section, d);

            if (place != NULL)
                g->place[g->place_count++] = (struct generation_place){place, (uint32_t)i};
        }
    }
    return diagnosis_errors(d) == errors;
}

bool generation_open(struct generation *g, struct places *places, struct diagnosis *d)
{
    if (open_boards(g, places->workers, d) && open_places(g, places, d))
        return true;
    generation_close_places(g, places);
    close_boards(g);
    return false;
}
