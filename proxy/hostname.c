/* SPDX-License-Identifier: ISC */
/* The machine's own name, as the resolver has it. */
#include "proxy/hostname.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char name[256];

const char *machine_fqdn(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct addrinfo *list = NULL;

    if (name[0] != '\0')
        return name;
    if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
        strcpy(name, "localhost");
    if (strchr(name, '.') != NULL)
        return name; /* no need to ask */
    if (getaddrinfo(name, NULL, &hints, &list) == 0 && list->ai_canonname != NULL) {
        size_t len = strlen(list->ai_canonname);

        /* localhost.localdomain names every machine, and so says less than the host name. */
        if (len < sizeof(name) && strchr(list->ai_canonname, '.') != NULL &&
            strncmp(list->ai_canonname, "localhost", 9) != 0)
            memcpy(name, list->ai_canonname, len + 1);
    }
    if (list != NULL)
        freeaddrinfo(list);
    return name;
}
