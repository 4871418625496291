/* SPDX-License-Identifier: ISC */
/* The SMTP module against whatever both peers say. The first octet picks the play, 0xfe separates
 * turns: clear   a client before TLS: nothing may reach a backend wild    client and backend say
 * anything: how it is cut changes nothing strict  the backend is a small reader written from the
 * RFCs alone, which answers what it reads: it must find allow-listed commands, whole messages, and
 * nothing else */
#include <stdint.h>

#include "tests/unit/player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const domains[] = {"example.org"};
static const char *const hide[] = {"DSN"};

static const struct policy policies[] = {
    {.hostname = "mx", .is_enforced = true, .relay = RELAY_BACKEND, .max_errors = 10},
    {.hostname = "mx",
     .is_enforced = true,
     .relay = RELAY_DOMAINS,
     .relay_domains = {domains, 1},
     .hide_capabilities = {hide, 1}},
};

/* What a strict server has read so far. */
struct reader {
    size_t seen; /* of what the backend received */
    bool in_content, is_over;
};

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
static void check_command(struct span line, const struct policy *policy)
{
    static const char *const allowed[] = {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET",
                                          "NOOP", "QUIT", "HELP", "VRFY", "EXPN"};
    bool is_allowed = false;

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        is_allowed = is_allowed || has_word(line, allowed[i]);
    PROMISE(is_allowed);
    PROMISE(line.len <= 4096);
    if (has_word(line, "MAIL")) {
        PROMISE(!contains(line, " AUTH=") && !contains(line, "\tAUTH="));
        PROMISE(!contains(line, ">AUTH="));
    }
    if (has_word(line, "RCPT") && policy->relay == RELAY_DOMAINS) {
        PROMISE(span_starts(line, span_of("RCPT TO:<")));
        PROMISE(contains(line, "@example.org>") || contains(line, "@example.org.>") ||
                span_starts(line, span_of("RCPT TO:<postmaster>")));
        PROMISE(!contains(line, "\"") || contains(line, ">"));
        PROMISE(memchr(line.data, '>', line.len) != NULL);
        line.len = (size_t)((const char *)memchr(line.data, '>', line.len) - line.data);
        PROMISE(!contains(line, "%") && !contains(line, "!") && !contains(line, "\""));
        PROMISE(
            !contains(line, "@") ||
            !contains(span_skip(line, 1 + (size_t)((const char *)memchr(line.data, '@', line.len) -
                                                   line.data)),
                      "@"));
    }
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

static const char *answer_to(struct reader *r, struct span line, uint8_t whim)
{
    if (r->in_content) {
        r->in_content = false;
        return whim & 1 ? "250 2.0.0 queued\r\n" : "554-no\r\n554 no\n";
    }
    if (has_word(line, "DATA")) {
        r->in_content = (whim & 3) != 0;
        return r->in_content ? "354 go\r\n" : "503 no\r\n";
    }
    if (has_word(line, "EHLO") && (whim & 3) != 0)
        return "250-x\r\n250-STARTTLS\n250-AUTH PLAIN\r\n250-SIZE\r\n250 CHUNKING\r\n";
    if (has_word(line, "QUIT"))
        return whim & 1 ? "221 bye\r\n" : "501 no\r\n";
    if (whim == 42)
        return "421 bye\r\n";
    return whim & 1 ? "250 ok\r\n" : "550-no\n550 no\r\n";
}

/* One line or one message more; NULL: it is not whole yet. */
static const char *read_one(struct reader *r, const struct player *p, uint8_t whim)
{
    struct span rest = span_skip(
        (struct span){p->received[SIDE_BACKEND].data, p->received[SIDE_BACKEND].len}, r->seen);
    bool begins_line = true;

    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.data[i];

        PROMISE(c != '\0');
        PROMISE(c != '\n' || (i > 0 && rest.data[i - 1] == '\r'));
        PROMISE(c != '\r' || i + 1 == rest.len || rest.data[i + 1] == '\n');
        if (c != '\n') {
            begins_line = begins_line && (c == '.' || c == '\r');
            if (c == '.' && i > 0 && rest.data[i - 1] == '.')
                begins_line = false;
            continue;
        }
        if (!r->in_content || (begins_line && i >= 2 && rest.data[i - 2] == '.')) {
            struct span line = span_first(rest, i - 1);

            if (!r->in_content) {
                check_command(line, p->policy);
                check_pieces(line);
            }
            r->seen += i + 1;
            return answer_to(r, line, whim);
        }
        begins_line = true;
    }
    return NULL;
}

static void enter_gate(struct player *p, const struct policy *policy)
{
    player_init(p, &smtp_protocol, policy, false);
    player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    player_feed(p, SIDE_BACKEND, "220 x\r\n", 7);
}

/* cut: in single octets, where that must not matter */
static void feed(struct player *p, enum side side, struct span input, bool cut)
{
    if (!cut) {
        player_feed(p, side, input.data, input.len);
        return;
    }
    for (size_t i = 0; i < input.len; i++)
        player_feed(p, side, input.data + i, 1);
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
    player_init(p, &smtp_protocol, policy, false);
    player_event(p, EVENT_CONNECTED, SIDE_CLIENT, END_NONE);
    while (play.len > 0 && p->outcome == VERDICT_MORE) {
        struct span turn = next_turn(&play);

        for (size_t i = 0; i < turn.len && p->outcome == VERDICT_MORE; i += cut ? 1 : turn.len)
            player_feed(p, SIDE_CLIENT, turn.data + i, cut ? 1 : turn.len);
    }
    PROMISE(p->received[SIDE_BACKEND].len == 0 && p->outcome != VERDICT_CONNECT);
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

static void play_strict(struct player *p, const struct policy *policy, struct span play, bool cut)
{
    struct span whims = play;
    struct reader r = {0};
    size_t turns = 0;

    enter_gate(p, policy);
    while (play.len > 0 && !player_is_over(p)) {
        struct span turn = next_turn(&play);
        const char *answer;

        feed(p, SIDE_CLIENT, turn, cut);
        while (!player_is_over(p)) {
            answer = read_one(&r, p, (uint8_t)whims.data[turns++ % whims.len]);
            if (answer == NULL)
                break;
            player_feed(p, SIDE_BACKEND, answer, strlen(answer));
        }
        PROMISE((p->notes & 1u << NOTE_BACKEND_REPLY) == 0); /* it and we agree on what was asked */
    }
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
    bool is_tls;

    if (size < 2)
        return 0;
    policy = &policies[data[0] / 4 % 2];
    play = span_skip(play, 1);
    plays[data[0] % 4 % 3](&a, policy, play, false);
    plays[data[0] % 4 % 3](&b, policy, play, true);
    is_tls = a.outcome == VERDICT_START_TLS || b.outcome == VERDICT_START_TLS;
    if (!is_tls) /* whether octets shared a segment with STARTTLS is the one thing that cuts may
                    change */
        compare(&a, &b);
    player_clear(&a);
    player_clear(&b);
    return 0;
}
