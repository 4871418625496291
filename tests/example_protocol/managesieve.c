/* SPDX-License-Identifier: ISC */
/* ManageSieve (RFC 5804): the server role, played toward the client up to its login. */
#include "tests/example_protocol/managesieve.h"

#include "protocols/foreign.h"
#include "protocols/reply.h"
#include "protocols/sasl.h"
#include "protocols/server.h"
#include "protocols/verdict.h"
#include "protocols/word.h"

/*
 * PREAMBLE ──STARTTLS──▶ (a blank machine) CONNECTING ──its list and OK──▶ GATE ──OK to a login──▶ the tunnel
 *     └──policy = opportunistic: AUTHENTICATE──▶┘  └─┘ the next backend      └──STARTTLS──▶ (a blank machine)
 */
enum phase {
    PREAMBLE,   /* no backend: we speak alone */
    CONNECTING, /* the client waits for a backend that will have it */
    GATE,       /* commands and replies pass, one at a time, until a login succeeds */
};

/* What the gate waits for. While it is a reply, the client is not read. */
enum awaited {
    A_COMMAND,
    A_REPLY,
    A_LIST,     /* to CAPABILITY */
    A_GOODBYE,  /* to LOGOUT */
    A_VERDICT,  /* to a login: a challenge, or the end of it */
    A_RESPONSE, /* of the client's, to a challenge */
    A_REFUSAL,  /* of a login that was cancelled */
};

struct sieve_server {
    struct server base;
    enum phase phase;
    enum awaited awaited;
    struct approach approach; /* to the backend; over in the gate */
    bool has_credentials;     /* of the login under way: something was sent */
};

static const struct span too_many = SPAN("BYE \"Too many errors\"\r\n");

/* The backend is gone, or (note) says what no server may say here. */
static struct verdict lost(size_t take, enum note note)
{
    return verdict_close_noted(
        take, END_BACKEND_LOST,
        (struct span)SPAN("BYE (TRYLATER) \"Server lost, try again later\"\r\n"), note);
}

static struct verdict refuse(struct sieve_server *s, size_t take, struct span text)
{
    server_strike(&s->base, too_many);
    return verdict_send(SIDE_CLIENT, take, text);
}

/* Nothing is owed to the client. */
static bool is_at_rest(const struct sieve_server *s)
{
    return s->awaited == A_COMMAND || s->awaited == A_RESPONSE;
}

static struct verdict pass(struct sieve_server *s, size_t take, enum awaited awaited)
{
    s->awaited = awaited;
    return verdict_forward(SIDE_BACKEND, take);
}

/* ---- commands ---- */

/* A command, its words still to be read. */
struct command {
    struct span window; /* it stands at the front */
    size_t take;
    struct span rest; /* behind the verb */
};

static struct verdict run_capability(struct sieve_server *s, const struct command *c)
{
    if (s->phase == GATE)
        return pass(s, c->take, A_LIST);
    return verdict_send(SIDE_CLIENT, c->take,
                        sieve_list_own(s->base.policy, s->base.learned, (struct span)SPAN("OK\r\n"),
                                       s->base.space));
}

static struct verdict run_noop(struct sieve_server *s, const struct command *c)
{
    return s->phase == GATE ? pass(s, c->take, A_REPLY)
                            : verdict_send(SIDE_CLIENT, c->take, (struct span)SPAN("OK\r\n"));
}

static struct verdict run_logout(struct sieve_server *s, const struct command *c)
{
    return s->phase == GATE
               ? pass(s, c->take, A_GOODBYE)
               : verdict_close(c->window.len, server_without_tls(&s->base, END_CLIENT_QUIT),
                               (struct span)SPAN("OK \"Bye\"\r\n"));
}

/* What came in the same breath was sent in the clear by whoever (CVE-2011-0411). Behind the handshake
 * a blank machine begins. */
static struct verdict run_starttls(struct sieve_server *s, const struct command *c)
{
    struct verdict v = verdict_send(SIDE_CLIENT, c->take,
                                    (struct span)SPAN("OK \"Begin TLS negotiation now\"\r\n"));

    if (s->base.is_secure || s->base.policy->tls != FRONT_STARTTLS)
        return refuse(s, c->take, (struct span)SPAN("NO \"No STARTTLS here\"\r\n"));
    if (c->window.len > c->take)
        return verdict_close_noted(c->window.len, END_VIOLATION,
                                   (struct span)SPAN("BYE \"Octets behind STARTTLS\"\r\n"),
                                   NOTE_INJECTION);
    v.kind = VERDICT_START_TLS;
    return v;
}

