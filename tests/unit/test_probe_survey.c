/* SPDX-License-Identifier: ISC */
/* All visits to one address, against servers that are good, bad, slow, and hostile. */
#include <arpa/inet.h>

#include "proxy/probe_survey.h"
#include "proxy/scout_probe.h"
#include "tests/unit/mail_peer.h"

/* ---- one survey ---- */

enum { VERSIONS = 1, RELAY = 2, PROXY = 4, IMPLICIT = 8, TRACE = 16, HURRIED = 32 };

static char folder[] = "/tmp/starttlsd-probe-survey-XXXXXX", ca[64];
static EVP_PKEY *key;
static X509 *leaf;
static SSL_CTX *ctx;
static struct protocol protocol; /* SMTP, but for its well-known ports */
static struct probe_options options;
static struct probe_facts facts;
static struct mail_heard heard;

static union board_address address_of(const char *text)
{
    union board_address a = {.v4 = {.sin_family = AF_INET}};

    assert_int_equal(inet_pton(AF_INET, text, &a.v4.sin_addr), 1);
    return a;
}

static void survey_address(const char *text, unsigned wishes)
{
    const union board_address address = address_of(text);
    char why[160] = "";
    struct probe_survey *s;

    options.protocol = &protocol;
    options.tls = wishes & IMPLICIT ? BACKEND_TLS_IMPLICIT : BACKEND_TLS_STARTTLS;
    options.versions = (wishes & VERSIONS) != 0;
    options.relay_test = (wishes & RELAY) != 0;
    options.proxy = (wishes & PROXY) != 0;
    options.trace = (wishes & TRACE) != 0;
    s = probe_survey_new(&options, why, sizeof why);
    assert_string_equal(why, "");
    assert_non_null(s);
    is_hurried = (wishes & HURRIED) != 0;
    probe_survey_address(s, &address, &facts);
    is_hurried = false;
    probe_survey_free(s);
}

static void survey_by(const struct mail_manner *manner, unsigned wishes, SSL_CTX *by)
{
    struct mail_peer peer;

    mail_peer_start(&peer, manner, by);
    options.port = peer.port;
    survey_address("127.0.0.1", wishes | (manner->is_implicit ? IMPLICIT : 0));
    heard = *peer.heard;
    mail_peer_stop(&peer);
}

static void survey(const struct mail_manner *manner, unsigned wishes)
{
    survey_by(manner, wishes, ctx);
}

