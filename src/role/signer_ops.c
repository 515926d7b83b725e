/* signer_ops.c: the signer's answers: each builds the bytes to be signed from a typed request. See signer.h. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/issue.h"
#include "crypt/ocsp.h"
#include "role/signer_impl.h"
#include "wire/snapshot.h"

struct ca *signer_ca(struct signer *s, struct span name)
{
    for (size_t i = 0; i < s->n_cas; i++)
        if (span_eq_str(name, s->cas[i].name))
            return &s->cas[i];
    return NULL;
}

struct signer_meter *signer_meter_of(struct signer *s, const struct ca *ca) { return &s->ca_meter[ca - s->cas]; }

enum err signer_no_ca(struct fault *f, struct span name)
{
    return fault_set(f, CE_NOT_FOUND, "the signer has no CA " SPAN_FMT, SPAN_ARG(name));
}

/* Its private half is with the hsm role: core sends such requests there when it has heard of it. */
enum err signer_no_key(struct fault *f, const char *name)
{
    return fault_set(f, CE_TOKEN_LOST, "the key %s is in a token, and cannot be used now", name);
}

static const struct profile *profile_find(const struct signer *s, struct span name)
{
    for (size_t i = 0; i < s->n_profiles; i++)
        if (span_eq_str(name, s->profiles[i].name))
            return &s->profiles[i];
    return NULL;
}

/* Whoever holds core for an hour must not stock up for the time after it: what is signed begins now, give or take a clock, and an answer
 * about revocation ends when the configuration's largest validity does. Frames are not judged: revocation goes on when a clock is wrong. */
#define BEGINS_WITHIN_S 86400
#define OCSP_LONGEST_S 604800

enum err signer_judge_dates(const struct signer *s, const char *what, int64_t from_s, int64_t to_s, int64_t longest_s, struct fault *f)
{
    int64_t now_ms = s->cfg.wall_ms ? s->cfg.wall_ms(s->cfg.wall_ctx) : clock_now_ms();
    if (from_s > now_ms / 1000 + BEGINS_WITHIN_S)
        return fault_set(f, CE_BAD_FIELD, "%s that begins in more than a day is not signed", what);
    if (longest_s && (to_s < from_s || to_s - from_s > longest_s))
        return fault_set(f, CE_BAD_FIELD, "%s is valid for %lld s at most", what, (long long)longest_s);
    return CE_OK;
}

SIGNER_ANSWER(sign_cert)
{
    const struct msg_sign_cert *m = &r->sign_cert;
    const struct profile *p = profile_find(s, m->profile);
    if (!p)
        return fault_set(f, CE_NOT_FOUND, "the signer has no profile " SPAN_FMT " (profiles are read at start)", SPAN_ARG(m->profile));
    struct ca *ca = signer_ca(s, m->ca);
    if (!ca)
        return signer_no_ca(f, m->ca);
    if (!ca->key)
        return signer_no_key(f, ca->name);
    struct issue_request q = {
        .serial = m->serial, .spki = m->spki, .not_before = m->not_before, .not_after = m->not_after,
        .values = { .uid = m->uid, .serial = m->dev_serial, .line = m->line, .role = m->role },
    };
    enum err e = signer_judge_dates(s, "a certificate", m->not_before, m->not_after, 0, f);
    s->by = signer_meter_of(s, ca);
    return e ? e : issue_leaf(ca, p, &q, body, f);
}

SIGNER_ANSWER(sign_ocsp)
{
    const struct msg_sign_ocsp *m = &r->sign_ocsp;
    struct ocsp_single singles[OCSP_IDS_MAX];
    struct msg_ocsp_item item;
    size_t n = 0;
    struct ca *ca = signer_ca(s, m->ca);
    if (!ca)
        return signer_no_ca(f, m->ca);
    if (!ca->ocsp_key)
        return signer_no_key(f, "of its OCSP responder");
    for (struct span in = m->items; in.n; n++) {
        if (n == OCSP_IDS_MAX || msg_unpack(&msg_desc_ocsp_item, &in, &item) || item.status < 0 || item.status > OCSP_UNKNOWN ||
            item.reason < -1 || item.reason > 10)
            return fault_set(f, CE_BAD_FIELD, "an OCSP item is malformed, or there are more than %d", OCSP_IDS_MAX);
        singles[n] = (struct ocsp_single){ .certid = item.certid, .status = (enum ocsp_cert_status)item.status,
                                           .revoked_at = item.revoked_at, .reason = (int)item.reason };
    }
    enum err e = signer_judge_dates(s, "an OCSP answer", m->this_update, m->next_update, OCSP_LONGEST_S, f);
    return e ? e : ocsp_response_build(ca, singles, n, m->this_update, m->next_update, m->nonce, body, f);
}

