/* lint_ext.c: extensions of certificates and requests: syntax, criticality, what they say together. See lint.h. */
#include "crypt/dn.h"

#include <stdio.h>

#include "base/mem.h"
#include "crypt/cert.h"
#include "crypt/lint_impl.h"
#include "crypt/oid.h"
#include "crypt/oid_text.h"

/* -- any list of extensions --------------------------------------------------------------------------------------------------------- */
/* As ext_get, but a FALSE that is written (a default) is a finding of its own. */
bool lint_ext_next(struct lint *l, struct span *list, struct lint_seen *seen, struct ext *out)
{
    struct span seq;
    char name[48];
    *out = (struct ext){ .ce = 0 };
    if (der_get(list, DER_SEQUENCE, &seq) || der_get_oid(&seq, &out->oid)) {
        lint_add(l, LINT_STRUCTURE, "an Extension");
        return false;
    }
    if (out->oid.n == 3 && out->oid.p[0] == 0x55 && out->oid.p[1] == 0x1d)
        out->ce = out->oid.p[2];
    if (der_peek(seq, DER_BOOLEAN)) {
        if (der_get_bool(&seq, &out->critical)) {
            lint_add(l, LINT_STRUCTURE, "an Extension");
            return false;
        }
        if (!out->critical)
            lint_add(l, LINT_DEFAULT, "critical of %s", lint_ext_name(out, name, sizeof name));
    }
    if (der_get(&seq, DER_OCTET_STRING, &out->value) || seq.n) {
        lint_add(l, LINT_STRUCTURE, "an Extension");
        return false;
    }
    for (size_t i = 0; i < seen->n; i++)
        if (span_eq(seen->oid[i], out->oid))
            lint_add(l, LINT_EXT_TWICE, "%s", lint_ext_name(out, name, sizeof name));
    if (seen->n < LINT_EXTS_MAX)
        seen->oid[seen->n++] = out->oid;
    return true;
}

/* -- the extensions, one function each: false: it has not the syntax ------------------------------------------------------------------ */
bool lint_aki(struct lint *l, struct span v, bool *has_id)
{
    struct span seq, id;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return false;
    *has_id = der_peek(seq, DER_CONTEXT(0));
    if (*has_id && (der_get(&seq, DER_CONTEXT(0), &id) || id.n == 0))
        return false;
    bool issuer = der_peek(seq, DER_CONTEXT_CONS(1));
    if (issuer && der_skip(&seq))
        return false;
    bool serial = der_peek(seq, DER_CONTEXT(2));
    lint_add_if(l, issuer != serial, LINT_AKI_PAIR);
    return !serial ? seq.n == 0 : der_skip(&seq) == CE_OK && seq.n == 0;
}

static bool ext_aki(struct lint *l, struct lint_ext *x, struct span v) { return lint_aki(l, v, &x->has_aki_id); }

static bool ext_ski(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span id;
    (void)l;
    x->has_ski = true;
    return der_get(&v, DER_OCTET_STRING, &id) == CE_OK && v.n == 0 && id.n > 0;
}

static bool ext_key_usage(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span b;
    if (der_get(&v, DER_BIT_STRING, &b) || v.n || b.n < 1 || b.n > 3)
        return false;
    x->has_ku = true;
    x->ku = b.n > 1 ? b.p[1] : 0;
    x->ku |= b.n > 2 && b.p[2] & 0x80 ? 0x100 : 0;
    lint_add_if(l, x->ku == 0, LINT_KU_EMPTY);
    lint_add_if(l, b.n > 1 && b.p[0] < 8 && !(b.p[b.n - 1] >> b.p[0] & 1), LINT_BITS);
    return true;
}

static bool ext_basic(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq;
    int64_t len;
    x->has_basic = true;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return false;
    if (der_peek(seq, DER_BOOLEAN)) {
        if (der_get_bool(&seq, &x->is_ca))
            return false;
        lint_add_if(l, !x->is_ca, LINT_DEFAULT);
    }
    x->has_path_len = seq.n != 0;
    return seq.n == 0 || (der_get_small(&seq, &len) == CE_OK && seq.n == 0);
}

static bool ext_eku(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq, oid;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return false;
    x->has_eku = true;
    lint_add_if(l, seq.n == 0, LINT_EKU_EMPTY);
    while (seq.n) {
        if (der_get_oid(&seq, &oid))
            return false;
        unsigned bit = cert_eku_bit(oid);
        lint_add_if(l, bit != EKU_OTHER && x->eku & bit, LINT_EKU_TWICE);
        x->eku |= bit;
    }
    return true;
}

static bool ext_san(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span names, look;
    struct der_item it;
    if (der_get(&v, DER_SEQUENCE, &names) || v.n)
        return false;
    x->has_san = true;
    lint_add_if(l, names.n == 0, LINT_SAN_EMPTY);
    for (look = names; look.n && der_any(&look, &it) == CE_OK;)
        lint_add_if(l, it.body.n == 0, LINT_SAN_EMPTY);
    lint_general_names(l, names, false);
    return true;
}

