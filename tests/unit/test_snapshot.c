/* SPDX-License-Identifier: ISC */
/* Bundle to snapshot: all or nothing, counted, and with no file within reach. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocols/learned.h"
#include "proxy/snapshot_learned.h"
#include "proxy/tls_backend.h"
#include "tests/unit/tls_peer.h"

#define INI "/test/starttlsd.ini"
#define SERVICE(name, port, rest)                                                                  \
    "[service " name "]\nprotocol = smtp\nlisten = 127.0.0.1:" port "\nrelay = backend\n" rest "\n"

static struct tls_tickets *tickets;
static struct tally *tally;
static struct quotas *quotas;

/* A bundle of INI text and the files that it names, as the master would make it. */
static struct bundle *bundle_of(const char *ini)
{
    struct diagnosis *d = diagnosis_new();
    struct config *config;
    struct bundle *b;

    peer_file(INI, strdup(ini));
    config = config_load(INI, &peer_source, "mail.example", d);
    if (config == NULL)
        diagnosis_print(d, stderr);
    assert_non_null(config);
    b = bundle_open(bundle_build(config, &peer_source, "mail.example", 7, true));
    assert_non_null(b);
    config_free(config);
    diagnosis_free(d);
    return b;
}

/* The snapshot of that bundle, which is closed; NULL: *error. scout: the writer of its board. */
static struct snapshot *build_beside(struct board **scout, struct bundle *b, uint32_t backends,
                                     char **error)
{
    int scout_writer, scout_reader, own_writer, own_reader;
    struct snapshot *s;

    assert_true(board_make(0, backends, &scout_writer, &scout_reader));
    assert_true(board_make(0, backends, &own_writer, &own_reader));
    *scout = board_open_writer(scout_writer, 0, backends);
    assert_non_null(*scout);
    close(own_reader);
    *error = NULL;
    s = snapshot_new(b, tickets, quotas, board_open_reader(scout_reader, 0, backends),
                     board_open_writer(own_writer, 0, backends), error);
    bundle_close(b);
    return s;
}

static struct snapshot *build(struct bundle *b, uint32_t backends, char **error)
{
    struct board *scout;
    struct snapshot *s = build_beside(&scout, b, backends, error);

    board_close(scout);
    return s;
}

static void refused(const char *ini, uint32_t backends, const char *words)
{
    char *error;

    assert_null(build(bundle_of(ini), backends, &error));
    if (strstr(error, words) == NULL || strchr(error, '\n') != NULL)
        fail_msg("expected `%s` in: %s", words, error);
    free(error);
}

static const char two_services[] = "[defaults]\ncertificate = /test/a.pem\n" SERVICE(
    "mx", "2525", "backend = 127.0.0.1:25 127.0.0.2:25") SERVICE("submission", "2587",
                                                                 "backend = 127.0.0.1:587\n"
                                                                 "certificate = /test/b.pem\n"
                                                                 "tls_profile = modern");

static void every_service_gets_its_context(void **state)
{
    char *error;
    struct snapshot *s = build(bundle_of(two_services), 3, &error);
    struct peer_outcome o;

    assert_non_null(s);
    assert_int_equal(s->generation, 7);
    assert_int_equal(s->references, 1);
    assert_int_equal(s->config->service_count, 2);
    assert_string_equal(s->service[0].config->name, "mx");
    assert_string_equal(s->service[0].config->policy.hostname, "mail.example");
    assert_int_equal(s->service[0].first_backend, 0);
    assert_int_equal(s->service[1].first_backend, 2);
    assert_ptr_not_equal(s->service[0].quota, s->service[1].quota);
    o = peer_shake(s->service[0].tls, &(struct peer_wish){.max = TLS1_2_VERSION});
    assert_string_equal(o.cn, "a");
    assert_true(o.has_ticket);
    SSL_SESSION_free(o.session);
    o = peer_shake(s->service[1].tls, &(struct peer_wish){.max = 0});
    assert_string_equal(o.cn, "b");
    SSL_SESSION_free(o.session);
    assert_false(peer_can(s->service[1].tls, &(struct peer_wish){.max = TLS1_2_VERSION}));
    snapshot_put(s);
}

/* The bundle brings the system's authorities, too. */
static void backends_get_their_context_where_tls_is_wanted(void **state)
{
    char *error;
    struct snapshot *s =
        build(bundle_of("[defaults]\ncertificate = /test/a.pem\n" SERVICE(
                  "mx", "2525", "backend = 127.0.0.1:25") SERVICE("submission", "2587",
                                                                  "backend = mail.example:587\n"
                                                                  "backend_tls = starttls")),
              2, &error);
    SSL *ssl;

    assert_non_null(s);
    assert_null(s->service[0].backend_tls);
    assert_non_null(s->service[1].backend_tls);
    ssl = tls_backend_ssl(s->service[1].backend_tls, 0);
    assert_non_null(ssl);
    SSL_free(ssl);
    snapshot_put(s);
}

static void learn(struct board *scout, size_t backend, const char *keyword)
{
    struct learned l = {.is_known = keyword != NULL};

    if (keyword != NULL)
        learned_add(&l, span_of(keyword));
    board_put_learned(scout, backend, &l);
}

static void put_health(struct board *scout, size_t backend, enum backend_health health)
{
    struct board_backend b = {.health = health, .is_resolved = true};

    board_put_backend(scout, backend, &b);
}

static void knows(const struct learned *l, const char *text)
{
    assert_non_null(l);
    assert_int_equal(l->len, strlen(text));
    assert_memory_equal(l->text, text, l->len);
}

