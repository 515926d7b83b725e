/* lint.c: the rules for what is signed: for each rule an object that breaks it and nothing else; objects of this site and of OpenSSL break none; what breaks
 * one is not signed. Objects are written as text: hex digits, 'ASCII', @N (N bytes), TT{…} (an element with tag TT). */
#include <ctype.h>
#include <time.h>

#include "crypt/crl.h"
#include "crypt/csr.h"
#include "crypt/der.h"
#include "crypt/lint.h"
#include "crypt/ocsp.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];
static struct ca root, device, infra;
static bool broken[LINT_RULES];

/* -- objects from text ---------------------------------------------------------------------------------------------------------- */
static const char *assemble(const char *s, struct buf *out)
{
    while (*s && *s != '}') {
        if (*s == ' ') {
            s++;
        } else if (*s == '\'') {
            for (s++; *s != '\''; s++)
                buf_put_u8(out, (uint8_t)*s);
            s++;
        } else if (*s == '@') {
            for (long n = strtol(s + 1, (char **)&s, 10); n; n--)
                buf_put_u8(out, 'A');
        } else {
            char two[3] = { s[0], s[1], 0 };
            unsigned byte = (unsigned)strtoul(two, NULL, 16);
            if (s[2] != '{') {
                buf_put_u8(out, (uint8_t)byte);
                s += 2;
                continue;
            }
            size_t at = der_begin(out, byte);
            s = assemble(s + 3, out);
            der_end(out, at);
            s += *s == '}';
        }
    }
    return s;
}

#define ALG "30{06{2a8648ce3d040302}}"
#define NAME(s) "30{31{30{06{550403} 0c{'" s "'}}}}"
#define EC_SPKI "30{30{06{2a8648ce3d0201} 06{2a8648ce3d030107}} 03{0004@64}}"
#define RSA_SPKI(n) "30{30{06{2a864886f70d010101} 0500} 03{00 30{02{" n "} 02{010001}}}}"
#define EXT(oid, value) "30{06{" oid "} 04{" value "}}"
#define CRIT(oid, value) "30{06{" oid "} 0101ff 04{" value "}}"
#define AKI EXT("551d23", "30{80{0102}}")
#define SKI EXT("551d0e", "04{0304}")
#define BC CRIT("551d13", "30{}")
#define BC_CA CRIT("551d13", "30{0101ff}")
#define KU(v) CRIT("551d0f", "03{" v "}")
#define PKIX "2b06010505070"
#define NOCHECK "2b0601050507300105"
#define NONCE "2b0601050507300102"
#define EKU(v) EXT("551d25", "30{" v "}")
#define CLIENT "06{" PKIX "302}"
#define SAN(v) EXT("551d11", "30{" v "}")
#define UTC(t) "17{'" t "'}"
#define GEN(t) "18{'" t "'}"

/* The parts of each kind of object; NULL in `parts`: as here. */
enum { C_VERSION, C_SERIAL, C_ALG, C_ISSUER, C_VALIDITY, C_SUBJECT, C_SPKI, C_UNIQUE, C_BASIC, C_USAGE, C_EKU, C_SAN, C_MORE, C_OUTER, C_AKI, C_SKI, PARTS };
static const char *const cert_parts[PARTS] = {
    "a0{020102}", "02{11223344}", ALG, NAME("ca"), "30{" UTC("250101000000Z") UTC("350101000000Z") "}", NAME("dev"), EC_SPKI, "", BC, KU("0780"),
    EKU(CLIENT), SAN("86{'urn:a:b'}"), "", ALG, AKI, SKI
};
enum { R_VERSION, R_ALG, R_ISSUER, R_THIS, R_NEXT, R_LIST, R_AKI, R_NUMBER, R_MORE };
static const char *const crl_parts[PARTS] = {
    "020101", ALG, NAME("ca"), UTC("250101000000Z"), UTC("250201000000Z"), "30{30{02{11} " UTC("241201000000Z") " 30{" EXT("551d15", "0a0101") "}}}", AKI,
    EXT("551d14", "020107"), ""
};
#define CERTID "30{30{06{2b0e03021a} 0500} 04{@20} 04{@20} 02{11}}"
enum { O_STATUS, O_RESPONDER, O_PRODUCED, O_CERTID, O_GOOD, O_THIS, O_NEXT, O_EXTS, O_ALL };
static const char *const ocsp_parts[PARTS] = {
    "0a0100", "a2{04{@20}}", GEN("20250101000000Z"), CERTID, "8000", GEN("20250101000000Z"), "a0{" GEN("20250108000000Z") "}",
    "a1{30{" EXT(NONCE, "04{@16}") "}}", NULL
};
enum { Q_VERSION, Q_SUBJECT, Q_SPKI, Q_ATTRS, Q_ALG };
static const char *const csr_parts[PARTS] = {
    "020100", NAME("dev"), EC_SPKI, "30{06{2a864886f70d01090e} 31{30{" SAN("86{'urn:a:b'}") "}}}", ALG
};

