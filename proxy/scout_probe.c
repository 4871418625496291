/* SPDX-License-Identifier: ISC */
/* One look at a backend. What its words mean is for the protocol's probe; here are connection, TLS
 * and time. */
#include "proxy/scout_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/proxy_header.h"
#include "proxy/inet.h"

/* However patient sessions may be: who is slower will not do as a backend. */
#define CONNECT_MS_MAX     10000
#define ANSWER_SECONDS_MAX 10.0

/* All answers together may take as long as so many. */
#define ANSWERS_TOGETHER 3

/* A backend that has been found well need not be waited for long, unless somebody looks on: what
 * comes in the place of its goodbye tells something, too. */
#define GOODBYE_SECONDS 2.0

/* A look keeps a record that is not whole, a line that is not whole, and hardly ever what the
 * backend does not take. */
#define BLOCKS_OF_A_LOOK 4

struct scout_space *scout_space_new(size_t looks)
{
    struct scout_space *space = calloc(1, sizeof *space);

    if (space == NULL || !record_bio_start() ||
        !pool_init(&space->blocks, BLOCK_SIZE, (uint32_t)(looks * BLOCKS_OF_A_LOOK), 0)) {
        free(space);
        return NULL;
    }
    space->scratch.blocks = &space->blocks;
    return space;
}

void scout_space_free(struct scout_space *space)
{
    if (space == NULL)
        return;
    pool_clear(&space->blocks);
    free(space);
}

/* ---- time ---- */

static void set_timer(struct scout_probe *p, double seconds)
{
    ev_timer_stop(p->loop, &p->timer);
    ev_timer_set(&p->timer, seconds, 0.0);
    ev_timer_start(p->loop, &p->timer);
}

static void await_answer(struct scout_probe *p)
{
    double left = p->talk_until - deadline_now();

    p->is_last_wait = left < p->answer_seconds;
    if (left < 0.0)
        left = 0.0;
    set_timer(p, p->is_last_wait ? left : p->answer_seconds);
}

/* ---- from address to address ---- */

static void hang_up(struct scout_probe *p)
{
    ev_io_stop(p->loop, &p->io);
    ev_timer_stop(p->loop, &p->timer);
    stream_close(&p->stream);
    p->is_shaking = false;
}

void scout_probe_stop(struct scout_probe *p)
{
    dial_stop(&p->dial);
    hang_up(p);
    p->is_running = false;
}

static void finish(struct scout_probe *p, const char *why)
{
    p->is_done = true;
    p->is_running = false;
    p->on_done(p->context, false, why);
}

static void wish_for_tls(struct scout_probe *p)
{
    const struct policy *policy = &p->service->policy;

    p->wish.starts_tls = policy->backend_tls == BACKEND_TLS_STARTTLS;
    p->wish.needs_tls = p->wish.starts_tls && policy->is_backend_enforced;
}

static void fail(struct scout_probe *p, const char *why)
{
    hang_up(p);
    wish_for_tls(p); /* whatever became of it here */
    if (p->is_done)
        p->is_running = false;
    else if (!dial_go_on(&p->dial))
        finish(p, p->dial.error == 0 ? why : dial_words(p->dial.error));
}

/* Where TLS is opportunistic sessions go on without it, at the same address. */
static void fail_tls(struct scout_probe *p, const char *why)
{
    p->secured.has_failed = true;
    if (!p->wish.starts_tls || p->wish.needs_tls) {
        fail(p, why);
        return;
    }
    snprintf(p->secured.failure, sizeof p->secured.failure, "%s", why);
    hang_up(p);
    p->wish.starts_tls = false;
    if (!dial_again(&p->dial))
        finish(p, dial_words(p->dial.error));
}

/* ---- the dialogue ---- */

static void tell_text(struct scout_probe *p, bool is_ours, struct span text)
{
    if (text.len > 0 && p->observer != NULL && p->observer->on_text != NULL)
        p->observer->on_text(p->observer->context, is_ours, text);
}

static void say(struct scout_probe *p, struct span text)
{
    tell_text(p, true, text);
    stream_put(&p->stream, text, false);
    (void)stream_flush(&p->stream); /* a broken connection is found where it is read */
}

static void watch(struct scout_probe *p)
{
    ev_io_stop(p->loop, &p->io);
    ev_io_set(&p->io, p->stream.fd, EV_READ | (stream_has_out(&p->stream) ? EV_WRITE : 0));
    ev_io_start(p->loop, &p->io);
}

