/* SPDX-License-Identifier: ISC */
/* Cuts lines out of a window. Knows no protocol: what a line means is for the caller. */
#include "protocols/line.h"

enum line_result line_find(struct span window, size_t limit, struct line *line)
{
    struct span scope = span_first(window, limit);
    const char *lf = scope.len == 0 ? NULL : memchr(scope.data, '\n', scope.len);
    size_t len;

    if (lf == NULL)
        return window.len < limit ? LINE_PARTIAL : LINE_TOO_LONG;
    len = (size_t)(lf - scope.data);
    line->take = len + 1;
    line->is_crlf = len > 0 && scope.data[len - 1] == '\r';
    if (line->is_crlf)
        len--;
    line->text = span_first(scope, len);
    line->is_dirty = len > 0 && (memchr(scope.data, '\r', len) || memchr(scope.data, '\0', len));
    return LINE_FOUND;
}