static bool ext_ian(struct lint *l, struct lint_ext *x, struct span v)
{
    bool had = x->has_san, good = ext_san(l, x, v);
    x->has_san = had;
    return good;
}

void lint_idp_point(struct lint *l, struct span name)
{
    struct span inner;
    if (der_peek(name, DER_CONTEXT_CONS(1)))
        return; /* relative to the issuer's name */
    if (der_get(&name, DER_CONTEXT_CONS(0), &inner) || name.n || inner.n == 0)
        lint_add(l, LINT_EXT_SYNTAX, "%s", l->place);
    else
        lint_general_names(l, inner, true);
}

static bool ext_cdp(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq, point, name;
    (void)x;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n || seq.n == 0)
        return false;
    while (seq.n) {
        if (der_get(&seq, DER_SEQUENCE, &point))
            return false;
        bool named = der_peek(point, DER_CONTEXT_CONS(0));
        if (named && der_get(&point, DER_CONTEXT_CONS(0), &name))
            return false;
        if (named)
            lint_idp_point(l, name);
        if (der_peek(point, DER_CONTEXT(1)) && der_skip(&point))
            return false;
        lint_add_if(l, !named && !der_peek(point, DER_CONTEXT_CONS(2)), LINT_CDP);
        if (point.n && (!der_peek(point, DER_CONTEXT_CONS(2)) || der_skip(&point) || point.n))
            return false;
    }
    return true;
}

static bool ext_access(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq, one, oid;
    struct der_item place;
    (void)x;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return false;
    lint_add_if(l, seq.n == 0, LINT_AIA_EMPTY);
    while (seq.n) {
        if (der_get(&seq, DER_SEQUENCE, &one) || der_get_oid(&one, &oid) || der_any(&one, &place) || one.n)
            return false;
        lint_general_names(l, place.all, true);
    }
    return true;
}

static bool subtrees(struct lint *l, struct span trees)
{
    struct span tree;
    lint_add_if(l, trees.n == 0, LINT_NC_EMPTY);
    while (trees.n) {
        if (der_get(&trees, DER_SEQUENCE, &tree) || der_skip(&tree))
            return false;
        lint_add_if(l, tree.n != 0, LINT_NC_EMPTY);
    }
    return true;
}

static bool ext_name_constraints(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq, trees;
    x->has_nc = true;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return false;
    lint_add_if(l, seq.n == 0, LINT_NC_EMPTY);
    for (unsigned tag = DER_CONTEXT_CONS(0); tag <= DER_CONTEXT_CONS(1); tag++)
        if (der_peek(seq, tag) && (der_get(&seq, tag, &trees) || !subtrees(l, trees)))
            return false;
    return seq.n == 0;
}

static bool ext_policies(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq, one, oids[32];
    size_t n = 0;
    (void)x;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n || seq.n == 0)
        return false;
    for (; seq.n; n++) {
        struct span oid;
        if (der_get(&seq, DER_SEQUENCE, &one) || der_get_oid(&one, &oid))
            return false;
        for (size_t i = 0; i < n && i < ARRAY_LEN(oids); i++)
            lint_add_if(l, span_eq(oids[i], oid), LINT_POLICY_TWICE);
        if (n < ARRAY_LEN(oids))
            oids[n] = oid;
    }
    return true;
}

static bool ext_nocheck(struct lint *l, struct lint_ext *x, struct span v)
{
    x->nocheck = true;
    lint_add_if(l, !span_eq(v, SPAN_LIT("\x05\x00")), LINT_NOCHECK);
    return true;
}

static bool ext_sequence(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span seq;
    (void)l;
    (void)x;
    return der_get(&v, DER_SEQUENCE, &seq) == CE_OK && v.n == 0 && seq.n > 0;
}

static bool ext_uint(struct lint *l, struct lint_ext *x, struct span v)
{
    struct span n;
    (void)l;
    (void)x;
    return der_get_uint(&v, &n) == CE_OK && v.n == 0;
}

