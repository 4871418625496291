/* SPDX-License-Identifier: ISC */
/* A line is a line whatever is put into it, and nobody waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/log.h"

/* The child's end is log_to_channel's; what arrives at `master` is looked at here. */
struct channel {
    int child, master;
};

static struct channel channel_open(void)
{
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    log_to_channel(fd[0]);
    return (struct channel){fd[0], fd[1]};
}

static void channel_close(struct channel *c)
{
    log_to_channel(-1);
    close(c->child);
    close(c->master);
}

/* The next line without level and time; "" if there is none. */
static const char *receive(int fd, char space[LOG_LINE_MAX + 1])
{
    ssize_t got = recv(fd, space, LOG_LINE_MAX, MSG_DONTWAIT);

    if (got <= 0)
        return "";
    space[got] = '\0';
    return space;
}

/* One field through the whole way; the text behind the event. */
static void check_value(enum log_format format, struct span value, const char *expected)
{
    struct channel c = channel_open();
    struct log_line line;
    char space[LOG_LINE_MAX + 1];
    const char *text;

    log_configure(format, LEVEL_INFO);
    log_begin(&line, LEVEL_INFO, "test.done");
    log_span(&line, "v", value);
    log_end(&line);
    text = strstr(receive(c.master, space), "test.done");
    assert_non_null(text);
    assert_string_equal(text, expected);
    channel_close(&c);
}

