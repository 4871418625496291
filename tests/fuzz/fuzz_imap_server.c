/* SPDX-License-Identifier: ISC */
/* The IMAP module against whatever both peers say. The first octet picks the play and the policy,
 * 0xfe separates turns:
 *
 * clear   a client before TLS: where it is enforced nothing may reach a backend
 * wild    client and backend say anything: how it is cut changes nothing
 * strict  the backend is a small reader written from RFC 3501 alone, without LITERAL+: it must find
 *         whole commands of the list, its own literals, and a login before the tunnel */
#include <stdint.h>

/* New ways through the module are of interest, not those through its judges. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#include "protocols/identity.h"
#include "tests/unit/player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const hide[] = {"IDLE", "AUTH=LOGIN"};
static const char *const allow[] = {"WIZ"};

static const struct policy policies[] = {
    {.hostname = "x", .is_enforced = true, .max_errors = 10},
    {.hostname = "x", .is_enforced = true, .hide_capabilities = {hide, 2}},
    {.hostname = "x", .may_auth_in_clear = true, .allow_commands = {allow, 1}},
    {.hostname = "x", .max_errors = 3, .allow_commands = {allow, 1}},
    {.hostname = "x", .tls = FRONT_IMPLICIT, .max_auth_failures = 3},
    {.hostname = "x", .tls = FRONT_NONE, .greeting = "words"},
    {.hostname = "x", .tls = FRONT_IMPLICIT, .allow_commands = {allow, 1}},
    {.hostname = "x", .may_auth_in_clear = true, .max_auth_failures = 1},
    {.hostname = "x",
     .tls = FRONT_NONE,
     .backend_tls = BACKEND_TLS_STARTTLS,
     .is_backend_enforced = true},
    {.hostname = "x", .may_auth_in_clear = true, .backend_tls = BACKEND_TLS_STARTTLS},
    {.hostname = "x", .tls = FRONT_IMPLICIT, .tells_identity = true},
    {.hostname = "x",
     .is_enforced = true,
     .backend_tls = BACKEND_TLS_STARTTLS,
     .is_backend_enforced = true,
     .tells_identity = true},
};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152},
    .session = "9f2c01",
};

#define POLICIES (sizeof(policies) / sizeof(policies[0]))

/* TLS has been started in the course of a play. */
static bool has_shaken;

/* ---- the strict reader ---- */

enum reads { READS_COMMAND, READS_LITERAL, READS_REST, READS_RESPONSE };

struct reader {
    size_t seen; /* of what the backend received */
    enum reads at;
    size_t literal;
    size_t strings; /* of the LOGIN under way */
    char tag[65];
    bool has_initial; /* it has said so in its last list */
    bool is_accepted; /* it has answered OK to a login */
    bool is_secure;
    bool is_named;     /* it knows who the client is */
    unsigned connects; /* and those before it */
    char answer[256];
};

static bool contains(struct span s, const char *what)
{
    struct span w = span_of(what);

    for (size_t i = 0; i + w.len <= s.len; i++)
        if (span_starts(span_skip(s, i), w))
            return true;
    return false;
}

/* The end of the line at the front, with its CRLF; 0: it is not here yet. */
static size_t whole_line(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        PROMISE(s.data[i] != '\0' && (unsigned char)s.data[i] < 127);
        PROMISE(s.data[i] != '\n' || (i > 0 && s.data[i - 1] == '\r'));
        PROMISE(s.data[i] != '\r' || i + 1 == s.len || s.data[i + 1] == '\n');
        if (s.data[i] == '\n')
            return i + 1;
    }
    return 0;
}

/* Words that RFC 3501's grammar has room for, up to the end or the announcement of a literal. */
static void read_strings(struct reader *r, struct span s)
{
    r->literal = SIZE_MAX;
    while (s.len > 0) {
        size_t i = 1;

        PROMISE(s.data[0] == ' ' && s.len > 1);
        s = span_skip(s, 1);
        r->strings++;
        if (s.data[0] == '"') {
            while (i < s.len && s.data[i] != '"') {
                PROMISE(s.data[i] != '\\' || s.data[i + 1] == '"' || s.data[i + 1] == '\\');
                i += s.data[i] == '\\' ? 2 : 1;
            }
            PROMISE(i < s.len);
            i++;
        } else if (s.data[0] == '{') {
            r->literal = 0;
            while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9')
                r->literal = r->literal * 10 + (size_t)(s.data[i++] - '0');
            PROMISE(i > 1 && i + 1 == s.len && s.data[i] == '}' && r->literal <= WINDOW_MAX);
            i++;
        } else {
            while (i < s.len && s.data[i] != ' ')
                i++;
            for (size_t at = 0; at < i; at++)
                PROMISE(memchr("(){%*\"\\]", s.data[at], 8) == NULL && s.data[at] > ' ');
        }
        s = span_skip(s, i);
    }
}

