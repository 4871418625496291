/* SPDX-License-Identifier: ISC */
/* Which visits, in which order: what is asked for in every case first, and what a server may resent
 * (relaying, headers of strangers) last. */
#include "proxy/probe_survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proxy/inet.h"
#include "proxy/probe_tls.h"
#include "proxy/probe_visit.h"

struct probe_survey {
    const struct probe_options *options;
    struct probe_tls *tls;
    struct probe_visitor *visitor;
    /* Of the address in hand: */
    const union board_address *address;
    enum identity header; /* what it wants in front of all */
    struct probe_visit_facts visit;
};

static struct probe_errand errand(const struct probe_survey *s, const char *title)
{
    return (struct probe_errand){.title = title,
                                 .port = s->options->port,
                                 .tls = s->options->tls,
                                 .version = PROBE_VERSIONS,
                                 .header = s->header};
}

static const struct probe_visit_facts *visit(struct probe_survey *s, const struct probe_errand *e)
{
    probe_visit(s->visitor, s->address, e, &s->visit, NULL);
    return &s->visit;
}

static struct probe_answer answer(enum probe_outcome outcome, const char *why)
{
    struct probe_answer a = {.outcome = outcome};

    snprintf(a.why, sizeof a.why, "%s", why);
    return a;
}

/* ---- the look ---- */

static void look(struct probe_survey *s, struct probe_facts *f)
{
    struct probe_errand e = errand(s, "a look");

    e.learns = true;
    probe_visit(s->visitor, s->address, &e, &f->look, &f->certificate);
}

/* ---- PROXY headers ---- */

/* Where a header is taken for a command, its answer stands in front of the goodbye's. */
static struct probe_answer try_header(struct probe_survey *s, enum identity header,
                                      const char *title)
{
    struct probe_errand e = errand(s, title);
    const struct probe_visit_facts *v;

    e.header = header;
    if (e.tls == BACKEND_TLS_STARTTLS)
        e.tls = BACKEND_TLS_NONE;
    v = visit(s, &e);
    if (v->is_good && v->said.farewell == PROBE_FAREWELL_GOOD)
        return answer(PROBE_YES, "");
    if (v->said.farewell == PROBE_FAREWELL_OTHER)
        return answer(PROBE_NO, v->said.farewell_answer);
    if (v->is_good)
        return answer(PROBE_UNDECIDED, "it does not answer the goodbye");
    return answer(v->reach == PROBE_NOT_REACHED ? PROBE_UNDECIDED : PROBE_NO, v->why);
}

static void try_headers(struct probe_survey *s, struct probe_facts *f)
{
    f->proxy_v2 = try_header(s, IDENTITY_PROXY_V2, "a PROXY header, version 2");
    f->proxy_v1 = try_header(s, IDENTITY_PROXY_V1, "a PROXY header, version 1");
}

/* It says nothing to those who come without a header: perhaps it waits for one. */
static void look_behind_proxy(struct probe_survey *s, struct probe_facts *f)
{
    try_headers(s, f);
    if (f->proxy_v2.outcome == PROBE_YES)
        s->header = IDENTITY_PROXY_V2;
    else if (f->proxy_v1.outcome == PROBE_YES)
        s->header = IDENTITY_PROXY_V1;
    else
        return;
    f->is_behind_proxy = true;
    look(s, f);
}

/* ---- TLS ---- */

static struct probe_answer try_resumption(struct probe_survey *s)
{
    struct probe_errand e = errand(s, "the same session again");
    const struct probe_visit_facts *v;

    if (!probe_tls_has_session(s->tls))
        return answer(PROBE_NO, "it gives no session to be resumed");
    e.resumes = true;
    v = visit(s, &e);
    if (v->version[0] == '\0')
        return answer(PROBE_UNDECIDED, v->why);
    return answer(v->is_resumed ? PROBE_YES : PROBE_NO,
                  v->is_resumed ? "" : "it begins a new session");
}

