/* SPDX-License-Identifier: ISC */
/* The SMTP module against whatever both peers say. The first octet picks the play and the policy,
 * 0xfe separates turns:
 *
 * clear   a client before TLS: where it is enforced nothing may reach a backend
 * wild    client and backend say anything: how it is cut changes nothing
 * strict  the backend is a small reader written from the RFCs alone, which answers what it reads: it
 *         must find what the module says that it has passed, allowed commands, and nothing else */
#include <stdint.h>

/* New ways through the module are of interest, not those through its judges. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#include "tests/differential/account.h"

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

enum reads { READS_COMMAND, READS_CONTENT, READS_CHUNK, READS_RESPONSE };

/* TLS has been started in the course of a play. */
static bool has_shaken;

/* What a strict server has read so far. */
struct reader {
    size_t seen; /* of what the backend received */
    enum reads at;
    size_t chunk;
    bool is_logged_in;
    bool has_said; /* the client, something in the exchange under way */
    bool is_secure;
    bool is_introduced; /* it knows who the client is */
    unsigned connects;  /* and those before it */
};

/* What the module says that it has passed, and no reader has found yet. */
static struct octets told; /* a letter and four octets of length each */
static size_t told_open;   /* of a thing that has not ended */

static void on_account(const struct account *a)
{
    uint32_t len;

    if (a->said.len == 0 || a->verdict->to != SIDE_BACKEND)
        return;
    told_open += a->said.len;
    if (!a->is_end)
        return;
    len = (uint32_t)told_open;
    told_open = 0;
    octets_add(&told, (const char[]){(char)a->thing}, 1);
    octets_add(&told, (const char *)&len, sizeof(len));
}

/* A reader has found this. */
static void found(enum thing thing, size_t size)
{
    uint32_t len;

    if (size == 0)
        return;
    PROMISE(told.len >= 1 + sizeof(len));
    memcpy(&len, told.data + 1, sizeof(len));
    PROMISE(told.data[0] == (char)thing || (told.data[0] == THING_OWN && thing == THING_COMMAND));
    PROMISE(len == size);
    told.len -= 1 + sizeof(len);
    memmove(told.data, told.data + 1 + sizeof(len), told.len);
}

static bool has_word(struct span line, const char *word)
{
    struct span w = span_of(word);

    return span_starts(line, w) &&
           (line.len == w.len || line.data[w.len] == ' ' || line.data[w.len] == '\t' ||
            line.data[w.len] == '\v' || line.data[w.len] == '\f');
}

static bool contains(struct span s, const char *what)
{
    struct span w = span_of(what);

    for (size_t i = 0; i + w.len <= s.len; i++)
        if (span_starts(span_skip(s, i), w))
            return true;
    return false;
}

/* Written apart from the module on purpose: what it must have seen to before this line could pass.
 */
static void check_command(struct span line, const struct policy *policy, bool is_logged_in)
{
    static const char *const allowed[] = {"EHLO", "HELO", "RSET", "NOOP", "QUIT", "HELP", "AUTH",
                                          "MAIL", "RCPT", "DATA", "BDAT", "VRFY", "EXPN", "BURL"};
    bool is_guarded = policy->relay == RELAY_LOGIN && !is_logged_in;
    size_t count = is_guarded ? 7 : sizeof(allowed) / sizeof(allowed[0]);
    bool is_allowed = (policy->relay == RELAY_BACKEND && has_word(line, "ETRN")) ||
                      (policy->allow_commands.count > 0 && has_word(line, "WIZ"));

    for (size_t i = 0; i < count; i++)
        is_allowed = is_allowed || has_word(line, allowed[i]);
    PROMISE(is_allowed);
    PROMISE(line.len + 2 <= (has_word(line, "AUTH")                             ? 12287u
                             : has_word(line, "MAIL") || has_word(line, "RCPT") ? 1534u
                                                                                : 510u));
    PROMISE(!contains(line, " PRDR"));
    if (has_word(line, "MAIL") && !is_logged_in) {
        PROMISE(!contains(line, " AUTH=") && !contains(line, "\tAUTH="));
        PROMISE(!contains(line, ">AUTH="));
    }
    if (has_word(line, "RCPT") && policy->relay == RELAY_DOMAINS && !is_logged_in) {
        PROMISE(span_starts(line, span_of("RCPT TO:<")));
        PROMISE(contains(line, "@example.org>") || contains(line, "@example.org.>") ||
                span_starts(line, span_of("RCPT TO:<postmaster>")));
        PROMISE(!contains(line, "\"") || contains(line, ">"));
        PROMISE(memchr(line.data, '>', line.len) != NULL);
        line.len = (size_t)((const char *)memchr(line.data, '>', line.len) - line.data);
        PROMISE(!contains(line, "%") && !contains(line, "!") && !contains(line, "\""));
        PROMISE(!contains(line, "^") && !contains(line, "<IMCEA"));
        PROMISE(
            !contains(line, "@") ||
            !contains(span_skip(line, 1 + (size_t)((const char *)memchr(line.data, '@', line.len) -
                                                   line.data)),
                      "@"));
    }
}