/* A list of pairs of quoted strings, or NIL. */
static void check_id(struct span s)
{
    struct reader strings = {0};

    PROMISE(s.len >= 4);
    if (span_equals(s, span_of(" NIL")))
        return;
    PROMISE(s.data[0] == ' ' && s.data[1] == '(' && s.data[s.len - 1] == ')');
    PROMISE(!span_starts(s, span_of(" (\"x-")) && s.len < 998);
    s = span_first(span_skip(s, 2), s.len - 3);
    for (bool is_key = true; s.len > 0; is_key = !is_key) {
        size_t i = 1;

        if (s.data[0] == ' ')
            s = span_skip(s, 1);
        PROMISE(s.data[0] == '"' || (!is_key && span_starts(s, span_of("NIL"))));
        PROMISE(!is_key || !span_starts(s, span_of("\"x-")));
        while (s.data[0] == '"' && s.data[i] != '"')
            i += s.data[i] == '\\' ? 2 : 1;
        s = span_skip(s, s.data[0] == '"' ? i + 1 : 3);
        strings.strings++;
    }
    PROMISE(strings.strings % 2 == 0 && strings.strings <= 60);
}

static const char *say(struct reader *r, const char *before, const char *text)
{
    size_t len = strlen(before), tag = strlen(r->tag);

    PROMISE(len + tag + strlen(text) + 4 < sizeof r->answer);
    memcpy(r->answer, before, len);
    memcpy(r->answer + len, r->tag, tag);
    r->answer[len + tag] = ' ';
    memcpy(r->answer + len + tag + 1, text, strlen(text) + 1);
    r->at = READS_COMMAND;
    return r->answer;
}

#define LIST "IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN AUTH=EXTERNAL COMPRESS=DEFLATE IDLE"

static const char *answer_to_login(struct reader *r, uint8_t whim)
{
    switch (whim % 8) {
    case 0: return say(r, "", "NO no\r\n");
    case 1:
        r->has_initial = true;
        return say(r, "* CAPABILITY " LIST " SASL-IR\r\n", "NO [AUTHENTICATIONFAILED] no\r\n");
    case 2: return say(r, "* OK wait\n", "BAD no\n");
    case 3: r->has_initial = false; return say(r, "", "NO [CAPABILITY " LIST "] no\r\n");
    case 4: return say(r, "* ID (\"a\" {6}\r\na OK \n)\r\n", "NO [UNAVAILABLE] no\r\n");
    case 5: return say(r, "* BYE bye\r\n", "NO no\r\n");
    default: r->is_accepted = true; return say(r, "", "OK [CAPABILITY " LIST "] in\r\n");
    }
}

static bool is_verb(struct span word, const char *verb)
{
    return span_equals(word, span_of(verb));
}

/* A line without literal, or with its last one read. */
static const char *answer_to(struct reader *r, struct span verb, struct span rest, uint8_t whim)
{
    if (is_verb(verb, "AUTHENTICATE")) {
        struct span mechanism = span_skip(rest, 1);
        const char *blank = memchr(mechanism.data, ' ', mechanism.len);

        PROMISE(rest.data[0] == ' ' && (blank == NULL || r->has_initial));
        PROMISE(!span_starts(mechanism, span_of("EXTERNAL")) && !contains(mechanism, "-PLUS"));
        if (blank != NULL)
            return answer_to_login(r, whim);
        if (whim % 3 == 0) /* without a word of the client's it accepts nobody */
            return say(r, "", "NO no\r\n");
        r->at = READS_RESPONSE;
        r->has_initial = r->has_initial || whim % 3 == 1;
        return whim % 3 == 1 ? "* CAPABILITY " LIST " SASL-IR\r\n+ \r\n" : "+ \r\n";
    }
    if (is_verb(verb, "ID")) {
        check_id(rest);
        return say(r, "* ID ({6}\r\na OK \n {0}\r\n)\r\n", whim & 1 ? "OK x\r\n" : "BAD x\n");
    }
    if (is_verb(verb, "LANGUAGE") || is_verb(verb, "WIZ"))
        return say(r, "", whim & 1 ? "OK x\r\n" : "BAD x\n");
    PROMISE(rest.len == 0);
    if (is_verb(verb, "LOGOUT"))
        return say(r, whim & 1 ? "* BYE bye\r\n" : "", "OK bye\r\n");
    if (is_verb(verb, "CAPABILITY")) {
        r->has_initial = whim & 1;
        return say(r, whim & 1 ? "* CAPABILITY " LIST " SASL-IR\r\n" : "* CAPABILITY " LIST "\r\n",
                   "OK x\r\n");
    }
    PROMISE(is_verb(verb, "NOOP"));
    return say(r, "* 5 EXISTS\r\n", "OK x\r\n");
}

