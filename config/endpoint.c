/* SPDX-License-Identifier: ISC */
/* Places to listen on and to connect to. */
#include "config/endpoint.h"

#include <arpa/inet.h>

/* A host that is an address. */
struct address {
    enum { ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6, ADDRESS_ALL } family;
    bool is_wildcard;
    unsigned char octets[16];
};

static struct address address_of(const char *host)
{
    static const unsigned char zero[16];
    struct address a = {.family = ADDRESS_NONE};

    if (strcmp(host, "*") == 0)
        a.family = ADDRESS_ALL;
    else if (inet_pton(AF_INET, host, a.octets) == 1)
        a.family = ADDRESS_V4;
    else if (inet_pton(AF_INET6, host, a.octets) == 1)
        a.family = ADDRESS_V6;
    a.is_wildcard = a.family != ADDRESS_NONE && memcmp(a.octets, zero, sizeof(zero)) == 0;
    return a;
}

static bool is_label_octet(char c, bool is_wide)
{
    char low = ascii_lower(c);

    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           (is_wide && (unsigned char)c > 127);
}

/* RFC 1035, section 2.3.4: 255 octets on the wire are 253 of text; a label has 63. */
static bool is_name(struct span text, bool is_wide)
{
    size_t label = 0;

    if (text.len == 0 || text.len > 253)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else {
            label++;
            if (!is_label_octet(text.data[i], is_wide) || label > 63)
                return false;
        }
    }
    return label > 0;
}

bool endpoint_is_name(struct span text)
{
    return is_name(text, false);
}

bool endpoint_is_domain(struct span text)
{
    return is_name(text, true);
}

/* A name whose last label is a number can only be a misspelt address (RFC 1123, section 2.1). */
static bool ends_in_number(struct span name)
{
    while (name.len > 0 && name.data[name.len - 1] >= '0' && name.data[name.len - 1] <= '9')
        name.len--;
    return name.len == 0 || name.data[name.len - 1] == '.';
}

static bool parse_port(struct span text, uint16_t *port)
{
    uint32_t number = 0;

    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(text.data[i] - '0');
    }
    *port = (uint16_t)number;
    return number > 0 && number <= UINT16_MAX;
}

/* Cut `text` at the colon that ends the host. False: there is none. */
static bool cut_host(struct span text, bool is_bracketed, struct span *host, struct span *port)
{
    const char *end =
        is_bracketed ? memchr(text.data, ']', text.len) : memrchr(text.data, ':', text.len);
    size_t at;

    if (end == NULL)
        return false;
    at = (size_t)(end - text.data);
    *host = is_bracketed ? span_skip(span_first(text, at), 1) : span_first(text, at);
    *port = span_skip(text, is_bracketed ? at + 1 : at);
    if (port->len == 0 || port->data[0] != ':')
        return false;
    *port = span_skip(*port, 1);
    return true;
}

static const char *judge_host(const char *host, bool is_bracketed, bool is_listen)
{
    struct address a = address_of(host);

    if (is_bracketed && a.family != ADDRESS_V6)
        return "has no IPv6 address between its brackets";
    if (!is_bracketed && (a.family == ADDRESS_V6 || strchr(host, ':') != NULL))
        return "has an IPv6 address without brackets";
    if (a.family == ADDRESS_ALL && !is_listen)
        return "names no host";
    if (a.family != ADDRESS_NONE)
        return is_listen || !a.is_wildcard ? NULL : "names no host";
    if (is_listen)
        return "is not an address with a port";
    if (!endpoint_is_name(span_of(host)) || ends_in_number(span_of(host)))
        return "is neither an address nor a host name, with a port";
    return NULL;
}

const char *endpoint_parse(struct endpoint *e, struct span text, bool is_listen,
                           struct arena *arena, const char **remedy)
{
    bool is_bracketed = text.len > 0 && text.data[0] == '[';
    struct span host, port;

    e->text = arena_copy(arena, text);
    e->host = "";
    *remedy = is_listen ? "write ADDRESS:PORT, [V6]:PORT, or *:PORT for all addresses"
                        : "write HOST:PORT, as in 192.0.2.10:25, [2001:db8::10]:25 or "
                          "mail.example.net:25";
    if (span_starts(text, span_of("unix:")) || span_starts(text, span_of("fd:")))
        return "is a kind of socket that comes with a later version of starttlsd";
    if (!cut_host(text, is_bracketed, &host, &port))
        return "has no port";
    e->host = arena_copy(arena, host);
    if (!parse_port(port, &e->port)) {
        *remedy = "write a number from 1 to 65535 behind the last colon, as in :25";
        return "has no port that is a number";
    }
    return judge_host(e->host, is_bracketed, is_listen);
}

bool endpoint_overlap(const struct endpoint *a, const struct endpoint *b)
{
    struct address x = address_of(a->host);
    struct address y = address_of(b->host);

    if (a->port != b->port || x.family == ADDRESS_NONE || y.family == ADDRESS_NONE)
        return false;
    if (x.family == ADDRESS_ALL || y.family == ADDRESS_ALL)
        return true;
    return x.family == y.family &&
           (x.is_wildcard || y.is_wildcard || memcmp(x.octets, y.octets, sizeof(x.octets)) == 0);
}

bool endpoint_may_meet(const struct endpoint *listen, const struct endpoint *backend)
{
    struct address x = address_of(listen->host);
    struct address y = address_of(backend->host);

    return x.family == ADDRESS_ALL || y.family == ADDRESS_NONE || x.family == y.family;
}

bool endpoint_is_loopback(const struct endpoint *e)
{
    static const unsigned char one[16] = {[15] = 1};
    struct address a = address_of(e->host);

    return span_equals(span_of(e->host), span_of("localhost")) ||
           (a.family == ADDRESS_V4 && a.octets[0] == 127) ||
           (a.family == ADDRESS_V6 && memcmp(a.octets, one, sizeof(one)) == 0);
}

bool endpoint_is_wildcard(const struct endpoint *e)
{
    return address_of(e->host).is_wildcard;
}
