/* trust.c: see trust.h. */
#include "crypt/trust.h"

#include <stdio.h>

#include "crypt/key_gate.h"

static bool self_issued(const struct cert *c) { return span_eq(c->issuer, c->subject); }

static bool may_sign(const struct cert *c) { return c->is_ca && (!c->key_usage || (c->key_usage & KU_CERT_SIGN)) && !c->critical_unknown; }

/* Self-signed, not only self-issued: links between roots are the latter too. */
static bool is_root(const struct cert *c) { return self_issued(c) && may_sign(c) && !(c->aki.n && c->ski.n && !span_eq(c->aki, c->ski)) && cert_check_issued(c, c) == CE_OK; }

static bool ended(const struct cert *c, int64_t now_s) { return c->not_after != CERT_NO_END && now_s > c->not_after; }
static bool holds(const struct cert *c, int64_t now_s) { return now_s >= c->not_before && !ended(c, now_s); }
static bool same_key(const struct cert *a, const struct cert *b) { return span_eq(a->subject, b->subject) && span_eq(a->spki, b->spki); }

static bool trust_has(const struct trust *t, const struct cert *c)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->root[i].der, c->der))
            return true;
    return false;
}

static enum err trust_put(struct trust *t, const struct cert *c, struct fault *f)
{
    if (trust_has(t, c))
        return CE_OK;
    if (t->n == TRUST_ROOTS_MAX)
        return fault_set(f, CE_TOO_LARGE, "more than %d roots", TRUST_ROOTS_MAX);
    t->root[t->n++] = *c;
    return CE_OK;
}

enum err trust_read(const struct span *certs, size_t n, struct trust *out, struct fault *f)
{
    struct cert c;
    enum err e = CE_OK;
    out->n = 0;
    for (size_t i = 0; !e && i < n; i++)
        if (cert_parse(certs[i], &c, NULL) == CE_OK && is_root(&c))
            e = trust_put(out, &c, f);
    return e;
}

/* -- judging a bundle ----------------------------------------------------------------------------------------------------------------- */
struct bundle {
    struct cert cert[TRUST_CERTS_MAX];
    bool root[TRUST_CERTS_MAX], proven[TRUST_CERTS_MAX]; /* proven: a link that leads from a root in hand */
    size_t n;
    int64_t now_s;
};

static enum err bundle_read(const struct span *certs, size_t n, struct bundle *b, struct fault *f)
{
    if (n > TRUST_CERTS_MAX)
        return fault_set(f, CE_TOO_LARGE, "a bundle of more than %d certificates", TRUST_CERTS_MAX);
    for (b->n = 0; b->n < n; b->n++) {
        struct cert *c = &b->cert[b->n];
        enum err e = cert_parse(certs[b->n], c, f);
        if (e)
            return e;
        b->root[b->n] = is_root(c);
    }
    return CE_OK;
}

/* Marks every link that a proven key signed: p is a root in hand, or a link proven before. */
static void links_prove(struct bundle *b, const struct cert *p)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct cert *link = &b->cert[i];
        if (b->root[i] || b->proven[i] || !self_issued(link) || !may_sign(link) || !holds(link, b->now_s) || cert_check_issued(link, p))
            continue;
        b->proven[i] = true;
        links_prove(b, link); /* each link is proven once, so no deeper than there are links */
    }
}

static const struct cert *newest_named(const struct trust *t, struct span subject)
{
    const struct cert *newest = NULL;
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->root[i].subject, subject) && (!newest || t->root[i].not_before > newest->not_before))
            newest = &t->root[i];
    return newest;
}

