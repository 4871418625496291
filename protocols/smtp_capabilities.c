/* SPDX-License-Identifier: ISC */
/* The backend's reply to EHLO on its way to the client: extensions that end at us are taken out.
 * Every verdict sends something, so what is dropped goes with the octets that are sent next, or
 * last. */
#include "protocols/smtp_capabilities.h"

#include <assert.h>

#include "protocols/reply.h"
#include "protocols/smtp_client.h"
#include "protocols/smtp_verb.h"
#include "protocols/verdict.h"

static const struct span hidden[] = {
    /* TLS ends here, and so do claims to another's identity and what would turn the session around.
     */
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
    /* The gate does not pass these verbs. */
    SPAN("AUTH"),
    SPAN("CHUNKING"),
    SPAN("BINARYMIME"), /* RFC 3030: needs BDAT */
    SPAN("BURL"),
    SPAN("ETRN"),
};

void smtp_capabilities_init(struct smtp_capabilities *c)
{
    *c = (struct smtp_capabilities){.at = CAPABILITIES_AT_GREETING};
}

/* Keyword (RFC 5321, section 4.1.1.1) up to whatever cannot be part of one: `AUTH=LOGIN` is AUTH.
 */
static struct span keyword(struct span text)
{
    struct span word = span_skip(text, 4);
    size_t len = 0;

    while (word.len > 0 && smtp_is_blank(word.data[0]))
        word = span_skip(word, 1);
    while (len < word.len) {
        char c = ascii_lower(word.data[len]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            break;
        len++;
    }
    return span_first(word, len);
}

static bool is_hidden(const struct policy *policy, struct span text)
{
    struct span word = keyword(text);

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (span_equals(word, hidden[i]))
            return true;
    for (size_t i = 0; i < policy->hide_capabilities.count; i++)
        if (span_equals(word, span_of(policy->hide_capabilities.word[i])))
            return true;
    return false;
}

/* The reply was checked before it came here. */
static struct line checked_line(struct span window, bool *is_last)
{
    struct line line = {0};
    struct reply_line reply = {0};
    enum line_result found = line_find(window, SMTP_REPLY_LINE_MAX, &line);
    bool is_reply = found == LINE_FOUND && reply_line_parse(line.text, &reply);

    assert(is_reply);
    *is_last = reply.is_last;
    return line;
}

/* Octets of the lines at the front that are to be dropped. is_last: the reply's last line is among
 * them. */
static size_t hidden_run(const struct policy *policy, struct span window, bool *is_last)
{
    size_t run = 0;

    *is_last = false;
    while (!*is_last) {
        bool ends_reply;
        struct line line = checked_line(span_skip(window, run), &ends_reply);

        if (!is_hidden(policy, line.text))
            break;
        run += line.take;
        *is_last = ends_reply;
    }
    return run;
}

/* A line that is kept, behind `run` octets that are not. True: its prefix must be sent anew. */
static bool begin_line(struct smtp_capabilities *c, const struct policy *policy, struct span window,
                       size_t run, size_t *prefix_len)
{
    struct line line = checked_line(span_skip(window, run), &c->is_last);
    size_t tail;

    c->tail = 0;
    if (!c->is_last) {
        tail = hidden_run(policy, span_skip(window, run + line.take), &c->is_last);
        if (c->is_last)
            c->tail = tail;
    }
    c->at = CAPABILITIES_AT_TEXT;
    *prefix_len = span_first(line.text, sizeof(c->prefix)).len;
    memcpy(c->prefix, line.text.data, *prefix_len);
    c->prefix[3] = c->is_last ? ' ' : '-';
    return run > 0 || (*prefix_len > 3 && c->prefix[3] != line.text.data[3]);
}

struct verdict smtp_capabilities_step(struct smtp_capabilities *c, const struct policy *policy,
                                      struct span window, bool *is_done)
{
    struct line line;
    size_t run = 0, prefix_len;
    bool is_whole = false;

    if (c->at == CAPABILITIES_AT_GREETING || c->at == CAPABILITIES_AT_LINE) {
        if (c->at == CAPABILITIES_AT_LINE)
            run = hidden_run(policy, window, &is_whole);
        assert(!is_whole); /* a tail is dropped with the line before it */
        *is_done = false;
        if (begin_line(c, policy, window, run, &prefix_len))
            return verdict_send(SIDE_CLIENT, run + prefix_len,
                                (struct span){c->prefix, prefix_len});
    }
    is_whole = line_find(window, SMTP_REPLY_LINE_MAX, &line) == LINE_FOUND;
    assert(is_whole);
    if (c->at == CAPABILITIES_AT_TEXT && line.text.len > 0 && (c->tail > 0 || !line.is_crlf)) {
        c->at = CAPABILITIES_AT_END;
        *is_done = false;
        return verdict_forward(SIDE_CLIENT, line.text.len);
    }
    *is_done = c->is_last;
    c->at = CAPABILITIES_AT_LINE;
    if (c->tail == 0 && line.is_crlf)
        return verdict_forward(SIDE_CLIENT, line.take);
    return verdict_send(SIDE_CLIENT, line.take + c->tail, LINE_END);
}
