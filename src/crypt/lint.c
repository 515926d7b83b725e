/* lint.c: findings, the strictness of DER, and the outside of the four objects. See lint.h. */
#include "crypt/lint.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "crypt/dn.h"
#include "crypt/lint_impl.h"
#include "crypt/oid.h"

/* clang-format off */
#define LINT(NAME, level, name, objects, standard, text) { name, LINT_##level, objects, standard, text },
const struct lint_info lint_rules[LINT_RULES] = {
#include "crypt/lint.def"
};
#undef LINT
/* clang-format on */

const char *lint_object_name(enum lint_object o)
{
    static const char *const names[LINT_OBJECTS] = { "certificate", "CRL", "OCSP response", "request" };
    return names[o];
}

void lint_add(struct lint *l, enum lint_rule rule, const char *fmt, ...)
{
    if (l->out->seen[rule])
        return;
    l->out->seen[rule] = true;
    struct lint_finding *found = &l->out->found[l->out->n++];
    found->rule = rule;
    l->out->errors += lint_rules[rule].level == LINT_ERROR;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(found->where, sizeof found->where, fmt, ap);
    va_end(ap);
}

/* -- DER ---------------------------------------------------------------------------------------------------------------- */
static bool ascii(struct span v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] >= 0x80)
            return false;
    return true;
}

static void walk_oid(struct lint *l, const struct der_item *it)
{
    struct span all = it->all, oid;
    lint_add_if(l, der_get_oid(&all, &oid) != CE_OK, LINT_OID);
}

static void walk_time(struct lint *l, const struct der_item *it)
{
    struct span all = it->all;
    int64_t at;
    lint_add_if(l, der_get_time(&all, &at) != CE_OK, LINT_TIME);
}

static void walk_bits(struct lint *l, struct span b)
{
    bool bad = b.n == 0 || b.p[0] > 7 || (b.n == 1 && b.p[0]) || (b.n > 1 && b.p[b.n - 1] & ((1u << b.p[0]) - 1));
    lint_add_if(l, bad, LINT_BITS);
}

static void walk_primitive(struct lint *l, const struct der_item *it)
{
    struct span b = it->body;
    switch (it->tag) {
    case DER_BOOLEAN: lint_add_if(l, b.n != 1 || (b.p[0] != 0 && b.p[0] != 0xff), LINT_BOOLEAN); break;
    case DER_INTEGER:
    case DER_ENUMERATED:
        lint_add_if(l, b.n == 0 || (b.n > 1 && ((b.p[0] == 0 && !(b.p[1] & 0x80)) || (b.p[0] == 0xff && b.p[1] & 0x80))), LINT_INTEGER);
        break;
    case DER_BIT_STRING: walk_bits(l, b); break;
    case DER_NULL: lint_add_if(l, b.n != 0, LINT_DER); break;
    case DER_OID: walk_oid(l, it); break;
    case DER_UTF8: lint_add_if(l, !span_is_utf8(b), LINT_UTF8); break;
    case DER_PRINTABLE: lint_add_if(l, !dn_printable(b), LINT_PRINTABLE); break;
    case DER_IA5: lint_add_if(l, !ascii(b), LINT_IA5); break;
    case DER_UTC_TIME:
    case DER_GENERAL_TIME: walk_time(l, it); break;
    case 0x10:
    case 0x11: /* SEQUENCE and SET are constructed */
    case 0x24:
    case 0x23: /* strings are not, X.690 10.2 */
        lint_add_if(l, true, LINT_DER);
        break;
    default: break;
    }
}

static bool walk(struct lint *l, struct span in, unsigned depth, bool is_set)
{
    struct der_item it, before = { 0 };
    while (in.n) {
        if (der_any(&in, &it))
            return false;
        if (is_set && before.all.n) {
            size_t n = before.all.n < it.all.n ? before.all.n : it.all.n;
            int order = memcmp(before.all.p, it.all.p, n);
            lint_add_if(l, order > 0 || (order == 0 && before.all.n > it.all.n), LINT_SET_ORDER);
        }
        before = it;
        if (!(it.tag & 0x20) || it.tag == 0x23 || it.tag == 0x24)
            walk_primitive(l, &it);
        else if (depth == DER_DEPTH_MAX || !walk(l, it.body, depth + 1, it.tag == DER_SET))
            return false;
    }
    return true;
}

