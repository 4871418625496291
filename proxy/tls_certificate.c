/* SPDX-License-Identifier: ISC */
/* Reads certificates and keys, and says in an administrator's words what is wrong with them. Which
 * name they serve, and whether a profile accepts them, is for others. */
#include "proxy/tls_certificate.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "proxy/tls_report.h"

/* One certificate on its way, and where complaints about it go. */
struct reading {
    struct tls_certificate *certificate;
    const struct certificate *where;
    const char *key;
    const struct config_source *source;
    const char *section;
    struct diagnosis *diagnosis;
};

/* What OpenSSL's passphrase callback finds, and what it reports. */
struct passphrase {
    struct span text; /* .data NULL: none was configured */
    bool was_asked;
};

#define COMPLAIN(r, remedy, ...)                                                                   \
    diagnosis_error((r)->diagnosis, (r)->where->origin, (r)->section, (r)->key, remedy, __VA_ARGS__)
#define WARN(r, remedy, ...)                                                                       \
    diagnosis_warning((r)->diagnosis, (r)->where->origin, (r)->section, (r)->key, remedy,          \
                      __VA_ARGS__)

/* A read-only BIO over the file, or NULL with a complaint. */
static BIO *open_text(const struct reading *r, const char *path, struct span *text)
{
    const char *error = NULL;
    BIO *bio;

    if (!r->source->read(r->source->context, path, text, &error)) {
        COMPLAIN(r, "name a file that can be read", "%s: %s", path, error);
        return NULL;
    }
    bio = text->len > INT_MAX ? NULL
                              : BIO_new_mem_buf(text->len > 0 ? text->data : "", (int)text->len);
    if (bio == NULL)
        COMPLAIN(r, NULL, "%s: too large", path);
    return bio;
}

static bool is_pem(struct span text)
{
    return text.len > 0 && memmem(text.data, text.len, "-----BEGIN ", 11) != NULL;
}

/* The end of the PEM blocks, which OpenSSL reports as an error; anything else is one. */
static bool is_at_end(void)
{
    unsigned long last = ERR_peek_last_error();

    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

static bool read_chain(const struct reading *r)
{
    struct tls_certificate *c = r->certificate;
    const char *path = r->where->chain;
    int count = 0;
    char why[160];
    struct span text;
    BIO *bio = open_text(r, path, &text);
    X509 *x;
    bool ok;

    if (bio == NULL)
        return false;
    ERR_clear_error();
    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (count++ == 0)
            c->leaf = x;
        else if (sk_X509_push(c->chain, x) == 0)
            X509_free(x);
    }
    ok = is_at_end() && c->leaf != NULL;
    if (!is_at_end())
        COMPLAIN(r, "write the whole PEM block as the authority gave it",
                 "%s: certificate %d is broken: %s", path, count + 1,
                 tls_report_error(NULL, why, sizeof why));
    else if (!is_pem(text))
        COMPLAIN(r, "convert it with `openssl x509 -inform DER`", "%s is no PEM file", path);
    else if (c->leaf == NULL)
        COMPLAIN(r, "name the file with the certificate first, the one with the key second",
                 "%s holds no certificate", path);
    ERR_clear_error();
    BIO_free(bio);
    return ok;
}

/* The first line of the passphrase file. */
static bool read_passphrase(const struct reading *r, struct passphrase *p)
{
    const char *error = NULL, *path = r->where->passphrase;

    *p = (struct passphrase){.text = {NULL, 0}};
    if (path == NULL)
        return true;
    if (!r->source->read(r->source->context, path, &p->text, &error)) {
        COMPLAIN(r, "name a file that can be read", "%s: %s", path, error);
        return false;
    }
    if (p->text.len > 0 && p->text.data[p->text.len - 1] == '\n')
        p->text.len--;
    if (p->text.len > 0 && p->text.data[p->text.len - 1] == '\r')
        p->text.len--;
    if (p->text.len == 0 || p->text.len > PEM_BUFSIZE) {
        COMPLAIN(r, "write the passphrase, and nothing else, into it",
                 "%s holds a passphrase of %zu octets", path, p->text.len);
        return false;
    }
    return true;
}

/* Without this callback, or with -1, OpenSSL would prompt on a terminal. */
static int on_passphrase(char *space, int size, int is_writing, void *context)
{
    struct passphrase *p = context;

    p->was_asked = true;
    if (p->text.len == 0 || p->text.len > (size_t)size)
        return 0;
    memcpy(space, p->text.data, p->text.len);
    return (int)p->text.len;
}

