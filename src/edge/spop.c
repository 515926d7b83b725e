/* spop.c: see spop.h. */
#include "edge/spop.h"

#include "base/mem.h"

#define FLAG_FIN 1u
#define FLAG_ABORT 2u
#define ACTION_SET_VAR 1
#define SCOPE_TXN 2
#define VALUE_TRUE 0x10

/* -- numbers and values ----------------------------------------------------------------------------------------------------------- */
/* Below 240 one byte; else the low four bits with 0xf0, then seven bits a byte, the last below 0x80 (SPOE.txt 3.1). */
void spop_put_varint(struct buf *out, uint64_t v)
{
    if (v < 240) {
        buf_put_u8(out, (uint8_t)v);
        return;
    }
    buf_put_u8(out, (uint8_t)(v | 240));
    for (v = (v - 240) >> 4; v >= 128; v = (v - 128) >> 7)
        buf_put_u8(out, (uint8_t)(v | 128));
    buf_put_u8(out, (uint8_t)v);
}

bool spop_varint_take(struct span *rest, uint64_t *v)
{
    struct span s = *rest;
    uint8_t b;
    if (!span_get_u8(&s, &b))
        return false;
    *v = b;
    if (b >= 240)
        for (unsigned shift = 4; ; shift += 7) {
            if (shift > 60 || !span_get_u8(&s, &b))
                return false;
            *v += (uint64_t)b << shift;
            if (b < 128)
                break;
        }
    *rest = s;
    return true;
}

static bool bytes_take(struct span *rest, struct span *out)
{
    uint64_t n;
    return spop_varint_take(rest, &n) && n <= rest->n && span_get(rest, (size_t)n, out);
}

static enum err spop_value_take(struct span *rest, struct spop_value *out)
{
    uint8_t head;
    bool whole = true;
    *out = (struct spop_value){ 0 };
    if (!span_get_u8(rest, &head))
        return CE_TRUNCATED;
    out->type = head & 0x0f;
    out->yes = (head & VALUE_TRUE) != 0;
    switch (head & 0x0f) {
    case SPOP_NULL: case SPOP_BOOL: break;
    case SPOP_INT32: case SPOP_UINT32: case SPOP_INT64: case SPOP_UINT64: whole = spop_varint_take(rest, &out->number); break;
    case SPOP_IPV4: whole = span_get(rest, 4, &out->bytes); break;
    case SPOP_IPV6: whole = span_get(rest, 16, &out->bytes); break;
    case SPOP_STRING: case SPOP_BINARY: whole = bytes_take(rest, &out->bytes); break;
    default: return CE_BAD_INPUT;
    }
    return whole ? CE_OK : CE_TRUNCATED;
}

/* -- frames ------------------------------------------------------------------------------------------------------------------------ */
enum err spop_frame_parse(struct span in, struct spop_frame *out)
{
    uint32_t flags;
    *out = (struct spop_frame){ 0 };
    if (!span_get_u8(&in, &out->type) || !span_get_u32(&in, &flags) || !spop_varint_take(&in, &out->stream_id) ||
        !spop_varint_take(&in, &out->frame_id))
        return CE_TRUNCATED;
    out->fin = (flags & FLAG_FIN) != 0;
    out->abort = (flags & FLAG_ABORT) != 0;
    out->payload = in;
    return CE_OK;
}

static bool has_word(struct span list, const char *word)
{
    struct span one;
    while (span_cut(&list, ',', &one))
        if (span_eq_str(span_trim(one), word))
            return true;
    return false;
}

enum err spop_hello_parse(struct span in, struct spop_hello *out)
{
    *out = (struct spop_hello){ 0 };
    while (in.n) {
        struct span key;
        struct spop_value v;
        if (!bytes_take(&in, &key))
            return CE_TRUNCATED;
        enum err e = spop_value_take(&in, &v);
        if (e)
            return e;
        if (span_eq_str(key, "supported-versions") && v.type == SPOP_STRING)
            out->version_2 = has_word(v.bytes, "2.0");
        else if (span_eq_str(key, "max-frame-size") && v.type == SPOP_UINT32)
            out->max_frame = v.number > UINT32_MAX ? UINT32_MAX : (uint32_t)v.number;
        else if (span_eq_str(key, "healthcheck") && v.type == SPOP_BOOL)
            out->healthcheck = v.yes;
    }
    return CE_OK;
}

