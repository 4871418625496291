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

#include "protocols/identity.h"
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
    {.hostname = "mail",
     .tls = FRONT_NONE,
     .backend_tls = BACKEND_TLS_STARTTLS,
     .is_backend_enforced = true},
    {.hostname = "mail", .may_auth_in_clear = true, .backend_tls = BACKEND_TLS_STARTTLS},
    {.hostname = "mail", .tls = FRONT_IMPLICIT, .tells_identity = true},
    {.hostname = "mail",
     .is_enforced = true,
     .backend_tls = BACKEND_TLS_STARTTLS,
     .is_backend_enforced = true,
     .tells_identity = true},
};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152},
    .session = "9f2c01",
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
    bool is_secure;
    bool is_named;     /* it knows who the client is */
    unsigned connects; /* and those before it */
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

static bool has_way(const struct policy *policy)
{
    return policy->backend_tls == BACKEND_TLS_STARTTLS || policy->tells_identity;
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
    PROMISE(!has_word(line, "APOP") ||
            (policy->tls != FRONT_STARTTLS && policy->greeting == NULL && !has_way(policy)));
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

/* ---- the way to the gate ---- */

#define CLEAR_WORDS "in the clear"

/* TLS first, then who the client is, and nothing before. */
static const char *read_on_the_way(struct reader *r, struct span line, const struct policy *policy,
                                   uint8_t whim)
{
    static const char *const lists[] = {
        "+OK " CLEAR_WORDS "\r\nSTLS\r\n.\r\n", "-ERR " CLEAR_WORDS "\r\n",
        "+OK " CLEAR_WORDS "\nUSER\n.\n", "+OK\r\nSTLS\r\n+OK " CLEAR_WORDS "\r\n"};
    static const char *const go_aheads[] = {"+OK go\r\n", "-ERR " CLEAR_WORDS "\n",
                                            "+OK go\r\n+OK " CLEAR_WORDS "\r\n", "+ \r\n"};
    const bool wants_tls = policy->backend_tls == BACKEND_TLS_STARTTLS && !r->is_secure;

    if (span_equals(line, span_of("CAPA")) || span_equals(line, span_of("STLS"))) {
        /* Inside TLS CAPA is to hear that it will have us. */
        PROMISE(wants_tls || (line.data[0] == 'C' && r->is_secure && !policy->tells_identity));
        return line.data[0] == 'C' ? lists[whim % 8 < 4 ? whim % 8 : 0]
                                   : go_aheads[whim % 8 < 4 ? whim % 8 : 0];
    }
    PROMISE(policy->tells_identity && (!wants_tls || !policy->is_backend_enforced));
    PROMISE(span_equals(line, span_of("XCLIENT ADDR=192.0.2.7 PORT=49152 SESSION=9f2c01")));
    r->is_named = whim % 8 > 1;
    return r->is_named     ? "+OK Updated\r\n"
           : whim % 8 == 0 ? "+OK You are not from trusted IP - ignoring\r\n"
                           : "-ERR no\r\n";
}

static void check_gate(const struct reader *r, const struct policy *policy)
{
    PROMISE(!policy->tells_identity || r->is_named);
    PROMISE(policy->backend_tls != BACKEND_TLS_STARTTLS || !policy->is_backend_enforced ||
            r->is_secure);
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
    if (p->is_connecting)
        return read_on_the_way(r, line, p->policy, whim);
    check_gate(r, p->policy);
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
    const struct facts facts = {.learned = policy->max_errors == 3 ? NULL : &learned,
                                .identity = &client};

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

/* Another backend, or the last has been tried. True: it greets. */
static bool connect_next(struct player *p, struct reader *r)
{
    *r = (struct reader){.seen = p->received[SIDE_BACKEND].len, .connects = r->connects + 1};
    if (r->connects > CONNECTS_MAX)
        player_event(p, EVENT_BACKEND_FAILED, SIDE_BACKEND, END_BACKEND_REFUSED);
    else
        player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    return p->is_connected;
}

static void shake_hands(struct player *p, struct reader *r, uint8_t whim)
{
    r->is_secure = whim % 8 != 7;
    player_event(p, r->is_secure ? EVENT_SECURED : EVENT_LOST, SIDE_BACKEND, END_NONE);
}

/* What the world does of itself: backends greet, and answer; handshakes succeed. */
static void serve(struct player *p, struct reader *r, struct span whims, size_t *turns)
{
    while (!player_is_over(p) && !p->is_tunnel) {
        uint8_t whim = (uint8_t)whims.data[*turns % whims.len];
        const char *answer = NULL;

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
        if (p->is_connecting && !p->is_connected) {
            if (connect_next(p, r))
                answer = has_way(p->policy) ? "+OK " CLEAR_WORDS "\r\n" : "+OK x\r\n";
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
    } else if (has_way(policy)) {
        begin(p, policy);
        player_event(p, policy->tls == FRONT_NONE ? EVENT_CONNECTED : EVENT_SECURED, SIDE_CLIENT,
                     END_NONE);
        serve(p, &r, whims, &turns);
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
    bool hides_way = p->policy->is_backend_enforced || p->policy->tells_identity;
    size_t len;

    if (p->is_tunnel)
        return;
    while ((len = whole_line(rest)) > 0) {
        struct span line = span_first(rest, len - 2);

        PROMISE(!is_strict || is_alone || !has_word(line, "STLS"));
        PROMISE(!is_strict || (!has_word(line, "XOIP") && !has_word(line, "EXTERNAL")));
        PROMISE(!is_strict || !hides_way ||
                (!has_word(line, "+OK " CLEAR_WORDS) && !has_word(line, "-ERR " CLEAR_WORDS)));
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
