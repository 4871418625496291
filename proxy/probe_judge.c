/* SPDX-License-Identifier: ISC */
/* One function a topic, in the order of a session. Certificate and capabilities have files of their
 * own. */
#include "proxy/probe_judge.h"

#include <assert.h>
#include <stdarg.h>

#include "proxy/probe_opinion.h"

/* ---- findings ---- */

void opinion_find(struct opinion *j, enum finding verdict, const char *id, const char *text, ...)
{
    struct probe_finding *f = &j->to->finding[j->to->count];
    va_list values;

    assert(j->to->count < PROBE_FINDINGS_MAX);
    j->to->count++;
    *f = (struct probe_finding){.id = id, .verdict = verdict};
    va_start(values, text);
    vsnprintf(f->text, sizeof f->text, text, values);
    va_end(values);
}

void opinion_advise(struct opinion *j, const char *text, ...)
{
    struct probe_finding *f = &j->to->finding[j->to->count - 1];
    va_list values;

    va_start(values, text);
    vsnprintf(f->advice, sizeof f->advice, text, values);
    va_end(values);
}

bool opinion_is_opportunistic(const struct opinion *j)
{
    return j->o->protocol->has_relay && j->o->port == j->o->protocol->clear_port &&
           j->o->tls == BACKEND_TLS_STARTTLS;
}

static bool is_starttls(const struct opinion *j)
{
    return j->o->tls == BACKEND_TLS_STARTTLS;
}

/* "": nobody knows; never the end of a sentence. */
static const char *reason(const char *why)
{
    return why[0] != '\0' ? why : "it did not say why";
}

/* ---- connection and greeting ---- */

static void judge_reach(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;

    if (look->has_no_route) {
        opinion_find(j, j->has_other ? FINDING_WARNING : FINDING_PROBLEM, "reach",
                     "this machine has no way to it: %s", reason(look->why));
        opinion_advise(j, "this says nothing about the server: ask from a machine with %s",
                       j->f->is_ipv6 ? "IPv6" : "IPv4");
        return;
    }
    opinion_find(j, FINDING_PROBLEM, "reach", "no connection: %s", reason(look->why));
    if (strstr(look->why, "refused") != NULL)
        opinion_advise(j, "does the mail server run, and listen on port %u of this address?",
                       j->o->port);
    else if (strstr(look->why, "in time") != NULL)
        opinion_advise(j, "nobody answers: a firewall may drop it, there or here%s",
                       j->o->port == 25 ? " (many networks let nothing out to port 25)" : "");
    else
        opinion_advise(j, "may this machine connect to port %u there?", j->o->port);
}

/* Connected, but no more than that. */
static void judge_silence(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;

    if (look->said.greeting[0] != '\0') {
        opinion_find(j, FINDING_PROBLEM, "greeting", "does not speak %s: %s", j->o->protocol->name,
                     look->said.greeting);
        opinion_advise(j, "another program listens on port %u: is it the right port?", j->o->port);
        return;
    }
    opinion_find(j, FINDING_PROBLEM, "greeting", "%s%s",
                 strstr(look->why, "greeting") != NULL ? "" : "no greeting: ", reason(look->why));
    if (strstr(look->why, "in time") == NULL)
        opinion_advise(j, "its log should say why it does not serve this machine%s",
                       j->o->proxy ? "" : "; if it waits for a PROXY header: --proxy");
    else if (!is_starttls(j) || j->o->proxy)
        opinion_advise(j, "it hangs, or waits for something else%s",
                       is_starttls(j) ? ": for TLS from the first octet? Then --tls implicit" : "");
    else
        opinion_advise(j, "it hangs, or waits for something else: for TLS from the first octet? "
                          "Then --tls implicit. For a PROXY header? Then --proxy");
}