static SSL *ssl_of(struct scout_probe *p)
{
    if (p->observer != NULL && p->observer->ssl != NULL)
        return p->observer->ssl(p->observer->context);
    return tls_backend_ssl(p->tls, p->backend);
}

static void secure(struct scout_probe *p)
{
    p->is_shaking = true;
    await_answer(p);
    if (!stream_start_tls(&p->stream, ssl_of(p)))
        fail(p, p->stream.failure);
}

static void be_healthy(struct scout_probe *p, struct span goodbye)
{
    say(p, goodbye);
    p->is_done = true;
    if (p->observer == NULL)
        set_timer(p, GOODBYE_SECONDS);
    else
        await_answer(p);
    p->on_done(p->context, true, NULL);
}

/* The end of a good look: it says so to TLS too, or its session could not be resumed. */
static void part(struct scout_probe *p)
{
    stream_part(&p->stream);
    hang_up(p);
    p->is_running = false;
}

/* What the window tells. True: more octets are wanted. */
static bool judge(struct scout_probe *p, struct span window)
{
    struct probe_step step = p->service->protocol->probe_step(&p->probe, window);

    tell_text(p, false, span_first(window, step.take));
    window = span_skip(window, step.take);
    switch (step.state) {
    case PROBE_GOING:
        if (step.text.len > 0) {
            p->has_spoken = true;
            await_answer(p);
            say(p, step.text);
        }
        break;
    case PROBE_START_TLS:
        if (step.text.len > 0)
            say(p, step.text);
        secure(p);
        return false;
    case PROBE_HEALTHY: be_healthy(p, step.text); break;
    case PROBE_SICK: fail(p, step.why); return false;
    case PROBE_OVER: part(p); return false;
    }
    if (p->stream.fd < 0)
        return false;
    if (window.len >= PROBE_WINDOW)
        fail(p, "its line has no end");
    else if (!stream_keep(&p->stream, window))
        fail(p, p->stream.failure);
    else
        return true;
    return false;
}

/* Once a wake-up from the socket: who speaks without end must not keep us from the clock, and from
 * all others. */
static void talk(struct scout_probe *p, bool is_ready)
{
    enum stream_result result;
    struct span window;

    do {
        result = stream_read(&p->stream, is_ready, false, &window);
        is_ready = false;
        if (result == STREAM_FAILED) {
            /* In TLS 1.3 a server's refusal of our certificate, or its lack, comes behind what is a
             * good handshake to us. Behind the goodbye it says nothing: some speak below TLS
             * there. */
            if (p->stream.failed == STREAM_BAD_TLS && !p->is_done)
                p->secured.has_failed = true;
            fail(p, p->stream.failure);
            return;
        }
        if (!judge(p, window))
            return;
    } while (result == STREAM_MORE);
    if (result == STREAM_EOF)
        fail(p, "it closed the connection");
    else
        watch(p);
}

/* True: the dialogue goes on. */
static bool is_welcome_in_tls(struct scout_probe *p)
{
    p->is_shaking = false;
    p->secured.version = SSL_get_version(p->stream.ssl);
    p->secured.cipher = SSL_get_cipher_name(p->stream.ssl);
    if (p->observer != NULL && p->observer->on_secured != NULL)
        p->observer->on_secured(p->observer->context, p->stream.ssl);
    await_answer(p);
    if (!p->wish.starts_tls)
        return true;
    probe_secured(&p->probe);
    return judge(p, (struct span){NULL, 0});
}

/* Likewise. */
static bool has_shaken(struct scout_probe *p, bool is_ready)
{
    enum handshake result;

    do {
        result = stream_handshake(&p->stream, is_ready);
        is_ready = false;
    } while (result == HANDSHAKE_MORE);
    if (result == HANDSHAKE_DONE)
        return is_welcome_in_tls(p);
    if (result == HANDSHAKE_FAILED)
        fail_tls(p, p->stream.failure);
    else
        watch(p);
    return false;
}

static void go_on(struct scout_probe *p, bool is_ready)
{
    if (!p->is_shaking)
        talk(p, is_ready); /* which may end with the wish for TLS */
    if (p->is_shaking && has_shaken(p, is_ready))
        talk(p, false);
}

