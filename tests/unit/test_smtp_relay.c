/* SPDX-License-Identifier: ISC */
/* No open relay: who may do what with relay = login, a list of domains, or backend; and the verbs
 * that an administrator lets pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

#define TLS .tls = FRONT_STARTTLS, .is_enforced = true, .hostname = "mx.example"

#define LOGIN    "530 5.7.0 Authentication required\r\n"
#define MUST     "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define DENIED   "554 5.7.1 Relay access denied\r\n"
#define UNKNOWN  "500 5.5.2 Command not recognized\r\n"
#define NOT_OURS "502 5.5.1 Command not implemented\r\n"
#define ERRORS   "421 4.7.0 Too many errors\r\n"

static const char *const verbs[] = {"XSTATS", "x-other"};
static const char *const names[] = {"example.org", "b\xc3\xbc.example"};

static const struct policy submission = {TLS, .relay = RELAY_LOGIN, .max_errors = 20,
                                         .allow_commands = {verbs, 2}};
static const struct policy strict = {TLS, .relay = RELAY_LOGIN, .max_errors = 3};
static const struct policy mx = {TLS, .relay = RELAY_DOMAINS, .relay_domains = {names, 2}};
static const struct policy open = {TLS, .relay = RELAY_BACKEND, .max_errors = 20,
                                   .allow_commands = {verbs, 2}};

/* ---- relay = login ---- */

static void before_a_login_these_pass(void **state)
{
    static const struct turn row[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {CLIENT("NOOP\r\n"), TO_BACKEND("NOOP\r\n")},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {CLIENT("HELP\r\n"), TO_BACKEND("HELP\r\n")},
        {CLIENT("QUIT\r\n"), TO_BACKEND("QUIT\r\n")},
        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
    };
    PLAY_EACH(&submission, PLAY_FROM_GATE, row, 1);
}

static void before_a_login_these_do_not(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<a@b>\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("RCPT TO:<postmaster>\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("DATA\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("BDAT 6 LAST\r\nNOOP\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("BURL imap://a LAST\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("VRFY a\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("EXPN a\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("ETRN a\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("XSTATS\r\n"), TO_CLIENT(LOGIN)},
        {CLIENT("XCLIENT LOGIN=a\r\n"), TO_CLIENT("550 5.7.1 Not allowed\r\n"), NOTES(SPOOF)},
        {CLIENT("FOO\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("STARTTLS\r\n"), TO_CLIENT("503 5.5.1 TLS is already active\r\n")},
    };
    PLAY(&submission, PLAY_FROM_GATE, dialogue);
}

static void after_a_login_all_pass(void **state)
{
    static const struct turn beginning[] = {
        {CLIENT("AUTH PLAIN x\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n"), NOTES(AUTH_OK)},
    };
    static const struct turn ends[] = {
        {CLIENT("MAIL FROM:<a@b>\r\nRCPT TO:<c%d@e>\r\nDATA\r\n"),
         TO_BACKEND("MAIL FROM:<a@b>\r\nRCPT TO:<c%d@e>\r\nDATA\r\n")},
        {CLIENT("BURL imap://a LAST\r\n"), TO_BACKEND("BURL imap://a LAST\r\n")},
        {CLIENT("VRFY a\r\nEXPN a\r\n"), TO_BACKEND("VRFY a\r\nEXPN a\r\n")},
        {CLIENT("XSTATS\r\n"), TO_BACKEND("XSTATS\r\n")},
        {CLIENT("ETRN a\r\n"), TO_CLIENT(NOT_OURS)},
        {CLIENT("XCLIENT LOGIN=a\r\n"), TO_CLIENT("550 5.7.1 Not allowed\r\n"), NOTES(SPOOF)},
    };
    PLAY_ENDS(&submission, PLAY_FROM_GATE, beginning, ends);
}

static void a_failed_login_opens_nothing(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH PLAIN x\r\nMAIL FROM:<>\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("535 no\r\n"), TO_CLIENT("535 no\r\n" LOGIN), NOTES(AUTH_FAILED)},
        {CLIENT("AUTH PLAIN x\r\nMAIL FROM:<>\r\n"), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("454 later\r\n"), TO_CLIENT("454 later\r\n" LOGIN)},
        {CLIENT("EHLO a\r\nMAIL FROM:<>\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-235\r\n250 235 ok\r\n"), TO_CLIENT("250-235\r\n250 235 ok\r\n" LOGIN)},
        {CLIENT("NOOP\r\nMAIL FROM:<>\r\n"), TO_BACKEND("NOOP\r\n")},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n" LOGIN)},
    };
    PLAY(&submission, PLAY_FROM_GATE, dialogue);
}

/* MAIL counts; what a pipelining client sent behind it does not. */
static void strikes(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nBDAT 1\r\nx"),
         TO_CLIENT(LOGIN LOGIN LOGIN LOGIN LOGIN)},
        {CLIENT("RSET\r\n"), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"), TO_CLIENT(LOGIN LOGIN)},
        {CLIENT("MAIL FROM:<>\r\n"), TO_CLIENT(LOGIN ERRORS), CLOSES(ERRORS)},
    };
    static const struct turn without_mail[] = {
        {CLIENT("RCPT TO:<a@b>\r\nDATA\r\nVRFY a\r\n"), TO_CLIENT(LOGIN LOGIN LOGIN ERRORS),
         CLOSES(ERRORS)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
    PLAY(&strict, PLAY_FROM_GATE, without_mail);
}

static void a_refused_mail_binds_after_the_login_too(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT(
             "MAIL FROM:<>\r\nAUTH PLAIN x\r\nRCPT TO:<a@b>\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"),
         TO_CLIENT(LOGIN), TO_BACKEND("AUTH PLAIN x\r\n")},
        {BACKEND("235 ok\r\n"), TO_CLIENT("235 ok\r\n503 5.5.1 MAIL was refused\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"), NOTES(AUTH_OK)},
    };
    PLAY(&submission, PLAY_FROM_GATE, dialogue);
}

