/* SPDX-License-Identifier: ISC */
/* What a protocol module is told, and what it may ask for. A module is a pure function of octets
 * and events: no socket, clock, allocation or errno. See docs/architecture.md. */
#ifndef STARTTLSD_PROTOCOL_H
#define STARTTLSD_PROTOCOL_H

#include <stdint.h>

#include "protocols/span.h"

/* A window never holds more; whoever needs a longer run of octets to decide has met an error. */
#define WINDOW_MAX ((size_t)16 * 1024)

enum side { SIDE_CLIENT, SIDE_BACKEND };

static inline enum side side_other(enum side side)
{
    return side == SIDE_CLIENT ? SIDE_BACKEND : SIDE_CLIENT;
}

enum event_kind {
    EVENT_BYTES,     /* the window of `side` has octets that no step has taken */
    EVENT_CONNECTED, /* client: accepted, say the greeting; backend: connected, its greeting follows
                      */
    EVENT_SECURED,   /* client: TLS is up; the session has called init again, with the facts of TLS;
                      backend: the handshake that START_TLS asked for is done */
    EVENT_BACKEND_FAILED, /* no backend is left to try; the event says why */
    EVENT_EOF,      /* `side` will send no more and has nothing left to be shown: it comes after the
                       last EVENT_BYTES of this side, and not while that is held. An unfinished line
                       is dropped */
    EVENT_LOST,     /* the backend's connection broke, without an orderly end */
    EVENT_DEADLINE, /* the session has taken, or been silent for, too long */
    EVENT_BUSY,     /* instead of EVENT_CONNECTED, of either side: a limit is reached */
    EVENT_DRAIN,    /* say goodbye at the next point where nothing is lost by it */
    EVENT_STOP,     /* say goodbye now, unless a reply has been begun */
    EVENT_ERROR,    /* our own fault, pool or memory is empty: the same, with END_ERROR */
};

/* How a session ended: the log's `end=` (DESIGN, section 9), decided by the module or the session.
 */
enum end {
    END_NONE,
    END_LIMIT,
    END_BACKEND_UNREACHABLE,
    END_BACKEND_TLS_FAILED,
    END_BACKEND_REFUSED,
    END_BACKEND_LOST,
    END_TIMEOUT,
    END_ERRORS,
    END_VIOLATION,
    END_TLS_REQUIRED,
    END_HANDSHAKE_FAILED,
    END_DRAINED,
    END_CLIENT_QUIT,
    END_CLIENT_CLOSED,
    END_CLIENT_LOST,
    END_BACKEND_CLOSED,
    END_ERROR,
};

/* Room for a text that a step has to compose: a window, and what becomes longer in it. */
#define EVENT_SPACE ((size_t)20 * 1024)

struct event {
    enum event_kind kind;
    enum side side;
    enum end reason;      /* EVENT_BACKEND_FAILED, EVENT_BUSY: why, and the verdict's `end` */
    bool is_tls_hopeless; /* EVENT_CONNECTED, backend: its handshake has failed just now, and the
                           policy is opportunistic: not to be asked for STARTTLS again */
    char *
        space; /* EVENT_SPACE octets, borrowed: what is composed there is read before the next step */
};

enum verdict_kind {
    VERDICT_MORE, /* undecided: call again when this window has grown. What `take` covers is dropped
                   */
    VERDICT_HOLD, /* leave this side unread until a step of the other side has taken something */
    VERDICT_FORWARD,      /* pass the taken octets to the other side, unchanged */
    VERDICT_SEND,         /* send `text` to `to`; the taken octets go nowhere */
    VERDICT_CONNECT,      /* open a backend */
    VERDICT_NEXT_BACKEND, /* the one in hand will not serve us: open the next in its place. `text`:
                             why, for the log; `end`: what the client is told if it was the last */
    VERDICT_START_TLS,    /* send `text` to `to`, then shake hands with it. Client: success, or the
                          session ends. Backend, its go-ahead taken with all there was: success, or
                          the next backend */
    VERDICT_TUNNEL, /* send `text` to `to`, or without one pass the taken octets to the other side,
                          unchanged. From here on every octet passes unseen, both ways: what is left
                          of this window and what waits in the other's first. The machine is done:
                          no step and no waiting() follows. Only behind NOTE_GREETED, about octets */
    VERDICT_CLOSE,  /* send `text` (a farewell, or nothing) to `to`, then end both sides in good
                          order */
    VERDICT_RESET,  /* the same, but the backend's connection is reset: it must take nothing for
                          whole */
};

