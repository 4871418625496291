/* SPDX-License-Identifier: ISC */
/* How much of this machine is ours. Control groups are asked by hand: both versions, from our own
 * group up to the root, since a limit anywhere on the way counts. */
#include "proxy/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The first line of DIR/GROUP/FILE. */
static bool read_line(const char *dir, const char *group, const char *file, char *line, int size)
{
    char path[1024];
    bool ok;
    FILE *f;

    if (snprintf(path, sizeof path, "%s%s/%s", dir, group, file) >= (int)sizeof path)
        return false;
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    ok = fgets(line, size, f) != NULL;
    fclose(f);
    return ok;
}

/* Our group in the hierarchy of `controller`, "" for version 2; "/" if it can't be told. */
static void find_group(const char *controller, char *group, size_t size)
{
    char line[512];
    FILE *f = fopen("/proc/self/cgroup", "re");

    snprintf(group, size, "/");
    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL) { /* 4:cpu,cpuacct:/path */
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');
        char *word, *rest;

        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (*controller == '\0' && names[1] == '\0')
            snprintf(group, size, "%s", path);
        for (word = strtok_r(names + 1, ",", &rest); word != NULL;
             word = strtok_r(NULL, ",", &rest))
            if (strcmp(word, controller) == 0)
                snprintf(group, size, "%s", path);
    }
    fclose(f);
}

/* Call `judge` with each group's directory from ours to the root; the least of the answers. */
static uint64_t least(const char *dir, const char *controller,
                      uint64_t (*judge)(const char *dir, const char *group))
{
    uint64_t result = UINT64_MAX;
    char group[512];

    find_group(controller, group, sizeof group);
    for (;;) {
        uint64_t here = judge(dir, group);
        char *slash = strrchr(group, '/');

        if (here < result)
            result = here;
        if (slash == NULL)
            return result;
        *slash = '\0';
    }
}

static uint64_t quota_cpus(long long quota, long long period)
{
    return quota > 0 && period > 0 ? (uint64_t)((quota + period - 1) / period) : UINT64_MAX;
}

static uint64_t cpus_v2(const char *dir, const char *group)
{
    long long quota, period;
    char line[64];

    if (!read_line(dir, group, "cpu.max", line, sizeof line) ||
        sscanf(line, "%lld %lld", &quota, &period) != 2) /* "max 100000": no quota */
        return UINT64_MAX;
    return quota_cpus(quota, period);
}

static uint64_t cpus_v1(const char *dir, const char *group)
{
    char quota[64], period[64];

    if (!read_line(dir, group, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_line(dir, group, "cpu.cfs_period_us", period, sizeof period))
        return UINT64_MAX;
    return quota_cpus(atoll(quota), atoll(period));
}

static uint64_t octets(const char *dir, const char *group, const char *file)
{
    char line[64], *end;
    uint64_t value;

    if (!read_line(dir, group, file, line, sizeof line))
        return UINT64_MAX;
    value = strtoull(line, &end, 10);
    return end == line || value == 0 ? UINT64_MAX : value; /* "max" */
}

static uint64_t memory_v2(const char *dir, const char *group)
{
    return octets(dir, group, "memory.max");
}

static uint64_t memory_v1(const char *dir, const char *group)
{
    return octets(dir, group, "memory.limit_in_bytes");
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint32_t machine_cpus(void)
{
    uint64_t cpus = 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cpus = (uint64_t)CPU_COUNT(&set);
    cpus = min64(cpus, least("/sys/fs/cgroup", "", cpus_v2));
    cpus = min64(cpus, least("/sys/fs/cgroup/cpu", "cpu", cpus_v1));
    return cpus < 1 ? 1 : (uint32_t)cpus;
}

uint64_t machine_memory(void)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    memory = min64(memory, least("/sys/fs/cgroup", "", memory_v2));
    return min64(memory, least("/sys/fs/cgroup/memory", "memory", memory_v1));
}

uint64_t machine_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    return limit.rlim_cur;
}
