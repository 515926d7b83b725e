/* oid_text.c: see oid_text.h. An arc is a number of any size: decimal digits on one side, groups of seven bits on the other. */
#include "crypt/oid_text.h"

#include "base/mem.h"

#define OID_DER_MAX 64
#define ARC_DIGITS 60

/* Appends the arc plus add in base 128. False: no number. */
static bool arc_put(struct span text, unsigned add, struct buf *out)
{
    uint8_t digit[ARC_DIGITS], group[OID_DER_MAX];
    size_t n = 0, groups = 0;
    if (!text.n || text.n > ARC_DIGITS - 1 || (text.n > 1 && text.p[0] == '0'))
        return false;
    digit[n++] = 0; /* room for a carry */
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        digit[n++] = (uint8_t)(text.p[i] - '0');
    }
    for (size_t i = n; add && i-- > 0; add /= 10) {
        add += digit[i];
        digit[i] = (uint8_t)(add % 10);
    }
    bool zero;
    do { /* divides by 128 */
        unsigned rest = 0;
        zero = true;
        for (size_t i = 0; i < n; i++) {
            rest = rest * 10 + digit[i];
            digit[i] = (uint8_t)(rest / 128);
            rest %= 128;
            zero = zero && !digit[i];
        }
        group[groups++] = (uint8_t)rest;
    } while (!zero);
    while (groups-- > 0)
        buf_put_u8(out, (uint8_t)(group[groups] | (groups ? 0x80 : 0)));
    return true;
}

enum err oid_from_text(const char *what, struct span text, struct buf *out, struct fault *f)
{
    struct span rest = text, first, second, arc;
    size_t before = out->len;
    bool good = text.n <= OID_TEXT_MAX && span_cut(&rest, '.', &first) && first.n == 1 && first.p[0] >= '0' && first.p[0] <= '2' && rest.n && span_cut(&rest, '.', &second);
    good = good && (first.p[0] == '2' || second.n == 1 || (second.n == 2 && second.p[0] < '4'));
    good = good && arc_put(second, (unsigned)(first.p[0] - '0') * 40, out);
    while (good && rest.n && span_cut(&rest, '.', &arc))
        good = arc_put(arc, 0, out);
    if (good && text.p[text.n - 1] != '.' && out->len - before <= OID_DER_MAX)
        return buf_err(out);
    return fault_set(f, CE_BAD_FIELD, "%s must be an OBJECT IDENTIFIER such as 1.3.6.1.4.1.32473.7 (X.660)", what);
}

void oid_uuid(const uint8_t uuid[16], struct buf *out)
{
    bool begun = false;
    buf_put_u8(out, 2 * 40 + 25);
    for (int group = 18; group >= 0; group--) { /* 19 groups of 7 bits, the first of 2 */
        unsigned v = 0;
        for (int bit = group * 7 + 6; bit >= group * 7; bit--)
            v = v << 1 | (bit < 128 ? uuid[15 - bit / 8] >> bit % 8 & 1u : 0);
        begun = begun || v || group == 0;
        if (begun)
            buf_put_u8(out, (uint8_t)(v | (group ? 0x80 : 0)));
    }
}

static void arc_print(const uint8_t *p, size_t n, unsigned less, struct buf *out)
{
    uint8_t digit[OID_DER_MAX * 3] = { 0 }; /* least first */
    size_t used = 1;
    for (size_t i = 0; i < n; i++) {
        unsigned carry = p[i] & 0x7f;
        for (size_t k = 0; k < used || carry; k++) {
            if (k == used)
                used++;
            carry += digit[k] * 128u;
            digit[k] = (uint8_t)(carry % 10);
            carry /= 10;
        }
    }
    for (size_t k = 0; less; k++) { /* never below zero: the caller has looked */
        unsigned take = less % 10;
        less /= 10;
        if (digit[k] < take) {
            digit[k] = (uint8_t)(digit[k] + 10);
            less++;
        }
        digit[k] = (uint8_t)(digit[k] - take);
    }
    while (used > 1 && !digit[used - 1])
        used--;
    while (used-- > 0)
        buf_put_u8(out, (uint8_t)('0' + digit[used]));
}

void oid_to_text(struct span oid, struct buf *out)
{
    bool is_first = true;
    for (size_t from = 0, i = 0; i < oid.n && oid.n <= OID_DER_MAX; i++) {
        if (oid.p[i] & 0x80)
            continue;
        if (is_first) {
            unsigned top = i == 0 && oid.p[0] < 80 ? oid.p[0] / 40 : 2;
            buf_printf(out, "%u.", top);
            arc_print(oid.p, i + 1, top * 40, out);
        } else {
            buf_put_u8(out, '.');
            arc_print(oid.p + from, i + 1 - from, 0, out);
        }
        is_first = false;
        from = i + 1;
    }
}
