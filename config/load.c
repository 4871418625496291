/* SPDX-License-Identifier: ISC */
/* INI files to a struct config: sections and settings are gathered, then read row by row of the
 * table. */
#include "config/load.h"

#include <stdlib.h>

#include "config/derive.h"
#include "config/ini.h"
#include "config/validate.h"
#include "config/value.h"

/* One run of config_load. */
struct loader {
    struct loaded *l;
    const struct config_source *source;
    struct diagnosis *d;
};

/* One file of it. */
struct file {
    struct loader *loader;
    const char *path;
    bool is_included;
    bool has_sections;
    struct section *section; /* NULL: none yet, or one that was refused */
};

const struct setting *section_find(const struct section *section, const char *key)
{
    const struct setting *s = section == NULL ? NULL : section->first;

    while (s != NULL && strcmp(s->key->name, key) != 0)
        s = s->next;
    return s;
}

const struct section *loaded_section(const struct loaded *l, enum section_kind kind)
{
    const struct section *s = l->section;

    while (s != NULL && s->kind != kind)
        s = s->next;
    return s;
}

const struct section *loaded_service(const struct loaded *l, const struct service *service)
{
    size_t index = (size_t)(service - l->config.service);
    const struct section *s = l->section;

    while (s != NULL && (s->kind != SECTION_SERVICE || index-- > 0))
        s = s->next;
    return s;
}

const struct setting *loaded_find(const struct loaded *l, const struct section *section,
                                  const char *key)
{
    const struct setting *s = section_find(section, key);

    if (s == NULL && section != NULL && section->kind == SECTION_SERVICE)
        s = section_find(loaded_section(l, SECTION_DEFAULTS), key);
    return s;
}

struct origin loaded_origin(const struct loaded *l, const struct section *section, const char *key)
{
    const struct setting *written = loaded_find(l, section, key);

    return written != NULL ? written->origin : section->origin;
}

/* A file is named once, and is of the later kind. False: it was named before. */
static bool add_file(struct loaded *l, const char *path, enum config_file_kind kind,
                     struct origin origin)
{
    struct named_file *f;

    if (path == NULL)
        return true;
    for (f = l->file; f != NULL; f = f->next)
        if (strcmp(f->path, path) == 0) {
            if (kind > f->kind && f->kind != CONFIG_FILE_INI)
                f->kind = kind;
            return false;
        }
    f = arena_take(&l->arena, sizeof(*f));
    *f = (struct named_file){path, kind, origin, NULL};
    *l->file_end = f;
    l->file_end = &f->next;
    return true;
}

