/* SPDX-License-Identifier: ISC */
/* The table and a configuration, printed: dump, explanation of a key, reference. */
#include <stddef.h>
#include <stdio.h>

#include "config/fingerprint.h"
#include "config/load.h"
#include "config/network.h"
#include "config/value.h"

static const void *field_of(const struct key *key, const void *base)
{
    return (const char *)base + key->field;
}

static uint32_t number_of(const struct key *key, const void *base)
{
    uint32_t number;

    memcpy(&number, field_of(key, base), sizeof(number));
    return number;
}

static const char *text_of(const struct key *key, const void *base)
{
    const char *text;

    memcpy(&text, field_of(key, base), sizeof(text));
    return text;
}

static void dump_line(const struct key *key, const char *value, FILE *to)
{
    if (value != NULL)
        fprintf(to, "%s = %s\n", key->name, value);
    else
        fprintf(to, "# %s: not set (%s)\n", key->name,
                key->preset_note == NULL ? "no default" : key->preset_note);
}

static void dump_count(const struct key *key, const void *base, FILE *to)
{
    uint32_t number = number_of(key, base);

    if (key->word != NULL && number == key->word_value)
        dump_line(key, key->word, to);
    else
        fprintf(to, "%s = %u\n", key->name, number);
}

static void dump_duration(const struct key *key, const void *base, FILE *to)
{
    uint32_t ms = number_of(key, base);
    char space[VALUE_DURATION_MAX];

    dump_line(key,
              key->word != NULL && ms == key->word_value ? key->word : value_duration(ms, space),
              to);
}

static void dump_choice(const struct key *key, const void *base, FILE *to)
{
    const struct choice *c = key->choices;
    uint32_t value = 0; /* a key without field has one word */

    if (key->size == sizeof(bool))
        value = *(const bool *)field_of(key, base);
    else if (key->size > 0)
        value = number_of(key, base);
    while (c->word != NULL && (c->refusal != NULL || c->value != value))
        c++;
    dump_line(key, c->word, to); /* no word: as the profile has it */
}

static void dump_log(const struct key *key, const struct config *config, FILE *to)
{
    switch (config->log_target) {
    case LOG_TO_STDERR: dump_line(key, "stderr", to); break;
    case LOG_TO_SYSLOG: fprintf(to, "%s = syslog:%s\n", key->name, config->log_facility); break;
    case LOG_TO_FILE: dump_line(key, config->log_file, to); break;
    }
}

static void dump_endpoints(const struct key *key, const struct endpoint *list, size_t count,
                           FILE *to)
{
    for (size_t i = 0; i < count; i++)
        dump_line(key, list[i].text, to);
}

/* A list's first element, and how many there are. */
static const void *list_of(const struct key *key, const void *base, size_t *count)
{
    const void *list;

    memcpy(&list, field_of(key, base), sizeof(list));
    memcpy(count, (const char *)base + key->count_field, sizeof(*count));
    return list;
}

static void dump_certificates(const struct key *key, const void *base, FILE *to)
{
    size_t count;
    const struct certificate *c = list_of(key, base, &count);

    if (count == 0)
        dump_line(key, NULL, to);
    for (; count > 0; count--, c++) {
        fprintf(to, "%s = %s", key->name, c->chain);
        if (c->key != c->chain || c->passphrase != NULL)
            fprintf(to, " %s", c->key);
        if (c->passphrase != NULL)
            fprintf(to, " %s", c->passphrase);
        putc('\n', to);
    }
}

static void dump_fingerprints(const struct key *key, const void *base, FILE *to)
{
    char space[FINGERPRINT_TEXT_MAX];
    size_t count;
    const struct fingerprint *list = list_of(key, base, &count);

    for (size_t i = 0; i < count; i++)
        dump_line(key, fingerprint_text(&list[i], space), to);
}

/* One a line, since all of them may be longer than a line can be. */
static void dump_ciphers(const struct key *key, const void *base, FILE *to)
{
    const char *list = text_of(key, base);

    if (list == NULL)
        dump_line(key, NULL, to);
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ":");

        fprintf(to, "%s = %.*s\n", key->name, (int)len, list);
        list += len + (list[len] == ':');
    }
}

static void dump_sources(const struct key *key, const struct service *service, FILE *to)
{
    if (service->backend_source_v4 != NULL)
        dump_line(key, service->backend_source_v4, to);
    if (service->backend_source_v6 != NULL)
        dump_line(key, service->backend_source_v6, to);
    if (service->backend_source_v4 == NULL && service->backend_source_v6 == NULL)
        dump_line(key, NULL, to);
}

static void dump_networks(const struct key *key, const void *base, bool has_unix, FILE *to)
{
    char space[NETWORK_TEXT_MAX];
    size_t count;
    const struct network *list = list_of(key, base, &count);

    if (has_unix)
        dump_line(key, "unix", to);
    else if (count == 0)
        dump_line(key, NULL, to);
    for (size_t i = 0; i < count; i++)
        dump_line(key, network_text(&list[i], space), to);
}

