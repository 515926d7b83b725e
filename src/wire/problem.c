/* problem.c: see problem.h. */
#include "wire/problem.h"

#include <stdio.h>

#include "base/json.h"

int problem_status(const struct problem *p) { return p->status ? p->status : err_http(p->code); }

static struct span problem_detail(const struct problem *p) { return p->detail.n ? p->detail : span_str(err_text(p->code)); }

void problem_json(const struct problem *p, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    char text[128];
    json_obj(&j, NULL);
    snprintf(text, sizeof text, "urn:cradle:problem:%s", err_reason(p->code));
    json_cstr(&j, "type", text);
    json_cstr(&j, "title", err_text(p->code));
    json_int(&j, "status", problem_status(p));
    json_str(&j, "detail", problem_detail(p));
    json_cstr(&j, "reason", err_reason(p->code));
    if (p->instance.n && p->instance.n < 64) {
        snprintf(text, sizeof text, "urn:cradle:request:" SPAN_FMT, SPAN_ARG(p->instance));
        json_cstr(&j, "instance", text);
    }
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}

void problem_text(const struct problem *p, struct buf *out)
{
    buf_put_str(out, err_reason(p->code));
    buf_put_str(out, ": ");
    buf_put_span(out, problem_detail(p));
    buf_put_u8(out, '\n');
}
