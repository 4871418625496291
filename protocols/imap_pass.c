/* SPDX-License-Identifier: ISC */
/* Commands on their way to a backend, in our own words. What a command consists of stays in the
 * client's window until its last part has gone out: credentials are kept nowhere else. */
#include <assert.h>

#include "protocols/imap_id.h"
#include "protocols/imap_machine.h"
#include "protocols/imap_writer.h"
#include "protocols/verdict.h"

static const struct span blank = SPAN(" ");

static void write_login(struct imap_writer *w, const struct imap_command *command)
{
    struct imap_token argument[2];
    enum imap_arguments parsed = imap_login_parse(command->rest, argument);

    assert(parsed == IMAP_ARGUMENTS_GOOD);
    for (size_t i = 0; i < 2; i++) {
        imap_write(w, blank);
        imap_write_string(w, &argument[i]);
    }
}

/* A backend without SASL-IR gets the initial response when it asks for one. `=` is an empty one
 * (RFC 4959, section 3); as a line of the exchange that is an empty line. */
static void write_authenticate(struct imap_writer *w, const struct imap_command *command,
                               bool has_initial)
{
    struct imap_authenticate argument;
    enum imap_arguments parsed = imap_authenticate_parse(command->rest, &argument);

    assert(parsed == IMAP_ARGUMENTS_GOOD);
    imap_write(w, blank);
    imap_write(w, argument.mechanism);
    if (argument.response.len == 0)
        return;
    if (has_initial && command->rest.len < IMAP_LINE_PASS_MAX - IMAP_TAG_MAX) {
        imap_write(w, blank);
        imap_write(w, argument.response);
        return;
    }
    imap_write_break(w);
    if (!span_equals(argument.response, (struct span)SPAN("=")))
        imap_write(w, argument.response);
}

static void write_arguments(struct imap_writer *w, const struct imap_server *s,
                            const struct imap_command *command)
{
    switch (command->verb) {
    case IMAP_LOGIN: write_login(w, command); return;
    case IMAP_AUTHENTICATE: write_authenticate(w, command, s->has_initial); return;
    case IMAP_ID:
        imap_write(w, blank);
        imap_id_write(w, command->rest);
        return;
    case IMAP_LANGUAGE:
    case IMAP_ALLOWED: imap_write(w, command->rest); return;
    case IMAP_CAPABILITY: /* these have none */
    case IMAP_NOOP:
    case IMAP_LOGOUT:
    case IMAP_STARTTLS:
    case IMAP_UNKNOWN: break;
    }
}

/* With this command whole, has the backend something to judge? */
static bool has_credentials(const struct imap_command *command)
{
    struct imap_authenticate argument;

    return command->verb == IMAP_LOGIN ||
           (command->verb == IMAP_AUTHENTICATE &&
            imap_authenticate_parse(command->rest, &argument) == IMAP_ARGUMENTS_GOOD &&
            argument.response.len > 0);
}

/* Of a line, its end included. The strings of a login have limits of their own. */
static size_t line_max(enum imap_verb verb)
{
    if (imap_is_login(verb))
        return EVENT_SPACE;
    return verb == IMAP_ID ? IMAP_LINE_PASS_MAX : IMAP_TEXT_PASS_MAX;
}

static struct verdict send_part(struct imap_server *s, const struct imap_command *command,
                                size_t take)
{
    struct imap_writer w = {
        .space = s->base.space,
        .size = line_max(command->verb),
        .wanted = s->part,
    };

    imap_write(&w, command->tag);
    imap_write(&w, blank);
    imap_write(&w, command->word);
    write_arguments(&w, s, command);
    imap_write(&w, LINE_END);
    if (w.is_full)
        return imap_refuse(s, take, command->tag, &imap_too_long);
    if (imap_is_login(command->verb))
        server_exchange_line(&s->base, imap_written(&w).len, IMAP_LINE_PASS_MAX);
    if (imap_writer_is_last(&w)) {
        s->invited = 0;
        s->turn = IMAP_TURN_ANSWER;
        s->has_credentials = has_credentials(command);
        return verdict_send(SIDE_BACKEND, take, imap_written(&w));
    }
    s->part++;
    s->frame_len = take;
    s->turn = IMAP_TURN_GO_AHEAD;
    return verdict_send(SIDE_BACKEND, 0, imap_written(&w));
}

struct verdict imap_pass(struct imap_server *s, const struct imap_command *command, size_t take)
{
    imap_expect(s, command);
    return send_part(s, command, take);
}

struct verdict imap_pass_on(struct imap_server *s, struct span window)
{
    struct imap_frame frame;
    enum imap_frame_result found = imap_frame_find(window, s->invited, &frame);
    struct imap_command command = imap_command_parse(frame.text, s->base.policy);

    assert(found == IMAP_FRAME_WHOLE); /* it was when the first part went out */
    return send_part(s, &command, frame.take);
}