static void dump_words(const struct key *key, const struct words *words, FILE *to)
{
    if (words->count == 0)
        dump_line(key, NULL, to);
    for (size_t i = 0; i < words->count; i++)
        dump_line(key, words->word[i], to);
}

static void dump_relay(const struct key *key, const struct policy *policy, FILE *to)
{
    switch (policy->relay) {
    case RELAY_UNSET: dump_line(key, NULL, to); break;
    case RELAY_BACKEND: dump_line(key, "backend", to); break;
    case RELAY_LOGIN: dump_line(key, "login", to); break;
    case RELAY_DOMAINS: dump_words(key, &policy->relay_domains, to); break;
    }
}

static void dump_key(const struct key *key, const void *base, FILE *to)
{
    const struct service *service = base; /* only where the type is one of services */

    switch (key->type) {
    case TYPE_COUNT: dump_count(key, base, to); break;
    case TYPE_DURATION: dump_duration(key, base, to); break;
    case TYPE_CHOICE: dump_choice(key, base, to); break;
    case TYPE_NAME:
    case TYPE_HOSTNAME:
    case TYPE_TEXT:
    case TYPE_PATH: dump_line(key, text_of(key, base), to); break;
    case TYPE_LOG: dump_log(key, base, to); break;
    case TYPE_PROTOCOL: dump_line(key, service->protocol->name, to); break;
    case TYPE_LISTEN: dump_endpoints(key, service->listen, service->listen_count, to); break;
    case TYPE_BACKEND: dump_endpoints(key, service->backend, service->backend_count, to); break;
    case TYPE_CERTIFICATES:
    case TYPE_CERTIFICATE: dump_certificates(key, base, to); break;
    case TYPE_FINGERPRINTS: dump_fingerprints(key, base, to); break;
    case TYPE_CIPHERS: dump_ciphers(key, base, to); break;
    case TYPE_SOURCES: dump_sources(key, service, to); break;
    case TYPE_WORDS:
    case TYPE_CAPABILITIES:
    case TYPE_COMMANDS: dump_words(key, field_of(key, base), to); break;
    case TYPE_NETWORKS: dump_networks(key, base, false, to); break;
    case TYPE_PEERS: dump_networks(key, base, service->accept_proxy_unix, to); break;
    case TYPE_RELAY: dump_relay(key, &service->policy, to); break;
    }
}

static void dump_global(const struct config *config, FILE *to)
{
    const struct key *key;

    fputs("[starttlsd]\n", to);
    for (size_t i = 0; (key = key_at(i)) != NULL; i++)
        if (key->section == KEY_GLOBAL)
            dump_key(key, config, to);
}

static void dump_service(const struct service *service, FILE *to)
{
    const struct key *key;

    fprintf(to, "\n[service %s]\n", service->name);
    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        if (key->section != KEY_SERVICE)
            continue;
        if (key_applies(key, service))
            dump_key(key, service, to);
        else
            fprintf(to, "# %s: means nothing with this `%s`\n", key->name,
                    key_condition(key->needs));
    }
}

void config_dump(const struct config *config, FILE *to)
{
    dump_global(config, to);
    for (size_t i = 0; i < config->service_count; i++)
        dump_service(&config->service[i], to);
}

/* What may be written, in words. */
static void print_takes(const struct key *key, FILE *to)
{
    char least[VALUE_DURATION_MAX], most[VALUE_DURATION_MAX];
    const char *comma = "";

    switch (key->type) {
    case TYPE_COUNT: fprintf(to, "%u to %u", key->min, key->max); break;
    case TYPE_DURATION:
        fprintf(to, "%s to %s", value_duration(key->min, least), value_duration(key->max, most));
        break;
    case TYPE_CHOICE:
        for (const struct choice *c = key->choices; c->word != NULL; c++)
            if (c->refusal == NULL) {
                fprintf(to, "%s`%s`", comma, c->word);
                comma = ", ";
            }
        break;
    case TYPE_NAME: fputs("a name", to); break;
    case TYPE_HOSTNAME: fputs("a host name", to); break;
    case TYPE_TEXT: fputs("ASCII text", to); break;
    case TYPE_PATH: fputs("a path", to); break;
    case TYPE_LOG: fputs("`stderr`, `syslog[:FACILITY]`, a path", to); break;
    case TYPE_PROTOCOL:
        for (size_t i = 0; protocol_at(i) != NULL; i++)
            fprintf(to, "%s`%s`", i == 0 ? "" : ", ", protocol_at(i)->name);
        break;
    case TYPE_LISTEN: fputs("list of `ADDRESS:PORT`", to); break;
    case TYPE_BACKEND: fputs("list of `HOST:PORT`", to); break;
    case TYPE_CERTIFICATES: fputs("list of files, one certificate a line", to); break;
    case TYPE_CERTIFICATE: fputs("files", to); break;
    case TYPE_FINGERPRINTS: fputs("list of `cert-sha256:HEX` and `key-sha256:HEX`", to); break;
    case TYPE_CIPHERS: fputs("list of ciphers", to); break;
    case TYPE_SOURCES: fputs("one or two addresses", to); break;
    case TYPE_WORDS: fputs("list of words", to); break;
    case TYPE_CAPABILITIES: fputs("list of `KEYWORD[=PARAMETER,PARAMETER]`", to); break;
    case TYPE_COMMANDS: fputs("list of verbs", to); break;
    case TYPE_NETWORKS: fputs("list of networks and addresses", to); break;
    case TYPE_PEERS: fputs("list of networks and addresses, and `unix`", to); break;
    case TYPE_RELAY: fputs("`login`, `backend`, or a list of domains", to); break;
    }
    if (key->word != NULL)
        fprintf(to, ", or `%s`", key->word);
}

