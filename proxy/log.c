/* SPDX-License-Identifier: ISC */
/* One event, one line: composed here, in every process; written by the master. What cannot be taken
 * at once is dropped and counted: nobody waits, but for syslog(3) where its daemon hangs. */
#include "proxy/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "proxy/escape.h"

/* Kept free in a line for what log_end adds: the end of a value, dropped=, cut=, brace, newline. */
#define TAIL_OCTETS 80

/* A value written out is no longer than that: no peer can crowd out the fields behind its own. */
#define VALUE_OCTETS 512

/* The longest number; a field begins only where one would fit. */
#define NUMBER_OCTETS 32

/* Time, level and event. */
#define HEAD_OCTETS 256

#define FORWARD_LINES 64

static const char *const level_names[] = {
    [LEVEL_ERROR] = "error",
    [LEVEL_WARNING] = "warning",
    [LEVEL_INFO] = "info",
    [LEVEL_DEBUG] = "debug",
};

static const int level_priorities[] = {
    [LEVEL_ERROR] = LOG_ERR,
    [LEVEL_WARNING] = LOG_WARNING,
    [LEVEL_INFO] = LOG_INFO,
    [LEVEL_DEBUG] = LOG_DEBUG,
};

/* value.c knows the same names. */
static const struct {
    const char *name;
    int number;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"lpr", LOG_LPR},
    {"mail", LOG_MAIL},     {"news", LOG_NEWS},         {"syslog", LOG_SYSLOG},
    {"user", LOG_USER},     {"uucp", LOG_UUCP},         {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},     {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},     {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7},
};

/* A process has one log. */
static struct {
    enum log_format format;
    enum log_level level;
    int channel; /* child: to the master; -1: this process writes by itself */
    enum log_target target;
    char *file;       /* owned, for log_reopen */
    int fd;           /* stderr, or the file */
    uint64_t dropped; /* lines that nobody has been told of */
} log_state = {.level = LEVEL_INFO, .channel = -1, .fd = STDERR_FILENO};

void log_configure(enum log_format format, enum log_level level)
{
    log_state.format = format;
    log_state.level = level;
}

void log_to_channel(int fd)
{
    log_state.channel = fd;
}

static void set_fd(int fd)
{
    if (log_state.fd != STDERR_FILENO)
        close(log_state.fd);
    log_state.fd = fd;
}

