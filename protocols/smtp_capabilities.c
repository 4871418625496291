/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can. Three sources (the backend's reply, what the scout
 * has learned, what the administrator wrote) go through one filter into one writer. */
#include "protocols/smtp_capabilities.h"

#include <assert.h>

#include "protocols/line.h"
#include "protocols/sasl.h"
#include "protocols/smtp_verb.h"

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
    SPAN("REQUIRETLS"), /* RFC 8689: the leg to the backend is in the clear */
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

/* Lines of a reply or of a list, one behind the other. */
struct writer {
    char *space;
    size_t size, len;
    struct span code;     /* in front of each line, with a hyphen; empty: a list */
    struct span line_end; /* behind it */
    size_t hyphen;        /* of the last line */
};

static void write_octets(struct writer *w, struct span octets)
{
    if (octets.len > 0)
        memcpy(w->space + w->len, octets.data, octets.len);
    w->len += octets.len;
}

/* What is written behind the code is up to the caller; false: no room, and nothing is written. */
static bool begin_line(struct writer *w, size_t len)
{
    size_t prefix = w->code.len == 0 ? 0 : w->code.len + 1;

    if (prefix + len + w->line_end.len > w->size - w->len)
        return false;
    write_octets(w, w->code);
    w->hyphen = w->len;
    if (prefix > 0)
        write_octets(w, (struct span)SPAN("-"));
    return true;
}

static void write_line(struct writer *w, struct span text)
{
    if (!begin_line(w, text.len))
        return;
    write_octets(w, text);
    write_octets(w, w->line_end);
}

static struct span finish_reply(struct writer *w)
{
    if (w->len > 0)
        w->space[w->hyphen] = ' ';
    return (struct span){w->space, w->len};
}

/* ---- the filter ---- */

static bool is_among(struct span word, const struct span *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equals(word, list[i]))
            return true;
    return false;
}

bool smtp_capabilities_is_hidden(const struct policy *policy, struct span keyword)
{
    for (size_t i = 0; i < policy->hide_capabilities.count; i++)
        if (span_equals(keyword, span_of(policy->hide_capabilities.word[i])))
            return true;
    return false;
}

static struct span skip_blanks(struct span s)
{
    while (s.len > 0 && smtp_is_blank(s.data[0]))
        s = span_skip(s, 1);
    return s;
}

/* Keyword (RFC 5321, section 4.1.1.1) up to whatever cannot be part of one: `AUTH=LOGIN` is AUTH.
 */
static struct span keyword_of(struct span text)
{
    size_t len = 0;

    text = skip_blanks(text);
    while (len < text.len) {
        char c = ascii_lower(text.data[len]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            break;
        len++;
    }
    return span_first(text, len);
}

static bool may_log_in(const struct policy *policy, bool is_secure)
{
    return is_secure || policy->tls == FRONT_NONE ||
           (policy->tls == FRONT_STARTTLS && policy->may_auth_in_clear);
}

static bool is_kept(const struct policy *policy, bool is_secure, struct span keyword)
{
    static const struct span chunking = SPAN("CHUNKING");

    if (is_among(keyword, never, sizeof never / sizeof *never) ||
        smtp_capabilities_is_hidden(policy, keyword))
        return false;
    if (span_equals(keyword, auth))
        return may_log_in(policy, is_secure);
    if (span_equals(keyword, (struct span)SPAN("ETRN"))) /* it makes the backend send */
        return policy->relay == RELAY_BACKEND;
    if (span_equals(keyword, (struct span)SPAN("BINARYMIME"))) /* RFC 3030: needs BDAT */
        return !smtp_capabilities_is_hidden(policy, chunking);
    return true;
}

/* The next word of a list of mechanisms; empty: there is none. */
static struct span next_mechanism(struct span *rest)
{
    struct span word;
    size_t len = 0;

    *rest = skip_blanks(*rest);
    while (len < rest->len && !smtp_is_blank(rest->data[len]))
        len++;
    word = span_first(*rest, len);
    *rest = span_skip(*rest, len);
    return word;
}

/* `AUTH`, in its old form `AUTH=` too: the mechanisms that may pass. Without any the line is none. */
static void write_auth(struct writer *w, struct span text)
{
    struct span list = span_skip(skip_blanks(text), auth.len), rest, word;
    struct span separator = SPAN(" ");
    size_t kept = 0;

    if (list.len > 0 && list.data[0] == '=') {
        separator = (struct span)SPAN("=");
        list = span_skip(list, 1);
    }
    for (rest = list; (word = next_mechanism(&rest)).len > 0;)
        if (sasl_may_pass(word, false))
            kept += 1 + word.len;
    if (kept == 0 || !begin_line(w, auth.len + kept))
        return;
    write_octets(w, auth);
    for (rest = list; (word = next_mechanism(&rest)).len > 0;) {
        if (!sasl_may_pass(word, false))
            continue;
        write_octets(w, separator);
        write_octets(w, word);
        separator = (struct span)SPAN(" ");
    }
    write_octets(w, w->line_end);
}

static void write_capability(struct writer *w, const struct policy *policy, bool is_secure,
                             struct span text)
{
    struct span keyword = keyword_of(text);