static enum err unproven(const struct bundle *b, const struct cert *root, struct fault *f)
{
    char hex[2 * 8 + 1];
    struct span who = root->cn.n && span_is_utf8(root->cn) ? root->cn : SPAN_LIT("without CN");
    for (size_t i = 0; i < 8; i++)
        snprintf(hex + 2 * i, 3, "%02x", root->spki_sha256[i]);
    for (size_t i = 0; i < b->n; i++)
        if (!b->root[i] && self_issued(&b->cert[i]) && same_key(&b->cert[i], root))
            return fault_set(f, CE_CHAIN, "root '" SPAN_FMT "' (key %s…) is new, and its link is not signed by a root that is trusted here, or does not hold now (RFC 4210 4.4)",
                             SPAN_ARG(who), hex);
    return fault_set(f, CE_CHAIN, "root '" SPAN_FMT "' (key %s…) is new, and no link leads to it from a root that is trusted here (RFC 4210 4.4)", SPAN_ARG(who), hex);
}

static bool key_proven(const struct bundle *b, const struct trust *have, const struct cert *root)
{
    for (size_t i = 0; i < have->n; i++)
        if (same_key(&have->root[i], root) && !ended(&have->root[i], b->now_s))
            return true;
    for (size_t i = 0; i < b->n; i++)
        if (b->proven[i] && same_key(&b->cert[i], root))
            return true;
    return false;
}

/* Root i of the bundle: in hand, to be taken (*take), or passed over because it is older, has ended or has not begun. */
static enum err root_judge(const struct bundle *b, const struct trust *have, const struct cert *c, bool *take, struct fault *f)
{
    const struct cert *newest = newest_named(have, c->subject);
    struct spki_info key;
    *take = false;
    if (trust_has(have, c))
        return CE_OK;
    if (!key_proven(b, have, c))
        return unproven(b, c, f);
    if (!holds(c, b->now_s) || !newest || c->not_before < newest->not_before)
        return CE_OK;
    *take = true;
    return key_gate(c->spki, NULL, &key, f);
}

/* Is there a newer root of this name in the bundle, one that is believed? */
static bool is_replaced(const struct bundle *b, const struct trust *now, const struct cert *old)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->root[i] && span_eq(b->cert[i].subject, old->subject) && b->cert[i].not_before > old->not_before && holds(&b->cert[i], b->now_s) && trust_has(now, &b->cert[i]))
            return true;
    return false;
}

static bool bundle_has(const struct bundle *b, const struct cert *c)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->root[i] && span_eq(b->cert[i].der, c->der))
            return true;
    return false;
}

static enum err change_make(const struct bundle *b, const struct trust *have, const bool *take, struct trust_change *out, struct fault *f)
{
    struct trust all = { .n = 0 };
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < have->n; i++)
        if (ended(&have->root[i], b->now_s))
            out->ended++;
        else
            e = trust_put(&all, &have->root[i], f);
    for (size_t i = 0; !e && i < b->n; i++)
        if (take[i] && !trust_has(&all, &b->cert[i])) {
            e = trust_put(&all, &b->cert[i], f);
            out->added += !e;
        }
    out->kept = all;
    for (size_t i = 0; !e && i < all.n; i++)
        if (!bundle_has(b, &all.root[i]) && is_replaced(b, &all, &all.root[i]))
            out->dropped++;
        else
            e = trust_put(&out->now, &all.root[i], f);
    if (!e && !out->now.n)
        e = fault_set(f, CE_CERT_EXPIRED, "every root in hand has ended, and the bundle brings no other that is proved");
    return e;
}

enum err trust_judge(const struct trust *have, const struct span *certs, size_t n, int64_t now_s, struct trust_change *out, struct fault *f)
{
    struct bundle b = { .now_s = now_s };
    bool take[TRUST_CERTS_MAX] = { false };
    *out = (struct trust_change){ .added = 0 };
    enum err e = bundle_read(certs, n, &b, f);
    if (e)
        return e;
    for (size_t i = 0; i < have->n; i++)
        if (!ended(&have->root[i], now_s))
            links_prove(&b, &have->root[i]);
    for (size_t i = 0; !e && i < b.n; i++)
        if (b.root[i])
            e = root_judge(&b, have, &b.cert[i], &take[i], f);
    return e ? e : change_make(&b, have, take, out, f);
}
