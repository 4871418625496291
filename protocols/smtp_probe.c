/* SPDX-License-Identifier: ISC */
/* SMTP's client role alone: behind the approach, one command at a time, and never DATA: no look at a
 * backend leaves a mail in it. */
#include "protocols/smtp_probe.h"

#include <assert.h>

#include "protocols/learned.h"
#include "protocols/probe.h"
#include "protocols/reply.h"
#include "protocols/smtp_approach.h"
#include "protocols/smtp_client.h"

/* APPROACH ──▶ EHLO ──▶ (refused) HELO ──▶ { MAIL ──▶ RCPT ──▶ RSET } up to four times ──▶ QUIT
 * What was not wished for is left out; behind an injection all but the QUIT. */
enum phase {
    PHASE_APPROACH,
    PHASE_EHLO,
    PHASE_HELO,
    PHASE_MAIL,
    PHASE_RCPT,
    PHASE_RSET,
    PHASE_QUIT,
};

/* No session takes a longer reply to EHLO either. */
#define REPLY_MAX WINDOW_MAX

#define HOSTNAME_MAX ((size_t)255)

/*
 * The attempts at being relayed for: each sender with each recipient, until the answer is clear.
 * The empty sender passes where others must resolve, log in or match SPF; our own where the empty
 * one is refused. No domain of RFC 2606 accepts mail (RFC 7505), so a backend that looks recipients
 * up may refuse it for that; an address literal (of RFC 5737) is not looked up, but not every
 * backend reads one. What a backend calls us must not be taken for what it says of relaying: no
 * `relay` in a name here.
 */
static const struct {
    bool is_from_us;
    const char *recipient;
} attempts[] = {
    {false, "starttlsd-check@example.com"},
    {false, "starttlsd-check@[192.0.2.1]"},
    {true, "starttlsd-check@example.com"},
    {true, "starttlsd-check@[192.0.2.1]"},
};

#define ATTEMPTS      (sizeof attempts / sizeof *attempts)
#define FIRST_FROM_US 2

static const struct probe_injected injected = {SPAN("STARTTLS\r\nNOOP\r\n"), SPAN("NOOP\r\n")};

static_assert(sizeof((struct probe *)NULL)->command >= SMTP_APPROACH_SPACE, "its commands fit");

void smtp_probe_init(struct probe *p, const struct probe_wish *wish)
{
    *p = probe_blank(wish);
}

/* All that can be known is known. */
static struct probe_step finish(struct probe *p, size_t take)
{
    p->phase = PHASE_QUIT;
    return probe_healthy(take, (struct span)SPAN("QUIT\r\n"));
}

static struct probe_step say(struct probe *p, enum phase phase, size_t take, const char *verb,
                             struct span words, const char *end)
{
    const struct span part[] = {span_of(verb), words, span_of(end)};

    p->phase = phase;
    return probe_going(take, reply_join(p->command, sizeof p->command, part, 3));
}

static struct span our_name(const struct probe *p)
{
    return span_first(span_of(p->wish.hostname), HOSTNAME_MAX);
}

static struct probe_step say_mail(struct probe *p, size_t take)
{
    if (attempts[p->attempt].is_from_us)
        return say(p, PHASE_MAIL, take, "MAIL FROM:<postmaster@", our_name(p), ">\r\n");
    return say(p, PHASE_MAIL, take, "MAIL FROM:<>", (struct span){0}, "\r\n");
}

static struct probe_step say_rcpt(struct probe *p, size_t take)
{
    return say(p, PHASE_RCPT, take, "RCPT TO:<", span_of(attempts[p->attempt].recipient), ">\r\n");
}

/* Who refuses to relay for one sender may do so for another. */
static struct probe_step next_attempt(struct probe *p, size_t take)
{
    const bool is_doubted =
        p->relay == PROBE_RELAY_REFUSED && p->wish.doubts_refusal && p->attempt < FIRST_FROM_US;

    p->attempt = is_doubted ? FIRST_FROM_US : p->attempt + 1;
    if ((is_doubted || p->relay == PROBE_RELAY_UNKNOWN) && p->attempt < ATTEMPTS)
        return say_mail(p, take);
    return finish(p, take);
}

static struct probe_step approached(struct probe *p, size_t take)
{
    if (!p->wish.learns && !p->wish.tries_relay)
        return finish(p, take);
    return say(p, PHASE_EHLO, take, "EHLO ", our_name(p), "\r\n");
}

static struct probe_step after_hello(struct probe *p, size_t take)
{
    return p->wish.tries_relay ? say_mail(p, take) : finish(p, take);
}

