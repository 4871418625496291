/* SPDX-License-Identifier: ISC */
/* The table from names to contexts: sorted, found by bisection. A wildcard is an entry like any
 * other, since only a whole first label may be one. */
#include "proxy/tls_names.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#define NAME_MAX_LEN ((size_t)255) /* RFC 1035, section 2.3.4 */

struct entry {
    char *name; /* lower case, no trailing dot */
    SSL_CTX *ctx;
};

struct tls_names {
    struct entry *entry; /* sorted by name */
    size_t count, room;
};

/* `name` as the table spells it. False: no name of a host. */
static bool normalize(struct span name, char space[static NAME_MAX_LEN + 1])
{
    if (name.len > 0 && name.data[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > NAME_MAX_LEN || memchr(name.data, '\0', name.len) != NULL)
        return false;
    for (size_t i = 0; i < name.len; i++)
        space[i] = ascii_lower(name.data[i]);
    space[name.len] = '\0';
    return true;
}

/* Where `name` stands, or would stand. */
static size_t position(const struct tls_names *n, const char *name, bool *is_there)
{
    size_t low = 0, high = n->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(n->entry[middle].name, name);

        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *is_there = false;
    return low;
}

static void clear(struct tls_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->entry[i].name);
    free(n->entry);
}

static bool grow(struct tls_names *n)
{
    size_t room = n->room == 0 ? 8 : n->room * 2;
    struct entry *entry = reallocarray(n->entry, room, sizeof *entry);

    if (entry == NULL)
        return false;
    n->entry = entry;
    n->room = room;
    return true;
}

static bool add_name(struct tls_names *n, struct span name, SSL_CTX *ctx, const char **taken)
{
    char text[NAME_MAX_LEN + 1];
    bool is_there;
    size_t at;
    char *copy;

    if (!normalize(name, text))
        return true;
    at = position(n, text, &is_there);
    if (is_there) {
        if (n->entry[at].ctx != ctx)
            *taken = n->entry[at].name;
        return true;
    }
    if (n->count == n->room && !grow(n))
        return false;
    copy = strdup(text);
    if (copy == NULL)
        return false;
    memmove(n->entry + at + 1, n->entry + at, (n->count - at) * sizeof *n->entry);
    n->entry[at].name = copy;
    n->entry[at].ctx = ctx;
    n->count++;
    return true;
}

static struct span asn1_text(const ASN1_STRING *s)
{
    return (struct span){(const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
}

/* The common names, which count only where there is no subjectAltName of type DNS (RFC 6125,
 * section 6.4.4). */
static bool add_common_names(struct tls_names *n, const X509 *leaf, SSL_CTX *ctx,
                             const char **taken)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = -1;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
        const X509_NAME_ENTRY *e = X509_NAME_get_entry(subject, at);

        if (!add_name(n, asn1_text(X509_NAME_ENTRY_get_data(e)), ctx, taken))
            return false;
    }
    return true;
}

bool tls_names_add(struct tls_names *n, const X509 *leaf, SSL_CTX *ctx, const char **taken)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool ok = true, has_dns = false;

    *taken = NULL;
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

        if (g->type != GEN_DNS)
            continue;
        has_dns = true;
        ok = add_name(n, asn1_text(g->d.dNSName), ctx, taken);
    }
    GENERAL_NAMES_free(names);
    return ok && (has_dns || add_common_names(n, leaf, ctx, taken));
}

bool tls_names_same(const X509 *a, const X509 *b)
{
    struct tls_names of_a = {NULL}, of_b = {NULL};
    const char *taken;
    bool same = tls_names_add(&of_a, a, NULL, &taken) && tls_names_add(&of_b, b, NULL, &taken) &&
                of_a.count == of_b.count;

    for (size_t i = 0; same && i < of_a.count; i++)
        same = strcmp(of_a.entry[i].name, of_b.entry[i].name) == 0;
    clear(&of_a);
    clear(&of_b);
    return same;
}

SSL_CTX *tls_names_find(const struct tls_names *n, struct span server_name)
{
    char text[NAME_MAX_LEN + 1];
    bool is_there;
    char *dot;
    size_t at;

    if (!normalize(server_name, text))
        return NULL;
    at = position(n, text, &is_there);
    dot = strchr(text, '.');
    if (!is_there && dot != NULL && dot != text) {
        dot[-1] = '*';
        at = position(n, dot - 1, &is_there);
    }
    return is_there ? n->entry[at].ctx : NULL;
}

struct tls_names *tls_names_new(void)
{
    return calloc(1, sizeof(struct tls_names));
}

void tls_names_free(struct tls_names *n)
{
    if (n == NULL)
        return;
    clear(n);
    free(n);
}
