/* SPDX-License-Identifier: ISC */
/* The SMTP module on a pipe, for the differential test: requests in, what it passed and said out.
 * Beside the octets it reports what the module takes them for (a command, a chunk, content) and
 * where each such thing ends: that is what the reference reader must find again. */
#include <assert.h>
#include <stdint.h>

#include "protocols/smtp_machine.h"
#include "tests/unit/player.h"

/* machine.py knows these enums by number. */
static_assert(EVENT_ERROR == 10 && VERDICT_RESET == 8 && END_ERROR == 15 && NOTE_SMUGGLING == 12,
              "a value was added: bring machine.py up to date");

enum thing {
    THING_COMMAND = 'c',
    THING_CONTENT = 'd',
    THING_CHUNK = 'k',
    THING_RESPONSE = 's', /* a line of a SASL exchange */
    THING_OWN = 'o',      /* said by the module for itself */
};

enum record {
    RECORD_THING = 'B',
    RECORD_CLIENT = 'C',
    RECORD_NOTE = 'N',
    RECORD_STATE = 'S',
};

struct request {
    unsigned char what; /* I: a new session, F: octets of a side, E: an event */
    unsigned char kind, side, reason;
    uint32_t len; /* of what follows */
};

/* What an I is followed by. */
struct wish {
    unsigned char tls, is_enforced, may_auth_in_clear, relay, bare_newline;
    unsigned char max_errors, max_auth_failures;
    unsigned char is_learned, has_greeting, has_capabilities, allows;
};

static const char *const domains[] = {"example.org", "example.net"};
static const char *const hide[] = {"DSN"};
static const char *const capabilities[] = {"8BITMIME", "AUTH=PLAIN", "CHUNKING", "STARTTLS"};
static const char *const allowed[] = {"WIZ"};
static struct learned learned;
static struct policy policy;
static struct octets report;

static void add(enum record record, unsigned kind, unsigned flag, const char *data, size_t len)
{
    const unsigned char head[] = {(unsigned char)record,     (unsigned char)kind,
                                  (unsigned char)flag,       (unsigned char)len,
                                  (unsigned char)(len >> 8), (unsigned char)(len >> 16)};

    PROMISE(len < 1 << 24);
    octets_add(&report, (const char *)head, sizeof(head));
    octets_add(&report, data, len);
}

/* What octets of the client are, by the state in which they were found. */
static enum thing thing_of(enum smtp_input input)
{
    switch (input) {
    case INPUT_CONTENT: return THING_CONTENT;
    case INPUT_CHUNK: return THING_CHUNK;
    case INPUT_RESPONSE:
    case INPUT_LONG_RESPONSE: return THING_RESPONSE;
    case INPUT_COMMAND:
    case INPUT_LINE_END:
    case INPUT_PARAMETERS:
    case INPUT_LONG_LINE:
    case INPUT_REFUSED_CHUNK: break;
    }
    return THING_COMMAND;
}

/* Is the thing over, with which the module is now in this state? */
static bool is_end(enum thing thing, enum smtp_input now)
{
    switch (now) {
    case INPUT_LINE_END:
    case INPUT_PARAMETERS: return false;
    case INPUT_CONTENT: return thing != THING_CONTENT;
    case INPUT_CHUNK: return thing != THING_CHUNK;
    case INPUT_COMMAND:
    case INPUT_RESPONSE:
    case INPUT_LONG_RESPONSE:
    case INPUT_LONG_LINE:
    case INPUT_REFUSED_CHUNK: break;
    }
    return true;
}

/* Of a thing that is not over. */
static enum thing current;
static bool is_open;

static void tell(const struct event *event, struct span window, const struct verdict *v,
                 const struct smtp_server *before, const struct smtp_server *after)
{
    struct span said = v->kind == VERDICT_FORWARD ? span_first(window, v->take) : v->text;
    bool is_own = v->kind == VERDICT_CLOSE || event->kind != EVENT_BYTES ||
                  event->side == SIDE_BACKEND || before->is_backend_left != after->is_backend_left;

    if (v->note != NOTE_NONE)
        add(RECORD_NOTE, v->note, 0, NULL, 0);
    if (v->kind == VERDICT_MORE || v->kind == VERDICT_HOLD || said.len == 0)
        return;
    if (v->to == SIDE_CLIENT) {
        add(RECORD_CLIENT, 0, 0, said.data, said.len);
    } else if (is_own) {
        add(RECORD_THING, THING_OWN, 1, said.data, said.len);
    } else {
        if (!is_open)
            current = thing_of(before->input);
        is_open = !is_end(current, after->input);
        add(RECORD_THING, current, !is_open, said.data, said.len);
    }
}

static struct verdict step(void *machine, const struct event *event, struct span window)
{
    const struct smtp_server before = *(const struct smtp_server *)machine;
    struct verdict v = smtp_protocol.step(machine, event, window);

    tell(event, window, &v, &before, machine);
    return v;
}

static bool get(void *to, size_t len)
{
    return fread(to, 1, len, stdin) == len;
}

static void begin(struct player *p, struct protocol *spy, const struct wish *w)
{
    static const char announced[] =
        "PIPELINING\nAUTH PLAIN NTLM\nCHUNKING\nXCLIENT NAME\nDSN\nSIZE\n";
    const struct facts facts = {.learned = w->is_learned ? &learned : NULL};

    player_clear(p);
    is_open = false;
    learned = (struct learned){.is_known = true, .len = sizeof(announced) - 1};
    memcpy(learned.text, announced, learned.len);
    policy = (struct policy){
        .tls = (enum front_tls)w->tls,
        .is_enforced = w->is_enforced != 0,
        .may_auth_in_clear = w->may_auth_in_clear != 0,
        .hostname = "gateway.example",
        .relay = (enum relay)w->relay,
        .relay_domains = {domains, sizeof(domains) / sizeof(domains[0])},
        .bare_newline = (enum bare_newline)w->bare_newline,
        .max_errors = w->max_errors,
        .max_auth_failures = w->max_auth_failures,
        .greeting = w->has_greeting ? "words" : NULL,
        .hide_capabilities = {hide, 1},
        .capabilities = {capabilities, w->has_capabilities ? 4 : 0},
        .allow_commands = {allowed, w->allows ? 1 : 0},
    };
    *spy = smtp_protocol;
    spy->step = step;
    player_begin(p, spy, &policy, &facts);
}

static void answer(const struct player *p)
{
    const char state[] = {(char)p->outcome, (char)p->end, (char)player_reads(p, SIDE_CLIENT),
                          (char)player_reads(p, SIDE_BACKEND)};
    uint32_t len;

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
    struct protocol spy;
    struct request r;

    while (get(&r, sizeof(r))) {
        char *data = malloc(r.len + 1);

        PROMISE(data != NULL && get(data, r.len));
        if (r.what == 'I') {
            PROMISE(r.len == sizeof(struct wish));
            begin(&p, &spy, (const struct wish *)(const void *)data);
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