static struct verdict run_authenticate(struct sieve_server *s, const struct command *c)
{
    struct span rest = c->rest, mechanism, response = {0};
    bool is_whole = sieve_string_next(&rest, &mechanism) && sasl_is_mechanism(mechanism);

    if (is_whole && rest.len > 0) {
        rest = word_skip_blanks(rest);
        is_whole = sieve_string_next(&rest, &response) && rest.len == 0;
    }
    if (!is_whole || !sasl_is_response(response))
        return refuse(s, c->take, (struct span)SPAN("NO \"Syntax error in the command\"\r\n"));
    if (!server_may_log_in(s->base.policy, s->base.is_secure)) {
        struct verdict v =
            refuse(s, c->take, (struct span)SPAN("NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n"));

        v.note = NOTE_TLS_NEEDED;
        s->base.is_told = true;
        return v;
    }
    if (!sasl_may_pass(mechanism, true))
        return refuse(s, c->take, (struct span)SPAN("NO \"Mechanism not available\"\r\n"));
    if (s->phase == PREAMBLE) {
        s->phase = CONNECTING; /* the command stays where it is until a backend is there */
        return verdict_connect();
    }
    s->has_credentials = response.len > 0;
    return pass(s, c->take, A_VERDICT);
}

static struct verdict run_spoof(struct sieve_server *s, const struct command *c)
{
    struct verdict v = refuse(s, c->take, (struct span)SPAN("NO \"Not allowed\"\r\n"));

    v.note = NOTE_SPOOF;
    return v;
}

/* An allow-list: what we do not understand the backend does not get. */
static const struct {
    struct span verb;
    bool has_argument;
    struct verdict (*run)(struct sieve_server *s, const struct command *c);
} commands[] = {
    {SPAN("AUTHENTICATE"), true, run_authenticate},
    {SPAN("CAPABILITY"), false, run_capability},
    {SPAN("LOGOUT"), false, run_logout},
    {SPAN("NOOP"), false, run_noop},
    {SPAN("STARTTLS"), false, run_starttls},
    {SPAN("XCLIENT"), true, run_spoof},
};

static struct verdict run(struct sieve_server *s, struct span window,
                          const struct sieve_sentence *sentence)
{
    struct command c = {.window = window, .take = sentence->take, .rest = sentence->text};
    struct span verb = word_next(&c.rest);

    c.rest = word_skip_blanks(c.rest);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (verb.data == sentence->text.data && span_equals(verb, commands[i].verb) &&
            (commands[i].has_argument || c.rest.len == 0))
            return commands[i].run(s, &c);
    if (foreign_is_http(sentence->text))
        return verdict_close_noted(window.len, END_VIOLATION, (struct span){0}, NOTE_HTTP);
    return refuse(s, c.take, (struct span)SPAN("NO \"Not before a login\"\r\n"));
}

/* A response passes if it is one string of base64. What is none is replaced by what cancels, and so
 * is a cancellation: from there on the backend can but refuse. */
static struct verdict run_response(struct sieve_server *s, const struct sieve_sentence *sentence)
{
    static const struct span star = SPAN("*");
    struct span rest = sentence->text, response;

    if (sieve_string_next(&rest, &response) && rest.len == 0 && sasl_is_response(response)) {
        if (!span_equals(response, star)) {
            s->has_credentials = true;
            return pass(s, sentence->take, A_VERDICT);
        }
    } else {
        server_strike(&s->base, too_many);
    }
    s->awaited = A_REFUSAL;
    return verdict_send(SIDE_BACKEND, sentence->take, (struct span)SPAN("\"*\"\r\n"));
}

static struct verdict client_step(struct sieve_server *s, struct span window)
{
    struct sieve_sentence sentence;

    if (s->phase == CONNECTING || !is_at_rest(s))
        return verdict_hold();
    if (!s->base.is_secure && foreign_is_client_hello(window))
        return verdict_close_noted(window.len, END_VIOLATION, (struct span){0},
                                   NOTE_TLS_ON_PLAINTEXT_PORT);
    switch (sieve_sentence_find(window, SIDE_CLIENT, &sentence)) {
    case SIEVE_PARTIAL: return verdict_more(0);
    case SIEVE_BAD: /* where it ends others may see otherwise */
        return verdict_close(window.len, server_without_tls(&s->base, END_ERRORS),
                             (struct span)SPAN("BYE \"This is no command\"\r\n"));
    case SIEVE_FOUND: break;
    }
    return s->awaited == A_RESPONSE ? run_response(s, &sentence) : run(s, window, &sentence);
}

