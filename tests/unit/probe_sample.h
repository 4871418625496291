/* SPDX-License-Identifier: ISC */
/* What a probe may have found out: a good server, for tests to spoil. */
#ifndef STARTTLSD_PROBE_SAMPLE_H
#define STARTTLSD_PROBE_SAMPLE_H

#include "protocols/learned.h"
#include "proxy/probe_facts.h"
#include "proxy/probe_options.h"

#define SAMPLE_NOW ((time_t)1764374400) /* 2025-11-29 00:00 UTC */
#define SAMPLE_DAY ((time_t)24 * 60 * 60)

/* One capability a line; NULL: not known. */
static inline struct learned sample_learned(const char *text)
{
    struct learned l = {.is_known = text != NULL};

    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, "\n");

        learned_add(&l, (struct span){text, len});
        text += len + (text[len] == '\n');
    }
    return l;
}

static inline struct probe_options sample_options(const struct protocol *protocol, uint16_t port)
{
    return (struct probe_options){
        .protocol = protocol,
        .host = "mx.example.org",
        .port = port,
        .tls = port == protocol->implicit_port ? BACKEND_TLS_IMPLICIT : BACKEND_TLS_STARTTLS,
        .servername = "mx.example.org",
        .expiry_days = 21,
    };
}

static inline struct probe_certificate sample_certificate(void)
{
    return (struct probe_certificate){
        .is_shown = true,
        .subject = "CN=mx.example.org",
        .issuer = "CN=R11,O=Let's Encrypt,C=US",
        .names = "mx.example.org\nmail.example.org\n",
        .key = "ECDSA P-256",
        .signature = "RSA-SHA256",
        .is_dated = true,
        .not_before = SAMPLE_NOW - 28 * SAMPLE_DAY,
        .not_after = SAMPLE_NOW + 62 * SAMPLE_DAY,
        .is_for_name = true,
        .trust = PROBE_TRUSTED,
        .chain = {"CN=mx.example.org", "CN=R11,O=Let's Encrypt,C=US"},
        .chain_count = 2,
        .spki_sha256 = {0xab, 0xcd, 0x01},
    };
}

/* A submission server at port 587, to which every question was put but --proxy and --relay-test. */
static inline struct probe_facts sample_facts(void)
{
    struct probe_facts f = {
        .address = "192.0.2.1",
        .look =
            {
                .is_tried = true,
                .is_good = true,
                .reach = PROBE_SECURED,
                .version = "TLSv1.3",
                .cipher = "TLS_AES_256_GCM_SHA384",
                .group = "x25519",
                .said =
                    {
                        .greeting = "220 mx.example.org ESMTP",
                        .tls_answer = "220 2.0.0 Ready to start TLS",
                        .offers_tls = true,
                    },
                .time = {{"connect", 3.25}, {"greeting", 21.5}, {"handshake", 12}},
                .time_count = 3,
            },
        .certificate = sample_certificate(),
        .resumption = {PROBE_YES, ""},
        .at_once = {PROBE_FATE_FORGOTTEN, ""},
        .behind = {PROBE_FATE_REFUSED, ""},
        .version = {[PROBE_TLSV1] = {PROBE_NO, ""},
                    [PROBE_TLSV1_1] = {PROBE_NO, ""},
                    [PROBE_TLSV1_2] = {PROBE_YES, ""},
                    [PROBE_TLSV1_3] = {PROBE_YES, ""}},
        .implicit_port = 465,
        .implicit = {PROBE_YES, ""},
    };

    f.look.said.clear = sample_learned("PIPELINING\nSIZE 10240000\nSTARTTLS");
    f.look.said.learned = sample_learned("PIPELINING\nSIZE 10240000\nAUTH PLAIN LOGIN");
    return f;
}

#endif
