/* lint_name.c: names: distinguished names, general names, URIs. See lint.h. */
#include "base/mem.h"
#include "crypt/lint_impl.h"
#include "crypt/oid.h"

/* -- attributes of a Name ------------------------------------------------------------------------------------------------------ */
#define OID_AT(last) "\x55\x04" last
#define OID_EMAIL "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
#define OID_DC "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"
enum attr_kind { ATTR_TEXT, ATTR_PRINTABLE, ATTR_IA5, ATTR_COUNTRY };
/* clang-format off */
static const struct attr_row {
    struct span oid;
    const char *name;
    enum attr_kind kind;
    size_t max; /* characters, the ub- of RFC 5280 A.1; 0: none */
} attrs[] = {
    { SPAN_LIT(OID_AT("\x03")), "commonName",             ATTR_TEXT,      64 },
    { SPAN_LIT(OID_AT("\x05")), "serialNumber",           ATTR_PRINTABLE, 64 },
    { SPAN_LIT(OID_AT("\x0a")), "organizationName",       ATTR_TEXT,      64 },
    { SPAN_LIT(OID_AT("\x0b")), "organizationalUnitName", ATTR_TEXT,      64 },
    { SPAN_LIT(OID_AT("\x06")), "countryName",            ATTR_COUNTRY,   2 },
    { SPAN_LIT(OID_AT("\x07")), "localityName",           ATTR_TEXT,      128 },
    { SPAN_LIT(OID_AT("\x08")), "stateOrProvinceName",    ATTR_TEXT,      128 },
    { SPAN_LIT(OID_AT("\x0c")), "title",                  ATTR_TEXT,      64 },
    { SPAN_LIT(OID_AT("\x04")), "surname",                ATTR_TEXT,      32768 },
    { SPAN_LIT(OID_AT("\x2a")), "givenName",              ATTR_TEXT,      32768 },
    { SPAN_LIT(OID_AT("\x2b")), "initials",               ATTR_TEXT,      32768 },
    { SPAN_LIT(OID_AT("\x2c")), "generationQualifier",    ATTR_TEXT,      32768 },
    { SPAN_LIT(OID_AT("\x29")), "name",                   ATTR_TEXT,      32768 },
    { SPAN_LIT(OID_AT("\x2e")), "dnQualifier",            ATTR_PRINTABLE, 0 },
    { SPAN_LIT(OID_AT("\x41")), "pseudonym",              ATTR_TEXT,      128 },
    { SPAN_LIT(OID_EMAIL),      "emailAddress",           ATTR_IA5,       255 },
    { SPAN_LIT(OID_DC),         "domainComponent",        ATTR_IA5,       0 },
};
/* clang-format on */

static size_t characters(const struct der_item *v)
{
    size_t n = 0;
    if (v->tag == 0x1e) /* BMPString */
        return v->body.n / 2;
    if (v->tag == 0x1c) /* UniversalString */
        return v->body.n / 4;
    if (v->tag != DER_UTF8)
        return v->body.n;
    for (size_t i = 0; i < v->body.n; i++)
        n += (v->body.p[i] & 0xc0) != 0x80;
    return n;
}

static bool country(const struct der_item *v)
{
    const uint8_t *p = v->body.p;
    return v->tag == DER_PRINTABLE && v->body.n == 2 && ((p[0] | 0x20) >= 'a' && (p[0] | 0x20) <= 'z') && ((p[1] | 0x20) >= 'a' && (p[1] | 0x20) <= 'z');
}

static void attr_judge(struct lint *l, const struct attr_row *a, const struct der_item *v)
{
    size_t n = characters(v);
    if (a->kind == ATTR_COUNTRY) {
        if (!country(v))
            lint_add(l, LINT_NAME_COUNTRY, "%s", l->place);
        return;
    }
    if (n == 0 || (a->max && n > a->max))
        lint_add(l, LINT_NAME_LENGTH, "%s, %s of %zu characters", l->place, a->name, n);
    if (a->kind == ATTR_IA5 && v->tag != DER_IA5)
        lint_add(l, LINT_NAME_IA5, "%s, %s", l->place, a->name);
    if (a->kind == ATTR_PRINTABLE && v->tag != DER_PRINTABLE)
        lint_add(l, LINT_NAME_PRINTABLE, "%s, %s", l->place, a->name);
    if (a->kind == ATTR_TEXT && v->tag != DER_UTF8 && v->tag != DER_PRINTABLE)
        lint_add(l, LINT_NAME_STRING, "%s, %s", l->place, a->name);
}

