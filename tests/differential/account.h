/* SPDX-License-Identifier: ISC */
/* The SMTP module, asked at each step what it takes the octets for that it passes to the backend: its
 * own account, to be compared with what a reader finds in them. */
#ifndef STARTTLSD_TEST_ACCOUNT_H
#define STARTTLSD_TEST_ACCOUNT_H

#include "protocols/smtp_machine.h"
#include "tests/unit/player.h"

/* machine.py knows them by these letters. */
enum thing {
    THING_COMMAND = 'c',
    THING_CONTENT = 'd',
    THING_CHUNK = 'k',
    THING_RESPONSE = 's', /* a line of a SASL exchange */
    THING_OWN = 'o',      /* said by the module for itself */
};

struct account {
    const struct verdict *verdict;
    struct span said; /* to verdict->to */
    enum thing thing; /* to the backend: part of this */
    bool is_end;      /* and nothing more will come of it */
    bool is_open;     /* the current thing has begun and not ended */
    enum thing current;
    void (*tell)(const struct account *a);
};

static struct account account;

/* What octets of the client are, by the state in which they were found. */
static inline enum thing account_thing(enum smtp_input input)
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
static inline bool account_is_end(enum thing thing, enum smtp_input now)
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

/* Does its text go to a peer? */
static inline bool account_says(enum verdict_kind kind)
{
    return kind != VERDICT_MORE && kind != VERDICT_HOLD && kind != VERDICT_NEXT_BACKEND;
}

static inline struct verdict account_step(void *machine, const struct event *event,
                                          struct span window)
{
    const struct smtp_server before = *(const struct smtp_server *)machine, *s = machine;
    struct verdict v = smtp_protocol.step(machine, event, window);
    bool is_own = v.kind == VERDICT_CLOSE || event->kind != EVENT_BYTES ||
                  event->side == SIDE_BACKEND || before.is_backend_left != s->is_backend_left;

    account.verdict = &v;
    account.said = v.kind == VERDICT_FORWARD ? span_first(window, v.take) : v.text;
    if (!account_says(v.kind))
        account.said.len = 0;
    account.thing = THING_OWN;
    account.is_end = true;
    if (account.said.len > 0 && v.to == SIDE_BACKEND && !is_own) {
        if (!account.is_open)
            account.current = account_thing(before.input);
        account.thing = account.current;
        account.is_end = account_is_end(account.current, s->input);
        account.is_open = !account.is_end;
    }
    account.tell(&account);
    return v;
}

static struct protocol account_protocol;

/* Of one machine at a time. */
static inline void account_begin(void (*tell)(const struct account *a))
{
    account = (struct account){.tell = tell};
    account_protocol = smtp_protocol;
    account_protocol.step = account_step;
}

#endif
