/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can. Three sources (the backend's reply, what the scout
 * has learned, what the administrator wrote) go through one filter into one writer. */
#include "protocols/smtp_capabilities.h"

#include <assert.h>

#include "protocols/capability.h"
#include "protocols/learned.h"
#include "protocols/line.h"
#include "protocols/server.h"
#include "protocols/word.h"

static const struct span starttls = SPAN("STARTTLS");
static const struct span auth = SPAN("AUTH");

/* TLS ends here, and so do claims to another's identity and what would turn the session around. */
static const struct span never[] = {
    SPAN("STARTTLS"),
    SPAN("XCLIENT"),
    SPAN("XFORWARD"),
    SPAN("XEXCH50"),
    SPAN("X-ANONYMOUSTLS"),
    SPAN("X-EXPS"),
    SPAN("X-LINK2STATE"),
    SPAN("TURN"),
    SPAN("ATRN"),
    /* With these a command has more replies than one, or others. */
    SPAN("PRDR"),
    SPAN("XPRDR"),
    SPAN("EXDATA"),
    SPAN("XEXDATA"),
    SPAN("CHECKPOINT"),
    SPAN("VERB"),
    SPAN("ONEX"),
};

static const struct span enforced[] = {
    SPAN("PIPELINING"),
    SPAN("8BITMIME"),
    SPAN("ENHANCEDSTATUSCODES"),
};

/* Nothing is known of the backends: what can do no harm. */
static const struct span unlearned[] = {
    SPAN("8BITMIME"),
    SPAN("ENHANCEDSTATUSCODES"),
};

/* ---- the filter ---- */

/* Keyword (RFC 5321, section 4.1.1.1) up to whatever cannot be part of one: `AUTH=LOGIN` is AUTH.
 */
static struct span keyword_of(struct span text)
{
    size_t len = 0;

    text = word_skip_blanks(text);
    while (len < text.len) {
        char c = ascii_lower(text.data[len]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            break;
        len++;
    }
    return span_first(text, len);
}

static bool is_kept(const struct policy *policy, bool is_secure, struct span keyword)
{
    static const struct span chunking = SPAN("CHUNKING");

    if (capability_is_among(keyword, never, sizeof never / sizeof *never) ||
        capability_is_hidden(policy, keyword))
        return false;
    if (span_equals(keyword, auth))
        return server_may_log_in(policy, is_secure);
    if (span_equals(keyword, (struct span)SPAN("ETRN"))) /* it makes the backend send */
        return policy->relay == RELAY_BACKEND;
    if (span_equals(keyword, (struct span)SPAN("REQUIRETLS"))) /* RFC 8689: on all legs */
        return is_secure && policy->is_backend_verified;
    if (span_equals(keyword, (struct span)SPAN("BINARYMIME"))) /* RFC 3030: needs BDAT */
        return !capability_is_hidden(policy, chunking);
    return true;
}

/* `AUTH`, in its old form `AUTH=` too. */
static void write_auth(struct capability_writer *w, struct span text)
{
    struct span list = span_skip(word_skip_blanks(text), auth.len);
    const bool is_old = list.len > 0 && list.data[0] == '=';

    capability_write_mechanisms(w, auth, is_old ? (struct span)SPAN("=") : (struct span)SPAN(" "),
                                span_skip(list, is_old ? 1 : 0), false);
}

static void write_capability(struct capability_writer *w, const struct policy *policy,
                             bool is_secure, struct span text)
{
    struct span keyword = keyword_of(text);

    if (!is_kept(policy, is_secure, keyword))
        return;
    if (span_equals(keyword, auth))
        write_auth(w, text);
    else
        capability_write_text(w, text);
}

static void write_starttls(struct capability_writer *w, const struct policy *policy, bool is_secure)
{
    if (server_is_alone(policy, is_secure))
        capability_write_text(w, starttls);
}

/* ---- the sources ---- */

/* The last line is one (RFC 5321, section 4.2.1). */
static struct span finish_reply(const struct capability_writer *w)
{
    if (w->len > 0)
        w->space[w->last + 3] = ' ';
    return capability_written(w);
}

/* The reply's next line without code and end. It was checked before it came here. */
static struct span next_text(struct span *reply)
{
    struct line line = {0};
    enum line_result found = line_find(*reply, reply->len, &line);