static struct probe_answer try_version(struct probe_survey *s, unsigned version)
{
    struct probe_errand e = errand(s, probe_version_names[version]);
    const struct probe_visit_facts *v;

    if (!probe_tls_has_version(s->tls, version))
        return answer(PROBE_UNDECIDED, "OpenSSL here does not have it");
    e.version = version;
    v = visit(s, &e);
    if (v->version[0] != '\0' || v->wants_certificate) /* it is agreed by then */
        return answer(PROBE_YES, "");
    return answer(v->has_tls_failed && !v->is_late ? PROBE_NO : PROBE_UNDECIDED, v->why);
}

/* ---- a command behind STARTTLS ---- */

static struct probe_injection_facts fate(enum probe_fate fate, const char *why)
{
    struct probe_injection_facts f = {.fate = fate};

    snprintf(f.why, sizeof f.why, "%s", why);
    return f;
}

/* Of what came behind the goodbye, inside TLS. UNTRIED: it tells nothing.
 *
 * usual  what the look's goodbye was answered with; "": nothing. Then an answer can only be for what
 *        was put in, or a complaint about it */
static struct probe_injection_facts fate_by_farewell(const struct probe_visit_facts *v,
                                                     const char *usual)
{
    const char *heard = v->said.farewell_answer;

    if (v->said.farewell == PROBE_FAREWELL_OTHER)
        return fate(PROBE_FATE_EXECUTED, heard);
    if (heard[0] != '\0' && usual[0] == '\0')
        return fate(PROBE_FATE_UNDECIDED, heard);
    if (v->said.farewell == PROBE_FAREWELL_GOOD || (heard[0] != '\0' && strcmp(heard, usual) == 0))
        return fate(PROBE_FATE_FORGOTTEN, "");
    return fate(PROBE_FATE_UNTRIED, "");
}

static struct probe_injection_facts fate_by_end(const struct probe_visit_facts *v)
{
    if (v->is_late && !v->has_tls_failed)
        return fate(PROBE_FATE_UNDECIDED, v->is_good ? "no answer in time" : v->why);
    if (v->reach == PROBE_SECURED)
        return fate(PROBE_FATE_REFUSED, "it closed the connection inside TLS");
    /* Whatever it minded, it was behind the command. */
    if (v->said.approach.phase >= APPROACH_AT_STARTTLS)
        return fate(PROBE_FATE_REFUSED, v->said.tls_answer[0] == '\0' || v->has_tls_failed
                                            ? v->why
                                            : v->said.tls_answer);
    return fate(PROBE_FATE_UNDECIDED, v->why);
}

static struct probe_injection_facts try_injection(struct probe_survey *s, const char *usual,
                                                  enum probe_injection injection, const char *title)
{
    struct probe_injection_facts by_farewell = {.fate = PROBE_FATE_UNTRIED};
    struct probe_errand e = errand(s, title);
    const struct probe_visit_facts *v;

    e.injection = injection;
    v = visit(s, &e);
    if (v->said.is_injecting)
        return fate(PROBE_FATE_IN_CLEAR, v->why);
    if (v->reach == PROBE_SECURED)
        by_farewell = fate_by_farewell(v, usual);
    return by_farewell.fate != PROBE_FATE_UNTRIED ? by_farewell : fate_by_end(v);
}

/* ---- beside it ---- */

/* Where mail is handed in by STARTTLS (RFC 6409), beside port 25. */
#define SUBMISSION_PORT 587

/* The port for clients that begin with TLS, beside one that is known for those that do not; 0: none. */
static uint16_t neighbour_of(const struct probe_options *o)
{
    const struct protocol *p = o->protocol;
    const bool is_known = o->port == p->clear_port || (p->has_relay && o->port == SUBMISSION_PORT);

    return o->tls == BACKEND_TLS_STARTTLS && is_known ? p->implicit_port : 0;
}

static struct probe_answer try_neighbour(struct probe_survey *s, uint16_t port)
{
    struct probe_errand e = errand(s, "its neighbour, with TLS from the first octet");
    const struct probe_visit_facts *v;