/* Non-blocking, lest a FIFO without a reader holds the master. -1: errno. */
static int open_file(const char *file)
{
    return open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

bool log_to_target(enum log_target target, const char *facility, const char *file)
{
    int fd = STDERR_FILENO;
    char *copy = NULL;

    if (target == LOG_TO_FILE) {
        copy = strdup(file);
        fd = copy == NULL ? -1 : open_file(copy);
        if (fd < 0) {
            free(copy);
            return false;
        }
    }
    closelog();
    if (target == LOG_TO_SYSLOG) {
        int number = LOG_MAIL;

        for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
            if (strcmp(facilities[i].name, facility) == 0)
                number = facilities[i].number;
        openlog("starttlsd", LOG_PID | LOG_NDELAY, number);
    }
    set_fd(fd);
    free(log_state.file);
    log_state.file = copy;
    log_state.target = target;
    return true;
}

bool log_reopen(void)
{
    int fd;

    if (log_state.target != LOG_TO_FILE)
        return true;
    fd = open_file(log_state.file);
    if (fd < 0)
        return false; /* on with the old one: better a line in a moved file than none */
    set_fd(fd);
    return true;
}

/* Poll first: stderr is shared with others, so that it is not ours to make non-blocking. */
static bool write_now(int fd, const char *text, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0 &&
           write(fd, text, len) == (ssize_t)len;
}

static bool send_now(int fd, enum log_level level, struct span line)
{
    char head = (char)('0' + level);
    struct iovec part[2] = {{&head, 1}, {(void *)(uintptr_t)line.data, line.len}};
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* text has a newline at text[len]. False: dropped. */
static bool deliver(enum log_level level, const char *text, size_t len)
{
    if (log_state.channel >= 0)
        return send_now(log_state.channel, level, (struct span){text, len});
    if (log_state.target == LOG_TO_SYSLOG) {
        syslog(level_priorities[level], "%.*s", (int)len, text);
        return true;
    }
    return write_now(log_state.fd, text, len + 1);
}

static void put(struct log_line *line, const char *text, size_t len)
{
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* Its name and what leads to the value. False: no room for any value, the field is left out. */
static bool begin_field(struct log_line *line, const char *name)
{
    char text[64];
    int len;

    if (log_state.format == LOG_JSON)
        len = snprintf(text, sizeof(text), ",\"%s\":", name);
    else
        len = snprintf(text, sizeof(text), " %s=", name);
    if ((size_t)len >= sizeof(text) ||
        line->len + (size_t)len + NUMBER_OCTETS > LOG_LINE_MAX - TAIL_OCTETS) {
        line->is_cut = true;
        return false;
    }
    put(line, text, (size_t)len);
    return true;
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    struct timespec now;
    struct tm tm;
    char date[32];
    int len;

    line->len = 0;
    line->level = level;
    line->is_wanted = level <= log_state.level;
    line->is_cut = false;
    if (!line->is_wanted)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    if (log_state.format == LOG_JSON)
        len = snprintf(line->text, HEAD_OCTETS,
                       "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"", date,
                       now.tv_nsec / 1000000, level_names[level], event);
    else
        len = snprintf(line->text, HEAD_OCTETS, "%s.%03ldZ %s event=%s", date,
                       now.tv_nsec / 1000000, level_names[level], event);
    assert(len > 0 && len < HEAD_OCTETS);
    line->len = (size_t)len;
}

void log_span(struct log_line *line, const char *name, struct span value)
{
    const bool is_json = log_state.format == LOG_JSON;
    const bool is_quoted = is_json || escape_is_needed(value);
    size_t begin;

    if (!line->is_wanted || value.len == 0 || !begin_field(line, name))
        return;
    if (is_quoted)
        put(line, "\"", 1);
    for (begin = line->len; value.len > 0;) {
        char unit[ESCAPE_UNIT];
        size_t taken;
        size_t len = escape_next(value, is_json, unit, &taken);

        if (line->len - begin + len > VALUE_OCTETS ||
            line->len + len > LOG_LINE_MAX - TAIL_OCTETS) {
            line->is_cut = true;
            break;
        }
        put(line, unit, len);
        value = span_skip(value, taken);
    }
    if (is_quoted)
        put(line, "\"", 1);
}

void log_text(struct log_line *line, const char *name, const char *value)
{
    log_span(line, name, span_of(value));
}

void log_number(struct log_line *line, const char *name, uint64_t value)
{
    char text[NUMBER_OCTETS];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

    if (line->is_wanted && begin_field(line, name))
        put(line, text, (size_t)len);
}

void log_seconds(struct log_line *line, const char *name, double value)
{
    char text[NUMBER_OCTETS];
    int len = snprintf(text, sizeof(text), "%.3f", value);

    if (line->is_wanted && len > 0 && (size_t)len < sizeof(text) && begin_field(line, name))
        put(line, text, (size_t)len);
}

/* The part of a line that TAIL_OCTETS are kept for. */
static void end_line(struct log_line *line)
{
    bool is_json = log_state.format == LOG_JSON;
    char tail[TAIL_OCTETS];

    if (log_state.dropped > 0) {
        int len = snprintf(tail, sizeof(tail), is_json ? ",\"dropped\":%llu" : " dropped=%llu",
                           (unsigned long long)log_state.dropped);

        put(line, tail, (size_t)len);
    }
    if (line->is_cut && is_json)
        put(line, ",\"cut\":\"yes\"", 12);
    else if (line->is_cut)
        put(line, " cut=yes", 8);
    if (is_json)
        put(line, "}", 1);
    line->text[line->len] = '\n';
}

void log_end(struct log_line *line)
{
    uint64_t told = log_state.dropped;

    if (!line->is_wanted)
        return;
    end_line(line);
    if (deliver(line->level, line->text, line->len))
        log_state.dropped -= told;
    else
        log_state.dropped++;
}

static void log_pairs(struct log_line *line, va_list arguments)
{
    const char *name;

    while ((name = va_arg(arguments, const char *)) != NULL)
        log_text(line, name, va_arg(arguments, const char *));
}

void log_event(enum log_level level, const char *event, ...)
{
    struct log_line line;
    va_list arguments;

    log_begin(&line, level, event);
    va_start(arguments, event);
    log_pairs(&line, arguments);
    va_end(arguments);
    log_end(&line);
}

void log_errno(enum log_level level, const char *event, ...)
{
    int error = errno;
    struct log_line line;
    va_list arguments;

    log_begin(&line, level, event);
    va_start(arguments, event);
    log_pairs(&line, arguments);
    va_end(arguments);
    log_text(&line, "error", strerror(error));
    log_end(&line);
    errno = error;
}

bool log_forward(int fd)
{
    char
        text[LOG_LINE_MAX + 1]; /* level, line, and room for a newline in place of the last octet */

    for (int i = 0; i < FORWARD_LINES; i++) {
        ssize_t got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
        unsigned level;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN;
        if (got == 0)
            return false;
        if (got == 1)
            continue; /* no line */
        level = (unsigned)(unsigned char)text[0] - '0';
        if (level > LEVEL_DEBUG)
            level = LEVEL_ERROR;
        escape_disarm(text + 1, (size_t)got - 1); /* the child may have been taken over */
        text[got] = '\n';
        if (!deliver((enum log_level)level, text + 1, (size_t)got - 1))
            log_state.dropped++;
        else if (log_state.dropped > 0)
            log_event(LEVEL_WARNING, "log.dropped", NULL); /* log_end says how many */
    }
    return true;
}
