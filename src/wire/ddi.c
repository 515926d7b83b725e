/* ddi.c: what hawkBit clients send: feedback and attributes. See ddi.h. */
#include "wire/ddi.h"

#include "base/name.h"
#include "wire/msg.h"

#define DEPTH_MAX 16 /* of what stands before the details */

static struct span text_of(const json_t *v)
{
    return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v)) : (struct span){ 0 };
}

int64_t ddi_action(struct span text)
{
    int64_t n;
    if (!text.n || text.n > 10 || text.p[0] < '1' || text.p[0] > '9' || !span_to_i64(text, &n) || n > DDI_ACTION_MAX)
        return 0;
    return n;
}

/* -- details: any bytes ------------------------------------------------------------------------------------------------------- */
/* One line for people: control characters and bytes that are not UTF-8 become blanks, several blanks one. */
static void line_add(struct span s, struct buf *line)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = span_utf8_len(span_of(s.p + i, s.n - i));
        bool good = n && span_is_utf8(span_of(s.p + i, n)) && s.p[i] != ' ';
        if (good && line->len + n > DDI_TEXT_MAX)
            return;
        if (good)
            buf_put(line, s.p + i, n);
        else if (line->len && line->len < DDI_TEXT_MAX && line->data[line->len - 1] != ' ')
            buf_put_u8(line, ' ');
        i += n ? n : 1;
    }
}

static struct span details_join(const json_t *list, struct arena *a)
{
    CLEANUP(buf_free) struct buf line = BUF_INIT(DDI_TEXT_MAX);
    for (size_t i = 0; json_is_array(list) && i < json_array_size(list) && line.len < DDI_TEXT_MAX; i++) {
        if (line.len)
            line_add(SPAN_LIT("\n"), &line);
        line_add(text_of(json_array_get(list, i)), &line);
    }
    return arena_copy(a, span_trim(buf_span(&line)));
}

/* Details that are no JSON: what lies between the outermost quotes. */
static struct span details_raw(struct span rest, struct arena *a)
{
    static const char around[] = " \t\r\n\":[]{},";
    CLEANUP(buf_free) struct buf line = BUF_INIT(DDI_TEXT_MAX);
    while (rest.n && memchr(around, rest.p[0], sizeof around - 1))
        rest = span_of(rest.p + 1, rest.n - 1);
    while (rest.n && memchr(around, rest.p[rest.n - 1], sizeof around - 1))
        rest.n--;
    line_add(rest, &line);
    return arena_copy(a, span_trim(buf_span(&line)));
}

/* Where the key "details" begins outside of any text; how many objects are open there. Text before it is JSON's, so escapes count. */
static bool details_find(struct span body, size_t *at, size_t *open)
{
    bool text = false;
    *open = 0;
    for (size_t i = 0; i < body.n; i++) {
        uint8_t c = body.p[i];
        if (text) {
            i += c == '\\';
            text = c != '"';
        } else if (c == '"') {
            if (span_starts(span_of(body.p + i, body.n - i), "\"details\"")) {
                *at = i;
                return *open > 0 && *open <= DEPTH_MAX;
            }
            text = true;
        } else if (c == '{') {
            (*open)++;
        } else if (c == '[' || (c == '}' && (*open)-- == 0)) {
            return false; /* nothing that a feedback has before its details */
        }
    }
    return false;
}

/* The body without its details, all objects closed: JSON again if it was JSON up to there. Nothing after the details is looked at. */
static enum err parse_before_details(struct span body, struct arena *a, json_t **doc, struct span *text, struct fault *f)
{
    CLEANUP(buf_free) struct buf head = BUF_INIT(DDI_BODY_MAX + DEPTH_MAX);
    size_t at, open;
    if (!details_find(body, &at, &open))
        return CE_BAD_JSON; /* with what the parser said of the whole */
    struct span before = span_trim(span_of(body.p, at));
    if (before.n && before.p[before.n - 1] == ',')
        before.n--;
    buf_put_span(&head, before);
    for (size_t i = 0; i < open; i++)
        buf_put_u8(&head, '}');
    struct span rest = span_of(body.p + at + strlen("\"details\""), body.n - at - strlen("\"details\""));
    *text = details_raw(rest, a);
    return json_parse(buf_span(&head), doc, f);
}