static const char *literal_or_login(struct reader *r, uint8_t whim)
{
    if (r->literal == SIZE_MAX) {
        PROMISE(r->strings == 2);
        return answer_to_login(r, whim);
    }
    if (whim % 8 == 0)
        return say(r, "", "NO no literals\r\n");
    r->at = READS_LITERAL;
    return whim & 1 ? "+ go\r\n" : "+\n";
}

static const char *read_command(struct reader *r, struct span line, uint8_t whim)
{
    const char *blank = memchr(line.data, ' ', line.len);
    struct span verb;
    size_t len = 0;

    PROMISE(blank != NULL && blank > line.data && blank - line.data <= 64);
    memcpy(r->tag, line.data, (size_t)(blank - line.data));
    r->tag[blank - line.data] = '\0';
    PROMISE(strpbrk(r->tag, "+(){%*\"\\") == NULL);
    line = span_skip(line, (size_t)(blank - line.data) + 1);
    while (len < line.len && line.data[len] != ' ')
        len++;
    verb = span_first(line, len);
    r->strings = 0;
    if (!is_verb(verb, "LOGIN"))
        return answer_to(r, verb, span_skip(line, len), whim);
    read_strings(r, span_skip(line, len));
    return literal_or_login(r, whim);
}

static const char *read_response(struct reader *r, struct span line, uint8_t whim)
{
    for (size_t i = 0; i < line.len; i++)
        PROMISE(memchr(" \t{}()\"\\", line.data[i], 8) == NULL);
    if (span_equals(line, span_of("*")))
        return say(r, "", "BAD cancelled\r\n");
    return whim % 3 == 0 ? "+ YQ==\r\n" : answer_to_login(r, whim / 3);
}

/* ---- the way to the gate ---- */

#define CLEAR_WORDS "in the clear"

static bool has_way(const struct policy *policy)
{
    return policy->backend_tls == BACKEND_TLS_STARTTLS || policy->tells_identity;
}

static const char *greet(const struct policy *policy, uint8_t whim)
{
    static const char *const greetings[] = {
        "* OK " CLEAR_WORDS "\r\n", "* OK [CAPABILITY STARTTLS ID SASL-IR] " CLEAR_WORDS "\r\n",
        "* OK [CAPABILITY STARTTLS] " CLEAR_WORDS "\n", "* OK [CAPABILITY ID] " CLEAR_WORDS "\r\n"};

    return has_way(policy) ? greetings[whim % 4] : "* OK x\r\n";
}

static const char *answer_on_the_way(struct reader *r, char tag, uint8_t whim)
{
    static const char *const lists[] = {
        "* CAPABILITY STARTTLS ID\r\na OK " CLEAR_WORDS "\r\n", "a BAD " CLEAR_WORDS "\r\n",
        "a OK [CAPABILITY STARTTLS] " CLEAR_WORDS "\n", "* CAPABILITY IMAP4rev1\na OK\n",
        "* OK [CAPABILITY STARTTLS] " CLEAR_WORDS "\r\na OK\r\n"};
    static const char *const go_aheads[] = {
        "b OK go\r\n", "b NO " CLEAR_WORDS "\r\n", "b OK go\r\n* OK " CLEAR_WORDS "\r\n",
        "* CAPABILITY AUTH=PLAIN\r\nb OK " CLEAR_WORDS "\r\n", "a OK " CLEAR_WORDS "\r\n"};
    static const char *const ids[] = {"c OK x\r\n", "* ID (\"a\" NIL)\r\nc OK x\n", "c BAD x\r\n",
                                      "* ID ({1}\r\nx NIL)\r\nc OK x\r\n"};

    if (tag == 'a')
        return lists[whim % 5];
    if (tag == 'b')
        return go_aheads[whim % 8 < 5 ? whim % 8 : 0];
    r->is_named = whim % 8 != 2 && whim % 8 != 3;
    return ids[whim % 8 < 4 ? whim % 8 : 0];
}

