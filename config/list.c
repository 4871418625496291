/* SPDX-License-Identifier: ISC */
/* Values that are lists. Each word is judged by itself, so that all bad ones are named in one run.
 */
#include "config/list.h"

#include "config/config.h"
#include "config/endpoint.h"

static size_t count_words(const struct setting *setting)
{
    size_t count = 0;

    for (; setting != NULL; setting = setting->more) {
        struct span rest = span_of(setting->text);

        while (word_take(&rest).len > 0)
            count++;
    }
    return count;
}

/* The words of all lines in their order, each with the line that it stands on. */
struct walk {
    struct parse at; /* the line of the word, for complaints */
    struct span rest;
    struct span word;
};

static struct walk walk_begin(const struct parse *p)
{
    return (struct walk){.at = *p, .rest = span_of(p->setting->text)};
}

static bool walk_next(struct walk *w)
{
    while ((w->word = word_take(&w->rest)).len == 0) {
        if (w->at.setting->more == NULL)
            return false;
        w->at.setting = w->at.setting->more;
        w->rest = span_of(w->at.setting->text);
    }
    return true;
}

bool list_endpoints(const struct parse *p)
{
    bool is_listen = p->setting->key->type == TYPE_LISTEN;
    struct endpoint *list = arena_take(p->arena, count_words(p->setting) * sizeof(*list));
    struct walk w = walk_begin(p);
    size_t count = 0;
    bool ok = true;

    while (walk_next(&w)) {
        struct endpoint *e = &list[count++];
        const char *remedy;
        const char *wrong = endpoint_parse(e, w.word, is_listen, p->arena, &remedy);

        e->origin = w.at.setting->origin;
        if (wrong != NULL) {
            parse_complain(&w.at, remedy, "`%s` %s", e->text, wrong);
            ok = false;
        }
    }
    if (ok) {
        *(const struct endpoint **)parse_field(p, sizeof(list)) = list;
        *parse_count_field(p) = count;
    }
    return ok;
}

bool list_certificates(const struct parse *p)
{
    struct parse line = *p;
    struct certificate *list;
    size_t count = 0;
    bool ok = true;

    for (; line.setting != NULL; line.setting = line.setting->more)
        count++;
    list = arena_take(p->arena, count * sizeof(*list));
    count = 0;
    for (line = *p; line.setting != NULL; line.setting = line.setting->more) {
        const struct origin origin = line.setting->origin;
        struct span rest = span_of(line.setting->text);
        const char *path[3] = {NULL, NULL, NULL};

        for (size_t i = 0; i < 3; i++) {
            struct span word = word_take(&rest);

            if (word.len > 0)
                path[i] = path_resolve(arena_copy(p->arena, word), origin.file, p->arena);
        }
        if (word_take(&rest).len > 0) {
            parse_complain(&line, "write one certificate a line: CHAIN.pem [KEY.pem [PASSPHRASE]]",
                           "more than three files");
            ok = false;
        }
        list[count++] =
            (struct certificate){path[0], path[1] != NULL ? path[1] : path[0], path[2], origin};
    }
    if (ok) {
        *(const struct certificate **)parse_field(p, sizeof(list)) = list;
        *parse_count_field(p) = count;
    }
    return ok;
}

bool list_words(const struct parse *p)
{
    const char **word = arena_take(p->arena, count_words(p->setting) * sizeof(*word));
    struct walk w = walk_begin(p);
    size_t count = 0;

    while (walk_next(&w))
        word[count++] = arena_copy(p->arena, w.word);
    *(struct words *)parse_field(p, sizeof(struct words)) = (struct words){word, count};
    return true;
}

/* False: complained of. */
static bool judge_domain(const struct parse *p, struct span word)
{
    const char *text = arena_copy(p->arena, word);

    if (span_equals(word, span_of("login"))) {
        parse_complain(p,
                       "list the domains that you take mail for, or write `relay = backend` if the "
                       "backend relays nothing for starttlsd's address",
                       "`login` lets clients relay once they have logged in, but this version "
                       "passes no AUTH yet, so that none ever could");
        return false;
    }
    if (span_equals(word, span_of("backend"))) {
        parse_complain(p, "write either `backend` or domains",
                       "with `backend` the backend decides alone, so that domains beside it would "
                       "mean nothing");
        return false;
    }
    if (word.data[0] == '.' || word.data[0] == '*' || word.data[0] == '@') {
        parse_complain(p, "write each domain in full, as in example.com", "`%s` is a pattern",
                       text);
        return false;
    }
    if (!endpoint_is_domain(word)) {
        parse_complain(p, "write domains, as in example.com, or `backend`", "`%s` is not a domain",
                       text);
        return false;
    }
    return true;
}

bool list_relay(const struct parse *p)
{
    struct service *service = p->base;
    size_t total = count_words(p->setting);
    const char **domain = arena_take(p->arena, total * sizeof(*domain));
    struct walk w = walk_begin(p);
    size_t count = 0;
    bool ok = true;

    while (walk_next(&w)) {
        if (total == 1 && span_equals(w.word, span_of("backend"))) {
            service->policy.relay = RELAY_BACKEND;
            service->policy.relay_domains = (struct words){NULL, 0};
            return true;
        }
        if (w.word.len > 1 && w.word.data[w.word.len - 1] == '.')
            w.word.len--;
        ok = judge_domain(&w.at, w.word) && ok;
        domain[count++] = arena_copy(p->arena, w.word);
    }
    if (ok) {
        service->policy.relay = RELAY_DOMAINS;
        service->policy.relay_domains = (struct words){domain, count};
    }
    return ok;
}
