/* query_ask.h: asks the query role in process, for tests: one request, or every page of a list. */
#ifndef CRADLE_T_QUERY_ASK_H
#define CRADLE_T_QUERY_ASK_H
#include "role/query.h"
#include "t/tap.h"
#include "wire/msg.h"

static struct fault f;
static struct query *q;

static inline void must(enum err e, const char *what)
{
    if (e) {
        printf("Bail out! %s: %s %s\n", what, err_text(e), f.text);
        exit(1);
    }
}

/* Asks; body: parsed JSON (caller frees) or NULL. */
static inline enum err ask(const struct msg_query *m, json_t **body, struct msg_reply *rep_out)
{
    static struct buf frame, out;
    struct msg_caller who = {.kind = CALLER_INFRA};
    struct msg_reply rep;
    struct ipc_frame reply;
    buf_reset(&frame);
    buf_reset(&out);
    msg_pack(&msg_desc_caller, &who, &frame);
    msg_pack(&msg_desc_query, m, &frame);
    struct ipc_frame fr = {MSG_QUERY, 77, buf_span(&frame)};
    *body = NULL;
    must(query_handle(q, &fr, &out), "query_handle");
    struct span s = buf_span(&out);
    must(ipc_frame_get(&s, &reply), "reply frame");
    must(msg_unpack_all(&msg_desc_reply, reply.body, &rep), "reply");
    if (reply.rid != 77 || reply.type != MSG_REPLY)
        must(CE_INTERNAL, "rid");
    if (rep.body_kind == BODY_JSON && !rep.code)
        must(json_parse(rep.body, body, &f), "json");
    if (rep_out)
        *rep_out = rep;
    return (enum err)rep.code;
}

/* Pages through everything; counts items, says whether keys go up strictly. */
static inline int walk(struct msg_query m, const char *key, bool *ascending, int *pages)
{
    char last[128] = "", after[1100] = "";
    int n = 0;
    *ascending = true;
    for (*pages = 0; *pages < 2000; ++*pages) {
        json_t *b, *item;
        size_t i;
        m.after = span_str(after);
        if (ask(&m, &b, NULL))
            return -1;
        json_array_foreach(json_object_get(b, "items"), i, item)
        {
            const char *k = json_string_value(json_object_get(item, key));
            n++;
            *ascending &= k && strcmp(k, last) > 0;
            snprintf(last, sizeof last, "%s", k ? k : "");
        }
        const char *next = json_string_value(json_object_get(b, "next"));
        snprintf(after, sizeof after, "%s", next ? next : "");
        json_decref(b);
        if (!*after)
            return n;
    }
    return -1;
}

#endif