static void what_peers_say_is_escaped(void **state)
{
    static const struct {
        struct span value;
        const char *logfmt, *json;
    } rows[] = {
        {SPAN("plain"), "test.done v=plain", "test.done\",\"v\":\"plain\"}"},
        {SPAN(""), "test.done", "test.done\"}"},
        {SPAN("two words"), "test.done v=\"two words\"", "test.done\",\"v\":\"two words\"}"},
        {SPAN("a=b"), "test.done v=\"a\\x3db\"", "test.done\",\"v\":\"a=b\"}"},
        {SPAN("a\"b"), "test.done v=\"a\\\"b\"", "test.done\",\"v\":\"a\\\"b\"}"},
        {SPAN("a\\b"), "test.done v=\"a\\\\b\"", "test.done\",\"v\":\"a\\\\b\"}"},
        {SPAN("a\r\nb"), "test.done v=\"a\\x0d\\x0ab\"", "test.done\",\"v\":\"a\\u000d\\u000ab\"}"},
        {SPAN("a\0b"), "test.done v=\"a\\x00b\"", "test.done\",\"v\":\"a\\u0000b\"}"},
        {SPAN("\033[2J"), "test.done v=\"\\x1b[2J\"", "test.done\",\"v\":\"\\u001b[2J\"}"},
        {SPAN("\x7f"), "test.done v=\"\\x7f\"", "test.done\",\"v\":\"\\u007f\"}"},
        {SPAN("gr\xc3\xbcn"), "test.done v=gr\xc3\xbcn", "test.done\",\"v\":\"gr\xc3\xbcn\"}"},
        {SPAN("\xf0\x9f\x93\xa7"), "test.done v=\xf0\x9f\x93\xa7",
         "test.done\",\"v\":\"\xf0\x9f\x93\xa7\"}"},
        /* CSI as one character, and a mark that turns the direction of reading */
        {SPAN("\xc2\x9b"), "test.done v=\"\\xc2\\x9b\"", "test.done\",\"v\":\"\\u009b\"}"},
        {SPAN("\xe2\x80\xae"), "test.done v=\"\\xe2\\x80\\xae\"", "test.done\",\"v\":\"\\u202e\"}"},
        /* not UTF-8: a lone octet, a cut character, an overlong one, a surrogate, beyond Unicode */
        {SPAN("\xff"), "test.done v=\"\\xff\"", "test.done\",\"v\":\"\\ufffd\"}"},
        {SPAN("a\xc3"), "test.done v=\"a\\xc3\"", "test.done\",\"v\":\"a\\ufffd\"}"},
        {SPAN("\xc0\xaf"), "test.done v=\"\\xc0\\xaf\"", "test.done\",\"v\":\"\\ufffd\\ufffd\"}"},
        {SPAN("\xed\xa0\x80"), "test.done v=\"\\xed\\xa0\\x80\"",
         "test.done\",\"v\":\"\\ufffd\\ufffd\\ufffd\"}"},
        {SPAN("\xf4\x90\x80\x80"), "test.done v=\"\\xf4\\x90\\x80\\x80\"",
         "test.done\",\"v\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *copy = malloc(rows[i].value.len + 1);

        assert_non_null(copy);
        memcpy(copy, rows[i].value.data, rows[i].value.len);
        check_value(LOG_LOGFMT, (struct span){copy, rows[i].value.len}, rows[i].logfmt);
        check_value(LOG_JSON, (struct span){copy, rows[i].value.len}, rows[i].json);
        free(copy);
    }
}

static void a_line_begins_with_time_level_and_event(void **state)
{
    struct channel c = channel_open();
    char space[LOG_LINE_MAX + 1];
    struct log_line line;
    int end = 0;

    log_configure(LOG_LOGFMT, LEVEL_INFO);
    log_begin(&line, LEVEL_WARNING, "x.y");
    log_number(&line, "n", UINT64_MAX);
    log_seconds(&line, "duration", 1.23456);
    log_text(&line, "none", NULL);
    log_end(&line);
    receive(c.master, space);
    assert_int_equal(space[0], '0' + LEVEL_WARNING);
    (void)sscanf(space + 1, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ warning%n", &end);
    assert_int_equal(end, 24 + 8);
    assert_string_equal(space + 1 + end, " event=x.y n=18446744073709551615 duration=1.235");
    log_configure(LOG_JSON, LEVEL_INFO);
    log_event(LEVEL_ERROR, "x.y", "a", "1", "b", (const char *)NULL, "c", "2", NULL);
    receive(c.master, space);
    assert_int_equal(strncmp(space, "0{\"time\":\"20", 12), 0);
    assert_non_null(
        strstr(space, "Z\",\"level\":\"error\",\"event\":\"x.y\",\"a\":\"1\",\"c\":\"2\"}"));
    log_configure(LOG_LOGFMT, LEVEL_INFO);
    errno = ENOENT;
    log_errno(LEVEL_ERROR, "x.y", "a", "1", NULL);
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(receive(c.master, space), " a=1 error=\"No such file or directory\""));
    channel_close(&c);
}

static void levels_below_the_wanted_one_are_silent(void **state)
{
    struct channel c = channel_open();
    char space[LOG_LINE_MAX + 1];

    log_configure(LOG_LOGFMT, LEVEL_WARNING);
    log_event(LEVEL_INFO, "x.y", NULL);
    log_event(LEVEL_DEBUG, "x.y", NULL);
    assert_string_equal(receive(c.master, space), "");
    log_event(LEVEL_WARNING, "x.y", NULL);
    assert_string_not_equal(receive(c.master, space), "");
    log_configure(LOG_LOGFMT, LEVEL_DEBUG);
    log_event(LEVEL_DEBUG, "x.y", NULL);
    assert_string_not_equal(receive(c.master, space), "");
    channel_close(&c);
}

/* A peer's long value is cut, and what follows it is still there. */
static void no_value_crowds_out_the_next(void **state)
{
    static const enum log_format formats[] = {LOG_LOGFMT, LOG_JSON};
    char value[4096];
    char space[LOG_LINE_MAX + 1];

    for (size_t f = 0; f < 2; f++)
        for (int octet = 1; octet < 256; octet += 13) {
            struct channel c = channel_open();
            struct log_line line;

            memset(value, octet, sizeof(value));
            log_configure(formats[f], LEVEL_INFO);
            log_begin(&line, LEVEL_INFO, "x.y");
            log_span(&line, "sni", (struct span){value, sizeof(value)});
            log_text(&line, "end", "client_quit");
            log_end(&line);
            receive(c.master, space);
            assert_non_null(strstr(space, "client_quit"));
            assert_non_null(strstr(space, f == 0 ? " cut=yes" : ",\"cut\":\"yes\"}"));
            channel_close(&c);
        }
}

static void a_full_line_is_cut_and_says_so(void **state)
{
    static const enum log_format formats[] = {LOG_LOGFMT, LOG_JSON};
    char value[512];
    char space[LOG_LINE_MAX + 1];

    for (size_t f = 0; f < 2; f++)
        for (size_t len = 1; len < sizeof(value); len++) {
            struct channel c = channel_open();
            struct log_line line;
            const char *text;

            memset(value, ' ', len);
            log_configure(formats[f], LEVEL_INFO);
            log_begin(&line, LEVEL_INFO, "x.y");
            for (int i = 0; i < 300; i++) {
                log_span(&line, "name", (struct span){value, len});
                log_number(&line, "n", UINT64_MAX);
            }
            log_end(&line);
            text = receive(c.master, space);
            assert_true(strlen(text) < LOG_LINE_MAX);
            assert_non_null(strstr(text, f == 0 ? " cut=yes" : ",\"cut\":\"yes\"}"));
            channel_close(&c);
        }
}

static void lines_that_find_no_room_are_counted(void **state)
{
    struct channel c = channel_open();
    char space[LOG_LINE_MAX + 1];
    unsigned sent = 5000, got = 0, told = 0;
    const char *dropped;

    log_configure(LOG_LOGFMT, LEVEL_INFO);
    for (unsigned i = 0; i < sent; i++)
        log_event(LEVEL_INFO, "x.y", "filler", "........................................", NULL);
    while (receive(c.master, space)[0] != '\0')
        got++;
    assert_true(got < sent);
    log_event(LEVEL_INFO, "x.y", NULL);
    dropped = strstr(receive(c.master, space), " dropped=");
    assert_non_null(dropped);
    assert_int_equal(sscanf(dropped, " dropped=%u", &told), 1);
    assert_int_equal(told, sent - got);
    log_event(LEVEL_INFO, "x.y", NULL); /* told once */
    assert_null(strstr(receive(c.master, space), "dropped"));
    channel_close(&c);
}

/* The master's log goes to a file of a test's own, and comes back as text. */
static char *read_back(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    assert_true(fd >= 0);
    got = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(got >= 0);
    text[got] = '\0';
    return text;
}

static void a_child_cannot_forge_a_line(void **state)
{
    static const struct {
        struct span sent;
        const char *written;
    } rows[] = {
        {SPAN("2good line"), "good line\n"},
        {SPAN("2one\ntwo\r\nthree"), "one?two??three\n"},
        {SPAN("2\033]0;x\007 \x7f\xff\xc2\x9b\xe2\x80\xae"), "?]0;x? ????"
                                                             "???\n"},
        {SPAN("2gr\xc3\xbcn"), "gr\xc3\xbcn\n"},
        {SPAN("9level"), "level\n"},
        {SPAN("\0level"), "level\n"},
        {SPAN("2a\0b"), "a?b\n"},
        {SPAN("2"), ""},
    };
    char path[] = "/tmp/test_log.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct channel c = channel_open();

        log_to_channel(-1);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_true(log_to_target(LOG_TO_FILE, NULL, path));
        assert_true(send(c.child, rows[i].sent.data, rows[i].sent.len, 0) >= 0);
        assert_true(log_forward(c.master));
        assert_string_equal(read_back(path), rows[i].written);
        channel_close(&c);
    }
    close(fd);
    unlink(path);
    assert_true(log_to_target(LOG_TO_STDERR, NULL, NULL));
}