static SSL_CTX *make_context(void)
{
    SSL_CTX *made = SSL_CTX_new(TLS_server_method());

    SSL_CTX_set_security_level(made, 0);
    SSL_CTX_set_min_proto_version(made, TLS1_VERSION);
    assert_int_equal(SSL_CTX_use_certificate(made, leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(made, key), 1);
    return made;
}

static int start(void **state)
{
    char *pem;
    FILE *f;

    key = peer_key("RSA");
    leaf = peer_x509(key, "localhost", "DNS:localhost", -1, 9, NULL, NULL);
    X509_up_ref(leaf);
    pem = peer_x509_pem(leaf);
    f = fopen(ca, "w");
    fputs(pem, f);
    fclose(f);
    free(pem);
    ctx = make_context();
    protocol = smtp_protocol;
    protocol.clear_port = 1;
    options = (struct probe_options){.host = "localhost", .servername = "localhost", .ca = ca};
    return 0;
}

static int stop(void **state)
{
    SSL_CTX_free(ctx);
    X509_free(leaf);
    EVP_PKEY_free(key);
    unlink(ca);
    return 0;
}

static void has_steps(const char *expected)
{
    char steps[256] = "";

    for (size_t i = 0; i < facts.look.time_count; i++) {
        snprintf(steps + strlen(steps), sizeof steps - strlen(steps), "%s ",
                 facts.look.time[i].step);
        assert_true(facts.look.time[i].ms >= 0.0 && facts.look.time[i].ms < 10000.0);
    }
    assert_string_equal(steps, expected);
}

/* ---- good ones ---- */

static void a_good_server_is_visited_four_times(void **state)
{
    survey(&(const struct mail_manner){.greeting = NULL}, 0);
    assert_string_equal(facts.address, "127.0.0.1");
    assert_false(facts.is_ipv6 || facts.is_behind_proxy);
    assert_true(facts.look.is_tried && facts.look.is_good);
    assert_false(facts.look.is_late || facts.look.has_tls_failed || facts.look.has_no_route);
    assert_int_equal(facts.look.reach, PROBE_SECURED);
    assert_string_equal(facts.look.why, "");
    assert_string_equal(facts.look.version, "TLSv1.3");
    assert_string_equal(facts.look.said.greeting, "220 peer ESMTP");
    assert_string_equal(facts.look.said.tls_answer, "220 go ahead");
    assert_true(facts.look.said.clear.is_known && facts.look.said.learned.is_known);
    assert_int_equal(facts.look.said.farewell, PROBE_FAREWELL_GOOD);
    has_steps("connect greeting EHLO STARTTLS handshake EHLO EHLO QUIT ");
    assert_int_equal(facts.certificate.trust, PROBE_TRUSTED);
    assert_true(facts.certificate.is_for_name);
    assert_int_equal(facts.resumption.outcome, PROBE_YES);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_FORGOTTEN);
    assert_int_equal(facts.behind.fate, PROBE_FATE_REFUSED);
    assert_int_equal(facts.version[PROBE_TLSV1_2].outcome, PROBE_UNTRIED);
    assert_int_equal(facts.proxy_v1.outcome, PROBE_UNTRIED);
    assert_int_equal(facts.implicit.outcome, PROBE_UNTRIED);
    assert_int_equal(facts.implicit_port, 0);
    assert_string_equal(facts.relay_answer, "");
    assert_string_equal(heard.verbs, "EHLO STARTTLS EHLO EHLO QUIT \n"
                                     "EHLO STARTTLS EHLO QUIT \n"
                                     "EHLO STARTTLS QUIT \n"
                                     "EHLO STARTTLS \n");
    assert_int_equal(heard.connections, 4);
}

static void with_implicit_tls_there_is_nothing_to_inject(void **state)
{
    survey(&(const struct mail_manner){.is_implicit = true}, VERSIONS | RELAY);
    assert_true(facts.look.is_good);
    assert_int_equal(facts.look.reach, PROBE_SECURED);
    has_steps("connect handshake greeting EHLO QUIT ");
    assert_true(facts.certificate.is_shown);
    assert_int_equal(facts.resumption.outcome, PROBE_YES);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_UNTRIED);
    assert_int_equal(facts.behind.fate, PROBE_FATE_UNTRIED);
    assert_int_equal(facts.relay, PROBE_RELAY_REFUSED);
    assert_int_equal(heard.connections, 2 + PROBE_VERSIONS + 1);
    assert_int_equal(heard.handshakes, heard.connections);
}

