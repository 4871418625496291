/* SPDX-License-Identifier: ISC */
/* Networks. Strict: bits behind the prefix are a slip that would let in, or shut out, others than
 * meant. */
#include "config/network.h"

#include <arpa/inet.h>
#include <stdio.h>

#define V4_BITS 96 /* of the mapped form, before the address itself (RFC 4291, section 2.5.5.2) */

static const unsigned char v4_mapped[V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const unsigned char address[16])
{
    return memcmp(address, v4_mapped, sizeof(v4_mapped)) == 0;
}

static bool parse_address(struct span text, unsigned char address[16])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    memcpy(address, v4_mapped, sizeof(v4_mapped));
    return inet_pton(AF_INET, copy, address + sizeof(v4_mapped)) == 1 ||
           inet_pton(AF_INET6, copy, address) == 1;
}

static bool parse_prefix(struct span text, unsigned max, unsigned *prefix)
{
    *prefix = 0;
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *prefix = *prefix * 10 + (unsigned)(text.data[i] - '0');
    }
    return *prefix <= max;
}

/* Octet `i` of the mask of `prefix` bits. */
static unsigned char mask_octet(unsigned prefix, unsigned i)
{
    if (prefix >= 8 * (i + 1))
        return 0xff;
    if (prefix <= 8 * i)
        return 0;
    return (unsigned char)(0xff00u >> (prefix - 8 * i));
}

/* False: there were bits behind the prefix. */
static bool clear_host_bits(struct network *n)
{
    bool was_clear = true;

    for (unsigned i = 0; i < sizeof(n->address); i++) {
        unsigned char kept = (unsigned char)(n->address[i] & mask_octet(n->prefix, i));

        was_clear = was_clear && kept == n->address[i];
        n->address[i] = kept;
    }
    return was_clear;
}

const char *network_parse(struct network *n, struct span text, char remedy[NETWORK_REMEDY_MAX])
{
    const char *slash = text.len == 0 ? NULL : memchr(text.data, '/', text.len);
    struct span host = slash == NULL ? text : span_first(text, (size_t)(slash - text.data));
    char right[NETWORK_TEXT_MAX];
    bool is_short; /* IPv4 as it is usually written */

    snprintf(remedy, NETWORK_REMEDY_MAX,
             "write addresses and networks, as in 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32");
    if (!parse_address(host, n->address))
        return "is neither an address nor a network";
    is_short = memchr(host.data, ':', host.len) == NULL;
    n->prefix = is_short ? 32 : 128;
    if (slash != NULL && !parse_prefix(span_skip(text, host.len + 1), n->prefix, &n->prefix)) {
        snprintf(remedy, NETWORK_REMEDY_MAX, "write a number from 0 to %d behind the slash",
                 is_short ? 32 : 128);
        return "has no prefix length that fits its address";
    }
    if (is_short)
        n->prefix += V4_BITS;
    if (clear_host_bits(n))
        return NULL;
    snprintf(remedy, NETWORK_REMEDY_MAX,
             "write %s for the whole network, or the address without `/`", network_text(n, right));
    return "has bits set behind its prefix";
}

bool network_contains(const struct network *n, const unsigned char address[16])
{
    if (is_v4(address) != (is_v4(n->address) && n->prefix >= V4_BITS))
        return false;
    for (unsigned i = 0; i < sizeof(n->address); i++)
        if ((address[i] & mask_octet(n->prefix, i)) != n->address[i])
            return false;
    return true;
}

bool network_is_everywhere(const struct network *n)
{
    return n->prefix == 0 || (n->prefix == V4_BITS && is_v4(n->address));
}

const char *network_text(const struct network *n, char space[NETWORK_TEXT_MAX])
{
    bool is_short = is_v4(n->address) && n->prefix >= V4_BITS;
    unsigned prefix = is_short ? n->prefix - V4_BITS : n->prefix;
    size_t len;

    (void)inet_ntop(is_short ? AF_INET : AF_INET6,
                    is_short ? n->address + sizeof(v4_mapped) : n->address, space,
                    NETWORK_TEXT_MAX); /* cannot fail: the room is enough */
    len = strlen(space);
    if (n->prefix < 128)
        snprintf(space + len, NETWORK_TEXT_MAX - len, "/%u", prefix);
    return space;
}