    if (!is_kept(policy, is_secure, keyword))
        return;
    if (span_equals(keyword, auth))
        write_auth(w, text);
    else
        write_line(w, text);
}

static void write_starttls(struct writer *w, const struct policy *policy, bool is_secure)
{
    if (policy->tls == FRONT_STARTTLS && !is_secure)
        write_line(w, starttls);
}

/* ---- the sources ---- */

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
    struct writer w = {
        .space = space, .size = size, .code = span_first(reply, 3), .line_end = LINE_END};

    write_line(&w, next_text(&reply)); /* the backend's name, no extension */
    write_starttls(&w, policy, is_secure);
    while (reply.len > 0)
        write_capability(&w, policy, is_secure, next_text(&reply));
    return finish_reply(&w);
}

/* 0: none, or more than we count. */
static size_t number_of(struct span text)
{
    size_t number = 0;

    text = skip_blanks(text);
    for (; text.len > 0 && !smtp_is_blank(text.data[0]); text = span_skip(text, 1)) {
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

        if (smtp_capabilities_is_hidden(policy, keyword))
            continue;
        offers.chunking = offers.chunking || span_equals(keyword, (struct span)SPAN("CHUNKING"));
        offers.eight_bit = offers.eight_bit || span_equals(keyword, (struct span)SPAN("8BITMIME"));
        offers.utf8 = offers.utf8 || span_equals(keyword, (struct span)SPAN("SMTPUTF8"));
        offers.dsn = offers.dsn || span_equals(keyword, (struct span)SPAN("DSN"));
        if (span_equals(keyword, (struct span)SPAN("SIZE")))
            offers.size = number_of(span_skip(skip_blanks(text), keyword.len));
    }
    return offers;
}

/* `KEYWORD=PARAM,PARAM`, as a word of the configuration must be written, is `KEYWORD PARAM PARAM`. */
static void write_word(struct writer *w, const struct policy *policy, bool is_secure,
                       struct span word)
{
    char text[256];

    word = span_first(word, sizeof text);
    for (size_t i = 0; i < word.len; i++)
        text[i] = (char)(word.data[i] == '=' || word.data[i] == ',' ? ' ' : word.data[i]);
    write_capability(w, policy, is_secure, (struct span){text, word.len});
}

static void write_learned(struct writer *w, const struct policy *policy, bool is_secure,
                          const struct learned *learned)
{
    struct span rest = {learned->text, learned->len};

    while (rest.len > 0) {
        const char *end = memchr(rest.data, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);

        write_capability(w, policy, is_secure, span_first(rest, len));
        rest = span_skip(rest, len + 1);
    }
}

static void write_list(struct writer *w, const struct policy *policy, bool is_secure,
                       const struct span *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        write_capability(w, policy, is_secure, list[i]);
}

static void write_known(struct writer *w, const struct policy *policy, bool is_secure,
                        const struct learned *learned)
{
    write_starttls(w, policy, is_secure);
    if (policy->tls == FRONT_STARTTLS && !is_secure && policy->is_enforced)
        write_list(w, policy, is_secure, enforced, sizeof enforced / sizeof *enforced);
    else if (policy->capabilities.count > 0)
        for (size_t i = 0; i < policy->capabilities.count; i++)
            write_word(w, policy, is_secure, span_of(policy->capabilities.word[i]));
    else if (learned != NULL && learned->is_known)
        write_learned(w, policy, is_secure, learned);
    else
        write_list(w, policy, is_secure, unlearned, sizeof unlearned / sizeof *unlearned);
}

struct span smtp_capabilities_reply(const struct policy *policy, const struct learned *learned,
                                    char *space, size_t size)
{
    struct writer w = {.space = space, .size = size, .code = SPAN("250"), .line_end = LINE_END};

    write_line(&w, span_of(policy->hostname));
    write_known(&w, policy, false, learned);
    return finish_reply(&w);
}

struct span smtp_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size)
{
    struct writer w = {.space = space, .size = size, .line_end = SPAN("\n")};

    write_known(&w, policy, is_secure, learned);
    return (struct span){space, w.len};
}
