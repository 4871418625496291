/* SPDX-License-Identifier: ISC */
/* The arithmetic of balance: smooth weighted round robin, fewest connections, rendezvous hashing. */
#include "proxy/spread.h"

#include <string.h>

void spread_init(struct spread *s, size_t backends, uint32_t random)
{
    *s = (struct spread){.turn = random % (uint32_t)backends};
}

uint32_t spread_share(uint64_t up_since_ms, uint64_t now_ms)
{
    uint64_t since = now_ms > up_since_ms ? now_ms - up_since_ms : 0;

    if (up_since_ms == 0 || since >= SPREAD_FULL_SHARE)
        return SPREAD_FULL_SHARE;
    return since == 0 ? 1 : (uint32_t)since;
}

/* The choice that is the first at its turn or behind it. */
static size_t first_in_turn(const struct spread *s, const struct spread_choice *choice,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (choice[i].backend >= s->turn)
            return i;
    return 0;
}

static size_t chosen(struct spread *s, const struct spread_choice *choice, size_t index)
{
    s->turn = choice[index].backend + 1;
    return index;
}

/* Everyone is given his share; who then has most pays for all of them and is it. So a small share is
 * spread over time, and no neighbour gets what somebody else could not have. */
size_t spread_in_turn(struct spread *s, const struct spread_choice *choice, size_t count)
{
    const size_t first = first_in_turn(s, choice, count);
    size_t best = first;
    int64_t all = 0;

    for (size_t i = 0; i < count; i++) {
        s->credit[choice[i].backend] += choice[i].share;
        all += choice[i].share;
    }
    for (size_t i = 1; i < count; i++) {
        size_t at = (first + i) % count;

        if (s->credit[choice[at].backend] > s->credit[choice[best].backend])
            best = at;
    }
    s->credit[choice[best].backend] -= all;
    return chosen(s, choice, best);
}

/* Would one more connection be less of a load for `a` than for `b`? */
static bool is_less_loaded(const struct spread_choice *a, const struct spread_choice *b)
{
    return (a->connections + 1) * b->share < (b->connections + 1) * a->share;
}

size_t spread_by_connections(struct spread *s, const struct spread_choice *choice, size_t count)
{
    const size_t first = first_in_turn(s, choice, count);
    size_t best = first;

    for (size_t i = 1; i < count; i++) {
        size_t at = (first + i) % count;

        if (is_less_loaded(&choice[at], &choice[best]))
            best = at;
    }
    return chosen(s, choice, best);
}

/* FNV-1a; its high bits depend little on the last octets, and behind it (splitmix64) all on all. */
static uint64_t hash(uint64_t h, const void *data, size_t len)
{
    const unsigned char *octet = data;

    h ^= UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        h = (h ^ octet[i]) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

uint64_t spread_hash(uint64_t h, const char *text)
{
    return hash(h, text, strlen(text));
}

static bool is_v4(const unsigned char client[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(client, mapped, sizeof mapped) == 0;
}

/* Rendezvous hashing: a weight for each pair of client and backend, and the highest wins. */
size_t spread_by_source(const unsigned char client[16], const struct spread_choice *choice,
                        size_t count)
{
    const uint64_t of_client = hash(0, client, is_v4(client) ? 16 : 8);
    uint64_t highest = 0;
    size_t best = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t weight = spread_hash(of_client, choice[i].text);

        if (i == 0 || weight > highest) {
            highest = weight;
            best = i;
        }
    }
    return best;
}