static void versions_are_tried_one_by_one(void **state)
{
    SSL_CTX *few = make_context();

    SSL_CTX_set_options(few, SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
    survey_by(&(const struct mail_manner){.greeting = NULL}, VERSIONS, few);
    assert_int_equal(facts.version[PROBE_TLSV1].outcome, PROBE_NO);
    assert_string_not_equal(facts.version[PROBE_TLSV1].why, "");
    assert_int_equal(facts.version[PROBE_TLSV1_1].outcome, PROBE_NO);
    assert_int_equal(facts.version[PROBE_TLSV1_2].outcome, PROBE_YES);
    assert_int_equal(facts.version[PROBE_TLSV1_3].outcome, PROBE_YES);
    SSL_CTX_free(few);
}

/* With TLS 1.2 the handshake fails for it, and the version was agreed long before. */
static void who_wants_a_certificate_of_ours_has_the_version(void **state)
{
    SSL_CTX *strict = make_context();

    SSL_CTX_set_verify(strict, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_options(strict, SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
    survey_by(&(const struct mail_manner){.greeting = NULL}, VERSIONS, strict);
    assert_true(facts.look.has_tls_failed && facts.look.wants_certificate);
    assert_int_equal(facts.version[PROBE_TLSV1_1].outcome, PROBE_NO);
    assert_int_equal(facts.version[PROBE_TLSV1_2].outcome, PROBE_YES);
    assert_int_equal(facts.version[PROBE_TLSV1_3].outcome, PROBE_YES);
    SSL_CTX_free(strict);
}

static void hang(const SSL *ssl, int where, int result)
{
    if (SSL_get_state(ssl) == TLS_ST_SR_CERT)
        pause();
}

/* Many ask, and do without. */
static void who_asks_for_a_certificate_and_hangs_may_not_want_it(void **state)
{
    SSL_CTX *polite = make_context();

    SSL_CTX_set_verify(polite, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_proto_version(polite, TLS1_2_VERSION);
    SSL_CTX_set_info_callback(polite, hang);
    survey_by(&(const struct mail_manner){.greeting = NULL}, HURRIED, polite);
    assert_true(facts.look.has_tls_failed && facts.look.is_late);
    assert_false(facts.look.wants_certificate);
    SSL_CTX_free(polite);
}

static void a_server_that_gives_no_session(void **state)
{
    SSL_CTX *forgetful = make_context();

    SSL_CTX_set_num_tickets(forgetful, 0);
    survey_by(&(const struct mail_manner){.greeting = NULL}, 0, forgetful);
    assert_true(facts.look.is_good);
    assert_int_equal(facts.resumption.outcome, PROBE_NO);
    assert_string_equal(facts.resumption.why, "it gives no session to be resumed");
    assert_int_equal(heard.connections, 3);
    SSL_CTX_free(forgetful);
}

static SSL_TICKET_RETURN ignore_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t len, SSL_TICKET_STATUS status, void *context)
{
    return SSL_TICKET_RETURN_IGNORE_RENEW;
}

static int any_ticket(SSL *ssl, void *context)
{
    return 1;
}

static void a_server_that_resumes_none(void **state)
{
    SSL_CTX *strict = make_context();

    SSL_CTX_set_session_ticket_cb(strict, any_ticket, ignore_ticket, NULL);
    survey_by(&(const struct mail_manner){.greeting = NULL}, 0, strict);
    assert_int_equal(facts.resumption.outcome, PROBE_NO);
    assert_string_equal(facts.resumption.why, "it begins a new session");
    SSL_CTX_free(strict);
}

static void relaying_is_asked_for_inside_tls(void **state)
{
    survey(&(const struct mail_manner){.answer_to_rcpt = "250 ok\r\n"}, RELAY);
    assert_int_equal(facts.relay, PROBE_RELAY_ACCEPTED);
    assert_string_equal(facts.relay_answer, "250 ok");
    assert_non_null(strstr(heard.verbs, "EHLO STARTTLS EHLO EHLO MAIL RCPT RSET QUIT"));
    /* All attempts are more steps than are kept. */
    survey(&(const struct mail_manner){.answer_to_rcpt = "450 later\r\n"}, RELAY);
    assert_int_equal(facts.relay, PROBE_RELAY_UNKNOWN);
    assert_string_equal(facts.relay_answer, "450 later");
    survey(&(const struct mail_manner){.lacks_starttls = true}, RELAY);
    assert_int_equal(facts.relay, PROBE_RELAY_REFUSED);
    assert_string_equal(facts.relay_answer, "554 5.7.1 relay access denied");
}

/* ---- goodbyes ---- */

/* Some speak below their TLS there: all was well until then. */
static void what_comes_behind_the_goodbye_is_no_handshake(void **state)
{
    survey(&(const struct mail_manner){.goodbye = MAIL_GOODBYE_BELOW}, 0);
    assert_true(facts.look.is_good);
    assert_false(facts.look.has_tls_failed);
}

/* Who never answers a goodbye can only have answered what was put in. */
static void one_answer_too_many_of_who_answers_no_goodbye(void **state)
{
    static const struct mail_manner silent = {.goodbye = MAIL_GOODBYE_SILENT, .remembers = true},
                                    closing = {.goodbye = MAIL_GOODBYE_CLOSES, .remembers = true};

    survey(&silent, HURRIED);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_UNDECIDED);
    assert_string_equal(facts.at_once.why, "250 done");
    survey(&closing, 0);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_UNDECIDED);
    assert_string_equal(facts.at_once.why, "250 done");
}

static void a_goodbye_in_words_of_its_own(void **state)
{
    survey(&(const struct mail_manner){.goodbye = MAIL_GOODBYE_OWN}, HURRIED);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_FORGOTTEN);
    survey(&(const struct mail_manner){.goodbye = MAIL_GOODBYE_OWN, .remembers = true}, HURRIED);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_EXECUTED);
}