static void object_text(enum lint_object o, const char *const p[PARTS], char *out, size_t cap)
{
    if (o == LINT_CERT)
        snprintf(out, cap, "30{30{%s %s %s %s %s %s %s %s a3{30{%s %s %s %s %s %s %s}}} %s 03{0041}}", p[C_VERSION], p[C_SERIAL], p[C_ALG], p[C_ISSUER],
                 p[C_VALIDITY], p[C_SUBJECT], p[C_SPKI], p[C_UNIQUE], p[C_AKI], p[C_SKI], p[C_BASIC], p[C_USAGE], p[C_EKU], p[C_SAN], p[C_MORE], p[C_OUTER]);
    else if (o == LINT_CRL)
        snprintf(out, cap, "30{30{%s %s %s %s %s %s a0{30{%s %s %s}}} " ALG " 03{0041}}", p[R_VERSION], p[R_ALG], p[R_ISSUER], p[R_THIS], p[R_NEXT], p[R_LIST],
                 p[R_AKI], p[R_NUMBER], p[R_MORE]);
    else if (o == LINT_CSR)
        snprintf(out, cap, "30{30{%s %s %s a0{%s}} %s 03{0041}}", p[Q_VERSION], p[Q_SUBJECT], p[Q_SPKI], p[Q_ATTRS], p[Q_ALG]);
    else {
        char one[1024];
        snprintf(one, sizeof one, "30{%s %s %s %s}", p[O_CERTID], p[O_GOOD], p[O_THIS], p[O_NEXT]);
        snprintf(out, cap, "30{%s a0{30{06{2b0601050507300101} 04{30{30{%s %s 30{%s} %s} " ALG " 03{0041}}}}}}", p[O_STATUS], p[O_RESPONDER], p[O_PRODUCED],
                 p[O_ALL] ? p[O_ALL] : one, p[O_EXTS]);
    }
}

static const char *const *const good_parts[LINT_OBJECTS] = { cert_parts, crl_parts, ocsp_parts, csr_parts };

static void judge_with(enum lint_object o, int part, const char *text, int part2, const char *text2, struct lint_report *rep)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    const char *p[PARTS];
    char whole[8192];
    memcpy(p, good_parts[o], sizeof p);
    if (part >= 0)
        p[part] = text;
    if (part2 >= 0)
        p[part2] = text2;
    object_text(o, p, whole, sizeof whole);
    assemble(whole, &der);
    lint_judge(o, buf_span(&der), rep);
}

static void findings_text(const struct lint_report *rep, char *out, size_t cap)
{
    out[0] = 0;
    for (size_t i = 0; i < rep->n; i++)
        snprintf(out + strlen(out), cap - strlen(out), "%s(%s) ", lint_rules[rep->found[i].rule].name, rep->found[i].where);
}

/* The object with these parts breaks this rule and no other. */
static void bad2(enum lint_rule rule, enum lint_object o, int part, const char *text, int part2, const char *text2)
{
    struct lint_report rep;
    char found[1024];
    judge_with(o, part, text, part2, text2, &rep);
    findings_text(&rep, found, sizeof found);
    broken[rule] |= rep.seen[rule];
    ok(rep.n == 1 && rep.seen[rule] && rep.errors == (lint_rules[rule].level == LINT_ERROR), "%s: %s", lint_rules[rule].name, found);
}
static void bad(enum lint_rule rule, enum lint_object o, int part, const char *text) { bad2(rule, o, part, text, -1, NULL); }

