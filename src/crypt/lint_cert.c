/* lint_cert.c: certificates and requests: their fields, and the rules between fields and extensions. See lint.h. */
#include "base/mem.h"
#include "crypt/cert.h"
#include "crypt/dn.h"
#include "crypt/key.h"
#include "crypt/lint_impl.h"

static bool broken(struct lint *l, const char *where)
{
    lint_add(l, LINT_STRUCTURE, "%s", where);
    return false;
}

static void key_judge(struct lint *l, struct span spki, struct spki_info *k)
{
    enum err e = spki_parse(spki, k, NULL);
    l->place = "";
    if (e == CE_KEY_ALG)
        lint_add(l, LINT_SPKI_UNKNOWN, "%s", "");
    else if (e == CE_KEY_WEAK || (!e && k->alg == KEY_RSA && k->bits < 2048))
        lint_add(l, LINT_SPKI_WEAK, "%s", e ? "" : k->name);
    else if (e)
        lint_add(l, LINT_SPKI, "%s", "");
    if (e)
        k->alg = KEY_NONE;
}

static bool version_judge(struct lint *l, struct span *tbs)
{
    struct span wrap;
    int64_t version = 0;
    bool there = der_peek(*tbs, DER_CONTEXT_CONS(0));
    if (there && (der_get(tbs, DER_CONTEXT_CONS(0), &wrap) || der_get_small(&wrap, &version) || wrap.n))
        return broken(l, "version");
    if (there && version == 0)
        lint_add(l, LINT_DEFAULT, "version");
    if (version != 2)
        lint_add(l, LINT_VERSION, "v%lld", (long long)version + 1);
    return true;
}

static bool serial_judge(struct lint *l, struct span *tbs)
{
    struct span n;
    if (der_get(tbs, DER_INTEGER, &n))
        return broken(l, "serialNumber");
    bool zero = true;
    for (size_t i = 0; zero && i < n.n; i++)
        zero = n.p[i] == 0;
    if (n.n == 0 || zero || n.p[0] & 0x80)
        lint_add(l, LINT_SERIAL_POSITIVE, "%s", zero ? "it is zero" : "it is negative");
    if (n.n > 20u + (n.n && n.p[0] == 0))
        lint_add(l, LINT_SERIAL_LENGTH, "%zu bytes", n.n);
    return true;
}

/* signature, issuer, validity, subject, subjectPublicKeyInfo */
static bool fields_judge(struct lint *l, struct span *tbs, struct lint_ext *x, struct lint_names *subject, struct spki_info *k)
{
    struct der_item alg, iname, sname, spki;
    struct span validity;
    struct lint_names issuer;
    int64_t from = 0, to = 0;
    if (der_any(tbs, &alg) || alg.tag != DER_SEQUENCE)
        return broken(l, "signature");
    if (!span_eq(alg.all, l->algorithm))
        lint_add(l, LINT_SIG_EQUAL, "%s", "");
    if (der_any(tbs, &iname) || iname.tag != DER_SEQUENCE)
        return broken(l, "issuer");
    l->place = "issuer";
    lint_name(l, iname.body, &issuer);
    if (issuer.empty)
        lint_add(l, LINT_ISSUER_EMPTY, "%s", "");
    l->place = "validity";
    if (der_get(tbs, DER_SEQUENCE, &validity) || !lint_time(l, &validity, &from) || !lint_time(l, &validity, &to) || validity.n)
        return broken(l, "validity");
    if (to < from)
        lint_add(l, LINT_VALIDITY, "%s", "");
    if (der_any(tbs, &sname) || sname.tag != DER_SEQUENCE)
        return broken(l, "subject");
    l->place = "subject";
    lint_name(l, sname.body, subject);
    x->self_signed = span_eq(iname.all, sname.all);
    if (der_any(tbs, &spki) || spki.tag != DER_SEQUENCE)
        return broken(l, "subjectPublicKeyInfo");
    key_judge(l, spki.all, k);
    return true;
}

/* What the key cannot do. */
static void usage_of_key(struct lint *l, const struct lint_ext *x, enum key_alg alg)
{
    unsigned cannot = 0;
    if (alg == KEY_EC_P256 || alg == KEY_EC_P384)
        cannot = KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT;
    else if (alg == KEY_RSA)
        cannot = KU_KEY_AGREEMENT | 0x101;
    else if (alg != KEY_NONE)
        cannot = KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT | KU_KEY_AGREEMENT | 0x101;
    if (x->has_ku && x->ku & cannot)
        lint_add(l, LINT_KU_KEY, "%s", "");
}

static void usage_of_purposes(struct lint *l, const struct lint_ext *x)
{
    static const struct { unsigned eku, ku; const char *name; } needs[] = {
        { EKU_SERVER_AUTH, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT, "serverAuth" },
        { EKU_CLIENT_AUTH, KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT, "clientAuth" },
        { EKU_CODE_SIGNING, KU_DIGITAL_SIGNATURE, "codeSigning" },
        { EKU_EMAIL, KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT, "emailProtection" },
        { EKU_TIME_STAMPING, KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION, "timeStamping" },
        { EKU_OCSP_SIGNING, KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION, "OCSPSigning" },
    };
    if (!x->has_ku || !x->has_eku || x->is_ca)
        return;
    for (size_t i = 0; i < ARRAY_LEN(needs); i++)
        if (x->eku & needs[i].eku && !(x->ku & needs[i].ku))
            lint_add(l, LINT_KU_EKU, "%s", needs[i].name);
}