/* A refusal may be for the address, a list, or the weather; only one that speaks of relaying, or
 * one of every attempt for good, is an answer. 501 says that it cannot read the address. */
static void judge_recipient(struct probe *p, unsigned code)
{
    if (code < 300)
        p->relay = PROBE_RELAY_ACCEPTED;
    else if (p->is_clear || code == 530)
        p->relay = PROBE_RELAY_REFUSED;
    else if (code >= 500 && code != 501 && ++p->refusals == ATTEMPTS)
        p->relay = PROBE_RELAY_REFUSED;
}

/* RFC 5321, section 3.2: who does not know EHLO has no extension. */
static bool is_known(unsigned code)
{
    return code < 300 || code >= 500;
}

/* A whole reply: what next? */
static struct probe_step answered(struct probe *p, unsigned code, size_t take)
{
    const bool is_good = code < 300;

    switch ((enum phase)p->phase) {
    case PHASE_EHLO:
        p->learned.is_known = is_known(code);
        if (p->wish.tells_identity && !p->is_trusting)
            return probe_sick(take, SMTP_APPROACH_NO_XCLIENT);
        if (is_good)
            return after_hello(p, take);
        return say(p, PHASE_HELO, take, "HELO ", our_name(p), "\r\n");
    case PHASE_HELO:
        if (is_good)
            return after_hello(p, take);
        p->learned.is_known = false; /* it dislikes our name, maybe not that of others */
        return finish(p, take);
    case PHASE_MAIL: return is_good ? say_rcpt(p, take) : next_attempt(p, take);
    case PHASE_RCPT:
        judge_recipient(p, code);
        return say(p, PHASE_RSET, take, "RSET", (struct span){0}, "\r\n");
    case PHASE_RSET: return next_attempt(p, take);
    case PHASE_APPROACH:
    case PHASE_QUIT: break;
    }
    return probe_over(take);
}

/* `relay` in one of its forms, as a word of its own: host names may have it as a part. */
static bool speaks_of_relaying(struct span text)
{
    static const struct span words[] = {SPAN("relay"), SPAN("relaying"), SPAN("relayed")};

    while (text.len > 0) {
        struct span word = text;
        const char *blank = memchr(text.data, ' ', text.len);

        if (blank != NULL)
            word = span_first(text, (size_t)(blank - text.data));
        text = span_skip(text, word.len + 1);
        while (word.len > 0 && memchr(".,;:!", word.data[word.len - 1], 5) != NULL)
            word = span_first(word, word.len - 1);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (span_equals(word, words[i]))
                return true;
    }
    return false;
}

/* The old form `AUTH=LOGIN` means what `AUTH LOGIN` does (RFC 4954 has the new one alone). */
static void keep_capability(struct learned *to, struct span text)
{
    static const struct span old = SPAN("AUTH=");
    char line[SMTP_REPLY_LINE_MAX];

    if (span_starts(text, old)) {
        memcpy(line, text.data, text.len);
        line[old.len - 1] = ' ';
        text.data = line;
    }
    learned_add(to, text);
}

static void note_capability(struct probe *p, struct span text)
{
    keep_capability(&p->learned, text);
    if (span_equals(learned_keyword(text), (struct span)SPAN("STARTTLS")))
        p->offers_tls = true; /* in the clear, or there it was before */
    p->is_trusting = p->is_trusting || smtp_approach_is_trust(text);
}

/* A refusal that is clear stays what it answered, unless it takes another attempt. */
static bool is_news(const struct probe *p, unsigned code)
{
    return p->relay != PROBE_RELAY_REFUSED || (p->phase == PHASE_RCPT && code < 300);
}

/* One line of a reply. */
static void note_line(struct probe *p, unsigned code, struct span text, bool is_first)
{
    switch ((enum phase)p->phase) {
    case PHASE_EHLO:
        if (!is_first && code < 300)
            note_capability(p, span_skip(text, 4));
        break;
    case PHASE_HELO:
    case PHASE_MAIL:
        if (is_first && is_news(p, code))
            probe_keep(p->answer, text);
        break;
    case PHASE_RCPT:
        if (is_first && is_news(p, code))
            probe_keep(p->answer, text);
        p->is_clear = (!is_first && p->is_clear) || speaks_of_relaying(span_skip(text, 4));
        break;
    case PHASE_APPROACH:
    case PHASE_RSET:
    case PHASE_QUIT: break;
    }
}