/* [service NAME]: what goes into the log unquoted. */
static bool is_service_name(const char *name)
{
    for (; *name != '\0'; name++) {
        char low = ascii_lower(*name);

        if (!((low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') ||
              strchr("-_.", low) != NULL))
            return false;
    }
    return true;
}

static bool section_kind(const char *title, enum section_kind *kind, const char **wrong)
{
    *wrong = NULL;
    if (strcmp(title, "starttlsd") == 0)
        *kind = SECTION_GLOBAL;
    else if (strcmp(title, "defaults") == 0)
        *kind = SECTION_DEFAULTS;
    else if (strncmp(title, "service ", 8) == 0)
        *kind = SECTION_SERVICE;
    else if (strcmp(title, "service") == 0)
        *wrong = "a service without a name";
    else
        *wrong = "unknown section";
    if (*wrong == NULL && *kind == SECTION_SERVICE && !is_service_name(title + 8))
        *wrong = "a service is named by letters, digits, `-`, `_` and `.` without blanks";
    return *wrong == NULL;
}

static void on_section(void *context, const char *title, int line)
{
    struct file *f = context;
    struct loaded *l = f->loader->l;
    const struct origin origin = {f->path, line};
    enum section_kind kind;
    const char *wrong;

    f->section = NULL;
    f->has_sections = true;
    if (!section_kind(title, &kind, &wrong)) {
        diagnosis_error(f->loader->d, origin, title, NULL,
                        "write [starttlsd], [defaults], or [service NAME]", "%s", wrong);
        return;
    }
    for (const struct section *s = l->section; s != NULL; s = s->next)
        if (strcmp(s->title, title) == 0) {
            diagnosis_error(f->loader->d, origin, title, NULL,
                            "put all its keys under one heading, or choose another name",
                            "the section began before, in %s:%d", s->origin.file, s->origin.line);
            return;
        }
    f->section = arena_take(&l->arena, sizeof(*f->section));
    *f->section = (struct section){
        .kind = kind, .title = arena_copy(&l->arena, span_of(title)), .origin = origin};
    f->section->end = &f->section->first;
    *l->section_end = f->section;
    l->section_end = &f->section->next;
}

static void read_file(struct loader *loader, const char *path, struct origin named_at);

static void include(struct file *f, const char *value, struct origin origin)
{
    struct loaded *l = f->loader->l;
    struct diagnosis *d = f->loader->d;
    const char *path;

    if (f->is_included) {
        diagnosis_error(d, origin, NULL, "include", "include it from the main file",
                        "an included file includes no other");
    } else if (strpbrk(value, "*?[") != NULL) {
        diagnosis_error(d, origin, NULL, "include", "name each file on a line of its own",
                        "`%s` is a pattern", value);
    } else {
        path = path_resolve(value, f->path, &l->arena);
        if (add_file(l, path, CONFIG_FILE_INI, origin))
            read_file(f->loader, path, origin);
        else
            diagnosis_error(d, origin, NULL, "include", "remove the line", "%s is read already",
                            path);
    }
}

/* No such key here: say the nearest truth. */
static void complain_unknown(struct file *f, const char *name, struct origin origin)
{
    struct arena *arena = &f->loader->l->arena;
    enum key_section here = f->section->kind == SECTION_GLOBAL ? KEY_GLOBAL : KEY_SERVICE;
    enum key_section there = here == KEY_GLOBAL ? KEY_SERVICE : KEY_GLOBAL;
    const char *near = key_nearest(here, name);
    const char *remedy = "`starttlsd check --reference` lists all keys";
    const char *wrong = "unknown key";

    if (key_comes_later(here, name)) {
        wrong = "this key comes with a later version of starttlsd";
        remedy = "remove the line, and make sure that you can do without it";
    } else if (strcmp(name, "include") == 0) {
        wrong = "`include` stands inside a section";
        remedy = "put it above the first section";
    } else if (key_find(there, name) != NULL || key_comes_later(there, name)) {
        wrong = "the key is of another section";
        remedy = there == KEY_GLOBAL ? "put it under [starttlsd]"
                                     : "put it under [defaults] or [service NAME]";
    } else if (near != NULL) {
        remedy = arena_print(arena, "did you mean `%s`?", near);
    }
    diagnosis_error(f->loader->d, origin, f->section->title, name, remedy, "%s", wrong);
}

static void add_setting(struct file *f, const struct key *key, const char *value,
                        struct origin origin)
{
    struct arena *arena = &f->loader->l->arena;
    struct setting *s;
    struct setting *new = arena_take(arena, sizeof(*new));

    *new = (struct setting){.key = key,
                            .text = arena_copy(arena, span_of(value)),
                            .section = f->section->title,
                            .origin = origin};
    for (s = f->section->first; s != NULL && s->key != key; s = s->next)
        ;
    if (s == NULL) {
        *f->section->end = new;
        f->section->end = &new->next;
    } else if (key_is_list(key)) {
        while (s->more != NULL)
            s = s->more;
        s->more = new;
    } else {
        diagnosis_error(f->loader->d, origin, f->section->title, key->name, "remove one of the two",
                        "given before, in line %d, and it is no list", s->origin.line);
    }
}

static void on_setting(void *context, const char *name, const char *value, int line)
{
    struct file *f = context;
    const struct origin origin = {f->path, line};
    const struct key *key;

    if (!f->has_sections) {
        if (strcmp(name, "include") == 0)
            include(f, value, origin);
        else
            diagnosis_error(f->loader->d, origin, NULL, name,
                            "put it under [starttlsd], [defaults] or [service NAME]",
                            "a key outside of any section");
        return;
    }
    if (f->section == NULL)
        return; /* its heading has been complained of */
    key = key_find(f->section->kind == SECTION_GLOBAL ? KEY_GLOBAL : KEY_SERVICE, name);
    if (key == NULL)
        complain_unknown(f, name, origin);
    else
        add_setting(f, key, value, origin);
}

static void read_file(struct loader *loader, const char *path, struct origin named_at)
{
    struct file f = {.loader = loader, .path = path, .is_included = named_at.line > 0};
    const struct ini_sink sink = {on_section, on_setting, &f};
    const char *error = NULL;
    struct span text;

    if (!loader->source->read(loader->source->context, path, &text, &error)) {
        diagnosis_error(loader->d, named_at, NULL, f.is_included ? "include" : NULL,
                        f.is_included ? "name a file that can be read" : CONFIG_FILE_REMEDY,
                        "%s%scannot be read: %s", f.is_included ? path : "",
                        f.is_included ? " " : "", error == NULL ? "unknown error" : error);
        return;
    }
    ini_read(text, path, &sink, loader->d);
}

static void parse_setting(struct loader *loader, const struct setting *setting, void *base)
{
    const struct parse p = {setting, base, &loader->l->arena, loader->d};

    (void)value_parse(&p); /* the diagnosis counts errors */
}

static void parse_presets(struct loader *loader, enum key_section section, void *base)
{
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        const struct setting preset = {.key = key, .text = key->preset, .section = "default"};

        if (key->section == section && key->preset != NULL)
            parse_setting(loader, &preset, base);
    }
}

static void parse_section(struct loader *loader, const struct section *section, void *base)
{
    const struct setting *s = section == NULL ? NULL : section->first;

    for (; s != NULL; s = s->next)
        parse_setting(loader, s, base);
}

/* What a protocol has of its own, where nothing was written. */
static void parse_protocol_presets(struct loader *loader, const struct section *section,
                                   struct service *service)
{
    const struct key *key;