/* TLS first, then who the client is, and nothing before. */
static const char *read_on_the_way(struct reader *r, struct span line, const struct policy *policy,
                                   uint8_t whim)
{
    const bool wants_tls = policy->backend_tls == BACKEND_TLS_STARTTLS && !r->is_secure;
    const bool is_id = span_equals(
        line, span_of("c ID (\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"49152\" "
                      "\"x-session-id\" \"9f2c01\")"));

    if (is_id)
        PROMISE(policy->tells_identity && (!wants_tls || !policy->is_backend_enforced));
    else if (span_equals(line,
                         span_of("a CAPABILITY"))) /* inside TLS, to hear that it will have us */
        PROMISE(wants_tls || (r->is_secure && !policy->tells_identity));
    else
        PROMISE(wants_tls && span_equals(line, span_of("b STARTTLS")));
    return answer_on_the_way(r, line.data[0], whim);
}

static void check_gate(const struct reader *r, const struct policy *policy)
{
    PROMISE(!policy->tells_identity || r->is_named);
    PROMISE(policy->backend_tls != BACKEND_TLS_STARTTLS || !policy->is_backend_enforced ||
            r->is_secure);
}

/* One thing more; NULL: it is not whole yet. */
static const char *read_one(struct reader *r, const struct player *p, uint8_t whim)
{
    struct span rest = span_skip(
        (struct span){p->received[SIDE_BACKEND].data, p->received[SIDE_BACKEND].len}, r->seen);
    struct span line;
    size_t len;

    if (r->at == READS_LITERAL) {
        if (rest.len < r->literal)
            return NULL;
        for (size_t i = 0; i < r->literal; i++)
            PROMISE(rest.data[i] != '\r' && rest.data[i] != '\n' && rest.data[i] != '\0');
        r->seen += r->literal;
        r->at = READS_REST;
        rest = span_skip(rest, r->literal);
    }
    len = whole_line(rest);
    if (len == 0)
        return NULL;
    r->seen += len;
    line = span_first(rest, len - 2);
    if (p->is_connecting)
        return read_on_the_way(r, line, p->policy, whim);
    check_gate(r, p->policy);
    switch (r->at) {
    case READS_COMMAND: return read_command(r, line, whim);
    case READS_RESPONSE: return read_response(r, line, whim);
    case READS_REST: read_strings(r, line); return literal_or_login(r, whim);
    case READS_LITERAL: break;
    }
    return NULL;
}

/* ---- plays ---- */

static void begin(struct player *p, const struct policy *policy)
{
    static const struct learned learned = {true, 24, "IMAP4rev1\nSTARTTLS\nIDLE\n"};
    const struct facts facts = {.is_secure = policy->tls == FRONT_IMPLICIT,
                                .learned = policy->max_errors > 0 ? NULL : &learned,
                                .identity = &client};

    player_begin(p, &imap_protocol, policy, &facts);
}