    e.port = port;
    e.tls = BACKEND_TLS_IMPLICIT;
    e.header = IDENTITY_NONE;
    v = visit(s, &e);
    if (v->is_good)
        return answer(PROBE_YES, "");
    return answer(v->reach == PROBE_NOT_REACHED && !v->is_late ? PROBE_NO : PROBE_UNDECIDED,
                  v->why);
}

static void try_relay(struct probe_survey *s, struct probe_facts *f)
{
    struct probe_errand e = errand(s, "would it relay for us?");
    const struct probe_visit_facts *v;

    e.tries_relay = true;
    if (f->look.reach != PROBE_SECURED)
        e.tls = BACKEND_TLS_NONE;
    v = visit(s, &e);
    f->relay = v->said.relay;
    snprintf(f->relay_answer, sizeof f->relay_answer, "%s",
             v->said.answer[0] != '\0' ? v->said.answer : v->why);
}

/* ---- */

static void go_on_in_tls(struct probe_survey *s, struct probe_facts *f)
{
    const char *usual = f->look.said.farewell_answer;

    f->resumption = try_resumption(s);
    /* Who does not go on with us in any case says nothing on what is put in. */
    if (s->options->tls != BACKEND_TLS_STARTTLS || !f->look.is_good)
        return;
    f->at_once =
        try_injection(s, usual, PROBE_INJECT_AT_ONCE, "a command in one segment with STARTTLS");
    f->behind =
        try_injection(s, usual, PROBE_INJECT_BEHIND, "a command behind the go-ahead for TLS");
}

/* STARTTLS that is not offered, or refused, is so in any version. */
static bool has_tls_to_try(const struct probe_facts *f)
{
    return f->look.version[0] != '\0' || f->look.has_tls_failed;
}

void probe_survey_address(struct probe_survey *s, const union board_address *address,
                          struct probe_facts *f)
{
    const struct probe_options *o = s->options;
    const struct address a = inet_read(address);

    *f = (struct probe_facts){.is_ipv6 = a.family == ADDRESS_V6};
    f->address[address_write(&a, f->address)] = '\0';
    s->address = address;
    s->header = IDENTITY_NONE;
    probe_tls_drop_session(s->tls);
    look(s, f);
    if (f->look.reach == PROBE_NOT_REACHED)
        return;
    if (f->look.reach == PROBE_CONNECTED && o->proxy)
        look_behind_proxy(s, f);
    if (f->look.reach == PROBE_CONNECTED && !has_tls_to_try(f))
        return;
    if (f->look.reach == PROBE_SECURED)
        go_on_in_tls(s, f);
    f->implicit_port = neighbour_of(o);
    if (f->implicit_port != 0)
        f->implicit = try_neighbour(s, f->implicit_port);
    for (unsigned i = 0; o->versions && has_tls_to_try(f) && i < PROBE_VERSIONS; i++)
        f->version[i] = try_version(s, i);
    if (o->relay_test)
        try_relay(s, f);
    if (o->proxy && f->proxy_v1.outcome == PROBE_UNTRIED)
        try_headers(s, f);
}

struct probe_survey *probe_survey_new(const struct probe_options *o, char *why, size_t size)
{
    struct probe_survey *s = calloc(1, sizeof *s);

    if (s == NULL) {
        snprintf(why, size, "no memory");
        return NULL;
    }
    s->options = o;
    s->tls = probe_tls_new(o->ca, o->servername, why, size);
    s->visitor = s->tls == NULL ? NULL : probe_visitor_new(o, s->tls);
    if (s->visitor != NULL)
        return s;
    if (s->tls != NULL)
        snprintf(why, size, "no memory");
    probe_survey_free(s);
    return NULL;
}

void probe_survey_free(struct probe_survey *s)
{
    if (s == NULL)
        return;
    probe_visitor_free(s->visitor);
    probe_tls_free(s->tls);
    free(s);
}
