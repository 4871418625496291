/* SPDX-License-Identifier: ISC */
/* SMTP's way to where a client may be heard: the greeting, STARTTLS, XCLIENT. One command at a time,
 * and nothing may stand behind its reply: a backend cannot know yet what it will be asked. */
#include "protocols/smtp_approach.h"

#include <assert.h>

#include "protocols/probe.h"
#include "protocols/reply.h"
#include "protocols/smtp_client.h"
#include "protocols/word.h"

/* What a probe cannot hold, no session takes either. */
#define REPLY_MAX PROBE_WINDOW

#define HOSTNAME_MAX ((size_t)255)

static_assert(HOSTNAME_MAX + sizeof "EHLO \r\n" <= SMTP_APPROACH_SPACE, "a hello fits");

/* XCLIENT's attributes, as far as they concern us. */
enum attribute {
    ATTRIBUTE_ADDR,
    ATTRIBUTE_PORT,
    ATTRIBUTE_DESTADDR,
    ATTRIBUTE_DESTPORT,
    ATTRIBUTE_NAME
};

static const struct span attributes[] = {SPAN("ADDR"), SPAN("PORT"), SPAN("DESTADDR"),
                                         SPAN("DESTPORT"), SPAN("NAME")};

#define ATTRIBUTES (sizeof attributes / sizeof *attributes)

static const struct span unavailable = SPAN("[UNAVAILABLE]");

/* ---- what it announces ---- */

static unsigned offer_of(enum attribute attribute)
{
    return APPROACH_OFFERS_TLS << 1 << attribute;
}

static unsigned offers_of_xclient(struct span words)
{
    unsigned offers = 0;
    struct span word;

    while ((word = word_next(&words)).len > 0)
        for (unsigned i = 0; i < ATTRIBUTES; i++)
            if (span_equals(word, attributes[i]))
                offers |= offer_of((enum attribute)i);
    return offers;
}

static unsigned offers_of_line(struct span text)
{
    const struct span keyword = word_next(&text);

    if (span_equals(keyword, (struct span)SPAN("STARTTLS")))
        return APPROACH_OFFERS_TLS;
    return span_equals(keyword, (struct span)SPAN("XCLIENT")) ? offers_of_xclient(text) : 0;
}

/* reply: to EHLO, whole. Its first line has a name and no extension. */
static unsigned offers_of(struct span reply)
{
    unsigned offers = 0;
    struct line line;

    for (bool is_first = true; line_find(reply, reply.len, &line) == LINE_FOUND; is_first = false) {
        if (!is_first)
            offers |= offers_of_line(span_skip(line.text, 4));
        reply = span_skip(reply, line.take);
    }
    return offers;
}

bool smtp_approach_is_trust(struct span capability)
{
    return (offers_of_line(capability) & offer_of(ATTRIBUTE_ADDR)) != 0;
}

/* ---- what it is told ---- */

static struct approach_step say_hello(struct approach *a, size_t take, char *space)
{
    const struct span part[] = {SPAN("EHLO "), span_first(span_of(a->hostname), HOSTNAME_MAX),
                                LINE_END};

    a->phase = APPROACH_AT_OFFERS;
    return approach_going(take, reply_join(space, SMTP_APPROACH_SPACE, part, 3));
}

/* XCLIENT as it is being written. */
struct introduction {
    unsigned offers;
    char *space;
    size_t len;
};

static void add(struct introduction *i, struct span text)
{
    i->len += reply_join(i->space + i->len, SMTP_APPROACH_SPACE - i->len, &text, 1).len;
}

/* An attribute, if it is announced. Values are xtext (RFC 3461, section 4), and in all that we have
 * to say every octet stands for itself. */
static void add_attribute(struct introduction *i, enum attribute attribute, struct span value)
{
    if ((i->offers & offer_of(attribute)) == 0)
        return;
    for (size_t at = 0; at < value.len; at++)
        assert(value.data[at] >= '!' && value.data[at] <= '~' && value.data[at] != '+' &&
               value.data[at] != '=');
    add(i, (struct span)SPAN(" "));
    add(i, attributes[attribute]);
    add(i, (struct span)SPAN("="));
    add(i, value);
}

static void add_address(struct introduction *i, enum attribute address, enum attribute port,
                        const struct address *a)
{
    static const struct span prefix = SPAN("IPV6:"); /* as in RFC 5321, section 4.1.3 */
    char text[sizeof "IPV6:" + ADDRESS_TEXT_MAX], digits[ADDRESS_PORT_TEXT_MAX];
    size_t len = a->family == ADDRESS_V6 ? prefix.len : 0;

    if (a->family == ADDRESS_NONE) {
        add_attribute(i, address, unavailable);
        add_attribute(i, port, unavailable);
        return;
    }
    memcpy(text, prefix.data, len);
    len += address_write(a, text + len);
    add_attribute(i, address, (struct span){text, len});
    add_attribute(i, port, (struct span){digits, address_write_port(a->port, digits)});
}

