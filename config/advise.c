/* SPDX-License-Identifier: ISC */
/* What may well be meant, and is worth a thought. */
#include "config/endpoint.h"
#include "config/load.h"

static bool is_reachable(const struct service *service)
{
    for (size_t i = 0; i < service->listen_count; i++)
        if (!endpoint_is_loopback(&service->listen[i]))
            return true;
    return false;
}

void config_advise(const struct config *config, struct diagnosis *d)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct service *service = &config->service[i];

        if (service->identity == IDENTITY_NONE && is_reachable(service) &&
            config_origin(config, service, "identity").file == NULL)
            diagnosis_warning(d, service->origin,
                              loaded_service((const struct loaded *)config, service)->title,
                              "identity",
                              "choose how the backend is told of them, or write `identity = none` "
                              "if that is meant",
                              "the backend sees every client come from starttlsd's own address: "
                              "its limits and bans by address count all of them as one");
    }
}
