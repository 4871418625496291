/* SPDX-License-Identifier: ISC */
/* Lines that peers may cut otherwise than we do: too long, or with CR or NUL inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};
#define DIRTY   "500 5.5.2 Control character inside a command\r\n"
#define SPOOF   "550 5.7.1 Not allowed\r\n"
#define CHUNK   "554 5.7.0 Chunk size not understood\r\n"
#define LONG    "500 5.5.2 Line too long\r\n"
#define NO_MAIL "503 5.5.1 MAIL was refused\r\n"

/* Two turns: the backend announces DSN, and so that it holds longer MAIL and RCPT. */
#define DSN                                                                                        \
    {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},                                              \
    {                                                                                              \
        BACKEND("250-x\r\n250 dsn\r\n"), TO_CLIENT("250-x\r\n250 dsn\r\n")                         \
    }

/* `front`, x until the cut, `back`, line end. */
static size_t compose(char *line, const char *front, size_t cut, const char *back, const char *end)
{
    memset(line, 'x', cut);
    memcpy(line, front, strlen(front));
    memcpy(line + cut, back, strlen(back));
    memcpy(line + cut + strlen(back), end, strlen(end));
    return cut + strlen(back) + strlen(end);
}

static void no_piece_of_a_long_line_is_a_command(void **state)
{
    static const size_t cuts[] = {509, 510, 511, 512, 1023, 1024, 2047, 2048};
    static const struct {
        const char *front, *back;
    } row[] = {
        {"NOOP ", "RCPT TO:<victim@evil>"},
        {"NOOP ", "XCLIENT ADDR=192.0.2.1"},
        {"EHLO ", "MAIL FROM:<a@b> AUTH=c"},
        {"HELO ", "RSET"},
        {"VRFY ", "DATA"},
        {"EXPN ", "DATA"},
        {"HELP ", "DATA"},
        {"RSET ", "DATA"},
        {"QUIT ", "DATA"},
        {"DATA ", "RSET"},
        {"RCPT TO:<a@example.org> X=", "RCPT TO:<victim@evil>"},
        {"RCPT TO:<a@example.org> X=", "DATA"},
        {"RCPT TO:<a@example.org> X=", "rset "},
        {"RCPT TO:<a@example.org> X=", " XCLIENT ADDR=192.0.2.1"},
        {"RCPT TO:<a@example.org> X=", "XCLIENT ADDR=192.0.2.1"},
        {"RCPT TO:<a@example.org> X=", "XFORWARD ADDR=192.0.2.1"},
        {"RCPT TO:<a@example.org> X=", "BDAT 5 LAST"},
        {"RCPT TO:<a@example.org> X=", "AUTH PLAIN"},
        {"RCPT TO:<a@example.org> X=", "XEXCH50 5 2"},
        {"RCPT TO:<a@example.org> X=", "TURN"},
    };
    char line[2200];

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        for (size_t j = 0; j < sizeof(cuts) / sizeof(cuts[0]); j++) {
            size_t len = compose(line, row[i].front, cuts[j], row[i].back, "\r\n");
            const struct turn dialogue[] = {DSN, {.input = {line, len}, TO_CLIENT(LONG)}};

            PLAY(&policy, PLAY_FROM_GATE, dialogue);
        }
}