/* What cannot be read further may break others beside it. */
static void bad_der(enum lint_rule rule, enum lint_object o, const char *text)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    struct lint_report rep;
    assemble(text, &der);
    lint_judge(o, buf_span(&der), &rep);
    broken[rule] |= rep.seen[rule];
    ok(rep.seen[rule] && rep.errors, "%s: %s", lint_rules[rule].name, text);
}

/* -- certificates ------------------------------------------------------------------------------------------------------------------ */
#define SUBJECT(oid, tag, value) "30{31{30{06{550403} 0c{'dev'}}} 31{30{06{" oid "} " tag "{" value "}}}}"
static void fields(void)
{
    bad_der(LINT_DER, LINT_CERT, "30 80 0000");
    bad_der(LINT_DER, LINT_CERT, "30 81 02 0500");
    bad_der(LINT_DER, LINT_CRL, "30{} 00");
    bad_der(LINT_STRUCTURE, LINT_CERT, "30{30{} 30{} 03{0041}}");
    bad_der(LINT_STRUCTURE, LINT_CRL, "30{30{020101} " ALG " 03{0041}}");
    bad_der(LINT_STRUCTURE, LINT_OCSP, "30{30{}}");
    bad_der(LINT_STRUCTURE, LINT_CSR, "30{30{020100} " ALG " 03{0041}}");
    bad_der(LINT_OID, LINT_CERT, "30{06{5504800a}}");
    bad(LINT_SET_ORDER, LINT_CERT, C_SUBJECT, "30{31{30{06{55040a} 0c{'b'}} 30{06{550403} 0c{'a'}}}}");
    bad(LINT_PRINTABLE, LINT_CERT, C_SUBJECT, SUBJECT("55040a", "13", "'a_b'"));
    bad(LINT_UTF8, LINT_CERT, C_SUBJECT, SUBJECT("55040a", "0c", "c328"));
    bad(LINT_IA5, LINT_CERT, C_SUBJECT, SUBJECT("2a864886f70d010901", "16", "80"));
    bad_der(LINT_TIME, LINT_CRL, "30{17{'2501010000Z'}}");
    bad(LINT_TIME_KIND, LINT_CERT, C_VALIDITY, "30{" GEN("20250101000000Z") UTC("350101000000Z") "}");
    bad(LINT_TIME_KIND, LINT_CRL, R_NEXT, GEN("20250201000000Z"));
    bad(LINT_SIG_EQUAL, LINT_CERT, C_ALG, "30{06{2a8648ce3d040303}}");
    bad(LINT_SIG_EQUAL, LINT_CRL, R_ALG, "30{06{2a8648ce3d040303}}");
    bad(LINT_SIG_PARAMS, LINT_CSR, Q_ALG, "30{06{2a8648ce3d040302} 0500}");
    bad2(LINT_SIG_PARAMS, LINT_CERT, C_ALG, "30{06{2a864886f70d01010b}}", C_OUTER, "30{06{2a864886f70d01010b}}");
    bad(LINT_SIG_WEAK, LINT_CSR, Q_ALG, "30{06{2a864886f70d010105} 0500}");
    bad(LINT_SIG_UNKNOWN, LINT_CSR, Q_ALG, "30{06{2a0304}}");
    bad(LINT_NAME_LENGTH, LINT_CERT, C_SUBJECT, SUBJECT("55040a", "0c", "@65"));
    bad(LINT_NAME_LENGTH, LINT_CSR, Q_SUBJECT, SUBJECT("55040a", "0c", ""));
    bad(LINT_NAME_COUNTRY, LINT_CERT, C_SUBJECT, SUBJECT("550406", "0c", "'DE'"));
    bad(LINT_NAME_IA5, LINT_CERT, C_SUBJECT, SUBJECT("0992268993f22c640119", "0c", "'example'"));
    bad(LINT_NAME_PRINTABLE, LINT_CERT, C_SUBJECT, SUBJECT("550405", "0c", "'SN_1'"));
    bad(LINT_NAME_STRING, LINT_CERT, C_SUBJECT, SUBJECT("55040a", "14", "'x'"));
    bad(LINT_NAME_TWICE, LINT_CERT, C_SUBJECT, SUBJECT("550403", "0c", "'x'"));
    bad(LINT_VERSION, LINT_CERT, C_VERSION, "");
    bad(LINT_VERSION, LINT_CRL, R_VERSION, "");
    bad(LINT_DEFAULT, LINT_CERT, C_BASIC, CRIT("551d13", "30{010100}"));
    bad(LINT_INTEGER, LINT_CERT, C_SERIAL, "02{0011}");
    bad(LINT_SERIAL_POSITIVE, LINT_CERT, C_SERIAL, "02{00}");
    bad(LINT_SERIAL_POSITIVE, LINT_CERT, C_SERIAL, "02{80}");
    bad(LINT_SERIAL_LENGTH, LINT_CERT, C_SERIAL, "02{@21}");
    bad(LINT_ISSUER_EMPTY, LINT_CERT, C_ISSUER, "30{}");
    bad(LINT_ISSUER_EMPTY, LINT_CRL, R_ISSUER, "30{}");
    bad(LINT_SUBJECT_EMPTY, LINT_CERT, C_SUBJECT, "30{}");
    bad(LINT_VALIDITY, LINT_CERT, C_VALIDITY, "30{" UTC("250102000000Z") UTC("250101000000Z") "}");
    bad(LINT_UNIQUE_ID, LINT_CERT, C_UNIQUE, "81{0041}");
    bad(LINT_SPKI, LINT_CERT, C_SPKI, "30{30{06{2a8648ce3d0201} 06{2a8648ce3d030107}} 03{0004@63}}");
    bad(LINT_SPKI_WEAK, LINT_CSR, Q_SPKI, RSA_SPKI("@128"));
    bad(LINT_SPKI_WEAK, LINT_CERT, C_SPKI, "30{30{06{2a8648ce3d0201} 06{2b81040021}} 03{0004@56}}");
    bad(LINT_SPKI_UNKNOWN, LINT_CERT, C_SPKI, "30{30{06{2a0304}} 03{0041}}");
}

