/* SPDX-License-Identifier: ISC */
/* What is announced: the backend's lists less what ends at us, and our own where there is none yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYED &pop3_protocol

#include "protocols/pop3_capabilities.h"
#include "tests/unit/play.h"
#include "tests/unit/player.h"

#define REST .hostname = "mail.example"

static const char *const written[] = {"TOP", "SASL=PLAIN,GSSAPI,EXTERNAL", "USER", "stls", ".x"};
static const char *const hidden[] = {"user", "PIPELINING", "IMPLEMENTATION"};

static const struct policy none = {.tls = FRONT_NONE, REST};
static const struct policy implicit = {.tls = FRONT_IMPLICIT, REST};
static const struct policy enforced = {.is_enforced = true, REST};
static const struct policy open = {REST};
static const struct policy allowing = {.may_auth_in_clear = true, REST};
static const struct policy own = {.capabilities = {written, 5}, REST};
static const struct policy own_allowing = {
    .may_auth_in_clear = true, .capabilities = {written, 5}, REST};
static const struct policy hiding = {.is_enforced = true, .hide_capabilities = {hidden, 3}, REST};
static const struct policy open_hiding = {.hide_capabilities = {hidden, 3}, REST};

#define TEXT "TOP\nUSER\nSASL PLAIN EXTERNAL LOGIN\nSTLS\nXOIP\nUIDL\n"

static const struct learned learned = {true, sizeof TEXT - 1, TEXT};
static const struct learned unknown = {false, 4, "TOP\n"};
static const struct learned nothing = {true, 0, ""};

static void same(struct span got, const char *wanted)
{
    if (got.len != strlen(wanted) || (got.len > 0 && memcmp(got.data, wanted, got.len) != 0))
        fail_msg("'%.*s' instead of '%s'", (int)got.len, got.data, wanted);
}

static void announced(void **state)
{
    static const struct {
        const struct policy *policy;
        const struct learned *learned;
        bool is_secure;
        const char *wanted;
    } row[] = {
        {&enforced, &learned, false, "STLS\nPIPELINING\nRESP-CODES\n"},
        {&enforced, NULL, false, "STLS\nPIPELINING\nRESP-CODES\n"},
        {&hiding, NULL, false, "STLS\nRESP-CODES\n"},
        {&enforced, &learned, true, "TOP\nUSER\nSASL PLAIN LOGIN\nUIDL\n"},
        {&enforced, NULL, true, "USER\nRESP-CODES\n"},
        {&open, &learned, false, "STLS\nTOP\nUIDL\n"},
        {&open, &unknown, false, "STLS\nRESP-CODES\n"},
        {&open, &nothing, false, "STLS\n"},
        {&open, NULL, false, "STLS\nRESP-CODES\n"},
        {&open_hiding, &learned, true, "TOP\nSASL PLAIN LOGIN\nUIDL\n"},
        {&allowing, &learned, false, "STLS\nTOP\nUSER\nSASL PLAIN LOGIN\nUIDL\n"},
        {&allowing, NULL, false, "STLS\nUSER\nRESP-CODES\n"},
        {&own, &learned, false, "STLS\nTOP\n"},
        {&own_allowing, &learned, false, "STLS\nTOP\nSASL PLAIN GSSAPI\nUSER\n"},
        {&implicit, &learned, true, "TOP\nUSER\nSASL PLAIN LOGIN\nUIDL\n"},
        {&none, &learned, false, "TOP\nUSER\nSASL PLAIN LOGIN\nUIDL\n"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char space[EVENT_SPACE];

        same(pop3_protocol.announced(row[i].policy, row[i].learned, row[i].is_secure, space,
                                     sizeof space),
             row[i].wanted);
    }
}

static void what_does_not_fit_is_left_out_but_the_dot(void **state)
{
    char space[64];

    same(pop3_capabilities_reply(&open, &learned, space, 43),
         "+OK Capability list follows\r\nSTLS\r\nTOP\r\n.\r\n");
    same(pop3_capabilities_reply(&open, &learned, space, 42),
         "+OK Capability list follows\r\nSTLS\r\n.\r\n");
    same(pop3_capabilities_announced(&open, &learned, false, space, 9), "STLS\nTOP\n");
    same(pop3_capabilities_announced(&open, &learned, false, space, 8), "STLS\n");
}

#define CAPA(theirs) BACKEND("+OK list\r\n" theirs ".\r\n")
#define GETS(ours)   TO_CLIENT("+OK list\r\n" ours ".\r\n")
#define ASKS                                                                                       \
    {                                                                                              \
        CLIENT("CAPA\r\n"), TO_BACKEND("CAPA\r\n")                                                 \
    }

static void the_reply_to_capa_is_filtered(void **state)
{
    static const struct turn dialogue[] = {
        ASKS,
        {CAPA("TOP\r\nSTLS\r\nUSER\r\nSASL PLAIN LOGIN EXTERNAL SCRAM-SHA-1-PLUS GSSAPI\r\n"
              "IMPLEMENTATION x y\r\nXCLIENT\r\nXOIP\r\nFORWARD\r\nEXPIRE 0\n"),
         GETS("TOP\r\nUSER\r\nSASL PLAIN LOGIN GSSAPI\r\nIMPLEMENTATION x y\r\nEXPIRE 0\r\n")},
        ASKS,
        {CAPA(""), GETS("")},
        ASKS,
        {CAPA("stls\r\nstarttls\r\nsasl external\r\nSASL\r\n\r\n..\r\n..STLS\r\n STLS\r\nSTLSX\r\n"
              "STLS x\r\n"),
         GETS("STLSX\r\n")},
    };
    PLAY(&enforced, PLAY_FROM_GATE, dialogue);
    PLAY(&implicit, PLAY_FROM_GATE, dialogue);
    PLAY(&none, PLAY_FROM_GATE, dialogue);
}

static void what_is_hidden_is_taken_out(void **state)
{
    static const struct turn dialogue[] = {
        ASKS,
        {CAPA("TOP\r\nUSER\r\nPIPELINING\r\nImplementation x\r\nSASL PLAIN\r\n"),
         GETS("TOP\r\nSASL PLAIN\r\n")},
    };
    PLAY(&hiding, PLAY_FROM_GATE, dialogue);
}

static void the_list_of_mechanisms_is_filtered(void **state)
{
    static const struct turn dialogue[] = {
        {CLIENT("AUTH\r\n"), TO_BACKEND("AUTH\r\n")},
        {BACKEND("+OK\r\nPLAIN\r\nEXTERNAL\r\nSCRAM-SHA-256-PLUS\r\nNTLM ANONYMOUS LOGIN\r\n\r\n"
                 ".\r\n"),
         TO_CLIENT("+OK\r\nPLAIN\r\nNTLM LOGIN\r\n.\r\n")},
    };
    PLAY(&enforced, PLAY_FROM_GATE, dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(announced),
        cmocka_unit_test(what_does_not_fit_is_left_out_but_the_dot),
        cmocka_unit_test(the_reply_to_capa_is_filtered),
        cmocka_unit_test(what_is_hidden_is_taken_out),
        cmocka_unit_test(the_list_of_mechanisms_is_filtered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
