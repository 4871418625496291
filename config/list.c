/* SPDX-License-Identifier: ISC */
/* Values that are lists. Each word is judged by itself, so that all bad ones are named in one run.
 */
#include "config/list.h"

#include "config/config.h"
#include "config/endpoint.h"
#include "config/network.h"

size_t list_length(const struct setting *setting)
{
    size_t count = 0;

    for (; setting != NULL; setting = setting->more) {
        struct span rest = span_of(setting->text);

        while (word_take(&rest).len > 0)
            count++;
    }
    return count;
}

bool list_endpoints(const struct parse *p)
{
    bool is_listen = p->setting->key->type == TYPE_LISTEN;
    struct endpoint *list = arena_take(p->arena, list_length(p->setting) * sizeof(*list));
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

/* False: complained of. */
static bool take_network(const struct parse *p, struct span word, struct network *network)
{
    char remedy[NETWORK_REMEDY_MAX];
    const char *wrong = network_parse(network, word, remedy);

    if (wrong != NULL)
        parse_complain(p, remedy, "`%s` %s", arena_copy(p->arena, word), wrong);
    return wrong == NULL;
}

static void put_networks(const struct parse *p, const struct network *list, size_t count)
{
    *(const struct network **)parse_field(p, sizeof(list)) = list;
    *parse_count_field(p) = count;
}

bool list_networks(const struct parse *p)
{
    struct network *list = arena_take(p->arena, list_length(p->setting) * sizeof(*list));
    struct walk w = walk_begin(p);
    size_t count = 0;
    bool ok = true;

    while (walk_next(&w))
        ok = take_network(&w.at, w.word, &list[count++]) && ok;
    if (ok)
        put_networks(p, list, count);
    return ok;
}

bool list_peers(const struct parse *p)
{
    struct network *list = arena_take(p->arena, list_length(p->setting) * sizeof(*list));
    struct service *service = p->base;
    struct walk w = walk_begin(p);
    bool ok = true, has_unix = false;
    size_t count = 0;

    while (walk_next(&w)) {
        if (span_equals(w.word, span_of("unix")))
            has_unix = true;
        else
            ok = take_network(&w.at, w.word, &list[count++]) && ok;
    }
    if (ok) {
        put_networks(p, list, count);
        service->accept_proxy_unix = has_unix;
    }
    return ok;
}

/* The words that `judge` does not complain of. */
static bool list_judged(const struct parse *p, bool (*judge)(const struct parse *, struct span))
{
    const char **word = arena_take(p->arena, list_length(p->setting) * sizeof(*word));
    struct walk w = walk_begin(p);
    size_t count = 0;
    bool ok = true;

    while (walk_next(&w)) {
        ok = judge(&w.at, w.word) && ok;
        word[count++] = arena_copy(p->arena, w.word);
    }
    if (ok)
        *(struct words *)parse_field(p, sizeof(struct words)) = (struct words){word, count};
    return ok;
}

static bool judge_nothing(const struct parse *p, struct span word)
{
    return true;
}

bool list_words(const struct parse *p)
{
    return list_judged(p, judge_nothing);
}

static bool is_letter(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool judge_capability(const struct parse *p, struct span word)
{
    const char *wrong = NULL;
    bool has_letter = false;
    size_t at = 0;

    for (; at < word.len && word.data[at] != '='; at++) {
        char c = word.data[at];

        has_letter = has_letter || is_letter(c);
        if (!is_letter(c) && !is_digit(c) && (at == 0 || strchr("-+._", c) == NULL))
            wrong = "has a keyword that no server announces";
    }
    if (wrong == NULL && !has_letter)
        wrong = "is no keyword";
    for (; wrong == NULL && at < word.len; at++) {
        if ((unsigned char)word.data[at] > '~')
            wrong = "is not ASCII";
        else if ((at + 1 == word.len || word.data[at + 1] == ',') && strchr("=,", word.data[at]))
            wrong = "lacks a parameter";
    }
    if (wrong != NULL)
        parse_complain(p, "write KEYWORD or KEYWORD=PARAMETER,PARAMETER, as in SIZE=10240000",
                       "`%s` %s", arena_copy(p->arena, word), wrong);
    return wrong == NULL;
}

bool list_capabilities(const struct parse *p)
{
    return list_judged(p, judge_capability);
}

static bool judge_command(const struct parse *p, struct span word)
{
    bool ok = is_letter(word.data[0]);

    for (size_t i = 1; i < word.len; i++)
        ok = ok && (is_letter(word.data[i]) || is_digit(word.data[i]) || word.data[i] == '-');
    if (!ok)
        parse_complain(p, "write verbs alone, without what may follow them", "`%s` is not a verb",
                       arena_copy(p->arena, word));
    return ok;
}

bool list_commands(const struct parse *p)
{
    return list_judged(p, judge_command);
}

/* False: complained of. */
static bool judge_domain(const struct parse *p, struct span word)
{
    const char *text = arena_copy(p->arena, word);

    if (span_equals(word, span_of("login"))) {
        parse_complain(
            p,
            "write either `login` or domains; with domains too, clients that have logged "
            "in may send to anywhere",
            "with `login` nothing is taken from clients that have not logged in, so that "
            "domains beside it would mean nothing");
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
        parse_complain(p, "write domains, as in example.com, or `login`, or `backend`",
                       "`%s` is not a domain", text);
        return false;
    }
    return true;
}

/* `relay` as one word that is no domain. */
static enum relay relay_word(struct span word)
{
    if (span_equals(word, span_of("login")))
        return RELAY_LOGIN;
    return span_equals(word, span_of("backend")) ? RELAY_BACKEND : RELAY_DOMAINS;
}

bool list_relay(const struct parse *p)
{
    struct service *service = p->base;
    size_t total = list_length(p->setting);
    const char **domain = arena_take(p->arena, total * sizeof(*domain));
    struct walk w = walk_begin(p);
    size_t count = 0;
    bool ok = true;

    while (walk_next(&w)) {
        if (total == 1 && relay_word(w.word) != RELAY_DOMAINS) {
            service->policy.relay = relay_word(w.word);
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
