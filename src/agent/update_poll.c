/* update_poll.c: see update_poll.h. */
#include "agent/update_poll.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/msg.h"

#define POLL_MAX 65536
#define DIRECTIVE_MAX 16384

static enum err number(const json_t *o, const char *name, int64_t max, int64_t *out, struct fault *f)
{
    const json_t *v = json_object_get(o, name);
    *out = 0;
    if (!v || json_is_null(v))
        return CE_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return fault_set(f, CE_BAD_FIELD, "the server's answer: %s must be a number from 0 to %lld", name, (long long)max);
    *out = json_integer_value(v);
    return CE_OK;
}

static enum err yes_or_no(const json_t *o, const char *name, bool *out, struct fault *f)
{
    const json_t *v = json_object_get(o, name);
    *out = json_is_true(v);
    return !v || json_is_boolean(v) ? CE_OK : fault_set(f, CE_BAD_FIELD, "the server's answer: %s must be true or false", name);
}

static enum err action_read(const json_t *o, struct update_poll *out, struct fault *f)
{
    static const char *const words[] = { "none", "install", "reset" };
    const char *word = json_string_value(json_object_get(o, "action"));
    for (int i = 0; word && i < (int)ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0) {
            out->action = (enum cradle_update_action)i;
            return CE_OK;
        }
    return fault_set(f, CE_BAD_FIELD, "the server's answer: action must be none, install or reset");
}

static enum err directive_read(const json_t *o, struct update_poll *out, struct fault *f)
{
    const json_t *v = json_object_get(o, "directive");
    if (!v || json_is_null(v))
        return CE_OK;
    char *text = json_is_object(v) ? json_dumps(v, JSON_COMPACT) : NULL;
    if (!text)
        return fault_set(f, CE_BAD_FIELD, "the server's answer: directive must be an envelope or null");
    buf_put_str(&out->directive, text);
    free(text);
    return buf_err(&out->directive) ? fault_set(f, CE_BAD_FIELD, "the server's answer: the directive is larger than %d bytes", DIRECTIVE_MAX) : CE_OK;
}

enum err update_poll_read(struct span text, struct update_poll *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    int64_t sequence = 0;
    *out = (struct update_poll){ .directive = BUF_INIT(DIRECTIVE_MAX) };
    if (text.n > POLL_MAX)
        return fault_set(f, CE_BAD_FIELD, "the server's answer to a poll is larger than %d bytes", POLL_MAX);
    enum err e = json_parse(text, &o, f);
    if (!e && !json_is_object(o))
        e = fault_set(f, CE_BAD_FIELD, "the server's answer to a poll is not an object");
    e = e ? e : number(o, "sleep_s", UPDATE_SLEEP_MAX_S, &out->sleep_s, f);
    e = e ? e : number(o, "wait_s", INT32_MAX, &out->wait_s, f);
    e = e ? e : number(o, "sequence", INT64_MAX, &sequence, f);
    e = e ? e : yes_or_no(o, "forced", &out->forced, f);
    e = e ? e : action_read(o, out, f);
    e = e ? e : directive_read(o, out, f);
    if (e)
        return e;
    const json_t *artifact = json_object_get(o, "artifact");
    e = json_is_object(artifact) ? yes_or_no(artifact, "encrypted", &out->encrypted, f) : CE_OK;
    out->sequence = (uint64_t)sequence;
    out->ready = out->directive.len && out->action != CRADLE_UP_NOTHING;
    return e;
}

void update_poll_free(struct update_poll *p) { buf_free(&p->directive); }
