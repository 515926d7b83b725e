/* cmp.c: fuzz target of CMP: messages, each kind of body, protection by a secret; and what may be signed as an answer. */
#include "base/log.h"
#include "crypt/cmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fault why;

static bool said(enum err e)
{
    INVARIANT(!e || (why.code == e && why.text[0]));
    why.code = CE_OK;
    why.text[0] = 0;
    return e == CE_OK;
}

static void request(struct span body)
{
    struct cmp_cert_request q;
    struct csr csr;
    struct buf spki = BUF_INIT(KEY_SPKI_MAX);
    if (said(cmp_cert_request_parse(body, &q, &why)) && said(cmp_request_csr(&q, &spki, &csr, &why))) {
        INVARIANT(csr.cn.n >= 1 && csr.cn.n <= 64 && span_eq(csr.spki, buf_span(&spki)));
        said(cmp_pop_verify(&q, csr.spki, &why));
    }
    buf_free(&spki);
}

static void body(const struct cmp_message *m)
{
    struct cmp_revocation rr;
    struct cmp_confirm conf;
    struct cmp_info infos[CMP_INFOS];
    struct csr csr;
    size_t n;
    int64_t id;
    request(m->body);
    said(cmp_revocation_parse(m->body, &rr, &why));
    if (said(cmp_confirm_parse(m->body, &conf, &why)))
        INVARIANT(conf.none || (conf.hash.n && conf.hash.n <= SHA512_LEN));
    said(cmp_poll_parse(m->body, &id, &why));
    said(cmp_infos_parse(m->body, infos, &n, &why));
    said(csr_parse(m->body, &csr, &why));
}

/* What is read is written again the same way, and gives the same MAC. */
static void protection(const struct cmp_message *m)
{
    struct cmp_mac mac, again;
    uint8_t a[SHA512_LEN], b[SHA512_LEN];
    if (!m->alg.n || !said(cmp_mac_parse(m->alg, &mac, &why)))
        return;
    INVARIANT(mac.iterations <= CMP_ITERATIONS_MAX && mac.salt.n >= 8 && mac.salt.n <= 64);
    struct buf alg = BUF_INIT(0);
    cmp_mac_put(&mac, &alg);
    INVARIANT(cmp_mac_parse(buf_span(&alg), &again, &why) == CE_OK && again.hash == mac.hash && again.mac == mac.mac);
    if (mac.iterations < 2000) {
        size_t n = cmp_mac_make(&mac, SPAN_LIT("secret"), m->header_body, a);
        INVARIANT(n == mac.mac / 8 && cmp_mac_make(&again, SPAN_LIT("secret"), m->header_body, b) == n && memcmp(a, b, n) == 0);
    }
    buf_free(&alg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cmp_message m;
    struct span certs[CMP_ANSWER_CERTS];
    size_t n;
    struct buf part = BUF_INIT(0);
    said(cmp_answer_check(span_of(data, size), certs, &n, &why));
    if (!said(cmp_parse(span_of(data, size), &m, &why)))
        return 0;
    INVARIANT(m.pvno == 2 || m.pvno == 3);
    INVARIANT(m.header_body.p >= data && m.header_body.p + m.header_body.n <= data + size);
    body(&m);
    protection(&m);
    cmp_protected_put(m.header_body, &part);
    said(cmp_answer_check(buf_span(&part), certs, &n, &why));
    buf_free(&part);
    return 0;
}

#include "t/fuzz/replay.h"
