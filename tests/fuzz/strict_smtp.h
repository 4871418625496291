/* SPDX-License-Identifier: ISC */
/* A small strict server, written from the RFCs alone: it reads what the SMTP module has passed, finds
 * in it what the module says that it has passed, and answers as octets of the fuzzer want it. */
#ifndef STARTTLSD_FUZZ_STRICT_SMTP_H
#define STARTTLSD_FUZZ_STRICT_SMTP_H

#include <stdint.h>

#include "tests/differential/account.h"

enum reads { READS_COMMAND, READS_CONTENT, READS_CHUNK, READS_RESPONSE };

/* What a strict server has read so far. */
struct reader {
    size_t seen; /* of what the backend received */
    enum reads at;
    size_t chunk;
    bool is_logged_in;
    bool has_said; /* the client, something in the exchange under way */
    bool is_secure;
    bool is_introduced; /* it knows who the client is */
    unsigned connects;  /* of the session, so far */
};

/* What the module says that it has passed, and no reader has found yet. */
static struct octets told; /* a letter and four octets of length each */
static size_t told_open;   /* of a thing that has not ended */

static inline void on_account(const struct account *a)
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
static inline void found(enum thing thing, size_t size)
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

static inline bool has_word(struct span line, const char *word)
{
    struct span w = span_of(word);

    return span_starts(line, w) &&
           (line.len == w.len || line.data[w.len] == ' ' || line.data[w.len] == '\t' ||
            line.data[w.len] == '\v' || line.data[w.len] == '\f');
}

static inline bool contains(struct span s, const char *what)
{
    struct span w = span_of(what);

    for (size_t i = 0; i + w.len <= s.len; i++)
        if (span_starts(span_skip(s, i), w))
            return true;
    return false;
}

/* Written apart from the module on purpose: what it must have seen to before this line could pass.
 */
static inline void check_command(struct span line, const struct policy *policy, bool is_logged_in)
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
static inline bool check_way(struct span line, const struct policy *policy, const struct reader *r)
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
static inline void check_piece(struct span piece)
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
static inline void check_pieces(struct span line)
{
    static const size_t buffers[] = {511, 512, 1023, 1024};

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        for (size_t at = buffers[i]; at < line.len; at += buffers[i])
            check_piece(span_first(span_skip(line, at), buffers[i]));
}

/* A command of its own, or the exchange that is under way. No exchange lets nobody in.
 * said: what the client has to say in it; `*` takes all back */
static inline const char *answer_to_login(struct reader *r, struct span said, uint8_t whim)
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
static inline struct span initial_response(struct span line)
{
    const char *blank = memchr(line.data + 5, ' ', line.len - 5);

    return blank == NULL ? (struct span){0} : span_skip(line, (size_t)(blank - line.data) + 1);
}

/* RFC 3030, in the one form that nobody reads differently. */
static inline bool begin_chunk(struct reader *r, struct span line)
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

static inline const char *answer_to(struct reader *r, struct span line, uint8_t whim)
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
static inline size_t whole_line(struct span s)
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

static inline bool is_at(struct span s, size_t at, const char *what)
{
    return span_starts(span_skip(s, at), span_of(what));
}

/* The end of the content at the front; 0: it is not here yet. Unless nothing is altered, no other
 * end is there for anybody. */
static inline size_t whole_content(struct span s, enum bare_newline bare_newline)
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
static inline const char *read_one(struct reader *r, const struct player *p, uint8_t whim)
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

#endif
