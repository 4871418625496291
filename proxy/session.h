/* SPDX-License-Identifier: ISC */
/* One client from accept to close: feeds the module, holds the two streams, waits in one place. */
#ifndef STARTTLSD_SESSION_H
#define STARTTLSD_SESSION_H

#include <stddef.h>

#include "protocols/identity.h"
#include "proxy/backend.h"
#include "proxy/board.h"
#include "proxy/deadline.h"
#include "proxy/engine.h"
#include "proxy/snapshot.h"
#include "proxy/stream.h"

/* A side that owes us more octets of reading than this gets nothing new to owe. */
#define SESSION_OWED_MAX ((size_t)16384)

/* In the tunnel either way goes on while the other is stuck, with what one wake-up has left there;
 * more can only be answers that TLS gives by itself, to who never reads them. */
#define SESSION_OWED_TUNNEL_MAX sizeof((struct scratch *)NULL)->records

/*
 *    HEADER ──PROXY──┐
 *                    ▼
 *   PREAMBLE ──STARTTLS──▶ HANDSHAKE ──▶ BACKEND ──greeting──▶ GATE ──login──▶ TUNNEL
 *      └────────────────────────┴───────────┴───────────────────┴───────────────┴──▶ CLOSING ──▶ buried
 *
 * Left of BACKEND there is no backend socket; right of HANDSHAKE nothing that came in clear.
 * tls = implicit begins with HANDSHAKE, none with BACKEND; a load balancer (accept_proxy) in any case
 * with HEADER. policy = opportunistic goes from PREAMBLE
 * to BACKEND too, and a STARTTLS in GATE leaves the backend and goes to HANDSHAKE, as from PREAMBLE.
 */
enum phase {
    PHASE_HEADER,    /* a load balancer is to say who its client is */
    PHASE_PREAMBLE,  /* the module alone answers, in clear */
    PHASE_HANDSHAKE, /* TLS with the client */
    PHASE_BACKEND,   /* connecting, or waiting for a greeting */
    PHASE_GATE,      /* commands and replies pass under the module's eye */
    PHASE_TUNNEL,    /* octets pass unseen, both ways */
    PHASE_CLOSING,   /* the end is logged; the client reads our last words */
};

enum backend_state {
    BACKEND_STATE_NONE,
    BACKEND_STATE_WAITING, /* for the resolver's answer */
    BACKEND_STATE_QUEUED,  /* for a connection that another session has */
    BACKEND_STATE_CONNECTING,
    BACKEND_STATE_SHAKING, /* hands, for TLS */
    BACKEND_STATE_CONNECTED
};

struct session {
    struct task task;
    struct session *next, *previous; /* in engine->all */
    struct engine *engine;
    struct snapshot *snapshot;              /* counted; NULL: the tunnel has let go of it */
    const struct snapshot_service *service; /* of the snapshot, and NULL with it */
    struct quota *quota;                    /* the service's; counted */
    const struct protocol *protocol;

    struct stream client, backend;
    ev_io client_io, backend_io;
    struct deadline deadline;

    enum phase phase;
    enum backend_state backend_state;
    struct backend_try try;
    struct dial *dial;        /* as long as it may have to go on; NULL: not dialling */
    struct quota_place place; /* among the service's connections */
    /* By side. */
    bool is_ready[2];  /* the socket was announced readable */
    bool is_held[2];   /* the module said HOLD */
    bool is_again[2];  /* the kept window is to be shown again without new octets */
    bool has_more[2];  /* the stream holds records that no poll will announce */
    bool has_ended[2]; /* EVENT_EOF has been told; in the tunnel: the other side has */

    enum waiting waiting;
    ev_tstamp opened, phase_since; /* by deadline_now */
    ev_tstamp active, owed_since;  /* octets were last dealt with; the backend owes an answer */
    uint32_t idle_timeout_ms;      /* of the tunnel */
    ev_tstamp stalled_since; /* the client had taken `taken` octets; NEVER: it owes no reading */
    uint64_t taken;

    enum end end;
    enum end busy;    /* it is here to be told this and no more; END_NONE: it is served */
    bool is_admitted; /* login_timeout is met */
    bool is_logged_in;
    uint32_t auth_failures;
    uint32_t messages;
    size_t discarded;                /* while closing */
    struct client_identity identity; /* as the PROXY header says, if there was one */
    struct address via;              /* is_proxied: whose header that was */
    bool is_proxied;
    union board_address backend_address;

    _Alignas(max_align_t) unsigned char machine[];
};

/* Octets of one session, with the largest machine of all modules. */
size_t session_size(void);

/*
 * A client has been accepted.
 *
 * fd    non-blocking; taken in any case. If a limit is reached the client gets the busy reply
 * peer  its address; ADDRESS_NONE: it has none
 * is_balancer  a PROXY header is to come, and names the client
 */
void session_open(struct engine *e, struct snapshot *snapshot,
                  const struct snapshot_service *service, int fd, const struct address *peer,
                  bool is_balancer);

