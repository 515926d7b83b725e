/* What hawkBit clients send: the first byte picks feedback or attributes. What is accepted obeys its bounds, and an answer made of it is JSON. */
#include "base/json.h"
#include "wire/ddi.h"
#include "wire/msg.h"

static void written(const struct ddi_feedback *fb)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(65536);
    CLEANUP(json_decref_p) json_t *doc = NULL;
    struct fault f;
    const struct ddi_deployment d = { .id = fb->id ? fb->id : 1, .name = fb->text, .version = fb->text, .filename = fb->text, .sha1 = fb->text, .sha256 = fb->text,
                                      .size = fb->cnt, .url = fb->text };
    ddi_deployment_write(&d, &out);
    if (buf_err(&out) || json_parse(buf_span(&out), &doc, &f))
        __builtin_trap();
}

static void feedback(struct span body, struct arena *a)
{
    struct ddi_feedback fb;
    struct fault f = { 0 };
    if (ddi_feedback_read(body, a, &fb, &f)) {
        if (!f.text[0])
            __builtin_trap();
        return;
    }
    int64_t percent = ddi_feedback_percent(&fb);
    if (fb.text.n > DDI_TEXT_MAX || !span_is_utf8(fb.text) || fb.id < 0 || fb.id > DDI_ACTION_MAX || percent < 0 || percent > 100)
        __builtin_trap();
    if (strcmp(ddi_feedback_state(&fb, false), "confirmed") == 0)
        __builtin_trap();
    written(&fb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct span version, body = span_of(data + 1, size ? size - 1 : 0);
    struct fault f = { 0 };
    json_object_seed(1);
    if (size && data[0] % 2)
        feedback(body, &a);
    else if (size && ddi_config_read(body, &a, &version, &f) == CE_OK && (version.n > DDI_VERSION_MAX || !span_is_utf8(version)))
        __builtin_trap();
    arena_free(&a);
    return 0;
}

#include "t/fuzz/replay.h"
