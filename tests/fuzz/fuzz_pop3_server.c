/* SPDX-License-Identifier: ISC */
/* The POP3 module against whatever both peers say. The first octet picks the play and the policy,
 * 0xfe separates turns:
 *
 * clear   a client before TLS: where it is enforced nothing may reach a backend
 * wild    client and backend say anything: how it is cut changes nothing
 * strict  the backend is a small reader written from the RFCs alone, which answers what it reads: it
 *         must find allowed commands and nothing else, and the tunnel where it has accepted a login
 *         and nowhere else */
#include <stdint.h>

/* New ways through the module are of interest, not those through its judges. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#include "tests/unit/player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const hide[] = {"UTF8", "PIPELINING"};
static const char *const allow[] = {"WIZ"};

static const struct policy policies[] = {
    {.hostname = "mail", .is_enforced = true, .max_errors = 10},
    {.hostname = "mail", .is_enforced = true, .hide_capabilities = {hide, 2}},
    {.hostname = "mail", .may_auth_in_clear = true, .allow_commands = {allow, 1}},
    {.hostname = "mail", .max_errors = 3},
    {.hostname = "mail", .tls = FRONT_IMPLICIT, .max_auth_failures = 3},
    {.hostname = "mail", .tls = FRONT_NONE, .allow_commands = {allow, 1}},
    {.hostname = "mail", .is_enforced = true, .max_auth_failures = 1},
    {.hostname = "mail", .tls = FRONT_IMPLICIT, .greeting = "words <1@x>"},
};

#define POLICIES (sizeof policies / sizeof *policies)

/* TLS has been started in the course of a play. */
static bool has_shaken;

/* What a strict server has read so far. */
struct reader {
    size_t seen; /* of what the backend received */
    bool is_exchange;
    bool has_heard;    /* something that may be credentials */
    bool has_accepted; /* a login */
};

static bool has_word(struct span line, const char *word)
{
    struct span w = span_of(word);

    return span_starts(line, w) &&
           (line.len == w.len || line.data[w.len] == ' ' || line.data[w.len] == '\t');
}

static bool is_verbatim(struct span line, const char *word)
{
    return has_word(line, word) && memcmp(line.data, word, strlen(word)) == 0;
}

static void check_base64(struct span s)
{
    if (s.len == 1 && s.data[0] == '*')
        return;
    for (size_t i = 0; i < s.len; i++) {
        char c = ascii_lower(s.data[i]);

        PROMISE((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
                c == '=');
    }
}

static void check_auth(struct span line)
{
    struct span words = span_skip(line, 5);
    const char *blank = words.len == 0 ? NULL : memchr(words.data, ' ', words.len);
    struct span mechanism = blank == NULL ? words : span_first(words, (size_t)(blank - words.data));

    PROMISE(line.len == 4 || mechanism.len > 0);
    PROMISE(!has_word(mechanism, "EXTERNAL") && !has_word(mechanism, "ANONYMOUS"));
    PROMISE(mechanism.len < 5 || !has_word(span_skip(mechanism, mechanism.len - 5), "-PLUS"));
    check_base64(span_skip(words, mechanism.len + 1));
}

/* A piece of a line, as a reader finds it that reads on in the middle. */
static void check_piece(struct span piece)
{
    static const char *const verbs[] = {
        "CAPA", "AUTH", "USER", "PASS", "APOP", "QUIT",    "STLS", "UTF8",    "LANG",  "NOOP",
        "STAT", "LIST", "RETR", "DELE", "XOIP", "XCLIENT", "XTND", "FORWARD", "PROXY", "RPOP"};

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        PROMISE(!has_word(piece, verbs[i]));
}

/* The same line read into fixed buffers, with and without room for a NUL: there must be no command
 * in it but its own. */
static void check_pieces(struct span line)
{
    static const size_t buffers[] = {254, 255, 256, 511, 512, 1023, 1024};

    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        for (size_t at = buffers[i]; at < line.len; at += buffers[i])
            check_piece(span_first(span_skip(line, at), buffers[i]));
}

/* Written apart from the module on purpose: what it must have seen to before this line could pass.
 */
static void check_command(struct span line, const struct policy *policy)
{
    static const char *const harmless[] = {"CAPA", "QUIT", "UTF8", "LANG", "NOOP"};
    static const char *const logins[] = {"USER", "PASS", "APOP", "AUTH"};
    bool is_clear = policy->tls == FRONT_STARTTLS && !policy->is_enforced && !has_shaken;
    bool is_allowed = policy->allow_commands.count > 0 && has_word(line, "WIZ");

    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        is_allowed = is_allowed || is_verbatim(line, harmless[i]);
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++)
        is_allowed = is_allowed ||
                     (is_verbatim(line, logins[i]) && (!is_clear || policy->may_auth_in_clear));
    PROMISE(is_allowed);
    PROMISE(line.len + 2 <= (has_word(line, "AUTH") ? 12286u : 253u));
    PROMISE(!has_word(line, "UTF8") || policy->hide_capabilities.count == 0);
    PROMISE(!has_word(line, "APOP") || (policy->tls != FRONT_STARTTLS && policy->greeting == NULL));
    for (size_t i = 0; i < line.len; i++)
        PROMISE((unsigned char)line.data[i] >= ' ' || line.data[i] == '\t');
    if (has_word(line, "AUTH"))
        check_auth(line);
    check_pieces(line);
}

