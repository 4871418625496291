/* SPDX-License-Identifier: ISC */
/* The SMTP module against whatever both peers say. The first octet picks the play and the policy,
 * 0xfe separates turns:
 *
 * clear   a client before TLS: where it is enforced nothing may reach a backend
 * wild    client and backend say anything: how it is cut changes nothing
 * strict  the backend is strict_smtp.h's: it must find what the module says that it has passed,
 *         allowed commands, and nothing else */

/* New ways through the module are of interest, not those through its judges. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#include "tests/fuzz/strict_smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const domains[] = {"example.org"};
static const char *const hide[] = {"8BITMIME"};
static const char *const allow[] = {"WIZ"};

static const struct policy policies[] = {
    {.hostname = "mx", .is_enforced = true, .relay = RELAY_BACKEND, .max_errors = 10},
    {.hostname = "mx",
     .is_enforced = true,
     .relay = RELAY_DOMAINS,
     .relay_domains = {domains, 1},
     .hide_capabilities = {hide, 1}},
    {.hostname = "mx",
     .may_auth_in_clear = true,
     .relay = RELAY_BACKEND,
     .allow_commands = {allow, 1}},
    {.hostname = "mx",
     .relay = RELAY_DOMAINS,
     .relay_domains = {domains, 1},
     .bare_newline = BARE_NEWLINE_REJECT,
     .max_errors = 3},
    {.hostname = "mx", .tls = FRONT_IMPLICIT, .relay = RELAY_LOGIN, .max_auth_failures = 3},
    {.hostname = "mx",
     .tls = FRONT_NONE,
     .relay = RELAY_BACKEND,
     .bare_newline = BARE_NEWLINE_PASS},
    {.hostname = "mx", .is_enforced = true, .relay = RELAY_LOGIN, .max_auth_failures = 1},
    {.hostname = "mx", .relay = RELAY_LOGIN, .may_auth_in_clear = true, .greeting = "words"},
    {.hostname = "mx",
     .tls = FRONT_NONE,
     .relay = RELAY_BACKEND,
     .backend_tls = BACKEND_TLS_STARTTLS,
     .is_backend_enforced = true},
    {.hostname = "mx", .relay = RELAY_BACKEND, .backend_tls = BACKEND_TLS_STARTTLS},
    {.hostname = "mx", .tls = FRONT_IMPLICIT, .relay = RELAY_BACKEND, .tells_identity = true},
    {.hostname = "mx",
     .is_enforced = true,
     .relay = RELAY_BACKEND,
     .backend_tls = BACKEND_TLS_STARTTLS,
     .is_backend_enforced = true,
     .tells_identity = true},
};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152}};

#define POLICIES (sizeof(policies) / sizeof(policies[0]))

/* TLS has been started in the course of a play. */
static bool has_shaken;

static void begin(struct player *p, const struct policy *policy)
{
    static const char text[] = "PIPELINING\nAUTH PLAIN\nXCLIENT\n";
    static const struct learned learned = {true, sizeof(text) - 1,
                                           "PIPELINING\nAUTH PLAIN\nXCLIENT\n"};
    const struct facts facts = {.learned = policy->relay == RELAY_BACKEND ? NULL : &learned,
                                .identity = &client};

    account_begin(on_account);
    told.len = told_open = 0;
    player_begin(p, &account_protocol, policy, &facts);
}