static enum err arg_take(struct span key, const struct spop_value *v, struct spop_check *out)
{
    if (span_eq_str(key, SPOP_ARG_CERT)) {
        if (out->cert.n || (v->type != SPOP_BINARY && v->type != SPOP_NULL))
            return CE_BAD_INPUT;
        out->cert = v->bytes;
    } else if (span_eq_str(key, SPOP_ARG_ADDR)) {
        out->addr = *v;
    }
    return CE_OK;
}

enum err spop_notify_parse(struct span in, struct spop_check *out)
{
    *out = (struct spop_check){ 0 };
    while (in.n) {
        struct span name, key;
        uint8_t n;
        if (!bytes_take(&in, &name) || !span_get_u8(&in, &n))
            return CE_TRUNCATED;
        for (; n; n--) {
            struct spop_value v;
            if (!bytes_take(&in, &key))
                return CE_TRUNCATED;
            enum err e = spop_value_take(&in, &v);
            if (!e)
                e = arg_take(key, &v, out);
            if (e)
                return e;
        }
    }
    return CE_OK;
}

/* -- writers ------------------------------------------------------------------------------------------------------------------------ */
static void put_str(struct buf *out, struct span s)
{
    spop_put_varint(out, s.n);
    buf_put_span(out, s);
}

static size_t frame_begin(struct buf *out, enum spop_frame_type type, uint64_t stream_id, uint64_t frame_id)
{
    size_t at = out->len;
    buf_put_u32(out, 0);
    buf_put_u8(out, (uint8_t)type);
    buf_put_u32(out, FLAG_FIN);
    spop_put_varint(out, stream_id);
    spop_put_varint(out, frame_id);
    return at;
}

void spop_ack_end(struct buf *out, size_t at)
{
    if (buf_err(out))
        return;
    uint32_t n = (uint32_t)(out->len - at - 4);
    for (int i = 0; i < 4; i++)
        out->data[at + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
}

void spop_put_hello(struct buf *out, uint32_t max_frame)
{
    size_t at = frame_begin(out, SPOP_AGENT_HELLO, 0, 0);
    put_str(out, SPAN_LIT("version"));
    buf_put_u8(out, SPOP_STRING);
    put_str(out, SPAN_LIT("2.0"));
    put_str(out, SPAN_LIT("max-frame-size"));
    buf_put_u8(out, SPOP_UINT32);
    spop_put_varint(out, max_frame);
    put_str(out, SPAN_LIT("capabilities"));
    buf_put_u8(out, SPOP_STRING);
    put_str(out, SPAN_LIT("pipelining"));
    spop_ack_end(out, at);
}

void spop_put_disconnect(struct buf *out, enum spop_status status, const char *message)
{
    size_t at = frame_begin(out, SPOP_AGENT_DISCONNECT, 0, 0);
    put_str(out, SPAN_LIT("status-code"));
    buf_put_u8(out, SPOP_UINT32);
    spop_put_varint(out, status);
    put_str(out, SPAN_LIT("message"));
    buf_put_u8(out, SPOP_STRING);
    put_str(out, span_str(message));
    spop_ack_end(out, at);
}

size_t spop_ack_begin(struct buf *out, uint64_t stream_id, uint64_t frame_id) { return frame_begin(out, SPOP_ACK, stream_id, frame_id); }

static void put_set_var(struct buf *out, const char *name)
{
    buf_put_u8(out, ACTION_SET_VAR);
    buf_put_u8(out, 3); /* scope, name, value */
    buf_put_u8(out, SCOPE_TXN);
    put_str(out, span_str(name));
}

void spop_ack_bool(struct buf *out, const char *name, bool yes)
{
    put_set_var(out, name);
    buf_put_u8(out, (uint8_t)(SPOP_BOOL | (yes ? VALUE_TRUE : 0)));
}

void spop_ack_str(struct buf *out, const char *name, struct span text)
{
    put_set_var(out, name);
    buf_put_u8(out, SPOP_STRING);
    put_str(out, text);
}