static void enter_gate(struct player *p, const struct policy *policy)
{
    begin(p, policy);
    player_event(p, policy->tls == FRONT_NONE ? EVENT_CONNECTED : EVENT_SECURED, SIDE_CLIENT,
                 END_NONE);
    player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(p, SIDE_BACKEND, "* OK x\r\n", 8);
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

/* What a client reads before TLS: whole lines, each untagged, a go-ahead, or behind a tag; and no
 * more of them than it has sent line ends, but for three at a greeting, a list and a farewell. */
static void check_clear(const struct player *p, struct span play)
{
    struct span rest = {p->received[SIDE_CLIENT].data, p->received[SIDE_CLIENT].len};
    size_t lines = 3, replies = 0, len;

    for (size_t i = 0; i < play.len; i++)
        lines += play.data[i] == '\n';
    for (; rest.len > 0; rest = span_skip(rest, len)) {
        len = whole_line(rest);
        PROMISE(len > 4 && memchr(rest.data, ' ', len) != NULL);
        replies += rest.data[0] != '*' || span_starts(rest, span_of("* BAD"));
    }
    PROMISE(replies <= lines);
}

static void play_clear(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    const struct span said = play;

    begin(p, policy);
    player_event(p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    while (play.len > 0 && p->outcome == VERDICT_MORE)
        feed(p, SIDE_CLIENT, next_turn(&play), cut);
    PROMISE(p->received[SIDE_BACKEND].len == 0);
    PROMISE(policy->tls != FRONT_STARTTLS || !policy->is_enforced || p->outcome != VERDICT_CONNECT);
    check_clear(p, said);
}

static void play_wild(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    enter_gate(p, policy);
    while (play.len > 0 && !player_is_over(p) && !p->is_tunnel) {
        struct span turn = next_turn(&play);
        char what = turn.len > 0 ? turn.data[0] : 'C';
        bool is_client_waiting = p->is_held[SIDE_CLIENT] &&
                                 (p->window[SIDE_CLIENT].len > 0 || p->has_closed[SIDE_CLIENT]);

        turn = span_skip(turn, 1);
        if (what == 'C')
            feed(p, SIDE_CLIENT, turn, cut);
        else if (what == 'B') /* a client that waits goes on between answers, and so do we on our
                                 way to the gate: there, cuts do matter */
            feed(p, SIDE_BACKEND, turn, cut && !is_client_waiting && !p->is_connecting);
        else
            event(p, what);
    }
}

/* A list that the client reads is ours where TLS ends at us. */
static void check_lists(const struct player *p, bool is_secure)
{
    struct span rest = {p->received[SIDE_CLIENT].data, p->received[SIDE_CLIENT].len};

    while (rest.len > 0) {
        const char *lf = memchr(rest.data, '\n', rest.len);
        struct span line = lf == NULL ? rest : span_first(rest, (size_t)(lf - rest.data) + 1);

        rest = span_skip(rest, line.len);
        if (!contains(line, "CAPABILITY "))
            continue;
        PROMISE(!contains(line, "AUTH=EXTERNAL") && !contains(line, "AUTH=SCRAM-SHA-1-PLUS"));
        PROMISE(!is_secure || (!contains(line, "STARTTLS") && !contains(line, "LOGINDISABLED")));
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
            octets_clear(&p->received[SIDE_CLIENT]);
            player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
            continue;
        }
        if (p->is_backend_shaking) {
            ++*turns;
            shake_hands(p, r, whim);
            continue;
        }
        if (p->is_connecting && !p->is_connected) {
            struct span left = span_skip(
                (struct span){p->received[SIDE_BACKEND].data, p->received[SIDE_BACKEND].len},
                r->seen);

            PROMISE(left.len == 0 || span_equals(left, span_of("starttlsd LOGOUT\r\n")));
            if (connect_next(p, r))
                answer = greet(p->policy, whim);
        } else {
            answer = read_one(r, p, whim);
        }
        if (answer == NULL)
            break;
        ++*turns;
        player_feed(p, SIDE_BACKEND, answer, strlen(answer));
    }
}

/* Behind the login the backend has what the client said, unchanged. */
static void check_tunnel(const struct player *p, const struct reader *r, const struct octets *said)
{
    size_t len = p->received[SIDE_BACKEND].len - r->seen;

    PROMISE(r->is_accepted && len <= said->len);
    PROMISE(len == 0 || memcmp(p->received[SIDE_BACKEND].data + r->seen,
                               said->data + said->len - len, len) == 0);
}

static void play_strict(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    bool begins_secure = policy->tls == FRONT_IMPLICIT || policy->is_enforced;
    struct octets said = {0};
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
        struct span turn = next_turn(&play);

        octets_add(&said, turn.data, turn.len);
        feed(p, SIDE_CLIENT, turn, cut);
        serve(p, &r, whims, &turns);
        PROMISE((p->notes & 1u << NOTE_BACKEND_REPLY) == 0); /* it and we agree on what was asked */
        PROMISE(p->is_tunnel || !r.is_accepted);
        if (p->is_tunnel)
            check_tunnel(p, &r, &said);
    }
    check_lists(p, begins_secure || has_shaken);
    PROMISE(!(policy->is_backend_enforced || policy->tells_identity) ||
            !contains((struct span){p->received[SIDE_CLIENT].data, p->received[SIDE_CLIENT].len},
                      CLEAR_WORDS));
    octets_clear(&said);
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
    if (data[0] % 4 % 3 == 0 && policy->tls != FRONT_STARTTLS)
        return -1;
    has_shaken = false;
    play = span_skip(play, 1);
    plays[data[0] % 4 % 3](&a, policy, play, false);
    plays[data[0] % 4 % 3](&b, policy, play, true);
    if (a.outcome != VERDICT_START_TLS && b.outcome != VERDICT_START_TLS &&
        !has_shaken) /* whether octets shared a segment with STARTTLS is the one thing that cuts may
                    change */
        compare(&a, &b);
    player_clear(&a);
    player_clear(&b);
    return 0;
}

#pragma clang attribute pop
