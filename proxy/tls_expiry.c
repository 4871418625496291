/* SPDX-License-Identifier: ISC */
/* Tells of certificates in service; the administrator should hear of an end before senders do. */
#include "proxy/tls_expiry.h"

#include <stdio.h>

#include <openssl/asn1.h>
#include <openssl/x509.h>

#include "proxy/log.h"
#include "proxy/tls_certificate.h"

#define EXPIRING_DAYS 21

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

void tls_expiry_log(const struct config *config, const struct config_source *source)
{
    struct diagnosis *d = diagnosis_new(); /* nobody reads it */

    for (size_t i = 0; i < config->service_count; i++) {
        const struct service *service = &config->service[i];

        for (size_t j = 0; j < service->certificate_count; j++) {
            struct tls_certificate c;

            if (!tls_certificate_read(&c, &service->certificate[j], source, service->name, d))
                continue;
            tell(service, &service->certificate[j], c.leaf);
            tls_certificate_clear(&c);
        }
    }
    diagnosis_free(d);
}
