/* http.c: see http.h. */
#include "wire/http.h"

#include "crypt/pem.h"

enum err http_target_split(struct span target, struct span *path, struct span *query, struct fault *f)
{
    if (target.n == 0 || target.p[0] != '/')
        return fault_set(f, CE_BAD_INPUT, "the request target must begin with '/' (RFC 9112 3.2.1)");
    for (size_t i = 0; i < target.n; i++)
        if (target.p[i] <= ' ' || target.p[i] >= 0x7f || target.p[i] == '#')
            return fault_set(f, CE_BAD_INPUT, "the request target has characters that must be percent-encoded");
    *query = target;
    if (!span_cut(query, '?', path))
        *path = target;
    return CE_OK;
}

enum err http_query_next(struct span *rest, struct arena *a, struct span *key, struct span *value, struct fault *f)
{
    struct span pair, raw;
    if (!span_cut(rest, '&', &pair))
        return CE_NOT_FOUND;
    CLEANUP(buf_free) struct buf k = BUF_INIT(256), v = BUF_INIT(4096);
    raw = pair;
    if (!span_cut(&raw, '=', key))
        *key = pair;
    if (percent_decode(*key, &k) || percent_decode(raw, &v))
        return fault_set(f, CE_BAD_INPUT, "the query is too long or not percent-encoded as RFC 3986 2.1 says");
    if (k.len == 0 || !span_is_utf8(buf_span(&k)) || !span_is_utf8(buf_span(&v)))
        return fault_set(f, CE_BAD_INPUT, "the query has an empty name, control characters or text that is not UTF-8");
    *key = arena_copy(a, buf_span(&k));
    *value = arena_copy(a, buf_span(&v));
    return CE_OK;
}

bool http_media_is(struct span content_type, const char *media)
{
    struct span head;
    return span_cut(&content_type, ';', &head) && span_eq_nocase(span_trim(head), media);
}

static bool quality_zero(struct span params)
{
    struct span p;
    while (span_cut(&params, ';', &p)) {
        p = span_trim(p);
        if (p.n >= 3 && (p.p[0] | 0x20) == 'q' && p.p[1] == '=') {
            for (size_t i = 2; i < p.n; i++)
                if (p.p[i] >= '1' && p.p[i] <= '9')
                    return false;
            return true;
        }
    }
    return false;
}

bool http_accepts(struct span accept, const char *media)
{
    struct span item;
    while (span_cut(&accept, ',', &item)) {
        struct span head;
        if (span_cut(&item, ';', &head) && span_eq_nocase(span_trim(head), media))
            return !quality_zero(item);
    }
    return false;
}

enum err http_if_match(struct span value, int64_t *rev, struct fault *f)
{
    *rev = -1;
    value = span_trim(value);
    if (value.n == 0 || span_eq_str(value, "*"))
        return CE_OK;
    if (value.n > 2 && value.p[0] == '"' && value.p[value.n - 1] == '"' && span_to_i64(span_of(value.p + 1, value.n - 2), rev) && *rev >= 0)
        return CE_OK;
    return fault_set(f, CE_BAD_FIELD, "If-Match must be one strong ETag of this service, such as \"7\" (RFC 9110 13.1.1)");
}

enum err http_idem_check(struct span value, struct fault *f)
{
    bool good = value.n <= 64;
    for (size_t i = 0; good && i < value.n; i++)
        good = value.p[i] > ' ' && value.p[i] < 0x7f;
    return good ? CE_OK : fault_set(f, CE_BAD_FIELD, "Idempotency-Key must be 1 to 64 printable characters without blanks");
}

enum err http_client_cert(struct span header, struct buf *der, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(HTTP_CERT_MAX);
    if (header.n > HTTP_CERT_MAX)
        return fault_set(f, CE_BAD_CERT, "the client certificate is longer than %d bytes", HTTP_CERT_MAX);
    if (percent_decode(header, &pem))
        return fault_set(f, CE_BAD_CERT, "the client certificate is not percent-encoded");
    if (pem_decode(buf_span(&pem), "CERTIFICATE", 0, der))
        return fault_set(f, CE_BAD_CERT, "the client certificate is not PEM (RFC 7468)");
    return CE_OK;
}

enum err http_verify_err(struct span verify)
{
    static const struct {
        const char *word;
        enum err e;
    } words[] = {
        { "has expired", CE_CERT_EXPIRED },
        { "not yet valid", CE_CERT_NOT_YET },
    };
    if (span_eq_str(verify, "SUCCESS"))
        return CE_OK;
    if (verify.n == 0 || span_eq_str(verify, "NONE"))
        return CE_NO_CERT;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (memmem(verify.p, verify.n, words[i].word, strlen(words[i].word)))
            return words[i].e;
    return CE_CERT_FOREIGN;
}