/* ---- the backend ---- */

/* Who comes in by TLS has had no list yet, or must have another one behind STARTTLS (section 2.2): it
 * gets the backend's. Whoever waits in the clear has had ours. */
static struct verdict connect_step(struct sieve_server *s, struct span window)
{
    const struct approach_step step = sieve_approach_step(&s->approach, window);
    struct verdict v;

    if (step.state != APPROACH_READY)
        return approach_verdict(&step);
    if (server_is_alone(s->base.policy, s->base.is_secure))
        v = verdict_more(step.take);
    else
        v = verdict_send(SIDE_CLIENT, step.take,
                         sieve_list_rewrite(span_first(window, step.take), s->base.policy,
                                            s->base.is_secure, s->base.space));
    s->phase = GATE;
    v.note = NOTE_GREETED;
    return v;
}

/* The backend's last words, and the end. */
static struct verdict part(const struct sieve_server *s, struct span window, size_t take,
                           enum end end)
{
    const struct span words = span_first(window, take);

    return verdict_close(window.len, end, reply_join(s->base.space, EVENT_SPACE, &words, 1));
}

static struct verdict pass_list(struct sieve_server *s, struct span window)
{
    size_t take;

    switch (sieve_list_find(window, &take)) {
    case SIEVE_REPLY_PARTIAL: return verdict_more(0);
    case SIEVE_REPLY_OK:
    case SIEVE_REPLY_NO: break;
    case SIEVE_REPLY_BYE:
    case SIEVE_REPLY_STRING:
    case SIEVE_REPLY_BAD: return lost(window.len, NOTE_BACKEND_REPLY);
    }
    s->awaited = A_COMMAND;
    return verdict_send(SIDE_CLIENT, take,
                        sieve_list_rewrite(span_first(window, take), s->base.policy,
                                           s->base.is_secure, s->base.space));
}

static struct verdict success(struct sieve_server *s, struct span window, size_t take)
{
    switch (s->awaited) {
    case A_REPLY: s->awaited = A_COMMAND; return verdict_forward(SIDE_CLIENT, take);
    case A_GOODBYE: return part(s, window, take, server_without_tls(&s->base, END_CLIENT_QUIT));
    case A_VERDICT:
        if (s->has_credentials) /* no mechanism lets nobody in */
            return verdict_tunnel(SIDE_CLIENT, take, (struct span){0});
        break;
    case A_COMMAND:
    case A_LIST:
    case A_RESPONSE:
    case A_REFUSAL: break;
    }
    return lost(window.len, NOTE_BACKEND_REPLY);
}

static struct verdict failure(struct sieve_server *s, struct span window, size_t take)
{
    struct verdict v = verdict_forward(SIDE_CLIENT, take);
    const bool is_about_credentials = (s->awaited == A_VERDICT || s->awaited == A_REFUSAL) &&
                                      s->has_credentials &&
                                      !span_starts(window, (struct span)SPAN("NO (TRYLATER)"));

    if (is_at_rest(s))
        return lost(window.len, NOTE_BACKEND_REPLY);
    s->awaited = A_COMMAND;
    if (is_about_credentials) {
        v.note = NOTE_AUTH_FAILED;
        server_login_failed(&s->base, (struct span)SPAN("BYE \"Too many failed logins\"\r\n"));
    }
    return v;
}

/* Replies pass as they are, one at a time: the backend has read what the client said. */
static struct verdict backend_step(struct sieve_server *s, struct span window)
{
    size_t take;

    if (s->awaited == A_LIST)
        return pass_list(s, window);
    switch (sieve_reply_find(window, &take)) {
    case SIEVE_REPLY_PARTIAL: return verdict_more(0);
    case SIEVE_REPLY_OK: return success(s, window, take);
    case SIEVE_REPLY_NO: return failure(s, window, take);
    case SIEVE_REPLY_BYE:
        return part(s, window, take, is_at_rest(s) ? END_BACKEND_CLOSED : END_BACKEND_LOST);
    case SIEVE_REPLY_STRING:
        if (s->awaited != A_VERDICT)
            break;
        s->awaited = A_RESPONSE;
        return verdict_forward(SIDE_CLIENT, take);
    case SIEVE_REPLY_BAD: break;
    }
    return lost(window.len, NOTE_BACKEND_REPLY);
}

