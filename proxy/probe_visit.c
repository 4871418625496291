/* SPDX-License-Identifier: ISC */
/* One look of the scout's, watched: when what came, what was agreed, and with --trace each line. */
#include "proxy/probe_visit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/line.h"
#include "protocols/word.h"
#include "proxy/deadline.h"
#include "proxy/hostname.h"
#include "proxy/probe_trace.h"
#include "proxy/scout_probe.h"

#define PATIENCE_MS 10000

struct probe_visitor {
    const struct probe_options *options;
    struct probe_tls *tls;
    struct ev_loop *loop;
    struct scout_space *space;
    struct scout_probe look;
    /* Of the visit under way: */
    const struct probe_errand *errand;
    struct probe_visit_facts *facts;
    struct probe_certificate *certificate;        /* NULL: nobody asks */
    double since;                                 /* by deadline_now: the last step's end */
    char step[sizeof(struct probe_time){0}.step]; /* the one under way */
};

/* ---- steps ---- */

/* name: ours, and printable */
static void begin_step(struct probe_visitor *v, struct span name)
{
    name = span_first(name, sizeof v->step - 1);
    memcpy(v->step, name.data, name.len);
    v->step[name.len] = '\0';
    v->since = deadline_now();
}

static void end_step(struct probe_visitor *v)
{
    struct probe_visit_facts *f = v->facts;

    if (v->step[0] == '\0' || f->time_count == PROBE_STEPS_MAX)
        return;
    memcpy(f->time[f->time_count].step, v->step, sizeof v->step);
    f->time[f->time_count++].ms = (deadline_now() - v->since) * 1000.0;
    v->step[0] = '\0';
}

/* Its verb: IMAP's tags are single letters. */
static struct span verb_of(struct span command)
{
    struct line line;
    struct span words = line_find(command, command.len, &line) == LINE_FOUND ? line.text : command;
    struct span word = word_next(&words);

    return word.len == 1 && words.len > 0 ? word_next(&words) : word;
}

/* ---- what is seen ---- */

static SSL *make_ssl(void *context)
{
    struct probe_visitor *v = context;

    begin_step(v, (struct span)SPAN("handshake"));
    return probe_tls_ssl(v->tls, v->errand->version, v->errand->resumes);
}

static void on_connected(void *context)
{
    struct probe_visitor *v = context;

    v->facts->reach = PROBE_CONNECTED;
    end_step(v);
    if (v->options->trace)
        probe_trace_connected(v->facts->time[0].ms);
    begin_step(v, (struct span)SPAN("greeting"));
}

static void on_secured(void *context, SSL *ssl)
{
    struct probe_visitor *v = context;
    struct probe_visit_facts *f = v->facts;

    end_step(v);
    probe_tls_agreed(ssl, f);
    if (v->certificate != NULL)
        probe_tls_certificate(v->tls, ssl, v->certificate);
    if (v->errand->tls == BACKEND_TLS_IMPLICIT)
        begin_step(v, (struct span)SPAN("greeting"));
    else
        f->reach = PROBE_SECURED;
    if (v->options->trace)
        probe_trace_secured(f);
}

static void on_text(void *context, bool is_ours, struct span text)
{
    struct probe_visitor *v = context;
    const bool is_header = is_ours && v->facts->time_count == 1; /* in front of all */

    if (v->options->trace)
        probe_trace_text(is_ours, text);
    if (!is_ours)
        end_step(v);
    else if (!is_header)
        begin_step(v, verb_of(text));
    if (v->facts->reach == PROBE_CONNECTED && v->look.probe.has_greeted)
        v->facts->reach = v->facts->version[0] == '\0' ? PROBE_GREETED : PROBE_SECURED;
}

static void on_done(void *context, bool is_good, const char *why)
{
    struct probe_visitor *v = context;

    v->facts->is_good = is_good;
    if (!is_good)
        snprintf(v->facts->why, sizeof v->facts->why, "%s", why);
}

/* ---- */

/* What the scout wants to know of a backend, for one that no configuration names. */
static struct service service_of(const struct probe_visitor *v, const struct probe_errand *errand)
{
    return (struct service){
        .name = "probe",
        .protocol = v->options->protocol,
        .policy = {.hostname = machine_fqdn(),
                   .backend_tls = errand->tls,
                   .is_backend_enforced = true},
        .identity = errand->header,
        .connect_timeout_ms = PATIENCE_MS,
        .greeting_timeout_ms = PATIENCE_MS,
    };
}

void probe_visit(struct probe_visitor *v, const union board_address *address,
                 const struct probe_errand *errand, struct probe_visit_facts *f,
                 struct probe_certificate *c)
{
    const struct service service = service_of(v, errand);
    const struct scout_observer observer = {make_ssl, on_connected, on_secured, on_text, v};
    const struct probe_wish wish = {.hostname = service.policy.hostname,
                                    .learns = errand->learns,
                                    .tries_relay = errand->tries_relay,
                                    .doubts_refusal = errand->tries_relay,
                                    .injection = errand->injection};
    union board_address to = *address;

    *f = (struct probe_visit_facts){.is_tried = true};
    v->errand = errand;
    v->facts = f;
    v->certificate = c;
    if (v->options->trace)
        probe_trace_title(errand->title, &to, errand->port);
    scout_set_port(&to, errand->port);
    scout_probe_init(&v->look, v->loop, v->space, &service, NULL, 0);
    v->look.on_done = on_done;
    v->look.context = v;
    v->look.observer = &observer;
    ev_now_update(v->loop); /* the last visit may have ended long ago */
    begin_step(v, (struct span)SPAN("connect"));
    scout_probe_start(&v->look, &wish, &to, 1);
    ev_run(v->loop, 0);
    f->said = v->look.probe;
    f->is_late = v->look.is_late;
    f->has_tls_failed = v->look.secured.has_failed;
    f->wants_certificate = f->has_tls_failed && !f->is_late && probe_tls_was_asked(v->tls);
    f->has_no_route = f->reach == PROBE_NOT_REACHED &&
                      (v->look.dial.error == ENETUNREACH || v->look.dial.error == EADDRNOTAVAIL ||
                       v->look.dial.error == EAFNOSUPPORT);
    if (v->options->trace && !f->is_good)
        probe_trace_failed(f->why);
}

struct probe_visitor *probe_visitor_new(const struct probe_options *o, struct probe_tls *tls)
{
    struct probe_visitor *v = calloc(1, sizeof *v);

    if (v == NULL)
        return NULL;
    v->options = o;
    v->tls = tls;
    v->loop = ev_loop_new(EVFLAG_AUTO);
    v->space = scout_space_new(1);
    if (v->loop != NULL && v->space != NULL)
        return v;
    probe_visitor_free(v);
    return NULL;
}

void probe_visitor_free(struct probe_visitor *v)
{
    if (v == NULL)
        return;
    scout_space_free(v->space);
    if (v->loop != NULL)
        ev_loop_destroy(v->loop);
    free(v);
}
