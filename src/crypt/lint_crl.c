/* lint_crl.c: certificate revocation lists. See lint.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "crypt/cert.h"
#include "crypt/dn.h"
#include "crypt/lint_impl.h"

struct crl_facts {
    bool is_delta, is_indirect, has_aki, has_number;
    int64_t this_update;
    size_t n;            /* entries */
};

static bool reason_known(unsigned r, bool is_delta) { return r <= 10 && r != 7 && (r != 8 || is_delta); }

/* -- the list's own extensions -------------------------------------------------------------------------------------------------------- */
static bool idp_judge(struct lint *l, struct span v, struct crl_facts *c)
{
    struct span seq;
    struct der_item it;
    unsigned only = 0, last = 0;
    if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
        return false;
    lint_add_if(l, seq.n == 0, LINT_CRL_IDP);
    while (seq.n) {
        if (der_any(&seq, &it) || it.tag <= last)
            return false;
        unsigned tag = it.tag & 0x1f;
        last = it.tag;
        if (it.tag == DER_CONTEXT_CONS(0)) {
            lint_idp_point(l, it.body);
            last = DER_CONTEXT(0);
            continue;
        }
        bool flag = tag == 1 || tag == 2 || tag == 4 || tag == 5;
        if (it.tag != DER_CONTEXT(tag) || tag > 5 || (flag && it.body.n != 1))
            return false;
        lint_add_if(l, flag && it.body.p[0] == 0, LINT_DEFAULT);
        only += flag && tag != 4;
        c->is_indirect |= tag == 4;
    }
    lint_add_if(l, only > 1, LINT_CRL_IDP);
    return true;
}

static bool number_judge(struct lint *l, struct span v)
{
    struct span n;
    if (der_get(&v, DER_INTEGER, &n) || v.n)
        return false;
    lint_add_if(l, n.n > 20 || (n.n && n.p[0] & 0x80), LINT_CRL_NUMBER);
    return true;
}

static void crl_ext_judge(struct lint *l, const struct ext *x, struct crl_facts *c)
{
    char name[48];
    bool good = true;
    l->place = lint_ext_name(x, name, sizeof name);
    bool known = x->ce == EXT_AKI || x->ce == EXT_CRL_NUMBER || x->ce == EXT_IDP || x->ce == 27 || x->ce == 46 || x->ce == 18;
    if (!known) {
        lint_add_if(l, x->critical, LINT_EXT_UNKNOWN);
        return;
    }
    if (!lint_walk(l, x->value))
        return;
    if (x->ce == EXT_AKI)
        good = lint_aki(l, x->value, &c->has_aki);
    else if (x->ce == EXT_IDP)
        good = idp_judge(l, x->value, c);
    else if (x->ce == EXT_CRL_NUMBER || x->ce == 27)
        good = number_judge(l, x->value);
    c->has_number |= x->ce == EXT_CRL_NUMBER;
    c->is_delta |= x->ce == 27;
    lint_add_if(l, !good, LINT_EXT_SYNTAX);
    lint_add_if(l, (x->ce == EXT_IDP || x->ce == 27) && !x->critical, LINT_EXT_CRITICAL);
    lint_add_if(l, (x->ce == EXT_AKI || x->ce == EXT_CRL_NUMBER || x->ce == 46) && x->critical, LINT_EXT_NONCRITICAL);
}

static void crl_extensions(struct lint *l, struct span tbs, struct crl_facts *c)
{
    struct span wrap, list;
    struct lint_seen seen;
    struct ext x;
    seen.n = 0;
    if (der_get(&tbs, DER_CONTEXT_CONS(0), &wrap) || tbs.n || der_get(&wrap, DER_SEQUENCE, &list) || wrap.n) {
        lint_add(l, LINT_STRUCTURE, "crlExtensions");
        return;
    }
    l->place = "crlExtensions";
    lint_add_if(l, list.n == 0, LINT_EXT_NONE);
    while (list.n && lint_ext_next(l, &list, &seen, &x))
        crl_ext_judge(l, &x, c);
}

