/* problem.h: how a refusal looks outside: RFC 9457 problem details, or one line of text for EST clients.
 * The reason code (err.def) is stable; title and detail are for people. Pure. */
#ifndef CRADLE_WIRE_PROBLEM_H
#define CRADLE_WIRE_PROBLEM_H

#include "base/span.h"

#define PROBLEM_MEDIA "application/problem+json"

struct problem {
    enum err code;
    int status;             /* 0: err_http(code) */
    struct span detail;     /* one sentence; empty: the code's own text */
    struct span instance;   /* request id; empty: none */
};

/* {"type":"urn:cradle:problem:REASON","title":…,"status":…,"detail":…,"reason":…,"instance":"urn:cradle:request:ID"} */
void problem_json(const struct problem *p, struct buf *out);
/* "REASON: sentence\n" */
void problem_text(const struct problem *p, struct buf *out);
int problem_status(const struct problem *p);

#endif