/* ---- those that cannot be reached, or do not speak ---- */

static void nobody_there_is_asked_once(void **state)
{
    struct mail_peer peer;

    mail_peer_start(&peer, &(const struct mail_manner){.greeting = NULL}, ctx);
    mail_peer_stop(&peer);
    options.port = peer.port;
    survey_address("127.0.0.1", VERSIONS | RELAY | PROXY);
    assert_int_equal(facts.look.reach, PROBE_NOT_REACHED);
    assert_string_equal(facts.look.why, "Connection refused");
    assert_false(facts.look.has_no_route || facts.look.is_late);
    assert_int_equal(facts.look.time_count, 0);
    assert_int_equal(facts.proxy_v1.outcome, PROBE_UNTRIED);
    assert_int_equal(facts.version[0].outcome, PROBE_UNTRIED);
    assert_string_equal(facts.relay_answer, "");
    survey_address("255.255.255.255", 0);
    assert_int_equal(facts.look.reach, PROBE_NOT_REACHED);
    assert_true(facts.look.has_no_route);
}

static void who_says_nothing_is_not_asked_again(void **state)
{
    survey(&(const struct mail_manner){.is_silent = true}, VERSIONS | RELAY | HURRIED);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_true(facts.look.is_late);
    assert_string_equal(facts.look.why, "no greeting in time");
    assert_int_equal(heard.connections, 1);
    survey(&(const struct mail_manner){.is_silent = true}, PROXY | HURRIED);
    assert_int_equal(facts.proxy_v1.outcome, PROBE_NO);
    assert_int_equal(facts.proxy_v2.outcome, PROBE_NO);
    assert_false(facts.is_behind_proxy);
    assert_int_equal(heard.connections, 3);
    survey(&(const struct mail_manner){.hangs_up = true}, VERSIONS);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_string_equal(facts.look.why, "it closed the connection");
    assert_false(facts.look.is_late);
    assert_int_equal(heard.connections, 1);
}

static void a_greeting_is_one_though_it_turns_away(void **state)
{
    survey(&(const struct mail_manner){.greeting = "554 go away\r\n"}, VERSIONS);
    assert_int_equal(facts.look.reach, PROBE_GREETED);
    assert_string_equal(facts.look.said.greeting, "554 go away");
    assert_int_equal(facts.version[0].outcome, PROBE_UNTRIED);
    survey(&(const struct mail_manner){.greeting = "HTTP/1.1 400 Bad Request\r\n"}, VERSIONS);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_string_equal(facts.look.said.greeting, "HTTP/1.1 400 Bad Request");
    assert_int_equal(heard.connections, 1);
    survey(&(const struct mail_manner){.is_implicit = true, .greeting = "HTTP/1.1\r\n"}, 0);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_string_equal(facts.look.version, "TLSv1.3");
}

/* ---- STARTTLS that fails ---- */

static void without_tls_there_is_no_version_to_try(void **state)
{
    survey(&(const struct mail_manner){.lacks_starttls = true}, VERSIONS);
    assert_int_equal(facts.look.reach, PROBE_GREETED);
    assert_false(facts.look.is_good || facts.look.said.offers_tls || facts.look.has_tls_failed);
    assert_true(facts.look.said.clear.is_known);
    assert_int_equal(heard.connections, 1);
    survey(&(const struct mail_manner){.answer_to_tls = "454 not today\r\n"}, VERSIONS);
    assert_int_equal(facts.look.reach, PROBE_GREETED);
    assert_true(facts.look.said.offers_tls);
    assert_string_equal(facts.look.said.tls_answer, "454 not today");
    assert_string_equal(facts.look.version, "");
    assert_int_equal(heard.connections, 1);
}

static void words_behind_the_go_ahead(void **state)
{
    survey(&(const struct mail_manner){.answer_to_tls = "220 go\r\n250 and be deceived\r\n"}, 0);
    assert_true(facts.look.said.is_injecting);
    assert_int_equal(facts.look.reach, PROBE_GREETED);
    assert_false(facts.look.is_good);
}