/* Who connects, to a backend that wants to hear it first: it is ourselves. Version 1 has no word for
 * that which everybody knows (Postfix refuses UNKNOWN). */
static void introduce(struct scout_probe *p, const union board_address *address)
{
    char space[PROXY_SPACE];
    struct address ours, theirs;

    switch (p->service->identity) {
    case IDENTITY_PROXY_V1:
        ours = inet_local(p->stream.fd);
        theirs = inet_read(address);
        say(p, proxy_header_v1(&ours, &theirs, space));
        return;
    case IDENTITY_PROXY_V2: say(p, proxy_header_local()); return;
    case IDENTITY_NONE:
    case IDENTITY_XCLIENT:
    case IDENTITY_ID:
    case IDENTITY_TRANSPARENT: return;
    }
}

/* ---- callbacks ---- */

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct scout_probe *p = watcher->data;

    if (events & EV_WRITE)
        (void)stream_flush(&p->stream);
    go_on(p, (events & EV_READ) != 0);
}

static void on_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct scout_probe *p = watcher->data;

    p->is_late = true;
    if (p->is_shaking)
        fail_tls(p, "no TLS in time");
    else
        fail(p, p->is_last_wait ? "it takes too long"
                : p->has_spoken ? "no answer in time"
                                : "no greeting in time");
}

static void on_connected(void *context, int fd, const union board_address *address)
{
    struct scout_probe *p = context;

    stream_open(&p->stream, &p->space->scratch, SIDE_BACKEND, fd);
    p->service->protocol->probe_init(&p->probe, &p->wish);
    p->secured.version = p->secured.cipher = NULL;
    p->is_shaking = p->has_spoken = p->is_late = false;
    p->talk_until = deadline_now() + ANSWERS_TOGETHER * p->answer_seconds;
    if (p->observer != NULL && p->observer->on_connected != NULL)
        p->observer->on_connected(p->observer->context);
    await_answer(p);
    introduce(p, address);
    if (p->service->policy.backend_tls == BACKEND_TLS_IMPLICIT)
        secure(p);
    if (p->stream.fd >= 0)
        go_on(p, false);
}

static void on_over(void *context, int error)
{
    struct scout_probe *p = context;

    p->is_late = error == ETIMEDOUT;
    finish(p, dial_words(error));
}

/* ---- */

void scout_set_port(union board_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = htons(port);
    else
        address->v6.sin6_port = htons(port);
}

void scout_probe_init(struct scout_probe *p, struct ev_loop *loop, struct scout_space *space,
                      const struct service *service, struct tls_backend *tls, size_t backend)
{
    uint32_t ms = service->greeting_timeout_ms;

    *p = (struct scout_probe){.loop = loop,
                              .space = space,
                              .service = service,
                              .tls = tls,
                              .backend = backend,
                              .stream = {.fd = -1}};
    p->answer_seconds = ms > ANSWER_SECONDS_MAX * 1000.0 ? ANSWER_SECONDS_MAX : ms / 1000.0;
    p->dial =
        (struct dial){.loop = loop, .on_done = on_connected, .on_over = on_over, .context = p};
    ev_io_init(&p->io, on_ready, -1, EV_READ);
    ev_timer_init(&p->timer, on_time, 0.0, 0.0);
    p->io.data = p;
    p->timer.data = p;
}

void scout_probe_start(struct scout_probe *p, const struct probe_wish *wish,
                       const union board_address *address, uint32_t count)
{
    const struct service *service = p->service;
    const struct dial_from from =
        dial_from_texts(service->backend_source_v4, service->backend_source_v6);
    uint32_t ms = service->connect_timeout_ms;

    scout_probe_stop(p); /* at most a goodbye that is still awaited */
    p->wish = *wish;
    wish_for_tls(p);
    p->wish.tells_identity = service->policy.tells_identity;
    memcpy(p->to.address, address, count * sizeof *address);
    p->to.address_count = count;
    p->secured = (struct scout_tls){.version = NULL};
    service->protocol->probe_init(&p->probe, &p->wish); /* an older look's are not this one's */
    p->is_done = p->is_late = false;
    p->is_running = true;
    if (!dial_start(&p->dial, &p->to, &from, ms < CONNECT_MS_MAX ? ms : CONNECT_MS_MAX))
        finish(p, p->dial.error == 0 ? "its name has no address" : dial_words(p->dial.error));
}
