/* SPDX-License-Identifier: ISC */
/* What the files of the POP3 module share: one session's state, and the ways in which it speaks for
 * itself. Nobody outside pop3_*.c includes this. */
#ifndef STARTTLSD_POP3_MACHINE_H
#define STARTTLSD_POP3_MACHINE_H

#include "protocols/approach.h"
#include "protocols/line.h"
#include "protocols/pop3_verb.h"
#include "protocols/protocol.h"
#include "protocols/server.h"

#define POP3_OUTSTANDING_MAX 100

/*
 * PREAMBLE ──STLS──▶ (a blank machine) CONNECTING ──+OK──▶ GATE ──+OK to a login──▶ the tunnel
 *     │                                  ▲  │ ▲               │
 *     └──policy = opportunistic: UTF8────┘  └─┘ the next      └──STLS──▶ (a blank machine)
 *                                               backend
 */
enum pop3_phase {
    POP3_PREAMBLE,   /* no backend: we speak alone */
    POP3_CONNECTING, /* the client waits for a backend that will have it */
    POP3_GATE,       /* commands and replies pass, until a login succeeds */
};

/* What the client's next octets are. */
enum pop3_input {
    INPUT_COMMAND,
    INPUT_LONG_LINE,     /* the rest of a line beyond the limit */
    INPUT_RESPONSE,      /* a line of a SASL exchange */
    INPUT_LONG_RESPONSE, /* the rest of one beyond the limit */
};

/* What the next reply answers. Behind those that block the client, nothing is passed on before
 * their reply is there. */
enum pop3_pending {
    PENDING_LINE,
    PENDING_CAPA,       /* a list, if it is good */
    PENDING_LIST,       /* likewise: LANG without argument */
    PENDING_MECHANISMS, /* blocks; likewise: AUTH without argument */
    PENDING_LOGIN,      /* blocks: the tunnel may follow */
    PENDING_AUTH,       /* blocks: a SASL exchange, and then the tunnel */
    PENDING_CANCELLED,  /* blocks: such an exchange, which can but fail any more */
    PENDING_QUIT,       /* blocks: nothing may follow */
};

/* An error reply of ours, and a strike. */
struct pop3_refusal {
    struct span text;
    enum note note;
};

struct pop3_server {
    struct server base;
    enum pop3_phase phase;
    enum pop3_input input;
    struct approach approach;           /* to the backend; over in the gate */
    const struct pop3_refusal *refusal; /* of the long line, when all of it has been read */

    bool has_timestamp;   /* the client has the backend's own greeting, so APOP may work */
    bool has_credentials; /* of the SASL exchange under way: something was sent */
    bool is_backend_left; /* STLS: it has been said goodbye to */

    unsigned first, pending_count; /* of the ring */
    unsigned char pending[POP3_OUTSTANDING_MAX];
};

/* No reply is owed to the client: one of our own is in order. Replies pass whole, so none is ever
 * half said. */
bool pop3_is_quiet(const struct pop3_server *p);

/* The next octets are the client's, and they are no command but a line of a login. */
bool pop3_is_clients_turn(const struct pop3_server *p);

/* The next reply answers this; the caller has made sure that there is room. */
void pop3_expect(struct pop3_server *p, enum pop3_pending what);

/* End the session now: the backend is gone, or says what no server may say here. take: all of the
 * window that the step was called with. */
struct verdict pop3_lost(size_t take);
struct verdict pop3_violation(struct span window);

/* The client has made a mistake; one too many ends the session. */
void pop3_strike(struct pop3_server *p);

/* Refuse what `take` covers. HOLD, and nothing has happened, while earlier replies are owed. */
MUST_CHECK struct verdict pop3_refuse(struct pop3_server *p, size_t take,
                                      const struct pop3_refusal *r);

/* A line that is refused whatever it says, at the front of the window: its end is not among the
 * octets that a line may have. And its rest, which goes nowhere. */
MUST_CHECK struct verdict pop3_long_line(struct pop3_server *p, struct span window);
MUST_CHECK struct verdict pop3_skip_line(struct pop3_server *p, struct span window);

/* One with control characters inside. */
MUST_CHECK struct verdict pop3_dirty_line(struct pop3_server *p, struct span window,
                                          const struct line *line);

/* HTTP ends the session without a word, since such a peer understands none. */
struct verdict pop3_http(struct span window);

extern const struct pop3_refusal pop3_unknown, pop3_spoof, pop3_too_long, pop3_syntax;

/* Our own greeting: `+OK ` and what the administrator wrote, or the host's name. It never looks as
 * if it had a timestamp (RFC 1939, section 7): that would be the backend's to say. */
struct span pop3_greeting(const struct pop3_server *p);

/* ---- pop3_preamble.c ---- */

/* A command that the gate's rules let pass, when there is no backend: answered alone, or one is
 * wanted for it. */
MUST_CHECK struct verdict pop3_preamble_run(struct pop3_server *p, struct span window,
                                            const struct line *line,
                                            const struct pop3_command *command);

/* STLS outside TLS, its line at the front of the window. */
MUST_CHECK struct verdict pop3_stls(struct pop3_server *p, struct span window,
                                    const struct line *line);

/* ---- pop3_auth.c: AUTH (RFC 5034) ---- */

/* Why AUTH with this argument must not pass; NULL: it may. */
const struct pop3_refusal *pop3_auth_judge(struct span argument);

MUST_CHECK struct verdict pop3_auth_pass(struct pop3_server *p, const struct line *line,
                                         struct span argument);

/* A line of an exchange: passed on, or cancelled in the client's name. */
MUST_CHECK struct verdict pop3_auth_response(struct pop3_server *p, struct span window);
MUST_CHECK struct verdict pop3_auth_skip(struct pop3_server *p, struct span window);

/* The backend has refused a login with this line. */
enum note pop3_login_refused(struct pop3_server *p, struct span text);

/* ---- EVENT_BYTES, by phase and side ---- */

/* The client's, but while a backend is looked for. */
MUST_CHECK struct verdict pop3_gate_step(struct pop3_server *p, struct span window);
/* The backend's: on the way to it, and then its replies. */
MUST_CHECK struct verdict pop3_connect_step(struct pop3_server *p, struct span window);
MUST_CHECK struct verdict pop3_answer_step(struct pop3_server *p, struct span window);

#endif