bool lint_walk(struct lint *l, struct span in)
{
    bool good = walk(l, in, 0, false);
    lint_add_if(l, !good, LINT_DER);
    return good;
}

bool lint_time(struct lint *l, struct span *in, int64_t *at_s)
{
    bool general = der_peek(*in, DER_GENERAL_TIME);
    if (der_get_time(in, at_s)) {
        lint_add_if(l, true, LINT_STRUCTURE);
        return false;
    }
    bool late = *at_s >= INT64_C(2524608000); /* 2050-01-01 */
    lint_add_if(l, general != (late || *at_s < INT64_C(-631152000)), LINT_TIME_KIND);
    return true;
}

/* -- algorithms ------------------------------------------------------------------------------------------------------------ */
static const struct alg_row {
    struct span oid;
    bool null_params, weak;
} algorithms[] = {
    { SPAN_LIT(OID_ECDSA "\x02"), false, false }, { SPAN_LIT(OID_ECDSA "\x03"), false, false }, { SPAN_LIT(OID_ECDSA "\x04"), false, false },
    { SPAN_LIT(OID_ED25519), false, false },      { SPAN_LIT("\x2b\x65\x71"), false, false } /* Ed448 */,
    { SPAN_LIT(OID_PKCS1 "\x0b"), true, false },  { SPAN_LIT(OID_PKCS1 "\x0c"), true, false },  { SPAN_LIT(OID_PKCS1 "\x0d"), true, false },
    { SPAN_LIT(OID_MLDSA "\x11"), false, false }, { SPAN_LIT(OID_MLDSA "\x12"), false, false }, { SPAN_LIT(OID_MLDSA "\x13"), false, false },
    { SPAN_LIT(OID_PKCS1 "\x02"), true, true },   { SPAN_LIT(OID_PKCS1 "\x04"), true, true },   { SPAN_LIT(OID_PKCS1 "\x05"), true, true },
    { SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x01"), false, true }, /* ECDSA with SHA-1 */
};

static void lint_algorithm(struct lint *l, struct span algorithm)
{
    struct span seq, oid;
    if (der_get(&algorithm, DER_SEQUENCE, &seq) || algorithm.n || der_get_oid(&seq, &oid)) {
        lint_add_if(l, true, LINT_STRUCTURE);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        const struct alg_row *a = &algorithms[i];
        if (!span_eq(a->oid, oid))
            continue;
        lint_add_if(l, a->weak, LINT_SIG_WEAK);
        lint_add_if(l, a->null_params ? !span_eq(seq, SPAN_LIT("\x05\x00")) : seq.n != 0, LINT_SIG_PARAMS);
        return;
    }
    lint_add_if(l, true, LINT_SIG_UNKNOWN);
}

/* -- the outside ----------------------------------------------------------------------------------------------------------- */
static void tbs_judge(struct lint *l, enum lint_object o, struct span tbs)
{
    void (*const judges[LINT_OBJECTS])(struct lint *l, struct span tbs) = { lint_tbs_cert, lint_tbs_crl, lint_tbs_ocsp, lint_tbs_csr };
    struct span body;
    if (der_get(&tbs, DER_SEQUENCE, &body) || tbs.n)
        lint_add(l, LINT_STRUCTURE, "to be signed");
    else
        judges[o](l, body);
}

/* SEQUENCE { tbs, algorithm, signature }: body is its contents; of an OCSP response, certificates may follow. */
static void signed_judge(struct lint *l, enum lint_object o, struct span body)
{
    struct der_item tbs, alg;
    struct span sig, certs;
    if (der_any(&body, &tbs) || der_any(&body, &alg) || der_get_bits(&body, &sig) ||
        (body.n && (o != LINT_OCSP || der_get(&body, DER_CONTEXT_CONS(0), &certs) || body.n))) {
        lint_add(l, LINT_STRUCTURE, "signed object");
        return;
    }
    l->place = "signatureAlgorithm";
    l->algorithm = alg.all;
    lint_algorithm(l, alg.all);
    tbs_judge(l, o, tbs.all);
}

static void lint_ocsp_outer(struct lint *l, struct span body)
{
    struct span status, wrap, seq, oid, octets, basic;
    if (der_get(&body, DER_ENUMERATED, &status) || status.n != 1) {
        lint_add(l, LINT_STRUCTURE, "responseStatus");
        return;
    }
    unsigned s = status.p[0];
    if (s > 6 || s == 4 || (s == 0) != (body.n != 0))
        lint_add(l, LINT_OCSP_STATUS, "responseStatus %u", s);
    if (!body.n)
        return;
    if (der_get(&body, DER_CONTEXT_CONS(0), &wrap) || body.n || der_get(&wrap, DER_SEQUENCE, &seq) || wrap.n || der_get_oid(&seq, &oid) ||
        der_get(&seq, DER_OCTET_STRING, &octets) || seq.n || !span_eq(oid, SPAN_LIT(OID_PKIX_OCSP "\x01"))) {
        lint_add(l, LINT_STRUCTURE, "responseBytes");
        return;
    }
    l->place = "BasicOCSPResponse";
    if (!lint_walk(l, octets))
        return;
    if (der_get(&octets, DER_SEQUENCE, &basic) || octets.n)
        lint_add(l, LINT_STRUCTURE, "BasicOCSPResponse");
    else
        signed_judge(l, LINT_OCSP, basic);
}

bool lint_guess(struct span der, enum lint_object *out)
{
    struct span body, tbs;
    struct der_item first, it = { 0 };
    if (der_get(&der, DER_SEQUENCE, &body))
        return false;
    *out = LINT_OCSP;
    if (der_peek(body, DER_ENUMERATED))
        return true;
    if (der_get(&body, DER_SEQUENCE, &tbs) || der_any(&tbs, &first))
        return false;
    *out = first.tag == DER_CONTEXT_CONS(0) ? LINT_CERT : LINT_CRL;
    if (first.tag != DER_INTEGER)
        return first.tag == DER_CONTEXT_CONS(0) || first.tag == DER_SEQUENCE; /* a CRL without a version is v1 */
    for (int i = 0; i < 2; i++)
        if (der_any(&tbs, &it) || it.tag != DER_SEQUENCE)
            return false;
    if (der_peek(tbs, DER_SEQUENCE)) /* validity of a v1 certificate */
        *out = LINT_CERT;
    else if (!der_peek(tbs, DER_UTC_TIME) && !der_peek(tbs, DER_GENERAL_TIME))
        *out = LINT_CSR;
    return true;
}

static void report_init(struct lint_report *out)
{
    out->n = out->errors = 0;
    memset(out->seen, 0, sizeof out->seen);
}

void lint_judge(enum lint_object o, struct span der, struct lint_report *out)
{
    struct lint l = { .out = out, .place = "" };
    struct span body;
    report_init(out);
    if (!lint_walk(&l, der))
        return;
    if (der_get(&der, DER_SEQUENCE, &body))
        lint_add(&l, LINT_STRUCTURE, "not a SEQUENCE");
    else if (der.n)
        lint_add(&l, LINT_DER, "%zu bytes follow the object", der.n);
    else if (o == LINT_OCSP)
        lint_ocsp_outer(&l, body);
    else
        signed_judge(&l, o, body);
}

enum err lint_release(enum lint_object o, struct span tbs, struct span algorithm, struct fault *f)
{
    struct lint_report report;
    struct lint l = { .out = &report, .algorithm = algorithm, .place = "signatureAlgorithm" };
    report_init(&report);
    lint_algorithm(&l, algorithm);
    l.place = "";
    if (lint_walk(&l, tbs))
        tbs_judge(&l, o, tbs);
    for (size_t i = 0; i < report.n && report.errors; i++) {
        const struct lint_finding *x = &report.found[i];
        const struct lint_info *r = &lint_rules[x->rule];
        if (r->level == LINT_ERROR)
            return fault_set(f, CE_LINT, "%s: the %s breaks rule %s%s%s: %s", r->standard, lint_object_name(o), r->name, x->where[0] ? ", " : "", x->where, r->text);
    }
    return CE_OK;
}
