/* msg.c: every message of msg.def survives packing, and damage is refused; JSON is judged field by field. */
#include <string.h>

#include "t/tap.h"
#include "wire/ipc.h"
#include "wire/msg.h"
#include "wire/text_list.h"


static void test_round_trip(const struct msg_desc *d)
{
    static uint8_t in[4096], out[4096];
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0);
    char *at = (char *)in;
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < d->nfields; i++) {
        int64_t one = 1;
        struct span text = SPAN_LIT("ab");
        if (text.n > (size_t)d->fields[i].max)
            text.n = (size_t)d->fields[i].max;
        memcpy(at, msg_field_is_number(&d->fields[i]) ? (void *)&one : (void *)&text, msg_field_is_number(&d->fields[i]) ? sizeof one : sizeof text);
        at += msg_field_is_number(&d->fields[i]) ? sizeof one : sizeof text;
    }
    msg_pack(d, in, &packed);
    ok(msg_unpack_all(d, buf_span(&packed), out) == CE_OK, "%s comes back", d->name);
    CLEANUP(buf_free) struct buf again = BUF_INIT(0);
    msg_pack(d, out, &again);
    ok(span_eq(buf_span(&packed), buf_span(&again)), "%s is the same", d->name);
    int accepted = 0;
    for (size_t n = 0; n < packed.len; n++)
        accepted += msg_unpack_all(d, span_of(packed.data, n), out) == CE_OK;
    ok(accepted == 0, "%s truncated anywhere is refused", d->name);
    buf_put_u8(&packed, 0);
    ok(msg_unpack_all(d, buf_span(&packed), out) == CE_TRAILING, "%s with a byte more is refused", d->name);
}

static enum err from_json(const char *text, struct msg_report *m, struct arena *a, struct fault *f)
{
    json_t *root = NULL;
    enum err e = json_parse(span_str(text), &root, f);
    if (!e)
        e = msg_from_json(&msg_desc_report, root, a, m, f);
    json_decref(root);
    return e;
}

static void test_json(void)
{
    struct arena a = { 0 };
    struct msg_report m;
    struct fault f;
    ok(from_json("{\"id\":\"1\",\"kind\":\"cut\",\"at\":\"2026-01-01T00:00:00Z\",\"serial\":\"0aff\",\"count\":3}", &m, &a, &f) == CE_OK &&
           span_eq_str(m.kind, "cut") && m.serial.n == 2 && m.count == 3 && m.uid.n == 0, "a report from JSON");
    static const struct { const char *text, *why; enum err e; } bad[] = {
        { "{\"id\":\"1\",\"kind\":\"cut\"}", "field 'at' is missing", CE_BAD_FIELD },
        { "{\"id\":1,\"kind\":\"cut\",\"at\":\"2026-01-01T00:00:00Z\"}", "field 'id' must be a string", CE_BAD_FIELD },
        { "{\"id\":\"1\",\"kind\":\"cut\",\"at\":\"now\"}", "field 'at' must be an RFC 3339 time in UTC, such as 2026-11-20T22:57:00Z", CE_BAD_FIELD },
        { "{\"id\":\"1\",\"kind\":\"cut\",\"at\":\"2026-01-01T00:00:00Z\",\"serial\":\"0\"}", "field 'serial' must be hexadecimal", CE_BAD_FIELD },
        { "{\"id\":\"1\",\"kind\":\"cut\",\"at\":\"2026-01-01T00:00:00Z\",\"root\":1}", "unknown field 'root'", CE_BAD_FIELD },
        { "{\"id\":\"1\",\"kind\":\"cut\",\"at\":\"2026-01-01T00:00:00Z\",\"count\":-1}", "field 'count' is out of range", CE_BAD_FIELD },
        { "{\"id\":\"0123456789012345678901234567890123456789x\",\"kind\":\"cut\",\"at\":\"2026-01-01T00:00:00Z\"}", "field 'id' is longer than 40 bytes", CE_BAD_FIELD },
        { "[]", "the body must be a JSON object", CE_BAD_FIELD },
        { "{\"id\":\"1\",\"id\":\"2\"}", NULL, CE_BAD_JSON },
        { "{", NULL, CE_BAD_JSON },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum err e = from_json(bad[i].text, &m, &a, &f);
        ok(e == bad[i].e && (!bad[i].why || strcmp(f.text, bad[i].why) == 0), "refused: %s", f.text);
    }
    arena_free(&a);
}

static void test_frames(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    ipc_frame_put(&b, MSG_QUERY, 77, SPAN_LIT("body"));
    ipc_frame_put(&b, MSG_QUERY, 78, SPAN_LIT(""));
    struct span in = buf_span(&b);
    struct ipc_frame f;
    ok(ipc_frame_get(&in, &f) == CE_OK && f.rid == 77 && f.type == MSG_QUERY && span_eq_str(f.body, "body"), "the first frame");
    ok(ipc_frame_get(&in, &f) == CE_OK && f.rid == 78 && f.body.n == 0 && in.n == 0, "the second frame");
    for (size_t n = 0; n < IPC_HEADER + 4; n++) {
        in = span_of(b.data, n);
        if (ipc_frame_get(&in, &f) != CE_TRUNCATED)
            ok(0, "a frame cut to %zu bytes", n);
    }
    b.data[5] ^= 1;
    in = buf_span(&b);
    ok(ipc_frame_get(&in, &f) == CE_BAD_FRAME, "another version is refused");
    b.data[0] = 0xff;
    ok(ipc_frame_get(&in, &f) == CE_TOO_LARGE, "an absurd length is refused");
}

static void test_lists(void)
{
    static const struct { const char *json, *list; } rows[] = {
        { "{\"name\":\"x\"}", NULL }, { "{\"write\":[\"a/#\",\"b\"]}", "a/#\nb\n" }, { "{\"write\":[]}", "\n" }, { "{}", "" },
        { "{\"write\":\"a\"}", NULL }, { "{\"write\":[\"\"]}", NULL }, { "{\"write\":[1]}", NULL }, { "{\"write\":[\"a\\nb\"]}", NULL }, { "{\"write\":null}", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = { 0 };
        struct msg_line_set m;
        struct fault f = { 0 };
        json_t *root = NULL;
        enum err e = json_parse(span_str(rows[i].json), &root, &f);
        e = e ? e : msg_from_json(&msg_desc_line_set, root, &a, &m, &f);
        ok(rows[i].list ? !e && span_eq_str(m.write, rows[i].list) : e == CE_BAD_FIELD, "list in %s: %s", rows[i].json, e ? f.text : "taken");
        json_decref(root);
        arena_free(&a);
    }
    static const struct { const char *list; int n; bool valid; } walks[] = {
        { "", 0, true }, { "\n", 0, true }, { "a\n", 1, true }, { "a\nb\n", 2, true }, { "a", 1, false }, { "a\n\n", 1, false }, { "\na\n", 2, false }, { "\n\n", 2, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
        struct span list = span_str(walks[i].list), one;
        int n = 0;
        while (text_list_next(&list, &one))
            n++;
        ok(text_list_valid(span_str(walks[i].list)) == walks[i].valid && (!walks[i].valid || n == walks[i].n), "walk %zu: %d texts", i, n);
    }
}

int main(void)
{
    int n = 0;
    for (unsigned type = 0; type < 0x1000; type++) {
        const struct msg_desc *d = msg_desc_find((uint16_t)type);
        if (d) {
            n++;
            test_round_trip(d);
        }
    }
    ok(n > 20, "%d messages", n);
    test_json();
    test_lists();
    test_frames();
    return done();
}