static void a_handshake_that_fails_is_tried_by_version(void **state)
{
    SSL_CTX *none = SSL_CTX_new(TLS_server_method()); /* and no certificate */

    survey_by(&(const struct mail_manner){.greeting = NULL}, VERSIONS, none);
    assert_int_equal(facts.look.reach, PROBE_GREETED);
    assert_true(facts.look.has_tls_failed);
    assert_string_not_equal(facts.look.why, "");
    for (unsigned i = 0; i < PROBE_VERSIONS; i++)
        assert_int_equal(facts.version[i].outcome, PROBE_NO);
    assert_int_equal(facts.resumption.outcome, PROBE_UNTRIED);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_UNTRIED);
    assert_int_equal(heard.connections, 1 + PROBE_VERSIONS);
    SSL_CTX_free(none);
}

static void a_handshake_that_hangs_decides_nothing(void **state)
{
    survey(&(const struct mail_manner){.stalls = true}, VERSIONS | HURRIED);
    assert_true(facts.look.has_tls_failed && facts.look.is_late);
    assert_string_equal(facts.look.why, "no TLS in time");
    for (unsigned i = 0; i < PROBE_VERSIONS; i++)
        assert_int_equal(facts.version[i].outcome, PROBE_UNDECIDED);
    survey(&(const struct mail_manner){.stalls = true, .is_implicit = true}, HURRIED);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_true(facts.look.has_tls_failed);
}

/* ---- a command behind STARTTLS ---- */

static void what_becomes_of_a_command_that_is_put_in(void **state)
{
    static const struct {
        struct mail_manner manner;
        enum probe_fate at_once, behind;
        const char *why; /* of at_once */
    } rows[] = {
        {{.remembers = true}, PROBE_FATE_EXECUTED, PROBE_FATE_REFUSED, "250 done"},
        {{.sips = true}, PROBE_FATE_FORGOTTEN, PROBE_FATE_EXECUTED, ""},
        {{.goodbye = MAIL_GOODBYE_CLOSES},
         PROBE_FATE_REFUSED,
         PROBE_FATE_REFUSED,
         "it closed the connection inside TLS"},
        {{.goodbye = MAIL_GOODBYE_SILENT},
         PROBE_FATE_UNDECIDED,
         PROBE_FATE_REFUSED,
         "no answer in time"},
        {{.patience = 2}, PROBE_FATE_UNDECIDED, PROBE_FATE_UNDECIDED, "it says 421"},
        {{.goodbye = MAIL_GOODBYE_SLOW}, PROBE_FATE_FORGOTTEN, PROBE_FATE_REFUSED, ""},
        /* What hangs is at an end, too. */
        {{.waits_for_tls = true}, PROBE_FATE_FORGOTTEN, PROBE_FATE_REFUSED, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        survey(&rows[i].manner, HURRIED);
        assert_int_equal(facts.look.reach, PROBE_SECURED);
        assert_int_equal(facts.at_once.fate, rows[i].at_once);
        assert_int_equal(facts.behind.fate, rows[i].behind);
        assert_string_equal(facts.at_once.why, rows[i].why);
    }
    survey(&(const struct mail_manner){.closes_in_tls = true}, 0);
    assert_int_equal(facts.look.reach, PROBE_SECURED);
    assert_false(facts.look.is_good);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_UNTRIED);
    assert_int_equal(facts.behind.fate, PROBE_FATE_UNTRIED);
}

/* Of what is put in alone: a look does not see it. */
static void an_answer_in_the_clear_is_seen(void **state)
{
    static const char *const answers[] = {"220 go\r\n250 done\r\n",
                                          "454 no pipelining, please\r\n"};
    static const enum probe_fate fates[] = {PROBE_FATE_IN_CLEAR, PROBE_FATE_REFUSED};

    for (size_t i = 0; i < 2; i++) {
        survey(&(const struct mail_manner){.answer_to_injected = answers[i]}, 0);
        assert_true(facts.look.is_good);
        assert_int_equal(facts.at_once.fate, fates[i]);
    }
    assert_string_equal(facts.at_once.why, "454 no pipelining, please");
}

