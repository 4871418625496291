/* SPDX-License-Identifier: ISC */
/* Frames records out of the scratch, so that OpenSSL never holds 16 KiB for a partial one, and
 * collects what it writes, so that one send carries a whole wake-up. Opens nothing, sends nothing,
 * reads nothing. */
#include "proxy/record_bio.h"

#include <assert.h>

static BIO_METHOD *method;

/* RFC 8446, section 5.1: type, legacy version, length. What cannot be a record goes to OpenSSL as
 * it comes: it refuses it or understands it, and it knows the right alert. */
static bool frame_record(struct record_state *r)
{
    const struct scratch *s = r->scratch;
    const unsigned char *p = (const unsigned char *)s->sealed + s->sealed_from;
    size_t have = s->sealed_to - s->sealed_from, length;

    if (have == 0 || r->opened >= r->opened_max)
        return false;
    if (p[0] < 20 || p[0] > 24 || (have > 1 && p[1] != 3)) {
        r->record_left = have;
        return true;
    }
    if (have < 5)
        return false;
    length = 5 + ((size_t)p[3] << 8 | p[4]);
    if (length > RECORD_MAX) {
        r->record_left = have;
        return true;
    }
    if (have < length)
        return false;
    r->record_left = length;
    r->record_size = (uint16_t)length;
    r->opened++;
    return true;
}

static int on_read(BIO *bio, char *to, size_t want, size_t *got)
{
    struct record_state *r = BIO_get_data(bio);
    struct scratch *s = r->scratch;

    BIO_clear_retry_flags(bio);
    if (r->record_left == 0 && !frame_record(r)) {
        BIO_set_retry_read(bio);
        return 0;
    }
    assert(r->record_left <= s->sealed_to - s->sealed_from);
    *got = want < r->record_left ? want : r->record_left;
    memcpy(to, s->sealed + s->sealed_from, *got);
    s->sealed_from += *got;
    r->record_left -= *got;
    return 1;
}

static int on_write(BIO *bio, const char *from, size_t n, size_t *taken)
{
    struct record_state *r = BIO_get_data(bio);
    struct scratch *s = r->scratch;
    size_t room = s->sending < r->sending_limit ? r->sending_limit - s->sending : 0;

    BIO_clear_retry_flags(bio);
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    *taken = n < room ? n : room;
    memcpy(s->records + s->sending, from, *taken);
    s->sending += *taken;
    return 1;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH; /* nothing else applies to memory */
}

bool record_bio_start(void)
{
    if (method != NULL)
        return true;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");
    return method != NULL && BIO_meth_set_read_ex(method, on_read) == 1 &&
           BIO_meth_set_write_ex(method, on_write) == 1 &&
           BIO_meth_set_ctrl(method, on_control) == 1;
}

BIO *record_bio_new(struct record_state *state)
{
    BIO *bio = BIO_new(method);

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, state);
    BIO_set_init(bio, 1);
    return bio;
}
