/* SPDX-License-Identifier: ISC */
/* MAIL and RCPT on their way through the gate: AUTH parameters, refusals and what follows from
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/play.h"

static const struct policy policy = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 20};

#define NOT_NOW "502 5.5.1 Command not implemented\r\n"
#define ERRORS  "421 4.7.0 Too many errors\r\n"
static const struct policy strict = {
    .is_enforced = true, .hostname = "mx.example", .relay = RELAY_BACKEND, .max_errors = 3};
static const char *const domains[] = {"example.org", "example.net"};
static const struct policy mx = {.is_enforced = true,
                                 .hostname = "mx.example",
                                 .relay = RELAY_DOMAINS,
                                 .relay_domains = {domains, 2},
                                 .max_errors = 3};

#define BAD_MAIL "501 5.5.4 Syntax error in MAIL\r\n"
#define NO_MAIL  "503 5.5.1 MAIL was refused\r\n"
#define DENIED   "554 5.7.1 Relay access denied\r\n"

static void auth_parameter_is_dropped(void **state)
{
    static const struct turn row[] = {
        {CLIENT("MAIL FROM:<a@b> AUTH=<>\r\nRSET\n"), TO_BACKEND("MAIL FROM:<a@b>\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> AUTH=<>  \r\nRSET\n"), TO_BACKEND("MAIL FROM:<a@b>\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> auth=c@d SIZE=10\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> SIZE=10\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> SIZE=10 Auth=c@d\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> SIZE=10\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> SIZE=10 AUTH=c@d BODY=8BITMIME\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> AUTH=1 AUTH=2\tAUTH=3 SIZE=1 AUTH=4 BODY=7BIT AUTH=5\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> SIZE=1 BODY=7BIT\r\nRSET\r\n")},
        {CLIENT("MAIL FROM: <a@b>\tAUTH=x\r\nRSET\n"), TO_BACKEND("MAIL FROM: <a@b>\r\nRSET\r\n")},
        {CLIENT("mail from:<> \t AUTH=x\r\nRSET\n"), TO_BACKEND("mail from:<>\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> XAUTH=1\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> XAUTH=1\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> X-AUTH=1 AUTH=2\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> X-AUTH=1\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<bounce+auth=x@b> AUTH=2 SIZE=1\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<bounce+auth=x@b> SIZE=1\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<auth=x@b>\r\nRSET\n"), TO_BACKEND("MAIL FROM:<auth=x@b>\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<\"a b\"@c> AUTH=<>\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<\"a b\"@c>\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<\"a\\\"> b\"@c> AUTH=<>\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<\"a\\\"> b\"@c>\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> AUTH\r\nRSET\n"), TO_BACKEND("MAIL FROM:<a@b> AUTH\r\nRSET\r\n")},
        {CLIENT("MAIL FROM:<a@b> ENVID=AUTH+3D\r\nRSET\n"),
         TO_BACKEND("MAIL FROM:<a@b> ENVID=AUTH+3D\r\nRSET\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void auth_parameter_is_dropped_lf(void **state)
{
    static const struct turn row[] = {
        {CLIENT("MAIL FROM:<a@b> AUTH=<>\n"), TO_BACKEND("MAIL FROM:<a@b>\r\n")},
        {CLIENT("MAIL FROM:<a@b> AUTH=<>  \n"), TO_BACKEND("MAIL FROM:<a@b>\r\n")},
        {CLIENT("MAIL FROM:<a@b> auth=c@d SIZE=10\n"), TO_BACKEND("MAIL FROM:<a@b> SIZE=10\r\n")},
        {CLIENT("MAIL FROM:<a@b> SIZE=10 Auth=c@d\n"), TO_BACKEND("MAIL FROM:<a@b> SIZE=10\r\n")},
        {CLIENT("MAIL FROM:<a@b> SIZE=10 AUTH=c@d BODY=8BITMIME\n"),
         TO_BACKEND("MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME\r\n")},
        {CLIENT("MAIL FROM:<a@b> AUTH=1 AUTH=2\tAUTH=3 SIZE=1 AUTH=4 BODY=7BIT AUTH=5\n"),
         TO_BACKEND("MAIL FROM:<a@b> SIZE=1 BODY=7BIT\r\n")},
        {CLIENT("MAIL FROM: <a@b>\tAUTH=x\n"), TO_BACKEND("MAIL FROM: <a@b>\r\n")},
        {CLIENT("mail from:<> \t AUTH=x\n"), TO_BACKEND("mail from:<>\r\n")},
        {CLIENT("MAIL FROM:<a@b> XAUTH=1\n"), TO_BACKEND("MAIL FROM:<a@b> XAUTH=1\r\n")},
        {CLIENT("MAIL FROM:<a@b> X-AUTH=1 AUTH=2\n"), TO_BACKEND("MAIL FROM:<a@b> X-AUTH=1\r\n")},
        {CLIENT("MAIL FROM:<bounce+auth=x@b> AUTH=2 SIZE=1\n"),
         TO_BACKEND("MAIL FROM:<bounce+auth=x@b> SIZE=1\r\n")},
        {CLIENT("MAIL FROM:<auth=x@b>\n"), TO_BACKEND("MAIL FROM:<auth=x@b>\r\n")},
        {CLIENT("MAIL FROM:<\"a b\"@c> AUTH=<>\n"), TO_BACKEND("MAIL FROM:<\"a b\"@c>\r\n")},
        {CLIENT("MAIL FROM:<\"a\\\"> b\"@c> AUTH=<>\n"),
         TO_BACKEND("MAIL FROM:<\"a\\\"> b\"@c>\r\n")},
        {CLIENT("MAIL FROM:<a@b> AUTH\n"), TO_BACKEND("MAIL FROM:<a@b> AUTH\r\n")},
        {CLIENT("MAIL FROM:<a@b> ENVID=AUTH+3D\n"),
         TO_BACKEND("MAIL FROM:<a@b> ENVID=AUTH+3D\r\n")},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

static void auth_that_only_some_see_is_refused(void **state)
{
    static const struct turn row[] = {
        {CLIENT("MAIL FROM:<\"x> AUTH=<\"@d>\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<\"x AUTH=y\"@d>\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b>AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> SIZE=1:AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> SIZE=1\"AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> (x)AUTH=y\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:a@b AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL <a@b> AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<\"a\\\"> AUTH=x \"@b>\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> <AUTH=x>\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL  FROM:<a@b> AUTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<\"a>\" AUTH=x>\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> AUTH =<x>\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> AUTH\xa0=<x>\r\n"), TO_CLIENT(BAD_MAIL)}, /* in seven bits */
        {CLIENT("MAIL FROM:<a@b> AUTH \xbdx\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b>\xa0\xc1UTH=x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> SIZE=1 auth \t= x\r\n"), TO_CLIENT(BAD_MAIL)},
        {CLIENT("MAIL FROM:<a@b> AUTH=y AUTH =x\r\n"), TO_CLIENT(BAD_MAIL)},
    };
    PLAY_EACH(&policy, PLAY_FROM_GATE, row, 1);
}