void lint_name(struct lint *l, struct span name, struct lint_names *out)
{
    struct span set, attr, oid;
    struct der_item value;
    *out = (struct lint_names){ .empty = name.n == 0 };
    while (name.n) {
        if (der_get(&name, DER_SET, &set) || set.n == 0) {
            lint_add(l, LINT_STRUCTURE, "%s", l->place);
            return;
        }
        while (set.n) {
            if (der_get(&set, DER_SEQUENCE, &attr) || der_get_oid(&attr, &oid) || der_any(&attr, &value) || attr.n) {
                lint_add(l, LINT_STRUCTURE, "%s", l->place);
                return;
            }
            for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
                if (!span_eq(attrs[i].oid, oid))
                    continue;
                out->n_cn += i == 0;
                out->n_serial += i == 1;
                attr_judge(l, &attrs[i], &value);
                break;
            }
        }
    }
    if (out->n_cn > 1 || out->n_serial > 1)
        lint_add(l, LINT_NAME_TWICE, "%s", l->place);
}

/* -- general names ----------------------------------------------------------------------------------------------------------------- */
/* RFC 3986 3: scheme ":" something, in the characters that a URI may have. */
static void lint_uri(struct lint *l, struct span uri)
{
    size_t colon = 0;
    bool good = uri.n > 0;
    while (colon < uri.n && uri.p[colon] != ':')
        colon++;
    good = good && colon > 0 && colon + 1 < uri.n;
    for (size_t i = 0; good && i < uri.n; i++) {
        uint8_t c = uri.p[i];
        bool alpha = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'), digit = c >= '0' && c <= '9';
        if (i < colon)
            good = alpha || (i > 0 && (digit || c == '+' || c == '-' || c == '.'));
        else if (c == '%')
            good = i + 2 < uri.n && hex_value(uri.p[i + 1]) >= 0 && hex_value(uri.p[i + 2]) >= 0;
        else
            good = alpha || digit || (c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}", c));
    }
    if (!good)
        lint_add(l, LINT_URI, "%s", l->place);
}

static void dns_judge(struct lint *l, struct span name)
{
    size_t label = 0;
    bool good = name.n > 0 && name.n <= 253;
    if (name.n > 2 && name.p[0] == '*' && name.p[1] == '.')
        name = span_of(name.p + 2, name.n - 2);
    for (size_t i = 0; good && i < name.n; i++) {
        uint8_t c = name.p[i];
        bool alnum = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (c == '_')
            lint_add(l, LINT_DNS_UNDERSCORE, "%s", l->place);
        bool end = i + 1 == name.n || name.p[i + 1] == '.';
        if (c == '.')
            good = label > 0 && i + 1 < name.n;
        else
            good = alnum || c == '_' || (c == '-' && label > 0 && !end);
        label = c == '.' ? 0 : label + 1;
        good = good && label <= 63;
    }
    if (!good)
        lint_add(l, LINT_DNS, "%s", l->place);
}

static void email_judge(struct lint *l, struct span v)
{
    const uint8_t *at = v.n ? memchr(v.p, '@', v.n) : NULL;
    bool good = at && at > v.p && at + 1 < v.p + v.n;
    for (size_t i = 0; good && i < v.n; i++)
        good = v.p[i] > ' ' && v.p[i] < 0x7f;
    if (!good)
        lint_add(l, LINT_EMAIL, "%s", l->place);
}

static void lint_general_name(struct lint *l, const struct der_item *name)
{
    struct span v = name->body, oid, seq;
    struct lint_names names;
    switch (name->tag) {
    case DER_CONTEXT_CONS(0):
        if (der_get_oid(&v, &oid) || der_get(&v, DER_CONTEXT_CONS(0), &seq) || v.n || seq.n == 0)
            lint_add(l, LINT_EXT_SYNTAX, "%s, otherName", l->place);
        break;
    case DER_CONTEXT(1): email_judge(l, v); break;
    case DER_CONTEXT(2): dns_judge(l, v); break;
    case DER_CONTEXT_CONS(4):
        if (der_get(&v, DER_SEQUENCE, &seq) || v.n)
            lint_add(l, LINT_EXT_SYNTAX, "%s, directoryName", l->place);
        else
            lint_name(l, seq, &names);
        break;
    case DER_CONTEXT(6): lint_uri(l, v); break;
    case DER_CONTEXT(7):
        if (v.n != 4 && v.n != 16)
            lint_add(l, LINT_IP, "%s", l->place);
        break;
    case DER_CONTEXT_CONS(3):
    case DER_CONTEXT_CONS(5):
    case DER_CONTEXT(8): break;
    default: lint_add(l, LINT_EXT_SYNTAX, "%s, tag %02x of a GeneralName", l->place, name->tag); break;
    }
}

size_t lint_general_names(struct lint *l, struct span names, bool fetched)
{
    struct der_item it;
    size_t n = 0;
    for (; names.n; n++) {
        if (der_any(&names, &it)) {
            lint_add(l, LINT_EXT_SYNTAX, "%s", l->place);
            return n;
        }
        lint_general_name(l, &it);
        if (fetched && it.tag == DER_CONTEXT(6) && it.body.n > 6 && span_eq_nocase(span_of(it.body.p, 6), "https:"))
            lint_add(l, LINT_URL_HTTPS, "%s", l->place);
    }
    return n;
}