/* On never without it: a backend that takes the client for us would trust it as it trusts us. */
static struct approach_step introduce(struct approach *a, size_t take, char *space)
{
    struct introduction i = {.offers = a->offers, .space = space};

    if (a->identity == NULL)
        return approach_ready(take);
    if ((a->offers & offer_of(ATTRIBUTE_ADDR)) == 0)
        return approach_unusable(take, END_BACKEND_REFUSED, SMTP_APPROACH_NO_XCLIENT);
    add(&i, (struct span)SPAN("XCLIENT"));
    add_address(&i, ATTRIBUTE_ADDR, ATTRIBUTE_PORT, &a->identity->client);
    add_address(&i, ATTRIBUTE_DESTADDR, ATTRIBUTE_DESTPORT, &a->identity->server);
    add_attribute(&i, ATTRIBUTE_NAME, unavailable); /* else it would keep ours */
    add(&i, LINE_END);
    a->phase = APPROACH_AT_IDENTITY;
    return approach_going(take, (struct span){space, i.len});
}

/* ---- what it answers ---- */

static struct approach_step after_greeting(struct approach *a, size_t take, char *space)
{
    return approach_is_greeting_alone(a) ? approach_ready(take) : say_hello(a, take, space);
}

static struct approach_step after_hello(struct approach *a, struct span reply, unsigned code,
                                        char *space)
{
    if (code < 300)
        a->offers = offers_of(reply);
    if (!a->starts_tls || a->is_secure)
        return introduce(a, reply.len, space);
    if ((a->offers & APPROACH_OFFERS_TLS) != 0) {
        a->phase = APPROACH_AT_STARTTLS;
        return approach_going(reply.len, (struct span)SPAN("STARTTLS\r\n"));
    }
    if (a->needs_tls)
        return approach_unusable(reply.len, END_BACKEND_TLS_FAILED,
                                 "it does not announce STARTTLS");
    return introduce(a, reply.len, space);
}

/* Only a refusal leaves no doubt that it goes on in the clear. */
static struct approach_step after_starttls(struct approach *a, size_t take, unsigned code,
                                           char *space)
{
    if (code == 220)
        return approach_start_tls(a, take);
    if (a->needs_tls || code < 400)
        return approach_unusable(take, END_BACKEND_TLS_FAILED, "it refuses STARTTLS");
    return introduce(a, take, space);
}

/* All that was said in the clear is forgotten (RFC 3207, section 4.2). And in TLS 1.3 a server that
 * will not have us says so behind what is a good handshake to us: only its answer proves it. */
static struct approach_step after_handshake(struct approach *a, char *space)
{
    a->offers = 0;
    return say_hello(a, 0, space);
}

static struct approach_step answered(struct approach *a, struct span reply, unsigned code,
                                     char *space)
{
    switch (a->phase) {
    case APPROACH_AT_GREETING: return after_greeting(a, reply.len, space);
    case APPROACH_AT_OFFERS: return after_hello(a, reply, code, space);
    case APPROACH_AT_STARTTLS: return after_starttls(a, reply.len, code, space);
    case APPROACH_AT_HANDSHAKE:
    case APPROACH_AT_IDENTITY: break;
    }
    return code == 220 ? approach_ready(reply.len) /* a fresh greeting */
                       : approach_unusable(reply.len, END_BACKEND_REFUSED, "it refuses XCLIENT");
}

static struct approach_step unusable(struct span window, const char *why)
{
    return approach_unusable(window.len, END_BACKEND_REFUSED, why);
}

struct approach_step smtp_approach_step(struct approach *a, struct span window, char *space)
{
    struct smtp_client reply = {0};
    const bool is_greeting = a->phase == APPROACH_AT_GREETING;
    enum smtp_client_result result;
    size_t len;

    if (a->phase == APPROACH_AT_HANDSHAKE)
        return after_handshake(a, space);
    result = smtp_client_whole(&reply, window, &len);
    if (result == SMTP_CLIENT_BAD || (is_greeting && reply.code != 0 && reply.code != 220))
        return unusable(window,
                        is_greeting ? "its greeting is no 220" : "what it says is no reply");
    if (reply.code == 421) /* at any time (RFC 5321, section 3.8) */
        return unusable(window, "it says 421");
    if (result != SMTP_CLIENT_LAST && window.len < REPLY_MAX)
        return approach_going(0, (struct span){0});
    if (result != SMTP_CLIENT_LAST || len > REPLY_MAX)
        return unusable(window, "its reply has no end");
    if (len < window.len)
        return a->phase == APPROACH_AT_STARTTLS && reply.code == 220
                   ? approach_injected(window.len)
                   : unusable(window, "it talks before it is asked");
    if (reply.code / 100 == 3)
        return unusable(window, "what it says is no reply");
    return answered(a, window, reply.code, space);
}
