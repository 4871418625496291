/* SPDX-License-Identifier: ISC */
/* The certificate that was shown: for whom, until when, by whose word, how strong. */
#include <stdio.h>

#include "proxy/probe_opinion.h"

#define DATE_MAX 16

static const char *date(time_t t, char space[DATE_MAX])
{
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(space, DATE_MAX, "%Y-%m-%d", &tm) == 0)
        snprintf(space, DATE_MAX, "a strange day");
    return space;
}

static const char *plural(long count)
{
    return count == 1 ? "" : "s";
}

/* ---- until when ---- */

/* The last second counts as over, as it does for OpenSSL: or trust would be told as lost above. */
static bool is_out_of_date(const struct opinion *j)
{
    const struct probe_certificate *c = &j->f->certificate;

    return !c->is_dated || j->now >= c->not_after || j->now < c->not_before;
}

static void judge_expiry(struct opinion *j)
{
    const struct probe_certificate *c = &j->f->certificate;
    const long left = probe_days(j->now, c->not_after);
    const long over = probe_days(c->not_after, j->now);
    char day[DATE_MAX];

    if (!c->is_dated) {
        opinion_find(j, FINDING_PROBLEM, "certificate.expiry",
                     "its certificate has dates that cannot be read");
        opinion_advise(j, "clients refuse it: get another");
    } else if (j->now >= c->not_after) {
        opinion_find(j, FINDING_PROBLEM, "certificate.expiry",
                     "its certificate expired on %s, %ld day%s ago", date(c->not_after, day), over,
                     plural(over));
        opinion_advise(j, "renew it; if that is done, have the server read it (reload)");
    } else if (j->now < c->not_before) {
        opinion_find(j, FINDING_PROBLEM, "certificate.expiry",
                     "its certificate is not valid before %s", date(c->not_before, day));
        opinion_advise(j, "is the clock of this machine right? Then put the one before it back "
                          "until that day");
    } else if (left < (long)j->o->expiry_days) {
        opinion_find(j, FINDING_WARNING, "certificate.expiry",
                     "its certificate expires on %s, in %ld day%s", date(c->not_after, day), left,
                     plural(left));
        opinion_advise(j,
                       "renew it; if that is done by itself, look why it is not, and whether the "
                       "server reads the new one (reload)");
    } else {
        opinion_find(j, FINDING_OK, "certificate.expiry",
                     "its certificate is valid until %s, %ld day%s", date(c->not_after, day), left,
                     plural(left));
    }
}

/* ---- for whom ---- */

/* "a, b, c and 4 more", of names with LF behind each. */
static const char *some_names(const char *names, char *space, size_t size)
{
    const size_t enough = size - 32; /* for the end of it */
    size_t len = 0, left = 0;

    space[0] = '\0';
    for (const char *end; (end = strchr(names, '\n')) != NULL; names = end + 1) {
        const size_t n = (size_t)(end - names);

        if (left > 0 || len + n + 2 > enough)
            left++;
        else
            len += (size_t)snprintf(space + len, size - len, "%s%.*s", len == 0 ? "" : ", ", (int)n,
                                    names);
    }
    if (left > 0)
        snprintf(space + len, size - len, "%s%zu more", len == 0 ? "" : " and ", left);
    return len == 0 && left == 0 ? "nobody" : space;
}

static void judge_name(struct opinion *j)
{
    const struct probe_certificate *c = &j->f->certificate;
    const char *name = j->o->servername;
    const bool has_name = probe_options_has_name(j->o);
    char names[160];

    if (c->is_by_common_name) { /* RFC 9525, section 2; MTA-STS: RFC 8461, section 4.2 */
        opinion_find(j, FINDING_WARNING, "certificate.name",
                     "its certificate is for %s by its common name alone", name);
        opinion_advise(j, "clients of today do not look there: get one with that name in "
                          "subjectAltName");
        return;
    }
    if (c->is_for_name) {
        opinion_find(j, FINDING_OK, "certificate.name", "its certificate is for %s", name);
        return;
    }
    opinion_find(j, opinion_is_opportunistic(j) || !has_name ? FINDING_WARNING : FINDING_PROBLEM,
                 "certificate.name", "its certificate is not for %s, but for %s", name,
                 some_names(c->names, names, sizeof names));
    if (!has_name)
        opinion_advise(j, "clients know it by a name: compare with that by --servername NAME");
    else if (opinion_is_opportunistic(j))
        opinion_advise(j, "most senders do not look, but where MTA-STS holds they send nothing "
                          "here: get one for the name in the MX record (DANE with 3 1 1 does not "
                          "need it)");
    else
        opinion_advise(j, "get one for the name that clients use%s",
                       c->names[0] != '\0' ? ", or have them use one of these" : "");
}

