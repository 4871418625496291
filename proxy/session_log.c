/* SPDX-License-Identifier: ISC */
/* Session events as log lines. Field names as operators know them: docs/operations.md. */
#include "proxy/session_log.h"

#include <stdio.h>

#include "proxy/inet.h"
#include "proxy/log.h"
#include "proxy/tls_report.h"

static const char *const end_name[] = {
    [END_NONE] = "none",
    [END_LIMIT] = "limit",
    [END_BACKEND_UNREACHABLE] = "backend_unreachable",
    [END_BACKEND_TLS_FAILED] = "backend_tls_failed",
    [END_BACKEND_REFUSED] = "backend_refused",
    [END_BACKEND_LOST] = "backend_lost",
    [END_TIMEOUT] = "timeout",
    [END_ERRORS] = "errors",
    [END_VIOLATION] = "violation",
    [END_TLS_REQUIRED] = "tls_required",
    [END_HANDSHAKE_FAILED] = "handshake_failed",
    [END_DRAINED] = "drained",
    [END_CLIENT_QUIT] = "client_quit",
    [END_CLIENT_CLOSED] = "client_closed",
    [END_CLIENT_LOST] = "client_lost",
    [END_BACKEND_CLOSED] = "backend_closed",
    [END_ERROR] = "error",
};

static const char *const phase_name[] = {
    [PHASE_HEADER] = "header",   [PHASE_PREAMBLE] = "preamble", [PHASE_HANDSHAKE] = "handshake",
    [PHASE_BACKEND] = "backend", [PHASE_GATE] = "gate",         [PHASE_TUNNEL] = "tunnel",
    [PHASE_CLOSING] = "closing",
};

/* NULL: not a violation. */
static const char *const violation_kind[] = {
    [NOTE_NONE] = NULL,
    [NOTE_GREETED] = NULL,
    [NOTE_TLS_NEEDED] = NULL,
    [NOTE_MESSAGE] = NULL,
    [NOTE_ADMITTED] = NULL,
    [NOTE_AUTH_OK] = NULL,
    [NOTE_AUTH_FAILED] = NULL,
    [NOTE_INJECTION] = "injection",
    [NOTE_SPOOF] = "spoof",
    [NOTE_HTTP] = "http",
    [NOTE_TLS_ON_PLAINTEXT_PORT] = "tls_on_plaintext_port",
    [NOTE_BACKEND_REPLY] = "backend_reply",
    [NOTE_BACKEND_INJECTION] = "backend_injection",
    [NOTE_SMUGGLING] = "smuggling",
};

static void log_endpoint(struct log_line *line, const char *name, const struct address *a)
{
    char text[ADDRESS_TEXT_MAX + 1], both[sizeof text + sizeof "[]:65535"];

    if (a->family == ADDRESS_NONE)
        return;
    text[address_write(a, text)] = '\0';
    snprintf(both, sizeof both, a->family == ADDRESS_V6 ? "[%s]:%u" : "%s:%u", text, a->port);
    log_text(line, name, both);
}

/* Without an address it has come over a UNIX socket: to us, or to a load balancer. */
static void log_host(struct log_line *line, const char *name, const struct address *a)
{
    char text[ADDRESS_TEXT_MAX];
    struct span written = {text, address_write(a, text)};

    log_span(line, name, written.len > 0 ? written : (struct span)SPAN("unix"));
}

static void log_client(struct log_line *line, const struct address *a)
{
    log_host(line, "client", a);
    log_number(line, "client_port", a->port);
}

static void log_session(struct log_line *line, const struct session *s)
{
    log_text(line, "session", s->identity.session);
    log_text(line, "service", quota_service(s->quota));
}

static void log_server(struct log_line *line, const struct session *s)
{
    const struct address local = inet_local(s->client.fd);

    log_endpoint(line, "server",
                 s->identity.server.family == ADDRESS_NONE ? &local : &s->identity.server);
}

static void log_backend(struct log_line *line, const struct session *s)
{
    const struct address a = inet_read(&s->backend_address);

    log_endpoint(line, "backend", &a);
}

static const char *auth_name(const struct session *s)
{
    if (s->is_logged_in)
        return "ok";
    return s->auth_failures > 0 ? "failed" : "none";
}

void session_log_end(struct session *s)
{
    struct log_line line;

    log_begin(&line, LEVEL_INFO, "session.end");
    if (!line.is_wanted)
        return;
    log_session(&line, s);
    log_text(&line, "protocol", s->protocol->name);
    log_client(&line, &s->identity.client);
    log_server(&line, s);
    if (s->is_proxied)
        log_host(&line, "via", &s->via);
    tls_report_session(s->client.ssl, &line);
    log_backend(&line, s);
    tls_report_backend(s->backend.ssl, &line);
    log_text(&line, "phase", phase_name[s->phase]);
    log_text(&line, "auth", auth_name(s));
    log_number(&line, "auth_failures", s->auth_failures);
    log_number(&line, "messages", s->messages);
    log_number(&line, "in", s->client.octets_in);
    log_number(&line, "out", s->client.octets_out);
    log_seconds(&line, "duration", deadline_now() - s->opened);
    log_text(&line, "end", end_name[s->end]);
    log_end(&line);
}

void session_log_note(const struct session *s, enum note note)
{
    struct log_line line;

    if (violation_kind[note] == NULL)
        return;
    log_begin(&line, LEVEL_WARNING, "session.violation");
    log_session(&line, s);
    log_client(&line, &s->identity.client);
    log_text(&line, "phase", phase_name[s->phase]);
    log_text(&line, "kind", violation_kind[note]);
    log_end(&line);
}

void session_log_auth_failed(const struct session *s)
{
    struct log_line line;

    log_begin(&line, LEVEL_WARNING, "auth.failed");
    log_session(&line, s);
    log_text(&line, "protocol", s->protocol->name);
    log_client(&line, &s->identity.client);
    log_number(&line, "auth_failures", s->auth_failures);
    log_end(&line);
}

void session_log_tls_failed(const struct session *s, enum side side, const char *reason)
{
    struct log_line line;

    log_begin(&line, LEVEL_INFO, "tls.failed");
    log_session(&line, s);
    log_text(&line, "side", side == SIDE_CLIENT ? "client" : "backend");
    log_client(&line, &s->identity.client);
    log_text(&line, "reason", reason);
    log_end(&line);
}

void session_log_backend_failed(const struct session *s, const char *reason)
{
    struct log_line line;

    log_begin(&line, LEVEL_WARNING, "backend.failed");
    log_session(&line, s);
    log_backend(&line, s);
    log_text(&line, "reason", reason);
    log_end(&line);
}

void session_log_failed(const struct session *s, const char *reason)
{
    struct log_line line;

    log_begin(&line, LEVEL_ERROR, "session.failed");
    log_session(&line, s);
    log_client(&line, &s->identity.client);
    log_text(&line, "reason", reason);
    log_end(&line);
}

void session_log_refused(const struct snapshot_service *service, const struct address *client,
                         enum log_level level, const char *reason)
{
    struct log_line line;

    log_begin(&line, level, "session.refused");
    log_text(&line, "service", service->config->name);
    log_client(&line, client);
    log_text(&line, "reason", reason);
    log_end(&line);
}
