/* SPDX-License-Identifier: ISC */
/* SASL (RFC 4422) as far as a proxy has to do with it. */
#include "protocols/sasl.h"

#include "protocols/word.h"

static const struct span never[] = {SPAN("EXTERNAL"), SPAN("ANONYMOUS")};

static const struct span layered[] = {
    SPAN("GSSAPI"), SPAN("GSS-SPNEGO"), SPAN("DIGEST-MD5"),
    SPAN("NTLM"),   SPAN("SRP"),        SPAN("KERBEROS_V4"),
};

#define MECHANISM_MAX 20 /* RFC 4422, section 3.1 */

static bool is_among(struct span mechanism, const struct span *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equals(mechanism, list[i]))
            return true;
    return false;
}

static bool is_alnum(char c)
{
    char l = ascii_lower(c);

    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

struct span sasl_mechanism(struct span argument, struct span *response)
{
    struct span mechanism;

    *response = argument;
    mechanism = word_next(response);
    *response = word_skip_blanks(*response);
    return mechanism;
}

bool sasl_is_mechanism(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_alnum(word.data[i]) && word.data[i] != '-' && word.data[i] != '_')
            return false;
    return word.len > 0 && word.len <= MECHANISM_MAX;
}

bool sasl_may_pass(struct span mechanism, bool may_add_layer)
{
    static const struct span binding = SPAN("-PLUS"); /* RFC 5801, section 4 */

    if (mechanism.len == 0 || is_among(mechanism, never, sizeof never / sizeof *never))
        return false;
    if (mechanism.len > binding.len &&
        span_equals(span_skip(mechanism, mechanism.len - binding.len), binding))
        return false;
    return may_add_layer || !is_among(mechanism, layered, sizeof layered / sizeof *layered);
}

static bool is_base64(char c)
{
    return is_alnum(c) || c == '+' || c == '/' || c == '=';
}

bool sasl_is_response(struct span text)
{
    if (text.len == 1 && text.data[0] == '*')
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (!is_base64(text.data[i]))
            return false;
    return true;
}

bool sasl_is_initial(struct span text)
{
    return (text.len == 0 || text.data[0] != '*') && sasl_is_response(text);
}

enum sasl_line sasl_line_find(struct span window, struct line *line)
{
    switch (line_find(window, SASL_LINE_MAX, line)) {
    case LINE_PARTIAL: return SASL_PARTIAL;
    case LINE_TOO_LONG: return SASL_TOO_LONG;
    case LINE_FOUND: break;
    }
    return !line->is_dirty && sasl_is_response(line->text) ? SASL_RESPONSE : SASL_BAD;
}