/* In MAIL and RCPT nothing but parameters may reach beyond the first 510 octets. */
static void a_long_path_does_not_pass(void **state)
{
    static const struct {
        const char *front;
        size_t cut;
        const char *back;
        bool passes;
    } row[] = {
        {"RCPT TO:<", 509, "> X=1", true},
        {"RCPT TO:<", 510, "> X=1", false},
        {"RCPT TO:<", 600, "@example.org>", false},
        {"RCPT TO:<a@b> X=", 600, "", true},
        {"rcpt to:<> X=", 600, " Y", true},
        {"RCPT TO: <a@b> X=", 600, "", false},
        {"RCPT  TO:<a@b> X=", 600, "", false},
        {"RCPT TO:<a b@c> X=", 600, "", false},
        {"RCPT TO:<a\tb@c> X=", 600, "", false},
        {"RCPT TO:<\"a\"@c> X=", 600, "", false},
        {"RCPT TO:<a@b>\tX=", 600, "", false},
        {"RCPT TO:<a@b>X=", 600, "", false},
        {"RCPT TO:a@b X=", 600, "", false},
        {"RCPT FROM:<a@b> X=", 600, "", false},
        {"RCPT TO:<a@b> X=", 600, "\t", false},
        {"RCPT TO:<a@b> X=", 600, " =1", false},
        {"RCPT TO:<a@b> X=", 600, " Y=", false},
        {"RCPT TO:<a@b> X=", 600, " Y=\"", true},
        {"RCPT TO:<a\xc3\xa4@b> X=", 600, "", false},
        {"RCPT TO:<a@b> X=", 600, "\xc3\xa4", false},
    };
    char line[700];

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        size_t len = compose(line, row[i].front, row[i].cut, row[i].back, "\r\n");
        const struct span itself = {line, len}, refusal = SPAN(LONG);
        const struct turn dialogue[] = {
            DSN,
            {.input = itself,
             .to = {row[i].passes ? (struct span){0} : refusal,
                    row[i].passes ? itself : (struct span){0}}},
        };

        PLAY(&policy, PLAY_FROM_GATE, dialogue);
    }
}

static void lines_pass_up_to_their_limit(void **state)
{
    static const struct {
        const char *front;
        size_t len; /* without line end */
        bool passes;
    } row[] = {
        {"NOOP ", 508, true},
        {"NOOP ", 509, false},
        {"MAIL FROM:<a@b> ENVID=", 1532, true},
        {"MAIL FROM:<a@b> ENVID=", 1533, false},
        {"RCPT TO:<c@d> ORCPT=rfc822;", 1532, true},
        {"RCPT TO:<c@d> ORCPT=rfc822;", 1533, false},
    };
    char line[1600], wanted[1600];

    for (size_t i = 0; i < 2 * sizeof(row) / sizeof(row[0]); i++) {
        size_t len = compose(line, row[i / 2].front, row[i / 2].len, "", i % 2 ? "\n" : "\r\n");
        size_t passed = compose(wanted, row[i / 2].front, row[i / 2].len, "", "\r\n");
        const struct turn dialogue[] = {
            DSN,
            {.input = {line, len},
             .to = {row[i / 2].passes ? (struct span){0} : (struct span)SPAN(LONG),
                    row[i / 2].passes ? (struct span){wanted, passed} : (struct span){0}}},
        };

        PLAY(&policy, PLAY_FROM_GATE, dialogue);
    }
}

static const char *const hidden[] = {"DSN"};

/* Nobody else has promised to hold more (RFC 3461, section 5): the rest of it may be a command. */
static void without_dsn_no_long_line_passes(void **state)
{
    static const struct policy hiding = {.is_enforced = true,
                                         .hostname = "mx.example",
                                         .relay = RELAY_BACKEND,
                                         .hide_capabilities = {hidden, 1}};
    char line[700];
    size_t len = compose(line, "RCPT TO:<a@ours> X=", 509, "RCPTTO:bob@evil", "\r\n");
    const struct turn never_asked[] = {{.input = {line, len}, TO_CLIENT(LONG)}};
    const struct turn not_offered[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-XDSN\r\n250 SIZE\r\n"),
         TO_CLIENT("250-x\r\n250-XDSN\r\n250 SIZE\r\n")},
        {.input = {line, len}, TO_CLIENT(LONG)},
    };
    const struct turn hides[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250 DSN\r\n"), TO_CLIENT("250 x\r\n")},
        {.input = {line, len}, TO_CLIENT(LONG)},
    };
    const struct turn helo[] = {
        DSN,
        {.input = {line, len}, .to = {{0}, {line, len}}},
        {BACKEND("550 a\r\n"), TO_CLIENT("550 a\r\n")},
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
        {.input = {line, len}, TO_CLIENT(LONG)},
    };
    const struct turn refused[] = {
        DSN,
        {CLIENT("EHLO b\r\n"), TO_BACKEND("EHLO b\r\n")},
        {BACKEND("550 x\r\n"), TO_CLIENT("550 x\r\n")},
        {.input = {line, len}, TO_CLIENT(LONG)},
    };

    PLAY(&policy, PLAY_FROM_GATE, never_asked);
    PLAY(&policy, PLAY_FROM_GATE, not_offered);
    PLAY(&hiding, PLAY_FROM_GATE, hides);
    PLAY(&policy, PLAY_FROM_GATE, helo);
    PLAY(&policy, PLAY_FROM_GATE, refused);
}