static void enter_gate(struct player *p, const struct policy *policy)
{
    begin(p, policy);
    if (policy->tls == FRONT_NONE)
        player_event(p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    else
        player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(p, SIDE_BACKEND, "220 x\r\n", 7);
}

/* cut: in single octets, where that must not matter. Not where there are many: each is a copy of the
 * line so far. */
static void feed(struct player *p, enum side side, struct span input, bool cut)
{
    size_t piece = !cut ? input.len : input.len < 600 ? 1 : 89;

    for (size_t at = 0; at < input.len; at += piece) {
        struct span rest = span_first(span_skip(input, at), piece);

        player_feed(p, side, rest.data, rest.len);
    }
}

static void event(struct player *p, char what)
{
    switch (what) {
    case 'E': player_event(p, EVENT_EOF, SIDE_CLIENT, END_NONE); break;
    case 'F': player_event(p, EVENT_EOF, SIDE_BACKEND, END_NONE); break;
    case 'L': player_event(p, EVENT_LOST, SIDE_BACKEND, END_NONE); break;
    case 'D': player_event(p, EVENT_DRAIN, SIDE_CLIENT, END_NONE); break;
    case 'T': player_event(p, EVENT_DEADLINE, SIDE_CLIENT, END_NONE); break;
    case 'S': player_event(p, EVENT_STOP, SIDE_CLIENT, END_NONE); break;
    case 'V':
        if (p->is_backend_shaking)
            player_event(p, EVENT_SECURED, SIDE_BACKEND, END_NONE);
        break;
    case 'N':
        if (p->is_connecting && !p->is_connected)
            player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        break;
    default: break;
    }
}

static struct span next_turn(struct span *play)
{
    const char *end = play->len == 0 ? NULL : memchr(play->data, 0xfe, play->len);
    struct span turn = end == NULL ? *play : span_first(*play, (size_t)(end - play->data));

    *play = span_skip(*play, turn.len + 1);
    return turn;
}

static void play_clear(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    begin(p, policy);
    player_event(p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    while (play.len > 0 && p->outcome == VERDICT_MORE)
        feed(p, SIDE_CLIENT, next_turn(&play), cut);
    PROMISE(p->received[SIDE_BACKEND].len == 0);
    PROMISE(!policy->is_enforced || p->outcome != VERDICT_CONNECT);
}

static void play_wild(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    enter_gate(p, policy);
    while (play.len > 0 && !player_is_over(p)) {
        struct span turn = next_turn(&play);
        char what = turn.len > 0 ? turn.data[0] : 'C';
        bool is_client_waiting = p->is_held[SIDE_CLIENT] &&
                                 (p->window[SIDE_CLIENT].len > 0 || p->has_closed[SIDE_CLIENT]);

        turn = span_skip(turn, 1);
        if (what == 'C')
            feed(p, SIDE_CLIENT, turn, cut);
        else if (what == 'B') /* a client that waits goes on between replies, and so do we on our
                                 way to the gate: there, cuts do matter */
            feed(p, SIDE_BACKEND, turn, cut && !is_client_waiting && !p->is_connecting);
        else
            event(p, what);
    }
}

#define CONNECTS_MAX 6

/* Another backend, or the last has been tried. */
static void connect_next(struct player *p, struct reader *r)
{
    if (p->received[SIDE_BACKEND].len > r->seen) /* the goodbye to the one before */
        found(THING_OWN, p->received[SIDE_BACKEND].len - r->seen);
    PROMISE(told.len == 0);
    *r = (struct reader){.seen = p->received[SIDE_BACKEND].len, .connects = r->connects + 1};
    if (r->connects > CONNECTS_MAX)
        player_event(p, EVENT_BACKEND_FAILED, SIDE_BACKEND, END_BACKEND_REFUSED);
    else
        player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
}

static void shake_hands(struct player *p, struct reader *r, uint8_t whim)
{
    r->is_secure = (whim & 7) != 7;
    player_event(p, r->is_secure ? EVENT_SECURED : EVENT_LOST, SIDE_BACKEND, END_NONE);
}

/* What the world does of itself: backends greet, and answer; handshakes succeed. */
static void serve(struct player *p, struct reader *r, struct span whims, size_t *turns)
{
    while (!player_is_over(p)) {
        uint8_t whim = (uint8_t)whims.data[*turns % whims.len];
        const char *answer = "220 x\r\n";

        if (p->is_shaking) {
            has_shaken = true;
            player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
            continue;
        }
        if (p->is_backend_shaking) {
            ++*turns;
            shake_hands(p, r, whim);
            continue;
        }
        if (p->is_connecting && !p->is_connected)
            connect_next(p, r);
        else
            answer = read_one(r, p, whim);
        if (answer == NULL)
            break;
        ++*turns;
        player_feed(p, SIDE_BACKEND, answer, strlen(answer));
    }
}

static void play_strict(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    struct span whims = play;
    struct reader r = {0};
    size_t turns = 0;

    if (policy->tls == FRONT_STARTTLS && !policy->is_enforced) {
        begin(p, policy);
        player_event(p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    } else {
        enter_gate(p, policy);
    }
    while (play.len > 0 && !player_is_over(p)) {
        feed(p, SIDE_CLIENT, next_turn(&play), cut);
        serve(p, &r, whims, &turns);
        PROMISE((p->notes & 1u << NOTE_BACKEND_REPLY) == 0); /* it and we agree on what was asked */
    }
    PROMISE(player_is_over(p) || told.len == 0);
    PROMISE(p->outcome != VERDICT_CLOSE || r.at == READS_COMMAND || r.at == READS_RESPONSE);
}

/* What a client can read: whole lines, each with a code, and no more replies than it has sent lines,
 * but for a greeting and a farewell. */
static void check_replies(const struct player *p, struct span play)
{
    struct span rest = {p->received[SIDE_CLIENT].data, p->received[SIDE_CLIENT].len};
    size_t replies = 0, lines = 3;

    for (size_t i = 0; i < play.len; i++)
        lines += play.data[i] == '\n';
    while (rest.len > 0) {
        size_t len = whole_line(rest);

        if (len == 0)
            break;
        PROMISE(len >= 5 && rest.data[0] >= '2' && rest.data[0] <= '5');
        PROMISE(len == 5 || rest.data[3] == ' ' || rest.data[3] == '-');
        replies += len == 5 || rest.data[3] == ' ';
        rest = span_skip(rest, len);
    }
    PROMISE(replies <= lines);
}

static void compare(const struct player *a, const struct player *b)
{
    for (int side = 0; side < 2; side++) {
        PROMISE(a->received[side].len == b->received[side].len);
        PROMISE(a->received[side].len == 0 ||
                memcmp(a->received[side].data, b->received[side].data, a->received[side].len) == 0);
    }
    PROMISE(a->outcome == b->outcome && a->end == b->end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const plays[])(struct player *, const struct policy *, struct span,
                                 bool) = {play_clear, play_wild, play_strict};
    struct span play = {(const char *)data, size};
    const struct policy *policy;
    struct player a, b;

    if (size < 2)
        return 0;
    policy = &policies[data[0] / 4 % POLICIES];
    has_shaken = false;
    play = span_skip(play, 1);
    plays[data[0] % 4 % 3](&a, policy, play, false);
    plays[data[0] % 4 % 3](&b, policy, play, true);
    check_replies(&a, play);
    check_replies(&b, play);
    if (a.outcome != VERDICT_START_TLS && b.outcome != VERDICT_START_TLS &&
        !has_shaken) /* whether octets shared a segment with STARTTLS is the one thing that cuts may
                    change */
        compare(&a, &b);
    player_clear(&a);
    player_clear(&b);
    return 0;
}

#pragma clang attribute pop
