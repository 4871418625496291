/* SPDX-License-Identifier: ISC */
/* What the log says of a session: the one line at its end, and the few before it. */
#ifndef STARTTLSD_SESSION_LOG_H
#define STARTTLSD_SESSION_LOG_H

#include "proxy/session.h"

/* session.end. Before the streams are closed: TLS is still asked what was agreed. */
void session_log_end(struct session *s);

/* session.violation kind=, for a note that is one; other notes are nothing to it. */
void session_log_note(const struct session *s, enum note note);

/* auth.failed: the backend has refused a login. */
void session_log_auth_failed(const struct session *s);

/* tls.failed: the client's handshake, or its records later. */
void session_log_tls_failed(const struct session *s, enum side side, const char *reason);

/* backend.failed: why one address was given up; session.end tells only how the session ended. */
void session_log_backend_failed(const struct session *s, const char *reason);

/* session.failed: our own fault. */
void session_log_failed(const struct session *s, const char *reason);

/* session.refused: which limit it met; session.end follows only where the session has begun. */
void session_log_refused(const struct snapshot_service *service, const struct address *client,
                         enum log_level level, const char *reason);

#endif