/* -- the list --------------------------------------------------------------------------------------------------------------------------- */
enum ext_critical { CRITICAL_ANY, CRITICAL_MUST, CRITICAL_NEVER };
static const struct ext_rule {
    int ce;
    struct span oid; /* when ce is 0 */
    enum ext_critical critical;
    bool (*judge)(struct lint *l, struct lint_ext *x, struct span v);
    const char *name;
} rules[] = {
    { EXT_AKI, { 0 }, CRITICAL_NEVER, ext_aki, "authorityKeyIdentifier" },
    { EXT_SKI, { 0 }, CRITICAL_NEVER, ext_ski, "subjectKeyIdentifier" },
    { EXT_BASIC, { 0 }, CRITICAL_ANY, ext_basic, "basicConstraints" },
    { EXT_KEY_USAGE, { 0 }, CRITICAL_ANY, ext_key_usage, "keyUsage" },
    { EXT_EKU, { 0 }, CRITICAL_ANY, ext_eku, "extKeyUsage" },
    { EXT_CDP, { 0 }, CRITICAL_ANY, ext_cdp, "cRLDistributionPoints" },
    { 0, SPAN_LIT(OID_PKIX "\x01\x01"), CRITICAL_NEVER, ext_access, "authorityInfoAccess" },
    { EXT_SAN, { 0 }, CRITICAL_ANY, ext_san, "subjectAltName" },
    { EXT_NAME_CONSTRAINTS, { 0 }, CRITICAL_MUST, ext_name_constraints, "nameConstraints" },
    { 0, SPAN_LIT(OID_OCSP_NOCHECK), CRITICAL_ANY, ext_nocheck, "ocsp-nocheck" },
    { 32, { 0 }, CRITICAL_ANY, ext_policies, "certificatePolicies" },
    { 18, { 0 }, CRITICAL_ANY, ext_ian, "issuerAltName" },
    { 33, { 0 }, CRITICAL_ANY, ext_sequence, "policyMappings" },
    { 36, { 0 }, CRITICAL_MUST, ext_sequence, "policyConstraints" },
    { 54, { 0 }, CRITICAL_MUST, ext_uint, "inhibitAnyPolicy" },
    { 46, { 0 }, CRITICAL_NEVER, ext_cdp, "freshestCRL" },
    { 9, { 0 }, CRITICAL_NEVER, ext_sequence, "subjectDirectoryAttributes" },
    { 0, SPAN_LIT(OID_PKIX "\x01\x0b"), CRITICAL_NEVER, ext_access, "subjectInfoAccess" },
};

static const struct ext_rule *rule_of(const struct ext *x)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (rules[i].ce ? rules[i].ce == x->ce : span_eq(rules[i].oid, x->oid))
            return &rules[i];
    return NULL;
}

const char *lint_ext_name(const struct ext *x, char *out, size_t cap)
{
    static const struct { int ce; const char *name; } of_crls[] = {
        { EXT_CRL_NUMBER, "cRLNumber" }, { EXT_REASON, "reasonCode" }, { 24, "invalidityDate" }, { 27, "deltaCRLIndicator" },
        { EXT_IDP, "issuingDistributionPoint" }, { 29, "certificateIssuer" },
    };
    CLEANUP(buf_free) struct buf text = BUF_INIT(512);
    const struct ext_rule *r = rule_of(x);
    if (r)
        return r->name;
    for (size_t i = 0; x->ce && i < ARRAY_LEN(of_crls); i++)
        if (of_crls[i].ce == x->ce)
            return of_crls[i].name;
    oid_to_text(x->oid, &text);
    snprintf(out, cap, "%.*s", (int)text.len, (const char *)text.data);
    return out;
}

static void ext_judge(struct lint *l, struct lint_ext *out, const struct ext *x)
{
    const struct ext_rule *r = rule_of(x);
    char name[48];
    if (!r) {
        if (x->critical)
            lint_add(l, LINT_EXT_UNKNOWN, "%s", lint_ext_name(x, name, sizeof name));
        return;
    }
    l->place = r->name;
    if (!lint_walk(l, x->value))
        return;
    lint_add_if(l, !r->judge(l, out, x->value), LINT_EXT_SYNTAX);
    if (out->is_request)
        return; /* whoever issues decides what is critical */
    lint_add_if(l, r->critical == CRITICAL_MUST && !x->critical, LINT_EXT_CRITICAL);
    lint_add_if(l, r->critical == CRITICAL_NEVER && x->critical, LINT_EXT_NONCRITICAL);
    if (r->ce == EXT_BASIC)
        out->basic_critical = x->critical;
    if (r->ce == EXT_SAN)
        out->san_critical = x->critical;
    lint_add_if(l, r->ce == EXT_KEY_USAGE && !x->critical, LINT_KU_CRITICAL);
    lint_add_if(l, r->ce == EXT_EKU && x->critical && out->eku & EKU_ANY, LINT_EKU_ANY);
    lint_add_if(l, r->ce == EXT_EKU && out->eku & EKU_TIME_STAMPING && (!x->critical || out->eku != EKU_TIME_STAMPING), LINT_EKU_TIME);
}

void lint_extensions(struct lint *l, struct span list, struct lint_ext *out)
{
    struct lint_seen seen;
    struct ext x;
    seen.n = 0;
    l->place = "";
    lint_add_if(l, list.n == 0, LINT_EXT_NONE);
    while (list.n && lint_ext_next(l, &list, &seen, &x))
        ext_judge(l, out, &x);
    l->place = "";
}