static void extensions(void)
{
    struct lint_report rep;
    bad_der(LINT_BOOLEAN, LINT_CSR, "30{30{020100 " NAME("d") EC_SPKI " a0{30{06{2a864886f70d01090e} 31{30{30{06{551d13} 010101 0400}}}}}} " ALG " 03{0041}}");
    bad(LINT_BITS, LINT_CERT, C_USAGE, KU("0080"));
    bad(LINT_BITS, LINT_CERT, C_USAGE, KU("0781"));
    bad(LINT_EXT_NONE, LINT_CSR, Q_ATTRS, "30{06{2a864886f70d01090e} 31{30{}}}");
    bad(LINT_EXT_TWICE, LINT_CERT, C_MORE, SKI);
    bad(LINT_EXT_SYNTAX, LINT_CERT, C_SAN, EXT("551d11", "0500"));
    bad(LINT_EXT_SYNTAX, LINT_CERT, C_BASIC, CRIT("551d13", "0500"));
    bad(LINT_EXT_CRITICAL, LINT_CERT, C_MORE, EXT("551d24", "30{800100}"));
    bad2(LINT_EXT_CRITICAL, LINT_CERT, C_BASIC, EXT("551d13", "30{0101ff}"), C_USAGE, KU("0204"));
    bad(LINT_EXT_NONCRITICAL, LINT_CERT, C_AKI, CRIT("551d23", "30{80{0102}}"));
    bad(LINT_EXT_UNKNOWN, LINT_CERT, C_MORE, CRIT("2a0304", "0500"));
    bad(LINT_DEFAULT, LINT_CERT, C_MORE, "30{06{2a0304} 010100 04{0500}}");
    bad(LINT_AKI_MISSING, LINT_CERT, C_AKI, "");
    bad(LINT_AKI_MISSING, LINT_CRL, R_AKI, "");
    bad(LINT_AKI_PAIR, LINT_CERT, C_AKI, EXT("551d23", "30{80{0102} 82{01}}"));
    bad2(LINT_SKI_CA, LINT_CERT, C_SKI, BC_CA, C_BASIC, "");
    bad(LINT_SKI_LEAF, LINT_CERT, C_SKI, "");
    bad(LINT_KU_CA, LINT_CERT, C_USAGE, KU("0284"));
    bad2(LINT_KU_CA, LINT_CERT, C_BASIC, BC_CA, C_USAGE, "");
    bad2(LINT_KU_EMPTY, LINT_CERT, C_USAGE, KU("00"), C_EKU, "");
    bad(LINT_KU_CRITICAL, LINT_CERT, C_USAGE, EXT("551d0f", "03{0780}"));
    bad(LINT_KU_KEY, LINT_CERT, C_USAGE, KU("05a0"));
    bad2(LINT_KU_KEY, LINT_CERT, C_USAGE, KU("0388"), C_SPKI, RSA_SPKI("@384"));
    bad(LINT_KU_EKU, LINT_CERT, C_USAGE, KU("0640"));
    bad(LINT_EKU_EMPTY, LINT_CERT, C_EKU, EKU(""));
    bad(LINT_EKU_TWICE, LINT_CERT, C_EKU, EKU(CLIENT CLIENT));
    bad(LINT_EKU_ANY, LINT_CERT, C_EKU, EKU(CLIENT "06{551d2500}"));
    bad(LINT_EKU_TIME, LINT_CERT, C_EKU, EKU(CLIENT "06{" PKIX "308}"));
    bad(LINT_NOCHECK, LINT_CERT, C_MORE, EXT(NOCHECK, "0500"));
    bad2(LINT_NOCHECK, LINT_CERT, C_MORE, EXT(NOCHECK, "0400"), C_EKU, EKU("06{" PKIX "309}"));
    bad(LINT_PATH_LEN, LINT_CERT, C_BASIC, CRIT("551d13", "30{020101}"));
    bad(LINT_SAN_EMPTY, LINT_CERT, C_SAN, SAN(""));
    bad(LINT_SAN_CRITICAL, LINT_CERT, C_SAN, CRIT("551d11", "30{86{'urn:a:b'}}"));
    bad(LINT_URI, LINT_CERT, C_SAN, SAN("86{'no scheme'}"));
    bad(LINT_URI, LINT_CERT, C_SAN, SAN("86{'urn:a%2'}"));
    bad(LINT_URI, LINT_CSR, Q_ATTRS, "30{06{2a864886f70d01090e} 31{30{" SAN("86{'/path'}") "}}}");
    bad(LINT_DNS, LINT_CERT, C_SAN, SAN("82{'a..b'}"));
    bad(LINT_DNS, LINT_CERT, C_SAN, SAN("82{@64}"));
    bad(LINT_DNS, LINT_CERT, C_SAN, SAN("82{'-a.b'}"));
    bad(LINT_DNS_UNDERSCORE, LINT_CERT, C_SAN, SAN("82{'a_b.example'}"));
    bad(LINT_IP, LINT_CERT, C_SAN, SAN("87{0a0000}"));
    bad(LINT_EMAIL, LINT_CERT, C_SAN, SAN("81{'nobody'}"));
    bad(LINT_CDP, LINT_CERT, C_MORE, EXT("551d1f", "30{30{81{0780}}}"));
    bad(LINT_URL_HTTPS, LINT_CERT, C_MORE, EXT("551d1f", "30{30{a0{a0{86{'https://a.example/0.crl'}}}}}"));
    bad(LINT_AIA_EMPTY, LINT_CERT, C_MORE, EXT(PKIX "101", "30{}"));
    bad(LINT_NC_CA, LINT_CERT, C_MORE, CRIT("551d1e", "30{a1{30{8100}}}"));
    bad2(LINT_NC_EMPTY, LINT_CERT, C_BASIC, BC_CA CRIT("551d1e", "30{}"), C_USAGE, KU("0204"));
    bad(LINT_POLICY_TWICE, LINT_CERT, C_MORE, EXT("551d20", "30{30{06{2a03}} 30{06{2a03}}}"));
    judge_with(LINT_CERT, C_SAN, SAN("82{'*.a.example'} 87{0a000001} 81{'a@b'} a0{06{2a03} a0{0500}} a4{" NAME("x") "}"), C_MORE,
               EXT("551d1f", "30{30{a0{a0{86{'http://a.example/0.crl'}}}}}"), &rep);
    ok(rep.n == 0, "names of every kind are fine");
}

