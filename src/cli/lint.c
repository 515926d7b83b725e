/* lint.c: `cradle lint`: judges certificates, CRLs, OCSP responses and requests in files, ours or anybody's, by the rules of crypt/lint.h. It verifies no
 * signature and asks nobody: needs no site.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "crypt/lint.h"
#include "crypt/pem.h"

#define LINT_FILE_MAX (256u << 20)

static const struct { const char *label; enum lint_object object; } labels[] = {
    { "CERTIFICATE", LINT_CERT }, { "X509 CERTIFICATE", LINT_CERT }, { "X509 CRL", LINT_CRL }, { "CRL", LINT_CRL }, { "OCSP RESPONSE", LINT_OCSP },
    { "CERTIFICATE REQUEST", LINT_CSR }, { "NEW CERTIFICATE REQUEST", LINT_CSR },
};
static const char *const words[LINT_OBJECTS] = { "cert", "crl", "ocsp", "csr" };

struct run {
    struct cli *c;
    const char *file;
    size_t errors, warnings, objects;
    struct json_out json;
};

static void print_text(const struct run *r, enum lint_object o, unsigned index, const struct lint_report *rep)
{
    char name[PATH_MAX_LEN + 16];
    snprintf(name, sizeof name, index ? "%s#%u" : "%s", r->file, index + 1);
    for (size_t i = 0; i < rep->n; i++) {
        const struct lint_info *rule = &lint_rules[rep->found[i].rule];
        bool bad = rule->level == LINT_ERROR;
        const char *where = rep->found[i].where;
        cli_say(r->c, "%s: %s%s%s: %s%s%s: must be: %s (%s)", name, cli_tint(r->c, bad ? TINT_BAD : TINT_WARN), bad ? "error" : "warning", cli_tint(r->c, TINT_NONE),
                rule->name, where[0] ? ", " : "", where, rule->text, rule->standard);
    }
    if (!rep->n)
        cli_say(r->c, "%s: %s, nothing found", name, lint_object_name(o));
}

static void print_json(struct run *r, enum lint_object o, unsigned index, const struct lint_report *rep)
{
    struct json_out *j = &r->json;
    json_obj(j, NULL);
    json_cstr(j, "file", r->file);
    json_int(j, "index", index + 1);
    json_cstr(j, "object", words[o]);
    json_int(j, "errors", (int64_t)rep->errors);
    json_int(j, "warnings", (int64_t)(rep->n - rep->errors));
    json_arr(j, "findings");
    for (size_t i = 0; i < rep->n; i++) {
        const struct lint_info *rule = &lint_rules[rep->found[i].rule];
        json_obj(j, NULL);
        json_cstr(j, "rule", rule->name);
        json_cstr(j, "level", rule->level == LINT_ERROR ? "error" : "warning");
        json_cstr(j, "where", rep->found[i].where);
        json_cstr(j, "standard", rule->standard);
        json_cstr(j, "text", rule->text);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

static void object_judge(struct run *r, enum lint_object o, unsigned index, struct span der)
{
    struct lint_report rep;
    lint_judge(o, der, &rep);
    r->objects++;
    r->errors += rep.errors;
    r->warnings += rep.n - rep.errors;
    if (r->c->json)
        print_json(r, o, index, &rep);
    else
        print_text(r, o, index, &rep);
}

/* Every block of PEM of a kind that we judge. */
static enum err pem_judge(struct run *r, struct span text, unsigned *n, struct fault *f)
{
    *n = 0;
    for (size_t k = 0; k < ARRAY_LEN(labels); k++)
        for (unsigned i = 0;; i++) {
            CLEANUP(buf_free) struct buf der = BUF_INIT(LINT_FILE_MAX);
            enum err e = pem_decode(text, labels[k].label, i, &der);
            if (e == CE_NOT_FOUND)
                break;
            if (e)
                return fault_set(f, e, "%s: %s block %u: %s", r->file, labels[k].label, i + 1, err_text(e));
            object_judge(r, labels[k].object, (*n)++, buf_span(&der));
        }
    return CE_OK;
}

static enum err file_judge(struct run *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(LINT_FILE_MAX);
    const char *as = cli_opt(r->c, "--kind");
    enum lint_object o = LINT_OBJECTS;
    unsigned n;
    enum err e = file_read(r->file, &bytes);
    if (e)
        return fault_set(f, e, "%s: cannot be read: %s", r->file, e == CE_TOO_LARGE ? err_text(e) : strerror(errno));
    e = pem_judge(r, buf_span(&bytes), &n, f);
    if (e || n)
        return e;
    for (size_t i = 0; as && i < LINT_OBJECTS; i++)
        if (strcmp(as, words[i]) == 0)
            o = (enum lint_object)i;
    if (!as && !lint_guess(buf_span(&bytes), &o))
        return fault_set(f, CE_BAD_INPUT, "%s: neither PEM nor DER of a certificate, CRL, OCSP response or request; --kind judges it as one of them", r->file);
    object_judge(r, o, 0, buf_span(&bytes));
    return CE_OK;
}

static enum err lint_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct run r = { .c = c, .json = JSON_OUT(&out) };
    const char *as = cli_opt(c, "--kind");
    bool known = !as;
    enum err e = CE_OK;
    for (size_t i = 0; !known && i < LINT_OBJECTS; i++)
        known = strcmp(as, words[i]) == 0;
    if (!known)
        return fault_set(f, CE_USAGE, "--kind is cert, crl, ocsp or csr");
    json_obj(&r.json, NULL);
    json_arr(&r.json, "objects");
    for (int i = 0; i < c->nargs && !e; i++) {
        r.file = c->args[i];
        e = file_judge(&r, f);
    }
    json_arr_end(&r.json);
    json_int(&r.json, "errors", (int64_t)r.errors);
    json_int(&r.json, "warnings", (int64_t)r.warnings);
    json_obj_end(&r.json);
    if (e)
        return e;
    if (c->json)
        printf("%s\n", buf_cstr(&out));
    return r.errors ? fault_set(f, CE_LINT, "%zu error%s and %zu warning%s in %zu object%s", r.errors, r.errors == 1 ? "" : "s", r.warnings, r.warnings == 1 ? "" : "s",
                                r.objects, r.objects == 1 ? "" : "s")
                    : CE_OK;
}

static const struct verb_opt opts[] = {
    { "--kind", "KIND", "cert, crl, ocsp or csr: what a file in DER is, when its bytes do not say it", false },
};
const struct verb verb_lint = {
    .name = "lint",
    .args = "FILE...",
    .min_args = 1,
    .max_args = -1,
    .help = "judge certificates, CRLs, OCSP responses and requests by the rules of their standards",
    .text = "Reads PEM (every block of it) or DER, of this site or of anybody, and says which rule of X.690, RFC 5280, RFC 6960 or RFC 2986 is broken and where. "
            "What breaks a rule of level error is never signed by this service. Verifies no signature and asks nobody. Exits with 7 when there is an error, with 0 "
            "when there are warnings at most. The rules are in docs/lint.md.",
    .example = "cradle lint device.pem\ncradle lint --json ca/bundle.pem pub/crl/device/0.crl\ncradle lint --kind csr request.der",
    VERB_OPTS(opts),
    .run = lint_run,
};
