/* SPDX-License-Identifier: ISC */
/* The module of docs/protocols.md between two hostile peers: the player checks what every module
 * promises. The first octet is the policy, the second one's upper half the size of the pieces. */
#include "tests/example_protocol/managesieve.h"
#include "tests/unit/player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What begins with one of these is no octet of a peer's. */
enum { OTHER_SIDE = 0xf0, OF_SESSION = 0xf1 };

static struct policy policy_of(uint8_t choice)
{
    return (struct policy){
        .tls = choice % 4 == 3   ? FRONT_NONE
               : choice % 4 == 2 ? FRONT_IMPLICIT
                                 : FRONT_STARTTLS,
        .is_enforced = choice % 4 == 0,
        .may_auth_in_clear = (choice & 4) != 0,
        .backend_tls = (choice & 8) != 0 ? BACKEND_TLS_STARTTLS : BACKEND_TLS_NONE,
        .is_backend_enforced = (choice & 16) != 0,
        .hostname = "mail.example",
        .max_errors = (choice & 32) != 0 ? 3 : 0,
        .max_auth_failures = (choice & 64) != 0 ? 2 : 0,
    };
}

/* Whatever the session waits for comes true. */
static void go_on(struct player *p)
{
    if (p->is_shaking)
        player_event(p, EVENT_SECURED, SIDE_CLIENT, END_NONE);
    if (p->is_connecting && !p->is_connected)
        player_event(p, EVENT_CONNECTED, SIDE_BACKEND, END_NONE);
    if (p->is_backend_shaking)
        player_event(p, EVENT_SECURED, SIDE_BACKEND, END_NONE);
}

static void tell(struct player *p, uint8_t what)
{
    static const enum event_kind kind[] = {EVENT_EOF, EVENT_LOST, EVENT_DEADLINE, EVENT_DRAIN,
                                           EVENT_STOP};
    const enum event_kind k = kind[what % 5];
    const enum side side = k == EVENT_LOST || (what & 0x80) != 0 ? SIDE_BACKEND : SIDE_CLIENT;

    player_event(p, k, side, END_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct policy policy = policy_of(size > 0 ? data[0] : 0);
    const size_t piece = size > 1 ? 1 + data[1] / 16 : 1;
    enum side side = SIDE_CLIENT;
    struct player p;

    player_init(&p, &managesieve_protocol, &policy, policy.tls == FRONT_IMPLICIT);
    player_event(&p, policy.tls == FRONT_IMPLICIT ? EVENT_SECURED : EVENT_CONNECTED, SIDE_CLIENT,
                 END_NONE);
    for (size_t at = 2; at < size && !player_is_over(&p);) {
        size_t len = 0;

        go_on(&p);
        if (data[at] == OTHER_SIDE) {
            side = side_other(side);
            at++;
        } else if (data[at] == OF_SESSION && at + 1 < size) {
            tell(&p, data[at + 1]);
            at += 2;
        } else {
            while (len < piece && at + len < size && (len == 0 || data[at + len] < OTHER_SIDE))
                len++;
            if (player_reads(&p, side) || p.is_held[side])
                player_feed(&p, side, (const char *)data + at, len);
            at += len;
        }
    }
    player_clear(&p);
    return 0;
}
