/* SPDX-License-Identifier: ISC */
/* One row a key. What a value must look like is value.c's business, rules between keys are
 * validate.c's; what can be asked about a row is in key.c. */
#include "config/schema.h"

#include <stddef.h>

#include "config/config.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR   (60u * MINUTE)
#define DAY    (24u * HOUR)

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

static const struct choice balance_choices[] = {
    {"failover", BALANCE_FAILOVER},
    {"roundrobin", BALANCE_ROUNDROBIN},
    {"leastconn", BALANCE_LEASTCONN},
    {"source", BALANCE_SOURCE},
    {NULL},
};

static const struct choice backend_tls_choices[] = {
    {"none", BACKEND_TLS_NONE},
    {"starttls", BACKEND_TLS_STARTTLS},
    {"implicit", BACKEND_TLS_IMPLICIT},
    {NULL},
};

static const struct choice backend_verify_choices[] = {
    {"full", BACKEND_VERIFY_FULL},
    {"chain", BACKEND_VERIFY_CHAIN},
    {"fingerprint", BACKEND_VERIFY_FINGERPRINT},
    {"none", BACKEND_VERIFY_NONE},
    {NULL},
};

static const struct choice identity_choices[] = {
    {"none", IDENTITY_NONE},
    {"proxy-v1", IDENTITY_PROXY_V1},
    {"proxy-v2", IDENTITY_PROXY_V2},
    {"xclient", IDENTITY_XCLIENT},
    {"id", IDENTITY_ID},
    {"transparent", IDENTITY_TRANSPARENT},
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
     .type = TYPE_CERTIFICATES, .is_required = true, .preset_note = "required unless `tls = none`",
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
     .help = "The mail servers behind: `HOST:PORT`, at most 64. Of several `balance` chooses, and "
             "another is tried when one fails; all addresses of a name are one backend."},
    {SERVICE(balance), .name = "balance", .type = TYPE_CHOICE, .preset = "failover",
     .choices = balance_choices,
     .help = "Which of several backends a session goes to first. `failover`: the first that is "
             "well; `roundrobin`: one after the other; `leastconn`: the one with the fewest "
             "connections; `source`: always the same for the same client."},
    {SERVICE(backend_max_connections), .name = "backend_max_connections", .type = TYPE_COUNT,
     .preset = "off", .min = 1, .max = 1000000, .word = "off", .word_value = CONFIG_OFF,
     .help = "Connections to the service's backends at the same time, all workers together. Beyond "
             "it as many sessions again wait for at most five seconds, first come first served; "
             "all others are told to come back later."},
    {SERVICE(policy.backend_tls), .name = "backend_tls", .type = TYPE_CHOICE, .preset = "none",
     .choices = backend_tls_choices,
     .help = "How the backend is spoken to. `none`: in plaintext. `starttls`: TLS is asked for. "
             "`implicit`: TLS from the first octet."},
    {SERVICE(policy.is_backend_enforced), .name = "backend_policy", .needs = NEEDS_BACKEND_TLS,
     .type = TYPE_CHOICE, .preset = "enforced", .choices = policy_choices,
     .help = "With `backend_tls` alone. `enforced`: TLS, or the backend is not used. "
             "`opportunistic`: TLS if it works, else plaintext; nothing is verified, so that it "
             "helps against listeners and not against impostors."},
    {SERVICE(backend_verify), .name = "backend_verify", .needs = NEEDS_BACKEND_ENFORCED,
     .type = TYPE_CHOICE, .preset = "full", .choices = backend_verify_choices,
     .help = "With `backend_policy = enforced` alone: what a backend's certificate must be. "
             "`full`: of a trusted authority, in date, and for the backend's name; `chain`: the "
             "same for whatever name; `fingerprint`: one of `backend_fingerprint`, whoever issued "
             "it, in date or not; `none`: anything."},
    {SERVICE(backend_ca), .name = "backend_ca", .needs = NEEDS_CHAIN, .type = TYPE_PATH,
     .preset_note = "the system's",
     .help = "With `backend_verify = full` or `chain`: a file with the certificates (PEM) of the "
             "authorities that are trusted, and no others are."},
    {SERVICE(backend_name), .name = "backend_name", .needs = NEEDS_BACKEND_TLS,
     .type = TYPE_HOSTNAME, .preset_note = "the host of the backend, as it is written there",
     .help = "The name that backends are asked for (SNI), and that their certificates must have."},
    {SERVICE(backend_fingerprint), COUNTED(backend_fingerprint_count),
     .name = "backend_fingerprint", .needs = NEEDS_FINGERPRINT, .type = TYPE_FINGERPRINTS,
     .is_required = true, .preset_note = "required with `backend_verify = fingerprint`",
     .help = "The certificates that backends may have, all others are refused: `cert-sha256:HEX` "
             "of the certificate (as `openssl x509 -fingerprint -sha256` prints it), or "
             "`key-sha256:HEX` of its public key (DER), which outlives a renewal with the same "
             "key. Colons between octets are allowed."},
    {SERVICE(backend_certificate), COUNTED(backend_certificate_count),
     .name = "backend_certificate", .needs = NEEDS_BACKEND_TLS, .type = TYPE_CERTIFICATE,
     .preset_note = "none",
     .help = "`CHAIN.pem [KEY.pem [PASSPHRASE]]`: what starttlsd shows to backends that ask for a "
             "client's certificate. The scout, which asks backends whether they are well, has "
             "it too; so its files must not be those of a `certificate`."},
    {SERVICE(backend_min_tls), .name = "backend_min_tls", .needs = NEEDS_BACKEND_TLS,
     .type = TYPE_CHOICE, .preset = "TLSv1.2", .choices = tls_version_choices,
     .help = "The oldest version of TLS that a backend may speak. Below `TLSv1.2` it may use the "
             "ciphers of the profile `old` too."},
    {SERVICE(backend_ciphers), .name = "backend_ciphers", .needs = NEEDS_BACKEND_TLS,
     .type = TYPE_CIPHERS, .preset_note = "what fits `backend_min_tls`",
     .help = "The ciphers of TLS 1.2 and older towards backends, in OpenSSL's words "
             "(`openssl ciphers`)."},
    {.section = KEY_SERVICE,
     .name = "backend_source",
     .type = TYPE_SOURCES,
     .preset_note = "what the system chooses",
     .help = "The addresses that backends are connected from: at most one IPv4 and one IPv6 "
             "address of this machine."},
    {SERVICE(identity), .name = "identity", .type = TYPE_CHOICE, .preset = "none",
     .choices = identity_choices,
     .help = "How the backend learns who the client is; it must be told to believe starttlsd, and "
             "nobody else. `none`: it sees every client come from starttlsd's address, and its "
             "limits and bans count all clients as one. `proxy-v1`, `proxy-v2`: a header of the "
             "PROXY protocol in front of all else; v2 tells of the client's TLS too. `xclient` "
             "(SMTP, POP3), `id` (IMAP): by the protocol's own means; a backend that does not "
             "take it is not used. `transparent`: the backend is connected from the client's own "
             "address, and must have its way back through this machine."},
    {SERVICE(policy.relay), .name = "relay", .needs = NEEDS_RELAY, .type = TYPE_RELAY,
     .preset_note = "required with `identity = none`: nothing is relayed that you did not allow; "
                    "else `backend`",
     .help = "SMTP: whom mail is taken for. `login`: for anybody, from clients that have logged "
             "in, and nothing from others: submission. A list of domains: for these from "
             "everybody, as on an MX, and for anybody from clients that have logged in. `backend`: "
             "the backend decides, which is safe only if it does not trust starttlsd's address, or "
             "is told who the client is (`identity`)."},
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
    {SERVICE(accept_proxy), COUNTED(accept_proxy_count), .name = "accept_proxy", .type = TYPE_PEERS,
     .preset_note = "none",
     .help = "Networks of load balancers, whose connections must begin with a header of the PROXY "
             "protocol (v1 or v2): the client is whom it names. `unix`: those over UNIX sockets "
             "too. All others are clients themselves, and no header of theirs is believed."},
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

const struct key *key_at(size_t index)
{
    return index < KEY_COUNT ? &keys[index] : NULL;
}
