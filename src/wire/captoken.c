/* captoken.c: see captoken.h. */
#include "wire/captoken.h"

#include "base/mem.h"

#define VERSION 1

void captoken_body(const struct captoken *t, struct buf *out)
{
    buf_put_str(out, CAPTOKEN_CONTEXT);
    buf_put_u8(out, VERSION);
    buf_put_u64(out, (uint64_t)t->expires_s);
    buf_put(out, t->sha256, sizeof t->sha256);
    buf_put_u8(out, (uint8_t)strlen(t->uid));
    buf_put_str(out, t->uid);
}

void captoken_encode(const struct captoken *t, struct buf *out)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(256), text = BUF_INIT(512);
    captoken_body(t, &raw);
    buf_put(&raw, t->mac, sizeof t->mac);
    buf_put_base64(&text, span_of(raw.data + sizeof CAPTOKEN_CONTEXT - 1, raw.len - (sizeof CAPTOKEN_CONTEXT - 1)), 0);
    for (size_t i = 0; i < text.len && text.data[i] != '='; i++)
        buf_put_u8(out, text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i]);
}

static enum err fields_read(struct span s, struct captoken *out)
{
    uint8_t version, n;
    uint64_t end;
    struct span sha256, uid, mac;
    if (!span_get_u8(&s, &version) || version != VERSION || !span_get_u64(&s, &end) || end > INT64_MAX || !span_get(&s, sizeof out->sha256, &sha256) ||
        !span_get_u8(&s, &n) || !span_get(&s, n, &uid) || !span_get(&s, CAPTOKEN_MAC, &mac) || s.n || span_to_cstr(uid, out->uid, sizeof out->uid))
        return CE_BAD_TOKEN;
    out->expires_s = (int64_t)end;
    memcpy(out->sha256, sha256.p, sizeof out->sha256);
    memcpy(out->mac, mac.p, sizeof out->mac);
    return name_check_uid(uid, NULL);
}

enum err captoken_decode(struct span text, struct captoken *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf plain = BUF_INIT(CAPTOKEN_MAX), raw = BUF_INIT(CAPTOKEN_MAX), again = BUF_INIT(512);
    *out = (struct captoken){ 0 };
    for (size_t i = 0; i < text.n && text.n <= CAPTOKEN_MAX; i++)
        buf_put_u8(&plain, text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i]);
    enum err e = !text.n || text.n > CAPTOKEN_MAX ? CE_BAD_TOKEN : base64_decode(buf_span(&plain), &raw);
    e = e ? e : fields_read(buf_span(&raw), out);
    if (!e)
        captoken_encode(out, &again); /* one token has one text */
    return !e && span_eq(buf_span(&again), text) ? CE_OK : fault_set(f, CE_BAD_TOKEN, "this is no download token of this service");
}
