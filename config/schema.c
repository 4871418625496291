/* SPDX-License-Identifier: ISC */
/* One row a key. What a value must look like is value.c's business, rules between keys are
 * validate.c's. */
#include "config/schema.h"

#include <stddef.h>

#include "config/config.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR   (60u * MINUTE)
#define DAY    (24u * HOUR)

#define LATER "comes with a later version of starttlsd"

static const struct choice control_choices[] = {
    {"off", 0},
    {NULL, 0, "this version has no control socket yet",
     "write `control = off`, or remove the line"},
};

static const struct choice log_format_choices[] = {
    {"logfmt", LOG_LOGFMT},
    {"json", LOG_JSON},
    {NULL},
};

static const struct choice log_level_choices[] = {
    {"error", LEVEL_ERROR},
    {"warning", LEVEL_WARNING},
    {"info", LEVEL_INFO},
    {"debug", LEVEL_DEBUG},
    {NULL},
};

static const struct choice tls_choices[] = {
    {"starttls", FRONT_STARTTLS},
    {"implicit", FRONT_IMPLICIT},
    {"none", FRONT_NONE},
    {NULL},
};

static const struct choice policy_choices[] = {
    {"enforced", true},
    {"opportunistic", false},
    {NULL},
};

static const struct choice plaintext_auth_choices[] = {
    {"refuse", false},
    {"allow", true},
    {NULL},
};

static const struct choice tls_profile_choices[] = {
    {"intermediate", TLS_PROFILE_INTERMEDIATE},
    {"modern", TLS_PROFILE_MODERN},
    {"old", TLS_PROFILE_OLD},
    {NULL},
};

#define BROKEN_SSL(name)                                                                           \
    {                                                                                              \
        name, 0,                                                                                   \
            name                                                                                   \
            " is broken beyond repair, and OpenSSL 3 no longer speaks it (RFC 6176, RFC 7568)",    \
            "TLSv1 is the oldest that a printer or scanner can have"                               \
    }

static const struct choice tls_version_choices[] = {
    {"TLSv1", TLS_VERSION_1_0},
    {"TLSv1.1", TLS_VERSION_1_1},
    {"TLSv1.2", TLS_VERSION_1_2},
    {"TLSv1.3", TLS_VERSION_1_3},
    BROKEN_SSL("SSLv2"),
    BROKEN_SSL("SSLv3"),
    {NULL},
};

#define NO_IDENTITY_YET(name)                                                                      \
    {                                                                                              \
        name, 0, "`" name "` (telling the backend who the client is) " LATER,                      \
            "write `identity = none`"                                                              \
    }

static const struct choice identity_choices[] = {
    {"none", IDENTITY_NONE},
    NO_IDENTITY_YET("proxy-v1"),
    NO_IDENTITY_YET("proxy-v2"),
    NO_IDENTITY_YET("xclient"),
    NO_IDENTITY_YET("id"),
    NO_IDENTITY_YET("transparent"),
    {NULL},
};

static const struct choice bare_newline_choices[] = {
    {"normalize", BARE_NEWLINE_NORMALIZE},
    {"reject", BARE_NEWLINE_REJECT},
    {"pass", BARE_NEWLINE_PASS},
    {NULL},
};

#define GLOBAL(member)                                                                             \
    .section = KEY_GLOBAL, .field = offsetof(struct config, member),                               \
    .size = sizeof(((struct config *)NULL)->member)
#define SERVICE(member)                                                                            \
    .section = KEY_SERVICE, .field = offsetof(struct service, member),                             \
    .size = sizeof(((struct service *)NULL)->member)
#define COUNTED(member)       .count_field = offsetof(struct service, member)
#define DURATION(least, most) .type = TYPE_DURATION, .min = (least), .max = (most)
#define BY_PROTOCOL(member)   .protocol_preset = offsetof(struct protocol, member)
#define TIMEOUT               DURATION(SECOND, 7 * DAY), .word = "off", .word_value = CONFIG_OFF

