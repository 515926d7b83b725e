/* JSON bodies of the REST API: the first byte picks the message, the rest is the body. What is accepted can be packed and comes
 * back the same size. */
#include "wire/msg.h"
#include "wire/rollout_json.h"
#include "wire/waves.h"

static const struct msg_desc *const descs[] = { &msg_desc_line_add,   &msg_desc_model_add,    &msg_desc_device_add,      &msg_desc_device_state,
                                                &msg_desc_cert_revoke, &msg_desc_operator_add, &msg_desc_operator_remove, &msg_desc_report,
                                                &msg_desc_device_states, &msg_desc_line_set, &msg_desc_backend_set, &msg_desc_device_tags };

static void one(const struct msg_desc *d, const json_t *v)
{
    struct arena a = { 0 };
    uint64_t m[128], again[128];
    struct fault f;
    struct buf packed = BUF_INIT(0), twice = BUF_INIT(0);
    if (d->size <= sizeof m && msg_from_json(d, v, &a, m, &f) == CE_OK) {
        msg_pack(d, m, &packed);
        if (msg_unpack_all(d, buf_span(&packed), again) != CE_OK)
            __builtin_trap();
        msg_pack(d, again, &twice);
        if (!span_eq(buf_span(&packed), buf_span(&twice)))
            __builtin_trap();
    }
    buf_free(&packed);
    buf_free(&twice);
    arena_free(&a);
}

/* What is accepted has waves that core will read, and fits its message. */
static void rollout(struct span body)
{
    struct arena a = { 0 };
    struct msg_rollout_add m;
    struct wave waves[WAVES_MAX];
    struct fault f;
    size_t n;
    struct buf packed = BUF_INIT(0);
    if (rollout_json_read(body, &a, &m, &f) == CE_OK) {
        msg_pack(&msg_desc_rollout_add, &m, &packed);
        if (waves_read(m.waves, waves, &n, &f) != CE_OK || msg_unpack_all(&msg_desc_rollout_add, buf_span(&packed), &m) != CE_OK)
            __builtin_trap();
    }
    buf_free(&packed);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault f;
    json_t *v;
    json_object_seed(1);
    if (size)
        rollout(span_of(data + 1, size - 1));
    if (size < 1 || json_parse(span_of(data + 1, size - 1), &v, &f) != CE_OK)
        return 0;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        one(&msg_desc_report, json_array_get(v, i));
    one(descs[data[0] % ARRAY_LEN(descs)], v);
    json_decref(v);
    return 0;
}

#include "t/fuzz/replay.h"