/* -- feedback ----------------------------------------------------------------------------------------------------------------- */
static const char *const executions[] = { "closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "download", "downloaded" };
static const char *const results[] = { "none", "success", "failure" };

static enum err word(const json_t *v, const char *name, const char *const *words, size_t n, int *out, struct fault *f)
{
    struct span s = text_of(v);
    for (size_t i = 0; i < n; i++)
        if (span_eq_str(s, words[i])) {
            *out = (int)i;
            return CE_OK;
        }
    return fault_set(f, CE_BAD_FIELD, "'%s' is none of the words of hawkBit's feedback", name);
}

/* A number, or text with one, or (in bodies that are about no action) an empty text. */
static enum err id_read(const json_t *v, int64_t *out, struct fault *f)
{
    struct span s = text_of(v);
    *out = json_is_integer(v) ? json_integer_value(v) : ddi_action(s);
    if (!v || json_is_null(v) || (json_is_string(v) && !s.n))
        return CE_OK;
    return *out > 0 && *out <= DDI_ACTION_MAX ? CE_OK : fault_set(f, CE_BAD_FIELD, "'id' must be the number of an action");
}

static int64_t count_of(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= DDI_ACTION_MAX ? json_integer_value(v) : 0;
}

enum err ddi_feedback_read(struct span body, struct arena *a, struct ddi_feedback *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *doc = NULL;
    int execution = 0, finished = 0;
    *out = (struct ddi_feedback){ 0 };
    if (body.n > DDI_BODY_MAX)
        return fault_set(f, CE_TOO_LARGE, "a feedback has at most %d bytes", DDI_BODY_MAX);
    bool repaired = json_parse(body, &doc, f) != CE_OK;
    enum err e = repaired ? parse_before_details(body, a, &doc, &out->text, f) : CE_OK;
    if (e)
        return e;
    const json_t *status = json_object_get(doc, "status"), *result = json_object_get(status, "result"), *progress = json_object_get(result, "progress");
    if (!json_is_object(status) || !json_is_object(result))
        return fault_set(f, CE_BAD_FIELD, "a feedback must have 'status' with 'execution' and 'result'");
    e = id_read(json_object_get(doc, "id"), &out->id, f);
    e = e ? e : word(json_object_get(status, "execution"), "execution", executions, ARRAY_LEN(executions), &execution, f);
    e = e ? e : word(json_object_get(result, "finished"), "finished", results, ARRAY_LEN(results), &finished, f);
    out->execution = (enum ddi_execution)execution;
    out->finished = (enum ddi_finished)finished;
    out->cnt = count_of(json_object_get(progress, "cnt"));
    out->of = count_of(json_object_get(progress, "of"));
    if (!repaired)
        out->text = details_join(json_object_get(status, "details"), a);
    return e;
}

/* -- what it means ------------------------------------------------------------------------------------------------------------ */
static bool all_done(const struct ddi_feedback *fb) { return fb->of > 0 && fb->cnt == fb->of; }

const char *ddi_feedback_state(const struct ddi_feedback *fb, bool trying)
{
    switch (fb->execution) {
    case DDI_CLOSED:
        if (fb->finished == DDI_FAILURE)
            return "failed";
        return trying && fb->finished == DDI_SUCCESS ? "confirmed" : "installed";
    case DDI_CANCELED:
        return "declined";
    case DDI_REJECTED: /* "cannot be fulfilled at this point in time": the action stays open */
        return "postponed";
    case DDI_SCHEDULED: /* by the device itself */
    case DDI_DOWNLOAD:
        return "downloading";
    case DDI_DOWNLOADED:
        return "downloaded";
    case DDI_PROCEEDING:
    case DDI_RESUMED:
        break;
    }
    return all_done(fb) ? "installed" : "installing";
}

int64_t ddi_feedback_percent(const struct ddi_feedback *fb)
{
    return !fb->of ? 0 : fb->cnt >= fb->of ? 100 : fb->cnt * 100 / fb->of;
}

/* -- attributes --------------------------------------------------------------------------------------------------------------- */
enum err ddi_config_read(struct span body, struct arena *a, struct span *version, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *doc = NULL;
    *version = (struct span){ 0 };
    if (body.n > DDI_BODY_MAX)
        return fault_set(f, CE_TOO_LARGE, "the attributes have at most %d bytes", DDI_BODY_MAX);
    enum err e = json_parse(body, &doc, f);
    if (e)
        return e;
    const json_t *data = json_object_get(doc, "data"), *v = json_object_get(data, "version");
    if (!json_is_object(data))
        return fault_set(f, CE_BAD_FIELD, "configData must have 'data', an object of attributes");
    if (!v)
        return CE_OK;
    if (!text_of(v).n)
        return fault_set(f, CE_BAD_FIELD, "the attribute 'version' must be a text");
    e = name_check_text("version", text_of(v), DDI_VERSION_MAX, f);
    if (!e)
        *version = arena_copy(a, text_of(v));
    return e;
}
