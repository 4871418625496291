/* SPDX-License-Identifier: ISC */
/* A look at a backend, as scout and `check --backends` take it: dialogues, in pieces of every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/smtp_probe.h"

enum wish {
    HEALTH,
    LEARN,
    RELAY,
    RELAY_DOUBTED,
    HEALTH_TLS,
    LEARN_TLS,
    LEARN_NEEDS_TLS,
    AT_ONCE, /* in one text with STARTTLS, or behind its answer */
    BEHIND,
    LEARN_TELLS
};

/* Instead of what is heard: the handshake that was asked for is done. */
#define SHAKEN "(shaken)"

struct turn {
    const char *hears; /* from the backend */
    const char *says;  /* once it has heard all of that */
};

#define TURNS 24

struct row {
    enum wish wish;
    struct turn turn[TURNS];
    enum probe_state state; /* of the last turn */
    const char *why;        /* SICK */
    const char *learned;    /* NULL: not known */
    enum probe_relay relay;
    const char *answer; /* NULL: whatever */
    bool offers_tls;
    const char *clear;      /* what it announces before TLS; NULL: not known */
    const char *tls_answer; /* NULL: none */
    enum probe_farewell farewell;
    const char *farewell_answer; /* NULL: whatever */
};

#define EHLO    "EHLO mail.example\r\n"
#define HELO    "HELO mail.example\r\n"
#define NOBODY  "MAIL FROM:<>\r\n"
#define US      "MAIL FROM:<postmaster@mail.example>\r\n"
#define NAME    "RCPT TO:<starttlsd-check@example.com>\r\n"
#define LITERAL "RCPT TO:<starttlsd-check@[192.0.2.1]>\r\n"
#define RSET    "RSET\r\n"
#define QUIT    "QUIT\r\n"
#define START   "STARTTLS\r\n"
#define NOOP    "NOOP\r\n"

#define OFFERS_TLS "250-x\r\n250-SIZE 9\r\n250 STARTTLS\r\n"

