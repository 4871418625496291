/* SPDX-License-Identifier: ISC */
/* POP3 before TLS: we speak alone. Where TLS is enforced nothing of what is said here survives; where
 * it is not, a command that needs a backend waits until there is one. */
#include "protocols/pop3_capabilities.h"
#include "protocols/pop3_machine.h"
#include "protocols/verdict.h"

struct verdict pop3_preamble_run(struct pop3_server *p, struct span window, const struct line *line,
                                 const struct pop3_command *command)
{
    switch (command->verb) {
    case VERB_CAPA:
        return verdict_send(
            SIDE_CLIENT, line->take,
            pop3_capabilities_reply(p->base.policy, p->base.learned, p->base.space, EVENT_SPACE));
    case VERB_NOOP: return verdict_send(SIDE_CLIENT, line->take, (struct span)SPAN("+OK\r\n"));
    case VERB_QUIT:
        return verdict_close(window.len, server_without_tls(&p->base, END_CLIENT_QUIT),
                             (struct span)SPAN("+OK Bye\r\n"));
    case VERB_AUTH:
    case VERB_USER:
    case VERB_PASS:
    case VERB_APOP:
    case VERB_STLS:
    case VERB_UTF8:
    case VERB_LANG:
    case VERB_ALLOWED:
    case VERB_MAILBOX:
    case VERB_SPOOF:
    case VERB_UNKNOWN: break;
    }
    p->phase = POP3_CONNECTING; /* the line stays where it is until a backend is there */
    return verdict_connect();
}

/* RFC 2595, section 4. What came in the same breath was sent in the clear by whoever
 * (CVE-2011-0411). Behind it a blank machine begins; a backend that was there is left. */
struct verdict pop3_stls(struct pop3_server *p, struct span window, const struct line *line)
{
    struct verdict v;

    if (!pop3_is_quiet(p))
        return verdict_hold();
    if (window.len > line->take)
        return verdict_close_noted(window.len, END_VIOLATION,
                                   (struct span)SPAN("-ERR Octets behind STLS\r\n"),
                                   NOTE_INJECTION);
    if (p->phase == POP3_GATE && !p->is_backend_left) {
        p->is_backend_left = true;
        return verdict_send(SIDE_BACKEND, 0, (struct span)SPAN("QUIT\r\n"));
    }
    v = verdict_send(SIDE_CLIENT, line->take, (struct span)SPAN("+OK Begin TLS negotiation\r\n"));
    v.kind = VERDICT_START_TLS;
    return v;
}
