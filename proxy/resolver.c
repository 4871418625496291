/* SPDX-License-Identifier: ISC */
/* Names to addresses. It blocks in getaddrinfo on purpose: the alarm ends a look-up that is stuck,
 * and the process with it; the master starts another, and the scout keeps the addresses that it
 * had. */
#include "proxy/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"

#define LOOKUP_SECONDS 10

void resolver_look_up(const struct resolver_question *question, struct resolver_answer *answer)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error;

    *answer = (struct resolver_answer){.id = question->id};
    alarm(LOOKUP_SECONDS);
    error = getaddrinfo(question->name, NULL, &hints, &found);
    alarm(0);
    if (error != 0) {
        answer->is_nobody = error == EAI_NONAME || error == EAI_NODATA;
        strncpy(answer->error, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error),
                sizeof answer->error - 1);
        return;
    }
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) ||
            a->ai_addrlen > sizeof answer->address[0])
            continue;
        if (answer->count < BOARD_ADDRESSES_MAX)
            memcpy(&answer->address[answer->count++], a->ai_addr, a->ai_addrlen);
        else
            answer->left_out++;
    }
    freeaddrinfo(found);
}

/* False: the line is of no use any more. */
static bool serve(int line)
{
    struct resolver_question question;
    struct resolver_answer answer;
    ssize_t n = recv(line, &question, sizeof question, 0);

    if (n != (ssize_t)sizeof question || memchr(question.name, '\0', sizeof question.name) == NULL)
        return false;
    resolver_look_up(&question, &answer);
    return send(line, &answer, sizeof answer, MSG_NOSIGNAL) == (ssize_t)sizeof answer;
}

int resolver_run(struct channel *channel, const struct message_start *start)
{
    struct pollfd wait[] = {{.fd = ROLE_FD_CHANNEL, .events = POLLIN},
                            {.fd = -1, .events = POLLIN}};
    struct message m;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* in a look-up we don't hear the channel close */
    for (;;) {
        if (poll(wait, 2, -1) < 0 && errno != EINTR)
            return 3;
        if (wait[0].revents != 0) {
            switch (channel_read(channel, &m)) {
            case CHANNEL_MESSAGE:
                if (m.kind == MESSAGE_STOP)
                    return 0;
                if (m.kind == MESSAGE_PEER) {
                    if (wait[1].fd >= 0)
                        close(wait[1].fd);
                    wait[1].fd = m.fd[0];
                    m.fd[0] = -1;
                }
                channel_release(&m);
                break;
            case CHANNEL_AGAIN: break;
            case CHANNEL_CLOSED: return 0;
            case CHANNEL_BROKEN: return 3;
            }
        } else if (wait[1].fd >= 0 && wait[1].revents != 0 && !serve(wait[1].fd)) {
            close(wait[1].fd);
            wait[1].fd = -1;
        }
    }
}