static const char *accept_login(struct reader *r)
{
    r->has_accepted = true;
    return "+OK in\r\n";
}

static const char *refuse_login(uint8_t whim)
{
    static const char *const refusals[] = {"-ERR no\n", "-ERR [AUTH] no\r\n",
                                           "-ERR [IN-USE] no\r\n", "-ERR [SYS/TEMP] no\r\n"};

    return refusals[whim / 4 % 4];
}

static const char *answer_to_login(struct reader *r, uint8_t whim)
{
    r->is_exchange = whim % 4 == 0;
    if (r->is_exchange)
        return whim / 4 % 2 == 0 ? "+ \r\n" : "+ Zm9v\n";
    return whim % 4 == 1 && r->has_heard ? accept_login(r) : refuse_login(whim);
}

static const char *answer_to(struct reader *r, struct span line, uint8_t whim)
{
    bool is_good = (whim & 3) != 0;

    if (has_word(line, "CAPA") && is_good)
        return "+OK\r\nTOP\r\nSTLS\n..x\r\nSASL PLAIN EXTERNAL\r\nUSER\r\nXOIP\r\n.\r\n";
    if (has_word(line, "AUTH") && line.len == 4 && is_good)
        return "+OK\r\nPLAIN\r\nEXTERNAL\r\nX-PLUS\n.\n";
    if (has_word(line, "AUTH") && line.len > 4) {
        r->has_heard = memchr(line.data + 5, ' ', line.len - 5) != NULL;
        return answer_to_login(r, whim);
    }
    if (has_word(line, "LANG") && line.len == 4 && is_good)
        return "+OK\r\nen English\r\n..\n.\r\n";
    if (has_word(line, "PASS") || has_word(line, "APOP"))
        return whim % 8 == 1 ? accept_login(r) : refuse_login(whim);
    return is_good && !has_word(line, "CAPA") ? "+OK x\r\n" : "-ERR x\n";
}

/* The end of the line at the front, with its CRLF; 0: it is not here yet. */
static size_t whole_line(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        PROMISE(s.data[i] != '\0');
        PROMISE(s.data[i] != '\n' || (i > 0 && s.data[i - 1] == '\r'));
        PROMISE(s.data[i] != '\r' || i + 1 == s.len || s.data[i + 1] == '\n');
        if (s.data[i] == '\n')
            return i + 1;
    }
    return 0;
}

/* One line more; NULL: it is not whole yet. */
static const char *read_one(struct reader *r, const struct player *p, uint8_t whim)
{
    struct span rest = span_skip(
        (struct span){p->received[SIDE_BACKEND].data, p->received[SIDE_BACKEND].len}, r->seen);
    size_t len = whole_line(rest);
    struct span line = span_first(rest, len - (len > 0 ? 2 : 0));

    if (len == 0)
        return NULL;
    r->seen += len;
    if (!r->is_exchange) {
        check_command(line, p->policy);
        return answer_to(r, line, whim);
    }
    PROMISE(len <= 12286);
    check_base64(line);
    check_pieces(line);
    r->has_heard = true;
    if (line.len == 1 && line.data[0] == '*') {
        r->is_exchange = false;
        return refuse_login(whim);
    }
    return answer_to_login(r, whim);
}