/* ---- events ---- */

static void init(void *machine, const struct policy *policy, const struct facts *facts)
{
    *(struct sieve_server *)machine = (struct sieve_server){
        .base = server_blank(policy, facts),
        .phase = server_is_alone(policy, facts->is_secure) ? PREAMBLE : CONNECTING,
    };
}

static struct verdict on_client(const struct sieve_server *s)
{
    return s->phase != PREAMBLE
               ? verdict_connect()
               : verdict_send(SIDE_CLIENT, 0,
                              sieve_list_own(s->base.policy, s->base.learned,
                                             (struct span)SPAN("OK \"starttlsd ready\"\r\n"),
                                             s->base.space));
}

static struct verdict drain(size_t take)
{
    return verdict_close(take, END_DRAINED,
                         (struct span)SPAN("BYE (TRYLATER) \"Shutting down\"\r\n"));
}

/* A client has said all that it will. While it is owed a reply it is held, and so is its end. */
static struct verdict on_eof(const struct sieve_server *s, enum side side)
{
    if (side == SIDE_CLIENT)
        return verdict_close(0, server_without_tls(&s->base, END_CLIENT_CLOSED), (struct span){0});
    return s->phase == GATE && is_at_rest(s)
               ? verdict_close(0, END_BACKEND_CLOSED, (struct span){0})
               : lost(0, NOTE_NONE);
}

static struct verdict on_bytes(struct sieve_server *s, enum side side, struct span window)
{
    if (s->phase == GATE && s->base.is_draining && is_at_rest(s))
        return drain(window.len);
    if (side == SIDE_CLIENT)
        return client_step(s, window);
    return s->phase == GATE ? backend_step(s, window) : connect_step(s, window);
}

static struct verdict step(void *machine, const struct event *event, struct span window)
{
    struct sieve_server *s = machine;
    const bool is_client = event->side == SIDE_CLIENT;

    s->base.space = event->space;
    if (s->base.farewell.end != END_NONE)
        return verdict_close(window.len, s->base.farewell.end, s->base.farewell.text);
    switch (event->kind) {
    case EVENT_BYTES: return on_bytes(s, event->side, window);
    case EVENT_CONNECTED:
        return is_client ? on_client(s)
                         : approach_begin(&s->approach, s->base.policy, s->base.identity, event);
    case EVENT_SECURED:
        s->approach.is_secure = !is_client;
        return is_client ? verdict_connect() : connect_step(s, window);
    case EVENT_BACKEND_FAILED:
        return verdict_close(0, event->reason,
                             (struct span)SPAN("BYE (TRYLATER) \"No server answers\"\r\n"));
    case EVENT_EOF: return on_eof(s, event->side);
    case EVENT_LOST: return lost(0, NOTE_NONE);
    case EVENT_DEADLINE:
        return verdict_close(0, server_without_tls(&s->base, END_TIMEOUT),
                             (struct span)SPAN("BYE \"Timeout\"\r\n"));
    case EVENT_BUSY:
        return verdict_close(0, event->reason,
                             (struct span)SPAN("BYE (TRYLATER) \"Too busy\"\r\n"));
    case EVENT_DRAIN:
        s->base.is_draining = true;
        return s->phase == GATE && !is_at_rest(s) ? verdict_more(0) : drain(0);
    case EVENT_ERROR:
        return verdict_close(0, END_ERROR,
                             (struct span)SPAN("BYE (TRYLATER) \"Out of memory\"\r\n"));
    case EVENT_STOP: break;
    }
    return drain(0);
}

static enum waiting waiting(const void *machine)
{
    const struct sieve_server *s = machine;

    return s->phase == CONNECTING || !is_at_rest(s) ? WAITING_BACKEND : WAITING_CLIENT;
}

static const char *veto(struct span verb)
{
    return "cannot pass: what its reply looks like is not known here";
}

static const char *const alpn[] = {"managesieve", NULL};

const struct protocol managesieve_protocol = {
    .name = "managesieve",
    .alpn = alpn,
    .size = sizeof(struct sieve_server),
    .init = init,
    .step = step,
    .waiting = waiting,
    .probe_init = sieve_probe_init,
    .probe_step = sieve_probe_step,
    .announced = sieve_announced,
    .takes_logins = sieve_takes_logins,
    .veto = veto,
    .clear_port = 4190,
};
