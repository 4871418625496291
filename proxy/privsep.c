/* SPDX-License-Identifier: ISC */
/* Gives up rights, in order, per kind of process. Files are the caller's problem: nothing is opened
 * here. */
#include "proxy/privsep.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/log.h"

#define DEFAULT_USER  "starttlsd"
#define FALLBACK_USER "nobody"

/* IP_TRANSPARENT asks for this one, or for CAP_NET_ADMIN, which is worth more to a thief. */
#define NET_RAW CAP_TO_MASK(CAP_NET_RAW)

/* The kernel takes and gives that many; ours is in the first. */
#define SETS _LINUX_CAPABILITY_U32S_3

const struct service *privsep_transparent_service(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->service[i].identity == IDENTITY_TRANSPARENT)
            return &config->service[i];
    return NULL;
}

void privsep_judge_rights(const struct config *config, struct diagnosis *d)
{
    const struct service *service = privsep_transparent_service(config);
    struct __user_cap_data_struct own[SETS] = {{0}};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    char title[64];

    if (service == NULL ||
        (syscall(SYS_capget, &header, own) == 0 && (own[0].permitted & NET_RAW) != 0))
        return;
    snprintf(title, sizeof title, "service %s", service->name);
    diagnosis_error(d, config_origin(config, service, "identity"), title, "identity",
                    "start as root, or with AmbientCapabilities=CAP_NET_RAW; a unit with a "
                    "CapabilityBoundingSet needs it there too",
                    "`transparent` needs the right CAP_NET_RAW, and starttlsd was started without");
}

static bool resolve_group(const struct config *config, gid_t *group, struct diagnosis *d)
{
    const struct group *g;

    if (config->group == NULL)
        return true;
    g = getgrnam(config->group);
    if (g == NULL) {
        diagnosis_error(d, config_origin(config, NULL, "group"), "starttlsd", "group",
                        "make it with `groupadd --system NAME`, or name one that exists",
                        "there is no group %s", config->group);
        return false;
    }
    *group = g->gr_gid;
    return true;
}

bool privsep_resolve(const struct config *config, bool is_caged, struct privileges *p,
                     struct diagnosis *d)
{
    const char *name = config->user == NULL ? DEFAULT_USER : config->user;
    const struct passwd *user;

    *p = (struct privileges){.is_root = geteuid() == 0,
                             .is_caged = is_caged,
                             .is_transparent = privsep_transparent_service(config) != NULL};
    if (!p->is_root)
        return true;

    user = getpwnam(name);
    if (user == NULL && config->user == NULL) {
        diagnosis_warning(d, (struct origin){0}, "starttlsd", "user",
                          "make it with `useradd --system starttlsd`",
                          "there is no user " DEFAULT_USER ", children run as " FALLBACK_USER);
        user = getpwnam(FALLBACK_USER);
        name = FALLBACK_USER;
    }
    if (user == NULL) {
        diagnosis_error(d, config_origin(config, NULL, "user"), "starttlsd", "user",
                        "make it with `useradd --system NAME`, or name one that exists",
                        "there is no user %s", name);
        return false;
    }
    if (user->pw_uid == 0) {
        diagnosis_error(d, config_origin(config, NULL, "user"), "starttlsd", "user",
                        "name a user without rights", "%s is root", name);
        return false;
    }
    p->user = user->pw_uid;
    p->group = user->pw_gid;
    return resolve_group(config, &p->group, d);
}

const char *privsep_summary(const struct privileges *p)
{
    if (!p->is_caged)
        return p->is_root ? "off, only the user is changed" : "off";
    return p->is_root ? "full" : "without own root and user, since not started as root";
}

/* A directory nobody can find or fill: its name is gone before anyone knew it. */
static int open_nameless(void)
{
    static const char *const places[] = {"/run", "/tmp", "/var/tmp"};
    char path[64];
    int fd = -1;

    for (size_t i = 0; fd < 0 && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/starttlsd.XXXXXX", places[i]);
        if (mkdtemp(path) == NULL)
            continue;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        (void)rmdir(path);
    }
    return fd;
}