/* -- entries ----------------------------------------------------------------------------------------------------------------------------- */
static void entry_extensions(struct lint *l, struct span in, const struct crl_facts *c)
{
    struct span list, code;
    struct lint_seen seen;
    struct ext x;
    char name[48];
    seen.n = 0;
    if (der_get(&in, DER_SEQUENCE, &list) || in.n) {
        lint_add(l, LINT_STRUCTURE, "crlEntryExtensions of entry %zu", c->n);
        return;
    }
    lint_add_if(l, list.n == 0, LINT_EXT_NONE);
    while (list.n && lint_ext_next(l, &list, &seen, &x)) {
        bool good = true;
        if (x.ce == EXT_REASON) {
            good = der_get(&x.value, DER_ENUMERATED, &code) == CE_OK && x.value.n == 0 && code.n == 1;
            if (good && !reason_known(code.p[0], c->is_delta))
                lint_add(l, LINT_CRL_REASON, "entry %zu, reason %u", c->n, code.p[0]);
            if (good && code.p[0] == 0)
                lint_add(l, LINT_CRL_UNSPECIFIED, "entry %zu", c->n);
        } else if (x.ce == 24) {
            int64_t at;
            good = der_peek(x.value, DER_GENERAL_TIME) && der_get_time(&x.value, &at) == CE_OK && x.value.n == 0;
        } else if (x.ce == 29) {
            if (!c->is_indirect)
                lint_add(l, LINT_CRL_INDIRECT, "entry %zu", c->n);
            if (!x.critical)
                lint_add(l, LINT_EXT_CRITICAL, "certificateIssuer, entry %zu", c->n);
        } else if (x.critical)
            lint_add(l, LINT_EXT_UNKNOWN, "%s, entry %zu", lint_ext_name(&x, name, sizeof name), c->n);
        if ((x.ce == EXT_REASON || x.ce == 24) && x.critical)
            lint_add(l, LINT_EXT_NONCRITICAL, "%s, entry %zu", lint_ext_name(&x, name, sizeof name), c->n);
        if (!good)
            lint_add(l, LINT_EXT_SYNTAX, "%s, entry %zu", lint_ext_name(&x, name, sizeof name), c->n);
    }
}

static bool entry_judge(struct lint *l, struct span *in, const struct crl_facts *c, struct span *serial)
{
    struct span seq;
    int64_t at;
    if (der_get(in, DER_SEQUENCE, &seq) || der_get(&seq, DER_INTEGER, serial) || !lint_time(l, &seq, &at)) {
        lint_add(l, LINT_STRUCTURE, "entry %zu", c->n);
        return false;
    }
    if (serial->n == 0 || serial->p[0] & 0x80 || (serial->n == 1 && serial->p[0] == 0))
        lint_add(l, LINT_CRL_SERIAL, "entry %zu", c->n);
    if (serial->n > 20u + (serial->p && serial->p[0] == 0))
        lint_add(l, LINT_SERIAL_LENGTH, "entry %zu", c->n);
    if (at > c->this_update)
        lint_add(l, LINT_CRL_FUTURE, "entry %zu", c->n);
    if (seq.n)
        entry_extensions(l, seq, c);
    return true;
}

static int serial_order(const void *a, const void *b) { return span_cmp(*(const struct span *)a, *(const struct span *)b); }

/* Ours are in order, and a look at neighbours tells; another's are sorted first. */
static void twice_judge(struct lint *l, struct span list, size_t n)
{
    CLEANUP(mem_free_p) struct span *all = mem_calloc(n + 1, sizeof *all);
    struct span seq;
    for (size_t i = 0; i < n; i++)
        if (der_get(&list, DER_SEQUENCE, &seq) || der_get(&seq, DER_INTEGER, &all[i]))
            return;
    qsort(all, n, sizeof *all, serial_order);
    for (size_t i = 1; i < n; i++)
        if (span_eq(all[i - 1], all[i]))
            lint_add(l, LINT_CRL_TWICE, "%s", "");
}