static void what_backends_have_in_common_follows_the_board(void **state)
{
    char *error;
    struct board *scout;
    struct snapshot *s = build_beside(
        &scout,
        bundle_of("[defaults]\ncertificate = /test/a.pem\n" SERVICE(
            "mx", "2525", "backend = 127.0.0.1:25") SERVICE("open", "2587",
                                                            "backend = 127.0.0.1:26 127.0.0.2:26\n"
                                                            "policy = opportunistic")),
        3, &error);
    const struct learned *first;

    assert_non_null(s);
    learn(scout, 0, "SIZE 1");
    assert_null(snapshot_learned(s, &s->service[0])); /* it does not want to know */
    assert_null(snapshot_learned(s, &s->service[1]));
    learn(scout, 2, "SIZE 1");
    assert_null(snapshot_learned(s, &s->service[1])); /* the other may have nothing of it */
    put_health(scout, 1, BACKEND_DOWN);
    first = snapshot_learned(s, &s->service[1]);
    knows(first, "SIZE 1\n"); /* who is down gets no session */
    put_health(scout, 1, BACKEND_UP);
    assert_null(snapshot_learned(s, &s->service[1]));
    learn(scout, 1, "SIZE 2");
    assert_ptr_equal(snapshot_learned(s, &s->service[1]), first);
    knows(first, "SIZE\n");
    learn(scout, 1, "");
    knows(snapshot_learned(s, &s->service[1]), "");
    learn(scout, 1, NULL);
    assert_null(snapshot_learned(s, &s->service[1]));
    put_health(scout, 2, BACKEND_DOWN);
    put_health(scout, 1, BACKEND_DOWN);
    assert_null(snapshot_learned(s, &s->service[1]));
    board_close(scout);
    snapshot_put(s);
}

static void last_session_takes_it_away(void **state)
{
    char *error;
    struct snapshot *s = build(bundle_of(two_services), 3, &error);
    struct snapshot *of_session = snapshot_get(s);

    assert_ptr_equal(of_session, s);
    snapshot_put(s); /* the worker has a newer one */
    assert_true(peer_can(of_session->service[0].tls, &(struct peer_wish){.max = 0}));
    snapshot_put(of_session);
}

static void one_bad_service_refuses_all(void **state)
{
    refused(
        "[defaults]\ncertificate = /test/a.pem\n" SERVICE("mx", "2525", "backend = 127.0.0.1:25")
            SERVICE("bad", "2587", "backend = 127.0.0.1:25\ncertificate = /test/broken.pem"),
        2,
        INI ":13: [service bad] certificate: /test/broken.pem holds no certificate; name the file "
            "with the certificate first, the one with the key second");
}

static void first_complaint_stands_for_all(void **state)
{
    refused("[defaults]\ncertificate = /test/broken.pem\n" SERVICE("x", "2525",
                                                                   "backend = 127.0.0.1:25")
                SERVICE("y", "2587", "backend = 127.0.0.1:25"),
            2, "/test/broken.pem holds no certificate");
    refused("[defaults]\ncertificate = /test/broken.pem\n" SERVICE("x", "2525",
                                                                   "backend = 127.0.0.1:25")
                SERVICE("y", "2587", "backend = 127.0.0.1:25"),
            2, " (and 1 more)");
}

/* Everything again where a worker stands: no root directory, no rights, no descriptor to open one.
 */
static void nothing_but_memory_is_needed(void **state)
{
    struct bundle *b = bundle_of(two_services);
    char folder[] = "/tmp/starttlsd-test-XXXXXX";
    int status;
    pid_t pid;

    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(folder));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        struct snapshot *s;
        char *error = NULL;
        bool ok;

        if (chroot(folder) != 0 || chdir("/") != 0 || setresgid(65534, 65534, 65534) != 0 ||
            setresuid(65534, 65534, 65534) != 0 || setrlimit(RLIMIT_NOFILE, &none) != 0)
            _exit(2);
        s = snapshot_new(b, tickets, quotas, NULL, NULL, &error);
        if (s == NULL)
            _exit(3);
        ok = peer_can(s->service[0].tls, &(struct peer_wish){.max = TLS1_2_VERSION}) &&
             peer_can(s->service[1].tls, &(struct peer_wish){.sni = "b.example"});
        snapshot_put(s);
        _exit(ok ? 0 : 4);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rmdir(folder);
    bundle_close(b);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int start(void **state)
{
    struct tls_ticket_keys keys = {.count = 0};
    EVP_PKEY *key;

    if (!tls_library_start())
        return -1;
    key = peer_key("EC");
    peer_pair("/test/a.pem", "EC", "a", "DNS:a.example");
    peer_pair("/test/b.pem", "EC", "b", "DNS:b.example");
    peer_file("/test/broken.pem", peer_key_pem(key, NULL));
    peer_file(CONFIG_SYSTEM_CA, peer_x509_pem(peer_x509(key, "root", NULL, -1, 9, NULL, NULL)));
    EVP_PKEY_free(key);
    tickets = tls_tickets_new();
    if (tickets == NULL || !tls_ticket_keys_rotate(&keys, 1))
        return -1;
    tls_tickets_set(tickets, &keys);
    tally = tally_new(0, 1);
    quotas = quotas_new(ev_default_loop(0), tally);
    return quotas == NULL ? -1 : 0;
}

static int stop(void **state)
{
    quotas_free(quotas);
    tally_free(tally);
    tls_tickets_free(tickets);
    peer_files_clear();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_memory_is_needed), /* first: what OpenSSL puts off is still
                                                           undone */
        cmocka_unit_test(every_service_gets_its_context),
        cmocka_unit_test(backends_get_their_context_where_tls_is_wanted),
        cmocka_unit_test(what_backends_have_in_common_follows_the_board),
        cmocka_unit_test(last_session_takes_it_away),
        cmocka_unit_test(one_bad_service_refuses_all),
        cmocka_unit_test(first_complaint_stands_for_all),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
