/* SPDX-License-Identifier: ISC */
/* What is said goes by the arrows, what happens by two hyphens. */
#include "proxy/probe_trace.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "proxy/inet.h"

void probe_trace_title(const char *title, const union board_address *address, uint16_t port)
{
    const struct address a = inet_read(address);
    char text[ADDRESS_TEXT_MAX];
    size_t len = address_write(&a, text);

    fprintf(stderr, a.family == ADDRESS_V6 ? "-- %s: [%.*s]:%u\n" : "-- %s: %.*s:%u\n", title,
            (int)len, text, port);
}

void probe_trace_connected(double ms)
{
    fprintf(stderr, "-- connected in %.0f ms\n", ms);
}

void probe_trace_secured(const struct probe_visit_facts *f)
{
    fprintf(stderr, "-- TLS: %s, %s%s%s%s\n", f->version, f->cipher,
            f->group[0] == '\0' ? "" : ", ", f->group, f->is_resumed ? ", resumed" : "");
}

void probe_trace_failed(const char *why)
{
    fprintf(stderr, "-- %s\n", why);
}

static void trace_line(const char *arrow, struct span line)
{
    fprintf(stderr, "%s ", arrow);
    for (size_t i = 0; i < line.len; i++) {
        const unsigned char c = (unsigned char)line.data[i];

        if (c >= ' ' && c <= '~')
            fputc(c, stderr);
        else
            fprintf(stderr, "\\x%02x", c);
    }
    fputc('\n', stderr);
}

/* A PROXY header of version 2 has line ends in it, but no lines. */
static bool is_binary(struct span text)
{
    return memchr(text.data, '\0', text.len) != NULL;
}

void probe_trace_text(bool is_ours, struct span text)
{
    if (is_binary(text)) {
        trace_line(is_ours ? "->" : "<-", text);
        return;
    }
    while (text.len > 0) {
        const char *lf = memchr(text.data, '\n', text.len);
        size_t len = lf == NULL ? text.len : (size_t)(lf - text.data);
        struct span line = span_first(text, len);

        text = span_skip(text, lf == NULL ? len : len + 1);
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        trace_line(is_ours ? "->" : "<-", line);
    }
}
