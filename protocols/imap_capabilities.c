/* SPDX-License-Identifier: ISC */
/* What clients are told that this service can. All sources go word by word through one filter. */
#include "protocols/imap_capabilities.h"

#include "protocols/capability.h"
#include "protocols/imap_token.h"
#include "protocols/learned.h"
#include "protocols/sasl.h"
#include "protocols/server.h"
#include "protocols/word.h"

static const struct span starttls = SPAN("STARTTLS");
static const struct span login_disabled = SPAN("LOGINDISABLED");
static const struct span initial = SPAN("SASL-IR");
static const struct span auth = SPAN("AUTH=");
static const struct span compress = SPAN("COMPRESS=");

/* What we can do alone; and nothing more is known of the backends either. */
static const struct span alone[] = {SPAN("IMAP4rev1"), SPAN("ID")};

#define ALONE (sizeof alone / sizeof *alone)

/* ---- the filter ---- */

/* Taken out as it is, or by what stands before `=`. */
static bool is_hidden(const struct policy *policy, struct span word)
{
    const char *equal = word.len == 0 ? NULL : memchr(word.data, '=', word.len);

    return capability_is_hidden(policy, word) ||
           (equal != NULL &&
            capability_is_hidden(policy, span_first(word, (size_t)(equal - word.data))));
}

bool imap_capabilities_is_hidden(const struct policy *policy, struct span mechanism)
{
    for (size_t i = 0; i < policy->hide_capabilities.count; i++) {
        struct span word = span_of(policy->hide_capabilities.word[i]);

        if (span_equals(word, (struct span)SPAN("AUTH")) ||
            (span_starts(word, auth) && span_equals(span_skip(word, auth.len), mechanism)))
            return true;
    }
    return false;
}

/* An atom (RFC 9051, section 9): `]` would end the list to somebody. */
static bool is_capability(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!imap_is_atom_char(word.data[i]))
            return false;
    return word.len > 0;
}

/* Whoever is in the clear is told so by us. */
static bool is_alone(const struct imap_listener *to)
{
    return server_is_alone(to->policy, to->is_secure) && !to->is_logged_in;
}

static bool is_kept(const struct imap_listener *to, struct span word)
{
    bool may_log_in = server_may_log_in(to->policy, to->is_secure);

    if (!is_capability(word) || span_equals(word, starttls) || is_hidden(to->policy, word))
        return false;
    if (span_equals(word, login_disabled)) /* with TLS a backend's reason for it is gone */
        return !to->is_secure && may_log_in;
    if (span_equals(word, initial))
        return may_log_in;
    if (span_starts(word, auth))
        return may_log_in && sasl_may_pass(span_skip(word, auth.len), true);
    return to->is_logged_in || !span_starts(word, compress); /* RFC 4978 */
}

static void write_word(struct capability_writer *w, const struct imap_listener *to,
                       struct span word)
{
    if (is_kept(to, word))
        capability_write_text(w, word);
}

static void write_ours(struct capability_writer *w, const struct imap_listener *to)
{
    if (!is_alone(to))
        return;
    capability_write_text(w, starttls);
    if (!server_may_log_in(to->policy, to->is_secure))
        capability_write_text(w, login_disabled);
}

/* ---- the sources ---- */

struct span imap_capabilities_rewrite(const struct imap_listener *to, struct span list, char *space,
                                      size_t size)
{
    struct capability_writer w = {.space = space, .size = size, .prefix = SPAN(" ")};
    struct span word;

    while ((word = word_next(&list)).len > 0)
        write_word(&w, to, word);
    write_ours(&w, to);
    return capability_written(&w);
}

/* `KEYWORD PARAM PARAM`, as the source has it, is `KEYWORD=PARAM KEYWORD=PARAM` here. */
static void write_spread(struct capability_writer *w, const struct imap_listener *to,
                         struct span capability)
{
    char text[CAPABILITY_WORD_MAX + 1];
    struct span keyword = word_next(&capability), parameter = word_next(&capability);

    if (parameter.len == 0) {
        write_word(w, to, keyword);
        return;
    }
    if (keyword.len >= CAPABILITY_WORD_MAX)
        return;
    memcpy(text, keyword.data, keyword.len);
    text[keyword.len] = '=';
    for (; parameter.len > 0; parameter = word_next(&capability)) {
        if (parameter.len > CAPABILITY_WORD_MAX - keyword.len)
            continue;
        memcpy(text + keyword.len + 1, parameter.data, parameter.len);
        write_word(w, to, (struct span){text, keyword.len + 1 + parameter.len});
    }
}

static void write_known(struct capability_writer *w, const struct imap_listener *to,
                        const struct learned *learned)
{
    struct capability_source source = {
        .policy = to->policy, .learned = learned, .fallback = alone, .fallback_count = ALONE};
    struct span capability;

    if (is_alone(to) && to->policy->is_enforced)
        for (size_t i = 0; i < ALONE; i++)
            write_word(w, to, alone[i]);
    else
        while (capability_next(&source, &capability))
            write_spread(w, to, capability);
    write_ours(w, to);
}

struct span imap_capabilities_own(const struct policy *policy, const struct learned *learned,
                                  char *space, size_t size)
{
    struct capability_writer w = {.space = space, .size = size, .prefix = SPAN(" ")};

    write_known(&w, &(struct imap_listener){.policy = policy}, learned);
    return capability_written(&w);
}

struct span imap_capabilities_announced(const struct policy *policy, const struct learned *learned,
                                        bool is_secure, char *space, size_t size)
{
    struct capability_writer w = {.space = space, .size = size, .end = SPAN("\n")};

    write_known(&w, &(struct imap_listener){.policy = policy, .is_secure = is_secure}, learned);
    return capability_written(&w);
}

bool imap_capabilities_has_initial(struct span list)
{
    struct span word;

    while ((word = word_next(&list)).len > 0)
        if (span_equals(word, initial))
            return true;
    return false;
}

/* LOGINDISABLED speaks of LOGIN alone (RFC 9051, section 6.2.3). */
bool imap_capabilities_takes_logins(const struct policy *policy, const struct learned *learned)
{
    const struct imap_listener secure = {.policy = policy, .is_secure = true};
    bool is_disabled = false;
    struct span word;
    size_t at = 0;

    while (learned_next(learned, &at, &word)) {
        if (span_starts(word, auth) && is_kept(&secure, word))
            return true;
        is_disabled = is_disabled || span_equals(word, login_disabled);
    }
    return !is_disabled;
}
