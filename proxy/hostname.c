/* SPDX-License-Identifier: ISC */
/* The machine's own name, as the resolver has it. */
#include "proxy/hostname.h"

#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char name[256];

/* One try of a second: name servers that are away, as they may be while the machine boots, must not
 * hold up the start for a name that was nice to have. */
static struct addrinfo *ask_briefly(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct addrinfo *list = NULL;
    int retrans, retry;

    if (res_init() != 0)
        return NULL;
    retrans = _res.retrans;
    retry = _res.retry;
    _res.retrans = 1; /* seconds */
    _res.retry = 1;
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        list = NULL;
    _res.retrans = retrans;
    _res.retry = retry;
    return list;
}

const char *machine_fqdn(void)
{
    struct addrinfo *list;

    if (name[0] != '\0')
        return name;
    if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
        strcpy(name, "localhost");
    if (strchr(name, '.') != NULL)
        return name; /* no need to ask */
    list = ask_briefly();
    if (list != NULL && list->ai_canonname != NULL) {
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
