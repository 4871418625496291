/* SPDX-License-Identifier: ISC */
/* What clients are told that a service can (RFC 5804, section 1.7): the backend's capabilities, less
 * what ends at us, and STARTTLS where it is ours to offer. */
#include <assert.h>

#include "protocols/capability.h"
#include "protocols/learned.h"
#include "protocols/line.h"
#include "protocols/server.h"
#include "protocols/word.h"
#include "tests/example_protocol/managesieve.h"

static const struct span sasl = SPAN("SASL");
static const struct span starttls = SPAN("STARTTLS");

/* TLS ends here, and so do claims to another's identity. */
static const struct span never[] = {SPAN("STARTTLS"), SPAN("XCLIENT")};

/* What a client must be told whether or not a backend has been asked. All servers have PLAIN
 * (section 2.1), and it is shown where it may be used. */
static const struct span unlearned[] = {SPAN("IMPLEMENTATION starttlsd"), SPAN("SIEVE fileinto"),
                                        SPAN("SASL PLAIN"), SPAN("VERSION 1.0")};

static_assert(2 * SIEVE_MAX <= EVENT_SPACE, "a list fits, with a blank more in each line");

/* ---- reading ---- */

struct capability {
    struct span name, value;
};

static bool is_plain(struct span s)
{
    return s.len == 0 || memchr(s.data, '\\', s.len) == NULL;
}

/* The capability at the front of the list, which moves on. False: there is only the reply. What no
 * server says (literals, escapes) has no name. */
static bool capability_next_of(struct span *list, struct capability *c)
{
    size_t take;
    struct span line;

    if (sieve_reply_find(*list, &take) != SIEVE_REPLY_STRING)
        return false;
    line = span_first(*list, take - LINE_END.len);
    *list = span_skip(*list, take);
    *c = (struct capability){{0}, {0}};
    if (!sieve_string_next(&line, &c->name))
        return true;
    line = word_skip_blanks(line);
    if ((line.len > 0 && !sieve_string_next(&line, &c->value)) || line.len > 0 ||
        !is_plain(c->name) || !is_plain(c->value))
        c->name.len = 0;
    return true;
}

bool sieve_list_offers_tls(struct span list)
{
    struct capability c;

    while (capability_next_of(&list, &c))
        if (span_equals(c.name, starttls))
            return true;
    return false;
}

void sieve_list_learn(struct span list, struct learned *learned)
{
    char text[LEARNED_MAX];
    struct capability c;

    while (capability_next_of(&list, &c)) {
        struct capability_writer w = {.space = text, .size = sizeof text};
        const struct span part[] = {c.name, SPAN(" "), c.value};

        capability_write(&w, part, 3);
        if (c.name.len > 0)
            learned_add(learned, capability_written(&w));
    }
    learned->is_known = true;
}

/* ---- writing ---- */

/* How an entry is written: to clients "NAME" "value"; to people without the quotes. */
static const struct form {
    struct span begin, between, end;
} to_clients = {SPAN("\""), SPAN("\" \""), SPAN("\"\r\n")},
  to_people = {SPAN(""), SPAN(" "), SPAN("\n")};

static struct capability_writer writer(const struct form *form, char *space, size_t size)
{
    return (struct capability_writer){
        .space = space, .size = size, .prefix = form->begin, .end = form->end};
}

static void write_one(struct capability_writer *w, const struct form *form,
                      const struct policy *policy, bool is_secure, const struct capability *c)
{
    const struct span part[] = {c->name, form->between, c->value};
    const size_t parts = c->value.len > 0 ? 3 : 1;

    if (c->name.len == 0 || capability_is_hidden(policy, c->name) ||
        capability_is_among(c->name, never, sizeof never / sizeof *never))
        return;
    if (!span_equals(c->name, sasl))
        capability_write(w, part, parts);
    else if (server_may_log_in(policy, is_secure))
        capability_write_mechanisms(w, sasl, form->between, c->value, true);
    else
        capability_write(w, part, 2); /* none, until there is TLS (section 1.7) */
}

static void write_starttls(struct capability_writer *w, const struct policy *policy, bool is_secure)
{
    if (server_is_alone(policy, is_secure))
        capability_write_text(w, starttls);
}

struct span sieve_list_rewrite(struct span list, const struct policy *policy, bool is_secure,
                               char *space)
{
    struct capability_writer w = writer(&to_clients, space, EVENT_SPACE);
    struct capability c;

    write_starttls(&w, policy, is_secure);
    while (capability_next_of(&list, &c))
        write_one(&w, &to_clients, policy, is_secure, &c);
    w.prefix = w.end = (struct span){0};
    capability_write_text(&w, list); /* the reply, as it is */
    return capability_written(&w);
}

/* What is known without asking: while TLS is still to come and enforced, nothing of the backends. */
static void write_known(struct capability_writer *w, const struct form *form,
                        const struct policy *policy, const struct learned *learned, bool is_secure)
{
    struct capability_source source = {
        .policy = policy,
        .learned = server_is_alone(policy, is_secure) && policy->is_enforced ? NULL : learned,
        .fallback = unlearned,
        .fallback_count = sizeof unlearned / sizeof *unlearned,
    };
    struct span text;

    write_starttls(w, policy, is_secure);
    while (capability_next(&source, &text)) {
        struct capability c = {.value = text};

        c.name = word_next(&c.value);
        c.value = word_skip_blanks(c.value);
        write_one(w, form, policy, is_secure, &c);
    }
}

struct span sieve_list_own(const struct policy *policy, const struct learned *learned,
                           struct span end, char *space)
{
    struct capability_writer w = writer(&to_clients, space, EVENT_SPACE);

    write_known(&w, &to_clients, policy, learned, false);
    w.prefix = w.end = (struct span){0};
    capability_write_text(&w, end);
    return capability_written(&w);
}

struct span sieve_announced(const struct policy *policy, const struct learned *learned,
                            bool is_secure, char *space, size_t size)
{
    struct capability_writer w = writer(&to_people, space, size);

    write_known(&w, &to_people, policy, learned, is_secure);
    return capability_written(&w);
}

bool sieve_takes_logins(const struct policy *policy, const struct learned *learned)
{
    char space[LEARNED_MAX];
    struct capability_writer w = writer(&to_people, space, sizeof space);
    struct span text;
    size_t at = 0;

    while (learned_next(learned, &at, &text)) {
        struct capability c = {.value = text};

        c.name = word_next(&c.value);
        if (span_equals(c.name, sasl))
            write_one(&w, &to_people, policy, true, &c);
    }
    return w.len > 0;
}
