/* SPDX-License-Identifier: ISC */
/* What the files of the SMTP module share: one session's state, and the ways in which it speaks for
 * itself. Nobody outside smtp_*.c includes this. */
#ifndef STARTTLSD_SMTP_MACHINE_H
#define STARTTLSD_SMTP_MACHINE_H

#include "protocols/approach.h"
#include "protocols/line.h"
#include "protocols/server.h"
#include "protocols/smtp_capabilities.h"
#include "protocols/smtp_client.h"
#include "protocols/smtp_content.h"
#include "protocols/smtp_verb.h"

#define SMTP_OUTSTANDING_MAX 100

/* HELP is the longest that servers say; a reply without end would keep a session for ever. */
#define SMTP_REPLY_LINES_MAX 1000

/* What a client may call itself (RFC 5321, section 4.5.3.1.2). */
#define SMTP_NAME_MAX ((size_t)255)

/*
 * PREAMBLE ──STARTTLS──▶ (a blank machine) CONNECTING ──ready──▶ GATE
 *     │                                     ▲  │    │             ▲ │
 *     └──policy = opportunistic: MAIL───────┘  │    └──▶ REPLAY ──┘ └──STARTTLS──▶ (a blank machine)
 *                                              └─▶ the next backend
 */
enum smtp_phase {
    SMTP_PREAMBLE,   /* no backend: we speak alone */
    SMTP_CONNECTING, /* the client waits for a backend that greets; smtp_approach.c */
    SMTP_REPLAY,     /* and is told what the client said to us: EHLO or HELO */
    SMTP_GATE,       /* commands and replies pass */
};

/* What the client's next octets are. */
enum smtp_input {
    INPUT_COMMAND,
    INPUT_LINE_END,      /* the LF of a command that has been passed on: it becomes CRLF */
    INPUT_PARAMETERS,    /* the rest of a MAIL that holds AUTH parameters */
    INPUT_LONG_LINE,     /* the rest of a line beyond the limit */
    INPUT_REFUSED_CHUNK, /* of a BDAT that we refuse when it is over */
    INPUT_CHUNK,         /* of a BDAT that has been passed on */
    INPUT_CONTENT,
    INPUT_RESPONSE,      /* a line of a SASL exchange */
    INPUT_LONG_RESPONSE, /* the rest of one beyond the limit */
};

/* What the next reply answers. Behind those that block the client, nothing is passed on before
 * their reply is there. */
enum smtp_pending {
    PENDING_PLAIN,
    PENDING_EHLO,
    PENDING_HELO,
    PENDING_RSET,
    PENDING_MAIL,
    PENDING_MAIL_8BIT, /* with BODY=8BITMIME */
    PENDING_RCPT,
    PENDING_CONTENT,
    PENDING_GREETING,   /* blocks: no command, but the backend's first words */
    PENDING_DATA,       /* blocks: content or commands may follow */
    PENDING_AUTH,       /* blocks: a SASL exchange may */
    PENDING_CHUNK,      /* blocks: BDAT or BURL, and the message goes on */
    PENDING_LAST_CHUNK, /* blocks: it is over with this */
    PENDING_QUIT,       /* blocks: nothing may follow */
};

/* How far the reply under way has come. */
enum smtp_output {
    OUTPUT_NOTHING,  /* not one octet of it has passed */
    OUTPUT_LINES,    /* the client has some of its lines */
    OUTPUT_LINE_END, /* the LF of a line that has been passed on: it becomes CRLF */
};

struct smtp_refusal;

struct smtp_server {
    struct server base;
    enum smtp_phase phase;

    bool in_transaction;  /* a MAIL was accepted */
    bool has_recipient;   /* and a RCPT */
    bool is_mail_refused; /* by us: what belongs to it is refused too */
    bool is_eight_bit;    /* its MAIL said BODY=8BITMIME, to a backend that knows what that means */
    bool is_spoilt;       /* something but a RCPT was refused since: no chunk may follow */
    bool in_chunks;       /* a chunk has been passed on, or a BURL accepted; not the last */
    size_t chunked;       /* octets of its chunks so far */
    bool is_relay_struck; /* a denied recipient has counted in this transaction */
    bool is_backend_left; /* STARTTLS: it has been said goodbye to */

    struct smtp_offers offers; /* of the backend's last reply to EHLO */

    bool is_logged_in;
    bool has_credentials; /* of the SASL exchange under way: something was sent */
    bool is_cancelled;    /* and then taken back */

    enum smtp_input input;
    size_t chunk_left;
    const struct smtp_refusal *refusal; /* of what is being discarded, when all of it has been */
    struct smtp_content content;

    struct approach approach;
    struct smtp_client backend;
    enum smtp_output output;
    unsigned reply_lines; /* of it that have passed */
    bool ends_reply;      /* OUTPUT_LINE_END: this line is the reply's last */

    unsigned first, pending_count; /* of the ring */
    unsigned char pending[SMTP_OUTSTANDING_MAX];