/* -- CRLs, OCSP responses, requests --------------------------------------------------------------------------------------------- */
#define ENTRY(serial, exts) "30{02{" serial "} " UTC("241201000000Z") exts "}"
static void lists(void)
{
    bad(LINT_CRL_NEXT, LINT_CRL, R_NEXT, "");
    bad(LINT_CRL_NEXT, LINT_CRL, R_NEXT, UTC("250101000000Z"));
    bad(LINT_CRL_LIST, LINT_CRL, R_LIST, "30{}");
    bad(LINT_CRL_NUMBER, LINT_CRL, R_NUMBER, "");
    bad(LINT_CRL_NUMBER, LINT_CRL, R_NUMBER, EXT("551d14", "02{@21}"));
    bad(LINT_CRL_IDP, LINT_CRL, R_MORE, CRIT("551d1c", "30{}"));
    bad(LINT_CRL_IDP, LINT_CRL, R_MORE, CRIT("551d1c", "30{8101ff 8201ff}"));
    bad(LINT_EXT_CRITICAL, LINT_CRL, R_MORE, EXT("551d1c", "30{8101ff}"));
    bad(LINT_DEFAULT, LINT_CRL, R_MORE, CRIT("551d1c", "30{8101ff 840100}"));
    bad(LINT_CRL_SERIAL, LINT_CRL, R_LIST, "30{" ENTRY("00", "") "}");
    bad(LINT_SERIAL_LENGTH, LINT_CRL, R_LIST, "30{" ENTRY("@21", "") "}");
    bad(LINT_CRL_TWICE, LINT_CRL, R_LIST, "30{" ENTRY("11", "") ENTRY("12", "") ENTRY("11", "") "}");
    bad(LINT_CRL_REASON, LINT_CRL, R_LIST, "30{" ENTRY("11", "30{" EXT("551d15", "0a0107") "}") "}");
    bad(LINT_CRL_REASON, LINT_CRL, R_LIST, "30{" ENTRY("11", "30{" EXT("551d15", "0a0108") "}") "}");
    bad(LINT_CRL_UNSPECIFIED, LINT_CRL, R_LIST, "30{" ENTRY("11", "30{" EXT("551d15", "0a0100") "}") "}");
    bad(LINT_EXT_NONCRITICAL, LINT_CRL, R_LIST, "30{" ENTRY("11", "30{" CRIT("551d15", "0a0101") "}") "}");
    bad(LINT_CRL_FUTURE, LINT_CRL, R_LIST, "30{30{02{11} " UTC("250102000000Z") "}}");
    bad(LINT_CRL_INDIRECT, LINT_CRL, R_LIST, "30{" ENTRY("11", "30{" CRIT("551d1d", "30{a4{" NAME("ca") "}}") "}") "}");
    bad(LINT_EXT_NONE, LINT_CRL, R_LIST, "30{" ENTRY("11", "30{}") "}");
    bad_der(LINT_OCSP_STATUS, LINT_OCSP, "30{0a0104}");
    bad_der(LINT_OCSP_STATUS, LINT_OCSP, "30{0a0100}");
    bad(LINT_OCSP_RESPONDER, LINT_OCSP, O_RESPONDER, "a2{04{@19}}");
    bad(LINT_OCSP_RESPONDER, LINT_OCSP, O_RESPONDER, "a1{30{}}");
    bad(LINT_OCSP_EMPTY, LINT_OCSP, O_ALL, "");
    bad(LINT_OCSP_CERTID, LINT_OCSP, O_CERTID, "30{30{06{2b0e03021a} 0500} 04{@32} 04{@20} 02{11}}");
    bad(LINT_OCSP_WINDOW, LINT_OCSP, O_NEXT, "a0{" GEN("20241231000000Z") "}");
    bad(LINT_OCSP_NEXT, LINT_OCSP, O_NEXT, "");
    bad(LINT_OCSP_PRODUCED, LINT_OCSP, O_THIS, GEN("20250102000000Z"));
    bad(LINT_OCSP_NONCE, LINT_OCSP, O_EXTS, "a1{30{" EXT(NONCE, "04{}") "}}");
    bad(LINT_CRL_REASON, LINT_OCSP, O_GOOD, "a1{" GEN("20241231000000Z") "a0{0a0108}}");
    bad(LINT_CSR_VERSION, LINT_CSR, Q_VERSION, "020101");
    bad(LINT_CSR_ATTRIBUTE, LINT_CSR, Q_ATTRS, "30{06{2a864886f70d010907} 31{}}");
    for (int o = 0; o < LINT_OBJECTS; o++) {
        struct lint_report rep;
        char found[1024];
        judge_with((enum lint_object)o, -1, NULL, -1, NULL, &rep);
        findings_text(&rep, found, sizeof found);
        ok(rep.n == 0, "the %s that all of these come from is good %s", lint_object_name((enum lint_object)o), found);
    }
    for (int i = 0; i < LINT_RULES; i++)
        if (!broken[i])
            ok(false, "no object here breaks rule %s", lint_rules[i].name);
}