static void a_long_mail_is_a_refused_one(void **state)
{
    char line[1000];
    size_t len = compose(line, "MAIL FROM:<a@b> X=", 900, "RSET", "\r\n");
    const struct turn dialogue[] = {
        {.input = {line, len}, TO_CLIENT(LONG)},
        {CLIENT("RCPT TO:<c@d>\r\nDATA\r\n"), TO_CLIENT(NO_MAIL NO_MAIL)},
    };

    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* What follows would be read as a command, and is content to whoever sent it. */
#define EVE "MAIL FROM:<eve@evil>\r\n"

static const struct turn bad_chunks[] = {
    {CLIENT("BDAT 23 LAST\r\r\n" EVE), TO_CLIENT(CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)},
    {CLIENT("BDAT 23\0\r\n" EVE), TO_CLIENT(CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)},
    {CLIENT("bdat\r\r\n" EVE), TO_CLIENT(CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)},
    {CLIENT("BDAT\0 23\n" EVE), TO_CLIENT(CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)},
    {CLIENT("BDAT 2\r3\n" EVE), TO_CLIENT(CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)},
};

static void a_dirty_bdat_ends_the_session(void **state)
{
    PLAY_EACH(&policy, PLAY_FROM_GREETING, bad_chunks, 1);
    PLAY_EACH(&policy, PLAY_FROM_GATE, bad_chunks, 1);
}

static void a_long_bdat_ends_the_session(void **state)
{
    char line[6000];
    size_t len = compose(line, "BDAT 23", 5000, "", "\r\n" EVE);
    const struct turn dialogue[] = {
        {.input = {line, len}, TO_CLIENT(CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)}};

    memset(line + 7, ' ', 4993);
    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_dirty_bdat_waits_its_turn(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("NOOP\r\nBDAT 23\r\r\n" EVE), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 ok\r\n"), TO_CLIENT("250 ok\r\n" CHUNK), CLOSES(VIOLATION), NOTES(SMUGGLING)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_dirty_mail_is_a_refused_one(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<a@b>\r\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
         TO_CLIENT(DIRTY NO_MAIL NO_MAIL)},
        {CLIENT("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"),
         TO_BACKEND("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void an_endless_mail_is_a_refused_one(void **state)
{
    char line[6000];
    size_t len = compose(line, "MAIL FROM:<a@b> ", 5000, "", "\r\nRCPT TO:<c@d>\r\n");
    const struct turn dialogue[] = {{.input = {line, len}, TO_CLIENT(LONG NO_MAIL)}};

    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_spoof_is_one_in_any_line(void **state)
{
    char line[6000];
    size_t len = compose(line, "XCLIENT ADDR=", 5000, "", "\r\n");
    const struct turn dialogue[] = {
        {.input = {line, len}, TO_CLIENT(SPOOF), NOTES(SPOOF)},
        {CLIENT("PROXY TCP4\r\r\n"), TO_CLIENT(SPOOF), NOTES(SPOOF)},
    };

    PLAY(&policy, PLAY_FROM_GREETING, dialogue);
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_piece_of_a_long_line_is_a_command),
        cmocka_unit_test(a_long_path_does_not_pass),
        cmocka_unit_test(lines_pass_up_to_their_limit),
        cmocka_unit_test(without_dsn_no_long_line_passes),
        cmocka_unit_test(a_long_mail_is_a_refused_one),
        cmocka_unit_test(a_dirty_bdat_ends_the_session),
        cmocka_unit_test(a_long_bdat_ends_the_session),
        cmocka_unit_test(a_dirty_bdat_waits_its_turn),
        cmocka_unit_test(a_dirty_mail_is_a_refused_one),
        cmocka_unit_test(an_endless_mail_is_a_refused_one),
        cmocka_unit_test(a_spoof_is_one_in_any_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