/* A log never shrinks and never says two things about one size: whoever asks for that does not get a signature. */
SIGNER_ANSWER(sign_head)
{
    const struct msg_sign_head *m = &r->sign_head;
    struct merkle_hash root;
    if (!s->log_key)
        return signer_no_key(f, "log");
    if (m->size < 0 || m->root.n != sizeof root.b)
        return fault_set(f, CE_BAD_FIELD, "a tree head needs a size and a root of 32 bytes");
    memcpy(root.b, m->root.p, sizeof root.b);
    uint64_t size = (uint64_t)m->size;
    if (size < s->head_size || (s->head_size && size == s->head_size && memcmp(root.b, s->head_root.b, sizeof root.b) != 0))
        return fault_set(f, CE_LOG_INCONSISTENT, "a tree head of size %llu was signed already; size %llu does not follow it",
                         (unsigned long long)s->head_size, (unsigned long long)size);
    enum err e = checkpoint_sign(&s->log_name, s->log_key, size, &root, body);
    if (!e)
        s->head_size = size, s->head_root = root;
    return e;
}

SIGNER_ANSWER(sign_frame)
{
    if (!s->stream_key)
        return signer_no_key(f, "stream");
    const struct msg_sign_frame *m = &r->sign_frame;
    struct snapshot_frame fr = { .at_ms = m->at_ms, .prev = m->prev, .vector = m->vector, .entries = m->entries };
    enum err e = snapshot_frame_encode(&fr, s->stream_key, body);
    return e == CE_BAD_FRAME ? fault_set(f, e, "the stream frame breaks its format, goes back, or is larger than %d bytes", SNAPSHOT_FRAME_MAX) : e;
}

SIGNER_ANSWER(sign_snapshot)
{
    if (!s->stream_key)
        return signer_no_key(f, "stream");
    const struct msg_sign_snapshot *m = &r->sign_snapshot;
    const int64_t counts[SNAPSHOT_SETS] = { m->n_certs, m->n_idents, m->n_lines, m->n_repair, m->n_policies };
    struct snapshot_header h = { .at_ms = m->at_ms, .body_sha256 = m->body_sha256, .vector = m->vector };
    for (int i = 0; i < SNAPSHOT_SETS; i++) {
        if (counts[i] < 0 || counts[i] > UINT32_MAX)
            return fault_set(f, CE_BAD_FIELD, "a snapshot's counts are out of range");
        h.n[i] = (uint32_t)counts[i];
    }
    enum err e = snapshot_header_encode(&h, s->stream_key, body);
    return e == CE_BAD_FRAME ? fault_set(f, e, "the snapshot header breaks its format") : e;
}

/* From the profile by one CA of its use: a certificate that is thrown away. */
static enum err rehearse_leaf(struct ca *ca, const struct profile *p, struct span spki, struct fault *f)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(CERT_MAX);
    uint8_t serial[ISSUE_SERIAL];
    int64_t now = clock_now_s();
    if (now + 60 > ca->cert.not_after) {
        log_warn(0, "CA %s has expired: it issues nothing any more", ca->name);
        return CE_OK;
    }
    enum err e = issue_serial(serial);
    struct issue_request q = {
        .serial = span_of(serial, sizeof serial), .spki = spki, .not_before = now, .not_after = p->no_end ? CERT_NO_END : now + 60,
        .values = { .uid = SPAN_LIT("rehearsal"), .serial = SPAN_LIT("1"), .line = SPAN_LIT("line"), .role = SPAN_LIT("role") },
    };
    return e ? e : issue_leaf(ca, p, &q, &out, f);
}

enum err signer_rehearse_profile(struct signer *s, const struct profile *p, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    char alg[KEY_NAME_MAX];
    struct span rest = span_trim(span_str(p->key_algs)), first;
    if (!span_cut(&rest, ' ', &first) || span_to_cstr(first, alg, sizeof alg))
        return fault_set(f, CE_BAD_CONFIG, "profile %s: no key algorithm", p->name);
    enum err e = key_generate(alg, &key, f);
    for (size_t i = 0; !e && i < s->n_cas; i++)
        if (s->cas[i].key && ca_use_serves(s->cas[i].use, ca_use_find(span_str(p->ca))))
            e = rehearse_leaf(&s->cas[i], p, key_spki(key), f);
    return e;
}
