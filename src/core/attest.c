/* attest.c: challenges to TPMs and their answers. See attest.h. */
#include "core/attest.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/registry.h"
#include "crypt/key.h"
#include "store/attest.h"
#include "wire/route.h"

#define EK_WORD 24 /* a vendor's text */

struct challenge {
    uint8_t id[ATTEST_ID_LEN], secret[ATTEST_SECRET_LEN], spki[SHA256_LEN], ek[SHA256_LEN];
    char uid[UID_MAX + 1], by[UID_MAX + 1], vendor[EK_WORD + 1];
    int64_t end_ms;           /* monotonic; 0: free */
};
struct attest { struct challenge open[ATTEST_OPEN_MAX]; };

static void challenge_end(struct challenge *ch) { mem_zero(ch, sizeof *ch); }

/* A place for a challenge to uid: its own older one, a free or an ended one. NULL: none is left. */
static struct challenge *place_find(struct attest *a, struct span uid, int64_t now_ms)
{
    struct challenge *free_one = NULL;
    for (size_t i = 0; i < ATTEST_OPEN_MAX; i++) {
        struct challenge *ch = &a->open[i];
        if (ch->end_ms && span_eq_str(uid, ch->uid))
            return ch;
        if (!free_one && ch->end_ms <= now_ms)
            free_one = ch;
    }
    return free_one;
}

/* -- whose TPM is it? ---------------------------------------------------------------------------------------------------------------------- */
static enum err ek_vouched(struct batch *b, const struct msg_attest_begin *m, struct span line, bool *vouched, struct fault *f)
{
    struct ek_ca_row *rows;
    size_t n;
    *vouched = false;
    if (!m->ek_tbs.n)
        return CE_OK;
    enum err e = store_ek_ca_list(b->db, b->arena, line, &rows, &n, f);
    for (size_t i = 0; !e && i < n && !*vouched; i++)
        *vouched = spki_verify(rows[i].spki, (enum sig_alg)m->ek_sig_alg, m->ek_tbs, m->ek_sig) == CE_OK;
    return e;
}

static enum err ek_judge(struct batch *b, const struct msg_attest_begin *m, const struct device *d, struct fault *f)
{
    struct span known, of;
    bool vouched = false;
    enum err e = store_device_ek_get(b->db, b->arena, d->uid, &known, f);
    e = e ? e : store_device_ek_find(b->db, b->arena, m->ek_sha256, &of, f);
    if (e)
        return e;
    if (of.n && !span_eq(of, d->uid))
        return fault_set(f, CE_EK_UNKNOWN, "the TPM belongs to device " SPAN_FMT, SPAN_ARG(of));
    if (known.n)
        return span_eq(known, m->ek_sha256) ? CE_OK : fault_set(f, CE_EK_UNKNOWN, "the TPM is not the one of this device: its endorsement key is another than the register holds");
    e = ek_vouched(b, m, d->line, &vouched, f);
    if (e || vouched)
        return e;
    return fault_set(f, CE_EK_UNKNOWN, "nobody vouches for the TPM: register its endorsement key (cradle tpm bind), or the CA of its maker (cradle tpm trust)");
}

static enum err begin_judge(struct batch *b, const struct caller *c, const struct msg_attest_begin *m, struct device *d, struct fault *f)
{
    if (c->role == R_DEVICE && !span_eq(c->name, m->uid))
        return fault_set(f, CE_NAME_MISMATCH, "a device attests its own keys only");
    enum err e = device_get(b, m->uid, d, f);
    if (!e && c->role != R_DEVICE)
        e = authz_line(c, d->line, f);
    e = e ? e : device_usable(d, f);
    return e ? e : ek_judge(b, m, d, f);
}