static void begin(struct player *p, const struct policy *policy)
{
    static const char text[] = "PIPELINING\nSASL PLAIN\nXOIP\nUSER\n";
    static struct learned learned = {.is_known = true, .len = sizeof text - 1};
    const struct facts facts = {.learned = policy->max_errors == 3 ? NULL : &learned};

    memcpy(learned.text, text, sizeof text);
    player_begin(p, &pop3_protocol, policy, &facts);
}

static void enter_gate(struct player *p, const struct policy *policy)
{
    begin(p, policy);
    player_event(p, policy->tls == FRONT_NONE ? EVENT_CONNECTED : EVENT_SECURED, SIDE_CLIENT,
                 END_NONE);
    player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(p, SIDE_BACKEND, "+OK x\r\n", 7);
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
        else if (what ==
                 'B') /* a client that waits goes on between replies: there, cuts do matter */
            feed(p, SIDE_BACKEND, turn, cut && !is_client_waiting);
        else
            event(p, what);
    }
}

/* What the world does of itself: backends greet, and answer; handshakes succeed. */
static void serve(struct player *p, struct reader *r, struct span whims, size_t *turns)
{
    while (!player_is_over(p) && !p->is_tunnel) {
        uint8_t whim = (uint8_t)whims.data[*turns % whims.len];
        const char *answer = "+OK x\r\n";

        if (p->is_shaking) {
            has_shaken = true;
            player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
            continue;
        }
        if (p->is_connecting && !p->is_connected) {
            *r = (struct reader){.seen = p->received[SIDE_BACKEND].len};
            player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
        } else {
            answer = read_one(r, p, whim);
        }
        if (answer == NULL)
            break;
        ++*turns;
        player_feed(p, SIDE_BACKEND, answer, strlen(answer));
        PROMISE(p->is_tunnel == (r->has_accepted && !player_is_over(p)));
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
}

/* What a client can read: whole lines; and of the strict backend's lists nothing that ends at us. */
static void check_replies(const struct player *p, bool is_strict)
{
    struct span rest = {p->received[SIDE_CLIENT].data, p->received[SIDE_CLIENT].len};
    bool is_alone = p->policy->tls == FRONT_STARTTLS && !p->policy->is_enforced;
    size_t len;

    if (p->is_tunnel)
        return;
    while ((len = whole_line(rest)) > 0) {
        struct span line = span_first(rest, len - 2);

        PROMISE(!is_strict || is_alone || !has_word(line, "STLS"));
        PROMISE(!is_strict || (!has_word(line, "XOIP") && !has_word(line, "EXTERNAL")));
        rest = span_skip(rest, len);
    }
    PROMISE(rest.len == 0); /* replies pass whole */
}

static void compare(const struct player *a, const struct player *b)
{
    for (int side = 0; side < 2; side++) {
        PROMISE(a->received[side].len == b->received[side].len);
        PROMISE(a->received[side].len == 0 ||
                memcmp(a->received[side].data, b->received[side].data, a->received[side].len) == 0);
    }
    PROMISE(a->outcome == b->outcome && a->end == b->end && a->is_tunnel == b->is_tunnel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const plays[])(struct player *, const struct policy *, struct span,
                                 bool) = {play_clear, play_wild, play_strict};
    struct span play = {(const char *)data, size};
    const struct policy *policy;
    struct player a, b;
    size_t kind;

    if (size < 2)
        return 0;
    policy = &policies[data[0] / 4 % POLICIES];
    kind = data[0] % 4 % 3;
    play = span_skip(play, 1);
    has_shaken = false;
    plays[kind](&a, policy, play, false);
    check_replies(&a, kind == 2);
    has_shaken = false;
    plays[kind](&b, policy, play, true);
    check_replies(&b, kind == 2);
    if (a.outcome != VERDICT_START_TLS && b.outcome != VERDICT_START_TLS &&
        !has_shaken) /* whether octets shared a segment with STLS is the one thing that cuts may
                    change */
        compare(&a, &b);
    player_clear(&a);
    player_clear(&b);
    return 0;
}

#pragma clang attribute pop
