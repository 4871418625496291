/* SPDX-License-Identifier: ISC */
/* The arguments of MAIL and RCPT: who may be written to, and AUTH= parameters that must not pass.
 */
#include "protocols/smtp_envelope.h"

#include "protocols/smtp_verb.h"
#include "protocols/word.h"

static bool is_alnum(char c)
{
    char l = ascii_lower(c);

    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

/* Octets of a local part that every reader takes for themselves: atext (RFC 5322, section 3.2.3),
 * dots and what SMTPUTF8 adds, less `%` and `!`, which route, and `^`, which old sendmails take for
 * `!`. */
static bool is_local(char c)
{
    static const struct span others = SPAN("#$&'*+-/=?_`{|}~.");

    return is_alnum(c) || (unsigned char)c > 127 || memchr(others.data, c, others.len) != NULL;
}

/* RFC 5321, section 4.1.2: keyword, then perhaps `=` and a value. */
static bool is_parameter(struct span token)
{
    size_t i = 0;

    while (i < token.len && (is_alnum(token.data[i]) || (i > 0 && token.data[i] == '-')))
        i++;
    if (i == 0)
        return false;
    if (i == token.len)
        return true;
    if (token.data[i] != '=' || i + 1 == token.len)
        return false;
    while (++i < token.len) {
        unsigned char c = (unsigned char)token.data[i];

        /* RFC 5321 lets < and > pass; a greedy reader would find another path between them. */
        if (c <= ' ' || c == '=' || c == '<' || c == '>' || c == 127)
            return false;
    }
    return true;
}

/* The token up to the next SP: other blanks are no separators in the exact form. */
static struct span first_token(struct span s)
{
    const char *blank = s.len == 0 ? NULL : memchr(s.data, ' ', s.len);

    return blank == NULL ? s : span_first(s, (size_t)(blank - s.data));
}

/* What may follow the address: nothing, or blanks and parameters. */
static bool is_tail(struct span tail)
{
    if (tail.len > 0 && tail.data[0] != ' ')
        return false;
    while (tail.len > 0) {
        struct span token;

        tail = span_skip(tail, 1);
        token = first_token(tail);
        if (token.len > 0 && !is_parameter(token))
            return false;
        tail = span_skip(tail, token.len);
    }
    return true;
}

static bool ends_with_verb(struct span tail)
{
    while (tail.len > 0) {
        struct span token = first_token(tail);

        if (smtp_ends_with_verb(token))
            return true;
        tail = span_skip(tail, token.len + 1);
    }
    return false;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] > 127)
            return false;
    return true;
}

/* The length of a command up to the end of its path, which hides nothing; 0: it has none. */
static size_t exact_path(struct span text)
{
    static const struct span mail = SPAN("MAIL FROM:<"), rcpt = SPAN("RCPT TO:<");
    size_t at = span_starts(text, mail) ? mail.len : span_starts(text, rcpt) ? rcpt.len : 0;

    if (at == 0)
        return 0;
    for (; at < text.len && text.data[at] != '>'; at++)
        if ((unsigned char)text.data[at] <= ' ' || text.data[at] == '"' || text.data[at] == 127)
            return 0;
    return at < text.len ? at + 1 : 0;
}

bool smtp_envelope_is_exact(struct span text, bool is_utf8)
{
    size_t path = exact_path(text);
    struct span tail = span_skip(text, path);

    return path > 0 && path <= SMTP_COMMAND_PASS_MAX && (is_utf8 || is_ascii(text)) &&
           is_tail(tail) && !ends_with_verb(tail);
}

static bool is_domain_ours(struct span domain, const struct words *domains)
{
    if (domain.len > 0 && domain.data[domain.len - 1] == '.')
        domain.len--;
    for (size_t i = 0; i < domains->count; i++)
        if (domain.len > 0 && span_equals(domain, span_of(domains->word[i])))
            return true;
    return false;
}

/* Forms of ASCII characters that some readers fold back into these: U+FF00 to U+FFFF, U+FE40 to
 * U+FE7F (full width, small). */