static void complain_of_key(const struct reading *r, struct span text, const struct passphrase *p)
{
    const char *path = r->where->key;
    char why[160];

    if (!is_pem(text))
        COMPLAIN(r, "convert it with `openssl pkey -inform DER`", "%s is no PEM file", path);
    else if (p->was_asked && p->text.len == 0)
        COMPLAIN(r, "name a file with its passphrase as the third word",
                 "the key in %s is encrypted", path);
    else if (p->was_asked)
        COMPLAIN(r, "correct the passphrase file",
                 "the passphrase in %s does not open the key in %s", r->where->passphrase, path);
    else if (memmem(text.data, text.len, "PRIVATE KEY-----", 16) == NULL)
        COMPLAIN(r, "name the file with the private key as the second word",
                 "%s holds no private key", path);
    else
        COMPLAIN(r, "write the whole PEM block as it was made", "the key in %s is broken: %s", path,
                 tls_report_error(NULL, why, sizeof why));
}

static bool read_key(const struct reading *r)
{
    struct passphrase passphrase;
    struct span text;
    BIO *bio;

    if (!read_passphrase(r, &passphrase))
        return false;
    bio = open_text(r, r->where->key, &text);
    if (bio == NULL)
        return false;
    ERR_clear_error();
    r->certificate->key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &passphrase);
    if (r->certificate->key == NULL)
        complain_of_key(r, text, &passphrase);
    ERR_clear_error();
    BIO_free(bio);
    return r->certificate->key != NULL;
}

static bool check_pair(const struct reading *r)
{
    const struct tls_certificate *c = r->certificate;
    int other = -1;

    if (X509_check_private_key(c->leaf, c->key) == 1)
        return true;
    for (int i = 0; other < 0 && i < sk_X509_num(c->chain); i++)
        if (X509_check_private_key(sk_X509_value(c->chain, i), c->key) == 1)
            other = i + 2;
    ERR_clear_error();
    if (other > 0)
        COMPLAIN(r, "put the server's own certificate first, then the authorities'",
                 "the key in %s belongs to certificate %d of %s, not to the first", r->where->key,
                 other, r->where->chain);
    else
        COMPLAIN(r, "name the key that this certificate was made for",
                 "the key in %s does not belong to the certificate in %s", r->where->key,
                 r->where->chain);
    return false;
}

static void date_text(const ASN1_TIME *t, char *space, size_t size)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(space, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        space[0] = '\0';
}

/* What clients may stumble over, and yet may be wanted for a while. */
static void look_for_trouble(const struct reading *r)
{
    const struct tls_certificate *c = r->certificate;
    const char *path = r->where->chain;
    const X509 *below = c->leaf;
    char date[32];

    if (X509_cmp_current_time(X509_get0_notAfter(c->leaf)) < 0) {
        date_text(X509_get0_notAfter(c->leaf), date, sizeof date);
        WARN(r, "renew it", "the certificate in %s has expired on %s", path, date);
    }
    if (X509_cmp_current_time(X509_get0_notBefore(c->leaf)) > 0) {
        date_text(X509_get0_notBefore(c->leaf), date, sizeof date);
        WARN(r, "look at the clock", "the certificate in %s is not valid before %s", path, date);
    }
    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        X509 *issuer = sk_X509_value(c->chain, i);

        if (X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(below)) != 0)
            WARN(r, "write each certificate before the one of its issuer",
                 "certificate %d of %s is not the issuer of the one before", i + 2, path);
        below = issuer;
    }
    ERR_clear_error();
}

bool tls_certificate_read(struct tls_certificate *c, const struct certificate *where,
                          const char *key, const struct config_source *source, const char *section,
                          struct diagnosis *d)
{
    const struct reading r = {c, where, key, source, section, d};

    *c = (struct tls_certificate){.chain = sk_X509_new_null()};
    if (c->chain == NULL)
        COMPLAIN(&r, NULL, "no memory");
    else if (read_chain(&r) && read_key(&r) && check_pair(&r)) {
        look_for_trouble(&r);
        return true;
    }
    tls_certificate_clear(c);
    return false;
}

void tls_certificate_clear(struct tls_certificate *c)
{
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    *c = (struct tls_certificate){NULL};
}
