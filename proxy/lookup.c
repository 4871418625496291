/* SPDX-License-Identifier: ISC */
/* One look-up in a child process: the C library may wait for longer than anybody wants to. */
#include "proxy/lookup.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void lookup_host(const char *host, struct resolver_answer *answer)
{
    struct resolver_question question = {.id = 1};
    int ends[2];
    ssize_t n = -1;
    pid_t child;

    strncpy(question.name, host, sizeof question.name - 1);
    *answer = (struct resolver_answer){.error = "no answer in time"};
    if (pipe(ends) < 0) {
        strncpy(answer->error, strerror(errno), sizeof answer->error - 1);
        return;
    }
    child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        resolver_look_up(&question, answer);
        n = write(ends[1], answer, sizeof *answer);
        _exit(n == (ssize_t)sizeof *answer ? 0 : 1);
    }
    if (child < 0)
        strncpy(answer->error, strerror(errno), sizeof answer->error - 1);
    close(ends[1]);
    if (child > 0) {
        struct resolver_answer told;

        n = read(ends[0], &told, sizeof told); /* at once: it is shorter than PIPE_BUF */
        if (n == (ssize_t)sizeof told)
            *answer = told;
        waitpid(child, NULL, 0);
    }
    close(ends[0]);
}