enum err attest_op_begin(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_attest_begin *m = msg;
    struct attest *a = core_part(b->core, CORE_PART_ATTEST);
    struct device d = { 0 };
    enum err e = begin_judge(b, c, m, &d, f);
    struct challenge *ch = e ? NULL : place_find(a, m->uid, b->mono_ms), fresh = { .end_ms = b->mono_ms + ATTEST_LIFE_MS };
    if (!e && !ch) {
        out->retry_s = 5;
        e = fault_set(f, CE_BUSY, "%d TPMs are being asked already", ATTEST_OPEN_MAX);
    }
    e = e ? e : random_bytes(fresh.id, sizeof fresh.id);
    e = e ? e : random_bytes(fresh.secret, sizeof fresh.secret);
    if (e)
        return e;
    INVARIANT(m->spki.n == SHA256_LEN && m->ek_sha256.n == SHA256_LEN);
    memcpy(fresh.spki, m->spki.p, SHA256_LEN);
    memcpy(fresh.ek, m->ek_sha256.p, SHA256_LEN);
    e = span_to_cstr(m->uid, fresh.uid, sizeof fresh.uid);
    e = e ? e : span_to_cstr(c->name, fresh.by, sizeof fresh.by);
    e = e ? e : span_to_cstr(m->vendor, fresh.vendor, sizeof fresh.vendor);
    if (e)
        return fault_set(f, e, "a name is too long");
    *ch = fresh;
    uint8_t *body = arena_alloc(b->arena, ATTEST_ID_LEN + ATTEST_SECRET_LEN);
    memcpy(body, fresh.id, ATTEST_ID_LEN);
    memcpy(body + ATTEST_ID_LEN, fresh.secret, ATTEST_SECRET_LEN);
    mem_zero(&fresh, sizeof fresh);
    out->body_kind = BODY_BINARY;
    out->body = span_of(body, ATTEST_ID_LEN + ATTEST_SECRET_LEN);
    return CE_OK;
}

/* -- the answer ------------------------------------------------------------------------------------------------------------------------------ */
/* Ends the challenge and gives what it was. */
static enum err challenge_take(struct attest *a, const struct caller *c, const struct msg_attest_end *m, int64_t now_ms, struct challenge *out, struct fault *f)
{
    for (size_t i = 0; m->id.n == ATTEST_ID_LEN && i < ATTEST_OPEN_MAX; i++) {
        struct challenge *ch = &a->open[i];
        if (!ch->end_ms || memcmp(ch->id, m->id.p, ATTEST_ID_LEN) != 0 || !span_eq_str(c->name, ch->by))
            continue;
        *out = *ch;
        challenge_end(ch);
        if (out->end_ms <= now_ms)
            break;
        bool good = m->secret.n == ATTEST_SECRET_LEN && CRYPTO_memcmp(out->secret, m->secret.p, ATTEST_SECRET_LEN) == 0;
        return good ? CE_OK : fault_set(f, CE_BAD_PROOF, "the secret is another one: the attestation key is not in the TPM of this endorsement key");
    }
    return fault_set(f, CE_NOT_FOUND, "there is no such challenge: it was answered, replaced by a newer one, or is over (%d s); ask for another", ATTEST_LIFE_MS / 1000);
}

static enum err proved_write(struct batch *b, const struct caller *c, const struct challenge *ch, struct fault *f)
{
    const struct key_home_row r = { .uid = arena_copy(b->arena, span_str(ch->uid)), .spki = arena_copy(b->arena, span_of(ch->spki, SHA256_LEN)), .home = SPAN_LIT("tpm"), .proved = true,
                                    .ek = arena_copy(b->arena, span_of(ch->ek, SHA256_LEN)), .vendor = arena_copy(b->arena, span_str(ch->vendor)), .at = b->now_ms };
    struct span known;
    enum err e = store_device_ek_get(b->db, b->arena, r.uid, &known, f);
    if (!e && !known.n)
        e = device_ek_write(b, c, r.uid, r.ek, SPAN_LIT("first proof"), f);
    else if (!e && !span_eq(known, r.ek))
        e = fault_set(f, CE_EK_UNKNOWN, "the TPM of this device was changed in the register meanwhile");
    return e ? e : key_home_write(b, &r, c->name, f);
}

enum err attest_op_end(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    struct challenge ch = { 0 };
    struct device d = { 0 };
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    enum err e = challenge_take(core_part(b->core, CORE_PART_ATTEST), c, msg, b->mono_ms, &ch, f);
    e = e ? e : device_get(b, span_str(ch.uid), &d, f);
    e = e ? e : device_usable(&d, f);
    e = e ? e : proved_write(b, c, &ch, f);
    if (!e) {
        struct json_out o = JSON_OUT(&body);
        json_obj(&o, NULL);
        json_str(&o, "uid", d.uid);
        json_cstr(&o, "key_home", "tpm");
        json_hex(&o, "spki", span_of(ch.spki, SHA256_LEN));
        json_hex(&o, "ek", span_of(ch.ek, SHA256_LEN));
        json_obj_end(&o);
        reply_json(b, &body, out);
    }
    mem_zero(&ch, sizeof ch);
    return e;
}

static enum err part_open(struct core *core, void **state, struct fault *f)
{
    (void)core;
    (void)f;
    *state = mem_calloc(1, sizeof(struct attest));
    return CE_OK;
}

static void part_close(void *state)
{
    if (state)
        mem_zero(state, sizeof(struct attest));
    free(state);
}

const struct core_part attest_part = { .name = "attest", .open = part_open, .close = part_close };
