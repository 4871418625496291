/* SPDX-License-Identifier: ISC */
/* POP3's client role, from a backend's greeting to where a client may be heard. */
#include "protocols/pop3_approach.h"

#include "protocols/identity.h"
#include "protocols/pop3_client.h"
#include "protocols/reply.h"
#include "protocols/word.h"

static const char early[] = "it talks before it is asked";
static const char no_reply[] = "what it says is no reply";

static struct approach_step ask(struct approach *a, enum approach_phase phase, size_t take,
                                struct span command)
{
    a->phase = phase;
    return approach_going(take, command);
}

static struct approach_step refuse(size_t take, const char *why)
{
    return approach_unusable(take, END_BACKEND_REFUSED, why);
}

static struct approach_step undecided(void)
{
    return approach_going(0, (struct span){0});
}

/* ---- who the client is ---- */

/* In Dovecot's form: addresses as they are, no xtext. */
static struct span identification(const struct client_identity *identity, char *space)
{
    char ip[ADDRESS_TEXT_MAX], port[ADDRESS_PORT_TEXT_MAX];
    const struct span part[] = {
        SPAN("XCLIENT ADDR="), {ip, address_write(&identity->client, ip)},
        SPAN(" PORT="),        {port, address_write_port(identity->client.port, port)},
        SPAN(" SESSION="),     span_of(identity->session),
        SPAN("\r\n"),
    };

    if (identity->client.family == ADDRESS_NONE)
        return (struct span)SPAN("XCLIENT\r\n");
    return reply_join(space, POP3_APPROACH_SPACE, part, sizeof part / sizeof *part);
}

static const struct span capa = SPAN("CAPA\r\n");

static struct approach_step identify(struct approach *a, size_t take, char *space)
{
    if (a->identity == NULL)
        return approach_ready(take);
    return ask(a, APPROACH_AT_IDENTITY, take, identification(a->identity, space));
}

/* Dovecot announces XCLIENT in its greeting alone, which is nothing to go by behind STLS; and it says
 * +OK to those whom it does not trust, but in these words. */
static bool is_taken(struct span reply)
{
    return !span_starts(reply, (struct span)SPAN("+OK You are not from trusted IP"));
}

static struct approach_step identified(struct span window)
{
    struct line line;

    switch (pop3_reply_find(window, POP3_REPLY_LINE_MAX, &line)) {
    case POP3_REPLY_PARTIAL: return undecided();
    case POP3_REPLY_OK:
        if (line.take < window.len)
            return refuse(window.len, early);
        if (is_taken(line.text))
            return approach_ready(line.take);
        return refuse(window.len, "it does not trust our XCLIENT");
    case POP3_REPLY_ERR: return refuse(window.len, "it refuses XCLIENT");
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: break;
    }
    return refuse(window.len, no_reply);
}

/* ---- TLS ---- */

static struct approach_step go_without_tls(struct approach *a, size_t take, const char *why,
                                           char *space)
{
    return a->needs_tls ? approach_unusable(take, END_BACKEND_TLS_FAILED, why)
                        : identify(a, take, space);
}

/* In TLS 1.3 a server that will not have us says so behind what is a good handshake to us: only an
 * answer proves it. */
static struct approach_step after_handshake(struct approach *a, char *space)
{
    if (a->identity != NULL)
        return identify(a, 0, space);
    return ask(a, APPROACH_AT_OFFERS, 0, capa);
}

static struct approach_step started(struct approach *a, struct span window, char *space)
{
    struct line line;

    switch (pop3_reply_find(window, POP3_REPLY_LINE_MAX, &line)) {
    case POP3_REPLY_PARTIAL: return undecided();
    case POP3_REPLY_OK:
        if (line.take < window.len)
            return approach_injected(window.len);
        return approach_start_tls(a, line.take);
    case POP3_REPLY_ERR:
        if (line.take < window.len)
            return refuse(window.len, early);
        return go_without_tls(a, line.take, "it refuses STLS", space);
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: break;
    }
    return refuse(window.len, no_reply);
}

static void note_offers(struct approach *a, struct span list)
{
    struct span text = {0};

    while (pop3_list_next(&list, &text))
        if (span_equals(word_next(&text), (struct span)SPAN("STLS")))
            a->offers |= APPROACH_OFFERS_TLS;
}

/* Who does not know CAPA (RFC 2449) announces nothing. */
static struct approach_step announced(struct approach *a, struct span window, char *space)
{
    const char *why;

    switch (pop3_capa_find(window, &why)) {
    case POP3_REPLY_PARTIAL: return undecided();
    case POP3_REPLY_OK: note_offers(a, window); break;
    case POP3_REPLY_ERR: break;
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: return refuse(window.len, why);
    }
    if (a->is_secure)
        return approach_ready(window.len);
    if ((a->offers & APPROACH_OFFERS_TLS) == 0)
        return go_without_tls(a, window.len, "it does not announce STLS", space);
    return ask(a, APPROACH_AT_STARTTLS, window.len, (struct span)SPAN("STLS\r\n"));
}

/* ---- the greeting ---- */

static struct approach_step greeted(struct approach *a, struct span window, char *space)
{
    struct line line;

    switch (pop3_greeting_find(window, &line)) {
    case POP3_REPLY_PARTIAL: return undecided();
    case POP3_REPLY_OK:
        if (a->starts_tls)
            return ask(a, APPROACH_AT_OFFERS, line.take, capa);
        return identify(a, line.take, space);
    case POP3_REPLY_ERR:
    case POP3_REPLY_CHALLENGE:
    case POP3_REPLY_BAD: break;
    }
    return refuse(window.len, "its greeting is no +OK");
}

struct approach_step pop3_approach_step(struct approach *a, struct span window, char *space)
{
    switch (a->phase) {
    case APPROACH_AT_GREETING: return greeted(a, window, space);
    case APPROACH_AT_OFFERS: return announced(a, window, space);
    case APPROACH_AT_STARTTLS: return started(a, window, space);
    case APPROACH_AT_HANDSHAKE: return after_handshake(a, space);
    case APPROACH_AT_IDENTITY: break;
    }
    return identified(window);
}
