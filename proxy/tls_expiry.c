/* SPDX-License-Identifier: ISC */
/* Tells of certificates in service; the administrator should hear of an end before senders do. */
#include "proxy/tls_expiry.h"

#include <stdlib.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/x509.h>

#include "proxy/log.h"
#include "proxy/tls_certificate.h"

#define EXPIRING_DAYS 21

struct tls_expiry {
    size_t count;
    struct noted {
        const struct service *service;
        const struct certificate *where;
        X509 *leaf;
    } noted[];
};

static void log_certificate(enum log_level level, const char *event, const struct service *service,
                            const struct certificate *where, const X509 *leaf, int days)
{
    char subject[256], expires[32];
    struct tm end;
    struct log_line line;

    X509_NAME_oneline(X509_get_subject_name(leaf), subject, sizeof subject);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &end) != 1 ||
        strftime(expires, sizeof expires, "%Y-%m-%dT%H:%M:%SZ", &end) == 0)
        expires[0] = '\0';
    log_begin(&line, level, event);
    log_text(&line, "service", service->name);
    log_text(&line, "certificate", where->chain);
    log_text(&line, "subject", subject);
    log_text(&line, "expires", expires);
    if (level == LEVEL_WARNING)
        log_number(&line, "days", days < 0 ? 0 : (uint64_t)days);
    log_end(&line);
}

static void tell(const struct service *service, const struct certificate *where, const X509 *leaf)
{
    int days = 0, seconds = 0;

    log_certificate(LEVEL_INFO, "certificate.loaded", service, where, leaf, 0);
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(leaf)) == 1 &&
        days < EXPIRING_DAYS)
        log_certificate(LEVEL_WARNING, "certificate.expiring", service, where, leaf, days);
}

static void note(struct tls_expiry *e, const struct service *service,
                 const struct certificate *where, const struct config_source *source,
                 struct diagnosis *d)
{
    struct tls_certificate c = {0};

    if (!tls_certificate_read(&c, where, "certificate", source, service->name, d))
        return;
    e->noted[e->count++] = (struct noted){service, where, c.leaf};
    c.leaf = NULL; /* ours now */
    tls_certificate_clear(&c);
}

struct tls_expiry *tls_expiry_new(const struct config *config, const struct config_source *source)
{
    struct diagnosis *d = diagnosis_new(); /* nobody reads it */
    struct tls_expiry *e;
    size_t total = 0;

    for (size_t i = 0; i < config->service_count; i++)
        total +=
            config->service[i].certificate_count + config->service[i].backend_certificate_count;
    e = calloc(1, sizeof *e + total * sizeof e->noted[0]);
    for (size_t i = 0; e != NULL && i < config->service_count; i++) {
        const struct service *s = &config->service[i];

        for (size_t k = 0; k < s->certificate_count; k++)
            note(e, s, &s->certificate[k], source, d);
        for (size_t k = 0; k < s->backend_certificate_count; k++)
            note(e, s, &s->backend_certificate[k], source, d);
    }
    diagnosis_free(d);
    return e;
}

void tls_expiry_free(struct tls_expiry *e)
{
    for (size_t i = 0; e != NULL && i < e->count; i++)
        X509_free(e->noted[i].leaf);
    free(e);
}

void tls_expiry_tell(const struct tls_expiry *e)
{
    for (size_t i = 0; i < e->count; i++)
        tell(e->noted[i].service, e->noted[i].where, e->noted[i].leaf);
}