    /* Before a backend was there: to be said to it in the client's stead. */
    enum smtp_verb hello;    /* EHLO, HELO, or UNKNOWN: neither was said */
    enum smtp_verb replayed; /* to the backend in hand, last */
    size_t name_len;
    char name[SMTP_NAME_MAX];
};

/* Our own greeting, in place of what `take` covers. */
struct verdict smtp_greet(const struct smtp_server *s, size_t take);

enum smtp_strike { STRIKE_ALWAYS, STRIKE_NEVER, STRIKE_ONCE_A_TRANSACTION };

/* An error reply of ours. */
struct smtp_refusal {
    struct span text;
    enum note note;
    enum smtp_strike strike;
};

/* No reply is owed to the client, and none has been begun: a reply of our own is in order. */
bool smtp_is_quiet(const struct smtp_server *s);

/* The next octets are the client's, and they are no command: content, or a line of a login. */
bool smtp_is_clients_turn(const struct smtp_server *s);

/* And no message either: a goodbye loses nothing. */
bool smtp_is_at_rest(const struct smtp_server *s);

/* End the session now: `text` if the client can read it as a reply, and a backend that has half a
 * message is reset. take: all of the window that the step was called with. */
struct verdict smtp_end(const struct smtp_server *s, enum end end, struct span text, size_t take);

/* The same when the backend is gone, or has gone mad. */
struct verdict smtp_lost(const struct smtp_server *s, size_t take);

/* The same when it says what no server may say here. */
struct verdict smtp_violation(const struct smtp_server *s, struct span window);

/* The client has made a mistake; one too many ends the session. */
void smtp_strike(struct smtp_server *s);

/* Refuse what `take` covers. HOLD, and nothing has happened, while earlier replies are owed. */
MUST_CHECK struct verdict smtp_refuse(struct smtp_server *s, size_t take,
                                      const struct smtp_refusal *r);

/* Lines that are refused whatever they say, at the front of the window: one with CR or NUL inside,
 * and one whose end is not among the octets that a line may have. A BDAT among them ends the
 * session. */
MUST_CHECK struct verdict smtp_dirty_line(struct smtp_server *s, struct span window,
                                          const struct line *line);
MUST_CHECK struct verdict smtp_long_line(struct smtp_server *s, struct span window);

/* The rest of a long line, which goes nowhere. */
MUST_CHECK struct verdict smtp_skip_line(struct smtp_server *s, struct span window);

extern const struct smtp_refusal smtp_unknown, smtp_spoof, smtp_too_long, smtp_spoilt;

/* HTTP, or TLS without STARTTLS: ends the session without a word, since such a peer understands
 * none (DESIGN, section 9). */
MUST_CHECK struct verdict smtp_foreign(const struct smtp_server *s, struct span window,
                                       enum note note);

/* STARTTLS outside TLS, its line at the front of the window. */
MUST_CHECK struct verdict smtp_starttls(struct smtp_server *s, struct span window,
                                        const struct line *line,
                                        const struct smtp_command *command);

/* ---- smtp_chunk.c: BDAT (RFC 3030) ---- */

/* Its line is at the front of the window. It passes, or is refused when its chunk has been read.
 * refusal: NULL, or why the gate's rules for the transaction refuse it */
MUST_CHECK struct verdict smtp_bdat(struct smtp_server *s, struct span window,
                                    const struct line *line, struct span argument,
                                    const struct smtp_refusal *refusal);

/* The chunk itself. */
MUST_CHECK struct verdict smtp_refused_chunk(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_chunk(struct smtp_server *s, struct span window);

/* A BDAT, and nobody knows how much belongs to it: nothing of that may be read as a command. */
MUST_CHECK struct verdict smtp_unknown_chunk(const struct smtp_server *s, struct span window);

/* Is this the argument of a BDAT or BURL with which the message ends? */
bool smtp_is_last(struct span argument);

/* ---- smtp_auth.c: AUTH (RFC 4954) ---- */

/* Why this AUTH must not pass; NULL: it may. */
const struct smtp_refusal *smtp_auth_judge(const struct smtp_server *s,
                                           const struct smtp_command *command);

MUST_CHECK struct verdict smtp_auth_pass(struct smtp_server *s, const struct line *line,
                                         struct span argument);

/* A line of an exchange: passed on, or cancelled in the client's name. */
MUST_CHECK struct verdict smtp_auth_response(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_auth_skip(struct smtp_server *s, struct span window);

/* The backend has ended the exchange with this code. */
enum note smtp_auth_conclude(struct smtp_server *s, unsigned code);

/* ---- EVENT_BYTES, by phase and side ---- */

MUST_CHECK struct verdict smtp_preamble_step(struct smtp_server *s, struct span window);
/* A command that the preamble does not answer alone: refused, or a backend is wanted for it. */
MUST_CHECK struct verdict smtp_gate_command(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_gate_step(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_connect_step(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_connect_secured(struct smtp_server *s); /* EVENT_SECURED */
MUST_CHECK struct verdict smtp_answer_step(struct smtp_server *s, struct span window);

/* The next reply answers this; the caller has made sure that there is room. */
void smtp_expect(struct smtp_server *s, enum smtp_pending what);

#endif
