/* sse.h: server-sent events (WHATWG HTML 9.2.6) as a reader takes them out of the bytes that came. Pure functions; the connection is not here.
 */
#ifndef CRADLE_WIRE_SSE_H
#define CRADLE_WIRE_SSE_H

#include "base/span.h"

struct sse_event {
    struct span name; /* "message" when the event has none; points into the bytes */
    struct buf data;  /* owned: buf_free; its lines joined by a line feed */
};

/* Takes the first whole event off *rest, with the comments before it. CE_NOT_FOUND: no whole event is there yet; *rest begins at what must be kept until
 * more bytes come. Lines end in LF, CR LF or CR; a CR at the very end waits for what follows. An event without data is dropped, as the standard says. Its `id`
 * and `retry` are ignored: this project's streams have none. out->data is emptied first. CE_TOO_LARGE: longer than its maximum. */
MUST_USE enum err sse_next(struct span *rest, struct sse_event *out);

#endif
