/* SPDX-License-Identifier: ISC */
/* What each kind of process keeps of root's rights. */
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/privsep.h"

#define NOBODY 65534

/* All of this process's, or UINT64_MAX. */
static uint64_t rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &header, own) < 0 || own[0].permitted != own[0].effective ||
        own[1].permitted != own[1].effective || own[0].inheritable != 0 || own[1].inheritable != 0)
        return UINT64_MAX;
    return own[0].effective | (uint64_t)own[1].effective << 32;
}

static bool can_get_any_back(void)
{
    for (unsigned long right = 0; prctl(PR_CAPBSET_READ, right, 0, 0, 0) >= 0; right++)
        if (prctl(PR_CAPBSET_READ, right, 0, 0, 0) != 0)
            return true;
    return setuid(0) == 0;
}

/* In a process of its own, which does not come back. Without a cage: it has no directory to be in. */
static void keeps(enum role role, bool is_transparent, uint64_t expected)
{
    const struct privileges p = {
        .is_root = true, .is_transparent = is_transparent, .user = NOBODY, .group = NOBODY};
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(privsep_enter(role, &p) && geteuid() == NOBODY && rights() == expected &&
                      !can_get_any_back()
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void children_keep_nothing(void **state)
{
    if (geteuid() != 0)
        skip();
    for (enum role role = 0; role < ROLE_COUNT; role++)
        keeps(role, false, 0);
}

static void workers_alone_may_connect_from_the_addresses_of_others(void **state)
{
    if (geteuid() != 0)
        skip();
    keeps(ROLE_WORKER, true, CAP_TO_MASK(CAP_NET_RAW));
    keeps(ROLE_SCOUT, true, 0);
    keeps(ROLE_RESOLVER, true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_keep_nothing),
        cmocka_unit_test(workers_alone_may_connect_from_the_addresses_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
