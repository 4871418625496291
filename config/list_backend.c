/* SPDX-License-Identifier: ISC */
/* Values that are lists, about the way to a backend: pins, ciphers, addresses to come from. */
#include <arpa/inet.h>

#include "config/config.h"
#include "config/fingerprint.h"
#include "config/list.h"

bool list_fingerprints(const struct parse *p)
{
    struct fingerprint *list = arena_take(p->arena, list_length(p->setting) * sizeof(*list));
    struct walk w = walk_begin(p);
    size_t count = 0;
    bool ok = true;

    while (walk_next(&w)) {
        const char *wrong = fingerprint_parse(&list[count++], w.word);

        if (wrong != NULL) {
            parse_complain(&w.at,
                           "write cert-sha256: or key-sha256:, and behind it 64 hexadecimal digits",
                           "`%s` %s", arena_copy(p->arena, w.word), wrong);
            ok = false;
        }
    }
    if (ok) {
        *(const struct fingerprint **)parse_field(p, sizeof(list)) = list;
        *parse_count_field(p) = count;
    }
    return ok;
}

/* What OpenSSL's words are made of; the words themselves it alone knows. */
static bool is_cipher(struct span word)
{
    bool is_colon = true; /* the octet before, as if there were one */

    for (size_t i = 0; i < word.len; i++) {
        char low = ascii_lower(word.data[i]);

        if ((low == ':' && is_colon) ||
            !((low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') || strchr("-_+!@=:", low)))
            return false;
        is_colon = low == ':';
    }
    return !is_colon;
}

bool list_ciphers(const struct parse *p)
{
    struct walk w = walk_begin(p);
    const char *list = "";
    bool ok = true;

    while (walk_next(&w)) {
        if (!is_cipher(w.word)) {
            parse_complain(&w.at, "write names as `openssl ciphers` prints them",
                           "`%s` is not a cipher", arena_copy(p->arena, w.word));
            ok = false;
        }
        list = arena_print(p->arena, "%s%s%.*s", list, *list == '\0' ? "" : ":", (int)w.word.len,
                           w.word.data);
    }
    if (ok)
        *(const char **)parse_field(p, sizeof(list)) = list;
    return ok;
}

/* The address in its family's place. NULL, or what is wrong. */
static const char *take_source(const char *word, const char **v4, const char **v6)
{
    struct in6_addr address; /* room for either */
    const char **place;

    if (inet_pton(AF_INET, word, &address) == 1)
        place = v4;
    else if (inet_pton(AF_INET6, word, &address) == 1)
        place = v6;
    else
        return "is not an address";
    if (*place != NULL)
        return "is the second address of its family";
    *place = word;
    return NULL;
}

bool list_sources(const struct parse *p)
{
    struct service *service = p->base;
    const char *v4 = NULL, *v6 = NULL;
    struct walk w = walk_begin(p);
    bool ok = true;

    while (walk_next(&w)) {
        const char *word = arena_copy(p->arena, w.word);
        const char *wrong = take_source(word, &v4, &v6);

        if (wrong != NULL) {
            parse_complain(&w.at,
                           "write at most one IPv4 and one IPv6 address of this machine, as in "
                           "192.0.2.1 2001:db8::1",
                           "`%s` %s", word, wrong);
            ok = false;
        }
    }
    if (ok) {
        service->backend_source_v4 = v4;
        service->backend_source_v6 = v6;
    }
    return ok;
}
