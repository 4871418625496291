/* SPDX-License-Identifier: ISC */
/* What the files of the SMTP module share: one session's state, and the ways in which it speaks for
 * itself. Nobody outside smtp_*.c includes this. */
#ifndef STARTTLSD_SMTP_MACHINE_H
#define STARTTLSD_SMTP_MACHINE_H

#include "protocols/line.h"
#include "protocols/protocol.h"
#include "protocols/smtp_capabilities.h"
#include "protocols/smtp_client.h"
#include "protocols/smtp_content.h"
#include "protocols/smtp_verb.h"

#define SMTP_OUTSTANDING_MAX 100

/* HELP is the longest that servers say; a reply without end would keep a session for ever. */
#define SMTP_REPLY_LINES_MAX 1000

/* Octets of what the administrator wrote that fit in our own greeting. */
#define SMTP_GREETING_MAX ((size_t)256)

/*
 * PREAMBLE ──STARTTLS──▶ (a blank machine) CONNECTING ──220──▶ GATE
 *                                             ▲   │
 *                                             └───┘ the next backend
 */
enum smtp_phase {
    SMTP_PREAMBLE,   /* before TLS: we speak alone */
    SMTP_CONNECTING, /* the client waits for a backend that greets */
    SMTP_GATE,       /* commands and replies pass */
};

/* What the client's next octets are. */
enum smtp_input {
    INPUT_COMMAND,
    INPUT_LINE_END,   /* the LF of a command that has been passed on: it becomes CRLF */
    INPUT_PARAMETERS, /* the rest of a MAIL that holds AUTH parameters */
    INPUT_LONG_LINE,  /* the rest of a line beyond the limit */
    INPUT_CHUNK,      /* of a BDAT that we refuse when it is over */
    INPUT_CONTENT,
};

/* What the next reply answers. */
enum smtp_pending {
    PENDING_PLAIN,
    PENDING_EHLO,
    PENDING_RESET, /* HELO, RSET: no transaction is left */
    PENDING_MAIL,
    PENDING_DATA, /* blocks the client: content or commands may follow */
    PENDING_CONTENT,
    PENDING_QUIT, /* blocks the client: nothing may follow */
};

/* How far the reply under way has come. */
enum smtp_output {
    OUTPUT_NOTHING,  /* not one octet of it has passed */
    OUTPUT_LINES,    /* the client has some of its lines */
    OUTPUT_LINE_END, /* the LF of a line that has been passed on: it becomes CRLF */
    OUTPUT_REWRITE,  /* EHLO's, whole in the window, on its way through smtp_capabilities */
};

/* Said, then the session ends: at the next step, whatever it is about. */
struct smtp_farewell {
    enum end end; /* END_NONE: no such thing */
    struct span text;
};

struct smtp_refusal;

struct smtp_server {
    const struct policy *policy;
    enum smtp_phase phase;
    struct smtp_farewell farewell;
    unsigned errors;

    bool is_told;         /* that it must start TLS */
    bool is_draining;     /* goodbye when nothing is lost by it */
    bool is_eof;          /* the client will send no more */
    bool in_transaction;  /* a MAIL was accepted */
    bool is_mail_refused; /* by us: what belongs to it is refused too */
    bool is_relay_struck; /* a denied recipient has counted in this transaction */

    enum smtp_input input;
    unsigned long long chunk_left;
    const struct smtp_refusal *refusal; /* of what is being discarded, when all of it has been */
    struct smtp_content content;

    struct smtp_client backend;
    enum smtp_output output;
    unsigned reply_lines; /* of it that have passed */
    bool ends_reply;      /* OUTPUT_LINE_END: this line is the reply's last */
    struct smtp_capabilities capabilities;

    unsigned first, pending_count; /* of the ring */
    unsigned char pending[SMTP_OUTSTANDING_MAX];

    char *space; /* the event's */
};

enum smtp_strike { STRIKE_ALWAYS, STRIKE_NEVER, STRIKE_ONCE_A_TRANSACTION };

/* An error reply of ours. */
struct smtp_refusal {
    struct span text;
    enum note note;
    enum smtp_strike strike;
};

/* No reply is owed to the client, and none has been begun: a reply of our own is in order. */
bool smtp_is_quiet(const struct smtp_server *s);

/* And no message either: a goodbye loses nothing. */
bool smtp_is_at_rest(const struct smtp_server *s);

/* End the session now: `text` if the client can read it as a reply, and a backend that has half a
 * message is reset. take: all of the window that the step was called with. */
struct verdict smtp_end(const struct smtp_server *s, enum end end, struct span text, size_t take);

/* The same when the backend is gone, or has gone mad. */
struct verdict smtp_lost(const struct smtp_server *s, size_t take);

/* `end`, or the better reason: the client was told that it must start TLS, and did not. */
enum end smtp_without_tls(const struct smtp_server *s, enum end end);

/* Refuse what `take` covers. HOLD, and nothing has happened, while earlier replies are owed. */
MUST_CHECK struct verdict smtp_refuse(struct smtp_server *s, size_t take,
                                      const struct smtp_refusal *r);

/* Octets that are no command and go nowhere: the rest of a long line, the chunk of a BDAT. */
MUST_CHECK struct verdict smtp_discard(struct smtp_server *s, struct span window);

/* Lines that are refused whatever they say, at the front of the window: one with CR or NUL inside,
 * and one whose end is not among SMTP_COMMAND_LINE_MAX octets. A BDAT among them ends the session.
 */
MUST_CHECK struct verdict smtp_dirty_line(struct smtp_server *s, struct span window,
                                          const struct line *line);
MUST_CHECK struct verdict smtp_long_line(struct smtp_server *s, struct span window);

/* A BDAT, its line at the front of the window: refused when its chunk has been read. */
MUST_CHECK struct verdict smtp_bdat(struct smtp_server *s, struct span window,
                                    const struct line *line, struct span argument,
                                    const struct smtp_refusal *refusal);

extern const struct smtp_refusal smtp_unknown, smtp_spoof, smtp_too_long;

/* EVENT_BYTES, by phase and side. */
MUST_CHECK struct verdict smtp_preamble_step(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_gate_step(struct smtp_server *s, struct span window);
MUST_CHECK struct verdict smtp_answer_step(struct smtp_server *s, struct span window);

#endif
