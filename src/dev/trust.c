/* trust.c: which root of a bundle does the root in hand prove? See cradle/trust.h. */
#include "cradle/trust.h"

#include <string.h>

#include "der.h"
#include "est.h"

struct ca {
    struct cradle_cert cert;
    struct der_in tbs, issuer, subject, sig; /* tbs with its header */
};

static bool may_sign(struct der_in list)
{
    static const uint8_t oid_basic[] = { 0x55, 0x1d, 0x13 }, oid_usage[] = { 0x55, 0x1d, 0x0f };
    struct der_in ext, oid, flag, value, seq;
    bool ca = false, usage = true;
    while (list.n) {
        if (!der_take(&list, 0x30, &ext) || !der_take(&ext, 0x06, &oid))
            return false;
        bool critical = der_take(&ext, 0x01, &flag) && flag.n == 1 && flag.p[0];
        if (!der_take(&ext, 0x04, &value))
            return false;
        if (der_is(&oid, oid_basic, sizeof oid_basic))
            ca = der_take(&value, 0x30, &seq) && der_take(&seq, 0x01, &flag) && flag.n == 1 && flag.p[0] == 0xff;
        else if (der_is(&oid, oid_usage, sizeof oid_usage))
            usage = der_take(&value, 0x03, &seq) && seq.n >= 2 && (seq.p[1] & 0x04); /* keyCertSign */
        else if (critical)
            return false; /* RFC 5280 4.2 */
    }
    return ca && usage;
}

/* A CA with a P-256 key, signed with ECDSA and SHA-256. */
static bool ca_read(const uint8_t *der, size_t n, struct ca *o)
{
    static const uint8_t oid_ecdsa_sha256[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
    struct der_in in = { der, n }, cert, tbs, alg, inner, oid, part, list;
    if (cradle_cert_read(der, n, &o->cert) || !o->cert.point || !der_take(&in, 0x30, &cert))
        return false;
    o->tbs.p = cert.p;
    if (!der_take(&cert, 0x30, &tbs))
        return false;
    o->tbs.n = (size_t)(cert.p - o->tbs.p);
    if (!der_take(&cert, 0x30, &alg) || !der_take(&cert, 0x03, &o->sig) || cert.n || o->sig.n < 2 || o->sig.p[0])
        return false;
    o->sig = (struct der_in){ o->sig.p + 1, o->sig.n - 1 };
    if (!der_take(&tbs, 0xa0, &part) || !der_take(&tbs, 0x02, &part) || !der_take(&tbs, 0x30, &inner) || !der_is(&inner, alg.p, alg.n) ||
        !der_take(&alg, 0x06, &oid) || alg.n || !der_is(&oid, oid_ecdsa_sha256, sizeof oid_ecdsa_sha256))
        return false;
    if (!der_take(&tbs, 0x30, &o->issuer) || !der_take(&tbs, 0x30, &part) || !der_take(&tbs, 0x30, &o->subject) || !der_take(&tbs, 0x30, &part))
        return false;
    return der_take(&tbs, 0xa3, &part) && der_take(&part, 0x30, &list) && may_sign(list);
}

/* 1: by this key, 0: not, -1: a callback failed */
static int signed_by(const struct cradle_update_port *port, const struct ca *c, const uint8_t *point)
{
    uint8_t digest[32];
    if (port->sha256_begin(port->ctx) || port->sha256_add(port->ctx, c->tbs.p, c->tbs.n) || port->sha256_end(port->ctx, digest))
        return -1;
    return port->verify(port->ctx, point, digest, c->sig.p, c->sig.n) == 0;
}

static bool holds(const struct ca *c, int64_t now_s) { return !now_s || (now_s >= c->cert.not_before_s && now_s <= c->cert.not_after_s); }

struct search {
    const struct cradle_update_port *port;
    struct ca root;
    struct der_in certs;
    int64_t now_s;
    const uint8_t *proven[1 + CRADLE_TRUST_LINKS]; /* points; the first is the root in hand */
    int n;
};

static bool is_proven(const struct search *s, const uint8_t *point)
{
    for (int i = 0; i < s->n; i++)
        if (memcmp(s->proven[i], point, CRADLE_POINT_LEN) == 0)
            return true;
    return false;
}

/* The next certificate that has the name of the root in hand as subject and issuer. */
static bool next_named(const struct search *s, struct der_in *rest, const uint8_t **der, size_t *len, struct ca *c)
{
    struct der_in body;
    while (rest->n) {
        *der = rest->p;
        if (!der_take(rest, 0x30, &body))
            return false;
        *len = (size_t)(rest->p - *der);
        if (ca_read(*der, *len, c) && der_is(&c->subject, s->root.subject.p, s->root.subject.n) && der_is(&c->issuer, c->subject.p, c->subject.n) && holds(c, s->now_s))
            return true;
    }
    return false;
}

/* Follows links from the keys that are proven so far. */
static int links_follow(struct search *s)
{
    for (int at = 0; at < s->n; at++) {
        struct der_in rest = s->certs;
        const uint8_t *der;
        size_t len;
        struct ca c;
        while (s->n <= CRADLE_TRUST_LINKS && next_named(s, &rest, &der, &len, &c)) {
            if (is_proven(s, c.cert.point))
                continue;
            int r = signed_by(s->port, &c, s->proven[at]);
            if (r < 0)
                return CRADLE_E_SIGN;
            if (r)
                s->proven[s->n++] = c.cert.point;
        }
    }
    return CRADLE_OK;
}

static int newest_find(const struct search *s, const uint8_t **next, size_t *next_len)
{
    struct der_in rest = s->certs;
    int64_t newest_s = s->root.cert.not_before_s;
    bool unproven = false;
    const uint8_t *der;
    size_t len;
    struct ca c;
    while (next_named(s, &rest, &der, &len, &c)) {
        if (c.cert.not_before_s <= newest_s)
            continue;
        int r = signed_by(s->port, &c, c.cert.point);
        if (r < 0)
            return CRADLE_E_SIGN;
        if (!r)
            continue; /* a link */
        if (!is_proven(s, c.cert.point)) {
            unproven = true;
            continue;
        }
        newest_s = c.cert.not_before_s;
        *next = der;
        *next_len = len;
    }
    if (unproven)
        *next = NULL;
    return unproven ? CRADLE_E_MISMATCH : CRADLE_OK;
}

int cradle_trust_next(const struct cradle_update_port *port, const uint8_t *root, size_t root_len, char *body, size_t n, int64_t now_s, const uint8_t **next,
                      size_t *next_len)
{
    struct search s = { .port = port, .now_s = now_s, .n = 1 };
    *next = NULL;
    *next_len = 0;
    if (!ca_read(root, root_len, &s.root) || est_certs(body, n, &s.certs))
        return CRADLE_E_INPUT;
    s.proven[0] = s.root.cert.point;
    int r = holds(&s.root, now_s) ? links_follow(&s) : CRADLE_OK; /* one that has ended proves nothing */
    return r ? r : newest_find(&s, next, next_len);
}
