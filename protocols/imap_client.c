/* SPDX-License-Identifier: ISC */
/* IMAP's client role, played toward a backend before any client is heard. */
#include "protocols/imap_client.h"

#include "protocols/line.h"

static enum imap_heard wrong(struct imap_hearing *h, const char *why)
{
    h->why = why;
    return IMAP_HEARD_WRONG;
}

static enum imap_heard heard_status(struct imap_hearing *h)
{
    const struct imap_response *r = &h->response;

    if (r->tag.len > 0)
        return r->tag.len == 1 && r->tag.data[0] == h->tag ? IMAP_HEARD_ANSWER
                                                           : wrong(h, "what it says is no answer");
    switch (r->status) {
    case IMAP_STATUS_OK:
    case IMAP_STATUS_NO:
    case IMAP_STATUS_BAD: return IMAP_HEARD_UNTAGGED;
    case IMAP_STATUS_BYE: return wrong(h, "it says goodbye");
    case IMAP_STATUS_PREAUTH: break;
    }
    return wrong(h, "what it says is no answer");
}

enum imap_heard imap_client_hear(struct imap_hearing *h, struct span window)
{
    struct line line;

    switch (line_find(span_skip(window, h->take), IMAP_CLIENT_LINE_MAX, &line)) {
    case LINE_PARTIAL: return IMAP_HEARD_PARTIAL;
    case LINE_TOO_LONG: return wrong(h, "its line has no end");
    case LINE_FOUND: break;
    }
    h->take += line.take;
    *h->answer_len += line.take;
    if (*h->answer_len > IMAP_CLIENT_ANSWER_MAX)
        return wrong(h, "its answer has no end");
    if (line.is_dirty)
        return wrong(h, "what it says is no answer");
    h->line = line.text;
    h->response = imap_response_parse(line.text);
    switch (h->response.kind) {
    case IMAP_RESPONSE_STATUS: return heard_status(h);
    case IMAP_RESPONSE_CAPABILITY: return IMAP_HEARD_UNTAGGED;
    case IMAP_RESPONSE_DATA:
        if (h->response.has_literal)
            break;
        return IMAP_HEARD_UNTAGGED;
    case IMAP_RESPONSE_BAD:
    case IMAP_RESPONSE_CONTINUATION: break;
    }
    return wrong(h, "what it says is no answer");
}

/* PREAUTH would be somebody else's login. */
enum imap_heard imap_client_greeting(struct imap_hearing *h, struct span window)
{
    const struct imap_response *r = &h->response;
    enum imap_heard heard = imap_client_hear(h, window);

    if (heard == IMAP_HEARD_PARTIAL)
        return heard;
    if (heard != IMAP_HEARD_UNTAGGED || r->kind != IMAP_RESPONSE_STATUS ||
        r->status != IMAP_STATUS_OK)
        return wrong(h, "its greeting is no OK");
    return h->take < window.len ? wrong(h, "it talks before it is asked") : heard;
}
