/* lint_ocsp.c: OCSP responses, from ResponseData inwards. See lint.h. */
#include "base/mem.h"
#include "crypt/dn.h"
#include "crypt/lint_impl.h"
#include "crypt/oid.h"

static bool general_time(struct span *in, int64_t *at_s) { return der_peek(*in, DER_GENERAL_TIME) && der_get_time(in, at_s) == CE_OK; }

static bool broken(struct lint *l, const char *where)
{
    lint_add(l, LINT_STRUCTURE, "%s", where);
    return false;
}

static bool extensions_judge(struct lint *l, struct span wrap)
{
    struct span list, nonce;
    struct lint_seen seen;
    struct ext x;
    char name[48];
    seen.n = 0;
    if (der_get(&wrap, DER_SEQUENCE, &list) || wrap.n)
        return broken(l, "extensions");
    lint_add_if(l, list.n == 0, LINT_EXT_NONE);
    while (list.n && lint_ext_next(l, &list, &seen, &x)) {
        if (span_eq(x.oid, SPAN_LIT(OID_PKIX_OCSP "\x02"))) {
            if (der_get(&x.value, DER_OCTET_STRING, &nonce) || x.value.n || nonce.n < 1 || nonce.n > 128)
                lint_add(l, LINT_OCSP_NONCE, "%s", "");
        } else if (x.critical)
            lint_add(l, LINT_EXT_UNKNOWN, "%s", lint_ext_name(&x, name, sizeof name));
    }
    return true;
}

static bool certid_judge(struct lint *l, struct span *in)
{
    static const struct { struct span oid; size_t n; } hashes[] = {
        { SPAN_LIT("\x2b\x0e\x03\x02\x1a"), 20 },
        { SPAN_LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), 32 },
        { SPAN_LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), 48 },
        { SPAN_LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), 64 },
    };
    struct span id, alg, oid, name, key, serial;
    if (der_get(in, DER_SEQUENCE, &id) || der_get(&id, DER_SEQUENCE, &alg) || der_get_oid(&alg, &oid) || der_get(&id, DER_OCTET_STRING, &name) ||
        der_get(&id, DER_OCTET_STRING, &key) || der_get(&id, DER_INTEGER, &serial) || id.n)
        return broken(l, "CertID");
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
        if (span_eq(hashes[i].oid, oid) && (name.n != hashes[i].n || key.n != hashes[i].n))
            lint_add(l, LINT_OCSP_CERTID, "%s", l->place);
    return true;
}

static bool revoked_judge(struct lint *l, struct span info, int64_t produced)
{
    struct span wrap, code;
    int64_t at = 0;
    if (!general_time(&info, &at))
        return broken(l, "revocationTime");
    lint_add_if(l, at > produced, LINT_OCSP_PRODUCED);
    if (!info.n)
        return true;
    if (der_get(&info, DER_CONTEXT_CONS(0), &wrap) || info.n || der_get(&wrap, DER_ENUMERATED, &code) || wrap.n || code.n != 1)
        return broken(l, "revocationReason");
    lint_add_if(l, code.p[0] > 10 || code.p[0] == 7 || code.p[0] == 8, LINT_CRL_REASON);
    lint_add_if(l, code.p[0] == 0, LINT_CRL_UNSPECIFIED);
    return true;
}

static bool single_judge(struct lint *l, struct span *list, int64_t produced)
{
    struct span one, wrap;
    struct der_item status;
    int64_t from = 0, to = 0;
    if (der_get(list, DER_SEQUENCE, &one) || !certid_judge(l, &one) || der_any(&one, &status))
        return broken(l, "SingleResponse");
    if (status.tag == DER_CONTEXT_CONS(1)) {
        if (!revoked_judge(l, status.body, produced))
            return false;
    } else if ((status.tag != DER_CONTEXT(0) && status.tag != DER_CONTEXT(2)) || status.body.n)
        return broken(l, "certStatus");
    if (!general_time(&one, &from))
        return broken(l, "thisUpdate");
    lint_add_if(l, from > produced, LINT_OCSP_PRODUCED);
    bool has_next = der_peek(one, DER_CONTEXT_CONS(0));
    if (has_next && (der_get(&one, DER_CONTEXT_CONS(0), &wrap) || !general_time(&wrap, &to) || wrap.n))
        return broken(l, "nextUpdate");
    lint_add_if(l, !has_next, LINT_OCSP_NEXT);
    lint_add_if(l, has_next && to < from, LINT_OCSP_WINDOW);
    if (!one.n)
        return true;
    return der_get(&one, DER_CONTEXT_CONS(1), &wrap) || one.n ? broken(l, "singleExtensions") : extensions_judge(l, wrap);
}

static bool responder_judge(struct lint *l, struct span *data)
{
    struct span wrap, id;
    struct lint_names names;
    l->place = "responderID";
    if (der_peek(*data, DER_CONTEXT_CONS(2))) {
        if (der_get(data, DER_CONTEXT_CONS(2), &wrap) || der_get(&wrap, DER_OCTET_STRING, &id) || wrap.n)
            return broken(l, "responderID");
        if (id.n != 20)
            lint_add(l, LINT_OCSP_RESPONDER, "%zu bytes", id.n);
        return true;
    }
    if (der_get(data, DER_CONTEXT_CONS(1), &wrap) || der_get(&wrap, DER_SEQUENCE, &id) || wrap.n)
        return broken(l, "responderID");
    lint_name(l, id, &names);
    lint_add_if(l, names.empty, LINT_OCSP_RESPONDER);
    return true;
}

void lint_tbs_ocsp(struct lint *l, struct span data)
{
    struct span list, wrap;
    int64_t produced = 0;
    if (der_peek(data, DER_CONTEXT_CONS(0))) {
        lint_add(l, LINT_DEFAULT, "version");
        if (der_skip(&data))
            return;
    }
    if (!responder_judge(l, &data))
        return;
    if (!general_time(&data, &produced) || der_get(&data, DER_SEQUENCE, &list)) {
        broken(l, "producedAt or responses");
        return;
    }
    if (list.n == 0)
        lint_add(l, LINT_OCSP_EMPTY, "%s", "");
    l->place = "SingleResponse";
    while (list.n)
        if (!single_judge(l, &list, produced))
            return;
    l->place = "responseExtensions";
    if (!data.n)
        return;
    if (der_get(&data, DER_CONTEXT_CONS(1), &wrap) || data.n)
        broken(l, "responseExtensions");
    else
        extensions_judge(l, wrap);
}