/* -- ours, OpenSSL's, and what is not signed ------------------------------------------------------------------------------------- */
static void fine(enum lint_object o, struct span der, const char *what)
{
    struct lint_report rep;
    enum lint_object guess = LINT_OBJECTS;
    char found[1024];
    lint_judge(o, der, &rep);
    findings_text(&rep, found, sizeof found);
    ok(rep.n == 0 && lint_guess(der, &guess) && guess == o, "%s: nothing found %s", what, found);
}

static void fine_file(const char *name, const char *label, enum lint_object o)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0), der = BUF_INIT(0);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", dir, name);
    site_must(file_read(path, &text), NULL, path);
    if (pem_decode(buf_span(&text), label, 0, &der))
        buf_put_span(&der, buf_span(&text));
    fine(o, buf_span(&der), name);
}

static enum err leaf_make(const char *profile, const char *alg, struct buf *out, struct fault *f)
{
    CLEANUP(key_free_p) struct key *k = NULL;
    struct profile p;
    uint8_t serial[16] = { 0x41 };
    int64_t now = clock_now_s();
    site_must(profile_parse("device", span_str(profile), &p, f), f, "profile");
    site_must(key_generate(alg, &k, f), f, alg);
    struct issue_request r = { .serial = span_of(serial, 16), .spki = key_spki(k), .not_before = now - 60, .not_after = now + SITE_DAY,
                               .values = { .uid = SPAN_LIT("dev-1"), .serial = SPAN_LIT("SN 1"), .line = SPAN_LIT("pump"), .role = SPAN_LIT("admin") } };
    return issue_leaf(&device, &p, &r, out, f);
}

