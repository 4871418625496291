/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can. Three sources (the backend's reply, what the scout
 * has learned, what the administrator wrote) go through one filter into one writer. */
#include "protocols/pop3_capabilities.h"

#include <assert.h>

#include "protocols/capability.h"
#include "protocols/learned.h"
#include "protocols/line.h"
#include "protocols/pop3_client.h"
#include "protocols/server.h"
#include "protocols/word.h"

static const struct span stls = SPAN("STLS");
static const struct span sasl = SPAN("SASL");
static const struct span user = SPAN("USER");
static const struct span dot = SPAN(".\r\n");

/* TLS ends here, and so do claims to another's identity. */
static const struct span never[] = {
    SPAN("STLS"),    SPAN("STARTTLS"), SPAN("XCLIENT"), SPAN("XFORWARD"),
    SPAN("FORWARD"), SPAN("XOIP"),     SPAN("PROXY"),
};

/* Before TLS, where it is enforced: what we keep ourselves. */
static const struct span enforced[] = {SPAN("PIPELINING"), SPAN("RESP-CODES")};

/* Nothing is known of the backends: what can do no harm. */
static const struct span unlearned[] = {SPAN("USER"), SPAN("RESP-CODES")};

/* Lines at most double by their new ends, and STLS and the dot are added. */
static_assert(2 * POP3_LIST_MAX + 64 <= EVENT_SPACE, "a list fits, whatever ended its lines");

static struct capability_writer list_begin(char *space, size_t size)
{
    return (struct capability_writer){.space = space, .size = size - dot.len, .end = LINE_END};
}

/* The dot has its place, however many lines were left out. */
static struct span list_end(struct capability_writer *w)
{
    memcpy(w->space + w->len, dot.data, dot.len);
    return (struct span){w->space, w->len + dot.len};
}

/* ---- the filter ---- */

static bool is_kept(const struct policy *policy, bool is_secure, struct span keyword)
{
    if (keyword.len == 0 || keyword.data[0] == '.' || capability_is_hidden(policy, keyword) ||
        capability_is_among(keyword, never, sizeof never / sizeof *never))
        return false;
    return server_may_log_in(policy, is_secure) ||
           (!span_equals(keyword, user) && !span_equals(keyword, sasl));
}

static void write_capability(struct capability_writer *w, const struct policy *policy,
                             bool is_secure, struct span text)
{
    struct span rest = text;
    const struct span keyword = word_next(&rest);

    if (!is_kept(policy, is_secure, keyword))
        return;
    if (span_equals(keyword, sasl))
        capability_write_mechanisms(w, sasl, (struct span)SPAN(" "), rest, true);
    else
        capability_write_text(w, text);
}

static void write_stls(struct capability_writer *w, const struct policy *policy, bool is_secure)
{
    if (server_is_alone(policy, is_secure))
        capability_write_text(w, stls);
}

/* ---- the sources ---- */

struct span pop3_capabilities_rewrite(struct span reply, enum pop3_capabilities kind,
                                      const struct policy *policy, bool is_secure, char *space,
                                      size_t size)
{
    struct capability_writer w = list_begin(space, size);
    struct span text = {0};

    if (pop3_list_next(&reply, &text))
        capability_write_text(&w, text); /* its `+OK` */
    if (kind == POP3_CAPABILITIES)
        write_stls(&w, policy, is_secure);
    while (pop3_list_next(&reply, &text))
        switch (kind) {
        case POP3_CAPABILITIES: write_capability(&w, policy, is_secure, text); break;
        case POP3_MECHANISMS:
            capability_write_mechanisms(&w, (struct span){0}, (struct span){0}, text, true);
            break;
        case POP3_OTHER_LIST: capability_write_text(&w, text); break;
        }
    return list_end(&w);
}

static void write_known(struct capability_writer *w, const struct policy *policy, bool is_secure,
                        const struct learned *learned)
{
    struct capability_source source = {
        .policy = policy,
        .learned = learned,
        .fallback = unlearned,
        .fallback_count = sizeof unlearned / sizeof *unlearned,
    };
    struct span text;

    write_stls(w, policy, is_secure);
    if (server_is_alone(policy, is_secure) && policy->is_enforced) {
        for (size_t i = 0; i < sizeof enforced / sizeof *enforced; i++)
            write_capability(w, policy, is_secure, enforced[i]);
        return;
    }
    while (capability_next(&source, &text))
        write_capability(w, policy, is_secure, text);
}

struct span pop3_capabilities_reply(const struct policy *policy, const struct learned *learned,
                                    char *space, size_t size)
{
    struct capability_writer w = list_begin(space, size);

    capability_write_text(&w, (struct span)SPAN("+OK Capability list follows"));
    write_known(&w, policy, false, learned);
    return list_end(&w);
}

struct span pop3_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size)
{
    struct capability_writer w = {.space = space, .size = size, .end = SPAN("\n")};

    write_known(&w, policy, is_secure, learned);
    return capability_written(&w);
}

/* APOP is no capability (RFC 2449 has none for it), and needs the backend's own greeting. */
bool pop3_capabilities_takes_logins(const struct policy *policy, const struct learned *learned)
{
    char space[LEARNED_MAX];
    struct capability_writer w = {.space = space, .size = sizeof space, .end = SPAN("\n")};
    struct span text, rest, keyword;
    size_t at = 0;

    while (learned_next(learned, &at, &text)) {
        rest = text;
        keyword = word_next(&rest);
        if (span_equals(keyword, user) || span_equals(keyword, sasl))
            write_capability(&w, policy, true, text);
    }
    return w.len > 0;
}
