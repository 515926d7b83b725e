/* query_page.c: pages, cursors and the small conversions that all lists share. */
#include "crypt/hash.h"
#include "role/query_priv.h"

void page_begin(struct query_job *job, struct query_page *p)
{
    *p = (struct query_page){.j = JSON_OUT(&job->body)};
    json_obj(&p->j, NULL);
    json_arr(&p->j, "items");
}

void page_end(struct query_job *job, struct query_page *p, const struct span *next)
{
    (void)job;
    json_arr_end(&p->j);
    if (next)
        json_str(&p->j, "next", *next);
    else
        json_none(&p->j, "next");
    json_obj_end(&p->j);
}

/* A cursor of one list is none of another; the check also catches cut and mistyped ones. */
static void cursor_check(const struct query_job *job, struct span parts, uint8_t out[4])
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
    uint8_t hash[SHA256_LEN];
    buf_put_str(&b, "cradle-cursor-1/");
    buf_put_span(&b, job->m->what);
    buf_put_u8(&b, 0);
    buf_put_span(&b, parts);
    sha256(buf_span(&b), hash);
    memcpy(out, hash, 4);
}

struct span cursor_put(struct query_job *job, const struct span *parts, size_t n)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(1024), text = BUF_INIT(2048);
    uint8_t check[4];
    for (size_t i = 0; i < n; i++) {
        buf_put_u8(&raw, (uint8_t)parts[i].n);
        buf_put_span(&raw, parts[i]);
    }
    cursor_check(job, buf_span(&raw), check);
    buf_put_hex(&text, span_of(check, sizeof check));
    buf_put_hex(&text, buf_span(&raw));
    return arena_copy(&job->arena, buf_span(&text));
}

enum err cursor_get(struct query_job *job, struct span *parts, size_t n, bool *there, struct fault *f)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(1024);
    uint8_t check[4];
    uint8_t len;
    *there = job->m->after.n > 0;
    memset(parts, 0, n * sizeof *parts);
    if (!*there)
        return CE_OK;
    bool good = hex_decode(job->m->after, &raw) == CE_OK && raw.len > sizeof check;
    struct span s = good ? arena_copy(&job->arena, span_of(raw.data + 4, raw.len - 4)) : span_of(NULL, 0);
    if (good) {
        cursor_check(job, s, check);
        good = memcmp(check, raw.data, sizeof check) == 0;
    }
    for (size_t i = 0; good && i < n; i++)
        good = span_get_u8(&s, &len) && span_get(&s, len, &parts[i]);
    if (!good || s.n)
        return fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    return CE_OK;
}

bool in_scope(const struct query_job *job, struct span line)
{
    struct span rest = job->m->scope, one;
    if (!rest.n)
        return true;
    while (span_cut(&rest, ',', &one))
        if (line.n && span_eq(span_trim(one), line))
            return true;
    return false;
}

struct span text_after(struct arena *a, struct span s)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(2048);
    buf_put_span(&b, s);
    buf_put_u8(&b, 1);
    return arena_copy(a, buf_span(&b));
}

struct span text_below(struct arena *a, struct span prefix)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(2048);
    buf_put_span(&b, prefix);
    if (b.len)
        b.data[b.len - 1]++; /* never 0xff: UTF-8 */
    return arena_copy(a, buf_span(&b));
}

void put_time_ms(struct json_out *j, const char *key, int64_t at_ms)
{
    if (at_ms)
        json_time_ms(j, key, at_ms);
    else
        json_none(j, key);
}

void put_time_s(struct json_out *j, const char *key, int64_t at_s)
{
    if (at_s)
        json_time_s(j, key, at_s);
    else
        json_none(j, key);
}

const char *cert_status_text(const struct cert_item *c, int64_t now_s)
{
    static const char *const names[] = {"good", "revoked", "held", "superseded"};
    if (c->status != 1 && c->not_after < now_s)
        return "expired";
    return c->status >= 0 && c->status < (int64_t)ARRAY_LEN(names) ? names[c->status] : "unknown";
}