int privsep_root_open(const struct config *config, struct diagnosis *d)
{
    struct origin origin = config_origin(config, NULL, "chroot");
    struct stat st;
    int fd;

    if (config->chroot == NULL) {
        fd = open_nameless();
        if (fd < 0)
            diagnosis_error(
                d, origin, "starttlsd", "chroot", "set chroot to an empty directory of root's",
                "no empty directory could be made for the children: %s", strerror(errno));
        return fd;
    }
    fd = open(config->chroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        diagnosis_error(d, origin, "starttlsd", "chroot",
                        "make it, empty, owned by root, mode 0755", "%s can't be opened: %s",
                        config->chroot, strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) < 0 || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        diagnosis_error(d, origin, "starttlsd", "chroot", "chown it to root and chmod it to 0755",
                        "%s belongs to, or can be written by, others than root", config->chroot);
        close(fd);
        return -1;
    }
    return fd;
}

static bool failed(const char *step)
{
    log_errno(LEVEL_ERROR, "server.failed", "step", step, NULL);
    return false;
}

static bool drop_user(const struct privileges *p)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;

    if (setgroups(0, NULL) < 0)
        return failed("setgroups");
    if (setresgid(p->group, p->group, p->group) < 0)
        return failed("setresgid");
    if (setresuid(p->user, p->user, p->user) < 0)
        return failed("setresuid");
    if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0 ||
        ruid != p->user || euid != p->user || suid != p->user || rgid != p->group ||
        egid != p->group || sgid != p->group)
        return failed("verify user");
    if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0)
        return failed("root came back");
    return true;
}

/* What an exec could give back. Who may not do this (CAP_SETPCAP) goes on: with no_new_privs an exec
 * gives nothing back. */
static void drop_bounding_set(void)
{
    for (unsigned long right = 0; prctl(PR_CAPBSET_READ, right, 0, 0, 0) >= 0; right++)
        (void)prctl(PR_CAPBSET_DROP, right, 0, 0, 0);
}

/* A master that runs unprivileged may hold capabilities (systemd's AmbientCapabilities): children
 * bind no low port and read no file, so they keep none of these. */
static bool drop_capabilities(uint32_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct sets[SETS] = {{.permitted = kept, .effective = kept}};

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* Linux 4.3 */
    if (syscall(SYS_capset, &header, sets) < 0)
        return failed("capset");
    return true;
}

/* KEEPCAPS: the change of user would take all. It leaves none of them effective. */
static bool change_user(const struct privileges *p, uint32_t kept)
{
    if (kept != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return failed("keep capabilities");
    if (!drop_user(p))
        return false;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return true;
}

static bool enter_root(void)
{
    if (fchdir(ROLE_FD_ROOT) < 0)
        return failed("fchdir");
    if (chroot(".") < 0)
        return failed("chroot");
    close(ROLE_FD_ROOT); /* an open directory outside would be a way out */
    return true;
}

bool privsep_enter(enum role role, const struct privileges *p)
{
    static const struct rlimit none = {0, 0};
    const uint32_t kept = role == ROLE_WORKER && p->is_transparent ? NET_RAW : 0;

    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return failed("no core dumps");
    if (p->is_caged && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return failed("not dumpable");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return failed("no new privileges");
    /* The resolver reads hosts, nsswitch.conf and resolv.conf at any time. */
    if (p->is_root && p->is_caged && role != ROLE_RESOLVER && !enter_root())
        return false;
    drop_bounding_set();
    if (p->is_root && !change_user(p, kept))
        return false;
    if (!drop_capabilities(kept))
        return false;
    /* A change of user has made it undumpable; a leak checker must ptrace. */
    if (!p->is_caged && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
        return failed("dumpable");
    /* No process, no thread: a child that is taken over stays alone. */
    if (p->is_caged && role != ROLE_RESOLVER && setrlimit(RLIMIT_NPROC, &none) < 0)
        return failed("no new processes");
    return true;
}