/* Without IMAP's capabilities, which are a list of their own. */
static void judge_greeting(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;
    const char *code, *end;

    if (look->reach == PROBE_GREETED && strstr(look->why, "greeting") != NULL) {
        opinion_find(j, FINDING_PROBLEM, "greeting", "turns us away: %s", look->said.greeting);
        opinion_advise(j, "this machine, or everybody: its log should say why");
        return;
    }
    code = strstr(look->said.greeting, "[CAPABILITY ");
    end = code == NULL ? NULL : strchr(code, ']');
    opinion_find(
        j, FINDING_OK, "greeting", "greets: %.*s%s%s",
        (int)(code == NULL ? sizeof look->said.greeting : (size_t)(code - look->said.greeting)),
        look->said.greeting, code == NULL ? "" : "[CAPABILITY ...]", end == NULL ? "" : end + 1);
    if (j->f->is_behind_proxy)
        opinion_find(j, FINDING_OK, "greeting.proxy",
                     "but only behind a PROXY header: all of this was found with one");
}

/* ---- STARTTLS and TLS ---- */

static void judge_refused_starttls(struct opinion *j, const char *word)
{
    const struct probe_visit_facts *look = &j->f->look;

    if (look->said.is_injecting) {
        opinion_find(j, FINDING_PROBLEM, "starttls", "talks in the clear behind its go-ahead");
        opinion_advise(j, "clients would take that for its answers inside TLS: update the server, "
                          "or put starttlsd in front of it");
    } else if (look->said.tls_answer[0] != '\0') {
        opinion_find(j, FINDING_PROBLEM, "starttls", "%s is offered, but refused: %s", word,
                     look->said.tls_answer);
        opinion_advise(j, "its log should say why: often it cannot read its certificate or key");
    } else if (look->said.clear.is_known && !look->said.offers_tls) {
        opinion_find(j, FINDING_PROBLEM, "starttls", "%s is not offered", word);
        opinion_advise(j,
                       "give the server a certificate and turn TLS on, or put starttlsd in front "
                       "of it; if it does offer it elsewhere, something in between takes it out");
    } else if (strstr(look->why, "greeting") == NULL) {
        opinion_find(j, FINDING_PROBLEM, "starttls", "does not come to %s: %s%s%s", word,
                     reason(look->why), look->said.answer[0] != '\0' ? ": " : "",
                     look->said.answer);
        opinion_advise(j, "its log should say why it does not go on with this machine");
    }
}

static void judge_starttls(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;
    const char *word = probe_starttls_word(j->o->protocol);

    if (look->reach == PROBE_SECURED || look->has_tls_failed)
        opinion_find(j, FINDING_OK, "starttls", "%s is offered, and answered: %s", word,
                     look->said.tls_answer);
    else
        judge_refused_starttls(j, word);
}

/* What an administrator can do about a handshake that fails, by a part of the reason. */
static const struct {
    const char *reason, *advice;
} remedies[] = {
    {"not TLS", "what it says there is no TLS: is it the right --tls for this port?"},
    {"in time", "it hangs in the handshake, or something in between does not let it pass"},
    {"too large",
     "its certificates take more than 32 KiB: send its own and those between it and an "
     "authority, and no others"},
    {"", "its log should say why: often its certificate, key or list of ciphers does not fit"},
};

static void judge_handshake(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;
    size_t i = 0;

    if (!look->has_tls_failed) {
        opinion_find(j, FINDING_OK, "handshake", "%s with %s%s%s", look->version, look->cipher,
                     look->group[0] != '\0' ? ", " : "", look->group);
        return;
    }
    opinion_find(j, FINDING_PROBLEM, "handshake", "the handshake fails: %s", reason(look->why));
    if (look->wants_certificate) {
        opinion_advise(j, "it wants to see a client's certificate, and there is none to show");
        return;
    }
    while (strstr(look->why, remedies[i].reason) == NULL)
        i++;
    opinion_advise(j, "%s", remedies[i].advice);
}