/* ---- by whose word ---- */

static void advise_on_authority(struct opinion *j)
{
    if (opinion_is_opportunistic(j))
        opinion_advise(j, "most senders do not look, but where MTA-STS holds they send nothing "
                          "here: get one from a public authority (DANE with 3 1 1 does not need "
                          "it)");
    else if (j->f->certificate.trust == PROBE_SELF_SIGNED)
        opinion_advise(j, "clients cannot tell it from a forged one: get one from a public "
                          "authority; where all clients have been given this one, ask again with "
                          "it as --ca FILE");
    else if (j->o->ca != NULL)
        opinion_advise(j, "clients that trust this file alone refuse it: does it hold the right "
                          "authority?");
    else
        opinion_advise(j, "get one from a public authority; where all clients have been given this "
                          "authority, ask again with it as --ca FILE");
}

/* In front of a name, where trust ends. */
static const char *trust_text(const struct opinion *j)
{
    return j->o->ca != NULL ? "its authority is not in the file of --ca"
                            : "its authority is not trusted by this system";
}

/* The first reason that there is. Expiry of the certificate itself is told elsewhere. */
static void judge_trust(struct opinion *j)
{
    const struct probe_certificate *c = &j->f->certificate;
    const enum finding bad = opinion_is_opportunistic(j) ? FINDING_WARNING : FINDING_PROBLEM;

    switch (c->trust) {
    case PROBE_TRUSTED:
        opinion_find(j, FINDING_OK, "certificate.trust", "its certificate is trusted, by %s",
                     j->o->ca != NULL ? j->o->ca : "the authorities of this system");
        break;
    case PROBE_SELF_SIGNED:
        opinion_find(j, bad, "certificate.trust", "its certificate is self-signed");
        advise_on_authority(j);
        break;
    case PROBE_ISSUER_MISSING:
        opinion_find(j, bad, "certificate.trust",
                     "its chain of certificates stops short of an authority");
        opinion_advise(
            j,
            "send the file with the whole chain (fullchain.pem, not cert.pem); missing: %.160s%s",
            c->missing, j->o->ca == NULL ? ". If that is an authority of your own: --ca FILE" : "");
        break;
    case PROBE_ISSUER_UNKNOWN:
        opinion_find(j, bad, "certificate.trust", "%s: %.200s", trust_text(j), c->missing);
        advise_on_authority(j);
        break;
    case PROBE_EXPIRED:
        if (is_out_of_date(j))
            break;
        opinion_find(j, bad, "certificate.trust", "a certificate above its own is out of date");
        opinion_advise(j, "fetch the chain anew from its authority, and send that");
        break;
    case PROBE_DISTRUSTED:
        opinion_find(j, bad, "certificate.trust", "its certificate is not trusted: %s", c->why);
        advise_on_authority(j);
        break;
    }
}

/* ---- what it is made of ---- */

static void judge_strength(struct opinion *j)
{
    const struct probe_certificate *c = &j->f->certificate;

    opinion_find(j, c->is_weak ? FINDING_WARNING : FINDING_OK, "certificate.key",
                 c->is_weak ? "its certificate is weak: %s, signed with %s"
                            : "its certificate has %s, signed with %s",
                 c->key, c->signature);
    if (c->is_weak)
        opinion_advise(j, "get a new one: RSA 2048 or more, or ECDSA P-256, signed with SHA-256");
}

static void judge_order(struct opinion *j)
{
    if (!j->f->certificate.is_disordered)
        return;
    opinion_find(j, FINDING_WARNING, "certificate.chain",
                 "its chain of certificates is out of order");
    opinion_advise(j, "in the file its own certificate comes first, then the one that signed it, "
                      "and so on; leave all others out");
}

void opinion_on_certificate(struct opinion *j)
{
    if (!j->f->certificate.is_shown) {
        opinion_find(j, opinion_is_opportunistic(j) ? FINDING_WARNING : FINDING_PROBLEM,
                     "certificate", "no certificate is shown");
        opinion_advise(j, "give the server one: without it nobody knows whom they talk to");
        return;
    }
    judge_name(j);
    judge_expiry(j);
    judge_trust(j);
    judge_order(j);
    judge_strength(j);
}
