/* SPDX-License-Identifier: ISC */
/* Addresses between the kernel's form and ours. */
#include "proxy/inet.h"

#include <arpa/inet.h>

struct address inet_read(const union board_address *from)
{
    struct address a = {0};

    switch (from->any.sa_family) {
    case AF_INET:
        a.family = ADDRESS_V4;
        a.port = ntohs(from->v4.sin_port);
        memcpy(a.octets, &from->v4.sin_addr, 4);
        return a;
    case AF_INET6:
        a.family = ADDRESS_V6;
        a.port = ntohs(from->v6.sin6_port);
        memcpy(a.octets, &from->v6.sin6_addr, 16);
        return address_unmapped(&a);
    default: return a;
    }
}

union board_address inet_write(const struct address *from)
{
    union board_address a = {0};

    switch (from->family) {
    case ADDRESS_NONE: a.any.sa_family = AF_UNSPEC; break;
    case ADDRESS_V4:
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(from->port);
        memcpy(&a.v4.sin_addr, from->octets, 4);
        break;
    case ADDRESS_V6:
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(from->port);
        memcpy(&a.v6.sin6_addr, from->octets, 16);
        break;
    }
    return a;
}

struct address inet_local(int fd)
{
    union board_address a = {0};
    socklen_t len = sizeof a;

    if (getsockname(fd, &a.any, &len) < 0)
        return (struct address){0};
    return inet_read(&a);
}
