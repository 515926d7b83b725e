/* rollout_json.c: see rollout_json.h. */
#include "wire/rollout_json.h"

#include "base/json.h"
#include "base/name.h"
#include "wire/waves.h"

struct reading { struct arena *a; struct fault *f; enum err err; };

static void wrong(struct reading *x, const char *key, const char *rule)
{
    if (!x->err)
        x->err = fault_set(x->f, CE_BAD_FIELD, "field '%s' must be %s", key, rule);
}

static struct span text_take(struct reading *x, const json_t *o, const char *key, size_t max, bool needed)
{
    const json_t *v = json_object_get(o, key);
    if (!v && !needed)
        return span_str("");
    if (!json_is_string(v) || json_string_length(v) > max) {
        wrong(x, key, arena_printf(x->a, "a text of at most %zu bytes", max));
        return span_str("");
    }
    return arena_copy(x->a, span_of(json_string_value(v), json_string_length(v)));
}

static int64_t number_take(struct reading *x, const json_t *o, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(o, key);
    if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
        wrong(x, key, "a number that is not negative");
    return v ? (int64_t)json_integer_value(v) : otherwise;
}

/* Nothing that is not known: a misspelt limit would widen the group. */
static void known_only(struct reading *x, const json_t *o, const char *list)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        struct span rest = span_str(list), one;
        bool known = false;
        while (span_cut(&rest, ' ', &one))
            known |= span_eq_str(one, key);
        if (!known && !x->err)
            x->err = fault_set(x->f, CE_BAD_FIELD, "unknown field '%.40s'", key);
    }
}

static const json_t *object_take(struct reading *x, const json_t *o, const char *key, const char *known)
{
    const json_t *v = json_object_get(o, key);
    if (v && !json_is_object(v))
        wrong(x, key, "an object");
    if (v)
        known_only(x, v, known);
    return v;
}

/* "HH:MM" */
static int64_t minutes_take(struct reading *x, const json_t *window, const char *key)
{
    struct span t = text_take(x, window, key, 5, true);
    int64_t h = -1, m = -1;
    if (t.n == 5 && t.p[2] == ':' && span_to_i64(span_of(t.p, 2), &h) && span_to_i64(span_of(t.p + 3, 2), &m) && h >= 0 && h < 24 && m >= 0 && m < 60)
        return h * 60 + m;
    wrong(x, key, "a time of day, HH:MM");
    return 0;
}

static struct span waves_take(struct reading *x, const json_t *body)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    const json_t *list = json_object_get(body, "waves");
    struct wave check[WAVES_MAX];
    size_t n;
    if (list && !json_is_array(list))
        wrong(x, "waves", "an array");
    for (size_t i = 0; i < json_array_size(list) && i <= WAVES_MAX; i++) {
        const json_t *o = json_array_get(list, i);
        if (!json_is_object(o)) {
            wrong(x, "waves", "an array of objects");
            break;
        }
        known_only(x, o, "percent devices tag success_percent error_percent soak_s");
        const struct wave w = { .percent = number_take(x, o, "percent", 0), .devices = number_take(x, o, "devices", 0), .tag = text_take(x, o, "tag", LABEL_MAX, false),
                                .success_percent = number_take(x, o, "success_percent", 90), .error_percent = number_take(x, o, "error_percent", 5),
                                .soak_s = number_take(x, o, "soak_s", 0) };
        if ((w.percent > 0) + (w.devices > 0) + (w.tag.n > 0) != 1)
            wrong(x, "waves", "a list of waves with one of percent, devices and tag each");
        wave_put(&out, &w);
    }
    if (!list)
        buf_put_str(&out, "percent 100 90 5 0\n");
    struct span text = arena_copy(x->a, buf_span(&out));
    if (!x->err)
        x->err = waves_read(text, check, &n, x->f);
    return text;
}

enum err rollout_json_read(struct span text, struct arena *a, struct msg_rollout_add *m, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    struct reading x = { .a = a, .f = f };
    enum err e = json_parse(text, &body, f);
    if (!e && !json_is_object(body))
        e = fault_set(f, CE_BAD_JSON, "the body must be an object");
    if (e)
        return e;
    known_only(&x, body, "name line release query waves timeout_s window forced max_active note");
    const json_t *q = object_take(&x, body, "query", "model batch country version tag"), *w = object_take(&x, body, "window", "from to");
    *m = (struct msg_rollout_add){ .name = text_take(&x, body, "name", LABEL_MAX, true), .line = text_take(&x, body, "line", LABEL_MAX, true),
                                   .release = text_take(&x, body, "release", LABEL_MAX, true), .model = text_take(&x, q, "model", LABEL_MAX, false),
                                   .batch = text_take(&x, q, "batch", LABEL_MAX, false), .country = text_take(&x, q, "country", 2, false),
                                   .version = text_take(&x, q, "version", 64, false), .tag = text_take(&x, q, "tag", LABEL_MAX, false),
                                   .waves = waves_take(&x, body), .timeout_s = number_take(&x, body, "timeout_s", 0),
                                   .max_active = number_take(&x, body, "max_active", 0), .note = text_take(&x, body, "note", 200, false) };
    const json_t *forced = json_object_get(body, "forced");
    if (forced && !json_is_boolean(forced))
        wrong(&x, "forced", "true or false");
    m->forced = json_is_true(forced);
    if (w) {
        m->from_min = minutes_take(&x, w, "from");
        m->to_min = minutes_take(&x, w, "to");
    }
    return x.err;
}