/* The best of both: what a look has agreed on is as new as the server has it. */
static void judge_version(struct opinion *j)
{
    const char *version = j->f->look.version;

    if (strcmp(version, "TLSv1.3") == 0)
        return;
    if (strcmp(version, "TLSv1.2") != 0) {
        opinion_find(j, FINDING_PROBLEM, "tls.version", "has nothing better than %s", version);
        opinion_advise(j, "clients of today refuse that: update the server, or put starttlsd in "
                          "front of it");
    } else if (j->f->version[PROBE_TLSV1_3].outcome != PROBE_UNDECIDED) {
        opinion_find(j, FINDING_WARNING, "tls.version", "has no TLSv1.3");
        opinion_advise(j, "let it offer TLSv1.3; OpenSSL has it from 1.1.1 on");
    }
}

/* A key exchange by RSA alone: of TLS 1.2 and before. */
static void judge_secrecy(struct opinion *j)
{
    static const char *const fresh[] = {"TLS_", "ECDHE-", "DHE-"};
    const char *cipher = j->f->look.cipher;

    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++)
        if (strncmp(cipher, fresh[i], strlen(fresh[i])) == 0)
            return;
    opinion_find(j, FINDING_WARNING, "tls.forward_secrecy", "%s has no forward secrecy", cipher);
    opinion_advise(j, "let it offer ciphers with ECDHE: who records sessions today can read them "
                      "once the key is lost");
}

/* "TLSv1.2, TLSv1.3"; how many. */
static size_t version_list(const struct probe_facts *f, enum probe_outcome outcome, char *space,
                           size_t size)
{
    size_t count = 0, len = 0;

    space[0] = '\0';
    for (size_t i = 0; i < PROBE_VERSIONS; i++) {
        if (f->version[i].outcome != outcome)
            continue;
        len += (size_t)snprintf(space + len, size - len, "%s%s", count == 0 ? "" : ", ",
                                probe_version_names[i]);
        count++;
    }
    return count;
}

static void judge_untried_versions(struct opinion *j)
{
    char names[64];
    size_t i = 0;

    if (version_list(j->f, PROBE_UNDECIDED, names, sizeof names) == 0)
        return;
    while (j->f->version[i].outcome != PROBE_UNDECIDED)
        i++;
    opinion_find(j, FINDING_OK, "tls.versions.untried", "not known: %s (%s)", names,
                 reason(j->f->version[i].why));
}

/* There is one that clients want. */
static bool has_new_version(const struct probe_facts *f)
{
    return f->version[PROBE_TLSV1_2].outcome == PROBE_YES ||
           f->version[PROBE_TLSV1_3].outcome == PROBE_YES;
}

static const char *remedy_for_old_versions(const struct opinion *j)
{
    if (!has_new_version(j->f))
        return "update the server, so that there is something newer; then turn these off";
    if (opinion_is_opportunistic(j))
        return "TLSv1 and TLSv1.1 are broken; on this port they may stay, since who has nothing "
               "better would send in the clear";
    return j->o->protocol->has_relay ? "turn TLSv1 and TLSv1.1 off (Postfix: smtpd_tls_protocols, "
                                       "smtpd_tls_mandatory_protocols)"
                                     : "turn TLSv1 and TLSv1.1 off (Dovecot: ssl_min_protocol)";
}

static void judge_versions(struct opinion *j)
{
    const struct probe_facts *f = j->f;
    const bool has_old = f->version[PROBE_TLSV1].outcome == PROBE_YES ||
                         f->version[PROBE_TLSV1_1].outcome == PROBE_YES;
    char names[64];

    if (version_list(f, PROBE_YES, names, sizeof names) > 0)
        opinion_find(j, has_old ? FINDING_WARNING : FINDING_OK, "tls.versions", "accepts %s",
                     names);
    if (has_old)
        opinion_advise(j, "%s", remedy_for_old_versions(j));
    judge_untried_versions(j);
}