/* What log and metrics want to know of a step. */
enum note {
    NOTE_NONE,
    NOTE_GREETED,     /* the backend's greeting is good: from here on the session is in its gate */
    NOTE_TLS_NEEDED,  /* the client was told that it must start TLS */
    NOTE_MESSAGE,     /* the backend has accepted a message */
    NOTE_ADMITTED,    /* the client has got down to business (SMTP: a MAIL was accepted):
                        login_timeout is met */
    NOTE_AUTH_OK,     /* the backend has accepted a login */
    NOTE_AUTH_FAILED, /* it has refused one for what was in it */
    NOTE_INJECTION,   /* octets behind STARTTLS (CVE-2011-0411) */
    NOTE_SPOOF,       /* a client claimed another's identity: XCLIENT, XFORWARD, PROXY */
    NOTE_HTTP,
    NOTE_TLS_ON_PLAINTEXT_PORT,
    NOTE_BACKEND_REPLY,     /* the backend said what no server may say here */
    NOTE_BACKEND_INJECTION, /* octets behind its go-ahead for TLS */
    NOTE_SMUGGLING,
};

struct verdict {
    enum verdict_kind kind;
    enum side to;
    enum note note;
    enum end end;     /* VERDICT_CLOSE, VERDICT_RESET, VERDICT_NEXT_BACKEND: why */
    size_t take;      /* octets of the window now dealt with; never shown again */
    struct span text; /* constant, inside the policy, or inside the event's space */
};

/* What the machine waits for: the session picks the time limit by it. */
enum waiting {
    WAITING_CLIENT,  /* nothing is outstanding: idle */
    WAITING_CONTENT, /* content is under way from the client: idle too, when it stalls; large reads
                        pay */
    WAITING_BACKEND, /* the backend owes an answer */
};

enum front_tls { FRONT_STARTTLS, FRONT_IMPLICIT, FRONT_NONE };
enum backend_tls { BACKEND_TLS_NONE, BACKEND_TLS_STARTTLS, BACKEND_TLS_IMPLICIT };
enum relay { RELAY_UNSET, RELAY_BACKEND, RELAY_LOGIN, RELAY_DOMAINS };
enum bare_newline { BARE_NEWLINE_NORMALIZE, BARE_NEWLINE_REJECT, BARE_NEWLINE_PASS };

struct words {
    const char *const *word;
    size_t count;
};

/* What the administrator wants; part of a configuration snapshot, constant while a session lives.
 */
struct policy {
    enum front_tls tls;
    bool is_enforced;       /* FRONT_STARTTLS: nothing but TLS and what leads to it */
    bool may_auth_in_clear; /* FRONT_STARTTLS, not enforced: logins pass without TLS */
    enum backend_tls backend_tls;
    bool is_backend_enforced; /* with backend_tls: TLS, or the backend will not do */
    bool is_backend_verified; /* likewise, and we know that it is the right one */
    bool tells_identity;      /* by the protocol's own means: XCLIENT, ID */
    const char *hostname;     /* in greetings */
    const char *greeting;     /* the text after `220 `, or NULL */
    enum relay relay;
    struct words relay_domains; /* RELAY_DOMAINS: without trailing dot */
    enum bare_newline bare_newline;
    unsigned max_errors;            /* error replies of ours until the session ends; 0: no limit */
    unsigned max_auth_failures;     /* refused logins, likewise */
    struct words hide_capabilities; /* keywords taken out of what the backend announces */
    struct words capabilities;      /* if not empty: instead of what was learned */
    struct words allow_commands;    /* verbs that pass beside the module's own */
};