static void entries_judge(struct lint *l, struct span list, struct crl_facts *c)
{
    struct span rest = list, serial, before = { 0 };
    bool ordered = true;
    l->place = "revokedCertificates";
    lint_add_if(l, list.n == 0, LINT_CRL_LIST);
    while (rest.n) {
        c->n++;
        if (!entry_judge(l, &rest, c, &serial))
            return;
        ordered = ordered && (c->n == 1 || span_cmp(before, serial) < 0);
        before = serial;
    }
    if (!ordered && !c->is_indirect)
        twice_judge(l, list, c->n);
}

/* -- the list ------------------------------------------------------------------------------------------------------------------------------ */
static bool head_judge(struct lint *l, struct span *tbs, struct crl_facts *c)
{
    struct der_item alg, issuer;
    struct lint_names names;
    int64_t version = -1, next = 0;
    if (der_peek(*tbs, DER_INTEGER) && der_get_small(tbs, &version)) {
        lint_add(l, LINT_STRUCTURE, "version");
        return false;
    }
    if (version != 1)
        lint_add(l, LINT_VERSION, "v%lld", version < 0 ? 1LL : (long long)version + 1);
    if (der_any(tbs, &alg) || alg.tag != DER_SEQUENCE || der_any(tbs, &issuer) || issuer.tag != DER_SEQUENCE) {
        lint_add(l, LINT_STRUCTURE, "signature or issuer");
        return false;
    }
    if (!span_eq(alg.all, l->algorithm))
        lint_add(l, LINT_SIG_EQUAL, "%s", "");
    l->place = "issuer";
    lint_name(l, issuer.body, &names);
    if (names.empty)
        lint_add(l, LINT_ISSUER_EMPTY, "%s", "");
    l->place = "thisUpdate";
    if (!lint_time(l, tbs, &c->this_update))
        return false;
    l->place = "nextUpdate";
    bool has_next = der_peek(*tbs, DER_UTC_TIME) || der_peek(*tbs, DER_GENERAL_TIME);
    if (has_next && !lint_time(l, tbs, &next))
        return false;
    if (!has_next || next <= c->this_update)
        lint_add(l, LINT_CRL_NEXT, "%s", has_next ? "" : "it is missing");
    return true;
}

void lint_tbs_crl(struct lint *l, struct span tbs)
{
    struct crl_facts c = { .this_update = 0 };
    struct span entries = { 0 };
    if (!head_judge(l, &tbs, &c))
        return;
    bool listed = der_peek(tbs, DER_SEQUENCE);
    if (listed && der_get(&tbs, DER_SEQUENCE, &entries))
        return;
    if (tbs.n)
        crl_extensions(l, tbs, &c);
    l->place = "";
    if (listed)
        entries_judge(l, entries, &c);
    l->place = "";
    lint_add_if(l, !c.has_number, LINT_CRL_NUMBER);
    lint_add_if(l, !c.has_aki, LINT_AKI_MISSING);
}

/* -- entries one by one ---------------------------------------------------------------------------------------------------------------------- */
static enum err entry_refuse(const struct lint_entries *l, enum lint_rule rule, struct fault *f)
{
    const struct lint_info *r = &lint_rules[rule];
    return fault_set(f, CE_LINT, "%s: the CRL breaks rule %s, entry %zu: %s", r->standard, r->name, l->n, r->text);
}

enum err lint_release_entry(struct lint_entries *l, struct span serial, struct fault *f)
{
    l->n++;
    if (serial.n == 0 || serial.p[0] == 0)
        return entry_refuse(l, LINT_CRL_SERIAL, f);
    if (serial.n > sizeof l->last)
        return entry_refuse(l, LINT_SERIAL_LENGTH, f);
    if (span_cmp(span_of(l->last, l->last_n), serial) >= 0)
        return entry_refuse(l, LINT_CRL_TWICE, f);
    memcpy(l->last, serial.p, serial.n);
    l->last_n = serial.n;
    return CE_OK;
}