static void before_tls_tls_comes_first(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("AUTH PLAIN x\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
        {CLIENT("XSTATS\r\n"), TO_CLIENT(MUST), NOTES(TLS_NEEDED)},
    };
    PLAY(&submission, PLAY_FROM_GREETING, dialogue);
}

/* ---- a list of domains ---- */

static void recipients_of_ours_pass(void **state)
{
    static const struct turn row[] = {
        {CLIENT("RCPT TO:<a@example.org>\r\n"), TO_BACKEND("RCPT TO:<a@example.org>\r\n")},
        {CLIENT("rcpt to:<A.b+c@EXAMPLE.Org.>\n"), TO_BACKEND("rcpt to:<A.b+c@EXAMPLE.Org.>\r\n")},
        {CLIENT("RCPT TO:<a@example.org> NOTIFY=NEVER ORCPT=rfc822;b@c\r\n"),
         TO_BACKEND("RCPT TO:<a@example.org> NOTIFY=NEVER ORCPT=rfc822;b@c\r\n")},
        {CLIENT("RCPT TO:<a@b\xc3\xbc.example>\r\n"),
         TO_BACKEND("RCPT TO:<a@b\xc3\xbc.example>\r\n")},
        {CLIENT("RCPT TO:<postmaster>\r\n"), TO_BACKEND("RCPT TO:<postmaster>\r\n")},
        {CLIENT("RCPT TO:<PostMaster> NOTIFY=NEVER\r\n"),
         TO_BACKEND("RCPT TO:<PostMaster> NOTIFY=NEVER\r\n")},
    };
    PLAY_EACH(&mx, PLAY_FROM_GATE, row, 1);
}

/* A backend without SMTPUTF8 may strip the eighth bit: 0xa5 is `%` then, and 0xae a dot. */
static void eight_bits_need_smtputf8(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("RCPT TO:<a\xa5"
                "evil.example@example.org>\r\n"),
         TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<\xc3\xa4@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@example.org> X=\xbc"
                "b@evil.example\xbe\r\n"),
         TO_CLIENT(DENIED)},
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250 SMTPUTF8\r\n"), TO_CLIENT("250-x\r\n250 SMTPUTF8\r\n")},
        {CLIENT("RCPT TO:<\xc3\xa4@example.org>\r\n"),
         TO_BACKEND("RCPT TO:<\xc3\xa4@example.org>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        /* full-width and small `%` and `@` */
        {CLIENT("RCPT TO:<a\xef\xbc\x85"
                "b@example.org>\r\n"),
         TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a\xef\xbc\xa0"
                "b@example.org>\r\n"),
         TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a\xef\xb9\xaa"
                "b@example.org>\r\n"),
         TO_CLIENT(DENIED)},
        {CLIENT("HELO a\r\n"), TO_BACKEND("HELO a\r\n")},
        {BACKEND("250 x\r\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("RCPT TO:<\xc3\xa4@example.org>\r\n"), TO_CLIENT(DENIED)},
    };
    PLAY(&mx, PLAY_FROM_GATE, dialogue);
}

