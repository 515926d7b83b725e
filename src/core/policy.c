/* policy.c: see policy.h. */
#include "core/policy.h"

#include "core/stream.h"
#include "cradle/snapshot.h"
#include "store/registry.h"

#define POLICY_MAX (SNAPSHOT_POLICY_MAX - 8) /* bytes of a document: what fits into an item of the stream */

static bool line_put(void *ctx, const struct line_row *l)
{
    struct buf *out = ctx;
    buf_printf(out, "line " SPAN_FMT " " SPAN_FMT "\n w d/%%u/up/#\n r d/%%u/down/#\n q d/%%u/repair/#\n", SPAN_ARG(l->name), SPAN_ARG(l->clone_policy));
    return !out->err;
}

enum err policy_build(struct db *db, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf doc = BUF_INIT(POLICY_MAX);
    buf_put_str(&doc, "cradle-policy 1\n");
    enum err e = store_line_each(db, line_put, &doc, f);
    if (!e && buf_err(&doc))
        e = fault_set(f, CE_TOO_LARGE, "the policy document for the brokers would have more than %d bytes: fewer lines, or fewer topics, are needed",
                      POLICY_MAX);
    if (!e)
        buf_put_span(out, buf_span(&doc));
    return e;
}

enum err policy_changed(struct batch *b, struct fault *f)
{
    struct buf doc = BUF_INIT(0);
    enum err e = policy_build(b->db, &doc, f);
    if (e)
        buf_free(&doc);
    else
        stream_change_policy(b, &doc);
    return e;
}