static void a_line_that_is_too_long_is_cut_by_the_master(void **state)
{
    struct channel c = channel_open();
    char path[] = "/tmp/test_log.XXXXXX";
    char sent[3 * LOG_LINE_MAX];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    log_to_channel(-1);
    memset(sent, '2', sizeof(sent));
    assert_true(log_to_target(LOG_TO_FILE, NULL, path));
    assert_int_equal(send(c.child, sent, sizeof(sent), 0), sizeof(sent));
    assert_true(log_forward(c.master));
    assert_int_equal(strlen(read_back(path)), LOG_LINE_MAX);
    close(c.child);
    assert_false(log_forward(c.master)); /* closed */
    close(c.master);
    close(fd);
    unlink(path);
    assert_true(log_to_target(LOG_TO_STDERR, NULL, NULL));
}

static void a_moved_file_is_followed(void **state)
{
    char folder[] = "/tmp/test_log.XXXXXX";
    char path[64], moved[64];
    struct stat st;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(moved, sizeof(moved), "%s/log.1", folder);
    log_configure(LOG_LOGFMT, LEVEL_INFO);
    assert_true(log_to_target(LOG_TO_FILE, NULL, path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07, 0);
    log_event(LEVEL_INFO, "one.done", NULL);
    assert_int_equal(rename(path, moved), 0);
    log_event(LEVEL_INFO, "two.done", NULL);
    assert_true(log_reopen());
    log_event(LEVEL_INFO, "three.done", NULL);
    assert_non_null(strstr(read_back(moved), "two.done"));
    assert_null(strstr(read_back(path), "two.done"));
    assert_non_null(strstr(read_back(path), "three.done"));
    assert_false(log_to_target(LOG_TO_FILE, NULL, folder)); /* the old one stays */
    log_event(LEVEL_INFO, "four.done", NULL);
    assert_non_null(strstr(read_back(path), "four.done"));
    assert_true(log_to_target(LOG_TO_STDERR, NULL, NULL));
    unlink(path);
    unlink(moved);
    rmdir(folder);
}

/* stderr is a pipe that nobody reads: the master goes on. */
static void a_full_pipe_holds_nobody(void **state)
{
    int fd[2], saved = dup(STDERR_FILENO);
    char space[4096];
    ssize_t got;
    char *text = NULL;

    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    assert_true(dup2(fd[1], STDERR_FILENO) >= 0);
    log_configure(LOG_LOGFMT, LEVEL_INFO);
    alarm(10); /* a block would end the test */
    for (int i = 0; i < 5000; i++)
        log_event(LEVEL_INFO, "x.y", "filler", "........................................", NULL);
    assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    while (read(fd[0], space, sizeof(space)) > 0)
        ;
    log_event(LEVEL_INFO, "x.y", NULL);
    alarm(0);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    got = read(fd[0], space, sizeof(space) - 1);
    assert_true(got > 0);
    space[got] = '\0';
    text = strstr(space, " dropped=");
    assert_non_null(text);
    close(saved);
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_peers_say_is_escaped),
        cmocka_unit_test(a_line_begins_with_time_level_and_event),
        cmocka_unit_test(levels_below_the_wanted_one_are_silent),
        cmocka_unit_test(no_value_crowds_out_the_next),
        cmocka_unit_test(a_full_line_is_cut_and_says_so),
        cmocka_unit_test(lines_that_find_no_room_are_counted),
        cmocka_unit_test(a_child_cannot_forge_a_line),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_by_the_master),
        cmocka_unit_test(a_moved_file_is_followed),
        cmocka_unit_test(a_full_pipe_holds_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