static void ca_judge(struct lint *l, const struct lint_ext *x)
{
    bool signs = x->has_ku && x->ku & KU_CERT_SIGN;
    if (x->is_ca ? !x->has_ku : signs)
        lint_add(l, LINT_KU_CA, "%s", x->is_ca ? "keyUsage is missing" : "keyCertSign without cA");
    if (x->is_ca && !x->basic_critical)
        lint_add(l, LINT_EXT_CRITICAL, "basicConstraints");
    if (x->has_path_len && (!x->is_ca || (x->has_ku && !signs)))
        lint_add(l, LINT_PATH_LEN, "%s", "");
    if (!x->has_ski)
        lint_add(l, x->is_ca ? LINT_SKI_CA : LINT_SKI_LEAF, "%s", "");
    if (x->has_nc && !x->is_ca)
        lint_add(l, LINT_NC_CA, "%s", "");
    if (!x->has_aki_id && !x->self_signed)
        lint_add(l, LINT_AKI_MISSING, "%s", "");
}

static void cert_relations(struct lint *l, const struct lint_ext *x, const struct lint_names *subject)
{
    ca_judge(l, x);
    usage_of_purposes(l, x);
    if (subject->empty && (x->is_ca || !x->has_san || !x->san_critical))
        lint_add(l, LINT_SUBJECT_EMPTY, "%s", "");
    if (!subject->empty && x->has_san && x->san_critical)
        lint_add(l, LINT_SAN_CRITICAL, "%s", "");
    if (x->eku & EKU_ANY && x->eku != EKU_ANY)
        lint_add(l, LINT_EKU_ANY, "%s", "");
    if (x->nocheck && !(x->eku & EKU_OCSP_SIGNING))
        lint_add(l, LINT_NOCHECK, "without OCSPSigning");
}

void lint_tbs_cert(struct lint *l, struct span tbs)
{
    struct lint_ext x = { .ku = 0 };
    struct lint_names subject;
    struct spki_info key = { .alg = KEY_NONE };
    struct span wrap, list;
    if (!version_judge(l, &tbs) || !serial_judge(l, &tbs) || !fields_judge(l, &tbs, &x, &subject, &key))
        return;
    for (unsigned tag = 0x81; tag <= 0x82; tag++) {
        if (!der_peek(tbs, tag))
            continue;
        lint_add(l, LINT_UNIQUE_ID, "%s", "");
        if (der_skip(&tbs))
            return;
    }
    if (tbs.n) {
        if (der_get(&tbs, DER_CONTEXT_CONS(3), &wrap) || tbs.n || der_get(&wrap, DER_SEQUENCE, &list) || wrap.n) {
            broken(l, "extensions");
            return;
        }
        lint_extensions(l, list, &x);
    }
    cert_relations(l, &x, &subject);
    usage_of_key(l, &x, key.alg);
}

/* -- requests ------------------------------------------------------------------------------------------------------------------------- */
#define OID_EXTENSION_REQUEST SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")

static void request_extensions(struct lint *l, struct span set)
{
    struct lint_ext x = { .is_request = true };
    struct span list;
    if (der_get(&set, DER_SEQUENCE, &list) || set.n) {
        lint_add(l, LINT_CSR_ATTRIBUTE, "extensionRequest");
        return;
    }
    lint_extensions(l, list, &x);
    usage_of_purposes(l, &x);
}

static void attributes_judge(struct lint *l, struct span list)
{
    struct lint_seen seen;
    seen.n = 0;
    while (list.n) {
        struct span attr, oid, set;
        if (der_get(&list, DER_SEQUENCE, &attr) || der_get_oid(&attr, &oid) || der_get(&attr, DER_SET, &set) || attr.n) {
            broken(l, "attributes");
            return;
        }
        for (size_t i = 0; i < seen.n; i++)
            if (span_eq(seen.oid[i], oid))
                lint_add(l, LINT_CSR_ATTRIBUTE, "it appears twice");
        if (seen.n < LINT_EXTS_MAX)
            seen.oid[seen.n++] = oid;
        if (set.n == 0)
            lint_add(l, LINT_CSR_ATTRIBUTE, "it has no value");
        else if (span_eq(oid, OID_EXTENSION_REQUEST))
            request_extensions(l, set);
    }
}

void lint_tbs_csr(struct lint *l, struct span tbs)
{
    struct der_item name, spki;
    struct lint_names names;
    struct spki_info key;
    struct span list;
    int64_t version;
    if (der_get_small(&tbs, &version)) {
        broken(l, "version");
        return;
    }
    if (version != 0)
        lint_add(l, LINT_CSR_VERSION, "%lld", (long long)version);
    if (der_any(&tbs, &name) || name.tag != DER_SEQUENCE || der_any(&tbs, &spki) || spki.tag != DER_SEQUENCE) {
        broken(l, "subject or subjectPKInfo");
        return;
    }
    l->place = "subject";
    lint_name(l, name.body, &names);
    key_judge(l, spki.all, &key);
    if (der_get(&tbs, DER_CONTEXT_CONS(0), &list) || tbs.n)
        broken(l, "attributes");
    else
        attributes_judge(l, list);
}
