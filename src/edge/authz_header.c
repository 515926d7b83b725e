/* authz_header.c: see authz_header.h. */
#include "edge/authz_header.h"

#include "base/mem.h"
#include "wire/http.h"

bool authz_form_find(const char *header_name, enum authz_form *out)
{
    static const struct { const char *name; enum authz_form form; } rows[] = {
        { "X-SSL-Client-Cert", AUTHZ_PEM }, { "X-SSL-Client-DER", AUTHZ_DER }, { "X-Forwarded-Client-Cert", AUTHZ_XFCC },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_eq_nocase(span_str(header_name), rows[i].name)) {
            *out = rows[i].form;
            return true;
        }
    return false;
}

/* -- X-Forwarded-Client-Cert: element *( "," element ), element = pair *( ";" pair ), pair = key "=" ( token / quoted ) ------------ */
enum xfcc_next { XFCC_END, XFCC_PAIR, XFCC_ELEMENT, XFCC_BAD };

/* Takes one pair from the front of *rest; value (unquoted) replaces what is in it. XFCC_ELEMENT: the pair was the last of its element
 * and another element follows. */
static enum xfcc_next xfcc_pair(struct span *rest, struct span *key, struct buf *value)
{
    size_t i = 0;
    bool quoted = false;
    value->len = 0;
    while (i < rest->n && rest->p[i] != '=')
        i++;
    if (i == rest->n)
        return XFCC_BAD;
    *key = span_trim(span_of(rest->p, i));
    i++;
    if (i < rest->n && rest->p[i] == '"') {
        quoted = true;
        i++;
    }
    for (; i < rest->n; i++) {
        uint8_t c = rest->p[i];
        if (quoted ? c == '"' : c == ';' || c == ',')
            break;
        if (quoted && c == '\\' && i + 1 < rest->n)
            c = rest->p[++i];
        buf_put_u8(value, c);
    }
    if (quoted && i++ == rest->n) /* no closing quote */
        return XFCC_BAD;
    uint8_t sep = i < rest->n ? rest->p[i] : 0;
    bool more = i < rest->n;
    *rest = span_of(rest->p + i + more, rest->n - i - more);
    if (!more)
        return XFCC_END;
    return sep == ';' ? XFCC_PAIR : sep == ',' ? XFCC_ELEMENT : XFCC_BAD;
}

static enum err xfcc_der(struct span header, struct buf *der, struct fault *f)
{
    CLEANUP(buf_free) struct buf value = BUF_INIT(AUTHZ_HEADER_MAX), cert = BUF_INIT(AUTHZ_HEADER_MAX);
    enum xfcc_next next = XFCC_PAIR;
    bool found = false;
    while (next == XFCC_PAIR) {
        struct span key;
        next = xfcc_pair(&header, &key, &value);
        if (next == XFCC_BAD)
            return fault_set(f, CE_BAD_CERT, "x-forwarded-client-cert is not key=value pairs");
        if (!span_eq_nocase(key, "Cert"))
            continue;
        if (found)
            return fault_set(f, CE_BAD_CERT, "x-forwarded-client-cert names two certificates");
        found = true;
        buf_put_span(&cert, buf_span(&value));
    }
    if (next == XFCC_ELEMENT)
        return fault_set(f, CE_BAD_CERT, "x-forwarded-client-cert has more than one element: set forward_client_cert_details to SANITIZE_SET");
    if (!found || !cert.len)
        return fault_set(f, CE_NO_CERT, "x-forwarded-client-cert has no Cert: set set_current_client_cert_details.cert");
    return http_client_cert(buf_span(&cert), der, f);
}

static enum err form_decode(enum authz_form form, struct span header, struct buf *der, struct fault *f)
{
    switch (form) {
    case AUTHZ_PEM: return http_client_cert(header, der, f);
    case AUTHZ_XFCC: return xfcc_der(header, der, f);
    case AUTHZ_DER:
        return base64_decode(header, der) ? fault_set(f, CE_BAD_CERT, "the header with the certificate is not base64") : CE_OK;
    case AUTHZ_RAW: break;
    }
    buf_put_span(der, header);
    return buf_err(der);
}

enum err authz_header_der(enum authz_form form, struct span header, struct buf *der, struct fault *f)
{
    if (form != AUTHZ_RAW)
        header = span_trim(header);
    if (!header.n)
        return fault_set(f, CE_NO_CERT, "the client showed no certificate");
    if (header.n > AUTHZ_HEADER_MAX)
        return fault_set(f, CE_BAD_CERT, "the header with the certificate is longer than %d bytes", AUTHZ_HEADER_MAX);
    enum err e = form_decode(form, header, der, f);
    return !e && !der->len ? fault_set(f, CE_BAD_CERT, "the certificate that the proxy handed over is empty") : e;
}

/* -- names ------------------------------------------------------------------------------------------------------------------------ */
enum { Q_ISSUER, Q_SERIAL, Q_UID, Q_LINE, Q_N };
static const char *const query_keys[Q_N] = { "issuer", "serial", "uid", "line" };

static enum err query_take(struct span key, struct span value, struct span *values, bool *seen, struct fault *f)
{
    for (int i = 0; i < Q_N; i++) {
        if (!span_eq_str(key, query_keys[i]))
            continue;
        if (seen[i])
            return fault_set(f, CE_BAD_FIELD, "%s stands twice in the query", query_keys[i]);
        seen[i] = true;
        values[i] = value;
        return CE_OK;
    }
    return fault_set(f, CE_BAD_FIELD, "the query has an unknown key; it takes issuer, serial, uid and line");
}

static enum err query_read(struct span query, struct arena *a, struct admit_peer *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf issuer = BUF_INIT(256), serial = BUF_INIT(256);
    struct span values[Q_N] = { { 0 } }, key, value;
    bool seen[Q_N] = { false };
    enum err e;
    while (!(e = http_query_next(&query, a, &key, &value, f)))
        if ((e = query_take(key, value, values, seen, f)))
            return e;
    if (e != CE_NOT_FOUND)
        return e;
    for (int i = 0; i < Q_N; i++)
        if (!seen[i])
            return fault_set(f, CE_BAD_FIELD, "the query has no %s: without it, a block could not be seen", query_keys[i]);
    if (hex_decode(values[Q_ISSUER], &issuer) || hex_decode(values[Q_SERIAL], &serial))
        return fault_set(f, CE_BAD_FIELD, "issuer and serial are pairs of hex digits");
    return admit_name(buf_span(&issuer), buf_span(&serial), values[Q_UID], values[Q_LINE], out, f);
}

enum err authz_query(struct span query, struct admit_peer *out, struct fault *f)
{
    struct arena a = { 0 };
    struct fault mine = { 0 };
    *out = (struct admit_peer){ 0 };
    enum err e = query_read(query, &a, out, &mine);
    arena_free(&a);
    return e ? fault_set(f, e, "%s", mine.text[0] ? mine.text : err_text(e)) : CE_OK;
}