/* Exim's PRDR and others: a command would have more replies than one. */
static void extensions_that_change_replies_do_not_pass(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<a@b> PRDR\r\n"), TO_CLIENT("555 5.5.4 Parameter not available\r\n")},
        {CLIENT("MAIL FROM:<a@b> SIZE=1\tprdr\r\n"),
         TO_CLIENT("555 5.5.4 Parameter not available\r\n")},
        {CLIENT("MAIL FROM:<a@b> EXDATA\r\n"), TO_CLIENT("555 5.5.4 Parameter not available\r\n")},
        {CLIENT("MAIL FROM:<a@b> TRANSID=<1>\r\n"),
         TO_CLIENT("555 5.5.4 Parameter not available\r\n")},
        {CLIENT("MAIL FROM:<prdr@b>\r\n"), TO_BACKEND("MAIL FROM:<prdr@b>\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void what_follows_a_refused_mail_is_refused(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<a@b>\r\n"), TO_BACKEND("MAIL FROM:<a@b>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n"), NOTES(ADMITTED)},
        {CLIENT("MAIL AUTH=x\r\nRCPT TO:<a@b>\r\nDATA\r\n"), TO_CLIENT(BAD_MAIL NO_MAIL NO_MAIL)},
        {CLIENT("BDAT 1\r\nxRSET\r\n"), TO_CLIENT(NO_MAIL), TO_BACKEND("RSET\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n")},
        {CLIENT("RCPT TO:<a@b>\r\n"), TO_CLIENT(NO_MAIL)},
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")},
    };
    PLAY(&policy, PLAY_FROM_GATE, dialogue);
}

static void a_refusal_that_follows_is_no_strike(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL AUTH=x\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n"),
         TO_CLIENT(BAD_MAIL NO_MAIL NO_MAIL NO_MAIL NO_MAIL)},
    };
    PLAY(&strict, PLAY_FROM_GATE, dialogue);
}

static void denied_recipients_count_once_a_transaction(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("RCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\n"),
         TO_CLIENT(DENIED DENIED DENIED DENIED)},
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\n"), TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DENIED), NOTES(ADMITTED)},
        {CLIENT("RCPT TO:<a@x>\r\nMAIL FROM:<>\r\nRCPT TO:<b@x>\r\n"), TO_CLIENT(DENIED),
         TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DENIED ERRORS), CLOSES(ERRORS),
         NOTES(ADMITTED)},
    };
    PLAY(&mx, PLAY_FROM_GATE, dialogue);
}

static void denied_and_allowed_recipients_mix(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n"),
         TO_BACKEND("MAIL FROM:<>\r\n")},
        {BACKEND("250 a\r\n"), TO_CLIENT("250 a\r\n" DENIED),
         TO_BACKEND("RCPT TO:<a@example.org>\r\nDATA\r\n"), NOTES(ADMITTED)},
    };
    PLAY(&mx, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_parameter_is_dropped),
        cmocka_unit_test(auth_parameter_is_dropped_lf),
        cmocka_unit_test(auth_that_only_some_see_is_refused),
        cmocka_unit_test(extensions_that_change_replies_do_not_pass),
        cmocka_unit_test(what_follows_a_refused_mail_is_refused),
        cmocka_unit_test(a_refusal_that_follows_is_no_strike),
        cmocka_unit_test(denied_recipients_count_once_a_transaction),
        cmocka_unit_test(denied_and_allowed_recipients_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
