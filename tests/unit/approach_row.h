/* SPDX-License-Identifier: ISC */
/* The way to a backend as rows of dialogue: what it says, what it is told, and what becomes of it,
 * in pieces of every size. */
#ifndef STARTTLSD_TEST_APPROACH_ROW_H
#define STARTTLSD_TEST_APPROACH_ROW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/approach.h"
#include "protocols/identity.h"

#define APPROACH_TURNS 6

/* Instead of what is heard: the handshake that was asked for is done. */
#define SHAKEN "(shaken)"

struct approach_row {
    bool starts_tls, needs_tls, tells_identity;
    struct {
        const char *hears, *says;
    } turn[APPROACH_TURNS];
    enum approach_state state; /* of the last turn */
    enum end end;              /* UNUSABLE */
    const char *why;
    bool is_at_once; /* the point is what shares a window: never cut */
};

/* How a row begins. */
#define CLEAR         false, false, false
#define OPPORTUNISTIC true, false, false
#define ENFORCED      true, true, false
#define TELLS         false, false, true
#define TELLS_INSIDE  true, true, true
#define TELLS_ANYWAY  true, false, true

typedef struct approach_step (*approach_function)(struct approach *, struct span, char *);

static const struct client_identity approach_client = {
    .client = {.family = ADDRESS_V6, .octets = {0x20, 1, 0xd, 0xb8, [15] = 7}, .port = 49152},
    .server = {.family = ADDRESS_V4, .octets = {192, 0, 2, 1}, .port = 993},
    .session = "9f2c01",
};

/* The window is a block of its exact size, and so is the space. */
static struct approach_step approach_hear(struct approach *a, approach_function step,
                                          const char *data, size_t len, char *space)
{
    char *window = malloc(len);
    struct approach_step result;

    assert_true(window != NULL || len == 0);
    if (len > 0)
        memcpy(window, data, len);
    result = step(a, (struct span){window, len}, space);
    assert_true(result.take <= len);
    assert_true(result.state == APPROACH_GOING || result.take == len); /* nothing is left over */
    assert_int_equal(result.state == APPROACH_UNUSABLE, result.why != NULL);
    free(window);
    return result;
}

static struct approach_step approach_turn(struct approach *a, approach_function step,
                                          const char *hears, size_t piece, char *space)
{
    size_t len = strlen(hears), seen = 0, taken = 0;
    struct approach_step result;

    if (strcmp(hears, SHAKEN) == 0) {
        a->is_secure = true;
        return approach_hear(a, step, "", 0, space);
    }
    do {
        seen += piece == 0 || piece > len - seen ? len - seen : piece;
        result = approach_hear(a, step, hears + taken, seen - taken, space);
        taken += result.take;
    } while (result.state == APPROACH_GOING && result.text.len == 0 && seen < len);
    assert_true(seen == len); /* else it has decided too early */
    return result;
}

static void approach_play(const struct approach_row *r, size_t index, approach_function step,
                          size_t space_size, size_t piece)
{
    struct approach a = approach_init("gate.example", r->tells_identity ? &approach_client : NULL,
                                      r->starts_tls, r->needs_tls);
    struct approach_step result = {.state = APPROACH_GOING};
    char *space = malloc(space_size);

    for (size_t t = 0; t < APPROACH_TURNS && r->turn[t].hears != NULL; t++) {
        result = approach_turn(&a, step, r->turn[t].hears, piece, space);
        if (!span_equals(result.text, span_of(r->turn[t].says)))
            fail_msg("row %zu, turn %zu, piece %zu: %.*s", index, t, piece, (int)result.text.len,
                     result.text.data);
    }
    free(space);
    if (result.state != r->state || result.end != r->end)
        fail_msg("row %zu, piece %zu: state %d, end %d", index, piece, result.state, result.end);
    if (r->why != NULL && (result.why == NULL || strcmp(r->why, result.why) != 0))
        fail_msg("row %zu, piece %zu: %s", index, piece, result.why);
    assert_true((r->state == APPROACH_UNUSABLE) == (r->why != NULL));
}

#define APPROACH_PLAY(row, step, space_size)                                                       \
    for (size_t i_ = 0; i_ < sizeof(row) / sizeof((row)[0]); i_++)                                 \
        for (size_t piece_ = 0; piece_ <= ((row)[i_].is_at_once ? 0 : 4); piece_++)                \
    approach_play(&(row)[i_], i_, step, space_size, piece_)

#endif