static void print_default(const struct key *key, FILE *to)
{
    const struct protocol *p;

    if (key->preset != NULL)
        fprintf(to, "`%s`", key->preset);
    else
        fputs(key->preset_note != NULL ? key->preset_note : "required", to);
    for (size_t i = 0; (p = protocol_at(i)) != NULL; i++) {
        const char *own = key_protocol_preset(key, p);

        if (own != NULL && strcmp(own, key->preset) != 0)
            fprintf(to, "; `%s` with `protocol = %s`", own, p->name);
    }
}

static const char *section_names(const struct key *key)
{
    return key->section == KEY_GLOBAL ? "[starttlsd]" : "[service NAME] or [defaults]";
}

static void explain(const struct key *key, FILE *to)
{
    fprintf(to, "%s, in %s\n  takes:   ", key->name, section_names(key));
    print_takes(key, to);
    fputs("\n  default: ", to);
    print_default(key, to);
    fprintf(to, "\n  %s\n", key->help);
    if (key_is_list(key))
        fputs("  May be repeated in its section, and adds up.\n", to);
}

bool config_explain(const char *name, FILE *to, FILE *errors)
{
    const struct key *global = key_find(KEY_GLOBAL, name);
    const struct key *service = key_find(KEY_SERVICE, name);
    const char *near = key_nearest(KEY_SERVICE, name);

    if (global != NULL)
        explain(global, to);
    if (service != NULL)
        explain(service, to);
    if (global != NULL || service != NULL)
        return true;
    if (near == NULL)
        near = key_nearest(KEY_GLOBAL, name);
    if (key_comes_later(KEY_GLOBAL, name) || key_comes_later(KEY_SERVICE, name))
        fprintf(errors, "%s: this key comes with a later version of starttlsd\n", name);
    else if (near != NULL)
        fprintf(errors, "%s: unknown key; did you mean `%s`?\n", name, near);
    else
        fprintf(errors, "%s: unknown key; `starttlsd check --reference` lists all\n", name);
    return false;
}

static void print_table(enum key_section section, FILE *to)
{
    const struct key *key;

    fputs("| key | takes | default | |\n|---|---|---|---|\n", to);
    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        if (key->section != section)
            continue;
        fprintf(to, "| `%s` | ", key->name);
        print_takes(key, to);
        fputs(" | ", to);
        print_default(key, to);
        fprintf(to, " | %s |\n", key->help);
    }
}

void config_reference(FILE *to)
{
    fputs("# Configuration\n\n"
          "The file is `" CONFIG_DEFAULT_FILE
          "` unless `--config FILE` says otherwise. This page is "
          "printed by `starttlsd check --reference`.\n\n"
          "- One `KEY = VALUE` a line, at most 199 octets. A line that begins with `#` or `;` is a "
          "comment; there is no comment behind a value.\n"
          "- `[starttlsd]` is about the process, `[service NAME]` about one service, and "
          "`[defaults]` gives keys to all services that do not write them themselves.\n"
          "- A key that takes a list takes several words, and may be repeated in its section: the "
          "lines add up. A key in a service replaces what `[defaults]` gave.\n"
          "- Lengths of time have a unit: `500ms`, `30s`, `5m`, `12h`, `7d`.\n"
          "- Relative paths start at the folder of the file that names them.\n"
          "- `include = FILE` reads another file. It stands above the first section, may be "
          "repeated, "
          "takes no pattern, and does not stand in an included file.\n"
          "- `starttlsd check` names every error with its line; `starttlsd check --explain KEY` "
          "tells what is said here; `starttlsd check --dump` shows every value in force.\n\n"
          "## `[starttlsd]`\n\n",
          to);
    print_table(KEY_GLOBAL, to);
    fputs("\n## `[service NAME]` and `[defaults]`\n\n", to);
    print_table(KEY_SERVICE, to);
}
