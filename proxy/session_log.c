/* SPDX-License-Identifier: ISC */
/* Session events as log lines. Field names as operators know them: docs/operations.md. */
#include "proxy/session_log.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "proxy/log.h"
#include "proxy/tls_report.h"

#define ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 8)

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
    [PHASE_PREAMBLE] = "preamble", [PHASE_HANDSHAKE] = "handshake", [PHASE_BACKEND] = "backend",
    [PHASE_GATE] = "gate",         [PHASE_TUNNEL] = "tunnel",       [PHASE_CLOSING] = "closing",
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

/* Mapped IPv4 addresses of dual-stack sockets read as what they are. */
static uint16_t address_text(const union board_address *a, char text[ADDRESS_TEXT_MAX])
{
    text[0] = '\0';
    switch (a->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a->v4.sin_addr, text, ADDRESS_TEXT_MAX);
        return ntohs(a->v4.sin_port);
    case AF_INET6:
        if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
            inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], text, ADDRESS_TEXT_MAX);
        else
            inet_ntop(AF_INET6, &a->v6.sin6_addr, text, ADDRESS_TEXT_MAX);
        return ntohs(a->v6.sin6_port);
    default: return 0;
    }
}

static void log_endpoint(struct log_line *line, const char *name, const union board_address *a)
{
    char text[ADDRESS_TEXT_MAX], both[ADDRESS_TEXT_MAX + 8];
    uint16_t port = address_text(a, text);

    if (text[0] == '\0')
        return;
    snprintf(both, sizeof both, strchr(text, ':') == NULL ? "%s:%u" : "[%s]:%u", text, port);
    log_text(line, name, both);
}

static void log_client(struct log_line *line, const union board_address *a)
{
    char text[ADDRESS_TEXT_MAX];
    uint16_t port = address_text(a, text);

    log_text(line, "client", text);
    log_number(line, "client_port", port);
}

static void log_session(struct log_line *line, const struct session *s)
{
    char id[17];

    snprintf(id, sizeof id, "%016" PRIx64, s->id);
    log_text(line, "session", id);
    log_text(line, "service", quota_service(s->quota));
}

static void log_server(struct log_line *line, const struct session *s)
{
    union board_address a = {0};
    socklen_t len = sizeof a;

    if (s->client.fd >= 0 && getsockname(s->client.fd, &a.any, &len) == 0)
        log_endpoint(line, "server", &a);
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
    log_client(&line, &s->client_address);
    log_server(&line, s);
    tls_report_session(s->client.ssl, &line);
    log_endpoint(&line, "backend", &s->backend_address);
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
    log_client(&line, &s->client_address);
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
    log_client(&line, &s->client_address);
    log_number(&line, "auth_failures", s->auth_failures);
    log_end(&line);
}

void session_log_tls_failed(const struct session *s, enum side side, const char *reason)
{
    struct log_line line;

    log_begin(&line, LEVEL_INFO, "tls.failed");
    log_session(&line, s);
    log_text(&line, "side", side == SIDE_CLIENT ? "client" : "backend");
    log_client(&line, &s->client_address);
    log_text(&line, "reason", reason);
    log_end(&line);
}

void session_log_backend_failed(const struct session *s, const char *reason)
{
    struct log_line line;

    log_begin(&line, LEVEL_WARNING, "backend.failed");
    log_session(&line, s);
    log_endpoint(&line, "backend", &s->backend_address);
    log_text(&line, "reason", reason);
    log_end(&line);
}

void session_log_failed(const struct session *s, const char *reason)
{
    struct log_line line;

    log_begin(&line, LEVEL_ERROR, "session.failed");
    log_session(&line, s);
    log_client(&line, &s->client_address);
    log_text(&line, "reason", reason);
    log_end(&line);
}

void session_log_refused(const struct snapshot_service *service, const union board_address *client,
                         enum log_level level, const char *reason)
{
    struct log_line line;

    log_begin(&line, level, "session.refused");
    log_text(&line, "service", service->config->name);
    log_client(&line, client);
    log_text(&line, "reason", reason);
    log_end(&line);
}