/* Every session: goodbye when nothing is lost by it (EVENT_DRAIN), or now (EVENT_STOP). Sessions
 * opened later are told that we are busy. */
void session_drain_all(struct engine *e);
void session_stop_all(struct engine *e);

/* ---- between the files named session_*.c ---- */

static inline struct stream *session_stream(struct session *s, enum side side)
{
    return side == SIDE_CLIENT ? &s->client : &s->backend;
}

/* Tell the module of an event other than EVENT_BYTES, and carry out its verdict. */
void session_tell(struct session *s, enum event_kind kind, enum side side, enum end reason);

/* Show the module the window until it says MORE or HOLD, or the session leaves the phase; carries
 * its verdicts out. Returns what is left of the window. */
MUST_CHECK struct span session_show(struct session *s, enum side side, struct span window);

void session_set_phase(struct session *s, enum phase phase);

/* The client is known: its first phase, or that we are busy. */
void session_begin(struct session *s);

/* In PHASE_HEADER: the peer has sent something; and when it has taken too long. */
void session_read_header(struct session *s);
ev_tstamp session_header_due(const struct session *s);

/* Where the client came in, for those who are told of it. */
void session_learn_server(struct session *s);

/* With `identity`, a client without an address cannot be served. */
bool session_can_be_told(const struct session *s);

/* The backend is connected: put in front of all else who the client is, where it is told so. */
void session_introduce(struct session *s);

/* A blank machine, with the facts as they are now. */
void session_init_machine(struct session *s, bool is_secure);

/* Its sockets and its timer call back from here on. */
void session_listen(struct session *s, int client);

/* Write what is to be written, and wait for what is needed next; the last act of every callback. */
void session_rearm(struct session *s);

/* The one place that decides what the session waits for. */
void session_wait(struct session *s);

/* Octets of this side are welcome now. */
bool session_is_read(const struct session *s, enum side side);

/* There is something to show that no poll will announce. */
bool session_has_unshown(struct session *s, enum side side);

/* If its socket was announced readable: not to be asked again before it is to be read. */
void session_note_ready(struct session *s, enum side side, int revents);

/* When this session has waited long enough, as things stand. */
ev_tstamp session_due(const struct session *s);

/* The client has spoken and is not to be read: nothing will announce that it has gone. */
bool session_is_unwatched(struct session *s);

/* Blocks are scarce, and the client pins some and has taken next to nothing for a while. */
bool session_is_hogging(const struct session *s);

/* Connect to the next address that is left to try, when it is this session's turn; called again when
 * it is. Without an address tells EVENT_BACKEND_FAILED; where too many wait, EVENT_BUSY. */
void session_connect(struct session *s);

/* The way to the backend has taken too long, where it stands: the next step, or the end. */
void session_connect_late(struct session *s);

/* It is connected and greeted, or this session wants no backend any more. */
void session_stop_dialling(struct session *s);

/* TLS with the backend begins: in place of its greeting, or behind its go-ahead. */
void session_secure_backend(struct session *s);

/* One step of that handshake. */
void session_shake_backend(struct session *s);

/* It has failed: the same backend in the clear, where the administrator takes what is offered; else
 * the next one. */
void session_backend_not_secured(struct session *s);

/* STARTTLS in mid-session: behind it, another backend connection begins everything anew. */
void session_leave_backend(struct session *s);

/* TLS with the client begins: nothing is kept that came in the clear. */
void session_start_tls(struct session *s);

/* The backend in hand is no good (refused, broken, too slow): the next one. failure: what the client
 * is told if it was the last. */
void session_next_backend(struct session *s, enum end failure, const char *why);

/* The login is accepted: no step follows, and the snapshot is let go. */
void session_enter_tunnel(struct session *s);

/* In the tunnel: pass on what this side has. */
void session_relay(struct session *s, enum side side);

/* In the tunnel: when it has been silent for too long; that it has; and that both sides have said
 * and read all. */
ev_tstamp session_tunnel_due(const struct session *s);
void session_tunnel_late(struct session *s);
bool session_tunnel_is_over(const struct session *s);

/* A side has failed, or broken off. */
void session_lose(struct session *s, enum side side);

/* It has not begun, and does not: session.refused is all there is of it. No word is said. */
void session_refuse(struct session *s, enum log_level level, const char *why);

/* A verdict or the session itself ends it. Logs session.end, lets the backend go (is_reset: with a
 * reset), and leaves the client to read what it was sent. */
void session_close(struct session *s, enum end end, bool is_reset);

/* The same, and both sides are reset without a word: what either got may be half of something. */
void session_break(struct session *s, enum end end);

/* Our own fault ends it: no memory, no descriptor. Logged; a client that can be told is told. */
void session_fail(struct session *s, const char *why);

/* While closing: the client has sent something, or taken something, or the time is over. */
void session_linger(struct session *s, bool is_over);

#endif
