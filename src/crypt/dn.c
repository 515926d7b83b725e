/* dn.c: see dn.h. */
#include "crypt/dn.h"

#include "crypt/der.h"
#include "crypt/oid.h"

static enum err dn_value(const struct der_item *v, bool strict, struct fault *f)
{
    if (!strict)
        return CE_OK;
    if (v->tag != DER_UTF8 && v->tag != DER_PRINTABLE)
        return fault_set(f, CE_BAD_NAME, "RFC 5280 4.1.2.4: subject attributes must be UTF8String or PrintableString (tag 0x%02x given)", v->tag);
    if (v->body.n == 0 || v->body.n > DN_VALUE_MAX)
        return fault_set(f, CE_BAD_NAME, "RFC 5280 A.1: a subject attribute has 1 to %d characters (%zu given)", DN_VALUE_MAX, v->body.n);
    if (!span_is_utf8(v->body))
        return fault_set(f, CE_BAD_NAME, "a subject attribute is not UTF-8 text without NUL and control characters");
    return CE_OK;
}

static void dn_note(struct dn *out, struct span oid, struct span value)
{
    static const struct { uint8_t last; size_t at, count; } known[] = {
        { DN_CN, offsetof(struct dn, cn), offsetof(struct dn, n_cn) },
        { DN_SERIAL_NUMBER, offsetof(struct dn, serial_number), offsetof(struct dn, n_serial_number) },
        { DN_O, offsetof(struct dn, o), offsetof(struct dn, n_o) },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (oid.n != 3 || oid.p[0] != 0x55 || oid.p[1] != 0x04 || oid.p[2] != known[i].last)
            continue;
        unsigned *count = (unsigned *)((char *)out + known[i].count);
        if ((*count)++ == 0)
            *(struct span *)((char *)out + known[i].at) = value;
        return;
    }
    out->n_other++;
}

static enum err dn_rdn(struct span set, bool strict, struct dn *out, struct fault *f)
{
    struct span attr, oid;
    struct der_item value;
    unsigned n = 0;
    while (set.n) {
        if (der_get(&set, DER_SEQUENCE, &attr) || der_get_oid(&attr, &oid) || der_any(&attr, &value) || attr.n)
            return fault_set(f, CE_BAD_DER, "RFC 5280 4.1.2.4: malformed AttributeTypeAndValue");
        if (++n > 1 && strict)
            return fault_set(f, CE_BAD_NAME, "relative names with several attributes are refused; give each attribute its own");
        enum err e = dn_value(&value, strict, f);
        if (e)
            return e;
        bool text = value.tag == DER_UTF8 || value.tag == DER_PRINTABLE;
        dn_note(out, oid, text && span_is_utf8(value.body) ? value.body : span_of(NULL, 0));
    }
    return n ? CE_OK : fault_set(f, CE_BAD_DER, "RFC 5280 4.1.2.4: an empty RelativeDistinguishedName");
}

enum err dn_parse(struct span name, bool strict, struct dn *out, struct fault *f)
{
    struct span set;
    *out = (struct dn){ .n_cn = 0 };
    while (name.n) {
        if (der_get(&name, DER_SET, &set))
            return fault_set(f, CE_BAD_DER, "RFC 5280 4.1.2.4: malformed Name");
        enum err e = dn_rdn(set, strict, out, f);
        if (e)
            return e;
    }
    return CE_OK;
}

/* RFC 4108 5: HardwareModuleName ::= SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING }, as an otherName of RFC 5280 4.2.1.6.
 * other: the contents of the [0]. Another kind of name is nothing to say about. */
static enum err san_hardware(struct span other, struct san *out, struct fault *f)
{
    struct span oid, value, seq, type, serial;
    if (der_get_oid(&other, &oid) || der_get(&other, DER_CONTEXT_CONS(0), &value) || other.n)
        return fault_set(f, CE_BAD_DER, "RFC 5280 4.2.1.6: malformed otherName");
    if (!span_eq(oid, SPAN_LIT(OID_HARDWARE_MODULE_NAME)))
        return CE_OK;
    if (der_get(&value, DER_SEQUENCE, &seq) || value.n || der_get_oid(&seq, &type) || der_get(&seq, DER_OCTET_STRING, &serial) || seq.n || !serial.n)
        return fault_set(f, CE_BAD_DER, "RFC 4108 5: malformed hardwareModuleName");
    if (out->hw_type.n)
        return fault_set(f, CE_BAD_NAME, "RFC 4108 5: two hardwareModuleNames");
    out->hw_type = type;
    out->hw_serial = serial;
    return CE_OK;
}

