/* SPDX-License-Identifier: ISC */
/* IMAP's client role, from a backend's greeting to where a client may be heard. */
#include "protocols/imap_approach.h"

#include "protocols/identity.h"
#include "protocols/imap_client.h"
#include "protocols/imap_writer.h"
#include "protocols/word.h"

/* What it has announced; OFFERS_LIST: anything at all. */
enum offers { OFFERS_TLS = APPROACH_OFFERS_TLS, OFFERS_ID = 2, OFFERS_LIST = 4 };

/* A tag for each phase: the answer to one is none to another. */
static const char tags[] = {
    [APPROACH_AT_OFFERS] = 'a',
    [APPROACH_AT_STARTTLS] = 'b',
    [APPROACH_AT_IDENTITY] = 'c',
};

static struct approach_step ask(struct approach *a, enum approach_phase phase, size_t take,
                                struct span command)
{
    a->phase = phase;
    a->reply_len = 0;
    return approach_going(take, command);
}

static struct approach_step refuse(size_t take, const char *why)
{
    return approach_unusable(take, END_BACKEND_REFUSED, why);
}

/* ---- who the client is ---- */

static void write_pair(struct imap_writer *w, const char *key, struct span value, const char *end)
{
    const struct span part[] = {SPAN("\""), span_of(key), SPAN("\" \""),
                                value,      SPAN("\""),   span_of(end)};

    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        imap_write(w, part[i]);
}

static void write_address(struct imap_writer *w, const struct address *a, const char *ip_key,
                          const char *port_key)
{
    char ip[ADDRESS_TEXT_MAX], port[ADDRESS_PORT_TEXT_MAX];

    if (a->family == ADDRESS_NONE)
        return;
    write_pair(w, ip_key, (struct span){ip, address_write(a, ip)}, " ");
    write_pair(w, port_key, (struct span){port, address_write_port(a->port, port)}, " ");
}

/* Dovecot's keys; a backend that knows others takes no offence. Who does not trust us says OK too, so
 * that is all that anybody can know. */
static struct span identification(const struct client_identity *identity, char *space)
{
    struct imap_writer w = {.space = space, .size = IMAP_APPROACH_SPACE};

    if (identity->client.family == ADDRESS_NONE)
        return (struct span)SPAN("c ID NIL\r\n");
    imap_write(&w, (struct span)SPAN("c ID ("));
    write_address(&w, &identity->client, "x-originating-ip", "x-originating-port");
    write_address(&w, &identity->server, "x-connected-ip", "x-connected-port");
    write_pair(&w, "x-session-id", span_of(identity->session), ")\r\n");
    return imap_written(&w);
}

static const struct span capability = SPAN("a CAPABILITY\r\n");

/* It may have said nothing of what it can; then its answer decides. */
static struct approach_step identify(struct approach *a, size_t take, char *space)
{
    if (a->identity == NULL)
        return approach_ready(take);
    if ((a->offers & OFFERS_LIST) != 0 && (a->offers & OFFERS_ID) == 0)
        return refuse(take, "it does not announce ID");
    return ask(a, APPROACH_AT_IDENTITY, take, identification(a->identity, space));
}

/* ---- TLS ---- */

static struct approach_step go_without_tls(struct approach *a, size_t take, const char *why,
                                           char *space)
{
    return a->needs_tls ? approach_unusable(take, END_BACKEND_TLS_FAILED, why)
                        : identify(a, take, space);
}

static struct approach_step want_tls(struct approach *a, size_t take, char *space)
{
    if ((a->offers & OFFERS_TLS) == 0)
        return go_without_tls(a, take, "it does not announce STARTTLS", space);
    return ask(a, APPROACH_AT_STARTTLS, take, (struct span)SPAN("b STARTTLS\r\n"));
}

/* What it announced in the clear is forgotten. In TLS 1.3 a server that will not have us says so
 * behind what is a good handshake to us: only an answer proves it. */
static struct approach_step after_handshake(struct approach *a, char *space)
{
    a->offers = 0;
    if (a->identity != NULL)
        return identify(a, 0, space);
    return ask(a, APPROACH_AT_OFFERS, 0, capability);
}

static struct approach_step allowed_tls(struct approach *a, size_t take, struct span window)
{
    if (take < window.len)
        return approach_injected(window.len);
    return approach_start_tls(a, take);
}

/* ---- what it says ---- */

static void note_offers(struct approach *a, struct span list)
{
    struct span word;

    if (list.data == NULL)
        return;
    a->offers |= OFFERS_LIST;
    while ((word = word_next(&list)).len > 0) {
        if (span_equals(word, (struct span)SPAN("STARTTLS")))
            a->offers |= OFFERS_TLS;
        if (span_equals(word, (struct span)SPAN("ID")))
            a->offers |= OFFERS_ID;
    }
}

static struct approach_step greeted(struct approach *a, const struct imap_hearing *h, char *space)
{
    note_offers(a, h->response.capabilities);
    if (!a->starts_tls)
        return identify(a, h->take, space);
    if ((a->offers & OFFERS_LIST) != 0)
        return want_tls(a, h->take, space);
    return ask(a, APPROACH_AT_OFFERS, h->take, capability);
}

/* Of what somebody in between may have put in before TLS, only what was asked for is read. */
static bool is_in_order(const struct approach *a, const struct imap_response *r)
{
    return a->phase == APPROACH_AT_IDENTITY ||
           (a->phase == APPROACH_AT_OFFERS && r->kind == IMAP_RESPONSE_CAPABILITY);
}

static struct approach_step answered(struct approach *a, const struct imap_hearing *h,
                                     struct span window, char *space)
{
    const struct imap_response *r = &h->response;
    bool is_ok = r->status == IMAP_STATUS_OK;

    if (a->phase == APPROACH_AT_STARTTLS && is_ok)
        return allowed_tls(a, h->take, window);
    if (h->take < window.len)
        return refuse(window.len, "it talks before it is asked");
    switch (a->phase) {
    case APPROACH_AT_OFFERS:
        note_offers(a, r->capabilities);
        return a->is_secure ? approach_ready(h->take) : want_tls(a, h->take, space);
    case APPROACH_AT_STARTTLS: return go_without_tls(a, h->take, "it refuses STARTTLS", space);
    case APPROACH_AT_IDENTITY:
        return is_ok ? approach_ready(h->take) : refuse(h->take, "it refuses ID");
    case APPROACH_AT_GREETING:
    case APPROACH_AT_HANDSHAKE: break;
    }
    return refuse(window.len, "what it says is no answer");
}

struct approach_step imap_approach_step(struct approach *a, struct span window, char *space)
{
    struct imap_hearing h = {.tag = tags[a->phase], .answer_len = &a->reply_len};

    if (a->phase == APPROACH_AT_HANDSHAKE)
        return after_handshake(a, space);
    for (;;) {
        switch (a->phase == APPROACH_AT_GREETING ? imap_client_greeting(&h, window)
                                                 : imap_client_hear(&h, window)) {
        case IMAP_HEARD_PARTIAL: return approach_going(h.take, (struct span){0});
        case IMAP_HEARD_WRONG: return refuse(window.len, h.why);
        case IMAP_HEARD_ANSWER: return answered(a, &h, window, space);
        case IMAP_HEARD_UNTAGGED: break;
        }
        if (a->phase == APPROACH_AT_GREETING)
            return greeted(a, &h, space);
        if (!is_in_order(a, &h.response))
            return refuse(window.len, "what it says is no answer");
        note_offers(a, h.response.capabilities);
    }
}
