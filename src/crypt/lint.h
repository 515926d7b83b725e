/* lint.h: does a certificate, CRL, OCSP response or request keep the rules of its standard? Pure: DER in, findings out. It judges the form
 * and what an object says about itself; not who signed it, not whether it is valid now, not policy. The rules are lint.def and docs/lint.md.
 *
 * Two uses: what is to be signed here is judged before a key signs it (lint_release, called by x509_sign); and files of anybody
 * (`cradle lint`).
 */
#ifndef CRADLE_CRYPT_LINT_H
#define CRADLE_CRYPT_LINT_H

#include "base/span.h"

enum lint_object { LINT_CERT, LINT_CRL, LINT_OCSP, LINT_CSR, LINT_OBJECTS };
const char *lint_object_name(enum lint_object o); /* "certificate", "CRL", "OCSP response", "request" */

enum lint_level { LINT_WARN, LINT_ERROR };
enum lint_rule {
#define LINT(NAME, level, name, objects, standard, text) LINT_##NAME,
#include "crypt/lint.def"
#undef LINT
    LINT_RULES
};
struct lint_info { const char *name; enum lint_level level; const char *objects, *standard, *text; };
extern const struct lint_info lint_rules[LINT_RULES];

struct lint_finding {
    enum lint_rule rule;
    char where[64]; /* "subjectAltName", "entry 17"; "" when the rule says it */
};
struct lint_report {
    struct lint_finding found[LINT_RULES]; /* each rule once, where it was broken first */
    size_t n;
    size_t errors;                         /* findings of level LINT_ERROR */
    bool seen[LINT_RULES];
};
/* Judges a whole object in DER. */
void lint_judge(enum lint_object o, struct span der, struct lint_report *out);
/* What kind of object is it, by its outermost elements? False: none of these. */
MUST_USE bool lint_guess(struct span der, enum lint_object *out);
/* What is inside, before it is signed by an algorithm (an AlgorithmIdentifier): TBSCertificate, TBSCertList, ResponseData. Warnings do not count.
 * CE_LINT with rule, standard and place. */
MUST_USE enum err lint_release(enum lint_object o, struct span tbs, struct span algorithm, struct fault *f);
/* The same of a CRL whose entries come one by one: lint_release judges it without them, this judges each, by its serial. Its form breaks no rule, when
 * crl_decode (crl_stream.h) took it. Entries come in ascending order: only so is it seen without a list of all that none comes twice. CE_LINT. */
struct lint_entries { size_t n, last_n; uint8_t last[20]; };
MUST_USE enum err lint_release_entry(struct lint_entries *l, struct span serial, struct fault *f);

#endif