static const struct key keys[] = {
    {GLOBAL(workers), .name = "workers", .type = TYPE_COUNT, .preset = "auto", .min = 1, .max = 256,
     .word = "auto", .word_value = 0,
     .help = "Worker processes. `auto`: as many as there are CPUs available. A change needs a "
             "restart."},
    {GLOBAL(user), .name = "user", .type = TYPE_NAME,
     .preset_note = "`starttlsd`; `nobody`, with a warning, if there is no such user",
     .help = "The user that all processes but the master run as, if starttlsd is started as root. "
             "A change needs a restart."},
    {GLOBAL(group), .name = "group", .type = TYPE_NAME, .preset_note = "the user's",
     .help = "The group that goes with `user`. A change needs a restart."},
    {GLOBAL(chroot), .name = "chroot", .type = TYPE_PATH,
     .preset_note = "a directory made, opened and removed at start",
     .help = "An empty directory that becomes the root of workers and scout, if starttlsd is "
             "started as root. A change needs a restart."},
    {GLOBAL(hostname), .name = "hostname", .type = TYPE_HOSTNAME,
     .preset_note = "the machine's full name", .help = "The name that starttlsd greets with."},
    {GLOBAL(log_target), .name = "log", .type = TYPE_LOG, .preset = "stderr",
     .help = "Where the log goes: `stderr`, `syslog`, `syslog:FACILITY` (`mail` unless written), "
             "or a file, which is opened again on SIGHUP."},
    {GLOBAL(log_format), .name = "log_format", .type = TYPE_CHOICE, .preset = "logfmt",
     .choices = log_format_choices, .help = "The form of a log line."},
    {GLOBAL(log_level), .name = "log_level", .type = TYPE_CHOICE, .preset = "info",
     .choices = log_level_choices, .help = "The least important lines that are logged."},
    {.section = KEY_GLOBAL,
     .name = "control",
     .type = TYPE_CHOICE,
     .preset = "off",
     .choices = control_choices,
     .help = "The control socket. This version has none yet."},
    {GLOBAL(max_sessions), .name = "max_sessions", .type = TYPE_COUNT, .preset = "auto", .min = 1,
     .max = 10000000, .word = "auto", .word_value = 0,
     .help = "Sessions at the same time, all services together; each worker has an equal share. "
             "`auto`: what open files and memory allow. A change needs a restart."},
    {GLOBAL(drain_timeout_ms), .name = "drain_timeout", DURATION(0, 7 * DAY), .preset = "25s",
     .word = "off", .word_value = CONFIG_OFF,
     .help = "How long sessions may go on after SIGTERM. `off`: until they end by themselves."},
    {GLOBAL(resolve_interval_ms), .name = "resolve_interval", DURATION(SECOND, DAY),
     .preset = "30s", .help = "How often the names of backends are looked up again."},
    {GLOBAL(health_interval_ms), .name = "health_interval", DURATION(SECOND, DAY), .preset = "30s",
     .help = "How often a backend that served no session since is asked whether it is well."},
    {GLOBAL(ticket_rotation_ms), .name = "ticket_rotation", DURATION(MINUTE, 7 * DAY),
     .preset = "6h", .help = "How often a new key for session tickets is made."},
    {GLOBAL(ticket_lifetime_ms), .name = "ticket_lifetime", DURATION(MINUTE, 7 * DAY),
     .preset = "2h",
     .help = "How long a client may resume a TLS session. At most seven days (RFC 8446, section "
             "4.6.1), and at most seven times `ticket_rotation`."},

    {SERVICE(protocol), .name = "protocol", .type = TYPE_PROTOCOL, .is_required = true,
     .help = "What is spoken."},
    {SERVICE(listen), COUNTED(listen_count), .name = "listen", .type = TYPE_LISTEN,
     .is_required = true,
     .help = "Where clients connect: `ADDRESS:PORT`, `[V6]:PORT`, or `*:PORT` for all addresses of "
             "both families."},
    {SERVICE(policy.tls), .name = "tls", .type = TYPE_CHOICE, .preset = "starttls",
     .choices = tls_choices,
     .help =
         "How clients come to TLS. `starttls`: the session begins in plaintext, and the client "
         "asks for TLS (ports 25, 587, 143 and 110). `implicit`: TLS from the first octet (ports "
         "465, 993 and 995). `none`: no TLS towards clients; logins pass, so listen on loopback "
         "addresses alone."},
    {SERVICE(policy.is_enforced), .name = "policy", .needs = NEEDS_STARTTLS, .type = TYPE_CHOICE,
     .preset = "enforced", .choices = policy_choices,
     .help = "With `tls = starttls` alone. `enforced`: nothing is done for a client before it has "
             "started TLS. `opportunistic`: clients that don't start TLS are served too, as a "
             "server must that takes mail from everywhere (RFC 3207, section 4)."},
    {SERVICE(policy.may_auth_in_clear), .name = "plaintext_auth", .needs = NEEDS_STARTTLS,
     .type = TYPE_CHOICE, .preset = "refuse", .choices = plaintext_auth_choices,
     .help =
         "With `policy = opportunistic` alone. `refuse`: clients can log in after they have "
         "started TLS. `allow`: before it too, with passwords that anybody on the way can read."},
    {SERVICE(certificate), COUNTED(certificate_count), .name = "certificate", .needs = NEEDS_TLS,
     .type = TYPE_CERTIFICATE, .is_required = true, .preset_note = "required unless `tls = none`",
     .help = "`CHAIN.pem [KEY.pem [PASSPHRASE]]`, one certificate a line: the chain, the key "
             "unless it is in the same file, and a file with the key's passphrase. Several "
             "certificates are chosen by kind of key and by the name that the client asks for; the "
             "first is the default."},
    {SERVICE(tls_profile), .name = "tls_profile", .needs = NEEDS_TLS, .type = TYPE_CHOICE,
     .preset = "intermediate", .choices = tls_profile_choices,
     .help = "Versions and ciphers, after Mozilla's names. `intermediate`: TLS 1.2 and later with "
             "forward secrecy; `modern`: TLS 1.3; `old`: TLS 1.0 and later, for printers and "
             "scanners."},
    {SERVICE(min_tls), .name = "min_tls", .needs = NEEDS_TLS, .type = TYPE_CHOICE,
     .choices = tls_version_choices, .preset_note = "the profile's",
     .help = "The oldest version of TLS."},
    {SERVICE(max_tls), .name = "max_tls", .needs = NEEDS_TLS, .type = TYPE_CHOICE,
     .choices = tls_version_choices, .preset_note = "the newest",
     .help = "The newest version of TLS."},
    {SERVICE(policy.hostname), .name = "hostname", .type = TYPE_HOSTNAME,
     .preset_note = "`hostname` of `[starttlsd]`",
     .help = "The name that this service greets with."},
    {SERVICE(policy.greeting), .name = "greeting", .type = TYPE_TEXT,
     .preset_note =
         "the host name, and `ESMTP` or `ready`; with `tls = implicit` or `none` the backend's",
     .help = "The text of the greeting: SMTP after `220 `, POP3 after `+OK `, IMAP after the "
             "capabilities."},
    {SERVICE(policy.hide_capabilities), .name = "hide_capabilities", .type = TYPE_WORDS,
     .preset_note = "none", .help = "Keywords taken out of what the backend announces."},
    {SERVICE(policy.capabilities), .name = "capabilities", .type = TYPE_CAPABILITIES,
     .preset_note = "what all backends of the service announce",
     .help = "With `policy = opportunistic` alone: what clients are told before they start TLS, "
             "instead of what was learned from the backend. `KEYWORD`, or "
             "`KEYWORD=PARAMETER,PARAMETER`, as in `SIZE=10240000 8BITMIME`."},
    {SERVICE(policy.allow_commands), .name = "allow_commands", .type = TYPE_COMMANDS,
     .preset_note = "none",
     .help =
         "Verbs that go to the backend beside those that starttlsd knows. Each must be one line "
         "that is answered by one reply: what goes on after its line would be taken for commands."},
    {SERVICE(backend), COUNTED(backend_count), .name = "backend", .type = TYPE_BACKEND,
     .is_required = true,
     .help = "The mail server behind: `HOST:PORT`. Of several the first that works is used."},
    {SERVICE(backend_max_connections), .name = "backend_max_connections", .type = TYPE_COUNT,
     .preset = "off", .min = 1, .max = 1000000, .word = "off", .word_value = CONFIG_OFF,
     .help = "Connections to the service's backends at the same time, all workers together. Beyond "
             "it as many sessions again wait for at most five seconds, first come first served; "
             "all others are told to come back later."},
    {SERVICE(identity), .name = "identity", .type = TYPE_CHOICE, .preset = "none",
     .choices = identity_choices,
     .help = "How the backend learns who the client is. This version has `none`: it sees every "
             "client come from starttlsd's address."},
    {SERVICE(policy.relay), .name = "relay", .needs = NEEDS_RELAY, .type = TYPE_RELAY,
     .preset_note = "required: nothing is relayed that you did not allow",
     .help = "SMTP: whom mail is taken for. `login`: for anybody, from clients that have logged "
             "in, and nothing from others: submission. A list of domains: for these from "
             "everybody, as on an MX, and for anybody from clients that have logged in. `backend`: "
             "the backend decides, which is safe only if it does not trust starttlsd's address."},
    {SERVICE(policy.bare_newline), .name = "bare_newline", .needs = NEEDS_RELAY,
     .type = TYPE_CHOICE, .preset = "normalize", .choices = bare_newline_choices,
     .help = "SMTP: what happens to a lone CR or LF in a message. `normalize`: it becomes CRLF, "
             "and no backend can take it for the message's end. `reject`: the session ends, and "
             "the message is not delivered. `pass`: nothing is altered, which is safe only if the "
             "backend takes CRLF alone for a line's end."},
    {SERVICE(policy.max_errors), .name = "max_errors", .type = TYPE_COUNT, .preset = "10", .min = 1,
     .max = 1000000, .word = "off", .word_value = 0,
     .help = "Error replies of starttlsd's own until a session is ended."},
    {SERVICE(policy.max_auth_failures), .name = "max_auth_failures", .type = TYPE_COUNT,
     .preset = "3", .min = 1, .max = 1000000, .word = "off", .word_value = 0,
     .help = "Logins that the backend refuses until a session is ended."},
    {SERVICE(max_sessions), .name = "max_sessions", .type = TYPE_COUNT, .preset = "off", .min = 1,
     .max = 10000000, .word = "off", .word_value = CONFIG_OFF,
     .help = "Sessions of this service at the same time, all workers together; more are told to "
             "come back later."},
    {SERVICE(allow), COUNTED(allow_count), .name = "allow", .type = TYPE_NETWORKS,
     .preset_note = "all",
     .help = "Networks that clients may come from: `192.0.2.0/24`, `2001:db8::/32`, or single "
             "addresses. All others are closed without a word. `deny` wins over it."},
    {SERVICE(deny), COUNTED(deny_count), .name = "deny", .type = TYPE_NETWORKS,
     .preset_note = "none", .help = "Networks whose clients are closed without a word."},
    {SERVICE(preamble_timeout_ms), .name = "preamble_timeout", TIMEOUT, .preset = "60s",
     .help = "From the connection to STARTTLS, as a whole."},
    {SERVICE(handshake_timeout_ms), .name = "handshake_timeout", TIMEOUT, .preset = "20s",
     .help = "For the TLS handshake, as a whole."},
    {SERVICE(connect_timeout_ms), .name = "connect_timeout", TIMEOUT, .preset = "5s",
     .help = "For a connection to one address of a backend."},
    {SERVICE(greeting_timeout_ms), .name = "greeting_timeout", TIMEOUT, .preset = "60s",
     .help = "From the connection to a backend until it is ready for commands."},
    {SERVICE(login_timeout_ms), BY_PROTOCOL(login_timeout), .name = "login_timeout", TIMEOUT,
     .preset = "60s",
     .help = "From the time a session is ready for commands to the login. SMTP: to the first MAIL "
             "that the backend accepts."},
    {SERVICE(backend_timeout_ms), .name = "backend_timeout", TIMEOUT, .preset = "15m",
     .help = "For an answer of the backend."},
    {SERVICE(idle_timeout_ms), BY_PROTOCOL(idle_timeout), .name = "idle_timeout", TIMEOUT,
     .preset = "5m",
     .help = "For a client that says nothing while nothing is outstanding, or whose message "
             "stalls. IMAP and POP3, behind the login: for a session in which neither side says "
             "anything."},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

/* Their meaning is settled, so a file that has them is told the truth: not "unknown". */
static const char *const later_global[] = {
    "log_users", "metrics", "ticket_keys", "certificate_watch", NULL,
};
static const char *const later_service[] = {
    "ciphers",
    "ciphersuites",
    "groups",
    "sni",
    "client_certificate",
    "client_ca",
    "client_crl",
    "accept_proxy",
    "balance",
    "backend_tls",
    "backend_policy",
    "backend_verify",
    "backend_ca",
    "backend_name",
    "backend_fingerprint",
    "backend_certificate",
    "backend_min_tls",
    "backend_ciphers",
    "backend_source",
    "max_sessions_per_client",
    "session_rate_per_client",
    "limit_exempt",
    NULL,
};

const struct key *key_at(size_t index)
{
    return index < KEY_COUNT ? &keys[index] : NULL;
}

const struct key *key_find(enum key_section section, const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (keys[i].section == section && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

bool key_applies(const struct key *key, const struct service *service)
{
    switch (key->needs) {
    case NEEDS_NOTHING: break;
    case NEEDS_STARTTLS: return service->policy.tls == FRONT_STARTTLS;
    case NEEDS_TLS: return service->policy.tls != FRONT_NONE;
    case NEEDS_RELAY: return service->protocol == NULL || service->protocol->has_relay;
    }
    return true;
}

const char *key_protocol_preset(const struct key *key, const struct protocol *protocol)
{
    const char *text = NULL;

    if (key->protocol_preset != 0)
        memcpy(&text, (const char *)protocol + key->protocol_preset, sizeof(text));
    return text;
}

bool key_is_list(const struct key *key)
{
    switch (key->type) {
    case TYPE_LISTEN:
    case TYPE_BACKEND:
    case TYPE_CERTIFICATE:
    case TYPE_WORDS:
    case TYPE_CAPABILITIES:
    case TYPE_COMMANDS:
    case TYPE_NETWORKS:
    case TYPE_RELAY: return true;
    case TYPE_COUNT:
    case TYPE_DURATION:
    case TYPE_CHOICE:
    case TYPE_NAME:
    case TYPE_HOSTNAME:
    case TYPE_TEXT:
    case TYPE_PATH:
    case TYPE_LOG:
    case TYPE_PROTOCOL: break;
    }
    return false;
}

#define WORD_MAX 31 /* longer ones resemble nothing we know */

/* Insertions, deletions and exchanges of one octet that lead from a to b (Levenshtein), case
 * folded. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t best = diagonal + (ascii_lower(a[i]) == ascii_lower(b[j]) ? 0 : 1);

            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[b_len];
}

struct nearest {
    const char *name;
    size_t distance;
};

static void consider(struct nearest *best, const char *candidate, const char *name)
{
    size_t d;

    if (strlen(name) > WORD_MAX || strlen(candidate) > WORD_MAX)
        return;
    d = distance(name, candidate);
    if (d <= 1 + strlen(candidate) / 4 && d < strlen(candidate) && d < best->distance)
        *best = (struct nearest){candidate, d};
}

const char *key_nearest(enum key_section section, const char *name)
{
    struct nearest best = {NULL, SIZE_MAX};

    for (size_t i = 0; i < KEY_COUNT; i++)
        if (keys[i].section == section)
            consider(&best, keys[i].name, name);
    return best.name;
}

const char *word_nearest(const char *const *words, const char *name)
{
    struct nearest best = {NULL, SIZE_MAX};

    for (; *words != NULL; words++)
        consider(&best, *words, name);
    return best.name;
}

bool key_comes_later(enum key_section section, const char *name)
{
    const char *const *later = section == KEY_GLOBAL ? later_global : later_service;

    for (; *later != NULL; later++)
        if (strcmp(*later, name) == 0)
            return true;
    return false;
}