    assert(found == LINE_FOUND);
    *reply = span_skip(*reply, line.take);
    return span_skip(line.text, 4);
}

struct span smtp_capabilities_rewrite(struct span reply, const struct policy *policy,
                                      bool is_secure, char *space, size_t size)
{
    const char prefix[] = {reply.data[0], reply.data[1], reply.data[2], '-'};
    struct capability_writer w = {
        .space = space, .size = size, .prefix = {prefix, sizeof prefix}, .end = LINE_END};

    capability_write_text(&w, next_text(&reply)); /* the backend's name, no extension */
    write_starttls(&w, policy, is_secure);
    while (reply.len > 0)
        write_capability(&w, policy, is_secure, next_text(&reply));
    return finish_reply(&w);
}

/* 0: none, or more than we count. */
static size_t number_of(struct span text)
{
    size_t number = 0;

    text = word_skip_blanks(text);
    for (; text.len > 0 && !word_is_blank(text.data[0]); text = span_skip(text, 1)) {
        if (text.data[0] < '0' || text.data[0] > '9' || number > SIZE_MAX / 10 - 1)
            return 0;
        number = number * 10 + (size_t)(text.data[0] - '0');
    }
    return number;
}

struct smtp_offers smtp_capabilities_offers(struct span reply, const struct policy *policy)
{
    struct smtp_offers offers = {0};

    (void)next_text(&reply);
    while (reply.len > 0) {
        struct span text = next_text(&reply), keyword = keyword_of(text);

        if (capability_is_hidden(policy, keyword))
            continue;
        offers.chunking = offers.chunking || span_equals(keyword, (struct span)SPAN("CHUNKING"));
        offers.eight_bit = offers.eight_bit || span_equals(keyword, (struct span)SPAN("8BITMIME"));
        offers.utf8 = offers.utf8 || span_equals(keyword, (struct span)SPAN("SMTPUTF8"));
        offers.dsn = offers.dsn || span_equals(keyword, (struct span)SPAN("DSN"));
        if (span_equals(keyword, (struct span)SPAN("SIZE")))
            offers.size = number_of(span_skip(word_skip_blanks(text), keyword.len));
    }
    return offers;
}

static void write_list(struct capability_writer *w, const struct policy *policy, bool is_secure,
                       const struct span *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        write_capability(w, policy, is_secure, list[i]);
}

/* Before TLS where it is enforced: a constant set. Else what is known of the service. */
static void write_known(struct capability_writer *w, const struct policy *policy, bool is_secure,
                        const struct learned *learned)
{
    struct capability_source source = {.policy = policy,
                                       .learned = learned,
                                       .fallback = unlearned,
                                       .fallback_count = sizeof unlearned / sizeof *unlearned};
    struct span capability;

    write_starttls(w, policy, is_secure);
    if (server_is_alone(policy, is_secure) && policy->is_enforced) {
        write_list(w, policy, is_secure, enforced, sizeof enforced / sizeof *enforced);
        return;
    }
    while (capability_next(&source, &capability))
        write_capability(w, policy, is_secure, capability);
}

struct span smtp_capabilities_reply(const struct policy *policy, const struct learned *learned,
                                    char *space, size_t size)
{
    struct capability_writer w = {
        .space = space, .size = size, .prefix = SPAN("250-"), .end = LINE_END};

    capability_write_text(&w, span_of(policy->hostname));
    write_known(&w, policy, false, learned);
    return finish_reply(&w);
}

struct span smtp_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size)
{
    struct capability_writer w = {.space = space, .size = size, .end = SPAN("\n")};

    write_known(&w, policy, is_secure, learned);
    return capability_written(&w);
}

bool smtp_capabilities_takes_logins(const struct policy *policy, const struct learned *learned)
{
    char space[LEARNED_MAX];
    struct capability_writer w = {.space = space, .size = sizeof space, .end = SPAN("\n")};
    struct span text;
    size_t at = 0;

    while (learned_next(learned, &at, &text))
        if (span_equals(keyword_of(text), auth))
            write_capability(&w, policy, true, text);
    return w.len > 0;
}
