/* SPDX-License-Identifier: ISC */
/* ID (RFC 2971): who a client says it is. */
#include "protocols/imap_id.h"

#define PAIRS_MAX 30
#define KEY_MAX   ((size_t)30)
#define VALUE_MAX ((size_t)1024)

static const struct span nil = SPAN("NIL");

static bool is_nil(const struct imap_token *token)
{
    return token->kind == IMAP_TOKEN_ATOM && span_equals(token->text, nil);
}

/* A string within its limit; atoms too, since clients in the field forget the quotes. */
static enum imap_arguments next_string(struct span *rest, size_t limit, struct imap_token *token)
{
    *token = imap_token_next(rest);
    switch (token->kind) {
    case IMAP_TOKEN_PENDING: return IMAP_ARGUMENTS_PENDING;
    case IMAP_TOKEN_OPEN:
    case IMAP_TOKEN_CLOSE:
    case IMAP_TOKEN_BAD: return IMAP_ARGUMENTS_BAD;
    case IMAP_TOKEN_ATOM:
    case IMAP_TOKEN_QUOTED:
    case IMAP_TOKEN_LITERAL: break;
    }
    return imap_token_octets(token, NULL) <= limit ? IMAP_ARGUMENTS_GOOD : IMAP_ARGUMENTS_BAD;
}

static enum imap_arguments next_pair(struct span *rest, struct imap_token pair[2])
{
    enum imap_arguments result = next_string(rest, KEY_MAX, &pair[0]);

    if (result != IMAP_ARGUMENTS_GOOD)
        return result;
    if (is_nil(&pair[0]) || !imap_space_next(rest))
        return IMAP_ARGUMENTS_BAD;
    return next_string(rest, VALUE_MAX, &pair[1]);
}

/* Behind the last pair. */
static bool is_close(struct span rest)
{
    return imap_token_next(&rest).kind == IMAP_TOKEN_CLOSE;
}

enum imap_arguments imap_id_parse(struct span rest)
{
    struct imap_token token, pair[2];

    if (!imap_space_next(&rest))
        return IMAP_ARGUMENTS_BAD;
    token = imap_token_next(&rest);
    if (is_nil(&token))
        return rest.len == 0 ? IMAP_ARGUMENTS_GOOD : IMAP_ARGUMENTS_BAD;
    if (token.kind != IMAP_TOKEN_OPEN)
        return IMAP_ARGUMENTS_BAD;
    for (size_t pairs = 0; !is_close(rest); pairs++) {
        enum imap_arguments result;

        if (pairs == PAIRS_MAX || (pairs > 0 && !imap_space_next(&rest)))
            return IMAP_ARGUMENTS_BAD;
        result = next_pair(&rest, pair);
        if (result != IMAP_ARGUMENTS_GOOD)
            return result;
    }
    return rest.len == 1 ? IMAP_ARGUMENTS_GOOD : IMAP_ARGUMENTS_BAD;
}

/* Blanks before it count for nothing: some reader may strip them. */
static bool is_claim(const struct imap_token *key)
{
    char octets[KEY_MAX];
    struct span name = {octets, imap_token_octets(key, octets)}; /* it was parsed: within KEY_MAX */

    while (name.len > 0 && (unsigned char)name.data[0] <= ' ')
        name = span_skip(name, 1);
    return name.len == 0 || span_starts(name, (struct span)SPAN("x-"));
}

void imap_id_write(struct imap_writer *w, struct span rest)
{
    struct imap_token pair[2];
    struct span separator = SPAN("(");

    rest = span_skip(rest, 1);
    if (imap_token_next(&rest).kind == IMAP_TOKEN_OPEN) {
        while (!is_close(rest) && next_pair(&rest, pair) == IMAP_ARGUMENTS_GOOD) {
            rest = span_skip(rest, 1);
            if (is_claim(&pair[0]))
                continue;
            imap_write(w, separator);
            separator = (struct span)SPAN(" ");
            imap_write_quoted(w, &pair[0]);
            imap_write(w, (struct span)SPAN(" "));
            if (is_nil(&pair[1]))
                imap_write(w, nil);
            else
                imap_write_quoted(w, &pair[1]);
        }
    }
    imap_write(w, separator.data[0] == '(' ? nil : (struct span)SPAN(")"));
}
