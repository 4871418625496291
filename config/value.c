/* SPDX-License-Identifier: ISC */
/* Text to typed values. Lists are read in list.c. */
#include "config/value.h"

#include <assert.h>
#include <stdio.h>

#include "config/config.h"
#include "config/endpoint.h"
#include "config/list.h"
#include "config/nearest.h"

static const struct {
    const char *name;
    uint32_t ms;
} units[] = {
    {"d", 24 * 3600 * 1000}, {"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1},
};

const char *value_duration(uint32_t ms, char space[VALUE_DURATION_MAX])
{
    size_t i = 0;

    while (ms % units[i].ms != 0)
        i++;
    if (ms == 0)
        snprintf(space, VALUE_DURATION_MAX, "0s");
    else
        snprintf(space, VALUE_DURATION_MAX, "%u%s", ms / units[i].ms, units[i].name);
    return space;
}

/* All leading digits. Saturates; false: there is none. */
static bool take_number(const char **text, uint64_t *number)
{
    const char *at = *text;

    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (*number < UINT32_MAX)
            *number = *number * 10 + (uint64_t)(*at - '0');
    if (at == *text)
        return false;
    *text = at;
    return true;
}

static void put_u32(const struct parse *p, uint32_t value)
{
    memcpy(parse_field(p, sizeof(value)), &value, sizeof(value));
}

static void put_text(const struct parse *p, const char *value)
{
    memcpy(parse_field(p, sizeof(value)), &value, sizeof(value));
}

static bool is_special(const struct parse *p)
{
    const struct key *key = p->setting->key;

    return key->word != NULL && strcmp(p->setting->text, key->word) == 0;
}

/* ", or `off`", for keys that take a word instead of a number. */
static const char *or_special(const struct parse *p)
{
    const char *word = p->setting->key->word;

    return word == NULL ? "" : arena_print(p->arena, ", or `%s`", word);
}

static bool parse_count(const struct parse *p)
{
    const struct key *key = p->setting->key;
    const char *text = p->setting->text;
    uint64_t number;

    if (is_special(p)) {
        put_u32(p, key->word_value);
        return true;
    }
    if (!take_number(&text, &number) || *text != '\0') {
        parse_complain(p, arena_print(p->arena, "write digits alone%s", or_special(p)),
                       "`%s` is not a whole number", p->setting->text);
        return false;
    }
    if (number < key->min || number > key->max) {
        parse_complain(p,
                       arena_print(p->arena, "write %u to %u%s", key->min, key->max, or_special(p)),
                       "%s is out of bounds", p->setting->text);
        return false;
    }
    put_u32(p, (uint32_t)number);
    return true;
}

static bool parse_duration(const struct parse *p)
{
    const struct key *key = p->setting->key;
    const char *text = p->setting->text;
    char least[VALUE_DURATION_MAX], most[VALUE_DURATION_MAX];
    uint64_t number = 0;
    uint32_t unit = 0;

    if (is_special(p)) {
        put_u32(p, key->word_value);
        return true;
    }
    if (take_number(&text, &number))
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (strcmp(text, units[i].name) == 0)
                unit = units[i].ms;
    if (unit == 0) {
        parse_complain(p,
                       arena_print(p->arena, "write a number and its unit: 500ms 30s 5m 12h 7d%s",
                                   or_special(p)),
                       "`%s` is not a length of time", p->setting->text);
        return false;
    }
    if (number * unit < key->min || number * unit > key->max) {
        parse_complain(p,
                       arena_print(p->arena, "write %s to %s%s", value_duration(key->min, least),
                                   value_duration(key->max, most), or_special(p)),
                       "%s is out of bounds", p->setting->text);
        return false;
    }
    put_u32(p, (uint32_t)(number * unit));
    return true;
}

/* The words that may be chosen. */
static const char *choice_words(const struct parse *p)
{
    const char *list = "";

    for (const struct choice *c = p->setting->key->choices; c->word != NULL; c++)
        if (c->refusal == NULL)
            list = arena_print(p->arena, "%s%s`%s`", list, *list == '\0' ? "" : ", ", c->word);
    return list;
}

static const char *choice_nearest(const struct parse *p)
{
    const char *words[16] = {NULL};
    size_t count = 0;

    for (const struct choice *c = p->setting->key->choices; c->word != NULL; c++) {
        assert(count + 1 < sizeof(words) / sizeof(words[0]));
        words[count++] = c->word;
    }
    return word_nearest(words, p->setting->text);
}

static bool parse_choice(const struct parse *p)
{
    const struct key *key = p->setting->key;
    const struct choice *c = key->choices;
    const char *near;

    while (c->word != NULL && strcmp(c->word, p->setting->text) != 0)
        c++;
    if (c->refusal != NULL) {
        parse_complain(p, c->remedy, "%s", c->refusal);
        return false;
    }
    if (c->word == NULL) {
        near = choice_nearest(p);
        parse_complain(p,
                       near != NULL ? arena_print(p->arena, "did you mean `%s`?", near)
                                    : arena_print(p->arena, "choose of %s", choice_words(p)),
                       "`%s` is none of its words", p->setting->text);
        return false;
    }
    if (key->size == sizeof(bool))
        *(bool *)parse_field(p, sizeof(bool)) = c->value != 0;
    else if (key->size > 0)
        put_u32(p, c->value);
    return true;
}

static bool parse_name(const struct parse *p)
{
    if (strpbrk(p->setting->text, " \t") != NULL) {
        parse_complain(p, "write one word", "`%s` is more than one word", p->setting->text);
        return false;
    }
    put_text(p, arena_copy(p->arena, span_of(p->setting->text)));
    return true;
}

static bool parse_hostname(const struct parse *p)
{
    if (!endpoint_is_name(span_of(p->setting->text))) {
        parse_complain(p, "write the machine's full name, as in mail.example.net",
                       "`%s` is not a host name", p->setting->text);
        return false;
    }
    put_text(p, arena_copy(p->arena, span_of(p->setting->text)));
    return true;
}

/* RFC 5321, section 4.2: printable ASCII, blanks and tabs. Controls have been refused by ini.c. */
static bool parse_text(const struct parse *p)
{
    for (const char *at = p->setting->text; *at != '\0'; at++)
        if ((unsigned char)*at > '~') {
            parse_complain(p, "write it in ASCII (RFC 5321, section 4.2)",
                           "a character that cannot stand in a greeting");
            return false;
        }
    put_text(p, arena_copy(p->arena, span_of(p->setting->text)));
    return true;
}

static bool parse_path(const struct parse *p)
{
    put_text(p, path_resolve(p->setting->text, p->setting->origin.file, p->arena));
    return true;
}

/* log.c knows their numbers. */
static const char *const facilities[] = {
    "auth",   "authpriv", "cron",   "daemon", "ftp",    "lpr",    "mail",
    "news",   "syslog",   "user",   "uucp",   "local0", "local1", "local2",
    "local3", "local4",   "local5", "local6", "local7", NULL,
};

static bool parse_syslog(const struct parse *p, const char *facility)
{
    struct config *config = p->base;
    const char *near;

    for (size_t i = 0; facilities[i] != NULL; i++)
        if (strcmp(facilities[i], facility) == 0) {
            config->log_target = LOG_TO_SYSLOG;
            config->log_facility = facilities[i];
            return true;
        }
    near = word_nearest(facilities, facility);
    parse_complain(p,
                   near != NULL ? arena_print(p->arena, "did you mean `%s`?", near)
                                : "syslog(3) lists them: `mail`, `daemon`, `local0`",
                   "`%s` is not a facility of syslog", facility);
    return false;
}

static bool parse_log(const struct parse *p)
{
    struct config *config = p->base;
    const char *text = p->setting->text;

    if (strcmp(text, "stderr") == 0) {
        config->log_target = LOG_TO_STDERR;
        return true;
    }
    if (strcmp(text, "syslog") == 0)
        return parse_syslog(p, "mail");
    if (strncmp(text, "syslog:", 7) == 0)
        return parse_syslog(p, text + 7);
    if (strchr(text, '/') == NULL) { /* a slip in `stderr` must not become a file */
        parse_complain(p, "write `stderr`, `syslog`, `syslog:FACILITY`, or a file with its folder",
                       "`%s` is no place for a log", text);
        return false;
    }
    config->log_target = LOG_TO_FILE;
    config->log_file = path_resolve(text, p->setting->origin.file, p->arena);
    return true;
}

static bool parse_protocol(const struct parse *p)
{
    struct service *service = p->base;
    const struct protocol *protocol = protocol_find(span_of(p->setting->text));
    const char *known = "";

    if (protocol != NULL) {
        service->protocol = protocol;
        return true;
    }
    for (size_t i = 0; (protocol = protocol_at(i)) != NULL; i++)
        known = arena_print(p->arena, "%s%s`%s`", known, i == 0 ? "" : ", ", protocol->name);
    parse_complain(p, arena_print(p->arena, "this version speaks %s", known),
                   "`%s` is not spoken here", p->setting->text);
    return false;
}

bool value_parse(const struct parse *p)
{
    switch (p->setting->key->type) {
    case TYPE_COUNT: return parse_count(p);
    case TYPE_DURATION: return parse_duration(p);
    case TYPE_CHOICE: return parse_choice(p);
    case TYPE_NAME: return parse_name(p);
    case TYPE_HOSTNAME: return parse_hostname(p);
    case TYPE_TEXT: return parse_text(p);
    case TYPE_PATH: return parse_path(p);
    case TYPE_LOG: return parse_log(p);
    case TYPE_PROTOCOL: return parse_protocol(p);
    case TYPE_LISTEN:
    case TYPE_BACKEND: return list_endpoints(p);
    case TYPE_CERTIFICATES:
    case TYPE_CERTIFICATE: return list_certificates(p);
    case TYPE_FINGERPRINTS: return list_fingerprints(p);
    case TYPE_CIPHERS: return list_ciphers(p);
    case TYPE_SOURCES: return list_sources(p);
    case TYPE_WORDS: return list_words(p);
    case TYPE_CAPABILITIES: return list_capabilities(p);
    case TYPE_COMMANDS: return list_commands(p);
    case TYPE_NETWORKS: return list_networks(p);
    case TYPE_PEERS: return list_peers(p);
    case TYPE_RELAY: return list_relay(p);
    }
    assert(false);
    return false;
}