    for (size_t i = 0; service->protocol != NULL && (key = key_at(i)) != NULL; i++) {
        const struct setting preset = {
            .key = key, .text = key_protocol_preset(key, service->protocol), .section = "default"};

        if (preset.text != NULL && loaded_find(loader->l, section, key->name) == NULL)
            parse_setting(loader, &preset, service);
    }
}

static void name_certificates(struct loaded *l, const struct certificate *c, size_t count,
                              enum config_file_kind of_chain, enum config_file_kind of_key)
{
    for (; count > 0; count--, c++) {
        add_file(l, c->chain, of_chain, c->origin);
        add_file(l, c->key, of_key, c->origin);
        add_file(l, c->passphrase, of_key, c->origin);
    }
}

static void name_files(struct loaded *l, const struct section *section, const struct service *s)
{
    name_certificates(l, s->certificate, s->certificate_count, CONFIG_FILE_PUBLIC,
                      CONFIG_FILE_SECRET);
    name_certificates(l, s->backend_certificate, s->backend_certificate_count, CONFIG_FILE_BACKEND,
                      CONFIG_FILE_BACKEND);
    if (s->backend_ca != NULL)
        add_file(l, s->backend_ca, CONFIG_FILE_BACKEND, loaded_origin(l, section, "backend_ca"));
    else if (s->backend_verify == BACKEND_VERIFY_FULL || s->backend_verify == BACKEND_VERIFY_CHAIN)
        add_file(l, CONFIG_SYSTEM_CA, CONFIG_FILE_BACKEND, s->origin);
}

static void build(struct loader *loader, const char *fqdn)
{
    struct loaded *l = loader->l;
    struct config *config = &l->config;
    struct service defaults = {0};
    struct service *service;
    size_t count = 0;

    parse_presets(loader, KEY_GLOBAL, config);
    parse_section(loader, loaded_section(l, SECTION_GLOBAL), config);
    if (config->hostname != NULL)
        fqdn = config->hostname;
    else if (fqdn == NULL || fqdn[0] == '\0')
        fqdn = "localhost";
    parse_presets(loader, KEY_SERVICE, &defaults);
    defaults.policy.hostname = arena_copy(&l->arena, span_of(fqdn));
    parse_section(loader, loaded_section(l, SECTION_DEFAULTS), &defaults);

    for (const struct section *s = l->section; s != NULL; s = s->next)
        count += s->kind == SECTION_SERVICE;
    service = arena_take(&l->arena, count * sizeof(*service));
    config->service = service;
    for (const struct section *s = l->section; s != NULL; s = s->next) {
        if (s->kind != SECTION_SERVICE)
            continue;
        *service = defaults;
        service->name = s->title + strlen("service ");
        service->origin = s->origin;
        parse_section(loader, s, service);
        parse_protocol_presets(loader, s, service);
        derive(service);
        name_files(l, s, service);
        config->backend_total += service->backend_count;
        config->service_count++;
        service++;
    }
}

struct config *config_examine(const char *path, const struct config_source *source,
                              const char *fqdn, struct diagnosis *d)
{
    struct arena arena = {NULL};
    struct loaded *l = arena_take(&arena, sizeof(*l));
    struct loader loader = {l, source, d};

    l->arena = arena; /* l lies in its own arena */
    l->section_end = &l->section;
    l->file_end = &l->file;
    path = arena_copy(&l->arena, span_of(path));
    add_file(l, path, CONFIG_FILE_INI, (struct origin){path, 0});
    read_file(&loader, path, (struct origin){path, 0});
    build(&loader, fqdn);
    validate(l, d);
    return &l->config;
}

void config_free(struct config *config)
{
    struct arena arena = {NULL};

    if (config != NULL)
        arena = ((struct loaded *)config)->arena;
    arena_clear(&arena);
}

struct config *config_load(const char *path, const struct config_source *source, const char *fqdn,
                           struct diagnosis *d)
{
    size_t errors = diagnosis_errors(d);
    struct config *config = config_examine(path, source, fqdn, d);

    if (diagnosis_errors(d) == errors)
        return config;
    config_free(config);
    return NULL;
}

size_t config_file_count(const struct config *config)
{
    size_t count = 0;

    for (const struct named_file *f = ((const struct loaded *)config)->file; f != NULL; f = f->next)
        count++;
    return count;
}

const char *config_file_at(const struct config *config, size_t index, enum config_file_kind *kind,
                           struct origin *origin)
{
    const struct named_file *f = ((const struct loaded *)config)->file;

    while (index-- > 0)
        f = f->next;
    *kind = f->kind;
    *origin = f->origin;
    return f->path;
}

struct origin config_origin(const struct config *config, const struct service *service,
                            const char *key)
{
    const struct loaded *l = (const struct loaded *)config;
    const struct setting *s = service == NULL ? section_find(loaded_section(l, SECTION_GLOBAL), key)
                                              : loaded_find(l, loaded_service(l, service), key);

    return s == NULL ? (struct origin){NULL, 0} : s->origin;
}