/* CVE-1999-0682 and its like: the address of somebody else, wrapped in one of ours. */
static void wrapped_addresses_are_no_recipients_of_ours(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("RCPT TO:<IMCEASMTP-a+40evil+2Eexample@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<imceaex-x@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:</S=a/PRMD=b@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<|a@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<-oQ@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a-b/c|d@example.org>\r\n"),
         TO_BACKEND("RCPT TO:<a-b/c|d@example.org>\r\n")},
    };
    PLAY(&mx, PLAY_FROM_GATE, dialogue);
}

static void others_do_not(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("RCPT TO:<a@example.com>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@sub.example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a%evil.example@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<evil.example!a@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@evil.example@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<\"a@evil.example\"@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<\"a\"@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<@example.org:a@evil.example>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<@evil.example:a@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@[192.0.2.1]>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@[IPv6:::1]>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@b\xc3\xbd.example>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@xn--b-xka.example>\r\n"), TO_CLIENT(DENIED)}, /* to be listed too */
        {CLIENT("RCPT TO:a@example.org\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO: <a@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@example.org> <a@evil.example>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@example.org>,<a@evil.example>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@example.org>\tNOTIFY=NEVER\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<a@example.org> X=<a@evil.example>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<postmaster@evil.example>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<@example.org>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<abuse>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("RCPT TO:<>\r\n"), TO_CLIENT(DENIED)},
        {CLIENT("VRFY a\r\n"), TO_BACKEND("VRFY a\r\n")},
    };
    PLAY(&mx, PLAY_FROM_GATE, dialogue);
}

static void without_a_list_nobody_is_served(void **state)
{
    static const struct policy empty = {TLS, .relay = RELAY_DOMAINS}, unset = {TLS};
    static const struct turn dialogue[] = {
        {CLIENT("RCPT TO:<a@example.org>\r\n"), TO_CLIENT(DENIED)},
    };
    PLAY(&empty, PLAY_FROM_GATE, dialogue);
    PLAY(&unset, PLAY_FROM_GATE, dialogue);
}

/* ---- ETRN, and verbs that the administrator lets pass ---- */

static void etrn_is_for_a_backend_that_decides(void **state)
{
    static const struct turn passes[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250 ETRN\r\n"), TO_CLIENT("250-x\r\n250 ETRN\r\n")},
        {CLIENT("ETRN example.org\r\n"), TO_BACKEND("ETRN example.org\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
    };
    static const struct turn does_not[] = {
        {CLIENT("EHLO a\r\n"), TO_BACKEND("EHLO a\r\n")},
        {BACKEND("250-x\r\n250 ETRN\r\n"), TO_CLIENT("250 x\r\n")},
        {CLIENT("ETRN example.org\r\n"), TO_CLIENT(NOT_OURS)},
    };
    PLAY(&open, PLAY_FROM_GATE, passes);
    PLAY(&mx, PLAY_FROM_GATE, does_not);
}

static void allowed_verbs_pass_as_plain_commands(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("XSTATS\r\nxstats all of it\nX-Other\r\nXSTATSX\r\nNOOP\r\n"),
         TO_BACKEND("XSTATS\r\nxstats all of it\r\nX-Other\r\n")},
        {BACKEND("250-a\r\n250 b\r\n250 c\r\n502 d\r\n"),
         TO_CLIENT("250-a\r\n250 b\r\n250 c\r\n502 d\r\n" UNKNOWN), TO_BACKEND("NOOP\r\n")},
        {BACKEND("250 e\r\n"), TO_CLIENT("250 e\r\n")},
        {CLIENT(" XSTATS\r\n"), TO_CLIENT(UNKNOWN)},
        {CLIENT("XSTATS a\rb\r\n"), TO_CLIENT("500 5.5.2 Control character inside a command\r\n")},
        {CLIENT("XSTATS\r\n"), TO_BACKEND("XSTATS\r\n")},
        {BACKEND("354 more\r\n"), TO_CLIENT("421 4.4.2 Mail server lost, try again later\r\n"),
         CLOSES(BACKEND_LOST), NOTES(BACKEND_REPLY)},
    };
    PLAY(&open, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_login_these_pass),
        cmocka_unit_test(before_a_login_these_do_not),
        cmocka_unit_test(after_a_login_all_pass),
        cmocka_unit_test(a_failed_login_opens_nothing),
        cmocka_unit_test(strikes),
        cmocka_unit_test(a_refused_mail_binds_after_the_login_too),
        cmocka_unit_test(before_tls_tls_comes_first),
        cmocka_unit_test(recipients_of_ours_pass),
        cmocka_unit_test(eight_bits_need_smtputf8),
        cmocka_unit_test(wrapped_addresses_are_no_recipients_of_ours),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(without_a_list_nobody_is_served),
        cmocka_unit_test(etrn_is_for_a_backend_that_decides),
        cmocka_unit_test(allowed_verbs_pass_as_plain_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