/* What follows from a single line; true: the probe need not wait for the rest of the reply. */
static bool is_decided(struct probe *p, unsigned code, size_t len, struct probe_step *step)
{
    if (code == 421 && p->phase < PHASE_MAIL) {
        *step = probe_sick(len, "it answers EHLO with 421");
    } else if (code == 421) {
        *step = finish(p, len); /* all but relaying is known */
    } else if (p->reply_len > REPLY_MAX) {
        *step = probe_sick(len, "its reply has no end");
    } else {
        return false;
    }
    return true;
}

/* Behind a whole greeting. */
static struct span early(const struct probe *p, struct span window)
{
    struct smtp_client reply = {0};
    size_t len = 0;

    if (p->approach.phase != APPROACH_AT_GREETING ||
        smtp_client_whole(&reply, window, &len) != SMTP_CLIENT_LAST || reply.code != 220)
        return (struct span){0};
    return span_skip(window, len);
}

/* Be it a 554. */
static bool is_greeting(struct span window)
{
    struct smtp_client reply = {0};
    struct line line;
    const enum smtp_client_result result = smtp_client_line(&reply, window, &line);

    return result == SMTP_CLIENT_LINE || result == SMTP_CLIENT_LAST;
}

static void overhear_offers(struct probe *p, struct span window)
{
    struct smtp_client reply = {0};
    struct line line;
    size_t len;

    if (p->approach.phase != APPROACH_AT_OFFERS || !probe_is_on_its_way(p) ||
        smtp_client_whole(&reply, window, &len) != SMTP_CLIENT_LAST)
        return;
    p->clear.is_known = is_known(reply.code);
    if (reply.code >= 300)
        return;
    for (bool is_first = true; line_find(window, len, &line) == LINE_FOUND; is_first = false) {
        if (!is_first)
            keep_capability(&p->clear, span_skip(line.text, 4));
        window = span_skip(window, line.take);
    }
}

static struct probe_step approach(struct probe *p, struct span window)
{
    struct approach_step step;

    if (probe_has_injected(p))
        return finish(p, 0);
    p->has_greeted = p->has_greeted || is_greeting(window);
    probe_overhear(p, window, early(p, window));
    overhear_offers(p, window);
    step = smtp_approach_step(&p->approach, window, p->command);
    if (step.state != APPROACH_READY)
        return probe_approached(p, &step, window, &injected);
    return approached(p, step.take);
}

static struct probe_step talk(struct probe *p, struct span window)
{
    size_t take = 0;

    for (;;) {
        const bool is_first = p->code == 0;
        struct smtp_client reply = {.code = p->code};
        struct probe_step step;
        struct line line;
        enum smtp_client_result result = smtp_client_line(&reply, span_skip(window, take), &line);

        if (result == SMTP_CLIENT_PARTIAL)
            return probe_going(take, (struct span){0});
        if (result == SMTP_CLIENT_BAD)
            return probe_sick(window.len, "what it says is no reply");
        take += line.take;
        p->code = reply.code;
        p->reply_len += line.take;
        note_line(p, reply.code, line.text, is_first);
        if (is_decided(p, reply.code, window.len, &step))
            return step;
        if (result == SMTP_CLIENT_LINE)
            continue;
        p->code = 0;
        p->reply_len = 0;
        if (take < window.len)
            return probe_sick(window.len, "it talks before it is asked");
        return answered(p, reply.code, take);
    }
}

/* Only 221 is sure to be for the QUIT. What comes second need be no reply to be one too many. */
static struct probe_step goodbye(struct probe *p, struct span window)
{
    size_t take = 0;

    for (;;) {
        struct smtp_client reply = {.code = p->code};
        const struct span rest = span_skip(window, take);
        struct line line;
        const enum smtp_client_result result = smtp_client_line(&reply, rest, &line);
        const bool is_own = reply.code == 221;

        if (result == SMTP_CLIENT_PARTIAL)
            return probe_going(take, (struct span){0});
        if (result == SMTP_CLIENT_LINE && p->reply_len + line.take <= REPLY_MAX) {
            p->code = reply.code;
            p->reply_len += line.take;
        } else if (probe_hear_farewell(p, rest, is_own) || is_own || result != SMTP_CLIENT_LAST) {
            return probe_over(window.len);
        }
        take += line.take;
    }
}

struct probe_step smtp_probe_step(struct probe *p, struct span window)
{
    switch ((enum phase)p->phase) {
    case PHASE_APPROACH: return approach(p, window);
    case PHASE_QUIT: return goodbye(p, window);
    case PHASE_EHLO:
    case PHASE_HELO:
    case PHASE_MAIL:
    case PHASE_RCPT:
    case PHASE_RSET: break;
    }
    return talk(p, window);
}