static bool shows_forms(struct span s)
{
    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.data[i] == '\xef' &&
            (s.data[i + 1] == '\xbc' || s.data[i + 1] == '\xbd' || s.data[i + 1] == '\xbe' ||
             s.data[i + 1] == '\xbf' || s.data[i + 1] == '\xb9'))
            return true;
    return false;
}

/* Local parts that are a route to somebody else: encapsulated addresses (Exchange), X.400 and pipes.
 * One that begins with a hyphen is an option to some programs. */
static bool is_route(struct span local)
{
    return span_starts(local, (struct span)SPAN("IMCEA")) ||
           (local.len > 0 && memchr("/|-", local.data[0], 3) != NULL);
}

bool smtp_rcpt_is_ours(struct span text, const struct words *domains, bool is_utf8)
{
    static const struct span opening = SPAN("RCPT TO:<");
    struct span path, tail;
    const char *end;
    size_t at = 0;

    if (!span_starts(text, opening))
        return false;
    path = span_skip(text, opening.len);
    end = path.len == 0 ? NULL : memchr(path.data, '>', path.len);
    if (end == NULL)
        return false;
    path.len = (size_t)(end - path.data);
    tail = span_skip(text, opening.len + path.len + 1);
    if (!is_tail(tail) || (!is_utf8 && !is_ascii(tail)))
        return false;
    if (span_equals(path, (struct span)SPAN("postmaster"))) /* RFC 5321, section 4.5.1 */
        return true;
    while (at < path.len && is_local(path.data[at]))
        at++;
    if (is_route(path) || (is_utf8 ? shows_forms(text) : !is_ascii(span_first(path, at))))
        return false;
    return at > 0 && at < path.len && path.data[at] == '@' &&
           is_domain_ours(span_skip(path, at + 1), domains);
}

static const struct span auth = SPAN("AUTH=");

/* Does a token that looks like AUTH= begin anywhere? One that only ends another word (XAUTH=) does
 * not count: no reader splits there. */
static bool shows_auth(struct span s)
{
    for (size_t i = 0; i + auth.len <= s.len; i++)
        if (span_starts_stripped(span_skip(s, i), auth) &&
            (i == 0 || !(is_alnum(s.data[i - 1]) || s.data[i - 1] == '-')))
            return true;
    return false;
}

static size_t blanks(struct span s)
{
    size_t n = 0;

    while (n < s.len && word_is_blank(s.data[n]))
        n++;
    return n;
}

/* `AUTH =`: one word to some readers, two to others. */
static bool splits_auth(struct span s)
{
    static const struct span name = SPAN("AUTH");

    for (size_t i = 0; i < s.len; i++) {
        struct span rest = span_skip(s, i + name.len);
        size_t gap = 0;

        while (gap < rest.len && word_is_blank((char)(rest.data[gap] & 0x7f)))
            gap++;
        if (gap > 0 && span_starts_stripped(span_skip(s, i), name) &&
            span_starts_stripped(span_skip(rest, gap), (struct span)SPAN("=")))
            return true;
    }
    return false;
}

/* The length of a path with its brackets; 0: none. Quotes hide a bracket (RFC 5321, section 4.1.2).
 */
static size_t path_length(struct span s)
{
    bool is_quoted = false;

    if (s.len == 0 || s.data[0] != '<')
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.data[i] == '"')
            is_quoted = !is_quoted;
        else if (s.data[i] == '\\' && is_quoted)
            i++;
        else if (s.data[i] == '>' && !is_quoted)
            return i + 1;
    }
    return 0;
}

/* A reader that knows no quotes ends the path at its first `>` or blank: does it see AUTH= behind
 * that? */
static bool path_hides_auth(struct span path)
{
    for (size_t i = 0; i + 1 < path.len; i++)
        if (path.data[i] == '>' || word_is_blank(path.data[i]))
            return shows_auth(span_skip(path, i));
    return false;
}

