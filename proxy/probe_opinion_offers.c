/* SPDX-License-Identifier: ISC */
/* What is announced before TLS and inside it: logins that would show a password, what should be gone
 * inside, and what should not. */
#include <stdio.h>

#include "protocols/learned.h"
#include "protocols/word.h"
#include "proxy/probe_opinion.h"

/* The parameters of the one with this keyword. False: there is none. */
static bool find(const struct learned *l, struct span keyword, struct span *parameters)
{
    size_t at = 0;

    while (learned_next(l, &at, parameters)) {
        const struct span word = word_next(parameters);

        if (span_equals(word, keyword)) {
            *parameters = word_skip_blanks(*parameters);
            return true;
        }
    }
    return false;
}

static bool has(const struct learned *l, const char *keyword)
{
    struct span parameters;

    return find(l, span_of(keyword), &parameters);
}

/* Words, with a blank between them, cut where they are too long. */
struct list {
    char text[160];
    size_t len;
};

static void list_add(struct list *l, struct span word)
{
    if (word.len + 1 >= sizeof l->text - l->len)
        return;
    if (l->len > 0)
        l->text[l->len++] = ' ';
    memcpy(l->text + l->len, word.data, word.len);
    l->len += word.len;
    l->text[l->len] = '\0';
}

/* ---- logins in the clear ---- */

/* Who listens has the password, or a token that is as good. */
static bool shows_password(struct span mechanism)
{
    static const struct span words[] = {SPAN("PLAIN"), SPAN("LOGIN"), SPAN("XOAUTH2"),
                                        SPAN("OAUTHBEARER")};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_equals(mechanism, words[i]))
            return true;
    return false;
}

/* Any mechanism: what a client does behind it is in the clear too. */
static void smtp_logins(const struct learned *clear, struct list *logins)
{
    struct span mechanisms, word;

    if (!find(clear, (struct span)SPAN("AUTH"), &mechanisms))
        return;
    list_add(logins, (struct span)SPAN("AUTH"));
    while ((word = word_next(&mechanisms)).len > 0)
        list_add(logins, word);
}

/* LOGIN is there unless it is said that it is not (RFC 9051, section 6.2.3). */
static void imap_logins(const struct learned *clear, struct list *logins)
{
    static const struct span auth = SPAN("AUTH=");
    struct span word;
    size_t at = 0;

    if (!has(clear, "LOGINDISABLED"))
        list_add(logins, (struct span)SPAN("LOGIN"));
    while (learned_next(clear, &at, &word))
        if (span_starts(word, auth) && shows_password(span_skip(word, auth.len)))
            list_add(logins, word);
}

static void pop3_logins(const struct learned *clear, struct list *logins)
{
    struct span mechanisms, word;
    bool is_first = true;

    if (has(clear, "USER"))
        list_add(logins, (struct span)SPAN("USER"));
    if (!find(clear, (struct span)SPAN("SASL"), &mechanisms))
        return;
    while ((word = word_next(&mechanisms)).len > 0) {
        if (!shows_password(word))
            continue;
        if (is_first)
            list_add(logins, (struct span)SPAN("SASL"));
        list_add(logins, word);
        is_first = false;
    }
}

static const struct {
    const struct protocol *protocol;
    void (*logins)(const struct learned *clear, struct list *logins);
    const char *remedy;
} ways[] = {
    {&smtp_protocol, smtp_logins, "Postfix: smtpd_tls_auth_only = yes"},
    {&imap_protocol, imap_logins,
     "Dovecot 2.3: disable_plaintext_auth = yes, which makes an exception of its own machine"},
    {&pop3_protocol, pop3_logins,
     "Dovecot 2.3: disable_plaintext_auth = yes, which makes an exception of its own machine"},
};

static void judge_logins(struct opinion *j)
{
    const struct learned *clear = &j->f->look.said.clear;

    if (!clear->is_known)
        return;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct list logins = {.len = 0};

        if (ways[i].protocol != j->o->protocol)
            continue;
        ways[i].logins(clear, &logins);
        if (logins.len == 0) {
            opinion_find(j, FINDING_OK, "login.clear", "offers no login before TLS");
            continue;
        }
        opinion_find(j, FINDING_WARNING, "login.clear", "offers logins before TLS: %s",
                     logins.text);
        opinion_advise(j, "passwords can be overheard: offer them inside TLS only (%s)",
                       ways[i].remedy);
    }
}

/* ---- before and behind ---- */

/* Of a server that is right to have it before TLS alone: the way to TLS itself, and that there is no
 * login. Mechanisms may differ at will. */
static bool is_of_the_clear(struct span keyword)
{
    static const struct span words[] = {SPAN("STARTTLS"), SPAN("STLS"), SPAN("LOGINDISABLED")};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_equals(keyword, words[i]))
            return true;
    return span_starts(keyword, (struct span)SPAN("AUTH="));
}

/* A server may (RFC 3207, section 4.2), and one that is not asked before TLS has to guess: we do. But
 * who looks for a missing extension finds it here. */
static void judge_lost(struct opinion *j)
{
    const struct learned *clear = &j->f->look.said.clear, *inside = &j->f->look.said.learned;
    struct list lost = {.len = 0};
    struct span capability, parameters;
    size_t at = 0;

    while (clear->is_known && learned_next(clear, &at, &capability)) {
        const struct span keyword = learned_keyword(capability);

        if (!is_of_the_clear(keyword) && !find(inside, keyword, &parameters))
            list_add(&lost, keyword);
    }
    if (lost.len == 0)
        return;
    opinion_find(j, FINDING_OK, "capabilities.lost", "no longer offered inside TLS: %s", lost.text);
}

static void judge_inside(struct opinion *j)
{
    const struct probe *said = &j->f->look.said;
    const char *word = probe_starttls_word(j->o->protocol);

    if (!said->learned.is_known) {
        opinion_find(j, FINDING_WARNING, "capabilities",
                     "does not say what it offers inside TLS%s%s",
                     said->answer[0] != '\0' ? ": " : "", said->answer);
        opinion_advise(j, "its log should say why; clients may fare no better");
        return;
    }
    if (has(&said->learned, word)) {
        opinion_find(j, FINDING_WARNING, "starttls.inside", "offers %s inside TLS too", word);
        opinion_advise(j, "clients could be led to ask for it there: update the server");
    }
    judge_lost(j);
}

void opinion_on_offers(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;

    judge_logins(j);
    if (look->reach == PROBE_SECURED && look->is_good)
        judge_inside(j);
}