static void judge_inside(struct opinion *j)
{
    if (j->f->look.is_good || j->f->look.reach != PROBE_SECURED || j->f->look.has_tls_failed)
        return;
    opinion_find(j, FINDING_PROBLEM, "dialogue", "does not go on inside TLS: %s%s%s",
                 reason(j->f->look.why), j->f->look.said.answer[0] != '\0' ? ": " : "",
                 j->f->look.said.answer);
    opinion_advise(j, "its log should say why it does not serve this machine");
}

static void judge_resumption(struct opinion *j)
{
    switch (j->f->resumption.outcome) {
    case PROBE_UNTRIED: break;
    case PROBE_YES: opinion_find(j, FINDING_OK, "tls.resumption", "sessions are resumed"); break;
    case PROBE_NO:
        opinion_find(j, FINDING_OK, "tls.resumption",
                     "sessions are not resumed: each connection costs a whole handshake");
        break;
    case PROBE_UNDECIDED:
        opinion_find(j, FINDING_OK, "tls.resumption", "not known whether sessions are resumed: %s",
                     reason(j->f->resumption.why));
        break;
    }
}

/* ---- further visits ---- */

static void judge_injection(struct opinion *j, const struct probe_injection_facts *i,
                            const char *id, const char *what)
{
    switch (i->fate) {
    case PROBE_FATE_UNTRIED: break;
    case PROBE_FATE_EXECUTED:
        opinion_find(j, FINDING_PROBLEM, id, "%s is executed inside TLS (CVE-2011-0411)", what);
        opinion_advise(j, "who sits on the wire can put commands into the sessions of others: "
                          "update the server, or put starttlsd in front of it");
        break;
    case PROBE_FATE_IN_CLEAR:
        opinion_find(j, FINDING_PROBLEM, id, "%s is answered in the clear", what);
        opinion_advise(j, "who sits on the wire can have clients take that for an answer inside "
                          "TLS: update the server, or put starttlsd in front of it");
        break;
    case PROBE_FATE_FORGOTTEN: opinion_find(j, FINDING_OK, id, "%s is forgotten", what); break;
    case PROBE_FATE_REFUSED: opinion_find(j, FINDING_OK, id, "%s ends the session", what); break;
    case PROBE_FATE_UNDECIDED:
        opinion_find(j, FINDING_WARNING, id, "not known what becomes of %s: %s", what,
                     reason(i->why));
        opinion_advise(j, "it may limit connections: ask again in a few minutes");
        break;
    }
}

static void judge_injections(struct opinion *j)
{
    const char *word = probe_starttls_word(j->o->protocol);
    char what[80];

    snprintf(what, sizeof what, "a command sent in one segment with %s", word);
    judge_injection(j, &j->f->at_once, "injection.at_once", what);
    snprintf(what, sizeof what, "a command sent between %s and the handshake", word);
    judge_injection(j, &j->f->behind, "injection.behind", what);
}

static void judge_neighbour(struct opinion *j)
{
    const struct probe_facts *f = j->f;

    switch (f->implicit.outcome) {
    case PROBE_UNTRIED: break;
    case PROBE_YES:
        opinion_find(j, FINDING_OK, "implicit", "TLS from the first octet works on port %u",
                     f->implicit_port);
        break;
    case PROBE_NO:
        opinion_find(j, FINDING_OK, "implicit", "nothing listens on port %u", f->implicit_port);
        break;
    case PROBE_UNDECIDED:
        opinion_find(j, FINDING_OK, "implicit", "no TLS from the first octet on port %u: %s",
                     f->implicit_port, reason(f->implicit.why));
        break;
    }
}

static void judge_relay(struct opinion *j)
{
    const struct probe_facts *f = j->f;

    if (f->relay_answer[0] == '\0')
        return;
    switch (f->relay) {
    case PROBE_RELAY_REFUSED:
        opinion_find(j, FINDING_OK, "relay", "does not relay for this machine: %s",
                     f->relay_answer);
        break;
    case PROBE_RELAY_ACCEPTED:
        opinion_find(j, FINDING_PROBLEM, "relay", "relays for this machine: %s", f->relay_answer);
        opinion_advise(j, "if it trusts this machine (Postfix: mynetworks), ask from another; if "
                          "not, anybody can send through it, and will");
        break;
    case PROBE_RELAY_UNKNOWN:
        opinion_find(j, FINDING_WARNING, "relay", "may relay for this machine or not: %s",
                     f->relay_answer);
        opinion_advise(j, "it refused, but perhaps for another reason: look at what it lets "
                          "strangers do");
        break;
    }
}

