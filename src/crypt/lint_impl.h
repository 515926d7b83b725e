/* lint_impl.h: what the lint_*.c share. */
#ifndef CRADLE_CRYPT_LINT_IMPL_H
#define CRADLE_CRYPT_LINT_IMPL_H

#include "crypt/der.h"
#include "crypt/lint.h"

struct lint {
    struct lint_report *out;
    struct span algorithm;      /* AlgorithmIdentifier beside the signature */
    const char *place;          /* for findings of what is read in several places */
};
void lint_add(struct lint *l, enum lint_rule rule, const char *fmt, ...) PRINTF_LIKE(3, 4); /* fmt: where */
static inline void lint_add_if(struct lint *l, bool broken, enum lint_rule rule)
{
    if (broken)
        lint_add(l, rule, "%s", l->place);
}
/* Every element below: tags of one byte, lengths, booleans, integers, strings, times. False: it cannot be walked. */
bool lint_walk(struct lint *l, struct span in);
/* Takes a time; kind judged by its year unless general (OCSP). -1: it is none. */
bool lint_time(struct lint *l, struct span *in, int64_t *at_s);

/* lint_name.c */
struct lint_names { bool empty; unsigned n_cn, n_serial; };
void lint_name(struct lint *l, struct span name, struct lint_names *out); /* contents of a Name */
/* GeneralNames: how many; URIs of places are http or ldap when `fetched`. */
size_t lint_general_names(struct lint *l, struct span names, bool fetched);

/* lint_ext.c: what the extensions say, for the rules between them */
struct lint_ext {
    bool self_signed, is_request;
    bool has_basic, is_ca, basic_critical, has_path_len, has_ku, has_eku, has_aki_id, has_ski, has_nc, nocheck, has_san, san_critical;
    unsigned ku, eku;           /* ku: first byte; bit 8: decipherOnly */
};
void lint_extensions(struct lint *l, struct span list, struct lint_ext *x); /* contents of the SEQUENCE */
/* One Extension of any list: syntax, seen before (n_seen of cap), criticality is the caller's. False: it is malformed. */
#define LINT_EXTS_MAX 64
struct lint_seen { struct span oid[LINT_EXTS_MAX]; size_t n; };
struct ext;
bool lint_ext_next(struct lint *l, struct span *list, struct lint_seen *seen, struct ext *out);
const char *lint_ext_name(const struct ext *x, char *out, size_t cap);
void lint_idp_point(struct lint *l, struct span name); /* contents of a DistributionPointName's [0] */
bool lint_aki(struct lint *l, struct span value, bool *has_id);

/* lint_cert.c, lint_crl.c, lint_ocsp.c: contents of TBSCertificate, TBSCertList, ResponseData, CertificationRequestInfo */
void lint_tbs_cert(struct lint *l, struct span tbs);
void lint_tbs_csr(struct lint *l, struct span tbs);
void lint_tbs_crl(struct lint *l, struct span tbs);
void lint_tbs_ocsp(struct lint *l, struct span tbs);

#endif
