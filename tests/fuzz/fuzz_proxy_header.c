/* SPDX-License-Identifier: ISC */
/* Any octets as a PROXY header: how they are cut and what follows them changes nothing, nothing is
 * read beyond them, and whom it names is named again by the headers that are built for it. The first
 * octet says how long the values are that are told then. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocols/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of its exact size. */
static enum proxy_result parse(const char *data, size_t size, struct proxy_header *header)
{
    char *exact = malloc(size == 0 ? 1 : size);
    enum proxy_result result;

    memcpy(exact, data, size);
    result = proxy_header_parse((struct span){exact, size}, header);
    free(exact);
    return result;
}

static void check_address(const struct address *a, const struct address *b)
{
    assert(a->family == b->family && a->port == b->port);
    assert(memcmp(a->octets, b->octets, sizeof a->octets) == 0);
}

static void check_built(struct span built, const struct proxy_header *header)
{
    struct proxy_header again;

    assert(built.len <= PROXY_SPACE);
    assert(parse(built.data, built.len, &again) == PROXY_GOOD);
    assert(again.take == built.len && again.subject == PROXY_CLIENT);
    check_address(&again.client, &header->client);
    check_address(&again.server, &header->server);
}

static void check_again(const struct proxy_header *header, const char *data, size_t size,
                        size_t each)
{
    const struct span value = span_first((struct span){data, size}, each);
    const struct proxy_facts facts = {
        .unique_id = value,
        .alpn = value,
        .authority = value,
        .is_secure = each % 2 == 1,
        .version = value,
        .cipher = value,
        .has_certificate = each % 3 == 1,
        .is_resumed = each % 5 == 1,
        .common_name = value,
    };
    char *space = malloc(PROXY_SPACE);

    check_built(proxy_header_v1(&header->client, &header->server, space), header);
    check_built(proxy_header_v2(&header->client, &header->server, &facts, space), header);
    free(space);
}

/* What less than all of it makes of it: MORE up to the decision, and then that. */
static void check_cuts(const char *data, size_t size, enum proxy_result result, size_t take)
{
    bool is_decided = false;

    for (size_t len = 0; len < size && len < 300; len++) {
        struct proxy_header header;
        enum proxy_result now = parse(data, len, &header);

        assert(now == PROXY_MORE ? !is_decided : now == result);
        assert(result != PROXY_GOOD || (now == PROXY_GOOD) == (len >= take));
        is_decided = now != PROXY_MORE;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *octets = (const char *)data + 1;
    struct proxy_header header;
    enum proxy_result result;

    if (size < 1)
        return 0;
    size--;
    result = parse(octets, size, &header);
    assert((result == PROXY_BAD) == (header.why != NULL));
    assert(result != PROXY_MORE || size < PROXY_HEADER_MAX);
    assert(result != PROXY_GOOD || (header.take > 0 && header.take <= size));
    check_cuts(octets, size, result, header.take);
    if (result == PROXY_GOOD && header.subject == PROXY_CLIENT)
        check_again(&header, octets, size, data[0]);
    return 0;
}
