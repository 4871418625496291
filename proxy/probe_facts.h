/* SPDX-License-Identifier: ISC */
/* What `starttlsd probe` has found out at one address: facts, without a word on whether they are
 * good (probe_judge.h). Plain values, so that a test can write any server down. Texts of a peer are
 * printable ASCII, cut where they are too long. */
#ifndef STARTTLSD_PROBE_FACTS_H
#define STARTTLSD_PROBE_FACTS_H

#include <stdint.h>
#include <time.h>

#include "protocols/probe.h"

/* ---- one connection ---- */

enum probe_reach {
    PROBE_NOT_REACHED, /* no connection */
    PROBE_CONNECTED,   /* and not a word, or none that its protocol has */
    PROBE_GREETED,     /* it has greeted us (implicit TLS: that is, inside it) */
    PROBE_SECURED,     /* TLS is up, and with it all that was said */
};

#define PROBE_STEPS_MAX 16

/* How long it took: "connect", "greeting", "handshake", and for an answer the verb of the command. */
struct probe_time {
    char step[16];
    double ms;
};

struct probe_visit_facts {
    bool is_tried; /* false: all else says nothing */
    bool is_good;  /* all that was wished for was got */
    enum probe_reach reach;
    bool has_tls_failed;    /* the handshake, or what came right behind it */
    bool has_no_route;      /* this machine has no way to the address (no IPv6, say) */
    bool wants_certificate; /* so, after it had asked for a certificate of ours */
    bool is_late; /* it ended because time was over: connecting, an answer, or its goodbye */
    bool is_resumed;
    char why[160];                           /* not good: in words */
    char version[16], cipher[64], group[32]; /* of TLS; "": none */
    struct probe said;                       /* the machine's findings: capabilities and so on */
    struct probe_time time[PROBE_STEPS_MAX];
    size_t time_count;
};

/* ---- the certificate ---- */

enum probe_trust {
    PROBE_TRUSTED,
    PROBE_SELF_SIGNED,    /* it vouches for itself */
    PROBE_ISSUER_MISSING, /* the chain that was sent stops short of an authority; `missing` */
    PROBE_ISSUER_UNKNOWN, /* it is whole, up to an authority that is not trusted here; `missing` */
    PROBE_EXPIRED,        /* it, or a certificate above it; or not valid yet */
    PROBE_DISTRUSTED,     /* any other reason; `why` */
};

#define PROBE_CHAIN_MAX 8
#define PROBE_NAME_MAX  256

struct probe_certificate {
    bool is_shown;
    char subject[PROBE_NAME_MAX], issuer[PROBE_NAME_MAX]; /* one line each (RFC 2253) */
    char names[2048]; /* DNS names and addresses, LF behind each, `DNS:` in front of an address that
                         stands as a name; the common name where there are none */
    char key[32];     /* "RSA 2048", "ECDSA P-256", "Ed25519" */
    char signature[48]; /* "RSA-SHA256", as OpenSSL has it */
    bool is_weak;       /* key or signature: below 112 bits (SHA-1, RSA 1024) */
    bool is_dated;      /* its dates can be read: */
    time_t not_before, not_after;
    bool is_for_name;       /* that it was asked for */
    bool is_by_common_name; /* but by the subject's common name alone */
    enum probe_trust trust;
    char why[160];                /* not trusted: OpenSSL's reason */
    char missing[PROBE_NAME_MAX]; /* the issuer whose certificate was not to be had */
    char chain[PROBE_CHAIN_MAX][PROBE_NAME_MAX]; /* subjects as they were sent, the leaf first */
    size_t chain_count;
    bool is_disordered;            /* they do not follow one another (RFC 5246, section 7.4.2) */
    unsigned char spki_sha256[32]; /* TLSA 3 1 1 (RFC 6698) */
};

/* ---- further visits ---- */

enum probe_outcome {
    PROBE_UNTRIED,
    PROBE_UNDECIDED, /* `why` */
    PROBE_YES,
    PROBE_NO,
};

struct probe_answer {
    enum probe_outcome outcome;
    char why[160];
};

enum { PROBE_TLSV1, PROBE_TLSV1_1, PROBE_TLSV1_2, PROBE_TLSV1_3, PROBE_VERSIONS };
extern const char *const probe_version_names[PROBE_VERSIONS]; /* "TLSv1" and so on */

/* What became of a command behind STARTTLS (CVE-2011-0411). */
enum probe_fate {
    PROBE_FATE_UNTRIED,
    PROBE_FATE_UNDECIDED, /* `why` */
    PROBE_FATE_EXECUTED, /* answered inside TLS: what an attacker puts in is taken for the client's */
    PROBE_FATE_IN_CLEAR,  /* answered before TLS, behind the go-ahead */
    PROBE_FATE_FORGOTTEN, /* TLS came up, and nobody has heard of it since */
    PROBE_FATE_REFUSED,   /* it ended the connection, or the handshake failed */
};

struct probe_injection_facts {
    enum probe_fate fate;
    char why[160];
};

struct probe_facts {
    char address[64]; /* numeric, without port */
    bool is_ipv6;
    bool is_behind_proxy; /* it wants a PROXY header first: all that follows was found with one */
    struct probe_visit_facts look; /* the visit that most is known from */
    struct probe_certificate certificate;
    struct probe_answer resumption;               /* is a session resumed? */
    struct probe_injection_facts at_once, behind; /* in STARTTLS's own segment, and in the next */
    struct probe_answer version[PROBE_VERSIONS];  /* is it accepted? */
    uint16_t implicit_port;       /* the neighbour with TLS from the first octet; 0: none */
    struct probe_answer implicit; /* does it work there? NO: nothing listens */
    struct probe_answer proxy_v1, proxy_v2; /* is a header accepted from this machine? */
    enum probe_relay relay;                 /* --relay-test; `relay_answer` "": untried */
    char relay_answer[160];
};

#endif
