/* SPDX-License-Identifier: ISC */
/* Puts a command together for a backend, in our own words. */
#include "protocols/imap_writer.h"

#include "protocols/line.h"

void imap_write(struct imap_writer *w, struct span octets)
{
    if (w->part != w->wanted || octets.len == 0)
        return;
    if (octets.len > w->size - w->len) {
        w->is_full = true;
        return;
    }
    memcpy(w->space + w->len, octets.data, octets.len);
    w->len += octets.len;
}

void imap_write_break(struct imap_writer *w)
{
    imap_write(w, LINE_END);
    w->part++;
}

static void write_number(struct imap_writer *w, size_t number)
{
    char digits[24];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    imap_write(w, (struct span){digits + at, sizeof digits - at});
}

static void write_literal(struct imap_writer *w, const struct imap_token *token)
{
    imap_write(w, (struct span)SPAN("{"));
    write_number(w, imap_token_octets(token, NULL));
    imap_write(w, (struct span)SPAN("}"));
    imap_write_break(w);
    if (w->part != w->wanted)
        return;
    if (token->text.len > w->size - w->len)
        w->is_full = true;
    else
        w->len += imap_token_octets(token, w->space + w->len);
}

void imap_write_quoted(struct imap_writer *w, const struct imap_token *token)
{
    imap_write(w, (struct span)SPAN("\""));
    for (size_t i = 0; i < token->text.len; i++) {
        struct span c = {token->text.data + i, 1};
        bool is_special = *c.data == '"' || *c.data == '\\';

        if (is_special && token->kind != IMAP_TOKEN_QUOTED) /* there it is escaped already */
            imap_write(w, (struct span)SPAN("\\"));
        imap_write(w, imap_is_printable(c) ? c : (struct span)SPAN("?"));
    }
    imap_write(w, (struct span)SPAN("\""));
}

/* In no need of quotes to a server that knows RFC 2060 alone. */
static bool is_atom(const struct imap_token *token)
{
    for (size_t i = 0; i < token->text.len; i++)
        if (!imap_is_atom_char(token->text.data[i]))
            return false;
    return token->kind == IMAP_TOKEN_ATOM;
}

/* Between quotes without a change. */
static bool is_quotable(const struct imap_token *token)
{
    const struct span text = token->text;

    return imap_is_printable(text) && (token->kind == IMAP_TOKEN_QUOTED || text.len == 0 ||
                                       (memchr(text.data, '"', text.len) == NULL &&
                                        memchr(text.data, '\\', text.len) == NULL));
}

void imap_write_string(struct imap_writer *w, const struct imap_token *token)
{
    if (token->text.len > IMAP_QUOTED_MAX)
        write_literal(w, token);
    else if (is_atom(token))
        imap_write(w, token->text);
    else if (is_quotable(token))
        imap_write_quoted(w, token);
    else
        write_literal(w, token);
}
