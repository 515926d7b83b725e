/* front_attest.c: what a TPM says of a device's key: read, judged and verified here, so that core gets hashes and no structures of strangers; and the credential in which
 * core's secret travels back. See core/attest.h, crypt/tpm.h. */
#include "core/attest.h"
#include "crypt/cert.h"
#include "crypt/pem.h"
#include "crypt/tpm.h"
#include "role/front_priv.h"

struct attest_note { struct tpm_key ek; uint8_t ak_name[TPM_NAME_LEN]; };

static enum err key_take(struct span bytes, enum tpm_part part, struct tpm_key *out, struct fault *f)
{
    enum err e = tpm_public_read(bytes, out, f);
    return e ? e : tpm_judge(part, out, f);
}

static struct span spki_hash(struct arena *a, const struct tpm_key *k, struct buf *spki)
{
    uint8_t *hash = arena_alloc(a, SHA256_LEN);
    tpm_spki(k, spki);
    sha256(buf_span(spki), hash);
    return span_of(hash, SHA256_LEN);
}

/* The manufacturer among the names of an EK certificate (TCG EK credential profile 3.2.9): "id:" and four letters in hex; the word itself when they are no letters. */
static struct span vendor_of(struct arena *a, struct span der)
{
    static const uint8_t head[] = { 0x06, 0x05, 0x67, 0x81, 0x05, 0x02, 0x01 }; /* 2.23.133.2.1 */
    const uint8_t *at = memmem(der.p, der.n, head, sizeof head);
    size_t left = at ? (size_t)(der.p + der.n - at) : 0;
    CLEANUP(buf_free) struct buf text = BUF_INIT(4);
    if (left < sizeof head + 2 + 11 || at[8] != 11 || memcmp(at + 9, "id:", 3) != 0 || hex_decode(span_of(at + 12, 8), &text))
        return span_of(NULL, 0);
    while (text.len && !text.data[text.len - 1])
        text.len--;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return arena_copy(a, span_of(at + 9, 11));
    return arena_copy(a, buf_span(&text));
}

/* A certificate that is of no use is left out: the register may know the TPM all the same. */
static void ek_cert_take(struct front_req *r, struct msg_attest_begin *m, struct span ek_spki)
{
    struct cert c;
    struct fault why;
    int64_t now_s = clock_now_s();
    if (!m->ek_cert.n || cert_parse(m->ek_cert, &c, &why) || !span_eq(c.spki, ek_spki) || c.is_ca || c.sig_alg == SIG_NONE || now_s < c.not_before || now_s > c.not_after)
        return;
    m->ek_tbs = arena_copy(&r->arena, c.tbs);
    m->ek_sig = arena_copy(&r->arena, c.sig);
    m->ek_sig_alg = c.sig_alg;
    m->vendor = vendor_of(&r->arena, c.tbs);
}

enum err front_attest_begin(struct front_req *r, struct fault *f)
{
    struct attest_note *note = arena_alloc(&r->arena, sizeof *note);
    struct tpm_key ak, key;
    CLEANUP(buf_free) struct buf key_spki = BUF_INIT(TPM_SPKI_MAX), ek_spki = BUF_INIT(TPM_SPKI_MAX);
    enum err e = front_json(r, f);
    struct msg_attest_begin *m = r->msg;
    e = e ? e : name_check_uid(m->uid, f);
    e = e ? e : key_take(m->ek, TPM_EK, &note->ek, f);
    e = e ? e : key_take(m->ak, TPM_AK, &ak, f);
    e = e ? e : key_take(m->key, TPM_DEVICE_KEY, &key, f);
    e = e ? e : tpm_certified(m->attest, m->signature, &ak, &key, f);
    if (e)
        return e;
    memcpy(note->ak_name, ak.name, sizeof ak.name);
    m->spki = spki_hash(&r->arena, &key, &key_spki);
    m->ek_sha256 = spki_hash(&r->arena, &note->ek, &ek_spki);
    ek_cert_take(r, m, buf_span(&ek_spki));
    m->ek = m->ak = m->key = m->attest = m->signature = m->ek_cert = span_of(NULL, 0);
    r->note = note;
    return CE_OK;
}

void front_reply_attest(struct front_req *r, const struct msg_reply *rep)
{
    const struct attest_note *note = r->note;
    CLEANUP(buf_free) struct buf blob = BUF_INIT(1024), enc = BUF_INIT(1024), body = BUF_INIT(8192);
    struct json_out j = JSON_OUT(&body);
    struct fault f = { 0 };
    if (rep->body_kind != BODY_BINARY || rep->body.n != ATTEST_ID_LEN + ATTEST_SECRET_LEN) {
        front_refuse(r, CE_INTERNAL, "core did not answer with a challenge", rep);
        return;
    }
    enum err e = tpm_credential(&note->ek, note->ak_name, rep->body.p + ATTEST_ID_LEN, &blob, &enc, &f);
    if (e) {
        front_refuse(r, e, f.text, NULL);
        return;
    }
    json_obj(&j, NULL);
    json_hex(&j, "id", span_of(rep->body.p, ATTEST_ID_LEN));
    json_base64(&j, "credential", buf_span(&blob));
    json_base64(&j, "secret", buf_span(&enc));
    json_int(&j, "expires_s", ATTEST_LIFE_MS / 1000);
    json_obj_end(&j);
    front_send(r, 200, "application/json", buf_span(&body));
}

/* -- CAs of makers of TPMs ------------------------------------------------------------------------------------------------------------------ */
enum err front_ek_ca_add(struct front_req *r, struct fault *f)
{
    struct cert c;
    uint8_t *hash = arena_alloc(&r->arena, SHA256_LEN);
    enum err e = front_json(r, f);
    struct msg_ek_ca *m = r->msg;
    if (!e && !m->cert.n)
        e = fault_set(f, CE_BAD_FIELD, "field 'cert' is missing: the certificate of the CA, DER in base64");
    e = e ? e : cert_parse(m->cert, &c, f);
    if (e)
        return e;
    if (c.spki.n > MSG_SPKI_MAX)
        return fault_set(f, CE_KEY_ALG, "the CA's public key is longer than %d bytes", MSG_SPKI_MAX);
    if (!c.is_ca)
        return fault_set(f, CE_BAD_CERT, "the certificate is not that of a CA (RFC 5280 4.2.1.9)");
    sha256(m->cert, hash);
    m->sha256 = span_of(hash, SHA256_LEN);
    m->spki = c.spki;
    m->title = c.cn.n && c.cn.n <= 200 && span_is_utf8(c.cn) ? c.cn : SPAN_LIT("a CA without a CN");
    m->cert = span_of(NULL, 0);
    m->remove = 0;
    return CE_OK;
}

enum err front_ek_ca_remove(struct front_req *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf hash = BUF_INIT(SHA256_LEN);
    enum err e = front_json(r, f);
    struct msg_ek_ca *m = r->msg;
    if (!e && (hex_decode(r->match.params[1], &hash) || hash.len != SHA256_LEN))
        e = fault_set(f, CE_BAD_FIELD, "the path must end in the SHA-256 of the certificate: 64 hexadecimal digits");
    if (e)
        return e;
    m->cert = m->spki = m->title = span_of(NULL, 0);
    m->sha256 = arena_copy(&r->arena, buf_span(&hash));
    m->remove = 1;
    return CE_OK;
}
