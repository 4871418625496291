/* SPDX-License-Identifier: ISC */
/* A module on a pipe, for the differential test: requests in, what it passed and said out. Beside the
 * octets SMTP reports what the module takes them for, and where each such thing ends: that is what
 * the reference reader must find again. */
#include <assert.h>
#include <stdint.h>

#include "protocols/identity.h"
#include "tests/differential/account.h"

/* machine.py knows these enums by number. */
static_assert(EVENT_ERROR == 10 && VERDICT_RESET == 9 && END_ERROR == 16 && NOTE_SMUGGLING == 13,
              "a value was added: bring machine.py up to date");

enum record {
    RECORD_THING = 'B',
    RECORD_CLIENT = 'C',
    RECORD_NOTE = 'N',
    RECORD_TUNNEL = 'T', /* what follows in the same answer has passed unseen */
    RECORD_STATE = 'S',
};

struct request {
    unsigned char what; /* I: a new session, F: octets of a side, E: an event */
    unsigned char kind, side, reason;
    uint32_t len; /* of what follows */
};

/* What an I is followed by. */
struct wish {
    unsigned char protocol, tls, is_enforced, may_auth_in_clear, relay, bare_newline;
    unsigned char max_errors, max_auth_failures;
    unsigned char backend_tls, is_backend_enforced, tells_identity;
    unsigned char is_learned, has_greeting, has_capabilities, allows, hides_auth;
};

static const struct client_identity client = {
    .client = {.family = ADDRESS_V4, .octets = {192, 0, 2, 7}, .port = 49152},
    .server = {.family = ADDRESS_V6, .octets = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 25},
    .session = "9f2c01",
};

static const char *const domains[] = {"example.org", "example.net"};
static const char *const allowed[] = {"WIZ"};
/* Said of octets beside the things of account.h. */
enum { THING_OCTETS = 'x', THING_UNSEEN = 'u' };

static struct learned learned;
static struct policy policy;
static struct octets report;
static size_t told[2]; /* by side: octets sent to it that are in a report */

/* Words of each protocol for what an administrator writes and a scout finds. */
static const struct speech {
    const char *protocol;
    const char *announced;
    const char *hide[2], *capabilities[4];
} speeches[] = {
    {
        "smtp",
        "PIPELINING\nAUTH PLAIN NTLM\nCHUNKING\nXCLIENT NAME\nX-LEGACY\nPRDR\nSIZE\n",
        {"X-LEGACY", "AUTH"},
        {"8BITMIME", "AUTH=PLAIN", "CHUNKING", "STARTTLS"},
    },
    {
        "imap",
        "IMAP4rev1\nSASL-IR\nAUTH=PLAIN\nAUTH=SCRAM-SHA-1-PLUS\nSTARTTLS\nLOGINDISABLED\n"
        "COMPRESS=DEFLATE\nX-LEGACY\nIDLE\n",
        {"X-LEGACY", "AUTH"},
        {"IMAP4rev1", "AUTH=PLAIN", "ID", "STARTTLS"},
    },
    {
        "pop3",
        "TOP\nUSER\nSASL PLAIN EXTERNAL\nSTLS\nXOIP\nX-LEGACY\nUIDL\n",
        {"X-LEGACY", "SASL"},
        {"TOP", "USER", "SASL PLAIN", "STLS"},
    },
};

static void add(enum record record, unsigned kind, unsigned flag, const char *data, size_t len)
{
    const unsigned char head[] = {(unsigned char)record,     (unsigned char)kind,
                                  (unsigned char)flag,       (unsigned char)len,
                                  (unsigned char)(len >> 8), (unsigned char)(len >> 16)};

    PROMISE(len < 1 << 24);
    octets_add(&report, (const char *)head, sizeof(head));
    octets_add(&report, data, len);
}

static void tell(const struct account *a)
{
    const struct verdict *v = a->verdict;

    if (v->note != NOTE_NONE)
        add(RECORD_NOTE, v->note, 0, NULL, 0);
    if (a->said.len > 0 && v->to == SIDE_CLIENT)
        add(RECORD_CLIENT, 0, 0, a->said.data, a->said.len);
    else if (a->said.len > 0)
        add(RECORD_THING, (unsigned)a->thing, a->is_end, a->said.data, a->said.len);
    told[v->to] += a->said.len;
    if (v->kind == VERDICT_TUNNEL)
        add(RECORD_TUNNEL, 0, 0, NULL, 0);
}