/* Octets of all capabilities of a backend together. */
#define LEARNED_MAX 1024

/* What a backend announces, as it says it: one capability a line (`SIZE 1000`), LF behind each.
 * Printable ASCII alone. */
struct learned {
    bool is_known; /* false: nobody has asked it yet */
    uint16_t len;
    char text[LEARNED_MAX];
};

/* What is known of this client, and of the backends that wait for it. */
struct facts {
    bool is_secure;         /* TLS is up */
    unsigned auth_failures; /* logins refused before TLS, in the same session */
    /* What all backends of the service have in common; NULL: not known. It outlives the machine,
     * and may become another between two steps. */
    const struct learned *learned;
    /* Who the client is. It outlives the machine; NULL: nobody knows. */
    const struct client_identity *identity;
};

struct probe; /* the client role alone: see probe.h */
struct probe_wish;
struct probe_step;

struct protocol {
    const char *name;
    const char *const
        *alpn;   /* protocol names of our own (RFC 7301), NULL-ended; `tls_context.c` asks */
    size_t size; /* octets of one machine; the session owns the memory, zeroed or not */

    /* A blank machine. policy outlives it; facts are borrowed for the call. */
    void (*init)(void *machine, const struct policy *policy, const struct facts *facts);

    /*
     * One event, one verdict. EVENT_BYTES is repeated with what is left of the window, and with an
     * empty one too, until the verdict is MORE or HOLD: replies of the machine's own that waited
     * for earlier ones come out that way. Every other event comes once.
     *
     * From VERDICT_CONNECT until NOTE_GREETED the client is not shown, and a backend that ends is
     * followed by the next one without a word: EVENT_CONNECTED again, or EVENT_BACKEND_FAILED.
     *
     * window  EVENT_BYTES: untaken octets of event->side. It may be larger than WINDOW_MAX, but an
     *         undecided machine (MORE) gets no more than WINDOW_MAX: it must have decided by then.
     *         All other events: empty
     */
    struct verdict (*step)(void *machine, const struct event *event, struct span window);

    enum waiting (*waiting)(const void *machine);

    /* A blank probe, then again and again with what the backend says; the window begins behind what
     * was taken. */
    void (*probe_init)(struct probe *p, const struct probe_wish *wish);
    struct probe_step (*probe_step)(struct probe *p, struct span window);

    /* What a client is told that this service can, in the form of `learned`: before TLS, or inside
     * it (is_secure). Composed in `space`, what does not fit left out. */
    struct span (*announced)(const struct policy *policy, const struct learned *learned,
                             bool is_secure, char *space, size_t size);

    /* Can clients log in to a backend that announces this, as far as we let them know of it? */
    bool (*takes_logins)(const struct policy *policy, const struct learned *learned);

    /* Why allow_commands cannot let `verb` pass, in any case of letters, as the rest of a sentence
     * that begins with it; NULL: it can. */
    const char *(*veto)(struct span verb);

    /* The word of the key `identity` for what it has itself to tell who the client is; NULL: nothing. */
    const char *own_identity;

    /* Defaults of the keys of these names, as they would be written; NULL: as all protocols. */
    const char *login_timeout, *idle_timeout;

    uint16_t clear_port;    /* where servers listen that begin in the clear */
    uint16_t implicit_port; /* where clients expect TLS from the first octet (RFC 8314); 0: nowhere
                             */

    /* An open relay is possible: `relay` must be written where the backend cannot tell clients
     * apart. */
    bool has_relay;
};

extern const struct protocol smtp_protocol;
extern const struct protocol imap_protocol;
extern const struct protocol pop3_protocol;

/* The module of that name, or NULL. */
const struct protocol *protocol_find(struct span name);

/* All modules in the order of the registry; NULL behind the last. */
const struct protocol *protocol_at(size_t index);

#endif
