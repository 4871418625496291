/* SPDX-License-Identifier: ISC */
/* OpenSSL's facts and errors in words that a log reader can act on. */
#include "proxy/tls_report.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "config/endpoint.h"

/* Where OpenSSL's own words say little to someone who has not read its source. */
static const struct wording {
    int reason; /* of the SSL library */
    const char *text;
} wordings[] = {
    {SSL_R_NO_SHARED_CIPHER, "no shared cipher"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "unsupported TLS version"},
    {SSL_R_VERSION_TOO_LOW, "unsupported TLS version"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "unsupported TLS version"},
    {SSL_R_WRONG_VERSION_NUMBER, "not TLS: plaintext where a handshake was expected"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "not TLS: no valid record"},
    {SSL_R_HTTP_REQUEST, "not TLS: an HTTP request"},
    {SSL_R_HTTPS_PROXY_REQUEST, "not TLS: an HTTP CONNECT request"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no shared ALPN protocol"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no shared group"},
    {SSL_R_NO_SHARED_GROUPS, "no shared group"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no shared signature algorithm"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no shared signature algorithm"},
    {SSL_R_INAPPROPRIATE_FALLBACK, "the peer fell back to an older TLS version without need"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "connection closed without close_notify"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record that does not decrypt"},
    {SSL_R_EE_KEY_TOO_SMALL, "its key is too small"},
    {SSL_R_CA_KEY_TOO_SMALL, "the key of an authority in its chain is too small"},
    {SSL_R_CA_MD_TOO_WEAK, "it is signed over a weak digest"},
    {SSL_R_DH_KEY_TOO_SMALL, "its Diffie-Hellman group is too small, or beyond 4096 bits"},
    {SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, "no secure renegotiation (RFC 5746)"},
};

static const char *wording_of(int reason)
{
    for (size_t i = 0; i < sizeof wordings / sizeof *wordings; i++)
        if (wordings[i].reason == reason)
            return wordings[i].text;
    return NULL;
}

#define OUR_REASON 100

void tls_report_raise(const char *words)
{
    ERR_raise_data(ERR_LIB_USER, OUR_REASON, "%s", words);
}

/* OpenSSL 3.0 knows these two alerts of TLS 1.3, but not their names. */
static const char *alert_name(int alert)
{
    return alert == SSL_AD_CERTIFICATE_REQUIRED ? "certificate required"
           : alert == SSL_AD_MISSING_EXTENSION  ? "missing extension"
                                                : SSL_alert_desc_string_long(alert);
}

/* One entry of the queue. */
static void describe(unsigned long error, const char *data, char *space, size_t size)
{
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_GET_LIB(error) == ERR_LIB_USER ? data : ERR_reason_error_string(error);

    if (ERR_SYSTEM_ERROR(error)) {
        snprintf(space, size, "%s", strerror(reason));
        return;
    }
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
        snprintf(space, size, "peer sent alert \"%s\"", alert_name(reason - SSL_AD_REASON_OFFSET));
        return;
    }
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && wording_of(reason) != NULL)
        text = wording_of(reason);
    if (text != NULL)
        snprintf(space, size, "%s", text);
    else
        snprintf(space, size, "OpenSSL error %08lX", error);
}

/* The first is the cause; later ones say who passed it on. Only a word of TLS itself tells more
 * than one from the depths of libcrypto. */
static bool tells_more(unsigned long error, unsigned long first)
{
    return first == 0 ||
           (ERR_GET_LIB(first) != ERR_LIB_SSL && ERR_GET_LIB(first) != ERR_LIB_USER &&
            ERR_GET_LIB(error) == ERR_LIB_SSL && wording_of(ERR_GET_REASON(error)) != NULL);
}

const char *tls_report_error(const char *errno_text, char *space, size_t size)
{
    unsigned long first = 0, error;
    const char *data;

    snprintf(space, size, "%s", errno_text == NULL ? "connection closed" : errno_text);
    while ((error = ERR_get_error_all(NULL, NULL, NULL, &data, NULL)) != 0) {
        if (!tells_more(error, first))
            continue;
        first = error;
        describe(error, data, space, size);
    }
    return space;
}

/* OpenSSL asks for it through SSL_ctrl, which changes nothing here but takes no const. */
const char *tls_report_group(const SSL *ssl)
{
    SSL *s = (SSL *)(uintptr_t)ssl;
    long group = SSL_get_negotiated_group(s);

    return group == 0 ? NULL : SSL_group_to_name(s, (int)group);
}

/* Versions and ciphers stand once ServerHello was sent, even if the handshake failed later. */
void tls_report_session(const SSL *ssl, struct log_line *line)
{
    const SSL_CIPHER *cipher = ssl == NULL ? NULL : SSL_get_current_cipher(ssl);

    if (cipher != NULL) {
        log_text(line, "tls", SSL_get_version(ssl));
        log_text(line, "cipher", SSL_CIPHER_get_name(cipher));
        log_text(line, "group", tls_report_group(ssl));
        log_text(line, "resumed", SSL_session_reused(ssl) ? "yes" : "no");
    }
    if (ssl != NULL)
        log_text(line, "sni", SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
}

void tls_report_backend(const SSL *ssl, struct log_line *line)
{
    const SSL_CIPHER *cipher = ssl == NULL ? NULL : SSL_get_current_cipher(ssl);

    if (cipher == NULL)
        return;
    log_text(line, "backend_tls", SSL_get_version(ssl));
    log_text(line, "backend_cipher", SSL_CIPHER_get_name(cipher));
}

/* The first, as UTF-8. One with a NUL in it is two names to two readers. */
static struct span common_name(const X509 *x, char name[PROXY_VALUE_MAX])
{
    const X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    int len = at < 0 ? -1
                     : ASN1_STRING_to_UTF8(
                           &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    struct span found = {0};

    if (len > 0 && len <= PROXY_VALUE_MAX && memchr(utf8, '\0', (size_t)len) == NULL)
        found = (struct span){memcpy(name, utf8, (size_t)len), (size_t)len};
    OPENSSL_free(utf8);
    return found;
}

/* As the client has written it, if it is a name at all: a backend may print it. */
static struct span server_name(const SSL *ssl)
{
    struct span name = span_of(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));

    return endpoint_is_name(name) ? name : (struct span){0};
}

void tls_report_facts(const SSL *ssl, struct proxy_facts *facts, char name[PROXY_VALUE_MAX])
{
    const X509 *x = ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);

    if (ssl == NULL)
        return;
    facts->is_secure = true;
    facts->version = span_of(SSL_get_version(ssl));
    facts->cipher = span_of(SSL_get_cipher_name(ssl));
    facts->authority = server_name(ssl);
    facts->is_resumed = SSL_session_reused(ssl);
    facts->has_certificate = x != NULL && SSL_get_verify_result(ssl) == X509_V_OK;
    if (facts->has_certificate)
        facts->common_name = common_name(x, name);
}
