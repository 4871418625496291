/* SPDX-License-Identifier: ISC */
/* Logins beside their exchange: how long its lines may be, how it breaks off, where AUTH is offered
 * at all, and what a login changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"
#define HIDE                                                                                       \
    {                                                                                              \
        (const char *const[]){"AUTH"}, 1                                                           \
    }
#define MX                                                                                         \
    {                                                                                              \
        (const char *const[]){"example.org"}, 1                                                    \
    }

static const struct policy policy = {TLS, .relay = RELAY_BACKEND, .max_errors = 20};

/* ---- long lines ---- */

/* front, `fill` until `back` ends at octet `len`, then the line end. */
static struct span compose(char *line, const char *front, size_t len, const char *back,
                           const char *end)
{
    size_t first = strlen(front), last = strlen(back);

    memset(line, 'x', len);
    memcpy(line, front, first);
    memcpy(line + len - last, back, last);
    memcpy(line + len, end, strlen(end));
    return (struct span){line, len + strlen(end)};
}

static void long_first_lines_pass_up_to_their_limit(void **state)
{
    static char line[13000];
    static const struct {
        const char *front;
        size_t len; /* without line end */
        const char *back;
        const char *reply; /* NULL: it passes */
    } row[] = {
        {"AUTH PLAIN ", 508, "QUIT", NULL},
        {"AUTH PLAIN ", 509, "QUIT", "501 5.5.4 Syntax error in AUTH\r\n"},
        {"AUTH PLAIN ", 509, "quitx", NULL},
        {"AUTH PLAIN ", 513, "DATA", "501 5.5.4 Syntax error in AUTH\r\n"},
        {"AUTH PLAIN ", 4000, "starttls", "501 5.5.4 Syntax error in AUTH\r\n"},
        {"AUTH PLAIN ", 4000, "TURN", "501 5.5.4 Syntax error in AUTH\r\n"},
        {"AUTH PLAIN ", 4000, "DATA==", NULL},
        {"AUTH PLAIN ", 4094, "", NULL},
        {"AUTH PLAIN ", 4095, "", NULL},
        {"AUTH PLAIN ", 12284, "", NULL},
        {"AUTH PLAIN ", 12285, "", "500 5.5.2 Line too long\r\n"},
        {"AUTH\tPLAIN ", 4095, "", "500 5.5.2 Line too long\r\n"},
        {"AUTHPLAIN ", 4095, "", "500 5.5.2 Line too long\r\n"},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct span input = compose(line, row[i].front, row[i].len, row[i].back, "\r\n");
        struct turn dialogue[] = {{.input = input}, {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")}};

        dialogue[0].to[row[i].reply == NULL ? SIDE_BACKEND : SIDE_CLIENT] =
            row[i].reply == NULL ? input : span_of(row[i].reply);
        if (row[i].reply == NULL)
            dialogue[1] =
                (struct turn){BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"), NOTES(AUTH_OK)};
        PLAY(&policy, PLAY_FROM_GATE, dialogue);
    }
}

/* What a backend gets of it is what was judged. */
static void blanks_do_not_push_a_command_to_the_end(void **state)
{
    static char line[1200];
    static const struct {
        const char *front, *back;
        struct span passed;
    } row[] = {
        {"AUTH", "PLAIN QUIT", SPAN("AUTH PLAIN QUIT\r\n")},
        {"AUTH PLAIN", "QUIT", SPAN("AUTH PLAIN QUIT\r\n")},
        {"AUTH", "XCLIENT ADDR=1", SPAN("AUTH XCLIENT ADDR=1\r\n")},
        {"AUTH PLAIN abc", "\t", SPAN("AUTH PLAIN abc\r\n")},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        for (size_t len = 509; len < 530; len++) {
            size_t front = strlen(row[i].front), back = strlen(row[i].back);
            const struct turn dialogue[] = {
                {.input = compose(line, row[i].front, len, row[i].back, "\r\n"),
                 .to = {{0}, row[i].passed}}};

            memset(line + front, ' ', len - front - back);
            PLAY(&policy, PLAY_FROM_GATE, dialogue);
        }
}

static void long_responses_pass_up_to_their_limit(void **state)
{
    static char line[14000];
    static const struct {
        size_t len; /* without line end */
        const char *back;
        const char *end;
        bool passes;
    } row[] = {
        {508, "QUIT", "\r\n", true},   {509, "QUIT", "\r\n", false}, {509, "", "\n", true},
        {600, "rset", "\r\n", false},  {600, "rset", "\n", false},   {600, "rset=", "\r\n", true},
        {600, "XCLIENT", "\n", false}, {4096, "", "\r\n", true},     {12284, "", "\r\n", true},
        {12285, "", "\n", true},       {12285, "", "\r\n", false},   {12286, "", "\n", false},
        {13000, "", "\r\n", false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        static char wanted[14000];
        struct turn dialogue[] = {
            {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
            {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n"), WAITS_FOR(CLIENT)},
            {.input = compose(line, "", row[i].len, row[i].back, row[i].end),
             TO_BACKEND("*\r\n"),
             WAITS_FOR(BACKEND)},
            {CLIENT("NOOP\r\n")},
            {BACKEND("454 no\r\n"), TO_CLIENT("454 no\r\n"), TO_BACKEND("NOOP\r\n")},
        };

        if (row[i].passes)
            dialogue[2].to[SIDE_BACKEND] = compose(wanted, "", row[i].len, row[i].back, "\r\n");
        if (row[i].passes && row[i].len > 508) /* the backend may owe a reply too many */
            dialogue[4] =
                (struct turn){BACKEND("454 no\r\n"), TO_CLIENT("454 no\r\n"), CLOSES(ERRORS)};
        PLAY(&policy, PLAY_FROM_GATE, dialogue);
    }
}

static void an_endless_response_costs_no_memory(void **state)
{
    static char flood[20000];
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},
        {BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")},
        {.input = {flood, sizeof flood}, WAITS_FOR(CLIENT)},
        {.input = {flood, sizeof flood}, WAITS_FOR(CLIENT)},
        {CLIENT("\nNOOP\r\n"), TO_BACKEND("*\r\n")},
        {BACKEND("501 no\r\n"), TO_CLIENT("501 no\r\n"), TO_BACKEND("NOOP\r\n")},
    };

    memset(flood, 'x', sizeof flood);
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* ---- how an exchange breaks off ---- */

#define ASKED                                                                                      \
    {CLIENT("AUTH PLAIN\r\n"), TO_BACKEND("AUTH PLAIN\r\n")},                                      \
    {                                                                                              \
        BACKEND("334 \r\n"), TO_CLIENT("334 \r\n")                                                 \
    }
#define LOST    "421 4.4.2 Mail server lost, try again later\r\n"
#define DRAINED "421 4.3.2 Shutting down, try again later\r\n"
#define TIMEOUT "421 4.4.2 Timeout, closing connection\r\n"

static void the_end_while_the_client_is_asked(void **state)
{
    static const struct turn row[] = {
        ASKED,
        {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
        ASKED,
        {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), CLOSES(TIMEOUT)},
        ASKED,
        {EVENT(STOP, CLIENT), TO_CLIENT(DRAINED), CLOSES(DRAINED)},
        ASKED,
        {EVENT(EOF, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        ASKED,
        {EVENT(LOST, BACKEND), TO_CLIENT(LOST), CLOSES(BACKEND_LOST)},
        ASKED,
        {BACKEND("421-a\r\n421 b\r\n"), TO_CLIENT("421-a\r\n421 b\r\n"), CLOSES(BACKEND_CLOSED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 3);
}

static void the_end_within_a_response(void **state)
{
    static const struct turn row[] = {
        ASKED, {CLIENT("YWJj")}, {EVENT(EOF, CLIENT), CLOSES(CLIENT_CLOSED)},
        ASKED, {CLIENT("YWJj")}, {EVENT(DEADLINE, CLIENT), TO_CLIENT(TIMEOUT), CLOSES(TIMEOUT)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 4);
}

#define ANSWERED                                                                                   \
    ASKED,                                                                                         \
    {                                                                                              \
        CLIENT("YWJj\r\n"), TO_BACKEND("YWJj\r\n")                                                 \
    }

static void the_end_while_the_backend_thinks(void **state)
{
    static const struct turn row[] = {
        ANSWERED,
        {EVENT(EOF, CLIENT)},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"), TO_BACKEND("QUIT\r\n"), NOTES(AUTH_OK),
         CLOSES(CLIENT_CLOSED)},

        ANSWERED,
        {EVENT(EOF, CLIENT)},
        {BACKEND("334 more\r\n"), TO_CLIENT("334 more\r\n"), CLOSES(CLIENT_CLOSED)},

        ANSWERED,
        {EVENT(DRAIN, CLIENT)},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n" DRAINED), NOTES(AUTH_OK), CLOSES(DRAINED)},

        ANSWERED,
        {BACKEND("421 by")},
        {BACKEND("e\r\n"), TO_CLIENT("421 bye\r\n"), CLOSES(BACKEND_CLOSED)},

        ANSWERED,
        {BACKEND("235-a\r\n"), TO_CLIENT("235-a\r\n")},
        {EVENT(STOP, CLIENT), CLOSES(DRAINED)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 5);
}

static void drain_waits_for_the_end_of_an_exchange(void **state)
{
    static const struct turn dialogue[] = {
        ASKED,
        {EVENT(DRAIN, CLIENT)},
        {CLIENT("YWJj\r\nNOOP\r\n"), TO_BACKEND("YWJj\r\n")},
        {BACKEND("535 no\r\n"), TO_CLIENT("535 no\r\n" DRAINED), NOTES(AUTH_FAILED),
         CLOSES(DRAINED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

/* ---- where AUTH is offered ---- */

static void ehlo_offers_what_can_pass(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-AUTH PLAIN GSSAPI LOGIN NTLM EXTERNAL\r\n250-AUTH=LOGIN NTLM "
                 "PLAIN\r\n250 SIZE\r\n"),
         TO_CLIENT("250-x\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=LOGIN PLAIN\r\n250 SIZE\r\n")},

        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250 auth scram-sha-256-plus scram-sha-256 digest-md5 anonymous\r\n"),
         TO_CLIENT("250-x\r\n250 AUTH scram-sha-256\r\n")},

        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-AUTH=GSSAPI NTLM\r\n250 AUTH GSS-SPNEGO\r\n"),
         TO_CLIENT("250 x\r\n")},

        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-AUTH \t PLAIN \t LOGIN \r\n250 AUTH= PLAIN\n"),
         TO_CLIENT("250-x\r\n250-AUTH PLAIN LOGIN\r\n250 AUTH=PLAIN\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 2);
}

static const char *const auth[] = {"AUTH"};

static void hidden_auth_is_refused_too(void **state)
{
    static const struct policy hiding = {TLS, .relay = RELAY_BACKEND,
                                         .hide_capabilities = {auth, 1}};
    static const struct turn dialogue[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-AUTH PLAIN\r\n250-AUTH=PLAIN\r\n250 SIZE\r\n"),
         TO_CLIENT("250-x\r\n250 SIZE\r\n")},
        {CLIENT("AUTH PLAIN x\r\n"), TO_CLIENT("502 5.5.1 AUTH is not available\r\n")},
    };
    PLAY(&hiding, PLAY_FROM_GATE, dialogue);
}

#define NEED_TLS "538 5.7.11 Encryption required for requested authentication mechanism\r\n"

static void before_tls_auth_is_refused_and_no_backend_asked(void **state)
{
    static const struct policy open = {
        .tls = FRONT_STARTTLS, .hostname = "mx.example", .relay = RELAY_LOGIN, .max_errors = 2};
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN x\r\n"), TO_CLIENT(NEED_TLS), NOTES(TLS_NEEDED)},
        {CLIENT("AUTH NTLM\r\nNOOP\r\n"), TO_CLIENT(NEED_TLS "421 4.7.0 Too many errors\r\n"),
         NOTES(TLS_NEEDED), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&open, PLAY_FROM_GREETING, dialogue);
}

static void in_the_clear_auth_is_refused_behind_a_mail_too(void **state)
{
    static const struct policy open = {
        .tls = FRONT_STARTTLS, .hostname = "mx.example", .relay = RELAY_BACKEND};
    static const struct turn dialogue[] = {
        {CLIENT("RSET\r\nMAIL FROM:<>\r\n"), TO_CLIENT("250 2.0.0 OK\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("MAIL FROM:<>\r\n"), NOTES(GREETED)},
        {BACKEND("550 no\r\n"), TO_CLIENT("550 no\r\n")},
        {CLIENT("AUTH PLAIN x\r\n"), TO_CLIENT(NEED_TLS), NOTES(TLS_NEEDED)},
        {EVENT(EOF, CLIENT), TO_BACKEND("QUIT\r\n"), CLOSES(TLS_REQUIRED)},
    };
    PLAY(&open, PLAY_FROM_GREETING, dialogue);
}

static void plaintext_logins_may_be_allowed(void **state)
{
    static const struct policy open = {.tls = FRONT_STARTTLS,
                                       .may_auth_in_clear = true,
                                       .hostname = "mx.example",
                                       .relay = RELAY_LOGIN};
    static const struct turn dialogue[] = {
        {CLIENT("AUTH GSSAPI\r\n"),
         TO_CLIENT("504 5.5.4 Authentication mechanism not available\r\n")},
        {CLIENT("AUTH PLAIN x\r\n"), CONNECTS},
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n"), NOTES(GREETED)},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"), NOTES(AUTH_OK)},
        {CLIENT("MAIL FROM:<>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
    };
    PLAY(&open, PLAY_FROM_GREETING, dialogue);
}

static void without_tls_logins_pass(void **state)
{
    static const struct policy none = {
        .tls = FRONT_NONE, .hostname = "mx.example", .relay = RELAY_BACKEND};
    static const struct turn dialogue[] = {
        {EVENT(CONNECTED, BACKEND)},
        {BACKEND("220 x\r\n"), TO_CLIENT("220 x\r\n"), NOTES(GREETED)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN NTLM\r\n"),
         TO_CLIENT("250-x\r\n250 AUTH PLAIN\r\n")},
        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"), NOTES(AUTH_OK)},
    };
    PLAY(&none, PLAY_FROM_SECURED, dialogue);
}

/* ---- what a login changes ---- */

static void after_a_login_mail_may_name_its_author(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN x\r\nMAIL FROM:<> AUTH=a@b SIZE=1\r\n"),
         TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"),
         TO_BACKEND("MAIL FROM:<> AUTH=a@b SIZE=1\r\n"), NOTES(AUTH_OK)},
        {BACKEND("501 a\r\n"), TO_CLIENT("501 a\r\n")},
        {CLIENT("RSET\r\nEHLO a\r\nMAIL FROM:<>AUTH=x\n"),
         TO_BACKEND("RSET\r\nEHLO a\r\nMAIL FROM:<>AUTH=x\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_failed_login_changes_nothing(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN x\r\nMAIL FROM:<> AUTH=a@b SIZE=1\r\n"),
         TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("535 no\r\n"), TO_CLIENT("535 no\r\n"), TO_BACKEND("MAIL FROM:<> SIZE=1\r\n"),
         NOTES(AUTH_FAILED)},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static const char *const ours[] = {"example.org"};

static void after_a_login_the_list_of_domains_binds_no_more(void **state)
{
    static const struct policy mx = {TLS, .relay = RELAY_DOMAINS, .relay_domains = {ours, 1}};
    static const struct turn dialogue[] = {
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_CLIENT("554 5.7.1 Relay access denied\r\n")},
        {CLIENT("AUTH PLAIN x\r\nRCPT TO:<a@b>\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"), TO_BACKEND("RCPT TO:<a@b>\r\n"),
         NOTES(AUTH_OK)},
    };
    PLAY(&mx, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_first_lines_pass_up_to_their_limit),
        cmocka_unit_test(blanks_do_not_push_a_command_to_the_end),
        cmocka_unit_test(long_responses_pass_up_to_their_limit),
        cmocka_unit_test(an_endless_response_costs_no_memory),
        cmocka_unit_test(the_end_while_the_client_is_asked),
        cmocka_unit_test(the_end_within_a_response),
        cmocka_unit_test(the_end_while_the_backend_thinks),
        cmocka_unit_test(drain_waits_for_the_end_of_an_exchange),
        cmocka_unit_test(ehlo_offers_what_can_pass),
        cmocka_unit_test(hidden_auth_is_refused_too),
        cmocka_unit_test(before_tls_auth_is_refused_and_no_backend_asked),
        cmocka_unit_test(in_the_clear_auth_is_refused_behind_a_mail_too),
        cmocka_unit_test(plaintext_logins_may_be_allowed),
        cmocka_unit_test(without_tls_logins_pass),
        cmocka_unit_test(after_a_login_mail_may_name_its_author),
        cmocka_unit_test(a_failed_login_changes_nothing),
        cmocka_unit_test(after_a_login_the_list_of_domains_binds_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