/* What no step has said. */
static void tell_unseen(const struct player *p)
{
    const struct octets *to = p->received;

    PROMISE(told[0] <= to[0].len && told[1] <= to[1].len);
    if (to[SIDE_BACKEND].len > told[SIDE_BACKEND])
        add(RECORD_THING, THING_UNSEEN, 1, to[SIDE_BACKEND].data + told[SIDE_BACKEND],
            to[SIDE_BACKEND].len - told[SIDE_BACKEND]);
    if (to[SIDE_CLIENT].len > told[SIDE_CLIENT])
        add(RECORD_CLIENT, 0, 0, to[SIDE_CLIENT].data + told[SIDE_CLIENT],
            to[SIDE_CLIENT].len - told[SIDE_CLIENT]);
    told[0] = to[0].len;
    told[1] = to[1].len;
}

/* ---- a module that is not asked for its account ---- */

static const struct protocol *plain_module;
static struct protocol plain_protocol;

static struct verdict plain_step(void *machine, const struct event *event, struct span window)
{
    struct verdict v = plain_module->step(machine, event, window);
    struct account a = {
        .verdict = &v, .said = v.text, .thing = (enum thing)THING_OCTETS, .is_end = true};

    if (v.kind == VERDICT_FORWARD || (v.kind == VERDICT_TUNNEL && v.text.len == 0)) {
        a.said = span_first(window, v.take);
        v.to = side_other(event->side);
    }
    if (!account_says(v.kind))
        a.said.len = 0;
    tell(&a);
    return v;
}

static const struct protocol *plain_begin(const struct protocol *module)
{
    PROMISE(module != NULL);
    plain_module = module;
    plain_protocol = *module;
    plain_protocol.step = plain_step;
    return &plain_protocol;
}

/* ---- requests ---- */

static bool get(void *to, size_t len)
{
    return fread(to, 1, len, stdin) == len;
}

static void begin(struct player *p, const struct wish *w)
{
    const struct speech *speech = &speeches[w->protocol];
    const struct facts facts = {.learned = w->is_learned ? &learned : NULL, .identity = &client};

    player_clear(p);
    told[0] = told[1] = 0;
    learned = (struct learned){.is_known = true, .len = (uint16_t)strlen(speech->announced)};
    memcpy(learned.text, speech->announced, learned.len);
    policy = (struct policy){
        .tls = (enum front_tls)w->tls,
        .is_enforced = w->is_enforced != 0,
        .may_auth_in_clear = w->may_auth_in_clear != 0,
        .backend_tls = (enum backend_tls)w->backend_tls,
        .is_backend_enforced = w->is_backend_enforced != 0,
        .tells_identity = w->tells_identity != 0,
        .hostname = "gateway.example",
        .relay = (enum relay)w->relay,
        .relay_domains = {domains, sizeof(domains) / sizeof(domains[0])},
        .bare_newline = (enum bare_newline)w->bare_newline,
        .max_errors = w->max_errors,
        .max_auth_failures = w->max_auth_failures,
        .greeting = w->has_greeting ? "words" : NULL,
        .hide_capabilities = {speech->hide, w->hides_auth ? 2 : 1},
        .capabilities = {speech->capabilities, w->has_capabilities ? 4 : 0},
        .allow_commands = {allowed, w->allows ? 1 : 0},
    };
    account_begin(tell);
    player_begin(p,
                 w->protocol == 0 ? &account_protocol
                                  : plain_begin(protocol_find(span_of(speech->protocol))),
                 &policy, &facts);
}

static void answer(const struct player *p)
{
    const char state[] = {(char)p->outcome, (char)p->end, (char)player_reads(p, SIDE_CLIENT),
                          (char)player_reads(p, SIDE_BACKEND), (char)p->is_backend_shaking};
    uint32_t len;

    tell_unseen(p);
    add(RECORD_STATE, 0, 0, state, sizeof(state));
    len = (uint32_t)report.len;
    PROMISE(fwrite(&len, sizeof(len), 1, stdout) == 1);
    PROMISE(fwrite(report.data, 1, report.len, stdout) == report.len);
    PROMISE(fflush(stdout) == 0);
    report.len = 0;
}

int main(void)
{
    struct player p = {0};
    struct request r;

    while (get(&r, sizeof(r))) {
        char *data = malloc(r.len + 1);

        PROMISE(data != NULL && get(data, r.len));
        if (r.what == 'I') {
            PROMISE(r.len == sizeof(struct wish));
            begin(&p, (const struct wish *)(const void *)data);
        } else if (r.what == 'F') {
            player_feed(&p, (enum side)r.side, data, r.len);
        } else {
            player_event(&p, (enum event_kind)r.kind, (enum side)r.side, (enum end)r.reason);
        }
        free(data);
        answer(&p);
    }
    player_clear(&p);
    octets_clear(&report);
    return 0;
}