static void ours(void)
{
    static const char *const algs[] = { "ec:P-256", "ec:P-384", "ed25519", "rsa:3072" };
    static const char *const files[] = { "ca/root.pem", "ca/device.pem", "ca/infra.pem", "ca/device-ocsp.pem", "ca/infra-ocsp.pem" };
    CLEANUP(buf_free) struct buf der = BUF_INIT(0), packed = BUF_INIT(0), id = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    int64_t now = clock_now_s();
    uint8_t serial[16] = { 0x41 };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        fine_file(files[i], "CERTIFICATE", LINT_CERT);
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        buf_reset(&der);
        ok(leaf_make("key_algs = ec:P-256 ec:P-384 ed25519 rsa:3072\n", algs[i], &der, &f) == CE_OK, "a leaf with an %s key: %s", algs[i], f.text);
        fine(LINT_CERT, buf_span(&der), "it");
    }
    for (int i = 0; i < 40; i++)
        crl_entry_put(&packed, span_of((uint8_t[]){ 1, (uint8_t)(i * 16) }, 2), now - i, (unsigned)(i % 7 == 6 ? 9 : i % 7));
    struct crl_request r = { .shard = 0, .number = 1, .this_update = now, .next_update = now + SITE_DAY };
    r.entries = span_of(packed.data, 24); /* two */
    buf_reset(&der);
    ok(crl_build(&device, &r, &der, &f) == CE_OK, "a CRL: %s", f.text);
    fine(LINT_CRL, buf_span(&der), "it");
    size_t at = der_begin(&id, DER_SEQUENCE);
    assemble("30{06{2b0e03021a} 0500}", &id);
    der_put(&id, DER_OCTET_STRING, span_of(device.name_sha1, 20));
    der_put(&id, DER_OCTET_STRING, span_of(device.key_sha1, 20));
    der_put_uint(&id, span_of(serial, 16));
    der_end(&id, at);
    for (int i = OCSP_GOOD; i <= OCSP_UNKNOWN; i++) {
        struct ocsp_single s = { .certid = buf_span(&id), .status = (enum ocsp_cert_status)i, .revoked_at = now - 9, .reason = 1 };
        buf_reset(&der);
        ok(ocsp_response_build(&device, &s, 1, now, now + 300, span_of(serial, 16), &der, &f) == CE_OK, "an OCSP response: %s", f.text);
        fine(LINT_OCSP, buf_span(&der), "it");
    }
    struct key *k;
    site_must(key_generate("ec:P-256", &k, &f), &f, "key");
    buf_reset(&der);
    site_must(csr_build(k, SPAN_LIT("dev-1"), SPAN_LIT("SN 1"), SPAN_LIT("urn:a:b"), &der), NULL, "request");
    fine(LINT_CSR, buf_span(&der), "a request of ours");
    key_free(k);
}

