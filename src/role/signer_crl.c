/* signer_crl.c: CRLs, whose entries come in parts. The signer writes head and end by itself, reads each entry, and hashes what passes by: it keeps none of them
 * (but for keys that want the whole message, Ed25519 and ML-DSA). See signer.h, crypt/crl_stream.h. */
#include "role/signer_impl.h"

#define CRL_LONGEST_S 31536000 /* see signer_ops.c */

/* The one of this CA and shard that is open, or NULL. */
static struct signer_crl *crl_find(struct signer *s, const struct ca *ca, int64_t shard)
{
    for (size_t i = 0; i < SIGNER_CRLS; i++)
        if (s->crls[i].ca == ca && s->crls[i].signing.shard == shard)
            return &s->crls[i];
    return NULL;
}

static void crl_close(struct signer_crl *c)
{
    crl_signing_free(&c->signing);
    *c = (struct signer_crl){ .ca = NULL };
}

void signer_crls_close(struct signer *s)
{
    for (size_t i = 0; i < SIGNER_CRLS; i++)
        crl_close(&s->crls[i]);
}

/* A free place; when there is none, that of the one begun first: whoever began it has given it up. */
static struct signer_crl *crl_place(struct signer *s)
{
    struct signer_crl *oldest = &s->crls[0];
    for (size_t i = 0; i < SIGNER_CRLS; i++) {
        if (!s->crls[i].ca)
            return &s->crls[i];
        if (s->crls[i].began < oldest->began)
            oldest = &s->crls[i];
    }
    crl_close(oldest);
    return oldest;
}

SIGNER_ANSWER(sign_crl_begin)
{
    const struct msg_sign_crl_begin *m = &r->sign_crl_begin;
    struct ca *ca = signer_ca(s, m->ca);
    (void)body;
    if (!ca)
        return signer_no_ca(f, m->ca);
    if (!ca->key)
        return signer_no_key(f, ca->name);
    if (m->shard < 0 || m->shard >= ca->n_shards || m->number < 1 || m->entries < 0 || m->bytes < 0)
        return fault_set(f, CE_BAD_FIELD, "CRL %s: shard %lld, number %lld or the count of entries is out of range", ca->name, (long long)m->shard, (long long)m->number);
    enum err e = signer_judge_dates(s, "a CRL", m->this_update, m->next_update, CRL_LONGEST_S, f);
    if (e)
        return e;
    struct signer_crl *c = crl_find(s, ca, m->shard);
    if (c)
        crl_close(c);
    c = crl_place(s);
    *c = (struct signer_crl){ .ca = ca, .began = ++s->crls_begun };
    const struct crl_request q = { .shard = (unsigned)m->shard, .number = (uint64_t)m->number, .this_update = m->this_update, .next_update = m->next_update };
    e = crl_signing_begin(&c->signing, ca, &q, (uint64_t)m->entries, (uint64_t)m->bytes, f);
    if (e)
        crl_close(c);
    return e;
}

static enum err crl_open_get(struct signer *s, struct span name, int64_t shard, struct signer_crl **out, struct fault *f)
{
    struct ca *ca = signer_ca(s, name);
    if (!ca)
        return signer_no_ca(f, name);
    *out = crl_find(s, ca, shard);
    if (*out)
        return CE_OK;
    /* a signer of the hsm role that was opened anew, because a token was away, knows nothing of it */
    return ca->key ? fault_set(f, CE_SIGNER, "no CRL %s/%lld was begun", ca->name, (long long)shard) : signer_no_key(f, ca->name);
}

SIGNER_ANSWER(sign_crl_part)
{
    const struct msg_sign_crl_part *m = &r->sign_crl_part;
    struct signer_crl *c;
    (void)body;
    enum err e = crl_open_get(s, m->ca, m->shard, &c, f);
    if (e)
        return e;
    if ((e = crl_signing_add(&c->signing, c->ca, m->entries, f)))
        crl_close(c);
    return e;
}

SIGNER_ANSWER(sign_crl_end)
{
    struct signer_crl *c;
    enum err e = crl_open_get(s, r->sign_crl_end.ca, r->sign_crl_end.shard, &c, f);
    if (e)
        return e;
    s->by = signer_meter_of(s, c->ca);
    e = crl_signing_end(&c->signing, c->ca, body, f);
    crl_close(c);
    return e;
}