/* The same of what leads to the gate: TLS first, then who the client is, and nothing before. True:
 * the line is part of that alone. */
static bool check_way(struct span line, const struct policy *policy, const struct reader *r)
{
    const bool wants_tls = policy->backend_tls == BACKEND_TLS_STARTTLS && !r->is_secure;
    const bool is_hello = span_equals(line, span_of("EHLO mx"));

    if (span_equals(line, span_of("STARTTLS"))) {
        PROMISE(wants_tls);
        return true;
    }
    PROMISE(!wants_tls || !policy->is_backend_enforced || is_hello);
    if (!policy->tells_identity || r->is_introduced)
        return false;
    PROMISE(is_hello ||
            span_equals(line, span_of("XCLIENT ADDR=192.0.2.7 PORT=49152 NAME=[UNAVAILABLE]")));
    return true;
}

/* A piece of a line, as a reader finds it that reads on in the middle. */
static void check_piece(struct span piece)
{
    static const char *const verbs[] = {
        "EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT",    "RSET",     "NOOP",  "QUIT", "HELP",
        "VRFY", "EXPN", "AUTH", "BURL", "ETRN", "XCLIENT", "XFORWARD", "PROXY", "TURN", "STARTTLS"};

    while (piece.len > 0 && piece.data[0] == ' ')
        piece = span_skip(piece, 1);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        PROMISE(!has_word(piece, verbs[i]));
}

/* The same line read into fixed buffers, with and without room for a NUL: there must be no command
 * in it but its own. */
static void check_pieces(struct span line)
{
    static const size_t buffers[] = {511, 512, 1023, 1024};

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        for (size_t at = buffers[i]; at < line.len; at += buffers[i])
            check_piece(span_first(span_skip(line, at), buffers[i]));
}

/* A command of its own, or the exchange that is under way. No exchange lets nobody in.
 * said: what the client has to say in it; `*` takes all back */
static const char *answer_to_login(struct reader *r, struct span said, uint8_t whim)
{
    bool is_good = whim % 4 == 1;

    if (said.len > 0)
        r->has_said = true;
    if (!r->has_said || span_equals(said, span_of("*")))
        is_good = false;
    r->at = whim % 4 == 0 ? READS_RESPONSE : READS_COMMAND;
    r->is_logged_in = r->is_logged_in || is_good;
    return whim % 4 == 0 ? "334 \r\n" : is_good ? "235 ok\r\n" : "535-no\r\n535 no\n";
}

/* The initial response of AUTH, whose words have one blank between them. */
static struct span initial_response(struct span line)
{
    const char *blank = memchr(line.data + 5, ' ', line.len - 5);

    return blank == NULL ? (struct span){0} : span_skip(line, (size_t)(blank - line.data) + 1);
}

/* RFC 3030, in the one form that nobody reads differently. */
static bool begin_chunk(struct reader *r, struct span line)
{
    size_t i = 5;

    PROMISE(line.len > i && line.data[4] == ' ');
    for (r->chunk = 0; i < line.len && line.data[i] >= '0' && line.data[i] <= '9'; i++)
        r->chunk = r->chunk * 10 + (size_t)(line.data[i] - '0');
    PROMISE(i > 5 && i < 16 && r->chunk <= 900); /* SIZE */
    PROMISE(i == line.len || span_equals(span_skip(line, i), span_of(" LAST")));
    r->at = READS_CHUNK;
    return r->chunk > 0;
}

