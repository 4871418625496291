/* SPDX-License-Identifier: ISC */
/* What a backend says, on its way to the client: its greeting; then each reply is paired with the
 * command that it answers, and what no server may say here ends the session. A reply passes when all
 * of it is there. */
#include <assert.h>

#include "protocols/pop3_approach.h"
#include "protocols/pop3_capabilities.h"
#include "protocols/pop3_client.h"
#include "protocols/pop3_machine.h"
#include "protocols/reply.h"
#include "protocols/sasl.h"
#include "protocols/verdict.h"

/* The line as the client gets it. */
static struct span with_end(const struct pop3_server *p, struct span text)
{
    const struct span part[] = {text, LINE_END};

    return reply_join(p->base.space, EVENT_SPACE, part, 2);
}

static struct verdict pass_line(const struct pop3_server *p, const struct line *line)
{
    return verdict_send(SIDE_CLIENT, line->take, with_end(p, line->text));
}

/* ---- the greeting ---- */

/* The line, without Dovecot's offer to those whom it trusts: XCLIENT does not pass. */
static struct span without_offer(const struct pop3_server *p, struct span greeting)
{
    static const struct span offer = SPAN("+OK [XCLIENT]"), ok = SPAN("+OK");
    bool is_offered = span_starts(greeting, offer);
    const struct span part[] = {
        span_first(ok, is_offered ? ok.len : 0),
        span_skip(greeting, is_offered ? offer.len : 0),
        LINE_END,
    };

    return reply_join(p->base.space, EVENT_SPACE, part, 3);
}

/* The backend's, or what the administrator wrote in its place. window: begins with it */
static struct verdict pass_greeting(struct pop3_server *p, struct span window)
{
    struct line line = {0};
    enum line_result found = line_find(window, window.len, &line);

    assert(found == LINE_FOUND);
    p->has_timestamp = p->base.policy->greeting == NULL;
    return verdict_send(SIDE_CLIENT, line.take,
                        p->has_timestamp ? without_offer(p, line.text) : pop3_greeting(p));
}

/* Where the client had none of ours, it gets the backend's; but not one from before the backend's
 * TLS, nor from before it knew who the client is. */
struct verdict pop3_connect_step(struct pop3_server *p, struct span window)
{
    const struct approach_step step = pop3_approach_step(&p->approach, window, p->base.space);
    struct verdict v;

    if (step.state != APPROACH_READY)
        return approach_verdict(&step);
    if (p->base.policy->tls == FRONT_STARTTLS)
        v = verdict_more(step.take);
    else if (approach_is_greeting_alone(&p->approach))
        v = pass_greeting(p, window);
    else
        v = verdict_send(SIDE_CLIENT, step.take, pop3_greeting(p));
    p->phase = POP3_GATE;
    v.note = NOTE_GREETED;
    return v;
}

/* ---- replies ---- */

static enum pop3_pending first_pending(const struct pop3_server *p)
{
    return (enum pop3_pending)p->pending[p->first];
}

/* Its reply is here. */
static void answered(struct pop3_server *p)
{
    p->pending_count--;
    p->first = (p->first + 1) % POP3_OUTSTANDING_MAX;
}

/* A list, filtered according to what was asked. */
static struct verdict list(struct pop3_server *p, struct span window)
{
    const enum pop3_pending asked = first_pending(p);
    const enum pop3_capabilities kind = asked == PENDING_CAPA         ? POP3_CAPABILITIES
                                        : asked == PENDING_MECHANISMS ? POP3_MECHANISMS
                                                                      : POP3_OTHER_LIST;
    size_t len;

    switch (pop3_list_find(window, &len)) {
    case POP3_LIST_PARTIAL: return verdict_more(0);
    case POP3_LIST_BAD: return pop3_violation(window);
    case POP3_LIST_WHOLE: break;
    }
    answered(p);
    return verdict_send(SIDE_CLIENT, len,
                        pop3_capabilities_rewrite(span_first(window, len), kind, p->base.policy,
                                                  p->base.is_secure, p->base.space, EVENT_SPACE));
}

static struct verdict tunnel(const struct pop3_server *p, const struct line *line)
{
    return verdict_tunnel(SIDE_CLIENT, line->take, with_end(p, line->text));
}

static struct verdict success(struct pop3_server *p, struct span window, const struct line *line)
{
    /* Before the client has said its part of an exchange there is nothing to accept. */
    if (pop3_is_quiet(p) || pop3_is_clients_turn(p))
        return pop3_violation(window);
    switch (first_pending(p)) {
    case PENDING_LINE: answered(p); return pass_line(p, line);
    case PENDING_CAPA:
    case PENDING_LIST:
    case PENDING_MECHANISMS: return list(p, window);
    case PENDING_AUTH:
        if (!p->has_credentials)
            return pop3_violation(window); /* no mechanism lets nobody in */
        return tunnel(p, line);
    case PENDING_LOGIN: return tunnel(p, line);
    case PENDING_CANCELLED: return pop3_violation(window); /* RFC 5034, section 4 */
    case PENDING_QUIT: break;
    }
    return verdict_close(window.len, server_without_tls(&p->base, END_CLIENT_QUIT),
                         with_end(p, line->text));
}

/* Servers that tire of waiting say so before they close, though nobody asked. What follows cannot be
 * paired with commands any more. */
static struct verdict goodbye(const struct pop3_server *p, struct span window,
                              const struct line *line)
{
    return verdict_close(window.len, pop3_is_quiet(p) ? END_BACKEND_CLOSED : END_BACKEND_LOST,
                         with_end(p, line->text));
}

static struct verdict failure(struct pop3_server *p, struct span window, const struct line *line)
{
    struct verdict v = pass_line(p, line);
    enum pop3_pending asked;

    if (pop3_is_quiet(p) || pop3_is_clients_turn(p))
        return goodbye(p, window, line);
    asked = first_pending(p);
    answered(p);
    if (asked == PENDING_LOGIN ||
        ((asked == PENDING_AUTH || asked == PENDING_CANCELLED) && p->has_credentials))
        v.note = pop3_login_refused(p, line->text);
    server_refused(&p->base);
    /* RFC 2449 is optional, but a client must learn of STLS. */
    if (asked == PENDING_CAPA && server_is_alone(p->base.policy, p->base.is_secure))
        v.text =
            pop3_capabilities_reply(p->base.policy, p->base.learned, p->base.space, EVENT_SPACE);
    return v;
}

static struct verdict challenge(struct pop3_server *p, struct span window, const struct line *line)
{
    if (pop3_is_quiet(p) || pop3_is_clients_turn(p) || first_pending(p) != PENDING_AUTH)
        return pop3_violation(window);
    p->input = INPUT_RESPONSE;
    return pass_line(p, line);
}

struct verdict pop3_answer_step(struct pop3_server *p, struct span window)
{
    bool is_exchange = !pop3_is_quiet(p) && first_pending(p) == PENDING_AUTH;
    struct line line;

    switch (pop3_reply_find(window, is_exchange ? SASL_LINE_MAX : POP3_REPLY_LINE_MAX, &line)) {
    case POP3_REPLY_PARTIAL: return verdict_more(0);
    case POP3_REPLY_OK: return success(p, window, &line);
    case POP3_REPLY_ERR: return failure(p, window, &line);
    case POP3_REPLY_CHALLENGE: return challenge(p, window, &line);
    case POP3_REPLY_BAD: break;
    }
    return pop3_violation(window);
}
