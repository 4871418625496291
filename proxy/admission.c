/* SPDX-License-Identifier: ISC */
/* Who may come in, by address: `allow`, `deny` and `accept_proxy`. */
#include "proxy/admission.h"

#include "config/network.h"

static bool is_in(const struct network *list, size_t count, const struct address *a)
{
    const struct address mapped = address_mapped(a);

    if (a->family == ADDRESS_NONE)
        return false;
    for (size_t i = 0; i < count; i++)
        if (network_contains(&list[i], mapped.octets))
            return true;
    return false;
}

bool admission_allows(const struct service *service, const struct address *client)
{
    if (is_in(service->deny, service->deny_count, client))
        return false;
    return service->allow_count == 0 || is_in(service->allow, service->allow_count, client);
}

bool admission_needs_header(const struct service *service, const struct address *peer)
{
    if (peer->family == ADDRESS_NONE)
        return service->accept_proxy_unix;
    return is_in(service->accept_proxy, service->accept_proxy_count, peer);
}
