/* SPDX-License-Identifier: ISC */
/* What the files of the IMAP module share: one session's state up to its login, and the ways in
 * which it speaks for itself. Nobody outside imap_*.c includes this. */
#ifndef STARTTLSD_IMAP_MACHINE_H
#define STARTTLSD_IMAP_MACHINE_H

#include "protocols/approach.h"
#include "protocols/imap_command.h"
#include "protocols/imap_response.h"
#include "protocols/line.h"
#include "protocols/protocol.h"
#include "protocols/server.h"

/* Lines of a backend that answer no command, one behind the other: without end they would keep a
 * session for ever. */
#define IMAP_LINES_MAX 1000

/* Octets of a literal from a backend before login; only ID has any in practice. */
#define IMAP_ANSWER_LITERAL_MAX ((uint32_t)64 * 1024)

/*
 * PREAMBLE ──STARTTLS──▶ (a blank machine) CONNECTING ──OK──▶ GATE ──login──▶ (the tunnel)
 *     │                                     ▲  │  ▲           │
 *     └──policy = opportunistic: LOGIN──────┘  └──┘           └──STARTTLS──▶ (a blank machine)
 *                                         the next backend
 */
enum imap_phase {
    IMAP_PREAMBLE,   /* no backend: we speak alone */
    IMAP_CONNECTING, /* the client waits for a backend that will have it */
    IMAP_GATE,       /* commands and answers pass */
};

/* Who is to speak. */
enum imap_turn {
    IMAP_TURN_COMMAND,       /* nothing is outstanding: the client, a command */
    IMAP_TURN_LONG_LINE,     /* likewise, the rest of one beyond the limit */
    IMAP_TURN_ANSWER,        /* the backend: it has all of the command */
    IMAP_TURN_GO_AHEAD,      /* the backend: `+`, before it gets the next part */
    IMAP_TURN_PART,          /* we, the next part of the command */
    IMAP_TURN_RESPONSE,      /* the client, a line of a SASL exchange */
    IMAP_TURN_LONG_RESPONSE, /* likewise, the rest of one beyond the limit */
};

/* How far what the backend says has come. */
enum imap_output {
    IMAP_OUTPUT_LINES,   /* between two lines */
    IMAP_OUTPUT_LITERAL, /* in a literal */
    IMAP_OUTPUT_REST,    /* behind one: the line goes on */
};

struct imap_server {
    struct server base;
    enum imap_phase phase;
    enum imap_turn turn;
    struct approach approach; /* to the backend; over in the gate */

    unsigned invited;    /* literals of the command in the window that were asked for */
    size_t frame_len;    /* octets of the outstanding command that are still in the window */
    size_t answered;     /* octets at the front of the window that are over and done */
    unsigned part;       /* of the outstanding command: to be sent next */
    enum imap_verb verb; /* of the command that is outstanding, or too long */
    size_t tag_len;      /* its tag; 0: no valid one */
    char tag[IMAP_TAG_MAX];
    bool has_credentials; /* of the login under way: something was sent */
    bool is_cancelled;    /* and then taken back */

    bool has_initial; /* of the outstanding command: the backend knew SASL-IR when it began */

    enum imap_output output;
    uint32_t literal_left;
    unsigned lines;       /* of the backend, since its last answer to a command */
    bool knows_initial;   /* it has announced SASL-IR */
    bool is_bye;          /* it has said goodbye */
    bool is_backend_left; /* STARTTLS: it has been said goodbye to */
};

/* An error reply of ours; all are strikes. */
struct imap_refusal {
    struct span text; /* behind the tag */
    enum note note;
};

extern const struct imap_refusal imap_syntax, imap_too_long;

/* What a client hears last when it has made one mistake too many. */
extern const struct span imap_many_errors;

/* No answer is owed to the client, and none has been begun. */
bool imap_is_quiet(const struct imap_server *s);

/* The next octets are the client's, and they are a line of a login. */
bool imap_is_clients_turn(const struct imap_server *s);

/* And no command of its own has been begun with our help either: a goodbye loses nothing. */
bool imap_is_at_rest(const struct imap_server *s);

/* End the session now: `text` if the client can read it as a response. take: all of the window. */
struct verdict imap_end(const struct imap_server *s, enum end end, struct span text, size_t take);

/* The same for a violation of the client's. */
struct verdict imap_attack(const struct imap_server *s, struct span window, enum note note,
                           struct span text);

/* The same when the backend is gone; and when it says what no server may say here. */
struct verdict imap_lost(const struct imap_server *s, size_t take);
struct verdict imap_violation(const struct imap_server *s, struct span window);

/* Refuse what `take` covers. tag: empty: there is no valid one */
MUST_CHECK struct verdict imap_refuse(struct imap_server *s, size_t take, struct span tag,
                                      const struct imap_refusal *r);

/* A backend owes the answer to this command from now on. */
void imap_expect(struct imap_server *s, const struct imap_command *command);

/* ---- imap_preamble.c ---- */

/* Our greeting, before any backend; and instead of a backend's, whose capabilities the client has to
 * ask for. */
struct verdict imap_preamble_greet(const struct imap_server *s);
struct verdict imap_greet(const struct imap_server *s, size_t take);

/* A command that has been judged and is whole, at the front of the window. */
MUST_CHECK struct verdict imap_preamble_run(struct imap_server *s,
                                            const struct imap_command *command, size_t take);

/* ---- imap_gate.c: what a client says, before TLS too ---- */

MUST_CHECK struct verdict imap_client_step(struct imap_server *s, struct span window);

/* ---- imap_pass.c: commands on their way to a backend ---- */

/* A command that has been judged and is whole, at the front of the window. */
MUST_CHECK struct verdict imap_pass(struct imap_server *s, const struct imap_command *command,
                                    size_t take);

/* Its next part, when the backend has asked for it. */
MUST_CHECK struct verdict imap_pass_on(struct imap_server *s, struct span window);

/* ---- imap_auth.c: logins ---- */

/* Why this LOGIN or AUTHENTICATE must not pass, as far as it can be seen; NULL: it may. */
const struct imap_refusal *imap_auth_judge(const struct imap_server *s,
                                           const struct imap_command *command);

/* A line of an exchange: passed on, or cancelled in the client's name. */
MUST_CHECK struct verdict imap_auth_response(struct imap_server *s, struct span window);
MUST_CHECK struct verdict imap_auth_skip(struct imap_server *s, struct span window);

/* The backend has refused the login that is outstanding. */
enum note imap_auth_refused(struct imap_server *s, const struct imap_response *answer);

/* ---- imap_answer.c: what a backend says ---- */

MUST_CHECK struct verdict imap_connect_step(struct imap_server *s, struct span window);
MUST_CHECK struct verdict imap_answer_step(struct imap_server *s, struct span window);

#endif