static const struct row row[] = {
    /* Health alone: greeting, QUIT. */
    {HEALTH, {{"", ""}}, PROBE_GOING},
    {HEALTH, {{"220 x", ""}}, PROBE_GOING},
    {HEALTH, {{"220 x\r\n", QUIT}}, PROBE_HEALTHY},
    {HEALTH, {{"220\n", QUIT}}, PROBE_HEALTHY},
    {HEALTH, {{"220-a\r\n220-b\r\n220 c\r\n", QUIT}}, PROBE_HEALTHY},
    {HEALTH, {{"220-a\r\n", ""}}, PROBE_GOING},
    {HEALTH, {{"220 x\r\n", QUIT}, {"221-bye\r\n", ""}}, PROBE_GOING},
    {HEALTH,
     {{"220 x\r\n", QUIT}, {"221 bye\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .farewell_answer = "221 bye"},
    {HEALTH,
     {{"220 x\r\n", QUIT}, {"221-bye\r\n221 x\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD},
    {HEALTH,
     {{"220 x\r\n", QUIT}, {"221-bye\r\nwhat\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD},
    /* A header in front of all is no command to who knows it. */
    {HEALTH,
     {{"220 x\r\n", QUIT}, {"500-what?\r\n221 bye\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER},
    {HEALTH,
     {{"220 x\r\n", QUIT}, {"500 what?\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "500 what?"},
    {HEALTH, {{"220 x\r\n", QUIT}, {"\r\n", ""}}, PROBE_OVER, .farewell = PROBE_FAREWELL_OTHER},
    {HEALTH, {{"220-a\r\n221 b\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"250 x\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"421 x\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"554-x\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"* OK IMAP\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"+OK\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"220 a\rb\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},
    {HEALTH, {{"\r\n", ""}}, PROBE_SICK, "its greeting is no 220"},

    /* What it announces. */
    {LEARN,
     {{"220 x\r\n", EHLO}, {"250-me\r\n250-SIZE 1000\r\n250 DSN\r\n", QUIT}, {"221 x\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .learned = "SIZE 1000\nDSN\n"},
    {LEARN, {{"220 x\r\n", EHLO}, {"250 me\r\n", QUIT}}, PROBE_HEALTHY, .learned = ""},
    {LEARN, {{"220 x\r\n", EHLO}, {"250\r\n", QUIT}}, PROBE_HEALTHY, .learned = ""},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"250-me\n250-\n250-  A  B \n250-A\tC\n250-\xc3\xa4\n250 D\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "A  B\nD\n"},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"250-me\r\n250-AUTH=LOGIN PLAIN\r\n250 AUTH PLAIN\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "AUTH LOGIN PLAIN\n"},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"502-5.5.1 SIZE\r\n502 DSN\r\n", HELO}, {"250 me\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = ""},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"451 later\r\n", HELO}, {"250 me\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = NULL},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"550 bad name\r\n", HELO}, {"550 bad\1name\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = NULL,
     .answer = "550 bad?name"},
    {HEALTH_TLS,
     {{"220 x\r\n", EHLO}, {"421 4.3.2 busy\r\n", ""}},
     PROBE_SICK,
     "it says 421",
     .answer = "421 4.3.2 busy"},
    {LEARN, {{"220 x\r\n", EHLO}, {"421-busy\r\n", ""}}, PROBE_SICK, "it answers EHLO with 421"},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"550 x\r\n", HELO}, {"421 busy\r\n", ""}},
     PROBE_SICK,
     "it answers EHLO with 421"},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"250-a\r\n251 b\r\n", ""}},
     PROBE_SICK,
     "what it says is no reply"},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"250-a\r\nSIZE\r\n", ""}},
     PROBE_SICK,
     "what it says is no reply"},

    /* Through STARTTLS, and what it announces behind that. */
    {HEALTH_TLS, {{"220 x\r\n", EHLO}}, PROBE_GOING},
    {HEALTH_TLS,
     {{"220 x\r\n", EHLO},
      {OFFERS_TLS, START},
      {"220 go\r\n", ""},
      {SHAKEN, EHLO},
      {"250 x\r\n", QUIT},
      {"221 x\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "220 go",
     .offers_tls = true},
    {LEARN_TLS,
     {{"220 x\r\n", EHLO}, {OFFERS_TLS, START}, {"220-go\r\n220 go\r\n", ""}},
     PROBE_START_TLS,
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "220-go",
     .offers_tls = true},
    {LEARN_NEEDS_TLS,
     {{"220 x\r\n", EHLO},
      {OFFERS_TLS, START},
      {"220 go\r\n", ""},
      {SHAKEN, EHLO},
      {"250 x\r\n", EHLO},
      {"250-x\r\n250-DSN\r\n250 AUTH PLAIN\r\n", QUIT}},
     PROBE_HEALTHY,
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "220 go",
     .learned = "DSN\nAUTH PLAIN\n",
     .offers_tls = true},
    {LEARN_TLS,
     {{"220 x\r\n", EHLO},
      {OFFERS_TLS, START},
      {"220 go\r\n", ""},
      {SHAKEN, EHLO},
      {"421 not you\r\n", ""}},
     PROBE_SICK,
     "it says 421",
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "220 go",
     .offers_tls = true},
    {LEARN_NEEDS_TLS,
     {{"220 x\r\n", EHLO}, {"250-x\r\n250-AUTH=LOGIN\r\n250 DSN\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS",
     .clear = "AUTH LOGIN\nDSN\n"},
    {LEARN_NEEDS_TLS,
     {{"220 x\r\n", EHLO}, {"502-x\r\n502 DSN\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS",
     .clear = ""},
    {LEARN_NEEDS_TLS,
     {{"220 x\r\n", EHLO}, {"450-x\r\n450 DSN\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS"},
    {LEARN_NEEDS_TLS, {{"220 x\r\n", EHLO}, {"250-x\r\n250-DSN\r\n", ""}}, PROBE_GOING},
    {LEARN_NEEDS_TLS,
     {{"220 x\r\n", EHLO}, {"250-x\r\n250-DSN\r\nwhat\r\n", ""}},
     PROBE_SICK,
     "what it says is no reply"},
    {LEARN_NEEDS_TLS,
     {{"220 x\r\n", EHLO}, {OFFERS_TLS, START}, {"454 4.7.0 no\x1b\r\n", ""}},
     PROBE_SICK,
     "it refuses STARTTLS",
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "454 4.7.0 no?",
     .offers_tls = true},
    {LEARN_TLS,
     {{"220 x\r\n", EHLO},
      {OFFERS_TLS, START},
      {"454 no\r\n", EHLO},
      {"250-x\r\n250-SIZE 9\r\n250 AUTH PLAIN\r\n", QUIT}},
     PROBE_HEALTHY,
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "454 no",
     .learned = "SIZE 9\nAUTH PLAIN\n",
     .offers_tls = true},
    {LEARN_TLS,
     {{"220 x\r\n", EHLO}, {"500 x\r\n", EHLO}, {"500 x\r\n", HELO}, {"250 x\r\n", QUIT}},
     PROBE_HEALTHY,
     .clear = "",
     .learned = ""},
    {LEARN,
     {{"220 x\r\n", EHLO}, {OFFERS_TLS, QUIT}},
     PROBE_HEALTHY,
     .learned = "SIZE 9\nSTARTTLS\n",
     .offers_tls = true},

/* A command where an attacker's would stand: behind TLS nothing but the goodbye. */
#define TO_TLS(start, noop)                                                                        \
    {"220 x\r\n", EHLO}, {OFFERS_TLS, start}, {"220 go\r\n", noop},                                \
    {                                                                                              \
        SHAKEN, QUIT                                                                               \
    }
#define INJECTED .clear = "SIZE 9\nSTARTTLS\n", .tls_answer = "220 go", .offers_tls = true
    {AT_ONCE, {TO_TLS(START NOOP, "")}, PROBE_HEALTHY, INJECTED},
    {AT_ONCE,
     {TO_TLS(START NOOP, ""), {"221 bye\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_GOOD,
     .farewell_answer = "221 bye"},
    {AT_ONCE,
     {TO_TLS(START NOOP, ""), {"250-2.0.0 Ok\r\n250 Ok\r\n221 bye\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "250 Ok"},
    {BEHIND, {TO_TLS(START, NOOP)}, PROBE_HEALTHY, INJECTED},
    {BEHIND,
     {TO_TLS(START, NOOP), {"503 EHLO first\r\n221 bye\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER,
     .farewell_answer = "503 EHLO first"},
    {BEHIND, /* who knows what has been refused? */
     {TO_TLS(START, NOOP), {"421 go away\r\n", ""}},
     PROBE_GOING,
     INJECTED,
     .farewell_answer = "421 go away"},
    {BEHIND,
     {TO_TLS(START, NOOP), {"250 Ok\r\n", ""}, {"what\r\n", ""}},
     PROBE_OVER,
     INJECTED,
     .farewell = PROBE_FAREWELL_OTHER},
    {BEHIND, {TO_TLS(START, NOOP), {"what\r\n", ""}}, PROBE_OVER, INJECTED},
    {BEHIND, {TO_TLS(START, NOOP), {"250 Ok\r\n", ""}, {"22", ""}}, PROBE_GOING, INJECTED},
    {AT_ONCE,
     {{"220 x\r\n", EHLO}, {"250-x\r\n250 DSN\r\n", ""}},
     PROBE_SICK,
     "it does not announce STARTTLS",
     .clear = "DSN\n"},
    {AT_ONCE,
     {{"220 x\r\n", EHLO}, {OFFERS_TLS, START NOOP}, {"554 sync\r\n", ""}},
     PROBE_SICK,
     "it refuses STARTTLS",
     .clear = "SIZE 9\nSTARTTLS\n",
     .tls_answer = "554 sync",
     .offers_tls = true},

    /* Who wants to tell it of clients has to be let. */
    {LEARN_TELLS,
     {{"220 x\r\n", EHLO}, {"250-x\r\n250-XCLIENT PORT ADDR\r\n250 DSN\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "XCLIENT PORT ADDR\nDSN\n"},
    {LEARN_TELLS,
     {{"220 x\r\n", EHLO}, {"250-x\r\n250-XCLIENT PORT\r\n250 DSN\r\n", ""}},
     PROBE_SICK,
     "it does not announce XCLIENT with ADDR",
     .learned = "XCLIENT PORT\nDSN\n"},
    {LEARN_TELLS,
     {{"220 x\r\n", EHLO}, {"500 XCLIENT ADDR\r\n", ""}},
     PROBE_SICK,
     "it does not announce XCLIENT with ADDR",
     .learned = ""},
    {LEARN,
     {{"220 x\r\n", EHLO}, {"250-x\r\n250 XCLIENT PORT\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "XCLIENT PORT\n"},

    /* Would it relay? One clear word is enough. */
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250-x\r\n250 DSN\r\n", NOBODY},
      {"250 2.1.0 Ok\r\n", NAME},
      {"250 2.1.5 Ok\r\n", RSET},
      {"250 2.0.0 Ok\r\n", QUIT},
      {"221 x\r\n", ""}},
     PROBE_OVER,
     .farewell = PROBE_FAREWELL_GOOD,
     .learned = "DSN\n",
     .relay = PROBE_RELAY_ACCEPTED,
     .answer = "250 2.1.5 Ok"},
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 Ok\r\n", NAME},
      {"554 5.7.1 <starttlsd-check@example.com>: Relay access denied\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "554 5.7.1 <starttlsd-check@example.com>: Relay access denied"},
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"500 x\r\n", HELO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"550-no such thing\r\n550 we are not relaying.\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "550-no such thing"},
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"550-Relaying? no\r\n550 at all\r\n", RSET},
      {"250 Ok\r\n", NOBODY},
      {"250 x\r\n", LITERAL},
      {"550-we do not relay:\r\n550 at all\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "550-we do not relay:"},
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"530 log in first\r\n", RSET},
      {"421 bye\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "530 log in first"},

    /* A recipient that is looked up and not found says nothing, so it is asked another way. */
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"556 5.1.10 <starttlsd-check@example.com>: domain relay.example has null MX\r\n", RSET},
      {"250 Ok\r\n", NOBODY},
      {"250 Ok\r\n", LITERAL},
      {"250 Ok\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_ACCEPTED,
     .answer = "250 Ok"},
    /* Nor does one who wants no mail of nobody. */
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"550 a sender, please\r\n", NOBODY},
      {"550 a sender, please\r\n", US},
      {"250 x\r\n", NAME},
      {"251 x\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_ACCEPTED,
     .answer = "251 x"},
    /* Every attempt refused for good is an answer too; it must be every one. */
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"550 Invalid recipient\r\n", RSET},
      {"250 Ok\r\n", NOBODY},
      {"250 x\r\n", LITERAL},
      {"550 Invalid recipient\r\n", RSET},
      {"250 Ok\r\n", US},
      {"250 x\r\n", NAME},
      {"550 Invalid recipient\r\n", RSET},
      {"250 Ok\r\n", US},
      {"250 x\r\n", LITERAL},
      {"553 Invalid recipient\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "553 Invalid recipient"},
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"550 Unrouteable address\r\n", RSET},
      {"250 Ok\r\n", NOBODY},
      {"250 x\r\n", LITERAL},
      {"501 domain literals not allowed\r\n", RSET},
      {"250 Ok\r\n", US},
      {"250 x\r\n", NAME},
      {"550 Unrouteable address\r\n", RSET},
      {"250 Ok\r\n", US},
      {"250 x\r\n", LITERAL},
      {"501 domain literals not allowed\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_UNKNOWN,
     .answer = "501 domain literals not allowed"},
    {RELAY,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"421 4.7.0 enough\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_UNKNOWN,
     .answer = "421 4.7.0 enough"},
    {RELAY,
     {{"220 x\r\n", EHLO}, {"550 x\r\n", HELO}, {"550 y\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = NULL,
     .relay = PROBE_RELAY_UNKNOWN,
     .answer = "550 y"},

    /* However clear a refusal: another sender may be one that it takes. */
    {RELAY_DOUBTED,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"554 no relay\r\n", RSET},
      {"250 Ok\r\n", US},
      {"250 x\r\n", NAME},
      {"250 yours\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_ACCEPTED,
     .answer = "250 yours"},
    /* And it stays the answer if not. */
    {RELAY_DOUBTED,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"554 no relay\r\n", RSET},
      {"250 Ok\r\n", US},
      {"250 x\r\n", NAME},
      {"550 who?\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "554 no relay"},
    {RELAY_DOUBTED,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"250 x\r\n", NAME},
      {"554 no relay\r\n", RSET},
      {"421 4.7.0 enough\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "554 no relay"},
    {RELAY_DOUBTED,
     {{"220 x\r\n", EHLO},
      {"250 x\r\n", NOBODY},
      {"550 a sender, please\r\n", NOBODY},
      {"550 a sender, please\r\n", US},
      {"250 x\r\n", NAME},
      {"554 no relay\r\n", RSET},
      {"250 Ok\r\n", QUIT}},
     PROBE_HEALTHY,
     .learned = "",
     .relay = PROBE_RELAY_REFUSED,
     .answer = "554 no relay"},
};

/* A probe, and what it has not taken. */
struct look {
    struct probe probe;
    char window[PROBE_WINDOW];
    size_t len;
};

static void begin(struct look *l, enum wish wish)
{
    const struct probe_wish w = {
        .hostname = "mail.example",
        .learns = wish == LEARN || wish >= LEARN_TLS,
        .tries_relay = wish == RELAY || wish == RELAY_DOUBTED,
        .doubts_refusal = wish == RELAY_DOUBTED,
        .starts_tls = wish >= HEALTH_TLS && wish <= BEHIND,
        .tells_identity = wish == LEARN_TELLS,
        .needs_tls = wish == LEARN_NEEDS_TLS,
        .injection = wish == AT_ONCE  ? PROBE_INJECT_AT_ONCE
                     : wish == BEHIND ? PROBE_INJECT_BEHIND
                                      : PROBE_INJECT_NOTHING,
    };

    memset(l, 0xa5, sizeof *l);
    l->len = 0;
    smtp_probe_init(&l->probe, &w);
}

/* One step, its window of its exact size. `said`: and what it says is added. */
static struct probe_step step_once(struct look *l, char said[512])
{
    struct probe_step step;
    size_t before = strlen(said);
    char *exact = malloc(l->len);

    assert_true(exact != NULL || l->len == 0);
    if (l->len > 0)
        memcpy(exact, l->window, l->len);
    step = smtp_probe_step(&l->probe, (struct span){exact, l->len});
    free(exact);
    assert_true(step.take <= l->len);
    l->len -= step.take;
    memmove(l->window, l->window + step.take, l->len);
    assert_true(before + step.text.len < 512);
    if (step.text.len > 0)
        memcpy(said + before, step.text.data, step.text.len);
    said[before + step.text.len] = '\0';
    return step;
}

/* Give it `text` in pieces. `said`: all that it says on the way. */
static struct probe_step hear(struct look *l, const char *text, size_t piece, char said[512])
{
    struct probe_step step = {.state = PROBE_GOING};
    size_t given = 0, len = strlen(text);

    *said = '\0';
    if (strcmp(text, SHAKEN) == 0) {
        probe_secured(&l->probe);
        return step_once(l, said);
    }
    while (given < len && step.state != PROBE_SICK) {
        size_t n = piece < len - given ? piece : len - given;

        assert_true(n < PROBE_WINDOW - l->len); /* a look that does not decide has failed */
        memcpy(l->window + l->len, text + given, n);
        l->len += n;
        given += n;
        step = step_once(l, said);
    }
    return step;
}

static void play(const struct row *r, size_t piece)
{
    struct look l;
    struct probe *p = &l.probe;
    struct probe_step step = {.state = PROBE_GOING};
    char said[512];

    begin(&l, r->wish);
    for (size_t i = 0; i < TURNS && r->turn[i].hears != NULL; i++) {
        step = hear(&l, r->turn[i].hears, piece, said);
        assert_string_equal(said, r->turn[i].says);
    }
    assert_int_equal(step.state, r->state);
    if (strcmp(r->turn[0].hears, "220 x\r\n") == 0)
        assert_string_equal(p->greeting, "220 x");
    if (r->state == PROBE_SICK)
        assert_string_equal(step.why, r->why);
    else
        assert_int_equal(p->learned.is_known, r->learned != NULL);
    if (r->learned != NULL) {
        assert_int_equal(p->learned.len, strlen(r->learned));
        assert_memory_equal(p->learned.text, r->learned, p->learned.len);
    }
    assert_int_equal(p->clear.is_known, r->clear != NULL);
    assert_int_equal(p->clear.len, r->clear == NULL ? 0 : strlen(r->clear));
    assert_memory_equal(p->clear.text, r->clear == NULL ? "" : r->clear, p->clear.len);
    assert_string_equal(p->tls_answer, r->tls_answer == NULL ? "" : r->tls_answer);
    assert_int_equal(p->farewell, r->farewell);
    if (r->farewell_answer != NULL)
        assert_string_equal(p->farewell_answer, r->farewell_answer);
    assert_false(p->is_injecting);
    assert_int_equal(p->relay, r->relay);
    assert_int_equal(p->offers_tls, r->offers_tls);
    if (r->answer != NULL)
        assert_string_equal(p->answer, r->answer);
}

static void every_dialogue_comes_to_its_end(void **state)
{
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t piece = 1; piece <= 80; piece++)
            play(&row[i], piece);
}

static void who_talks_before_it_is_asked_is_sick(void **state)
{
    static const char *const early[] = {"220 x\r\n250 y\r\n", "220 x\r\n\r\n", "220 x\r\n2"};
    char said[512];
    struct look l;

    for (size_t i = 0; i < 3; i++) {
        begin(&l, HEALTH);
        assert_int_equal(hear(&l, early[i], 100, said).state, PROBE_SICK);
    }
    begin(&l, LEARN);
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
    assert_int_equal(hear(&l, "250 x\r\n250 y\r\n", 100, said).state, PROBE_SICK);
}

/* Whoever answers at all is told from other protocols. */
static void a_greeting_is_one_though_it_turns_away(void **state)
{
    static const struct {
        const char *hears;
        bool has_greeted;
    } greeting[] = {
        {"220 x\r\n", true},  {"220-x\r\n", true},   {"554 x\r\n", true},
        {"554-x\r\n", true},  {"554", false},        {"", false},
        {"+OK x\r\n", false}, {"* OK x\r\n", false}, {"HTTP/1.1 400 Bad Request\r\n", false}};

    for (size_t i = 0; i < sizeof greeting / sizeof *greeting; i++) {
        const struct probe_wish wish = {.hostname = "mail.example"};
        struct probe p;

        smtp_probe_init(&p, &wish);
        assert_true(smtp_probe_step(&p, span_of(greeting[i].hears)).state <= PROBE_SICK);
        assert_int_equal(p.has_greeted, greeting[i].has_greeted);
    }
}

static void what_comes_with_the_greeting_answers_a_header(void **state)
{
    static const struct {
        const char *hears;
        enum probe_farewell farewell;
        const char *answer;
    } greeting[] = {
        {"220-x\r\n220 x\r\n502 what?\r\n221 bye\r\n", PROBE_FAREWELL_OTHER, "502 what?"},
        {"554 x\r\n221 y\r\n", PROBE_FAREWELL_NONE, ""},
        {"220-x\r\n221 y\r\n", PROBE_FAREWELL_NONE, ""},
    };
    char said[512];
    struct look l;

    for (size_t i = 0; i < 3; i++) {
        begin(&l, HEALTH);
        assert_int_equal(hear(&l, greeting[i].hears, 100, said).state, PROBE_SICK);
        assert_int_equal(l.probe.farewell, greeting[i].farewell);
        assert_string_equal(l.probe.farewell_answer, greeting[i].answer);
    }
    begin(&l, LEARN_TLS); /* and later it is something else */
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
    assert_int_equal(hear(&l, "220 x\r\n220 y\r\n", 100, said).state, PROBE_SICK);
    assert_int_equal(l.probe.farewell, PROBE_FAREWELL_NONE);
}

static void who_talks_behind_its_go_ahead_is_injecting(void **state)
{
    static const enum wish wish[] = {LEARN_TLS, AT_ONCE};
    char said[512];
    struct look l;

    for (size_t i = 0; i < 2; i++) {
        begin(&l, wish[i]);
        assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
        assert_int_equal(hear(&l, OFFERS_TLS, 100, said).state, PROBE_GOING);
        assert_false(l.probe.is_injecting);
        assert_int_equal(hear(&l, "220 go\r\n250 Ok\r\n", 100, said).state, PROBE_SICK);
        assert_true(l.probe.is_injecting);
        assert_string_equal(l.probe.tls_answer, "220 go");
        begin(&l, wish[i]); /* a refusal is none */
        assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
        assert_int_equal(hear(&l, OFFERS_TLS, 100, said).state, PROBE_GOING);
        assert_int_equal(hear(&l, "454 no\r\n250 Ok\r\n", 100, said).state, PROBE_SICK);
        assert_false(l.probe.is_injecting);
    }
}

/* Nothing after the QUIT is of interest. */
static void chatter_behind_the_goodbye_does_no_harm(void **state)
{
    char said[512];
    struct look l;

    begin(&l, HEALTH);
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_HEALTHY);
    assert_int_equal(hear(&l, "221 x\r\n221 y\r\n", 100, said).state, PROBE_OVER);
}

/* Nor is there an end of it to be waited for. */
static void a_goodbye_without_an_end_is_ended(void **state)
{
    char said[512];
    struct look l;
    struct probe_step step = {.state = PROBE_GOING};
    size_t total = 0;

    begin(&l, HEALTH);
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_HEALTHY);
    for (; step.state == PROBE_GOING; total += 8) {
        assert_true(total <= WINDOW_MAX);
        step = hear(&l, "221-by\r\n", 100, said);
    }
    assert_int_equal(step.state, PROBE_OVER);
    assert_int_equal(l.probe.farewell, PROBE_FAREWELL_GOOD);
}

static void a_reply_without_an_end_is_ended(void **state)
{
    char line[1024], said[512];
    struct look l;
    struct probe_step step = {.state = PROBE_GOING};
    size_t total = 0;

    memset(line, 'X', sizeof line);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    begin(&l, LEARN);
    memcpy(line, "220-", 4);
    for (int i = 0; i < 7; i++)
        assert_int_equal(hear(&l, line, 4096, said).state, PROBE_GOING);
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
    memcpy(line, "250-", 4);
    for (int i = 0; i < 10; i++) /* each reply has its own measure */
        assert_int_equal(hear(&l, line, 4096, said).state, PROBE_GOING);
    while (step.state == PROBE_GOING) {
        step = hear(&l, line, 4096, said);
        total += strlen(line);
        assert_true(total < 64 * 1024);
    }
    assert_int_equal(step.state, PROBE_SICK);
    assert_string_equal(step.why, "its reply has no end");
}

static void a_line_without_an_end_is_ended(void **state)
{
    static char line[6000];
    char said[512];
    struct look l;
    struct probe_step step;

    memset(line, 'X', sizeof line - 1);
    memcpy(line, "250-", 4);
    begin(&l, LEARN);
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
    step = hear(&l, line, 100, said);
    assert_int_equal(step.state, PROBE_SICK);
    assert_string_equal(step.why, "what it says is no reply");
}

static void the_longest_names_fit(void **state)
{
    char host[400], said[512];
    struct look l;

    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    begin(&l, RELAY);
    smtp_probe_init(&l.probe, &(struct probe_wish){.hostname = host, .tries_relay = true});
    assert_int_equal(hear(&l, "220 x\r\n", 100, said).state, PROBE_GOING);
    assert_int_equal(strlen(said), 5 + 255 + 2);
    hear(&l, "250 x\r\n", 100, said);
    hear(&l, "550 x\r\n", 100, said);
    hear(&l, "550 x\r\n", 100, said);
    assert_int_equal(strlen(said), strlen("MAIL FROM:<postmaster@>\r\n") + 255);
}

static void texts_for_people_are_cut_and_printable(void **state)
{
    char line[300], said[512];
    struct look l;

    memset(line, '\x1b', sizeof line);
    memcpy(line, "220 ", 4);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    begin(&l, HEALTH);
    assert_int_equal(hear(&l, line, 300, said).state, PROBE_HEALTHY);
    assert_int_equal(strlen(l.probe.greeting), PROBE_TEXT - 1);
    assert_memory_equal(l.probe.greeting, "220 ????", 8);
    begin(&l, HEALTH);
    assert_int_equal(hear(&l, "SSH-2.0-x\x1b\r\nmore", 1, said).state, PROBE_SICK);
    assert_string_equal(l.probe.greeting, "SSH-2.0-x?");
    begin(&l, HEALTH);
    assert_int_equal(hear(&l, "554 no\r\n", 1, said).state, PROBE_SICK);
    assert_string_equal(l.probe.greeting, "554 no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dialogue_comes_to_its_end),
        cmocka_unit_test(who_talks_before_it_is_asked_is_sick),
        cmocka_unit_test(a_greeting_is_one_though_it_turns_away),
        cmocka_unit_test(what_comes_with_the_greeting_answers_a_header),
        cmocka_unit_test(who_talks_behind_its_go_ahead_is_injecting),
        cmocka_unit_test(chatter_behind_the_goodbye_does_no_harm),
        cmocka_unit_test(a_goodbye_without_an_end_is_ended),
        cmocka_unit_test(a_reply_without_an_end_is_ended),
        cmocka_unit_test(a_line_without_an_end_is_ended),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(texts_for_people_are_cut_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