static size_t word(struct span s)
{
    size_t n = 0;

    while (n < s.len && !word_is_blank(s.data[n]))
        n++;
    return n;
}

size_t smtp_mail_drop(struct span parameters)
{
    size_t dropped = 0;

    for (;;) {
        struct span rest = span_skip(parameters, dropped);
        size_t gap = blanks(rest);
        struct span token = span_skip(rest, gap);

        if (gap == 0 || !span_starts(token, auth))
            return dropped;
        dropped += gap + word(token);
    }
}

size_t smtp_mail_keep(struct span parameters)
{
    size_t kept = 0;

    while (kept < parameters.len && smtp_mail_drop(span_skip(parameters, kept)) == 0) {
        kept += blanks(span_skip(parameters, kept));
        kept += word(span_skip(parameters, kept));
    }
    return kept;
}

enum smtp_mail_result smtp_mail_check(struct span text, size_t *at)
{
    static const struct span opening = SPAN("MAIL FROM:");
    struct span parameters;
    bool has_auth = false;
    size_t path, i;

    if (splits_auth(text))
        return SMTP_MAIL_BAD;
    if (!shows_auth(text))
        return SMTP_MAIL_CLEAN;
    if (!span_starts(text, opening))
        return SMTP_MAIL_BAD;
    i = opening.len + blanks(span_skip(text, opening.len));
    path = path_length(span_skip(text, i));
    if (path == 0 || path_hides_auth(span_first(span_skip(text, i), path)))
        return SMTP_MAIL_BAD;
    *at = i + path;
    parameters = span_skip(text, *at);
    if (parameters.len > 0 && blanks(parameters) == 0)
        return SMTP_MAIL_BAD;
    for (i = 0; i < parameters.len;) {
        struct span token;

        i += blanks(span_skip(parameters, i));
        token = span_first(span_skip(parameters, i), word(span_skip(parameters, i)));
        if (span_starts(token, auth))
            has_auth = true;
        else if (shows_auth(token))
            return SMTP_MAIL_BAD;
        i += token.len;
    }
    *at += smtp_mail_keep(parameters);
    return has_auth ? SMTP_MAIL_AUTH : SMTP_MAIL_CLEAN;
}

bool smtp_mail_is_eight_bit(struct span text, bool is_utf8)
{
    static const struct span body = SPAN("BODY="), of_nobody = SPAN("AUTH=<>"); /* RFC 4954, 5 */
    size_t path = exact_path(text);
    struct span tail = span_skip(text, path);
    bool is_eight_bit = false;

    if (path == 0 || !(is_utf8 || is_ascii(text)))
        return false;
    while (tail.len > 0) {
        struct span token = first_token(span_skip(tail, 1));

        if (tail.data[0] != ' ' ||
            !(token.len == 0 || is_parameter(token) || span_equals(token, of_nobody)))
            return false;
        tail = span_skip(tail, 1 + token.len);
        if (!span_starts(token, body))
            continue;
        if (is_eight_bit)
            return false; /* twice: who knows which one counts */
        is_eight_bit = span_equals(token, (struct span)SPAN("BODY=8BITMIME")) ||
                       span_equals(token, (struct span)SPAN("BODY=BINARYMIME"));
        if (!is_eight_bit)
            return false;
    }
    return is_eight_bit;
}

static struct span next_token(struct span *rest)
{
    struct span token;

    *rest = span_skip(*rest, blanks(*rest));
    token = span_first(*rest, word(*rest));
    *rest = span_skip(*rest, token.len);
    return token;
}

bool smtp_mail_changes_replies(struct span text)
{
    static const struct span words[] = {SPAN("PRDR"), SPAN("XPRDR"), SPAN("EXDATA"),
                                        SPAN("XEXDATA"), SPAN("TRANSID=")};
    struct span rest = text, token; /* the path is no such word; what hides behind one may be */

    while ((token = next_token(&rest)).len > 0)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (span_starts_stripped(token, words[i]))
                return true;
    return false;
}