static void rude_ends_spoil_no_session(void **state)
{
    survey(&(const struct mail_manner){.goodbye = MAIL_GOODBYE_CLOSES}, 0);
    assert_true(facts.look.is_good);
    assert_int_equal(facts.look.said.farewell, PROBE_FAREWELL_NONE);
    assert_int_equal(facts.resumption.outcome, PROBE_YES);
}

static void who_limits_connections_is_not_judged(void **state)
{
    survey(&(const struct mail_manner){.patience = 1}, VERSIONS | RELAY | PROXY);
    assert_true(facts.look.is_good);
    assert_int_equal(facts.resumption.outcome, PROBE_UNDECIDED);
    assert_int_equal(facts.at_once.fate, PROBE_FATE_UNDECIDED);
    assert_int_equal(facts.version[PROBE_TLSV1_3].outcome, PROBE_UNDECIDED);
    assert_int_equal(facts.relay, PROBE_RELAY_UNKNOWN);
    assert_string_equal(facts.relay_answer, "421 too many");
}

/* ---- PROXY headers ---- */

static void a_header_is_a_command_to_most(void **state)
{
    survey(&(const struct mail_manner){.greeting = NULL}, PROXY);
    assert_int_equal(facts.proxy_v1.outcome, PROBE_NO);
    assert_int_equal(facts.proxy_v2.outcome, PROBE_NO);
    assert_string_equal(facts.proxy_v1.why, "500 what?");
    assert_false(facts.is_behind_proxy);
    assert_int_equal(heard.connections, 6);
}

static void who_wants_a_header_gets_one(void **state)
{
    for (enum mail_header h = MAIL_HEADER_V1; h <= MAIL_HEADER_V2; h++) {
        survey(&(const struct mail_manner){.header = h}, PROXY | HURRIED);
        assert_true(facts.is_behind_proxy && facts.look.is_good);
        assert_int_equal(facts.look.reach, PROBE_SECURED);
        assert_int_equal(facts.proxy_v1.outcome, h == MAIL_HEADER_V1 ? PROBE_YES : PROBE_NO);
        assert_int_equal(facts.proxy_v2.outcome, h == MAIL_HEADER_V2 ? PROBE_YES : PROBE_NO);
        assert_int_equal(facts.resumption.outcome, PROBE_YES);
        assert_int_equal(facts.at_once.fate, PROBE_FATE_FORGOTTEN);
        assert_int_equal(heard.connections, 7);
        assert_int_equal(heard.handshakes, 3); /* a header can be judged without */
        has_steps("connect greeting EHLO STARTTLS handshake EHLO EHLO QUIT ");
    }
    survey(&(const struct mail_manner){.header = MAIL_HEADER_V2, .goodbye = MAIL_GOODBYE_CLOSES},
           PROXY | HURRIED);
    assert_int_equal(facts.proxy_v2.outcome, PROBE_UNDECIDED);
    assert_false(facts.is_behind_proxy);
    /* It takes its time with one. */
    survey(&(const struct mail_manner){.header = MAIL_HEADER_V2, .is_slow = true}, PROXY | HURRIED);
    assert_true(facts.is_behind_proxy);
    survey(&(const struct mail_manner){.header = MAIL_HEADER_V2}, HURRIED);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_int_equal(facts.proxy_v2.outcome, PROBE_UNTRIED);
}

/* ---- the neighbour ---- */

static void survey_beside(const struct mail_manner *manner, const struct mail_manner *beside,
                          unsigned wishes)
{
    struct mail_peer peer, neighbour;

    mail_peer_start(&peer, manner, ctx);
    mail_peer_start(&neighbour, beside, ctx);
    options.port = protocol.clear_port = peer.port;
    protocol.implicit_port = neighbour.port;
    survey_address("127.0.0.1", wishes);
    assert_true(facts.look.is_good);
    mail_peer_stop(&peer);
    mail_peer_stop(&neighbour);
}

