/* SPDX-License-Identifier: ISC */
/* What follows from a service's keys together. A key or a pin that nobody uses is given to nobody. */
#include "config/derive.h"

static void derive_front(struct service *s)
{
    if (s->policy.tls == FRONT_NONE)
        s->certificate_count = 0;
}

static void derive_backend(struct service *s)
{
    struct policy *policy = &s->policy;

    if (policy->backend_tls == BACKEND_TLS_NONE) {
        policy->is_backend_enforced = false;
        s->backend_certificate_count = 0;
    }
    if (!policy->is_backend_enforced) /* who may answer in plaintext need not show who it is */
        s->backend_verify = BACKEND_VERIFY_NONE;
    if (s->backend_verify != BACKEND_VERIFY_FULL && s->backend_verify != BACKEND_VERIFY_CHAIN)
        s->backend_ca = NULL;
    if (s->backend_verify != BACKEND_VERIFY_FINGERPRINT)
        s->backend_fingerprint_count = 0;
    policy->is_backend_verified = s->backend_verify != BACKEND_VERIFY_NONE;
}

static void derive_identity(struct service *s)
{
    struct policy *policy = &s->policy;

    if (s->identity == IDENTITY_TRANSPARENT)
        s->backend_source_v4 = s->backend_source_v6 = NULL;
    policy->tells_identity = s->identity == IDENTITY_XCLIENT || s->identity == IDENTITY_ID;
    if (s->protocol != NULL && !s->protocol->has_relay)
        policy->relay = RELAY_UNSET;
    else if (s->identity != IDENTITY_NONE && policy->relay == RELAY_UNSET)
        policy->relay = RELAY_BACKEND; /* it knows its clients as well as without us */
}

void derive(struct service *service)
{
    derive_front(service);
    derive_backend(service);
    derive_identity(service);
}