static const char *answer_to(struct reader *r, struct span line, uint8_t whim)
{
    static const char *const go_aheads[] = {"220 go\r\n", "454 no\r\n", "220 go\r\n220 x\r\n",
                                            "250 ok\r\n"};

    if (has_word(line, "STARTTLS"))
        return go_aheads[(whim & 7) < 4 ? whim & 3 : 0];
    if (has_word(line, "XCLIENT")) {
        r->is_introduced = (whim & 7) != 0;
        return r->is_introduced ? "220 x\r\n" : "550 no\r\n";
    }
    if (has_word(line, "DATA")) {
        r->at = (whim & 3) != 0 ? READS_CONTENT : READS_COMMAND;
        return r->at == READS_CONTENT ? "354 go\r\n" : "503 no\r\n";
    }
    if (has_word(line, "AUTH")) {
        r->has_said = false;
        return answer_to_login(r, initial_response(line), whim);
    }
    if (has_word(line, "EHLO") && (whim & 3) != 0)
        return "250-x\r\n250-STARTTLS\n250-XCLIENT NAME ADDR PORT\r\n250-AUTH PLAIN\r\n250-SIZE "
               "900\r\n250-PRDR\n250-8BITMIME\r\n"
               "250-DSN\r\n250 CHUNKING\r\n";
    if (has_word(line, "QUIT"))
        return whim & 1 ? "221 bye\r\n" : "501 no\r\n";
    if (whim == 42)
        return "421 bye\r\n";
    return whim & 1 ? "250 ok\r\n" : "550-no\n550 no\r\n";
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

static bool is_at(struct span s, size_t at, const char *what)
{
    return span_starts(span_skip(s, at), span_of(what));
}

/* The end of the content at the front; 0: it is not here yet. Unless nothing is altered, no other
 * end is there for anybody. */
static size_t whole_content(struct span s, enum bare_newline bare_newline)
{
    for (size_t i = 0; i < s.len; i++) {
        bool begins = i == 0 || s.data[i - 1] == '\n' || s.data[i - 1] == '\r';

        if (is_at(s, i, ".\r\n") && (i == 0 || (i >= 2 && is_at(s, i - 2, "\r\n"))))
            return i + 3;
        if (bare_newline == BARE_NEWLINE_PASS)
            continue;
        PROMISE(s.data[i] != '\0');
        PROMISE(s.data[i] != '\n' || (i > 0 && s.data[i - 1] == '\r'));
        PROMISE(s.data[i] != '\r' || i + 1 == s.len || s.data[i + 1] == '\n');
        PROMISE(!begins || i + 2 >= s.len || (!is_at(s, i, ".\r") && !is_at(s, i, ".\n")));
    }
    return 0;
}

/* One thing more; NULL: it is not whole yet. */
static const char *read_one(struct reader *r, const struct player *p, uint8_t whim)
{
    struct span rest = span_skip(
        (struct span){p->received[SIDE_BACKEND].data, p->received[SIDE_BACKEND].len}, r->seen);
    struct span line;
    size_t len = 0;

    switch (r->at) {
    case READS_COMMAND:
    case READS_RESPONSE: len = whole_line(rest); break;
    case READS_CONTENT: len = whole_content(rest, p->policy->bare_newline); break;
    case READS_CHUNK: len = rest.len < r->chunk ? 0 : r->chunk; break;
    }
    if (len == 0)
        return NULL;
    r->seen += len;
    line = span_first(rest, len - (len > 1 ? 2 : 0));
    switch (r->at) {
    case READS_COMMAND: break;
    case READS_RESPONSE:
        found(THING_RESPONSE, len);
        check_pieces(line);
        return answer_to_login(r, line, whim);
    case READS_CONTENT:
    case READS_CHUNK:
        found(r->at == READS_CONTENT ? THING_CONTENT : THING_CHUNK, len);
        r->at = READS_COMMAND;
        return whim & 1 ? "250 2.0.0 queued\r\n" : "554-no\r\n554 no\n";
    }
    found(THING_COMMAND, len);
    if (!check_way(line, p->policy, r))
        check_command(line, p->policy, r->is_logged_in);
    check_pieces(line);
    if (has_word(line, "BDAT") && begin_chunk(r, line))
        return read_one(r, p, whim);
    r->at = READS_COMMAND;
    return answer_to(r, line, whim);
}

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