static void of_openssl(void)
{
    site_must(site_sh("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out x.pem -days 9 -subj /C=DE/O=Acme/CN=ca "
                      "-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null && openssl req -new -key k.pem -subj /CN=dev -addext 'subjectAltName=DNS:a.example,IP:10.0.0.1' -out r.pem && "
                      "printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=i.txt\\ncrlnumber=n.txt\\ndefault_md=sha256\\ndefault_crl_days=9\\ncrl_extensions=e\\n[e]\\nauthorityKeyIdentifier=keyid\\n' > c.conf && "
                      ": > i.txt && echo 01 > n.txt && openssl ca -config c.conf -gencrl -keyfile k.pem -cert x.pem -out x.crl 2>/dev/null", dir) ? CE_OK : CE_IO, NULL, "openssl");
    fine_file("x.pem", "CERTIFICATE", LINT_CERT);
    fine_file("r.pem", "CERTIFICATE REQUEST", LINT_CSR);
    fine_file("x.crl", "X509 CRL", LINT_CRL);
}

static int signatures;
static enum err sign_counted(void *ctx, struct span message, struct buf *sig)
{
    signatures++;
    return key_sign(ctx, message, sig);
}

static void not_signed(void)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    struct key *k;
    struct ca own = device;
    site_must(key_external(device.cert.spki, sign_counted, NULL, device.key, &k, &f), &f, "external key");
    device.key = k;
    ok(leaf_make("subject = CN={uid}, C=\\c3\\a4\n", "ec:P-256", &out, &f) == CE_LINT && !out.len && !signatures, "a country that is none: %s", f.text);
    ok(strstr(f.text, "RFC 5280 A.1") && strstr(f.text, "name-country") && strstr(f.text, "dev-1"), "the text names standard, rule and object");
    ok(leaf_make("san_uri = 1x:{uid}\n", "ec:P-256", &out, &f) == CE_LINT && !out.len && !signatures, "a URI whose scheme is none: %s", f.text);
    ok(leaf_make("", "ec:P-256", &out, &f) == CE_OK && signatures == 1, "a good one is signed");
    struct timespec a, b;
    struct cert c;
    struct lint_report rep;
    site_must(cert_parse(buf_span(&out), &c, &f), &f, "leaf");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (int i = 0; i < 20000; i++)
        lint_judge(LINT_CERT, buf_span(&out), &rep);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    printf("# a leaf of %zu bytes is judged in %.2f us\n", out.len, ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 20000e3);
    key_free(k);
    device = own;
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    site_make(dir, &root, 16);
    site_must(ca_load(&device, dir, "device", SITE_URL, 16, &key_source_files, &f), &f, "device CA");
    site_must(ca_load(&infra, dir, "infra", SITE_URL, 16, &key_source_files, &f), &f, "infra CA");
    fields();
    extensions();
    lists();
    ours();
    of_openssl();
    not_signed();
    ca_close(&root);
    ca_close(&device);
    ca_close(&infra);
    site_remove(dir);
    return done();
}