static void the_neighbour_is_looked_at_where_ports_are_well_known(void **state)
{
    const struct mail_manner good = {.greeting = NULL}, secure = {.is_implicit = true};
    const struct mail_manner behind = {.header = MAIL_HEADER_V1};

    survey_beside(&good, &secure, 0);
    assert_int_equal(facts.implicit_port, protocol.implicit_port);
    assert_int_equal(facts.implicit.outcome, PROBE_YES);
    survey_beside(&good, &good, 0);
    assert_int_equal(facts.implicit.outcome, PROBE_UNDECIDED);
    assert_string_not_equal(facts.implicit.why, "");
    /* It has a listener of its own, with rules of its own. */
    survey_beside(&behind, &secure, PROXY | HURRIED);
    assert_true(facts.is_behind_proxy);
    assert_int_equal(facts.implicit.outcome, PROBE_YES);
    survey_beside(&secure, &secure, IMPLICIT);
    assert_int_equal(facts.implicit_port, 0);
    assert_int_equal(facts.implicit.outcome, PROBE_UNTRIED);
    protocol.clear_port = 1;
}

static void a_neighbour_that_is_not_there(void **state)
{
    struct mail_peer peer;
    int full, filler;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;

    mail_peer_start(&peer, &(const struct mail_manner){.greeting = NULL}, ctx);
    /* Its queue is full, so that a SYN goes unheard. */
    full = socket(AF_INET, SOCK_STREAM, 0);
    filler = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(full, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(full, 0), 0);
    assert_int_equal(getsockname(full, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(connect(filler, (struct sockaddr *)&a, len), 0);
    options.port = protocol.clear_port = peer.port;
    protocol.implicit_port = ntohs(a.sin_port);
    survey_address("127.0.0.1", HURRIED);
    assert_int_equal(facts.implicit.outcome, PROBE_UNDECIDED);
    close(filler);
    close(full);
    survey_address("127.0.0.1", 0);
    assert_int_equal(facts.implicit.outcome, PROBE_NO);
    assert_string_equal(facts.implicit.why, "Connection refused");
    mail_peer_stop(&peer);
    protocol.clear_port = 1;
}

/* ---- one after the other ---- */

static void no_address_inherits_what_another_had(void **state)
{
    const union board_address address = address_of("127.0.0.1");
    const struct mail_manner behind = {.header = MAIL_HEADER_V2}, good = {.greeting = NULL};
    SSL_CTX *forgetful = make_context();
    struct mail_peer first, second;
    char why[160];
    struct probe_survey *s;

    SSL_CTX_set_num_tickets(forgetful, 0);
    mail_peer_start(&first, &behind, ctx);
    mail_peer_start(&second, &good, forgetful);
    options.protocol = &protocol;
    options.tls = BACKEND_TLS_STARTTLS;
    options.versions = options.relay_test = options.trace = false;
    options.proxy = true;
    s = probe_survey_new(&options, why, sizeof why);
    assert_non_null(s);
    is_hurried = true;
    options.port = first.port;
    probe_survey_address(s, &address, &facts);
    assert_true(facts.is_behind_proxy);
    assert_int_equal(facts.resumption.outcome, PROBE_YES);
    ahead_ms += 60000; /* --watch */
    options.port = second.port;
    probe_survey_address(s, &address, &facts);
    is_hurried = false;
    assert_true(facts.look.is_good);
    assert_false(facts.is_behind_proxy);
    assert_string_equal(facts.resumption.why, "it gives no session to be resumed");
    probe_survey_free(s);
    mail_peer_stop(&first);
    mail_peer_stop(&second);
    SSL_CTX_free(forgetful);
}

/* ---- hostile ones ---- */

static void who_speaks_for_ever_is_left(void **state)
{
    survey(&(const struct mail_manner){.drips = true}, HURRIED);
    assert_int_equal(facts.look.reach, PROBE_CONNECTED);
    assert_true(facts.look.is_late);
    assert_int_equal(heard.connections, 1);
    survey(&(const struct mail_manner){.babbles = true}, 0);
    assert_int_equal(facts.look.reach, PROBE_SECURED);
    assert_string_equal(facts.look.why, "its reply has no end");
}

static void long_chains_are_read_and_endless_ones_refused(void **state)
{
    static const struct {
        unsigned certificates;
        bool is_good;
    } rows[] = {{20, true}, {90, false}};

    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *heavy = make_context();

        for (unsigned k = 0; k < rows[i].certificates; k++)
            SSL_CTX_add1_chain_cert(heavy, leaf);
        survey_by(&(const struct mail_manner){.greeting = NULL}, 0, heavy);
        assert_int_equal(facts.look.is_good, rows[i].is_good);
        assert_int_equal(facts.look.has_tls_failed, !rows[i].is_good);
        assert_int_equal(facts.certificate.chain_count, rows[i].is_good ? PROBE_CHAIN_MAX : 0);
        SSL_CTX_free(heavy);
    }
}

/* ---- --trace ---- */

/* What goes to stderr meanwhile. */
static char *traced(const struct mail_manner *manner, unsigned wishes)
{
    static char text[16384];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t n;

    dup2(fileno(file), STDERR_FILENO);
    survey(manner, wishes | TRACE);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}

static void the_dialogue_can_be_read(void **state)
{
    const struct mail_manner manner = {.greeting = "220 \x1b[2J\xe4\r\n"};
    const char *text = traced(&manner, PROXY);
    static const char *const lines[] = {
        "-- a look: 127.0.0.1:",
        "\n-- connected in ",
        "\n<- 220 \\x1b[2J\\xe4\n-> EHLO ",
        "\n<- 250-peer\n<- 250 STARTTLS\n-> STARTTLS\n<- 220 go ahead\n-- TLS: TLSv1.3, TLS_",
        ", x25519\n-> EHLO ",
        ", x25519, resumed\n-> EHLO ",
        "\n-> STARTTLS\n-> NOOP\n<- 220 go ahead\n",
        "\n-> PROXY TCP4 127.0.0.1 127.0.0.1 ",
        "\n-> \\x0d\\x0a\\x0d\\x0a\\x00\\x0d\\x0aQUIT\\x0a \\x00\\x00\\x00\n"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_non_null(strstr(text, lines[i]));
    for (; *text != '\0'; text++)
        assert_true(*text == '\n' || (*text >= ' ' && *text <= '~'));
    assert_non_null(strstr(traced(&(const struct mail_manner){.hangs_up = true}, 0),
                           "\n-- it closed the connection\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_server_is_visited_four_times),
        cmocka_unit_test(with_implicit_tls_there_is_nothing_to_inject),
        cmocka_unit_test(versions_are_tried_one_by_one),
        cmocka_unit_test(who_wants_a_certificate_of_ours_has_the_version),
        cmocka_unit_test(who_asks_for_a_certificate_and_hangs_may_not_want_it),
        cmocka_unit_test(a_server_that_gives_no_session),
        cmocka_unit_test(a_server_that_resumes_none),
        cmocka_unit_test(relaying_is_asked_for_inside_tls),
        cmocka_unit_test(what_comes_behind_the_goodbye_is_no_handshake),
        cmocka_unit_test(one_answer_too_many_of_who_answers_no_goodbye),
        cmocka_unit_test(a_goodbye_in_words_of_its_own),
        cmocka_unit_test(nobody_there_is_asked_once),
        cmocka_unit_test(who_says_nothing_is_not_asked_again),
        cmocka_unit_test(a_greeting_is_one_though_it_turns_away),
        cmocka_unit_test(without_tls_there_is_no_version_to_try),
        cmocka_unit_test(words_behind_the_go_ahead),
        cmocka_unit_test(a_handshake_that_fails_is_tried_by_version),
        cmocka_unit_test(a_handshake_that_hangs_decides_nothing),
        cmocka_unit_test(what_becomes_of_a_command_that_is_put_in),
        cmocka_unit_test(an_answer_in_the_clear_is_seen),
        cmocka_unit_test(rude_ends_spoil_no_session),
        cmocka_unit_test(who_limits_connections_is_not_judged),
        cmocka_unit_test(a_header_is_a_command_to_most),
        cmocka_unit_test(who_wants_a_header_gets_one),
        cmocka_unit_test(the_neighbour_is_looked_at_where_ports_are_well_known),
        cmocka_unit_test(a_neighbour_that_is_not_there),
        cmocka_unit_test(no_address_inherits_what_another_had),
        cmocka_unit_test(who_speaks_for_ever_is_left),
        cmocka_unit_test(long_chains_are_read_and_endless_ones_refused),
        cmocka_unit_test(the_dialogue_can_be_read),
    };
    int failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    failed = cmocka_run_group_tests(tests, start, stop);
    rmdir(folder);
    return failed;
}