enum err san_parse(struct span value, struct san *out, struct fault *f)
{
    struct span names;
    struct der_item it;
    *out = (struct san){ .n_uri = 0 };
    if (der_get(&value, DER_SEQUENCE, &names) || value.n || names.n == 0)
        return fault_set(f, CE_BAD_DER, "RFC 5280 4.2.1.6: malformed SubjectAltName");
    while (names.n) {
        if (der_any(&names, &it) || it.tag < 0x80)
            return fault_set(f, CE_BAD_DER, "RFC 5280 4.2.1.6: malformed GeneralName");
        bool uri = it.tag == DER_CONTEXT(6), dns = it.tag == DER_CONTEXT(2);
        if ((uri || dns) && !span_is_utf8(it.body))
            return fault_set(f, CE_BAD_NAME, "RFC 5280 4.2.1.6: a URI or DNS name is not plain text");
        if (uri && out->n_uri++ == 0)
            out->uri = it.body;
        if (dns && out->n_dns++ == 0)
            out->dns = it.body;
        out->n_other += !uri && !dns;
        enum err e = it.tag == DER_CONTEXT_CONS(0) ? san_hardware(it.body, out, f) : CE_OK;
        if (e)
            return e;
    }
    return CE_OK;
}

bool dn_printable(struct span v)
{
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == 0 || !strchr(" '()+,-./:=?", c)))
            return false;
    }
    return true;
}

void dn_put(struct buf *out, enum dn_attr attr, struct span value)
{
    /* serialNumber and countryName are PrintableString by definition, RFC 5280 A.1 */
    bool printable = (attr == DN_SERIAL_NUMBER || attr == DN_C) && dn_printable(value);
    size_t attr_size = 5 + der_header_size(value.n) + value.n;
    der_put_header(out, DER_SET, der_header_size(attr_size) + attr_size);
    der_put_header(out, DER_SEQUENCE, attr_size);
    der_put(out, DER_OID, span_of((uint8_t[]){ 0x55, 0x04, (uint8_t)attr }, 3));
    der_put(out, printable ? DER_PRINTABLE : DER_UTF8, value);
}

enum err ext_get(struct span *in, struct ext *out)
{
    struct span seq;
    *out = (struct ext){ .ce = 0 };
    if (der_get(in, DER_SEQUENCE, &seq) || der_get_oid(&seq, &out->oid))
        return CE_BAD_DER;
    if (der_peek(seq, DER_BOOLEAN) && (der_get_bool(&seq, &out->critical) || !out->critical))
        return CE_BAD_DER; /* X.690 11.5: a default value is left out */
    if (der_get(&seq, DER_OCTET_STRING, &out->value) || seq.n)
        return CE_BAD_DER;
    if (out->oid.n == 3 && out->oid.p[0] == 0x55 && out->oid.p[1] == 0x1d)
        out->ce = out->oid.p[2];
    return CE_OK;
}

struct ext_mark ext_begin_oid(struct buf *out, struct span oid, bool critical)
{
    struct ext_mark m;
    m.seq = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, oid);
    if (critical)
        der_put_bool(out, true);
    m.octets = der_begin(out, DER_OCTET_STRING);
    return m;
}

struct ext_mark ext_begin(struct buf *out, enum ext_id id, bool critical)
{
    return ext_begin_oid(out, span_of((uint8_t[]){ 0x55, 0x1d, (uint8_t)id }, 3), critical);
}

void ext_end(struct buf *out, struct ext_mark m)
{
    der_end(out, m.octets);
    der_end(out, m.seq);
}

void ext_put_aki(struct buf *out, struct span key_id)
{
    struct ext_mark m = ext_begin(out, EXT_AKI, false);
    der_put_header(out, DER_SEQUENCE, der_header_size(key_id.n) + key_id.n);
    der_put(out, DER_CONTEXT(0), key_id);
    ext_end(out, m);
}