static void judge_proxy(struct opinion *j)
{
    const struct probe_answer *v1 = &j->f->proxy_v1, *v2 = &j->f->proxy_v2;
    const bool has_v1 = v1->outcome == PROBE_YES, has_v2 = v2->outcome == PROBE_YES;

    if (has_v1 || has_v2) {
        opinion_find(j, FINDING_WARNING, "proxy", "takes a PROXY header from this machine (%s)",
                     has_v1 && has_v2 ? "v1 and v2"
                     : has_v1         ? "v1"
                                      : "v2");
        opinion_advise(j, "right if this machine is its load balancer; else let nobody but that "
                          "connect, or be believed (Dovecot: haproxy_trusted_networks, starttlsd: "
                          "accept_proxy): a header can name any client");
    } else if (v1->outcome == PROBE_UNDECIDED || v2->outcome == PROBE_UNDECIDED) {
        opinion_find(j, FINDING_OK, "proxy", "not known whether it takes a PROXY header: %s",
                     reason(v1->outcome == PROBE_UNDECIDED ? v1->why : v2->why));
    } else if (v1->outcome == PROBE_NO || v2->outcome == PROBE_NO) {
        opinion_find(j, FINDING_OK, "proxy", "takes no PROXY header from this machine");
    }
}

/* ---- all ---- */

/* With implicit TLS the handshake comes first, and inside it the greeting. */
static void judge_dialogue(struct opinion *j)
{
    const struct probe_visit_facts *look = &j->f->look;
    const bool has_shaken = look->version[0] != '\0' || look->has_tls_failed;

    if (!is_starttls(j) && has_shaken)
        judge_handshake(j);
    if (!is_starttls(j) && look->has_tls_failed)
        return;
    if (look->reach < PROBE_GREETED || look->said.greeting[0] == '\0') {
        judge_silence(j);
        return;
    }
    judge_greeting(j);
    if (is_starttls(j))
        judge_starttls(j);
    if (is_starttls(j) && has_shaken)
        judge_handshake(j);
}

static void judge_tls(struct opinion *j)
{
    if (j->f->look.version[0] == '\0' || j->f->look.has_tls_failed)
        return;
    judge_version(j);
    judge_secrecy(j);
    judge_resumption(j);
    opinion_on_certificate(j);
}

void probe_judge(const struct probe_options *o, const struct probe_facts *f, bool has_other,
                 time_t now, struct probe_findings *findings)
{
    struct opinion j = {.o = o, .f = f, .has_other = has_other, .now = now, .to = findings};

    findings->count = 0;
    if (f->look.reach == PROBE_NOT_REACHED) {
        judge_reach(&j);
        return;
    }
    judge_dialogue(&j);
    judge_tls(&j);
    judge_versions(&j);
    judge_inside(&j);
    opinion_on_offers(&j);
    judge_injections(&j);
    judge_neighbour(&j);
    judge_relay(&j);
    judge_proxy(&j);
}

enum finding probe_worst(const struct probe_findings *findings, size_t count)
{
    enum finding worst = count == 0 ? FINDING_PROBLEM : FINDING_OK;

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < findings[i].count; k++)
            if (findings[i].finding[k].verdict > worst)
                worst = findings[i].finding[k].verdict;
    return worst;
}

const char *probe_starttls_word(const struct protocol *protocol)
{
    return protocol == &pop3_protocol ? "STLS" : "STARTTLS";
}

long probe_days(time_t now, time_t then)
{
    return (long)((then - now) / (24 * 60 * 60));
}
